/* SPDX-License-Identifier: MIT */
/*
 * KVM under a debugger (emu/core/debugger.h): KVM_SET_GUEST_DEBUG. Points share the processor's four debug registers, which
 * the guest's own values do not reach meanwhile. Software breakpoints take those that the hardware kinds leave free; each
 * further one is an INT3 in the guest's memory while it runs, and what it replaced is put back before anybody looks.
 *
 * A KVM that interprets guest code (where the host's own virtualisation is emulated) may know neither INT3 nor data: it knows
 * single steps and code in the debug registers.
 */
#include "kvm.h"

#include "emu/core/debugger.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

enum { INT3 = 0xcc, VEC_BP = 3 };
#define DR7_FIXED 0x600u /* GE, and the bit that is always one */

int kvm_translate(struct engine *e, unsigned vcpu, uint64_t linear, uint64_t *gpa)
{
	struct kvm_engine *k = (struct kvm_engine *)e;
	struct kvm_translation t = { .linear_address = linear };

	if (ioctl(k->vcpu[vcpu].fd, KVM_TRANSLATE, &t) < 0 || !t.valid)
		return -EFAULT;
	*gpa = t.physical_address;
	return 0;
}

uint8_t *kvm_host_of(struct kvm_engine *k, unsigned vcpu, uint64_t linear)
{
	uint64_t gpa;

	if (kvm_translate(&k->base, vcpu, linear, &gpa))
		return NULL;
	for (unsigned i = 0; i < k->ram_count; i++)
		if (gpa - k->ram[i].gpa < k->ram[i].size)
			return k->ram[i].host + (gpa - k->ram[i].gpa);
	return NULL;
}

/* The last one first: two at one place put back what was there before both. */
static void take_patches_back(struct kvm_engine *k)
{
	while (k->patches > 0) {
		k->patches--;
		*k->patch[k->patches].host = k->patch[k->patches].byte;
	}
}

/* Length and kind of DR7 (SDM vol. 3, 17.2.4). */
static uint64_t dr7_of(unsigned n, const struct engine_point *p)
{
	static const uint8_t lengths[] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };
	uint64_t bits = 0;

	if (p->kind == ENGINE_POINT_WRITE)
		bits = 1 | lengths[p->size] << 2;
	else if (p->kind != ENGINE_POINT_HARD && p->kind != ENGINE_POINT_SOFT)
		bits = 3 | lengths[p->size] << 2;
	return 2ull << (2 * n) | bits << (16 + 4 * n);
}

_Static_assert(ENGINE_MAX_POINTS <= 64, "a bit for each");

/* The last one stands where SYSCALL is mended. */
static unsigned debugger_slots(const struct kvm_engine *k)
{
	return k->mends_syscall ? KVM_SLOTS - 1 : KVM_SLOTS;
}

/* Bits of *placed: the points that stand in a debug register. */
static int fill_registers(struct kvm_engine *k, struct kvm_guest_debug *d, const struct engine_debug *want, uint64_t *placed,
			  unsigned *which)
{
	const unsigned slots = debugger_slots(k);
	unsigned used = 0;

	d->arch.debugreg[7] = DR7_FIXED;
	for (unsigned soft = 0; soft < 2; soft++)
		for (unsigned n = 0; n < want->count; n++) {
			if ((want->point[n].kind == ENGINE_POINT_SOFT) != soft || (soft && used == slots))
				continue;
			if (used == slots) {
				*which = n;
				return -ENOSPC;
			}
			k->slot[used] = (uint8_t)n;
			d->arch.debugreg[used] = want->point[n].address;
			d->arch.debugreg[7] |= dr7_of(used++, &want->point[n]);
			*placed |= 1ull << n;
		}
	if (used)
		d->control |= KVM_GUESTDBG_USE_HW_BP;
	return 0;
}

/* Those for which no debug register was left. */
static int put_patches(struct kvm_engine *k, const struct engine_debug *want, uint64_t placed, unsigned *which)
{
	for (unsigned n = 0; n < want->count; n++) {
		uint8_t *host;

		if (placed >> n & 1)
			continue;
		host = kvm_host_of(k, 0, want->point[n].address);
		if (!host) {
			*which = n;
			return -EFAULT;
		}
		k->patch[k->patches++] = (struct kvm_patch){ host, *host };
		*host = INT3;
	}
	return 0;
}

int kvm_debug_tell(struct kvm_engine *k, unsigned vcpu)
{
	const struct kvm_mend *m = &k->vcpu[vcpu].mend;
	struct kvm_guest_debug d = k->guest_debug;

	if (k->debug.step >> vcpu & 1 || m->passing)
		d.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | (k->debug_flags & KVM_GUESTDBG_BLOCKIRQ);
	if (m->handler && !m->passing) {
		d.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
		d.arch.debugreg[KVM_SLOTS - 1] = m->handler;
		d.arch.debugreg[7] |= DR7_FIXED | 2ull << (2 * (KVM_SLOTS - 1));
	}
	return ioctl(k->vcpu[vcpu].fd, KVM_SET_GUEST_DEBUG, &d) < 0 ? kvm_fail(k, "KVM_SET_GUEST_DEBUG") : 0;
}

static int tell_kvm(struct kvm_engine *k, const struct kvm_guest_debug *d)
{
	int err = 0;

	k->guest_debug = *d;
	for (unsigned i = 0; !err && i < k->vcpus; i++)
		err = kvm_debug_tell(k, i);
	return err;
}

int kvm_debug(struct engine *e, const struct engine_debug *want, unsigned *which)
{
	struct kvm_engine *k = (struct kvm_engine *)e;
	struct kvm_guest_debug d = { 0 };
	uint64_t placed = 0;
	int err;

	take_patches_back(k);
	err = fill_registers(k, &d, want, &placed, which);
	if (!err)
		err = put_patches(k, want, placed, which);
	if (err) {
		take_patches_back(k);
		return err;
	}
	k->debug = *want;
	memset(k->hit, 0, sizeof(k->hit));
	if (engine_debug_is_on(want))
		d.control |= KVM_GUESTDBG_ENABLE;
	if (k->patches)
		d.control |= KVM_GUESTDBG_USE_SW_BP;
	return tell_kvm(k, &d);
}

void kvm_debug_hit(struct engine *e, unsigned vcpu, struct engine_hit *out)
{
	*out = ((struct kvm_engine *)e)->hit[vcpu];
}

bool kvm_debug_holds_interrupts(const struct kvm_engine *k, unsigned vcpu)
{
	return k->debug.step >> vcpu & 1;
}

/* NULL: none of ours is there. */
static const struct engine_point *find_patch(const struct kvm_engine *k, uint64_t linear)
{
	for (unsigned n = 0; k->patches && n < k->debug.count; n++)
		if (k->debug.point[n].kind == ENGINE_POINT_SOFT && k->debug.point[n].address == linear)
			return &k->debug.point[n];
	return NULL;
}

static uint64_t debugger_hits(const struct kvm_engine *k)
{
	return (1u << debugger_slots(k)) - 1;
}

/* An exception that the guest has made for itself. */
static void give_back(struct kvm_engine *k, unsigned vcpu, uint8_t vector)
{
	struct kvm_vcpu_events events;

	if (ioctl(k->vcpu[vcpu].fd, KVM_GET_VCPU_EVENTS, &events) < 0)
		return;
	events.exception.injected = 1;
	events.exception.nr = vector;
	events.exception.has_error_code = 0;
	ioctl(k->vcpu[vcpu].fd, KVM_SET_VCPU_EVENTS, &events);
}

bool kvm_debug_exit(struct kvm_engine *k, unsigned vcpu)
{
	const struct kvm_debug_exit_arch *a = &k->vcpu[vcpu].run->debug.arch;
	const struct engine_point *p = NULL;
	struct engine_hit *hit = &k->hit[vcpu];

	if (a->exception == VEC_BP)
		p = find_patch(k, a->pc);
	else if (a->dr6 & debugger_hits(k))
		p = &k->debug.point[k->slot[__builtin_ctz((unsigned)(a->dr6 & debugger_hits(k)))]];
	if (!p && (a->exception == VEC_BP || !kvm_debug_holds_interrupts(k, vcpu))) {
		give_back(k, vcpu, (uint8_t)a->exception);
		return false;
	}
	*hit = (struct engine_hit){ .why = p ? ENGINE_HIT_POINT : ENGINE_HIT_STEP };
	if (p)
		hit->point = *p;
	return true;
}
