/* SPDX-License-Identifier: MIT */
/*
 * A machine that begins where another one stood still (take.c). Its objects are filled before any process is there. The
 * loader copies guest memory; from then on the machine's time runs, and its daemons are started as after a death: they find
 * journals, rings and lines, and check what is theirs. Meanwhile the vcpu process is brought its processors. irqd does not
 * look at its lines before the guest goes on, so that no tick is merged with another because nobody was there to take it.
 */
#include "restore.h"
#include "proc.h"
#include "take.h"
#include "tell.h"
#include "vm.h"

#include "../common/exit_codes.h"

#include "../../devices/backlog.h"

#include "../../proto/journal.h"
#include "../../proto/line.h"
#include "../../proto/msi.h"
#include "../../proto/shm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In a hundred years a guest's clock is not beyond it. */
#define TIME_MAX_NS (1ull << 62)

static int complain(struct vm *vm, const char *what, const char *why)
{
	char text[200];

	snprintf(text, sizeof(text), "the state of the other machine cannot be used: %s%s%s", what, why ? ": " : "",
		 why ? why : "");
	vm_log(vm, 0, "%s", text);
	vm_tell_keeper(vm, NOTE_ENDED, EXIT_USAGE, text);
	return -EINVAL;
}

/* A private copy: whoever handed it over may change theirs. */
static int copy_state(struct vm *vm)
{
	const void *theirs = NULL;
	struct state_header h;
	int rc = shm_map_ro(vm->launch->taken_fd[FRAME_TAKE_STATE], STATE_MAX, &theirs);
	const char *why = NULL;

	if (rc)
		return complain(vm, "it is no memory object of its size", NULL);
	memcpy(&h, theirs, sizeof(h));
	if (h.bytes > STATE_MAX || h.bytes < sizeof(h))
		h.bytes = sizeof(h);
	vm->restored = malloc(h.bytes);
	if (vm->restored) {
		memcpy(vm->restored, theirs, h.bytes);
		rc = state_check(vm->restored, h.bytes, &why);
	}
	shm_unmap(theirs, STATE_MAX);
	if (!vm->restored)
		return -ENOMEM;
	return rc ? complain(vm, why, NULL) : 0;
}

/* The part, if it is there, of version 1, and of that length; `bytes` 0: of any. */
static const void *find(const struct vm *vm, enum state_kind kind, const struct proc *p, uint32_t bytes, struct state_part *part)
{
	const void *data = state_find(vm->restored, kind, p ? (uint32_t)proc_role(p) : 0, p ? p->instance : 0, part);

	return data && part->version == 1 && (!bytes || part->bytes == bytes) ? data : NULL;
}

static unsigned count_devices(struct vm *vm)
{
	unsigned count = 0;

	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS; i++)
		count += proc_exists(&vm->procs[i]);
	return count;
}

static const char *machine_complaint(struct vm *vm, const struct state_machine *m)
{
	if (m->ram_bytes != vm->config->ram_bytes)
		return "its memory is of another size; give --memory as it was given there";
	if (m->vcpus != topology_word(&vm->config->cpus) || state_count(vm->restored, STATE_PROCESSOR) != vm_cpus(vm))
		return "its processors are others in number or arrangement; give --cpus as it was given there";
	if (!memchr(m->cpu, 0, sizeof(m->cpu)) || strcmp(m->cpu, config_cpu(vm->config)))
		return "its processor is another model; give --cpu as it was given there";
	if (m->devices != count_devices(vm) || state_count(vm->restored, STATE_JOURNAL) != m->devices)
		return "it has other devices";
	return m->time_ns >= TIME_MAX_NS ? "its clock shows a time that cannot be" : NULL;
}

static int restore_machine(struct vm *vm)
{
	struct state_machine m;
	struct state_part part;
	const void *data = find(vm, STATE_MACHINE, NULL, sizeof(m), &part);
	const char *why = "it does not say of what machine it is";

	if (data) {
		memcpy(&m, data, sizeof(m));
		why = machine_complaint(vm, &m);
	}
	if (why)
		return complain(vm, why, NULL);
	vm->restored_ns = m.time_ns;
	return 0;
}

/* ---- a device's objects ---------------------------------------------------------------------------------------- */

struct views {
	void *req, *rsp, *line, *journal;
};

static int map_views(const struct device_objects *d, struct views *v)
{
	int rc = shm_map_rw(d->req.rw, sizeof(struct ring_req), &v->req);

	if (!rc)
		rc = shm_map_rw(d->rsp.rw, sizeof(struct ring_rsp), &v->rsp);
	if (!rc)
		rc = shm_map_rw(d->line.rw, sizeof(struct line_page), &v->line);
	return rc ? rc : shm_map_rw(d->journal.rw, sizeof(struct journal_object), &v->journal);
}

static void unmap_views(const struct views *v)
{
	shm_unmap(v->req, sizeof(struct ring_req));
	shm_unmap(v->rsp, sizeof(struct ring_rsp));
	shm_unmap(v->line, sizeof(struct line_page));
	shm_unmap(v->journal, sizeof(struct journal_object));
}

/* irqd has counted up to these words, and goes on from there. */
static void restore_lines(struct line_page *to, const struct line_page *from, uint32_t owned)
{
	uint32_t words[MODEL_LINES] = { 0 }, last[MODEL_LINES] = { 0 };
	struct line_page page;

	memcpy(&page, from, sizeof(page));
	line_sample(&page, words, owned);
	line_publish(to, last, words, owned);
}

static const char *restore_views(const struct vm *vm, const struct proc *p, const struct views *v)
{
	struct ring_image ring;
	struct state_part part;
	const void *data = find(vm, STATE_RING, p, sizeof(ring), &part);
	const char *why = "it is not there";

	if (!data)
		return "its ring is not there";
	memcpy(&ring, data, sizeof(ring));
	if (ring_restore(v->req, v->rsp, &ring, vm_cpus(vm)))
		return "its ring cannot be";
	data = find(vm, STATE_LINES, p, sizeof(struct line_page), &part);
	if (!data)
		return "its lines are not there";
	restore_lines(v->line, data, p->kind->lines);
	data = find(vm, STATE_JOURNAL, p, 0, &part);
	return data && !journal_restore(v->journal, part.role, data, part.bytes, &why) ? NULL : why;
}

static int restore_device(struct vm *vm, const struct proc *p)
{
	struct views v = { 0 };
	int rc = map_views(&vm->devices[p->id - PROC_FIRST_DEVICE], &v);
	const char *why;

	if (rc)
		return rc;
	why = restore_views(vm, p, &v);
	unmap_views(&v);
	return why ? complain(vm, proc_name(p), why) : 0;
}

/* ---- the machine's objects ------------------------------------------------------------------------------------- */

static int restore_messages(struct vm *vm)
{
	struct state_part part;
	struct ring_image ring;
	struct msi_image m;
	const void *ours = find(vm, STATE_RING, &vm->procs[PROC_IRQD], sizeof(ring), &part);
	const void *data = find(vm, STATE_MESSAGES, NULL, sizeof(m), &part);
	void *page;
	int rc = ours && data ? shm_map_rw(vm->msi.rw, sizeof(struct msi_page), &page) : -EINVAL;

	if (rc)
		return complain(vm, "the messages of irqd are not there", NULL);
	memcpy(&ring, ours, sizeof(ring));
	memcpy(&m, data, sizeof(m));
	rc = msi_restore(page, ring.msi_head, &m);
	shm_unmap(page, sizeof(struct msi_page));
	return rc ? complain(vm, "the messages of irqd cannot be", NULL) : 0;
}

static int restore_console(struct vm *vm)
{
	struct state_part part;
	const void *data = find(vm, STATE_CONSOLE, NULL, 0, &part);
	void *backlog;
	int rc = data ? shm_map_rw(vm->shared_fd[KIND_FD_BACKLOG], sizeof(struct backlog), &backlog) : -EINVAL;

	if (rc)
		return complain(vm, "the history of the console is not there", NULL);
	rc = backlog_restore(backlog, data, part.bytes);
	shm_unmap(backlog, sizeof(struct backlog));
	return rc ? complain(vm, "the history of the console cannot be", NULL) : 0;
}

static void restore_debug_text(struct vm *vm)
{
	struct state_part part;
	const void *text = find(vm, STATE_DEBUG_TEXT, NULL, 0, &part);

	if (text)
		give_debug_text(vm, text, part.bytes);
}

int restore_objects(struct vm *vm)
{
	int rc = copy_state(vm);

	if (!rc)
		rc = restore_machine(vm);
	for (unsigned i = PROC_FIRST_DEVICE; !rc && i < PROCS; i++)
		if (proc_exists(&vm->procs[i]))
			rc = restore_device(vm, &vm->procs[i]);
	if (!rc)
		rc = restore_messages(vm);
	if (!rc)
		rc = restore_console(vm);
	if (!rc)
		restore_debug_text(vm);
	return rc;
}

void restore_clock(struct vm *vm)
{
	vm->clock = machine_clock_at(clock_ns(), vm->restored_ns);
}

/* ---- the processors -------------------------------------------------------------------------------------------- */

int restore_next(struct vm *vm)
{
	Bulkhead__StatePart m = BULKHEAD__STATE_PART__INIT;
	unsigned n = vm->restored_part++;
	struct state_part part;
	const void *data;

	if (n > vm_cpus(vm)) {
		free(vm->restored);
		vm->restored = NULL;
		return 0;
	}
	data = state_find(vm->restored, n < vm_cpus(vm) ? STATE_PROCESSOR : STATE_BUS, 0, n < vm_cpus(vm) ? n : 0, &part);
	if (!data)
		return -ENOENT;
	m.has_vcpu = n < vm_cpus(vm);
	m.vcpu = n;
	m.has_state = true;
	m.state = (ProtobufCBinaryData){ .len = part.bytes, .data = (uint8_t *)(uintptr_t)data };
	return proc_request(&vm->procs[PROC_VCPU], BULKHEAD__MESSAGE_TYPE__MSG_RESTORE, &m.base, NULL, 0);
}
