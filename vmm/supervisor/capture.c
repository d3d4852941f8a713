/* SPDX-License-Identifier: MIT */
/* Captures of devices: capture.h. */
#include "capture.h"
#include "proc.h"
#include "setup.h"
#include "tell.h"
#include "vm.h"

#include "../common/ended.h"
#include "../common/report.h"

#include "../../proto/capture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TRIES = 1000 };

static void fill_info(const struct proc *p, struct capture_info *info)
{
	Bulkhead__MachineConfig m;

	setup_machine(p->vm, &m);
	*info = (struct capture_info){
		.ram_bytes = m.ram_bytes,
		.time_ns = machine_ns(&p->vm->clock),
		.rtc_offset_s = m.rtc_offset_s,
		.realtime_ns = m.realtime_ns,
		.vcpus = m.vcpus,
		.no_vga = m.no_vga != 0,
		.frame = m.frame != 0,
		.display = (uint8_t)m.display,
		.display_width = (uint16_t)m.display_width,
		.display_height = (uint16_t)m.display_height,
		.incarnation = p->incarnation,
	};
	snprintf(info->version, sizeof(info->version), "%s", p->version);
}

static int64_t make(const struct proc *p, struct capture_source *s)
{
	s->kind = p->kind;
	s->instance = p->instance;
	s->req = p->recovery.req;
	s->rsp = p->recovery.rsp;
	s->journal = p->recovery.journal;
	for (unsigned i = 0; p->kind->collects && i < DEVICES; i++)
		if (proc_exists(&p->vm->procs[PROC_FIRST_DEVICE + i]) && p->vm->procs[PROC_FIRST_DEVICE + i].kind->lines)
			s->lines[i] = p->vm->devices[i].lines;
	return capture_make(s, p->vm->state_memory);
}

/* Beside the record of the machine's end. */
static void name_file(const struct vm *vm, unsigned number, char *out, size_t size)
{
	const char *slash = strrchr(vm->launch->dir, '/');

	snprintf(out, size, "%.*s/" RUNDIR_ENDED "/%s.%u" ENDED_CAPTURE, (int)(slash ? slash - vm->launch->dir : 0),
		 vm->launch->dir, vm->config->name, number + 1);
}

static void keep(struct proc *p, size_t bytes)
{
	struct report *r = p->vm->launch->report;
	unsigned number = r->capture_count % REPORT_CAPTURES;

	memcpy(r->captures[number].bytes, p->vm->state_memory, bytes);
	r->captures[number].len = (uint32_t)bytes;
	r->capture_count++;
	name_file(p->vm, number, p->recovery.captured, sizeof(p->recovery.captured));
	vm_tell_keeper(p->vm, NOTE_CAPTURE, number, "");
}

/* While the machine's state is being taken, its memory is in use; and a device that dies then ends that. */
static bool is_free(const struct vm *vm)
{
	return vm->take.step == TAKE_NOT;
}

void capture_death(struct proc *p)
{
	struct capture_source s = { 0 };
	int64_t bytes = -EBUSY;

	p->recovery.captured[0] = 0;
	fill_info(p, &s.info);
	s.info.has_died = 1;
	snprintf(s.info.reason, sizeof(s.info.reason), "%s", p->last_reason);
	if (is_free(p->vm))
		bytes = make(p, &s);
	if (bytes > 0)
		keep(p, (size_t)bytes);
	else
		vm_log(p->vm, 1, "%s: how it was when it died cannot be kept: %s", proc_name(p), strerror((int)-bytes));
}

/* Stopped, it writes nothing; it may still be running when the signal has been sent, but not for long. */
static void hold(const struct proc *p, bool held)
{
	if (p->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, p->pidfd, held ? SIGSTOP : SIGCONT, NULL, 0);
}

const char *capture_now(struct proc *p)
{
	struct capture_source s = { 0 };
	int64_t bytes = -EAGAIN;

	if (!is_free(p->vm))
		return "the machine's state is being taken; try again";
	fill_info(p, &s.info);
	hold(p, true);
	for (unsigned i = 0; bytes == -EAGAIN && i < TRIES; i++)
		bytes = make(p, &s);
	hold(p, false);
	if (bytes == -EAGAIN)
		return "its journal is being written all the time; try again";
	return bytes > 0 ? NULL : "its ring contradicts itself";
}
