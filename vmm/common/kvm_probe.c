/* SPDX-License-Identifier: MIT */
/* kvm_probe.h. */
#include "kvm_probe.h"

#include "../../proto/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * Where the engine is worth having. Our emulator runs such loops at about 1 ns an instruction, a processor at a fraction of
 * that; a KVM that interprets takes some hundred. So the limit may be rough.
 */
enum { INTERPRETS_PS = 20000, HOPELESS_PS = 5 * INTERPRETS_PS };

int kvm_open(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

#if defined(__x86_64__)

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

const struct kvm_cap_row kvm_caps[] = {
#define CAP(name, needed, what) { #name, KVM_CAP_##name, needed, what }
	CAP(USER_MEMORY, true, "guest memory"),
	CAP(SPLIT_IRQCHIP, true, "local APICs in the kernel, the other interrupt controllers in irqd"),
	CAP(SIGNAL_MSI, true, "interrupts from irqd"),
	CAP(IRQ_ROUTING, true, "level-triggered interrupts"),
	CAP(EXT_CPUID, true, "the guest's CPUID"),
	CAP(MP_STATE, true, "several processors"),
	CAP(XSAVE, true, "x87, SSE, AVX state: snapshots, debugger, fallback"),
	CAP(IMMEDIATE_EXIT, true, "a processor that is called back is not missed"),
	CAP(VCPU_EVENTS, false, "exceptions, NMI and interrupt shadow in snapshots"),
	CAP(XSAVE2, false, "extended state beyond 4 KiB (AMX)"),
	CAP(XCRS, false, "XCR0 in snapshots"),
	CAP(DEBUGREGS, false, "debug registers in snapshots"),
	CAP(SET_GUEST_DEBUG, false, "debugger"),
	CAP(SET_GUEST_DEBUG2, false, "debugger: single steps without interrupts"),
	CAP(TSC_DEADLINE_TIMER, false, "the local APIC's TSC-deadline timer"),
	CAP(TSC_CONTROL, false, "a time-stamp counter of another frequency than the host's"),
	CAP(GET_TSC_KHZ, false, "CPUID 15h: the guest need not measure its time-stamp counter"),
	CAP(X86_TRIPLE_FAULT_EVENT, false, "a shutdown in progress in snapshots"),
	CAP(EXIT_ON_EMULATION_FAILURE, false, "instructions that KVM cannot do reach the fallback, not the guest as #UD"),
	CAP(X2APIC_API, false, "interrupts for processors with an APIC id above 254"),
	{ NULL, 0, false, NULL },
#undef CAP
};

int kvm_cap(int kvm_fd, int number)
{
	return ioctl(kvm_fd, KVM_CHECK_EXTENSION, (unsigned long)number);
}

enum { MEMORY = KVM_DEFECTS_BYTES, PORT_LOOPED = 0x80, PORT_EXIT = 0x81, LOOK = 1000, LOOPS = 9000, ROUNDS = 100 };

/* Flat 32-bit code at address 0, ECX: how often the loop goes round; two instructions each. */
static const uint8_t code[] = {
	0x49,	    /* loop: dec ecx */
	0x75, 0xfd, /* jnz loop */
	0xe6, 0x80, /* out 80h, al */
	0xe6, 0x81, /* exits: out 81h, al */
	0xeb, 0xfc, /* jmp exits */
};

struct scratch {
	int vm, vcpu;
	void *memory;
	struct kvm_run *run;
	size_t run_size;
};

static int fail(struct kvm_probe *out, const char *what)
{
	out->kind = KVM_UNFIT;
	out->error = errno;
	out->lacks = what;
	return -errno;
}

static int make_machine(int kvm_fd, struct scratch *s, struct kvm_probe *out)
{
	struct kvm_userspace_memory_region r = { .memory_size = MEMORY };
	int size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	s->vm = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (s->vm < 0)
		return fail(out, "KVM_CREATE_VM");
	s->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->memory == MAP_FAILED)
		return fail(out, "some pages of memory");
	memcpy(s->memory, code, sizeof(code));
	r.userspace_addr = (uintptr_t)s->memory;
	if (ioctl(s->vm, KVM_SET_USER_MEMORY_REGION, &r) < 0)
		return fail(out, "KVM_SET_USER_MEMORY_REGION");
	ioctl(s->vm, KVM_SET_TSS_ADDR, 0xfffbd000ul); /* for processors that need it */
	s->vcpu = ioctl(s->vm, KVM_CREATE_VCPU, 0ul);
	if (s->vcpu < 0)
		return fail(out, "KVM_CREATE_VCPU");
	errno = EPROTO;
	if (size < (int)sizeof(struct kvm_run))
		return fail(out, "KVM_GET_VCPU_MMAP_SIZE");
	s->run_size = (size_t)size;
	s->run = mmap(NULL, s->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, s->vcpu, 0);
	return s->run == MAP_FAILED ? fail(out, "mmap of kvm_run") : 0;
}

static void unmake_machine(const struct scratch *s)
{
	if (s->run && s->run != MAP_FAILED)
		munmap(s->run, s->run_size);
	if (s->vcpu >= 0)
		close(s->vcpu);
	if (s->vm >= 0)
		close(s->vm);
	if (s->memory && s->memory != MAP_FAILED)
		munmap(s->memory, MEMORY);
}

/* Protected mode without paging: real mode is interpreted by some KVMs that run everything else on the processor. */
static int set_mode(const struct scratch *s, struct kvm_probe *out)
{
	const struct kvm_segment code_segment = {
		.limit = ~0u, .selector = 8, .type = 11, .present = 1, .s = 1, .db = 1, .g = 1
	};
	struct kvm_segment data = code_segment;
	struct kvm_sregs sregs;

	if (ioctl(s->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return fail(out, "KVM_GET_SREGS");
	data.selector = 16;
	data.type = 3;
	sregs.cs = code_segment;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cr0 |= 1; /* PE */
	return ioctl(s->vcpu, KVM_SET_SREGS, &sregs) < 0 ? fail(out, "KVM_SET_SREGS") : 0;
}

/* Until it writes to a port, which has to be this one. Signals that come meanwhile are somebody else's business. */
static int run_to(const struct scratch *s, uint16_t port, struct kvm_probe *out)
{
	int rc;

	do
		rc = ioctl(s->vcpu, KVM_RUN, 0);
	while (rc < 0 && (errno == EINTR || errno == EAGAIN));
	if (rc < 0)
		return fail(out, "KVM_RUN");
	errno = 0;
	return s->run->exit_reason != KVM_EXIT_IO || s->run->io.port != port ? fail(out, "execution of a simple loop") : 0;
}

static int time_loop(const struct scratch *s, uint32_t loops, uint64_t *ns, struct kvm_probe *out)
{
	struct kvm_regs regs = { .rcx = loops, .rflags = 2 };
	uint64_t from;
	int rc;

	if (ioctl(s->vcpu, KVM_SET_REGS, &regs) < 0)
		return fail(out, "KVM_SET_REGS");
	from = clock_ns();
	rc = run_to(s, PORT_LOOPED, out);
	*ns = clock_ns() - from;
	return rc;
}

static int time_exits(const struct scratch *s, struct kvm_probe *out)
{
	uint64_t from;
	int rc = run_to(s, PORT_EXIT, out);

	from = clock_ns();
	for (unsigned n = 0; !rc && n < ROUNDS; n++)
		rc = run_to(s, PORT_EXIT, out);
	out->ns_per_exit = (clock_ns() - from) / ROUNDS;
	return rc;
}

/* The best of two: what else this host does disturbs one, and the first one's memory was not there yet. */
static int time_best(const struct scratch *s, uint32_t loops, uint64_t *ps, struct kvm_probe *out)
{
	uint64_t ns[2] = { 0 };
	int rc = 0;

	for (unsigned n = 0; !rc && n < 2; n++)
		rc = time_loop(s, loops, &ns[n], out);
	*ps = (ns[0] < ns[1] ? ns[0] : ns[1]) * 1000 / (2 * (uint64_t)loops) + 1;
	return rc;
}

/* One that is hopeless after a few need not be asked for more. */
static void judge(const struct scratch *s, struct kvm_probe *out)
{
	const int khz = ioctl(s->vcpu, KVM_GET_TSC_KHZ, 0);

	out->tsc_khz = khz > 0 ? (uint32_t)khz : 0;
	if (time_best(s, LOOK, &out->ps_per_insn, out))
		return;
	if (out->ps_per_insn < HOPELESS_PS && time_best(s, LOOPS, &out->ps_per_insn, out))
		return;
	if (time_exits(s, out))
		return;
	out->kind = out->ps_per_insn > INTERPRETS_PS ? KVM_INTERPRETS : KVM_HARDWARE;
	kvm_defects_find(s->vcpu, s->run, s->memory, &out->defects);
}

static int check_caps(int kvm_fd, struct kvm_probe *out)
{
	int version = ioctl(kvm_fd, KVM_GET_API_VERSION, 0);

	errno = 0;
	if (version != KVM_API_VERSION)
		return fail(out, "API version 12") - 1;
	for (const struct kvm_cap_row *row = kvm_caps; row->name; row++)
		if (row->needed && kvm_cap(kvm_fd, row->number) <= 0)
			return fail(out, row->name) - 1;
	return 0;
}

void kvm_probe(int kvm_fd, struct kvm_probe *out)
{
	struct scratch s = { .vm = -1, .vcpu = -1 };

	*out = (struct kvm_probe){ .kind = KVM_ABSENT, .error = kvm_fd < 0 ? -kvm_fd : 0 };
	if (kvm_fd < 0 || check_caps(kvm_fd, out))
		return;
	if (!make_machine(kvm_fd, &s, out) && !set_mode(&s, out))
		judge(&s, out);
	unmake_machine(&s);
}

#else

const struct kvm_cap_row kvm_caps[] = { { NULL, 0, false, NULL } };

int kvm_cap(int kvm_fd, int number)
{
	return -ENOTSUP;
}

/* Elsewhere KVM is another thing, and not for these guests. */
void kvm_probe(int kvm_fd, struct kvm_probe *out)
{
	*out = (struct kvm_probe){ .kind = KVM_UNFIT, .lacks = "an x86-64 host" };
}

#endif

static struct kvm_complaint about_syscall(const struct kvm_defects *d)
{
	if (!d->breaks_syscall)
		return (struct kvm_complaint){ .name = "SYSCALL" };
	if (d->half_syscall)
		return (struct kvm_complaint){
			"SYSCALL", "this host's KVM does half of a 64-bit program's SYSCALL",
			"the engine does the rest, so programs run, but the guest's own breakpoints in debug "
			"registers do not hit, and system calls and page faults are slow: --engine emu",
			false
		};
	return (struct kvm_complaint){
		"SYSCALL",
		"this host's KVM does not bring a 64-bit program's SYSCALL to its kernel: programs of 64-bit "
		"systems die under it",
		"use --engine emu; bulkhead engine NAME kvm refuses a guest that has it switched on", true
	};
}

struct kvm_complaint kvm_complaint(const struct kvm_probe *p, unsigned row)
{
	switch (row) {
	case 0:
		return about_syscall(&p->defects);
	case 1:
		return (struct kvm_complaint){
			"TSC",
			p->defects.tsc_is_hosts ? "a guest's time-stamp counter is the host's, whatever is written to it" : NULL,
			"a machine of --engine auto begins with the host's, and can go to either engine; a state that "
			"was saved elsewhere cannot go on here",
			false
		};
	default:
		return (struct kvm_complaint){ "speed",
					       p->kind == KVM_INTERPRETS ? "this host's KVM interprets guest code" : NULL,
					       "--engine emu is faster for whole systems", false };
	}
}

void kvm_probe_text(const struct kvm_probe *p, char out[KVM_PROBE_TEXT])
{
	const double mips = p->ps_per_insn ? 1e6 / (double)p->ps_per_insn : 0, us = (double)p->ns_per_exit / 1e3;

	switch (p->kind) {
	case KVM_ABSENT:
		snprintf(out, KVM_PROBE_TEXT, "/dev/kvm: %s", strerror(p->error));
		break;
	case KVM_UNFIT:
		snprintf(out, KVM_PROBE_TEXT, "this host's KVM lacks %s%s%s", p->lacks, p->error ? ": " : "",
			 p->error ? strerror(p->error) : "");
		break;
	case KVM_INTERPRETS:
		snprintf(out, KVM_PROBE_TEXT,
			 "this host's KVM interprets guest code (%.1f million instructions a second, %.1f us an exit)", mips, us);
		break;
	case KVM_HARDWARE:
		snprintf(out, KVM_PROBE_TEXT,
			 "KVM runs on the processor itself (%.0f million instructions a second, %.1f us an exit)", mips, us);
		break;
	}
}
