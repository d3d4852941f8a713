/* SPDX-License-Identifier: MIT */
/* What the record of the end is made of: report.h. */
#include "report.h"
#include "proc.h"
#include "vm.h"

#include "../common/say.h"

#include "../../devices/backlog.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

void report_claim(struct launch *launch)
{
	madvise(launch->report, sizeof(*launch->report), MADV_DONTFORK);
}

void report_begin(struct vm *vm)
{
	say_keep(&vm->launch->report->log);
}

void report_guest_code(struct vm *vm, uint8_t code)
{
	vm->launch->report->guest_code = code;
	vm->launch->report->has_guest_code = true;
}

void report_registers(struct vm *vm, const char *text)
{
	snprintf(vm->launch->report->registers, sizeof(vm->launch->report->registers), "%s", text);
}

static void add_device(struct report *r, const struct proc *p)
{
	struct report_device *d = &r->devices[r->device_count++];

	snprintf(d->name, sizeof(d->name), "%s", proc_name(p));
	d->deaths = p->recovery.deaths;
	d->fruitless = p->recovery.restart.fruitless;
	d->gave_up = p->recovery.gave_up;
	snprintf(d->last_reason, sizeof(d->last_reason), "%s", p->last_reason);
}

/* Its writer is gone, or was told to leave; what it says of itself is not believed. */
static void copy_console(struct report *r, const struct backlog *b)
{
	uint64_t written = atomic_load_explicit(&b->written, memory_order_acquire);
	uint64_t len = written < REPORT_CONSOLE ? written : REPORT_CONSOLE;

	for (uint64_t i = 0; i < len; i++)
		r->console[i] = b->data[(written - len + i) % BACKLOG_BYTES];
	r->console_written = written;
	r->console_len = (uint32_t)len;
}

void report_end(struct vm *vm)
{
	struct report *r = vm->launch->report;

	snprintf(r->reason, sizeof(r->reason), "%s", vm->exit_reason);
	snprintf(r->text, sizeof(r->text), "%s", vm->exit_text);
	r->is_kvm = vm->engine_kvm;
	r->reboots = vm->reboots;
	r->device_count = 0;
	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS; i++)
		if (proc_exists(&vm->procs[i]))
			add_device(r, &vm->procs[i]);
	if (vm->backlog_view)
		copy_console(r, vm->backlog_view);
}
