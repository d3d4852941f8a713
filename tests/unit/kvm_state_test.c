/* SPDX-License-Identifier: MIT */
/*
 * A processor's whole state between the engines: taken from the emulator in the middle of vector and x87 code, put into a
 * processor under KVM, taken from there, put back. What both keep has to be the same. Exit code 77: no KVM here.
 */
#include "emu/core/engine.h"
#include "emu/core/state.h"
#include "emu/model/features.h"
#include "vmm/kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <x86intrin.h>

enum { RAM = 1 << 20 };

static unsigned wrong;

#define SAME(field)                                                                                                    \
	do {                                                                                                           \
		if (memcmp(&a->field, &b->field, sizeof(a->field)) != 0) {                                             \
			fprintf(stderr, "differs: %s\n", #field);                                                      \
			wrong++;                                                                                       \
		}                                                                                                      \
	} while (0)

static void compare_segments(const struct cpu *a, const struct cpu *b)
{
	for (unsigned n = 0; n < SEG_COUNT; n++) {
		SAME(seg[n].base);
		SAME(seg[n].limit);
		SAME(seg[n].selector);
		SAME(seg[n].attr);
	}
	SAME(gdtr.base);
	SAME(gdtr.limit);
}

static void compare_cpu(const struct cpu *a, const struct cpu *b)
{
	SAME(gpr[RAX]);
	SAME(gpr[R15]);
	SAME(rip);
	SAME(rflags);
	SAME(cr0);
	SAME(cr2);
	SAME(cr3);
	SAME(cr4);
	SAME(xcr0);
	SAME(msr.efer);
	SAME(msr.star);
	SAME(msr.lstar);
	SAME(msr.pat);
	SAME(mxcsr);
	SAME(fpu.cw);
	SAME(fpu.sw);
	SAME(fpu.tag);
	SAME(vec);
	SAME(k);
	SAME(dr[0]);
	SAME(dr[7]);
	compare_segments(a, b);
	for (unsigned n = 0; n < 8; n++) {
		SAME(fpu.r[n].sig);
		SAME(fpu.r[n].se);
	}
}

/* Something else in every register; what the host's processor lacks of the vectors stays zero. */
static void fill(struct engine_state *s, bool avx512)
{
	s->cpu.xcr0 = avx512 ? 0xe7 : 3;
	for (unsigned n = 0; n < 16; n++)
		s->cpu.gpr[n] = 0x0101010101010101ull * (n + 1);
	for (unsigned n = 0; n < (avx512 ? 32u : 16u); n++)
		memset(&s->cpu.vec[n], (int)n + 0x40, avx512 ? 64 : 16);
	for (unsigned n = 0; n < 8; n++) {
		s->cpu.k[n] = avx512 ? 0x123456789abcdefull + n : 0;
		s->cpu.fpu.r[n].sig = 1ull << 63 | n;
		s->cpu.fpu.r[n].se = (uint16_t)(0x3fff + n);
	}
	s->cpu.cr4 |= CR4_OSFXSR | (avx512 ? CR4_OSXSAVE : 0);
	s->cpu.fpu.cw = 0x27f;
	s->cpu.fpu.sw = 3 << 11;
	s->cpu.fpu.tag = 0xff;
	s->cpu.mxcsr = 0x1fa0;
	s->cpu.dr[0] = 0x1000;
	s->cpu.msr.star = 0x23001000000000ull;
	s->cpu.msr.lstar = 0xffffffff81000000ull;
	s->cpu.rip = 0x1234;
}

static bool nothing_pending(void *ctx, unsigned vcpu)
{
	return false;
}

static void nobody_listens(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, uint64_t data, unsigned size)
{
}

static struct engine *make_with(const struct engine_ops *ops, void *ram, int kvm_fd, uint32_t hosts_khz, bool no_syscall)
{
	static const struct engine_bus bus = { .write = nobody_listens, .extint_pending = nothing_pending };
	struct engine_config c = { .bus = &bus,
				   .ram = { { 0, RAM, ram } },
				   .ram_count = 1,
				   .vcpus = 1,
				   .kvm_fd = kvm_fd,
				   .tsc_khz = hosts_khz,
				   .tsc_is_hosts = hosts_khz != 0,
				   .no_syscall = no_syscall };
	struct engine *e;
	const int err = ops->create(&c, &e);

	if (err == 0)
		return e;
	fprintf(stderr, "%s: %s\n", ops->name, strerror(-err));
	exit(ops == &engine_kvm ? 77 : 1);
}

static struct engine *make(const struct engine_ops *ops, void *ram, int kvm_fd)
{
	return make_with(ops, ram, kvm_fd, 0, false);
}

static void move(struct engine *to, const struct engine_state *in, struct engine_state *out)
{
	const char *field = "";
	int err = to->ops->restore(to, 0, in, &field);

	if (err == 0)
		err = to->ops->save(to, 0, out);
	if (err) {
		fprintf(stderr, "%s: %s (%s; %s)\n", to->ops->name, strerror(-err), field, to->ops->last_error(to));
		exit(1);
	}
}

static void expect(bool is, const char *what)
{
	if (!is)
		wrong++, fprintf(stderr, "not so: %s\n", what);
}

static bool shows_hosts(struct engine *emu)
{
	static struct engine_state s;
	const uint64_t before = __rdtsc();

	return emu->ops->save(emu, 0, &s) == 0 && before <= s.tsc && s.tsc <= __rdtsc();
}

/* An emulator that is told that KVM has no other counter than the host's begins with that. What comes from such a KVM stays the host's,
 * give or take how long it takes to read two clocks; what comes from elsewhere does not become it. */
static void counter_is_hosts(void *ram, uint32_t khz)
{
	struct engine *hosts = make_with(&engine_emu, ram, -1, khz, false), *own = make_with(&engine_emu, ram, -1, 0, false);
	static struct engine_state s, out;
	const char *field;

	expect(shows_hosts(hosts), "it begins as the host's");
	expect(!shows_hosts(own), "else it begins at 0");
	expect(hosts->ops->save(hosts, 0, &s) == 0 && own->ops->restore(own, 0, &s, &field) == 0, "it is taken over");
	expect(own->ops->save(own, 0, &out) == 0 && out.tsc_khz == khz && out.tsc - s.tsc < 1000ull * khz,
	       "and goes on from there");
	hosts->ops->destroy(hosts);
	own->ops->destroy(own);
}

/* A KVM that is known to get SYSCALL wrong is given no processor that has it switched on, and any other. */
static void syscall_is_refused(void *ram, const struct engine_state *good)
{
	static struct engine_state s;
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct engine *kvm = make_with(&engine_kvm, ram, fd, 0, true);
	const char *field = "";

	s = *good;
	s.cpu.msr.efer &= ~(uint64_t)EFER_SCE;
	expect(kvm->ops->restore(kvm, 0, &s, &field) == 0, field);
	s.cpu.msr.efer |= EFER_SCE;
	expect(kvm->ops->restore(kvm, 0, &s, &field) == -EINVAL && strstr(field, "SYSCALL") && strstr(field, "--force"), field);
	kvm->ops->destroy(kvm);
}

/* IA32_TSC counts on from what is written there (SDM vol. 3, 18.17.3). A KVM that does not keep it is not given a guest. */
static void counter_is_kept_or_refused(struct engine *kvm, const struct engine_state *good)
{
	static struct engine_state far, out;
	const uint64_t second = 1000ull * good->tsc_khz;
	const char *field = "";

	far = *good;
	far.tsc += 1000000 * second;
	if (kvm->ops->restore(kvm, 0, &far, &field) == -EINVAL) {
		expect(strstr(field, "tsc: ") && strstr(field, "--engine kvm"), "it is said why, and what to do");
		printf("this KVM does not keep a written counter\n");
		return;
	}
	expect(kvm->ops->save(kvm, 0, &out) == 0, "it can be saved");
	expect(out.tsc - far.tsc + second < 1000 * second, "the counter goes on from where it was");
}

/* Any exit that nobody serves is told by its name, with the instruction that RIP points to. */
static void report_is_whole(struct engine *kvm, uint8_t *ram)
{
	static const uint8_t vmmcall[] = { 0x0f, 0x01, 0xd9 };
	struct kvm_engine *k = (struct kvm_engine *)kvm;
	struct cpu c;

	kvm->ops->get_state(kvm, 0, &c);
	c.seg[SEG_CS].base = 0;
	c.seg[SEG_CS].selector = 0;
	c.rip = 0x1000;
	memcpy(ram + 0x1000, vmmcall, sizeof(vmmcall));
	expect(kvm->ops->set_state(kvm, 0, &c) == 0, "a state for the report");
	k->vcpu[0].run->exit_reason = KVM_EXIT_HYPERV;
	expect(kvm_unserved(k, 0) == ENGINE_ERROR, "it ends there");
	expect(strstr(k->error, "KVM_EXIT_HYPERV)") && strstr(k->error, "; instruction 0f 01 d9 00"), k->error);
}

/* "pending triple fault ... reported and set" (the kernel's Documentation/virt/kvm/api.rst, 7.33): it is not lost on the way. */
static void shutdown_is_kept(struct engine *kvm, uint8_t *ram)
{
	static const uint8_t out_80[] = { 0xe6, 0x80 }; /* where it would come if it were lost */
	struct kvm_engine *k = (struct kvm_engine *)kvm;
	enum engine_stop stop = ENGINE_KICKED;
	struct cpu c, out;

	memcpy(ram + 0x1000, out_80, sizeof(out_80));
	if (ioctl(k->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_TRIPLE_FAULT_EVENT) <= 0) {
		printf("this KVM does not know of a pending triple fault\n");
		return;
	}
	kvm->ops->get_state(kvm, 0, &c);
	c.activity = CPU_SHUTDOWN;
	expect(kvm->ops->set_state(kvm, 0, &c) == 0 && kvm->ops->get_state(kvm, 0, &out) == 0, "it can be set");
	expect(out.activity == CPU_SHUTDOWN, "it is told");
	expect(!kvm_step(k, 0, &stop) && stop == ENGINE_TRIPLE_FAULT, "it shuts down");
}

int main(void)
{
	void *ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	static struct engine_state start, kvm_state, back;
	struct engine *emu, *kvm;
	struct cpu_feature_set features;

	if (fd < 0) {
		printf("SKIP: /dev/kvm: %s\n", strerror(errno));
		return 77;
	}
	emu = make(&engine_emu, ram, -1);
	kvm = make(&engine_kvm, ram, fd);
	kvm->ops->features(kvm, &features);
	if (emu->ops->save(emu, 0, &start) != 0 || kvm->ops->save(kvm, 0, &kvm_state) != 0)
		return 1;
	start.tsc_khz = kvm_state.tsc_khz; /* of an emulator that was told so, and whose counter is this KVM's */
	start.tsc = kvm_state.tsc;
	start.time_ns = kvm_state.time_ns;
	fill(&start, cpu_has(&features, CPUF_AVX512F));
	move(kvm, &start, &kvm_state);
	compare_cpu(&start.cpu, &kvm_state.cpu);
	move(emu, &kvm_state, &back);
	compare_cpu(&start.cpu, &back.cpu);
	if (memcmp(&kvm_state.apic.reg[0x32], &back.apic.reg[0x32], 24) != 0)
		wrong++, fprintf(stderr, "differs: local vector table\n");
	counter_is_kept_or_refused(kvm, &kvm_state);
	if (kvm_state.tsc_khz)
		counter_is_hosts(ram, kvm_state.tsc_khz);
	syscall_is_refused(ram, &kvm_state);
	report_is_whole(kvm, ram);
	shutdown_is_kept(kvm, ram);
	emu->ops->destroy(emu);
	kvm->ops->destroy(kvm);
	printf("%u fields differ, vectors of %s\n", wrong, start.cpu.xcr0 & 0x80 ? "AVX-512" : "SSE");
	return wrong != 0;
}
