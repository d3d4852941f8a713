/* SPDX-License-Identifier: MIT */
/* What the record of the end is made of: report.h. */
#include "report.h"
#include "proc.h"
#include "vm.h"

#include "../common/say.h"

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
}
