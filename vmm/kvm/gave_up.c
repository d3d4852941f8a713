/* SPDX-License-Identifier: MIT */
/*
 * What KVM cannot do, and what it then says; what it asks for and nobody serves. It delivers no event by a table or to a stack that is not memory: not through a
 * device, and not where nobody answers. A processor does not care, it makes bus cycles:
 *
 * - From a table where nobody drives the bus it reads ones. No gate, descriptor or stack pointer is good that has these, so
 *   exception follows exception, and it shuts down (SDM vol. 3, 6.15, interrupt 8). That is how such a guest ends here, too,
 *   and under the emulator.
 * - What it pushes is written to whoever is there, and it goes on, as the emulator does. Here it cannot go on; that is no
 *   fault of the guest's, and it is told what it was.
 */
#include "kvm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

enum { INSN_MAX = 15 };

/* INT3, INT n, INTO, IRET, INT1: they read tables and use the stack, as the delivery of an event does. */
static bool is_delivery(const uint8_t *insn, unsigned size)
{
	static const char prefixes[] = "\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3";
	unsigned i = 0;

	while (i < size && insn[i] && strchr(prefixes, insn[i]))
		i++;
	if (i < size && (insn[i] & 0xf0) == 0x40) /* REX */
		i++;
	return i < size && ((insn[i] >= 0xcc && insn[i] <= 0xcf) || insn[i] == 0xf1);
}

/* KVM has three names for it, and some call it a shutdown. */
static bool was_delivering(const struct kvm_run *run)
{
	if (run->internal.suberror == KVM_INTERNAL_ERROR_DELIVERY_EV || run->internal.suberror == KVM_INTERNAL_ERROR_SIMUL_EX)
		return true;
	return run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && run->internal.ndata >= 3 &&
	       (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) &&
	       is_delivery(run->emulation_failure.insn_bytes,
			   run->emulation_failure.insn_size < 15 ? run->emulation_failure.insn_size : 15);
}

/* The host's view of guest memory at a linear address; NULL: there is none. *mapped: has the guest a translation? Who has none gets a
 * page fault, which KVM can deliver. */
static const uint8_t *memory_at(const struct kvm_engine *k, unsigned vcpu, uint64_t linear, bool *mapped)
{
	struct kvm_translation t = { .linear_address = linear };

	*mapped = ioctl(k->vcpu[vcpu].fd, KVM_TRANSLATE, &t) == 0 && t.valid;
	for (unsigned i = 0; *mapped && i < k->ram_count; i++)
		if (t.physical_address - k->ram[i].gpa < k->ram[i].size)
			return (const uint8_t *)k->ram[i].host + (t.physical_address - k->ram[i].gpa);
	return NULL;
}

static bool is_elsewhere(const struct kvm_engine *k, unsigned vcpu, uint64_t linear)
{
	bool mapped;

	return !memory_at(k, vcpu, linear, &mapped) && mapped;
}

/* By their beginnings: which entry was wanted KVM does not tell. */
static bool has_tables(const struct kvm_engine *k, unsigned vcpu, const struct kvm_sregs *s)
{
	return !is_elsewhere(k, vcpu, s->idt.base) && !is_elsewhere(k, vcpu, s->gdt.base) && !is_elsewhere(k, vcpu, s->tr.base);
}

/* Is there a gate for double faults that takes the stack as it is? SDM vol. 3, 6.11, 6.14.1, 6.14.5. */
static bool has_last_gate(const struct kvm_engine *k, unsigned vcpu, const struct kvm_sregs *s)
{
	unsigned size = s->efer & EFER_LMA ? 16 : 8;
	const uint8_t *gate;
	bool mapped;

	if (!(s->cr0 & CR0_PE) || s->ss.dpl || s->idt.limit < 9 * size - 1)
		return false;
	gate = memory_at(k, vcpu, s->idt.base + 8 * size, &mapped);
	return gate && gate[5] & 0x80 && !(size == 16 && gate[4] & 7);
}

/* A processor shuts down when a double fault cannot be delivered. This one could have been, but for its stack. */
static bool lacks_stack(const struct kvm_engine *k, unsigned vcpu, const struct kvm_sregs *s)
{
	uint64_t base = s->efer & EFER_LMA ? 0 : s->ss.base;
	struct kvm_regs r;

	return has_last_gate(k, vcpu, s) && ioctl(k->vcpu[vcpu].fd, KVM_GET_REGS, &r) == 0 &&
	       is_elsewhere(k, vcpu, base + r.rsp - 8);
}

static void append(struct kvm_engine *k, const char *fmt, ...)
{
	const size_t used = strlen(k->error);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->error + used, sizeof(k->error) - used, fmt, ap);
	va_end(ap);
}

/* From where RIP points, as far as there is memory. */
static void append_instruction(struct kvm_engine *k, unsigned vcpu)
{
	struct kvm_sregs s;
	struct kvm_regs r;
	const uint8_t *at;
	bool mapped;

	if (ioctl(k->vcpu[vcpu].fd, KVM_GET_REGS, &r) < 0 || ioctl(k->vcpu[vcpu].fd, KVM_GET_SREGS, &s) < 0)
		return;
	append(k, "; instruction");
	for (unsigned i = 0; i < INSN_MAX; i++) {
		at = memory_at(k, vcpu, (s.cs.l && s.efer & EFER_LMA ? 0 : s.cs.base) + r.rip + i, &mapped);
		append(k, at ? " %02x" : " ??", at ? *at : 0);
	}
}

static void append_exit(struct kvm_engine *k, uint32_t exit)
{
	const char *name = kvm_exit_name(exit);

	if (name)
		append(k, " (%s", name);
	else
		append(k, " (exit %u, which came after this program", exit);
}

/* The instruction before the rest: a line of a log may end early. */
static void explain(struct kvm_engine *k, unsigned vcpu, const char *reason)
{
	const struct kvm_run *run = k->vcpu[vcpu].run;

	snprintf(k->error, sizeof(k->error), "KVM gave up: %s", reason);
	append_exit(k, run->exit_reason);
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		append(k, ", suberror %u", run->internal.suberror);
	if (run->exit_reason == KVM_EXIT_FAIL_ENTRY || run->exit_reason == KVM_EXIT_UNKNOWN)
		append(k, ", reason %#llx", (unsigned long long)run->hw.hardware_exit_reason);
	append(k, ")");
	append_instruction(k, vcpu);
	if (run->exit_reason != KVM_EXIT_INTERNAL_ERROR || !run->internal.ndata)
		return;
	append(k, "; data");
	for (unsigned i = 0; i < run->internal.ndata && i < 6; i++)
		append(k, " %llx", (unsigned long long)run->internal.data[i]);
}

static enum engine_stop no_stack(struct kvm_engine *k, unsigned vcpu)
{
	explain(k, vcpu, "it cannot deliver an event to a stack that is not memory; --engine emu can");
	return ENGINE_ERROR;
}

enum engine_stop kvm_shut_down(struct kvm_engine *k, unsigned vcpu)
{
	struct kvm_sregs s;

	if (ioctl(k->vcpu[vcpu].fd, KVM_GET_SREGS, &s) == 0 && has_tables(k, vcpu, &s) && lacks_stack(k, vcpu, &s))
		return no_stack(k, vcpu);
	return ENGINE_TRIPLE_FAULT;
}

enum engine_stop kvm_gave_up(struct kvm_engine *k, unsigned vcpu)
{
	static const char *const reasons[] = { "", "emulation of an instruction failed", "simultaneous exception",
					       "exception while delivering an event", "unexpected exit" };
	const struct kvm_run *run = k->vcpu[vcpu].run;
	unsigned sub = run->internal.suberror;
	struct kvm_sregs s;

	if (was_delivering(run) && ioctl(k->vcpu[vcpu].fd, KVM_GET_SREGS, &s) == 0)
		return has_tables(k, vcpu, &s) ? no_stack(k, vcpu) : ENGINE_TRIPLE_FAULT;
	explain(k, vcpu, sub < sizeof(reasons) / sizeof(reasons[0]) ? reasons[sub] : "internal error");
	return ENGINE_ERROR;
}

enum engine_stop kvm_unserved(struct kvm_engine *k, unsigned vcpu)
{
	switch (k->vcpu[vcpu].run->exit_reason) {
	case KVM_EXIT_FAIL_ENTRY:
		explain(k, vcpu, "the processor refused the guest's state");
		break;
	case KVM_EXIT_UNKNOWN:
		explain(k, vcpu, "the processor stopped for a reason that KVM does not know");
		break;
	default:
		explain(k, vcpu, "it asks for what no guest is offered here");
	}
	return ENGINE_ERROR;
}

enum engine_stop kvm_run_failed(struct kvm_engine *k, unsigned vcpu)
{
	const uint32_t reason = k->vcpu[vcpu].run->exit_reason;
	const bool tells = errno == EFAULT && reason == KVM_EXIT_MEMORY_FAULT; /* else it is an earlier one's */

	kvm_fail(k, "KVM gave up: KVM_RUN");
	if (tells)
		append(k, " (%s)", kvm_exit_name(reason));
	append_instruction(k, vcpu);
	return ENGINE_ERROR;
}
