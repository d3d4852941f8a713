/* SPDX-License-Identifier: MIT */
/* The guest's CPUID under KVM: what KVM supports here, with this processor's APIC id and clock frequencies. */
#include "kvm.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

enum { MAX_LEAVES = 256 };

struct leaves {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entry[MAX_LEAVES];
};

static struct kvm_cpuid_entry2 *find(struct leaves *l, uint32_t function)
{
	for (uint32_t i = 0; i < l->head.nent; i++)
		if (l->entry[i].function == function)
			return &l->entry[i];
	return NULL;
}

static struct kvm_cpuid_entry2 *find_or_add(struct leaves *l, uint32_t function)
{
	struct kvm_cpuid_entry2 *e = find(l, function);

	if (e || l->head.nent == MAX_LEAVES)
		return e;
	e = &l->entry[l->head.nent++];
	*e = (struct kvm_cpuid_entry2){.function = function};
	return e;
}

/* ---- the processor model ----------------------------------------------------------------------------------------- */

static uint32_t *reg_of(struct kvm_cpuid_entry2 *e, unsigned reg)
{
	uint32_t *const regs[] = { &e->eax, &e->ebx, &e->ecx, &e->edx };

	return regs[reg];
}

/* The register that holds a feature's bit, NULL: KVM does not know the leaf. */
static uint32_t *feature_reg(struct leaves *l, const struct cpu_feature_row *row)
{
	for (uint32_t i = 0; i < l->head.nent; i++) {
		struct kvm_cpuid_entry2 *e = &l->entry[i];

		if (e->function == row->leaf && e->index == row->subleaf)
			return reg_of(e, row->reg);
	}
	return NULL;
}

static struct cpu_feature_set shown(struct leaves *l)
{
	struct cpu_feature_set s = { { 0 } };

	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++) {
		const uint32_t *reg = feature_reg(l, &cpu_features[f]);

		if (reg && (*reg >> cpu_features[f].bit & 1))
			cpu_add(&s, f);
	}
	return s;
}

/* In the registers that the table speaks of, a model that names everything has nothing else. These bits are no features:
 * APIC and HTT, OSXSAVE (KVM keeps it in step), leaves 6, 80000007h and 80000008h, and on AMD processors (bits 0 to 24 of 80000001h
 * EDX repeat those of leaf 1) what leaf 1 says. */
static uint32_t not_ours(struct leaves *l, uint32_t leaf, unsigned reg, bool is_open)
{
	const struct kvm_cpuid_entry2 *one = find(l, 1);
	uint32_t mask = is_open ? ~0u : 0;

	if (leaf == 1 && reg == CPUID_EDX)
		mask |= 1u << 9 | 1u << 28;
	if (leaf == 1 && reg == CPUID_ECX)
		mask |= 1u << 27;
	if (leaf == 6)
		mask = ~0u;
	if (leaf == 0x80000001 && reg == CPUID_EDX && one)
		mask |= one->edx & 0x0183f3ff;
	if (leaf == 0x80000007 || leaf == 0x80000008)
		mask = ~0u;
	return mask;
}

static void mask_features(struct leaves *l, const struct cpu_feature_set *keep, bool is_open)
{
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++) {
		const struct cpu_feature_row *row = &cpu_features[f];
		uint32_t *reg = feature_reg(l, row), mask = reg ? not_ours(l, row->leaf, row->reg, is_open) : 0;

		/* The bits of all rows of this register. */
		for (unsigned g = CPUF_NONE + 1; reg && g < CPUF_COUNT; g++) {
			if (feature_reg(l, &cpu_features[g]) != reg)
				continue;
			mask &= ~(1u << cpu_features[g].bit);
			mask |= cpu_has(keep, g) ? 1u << cpu_features[g].bit : 0;
		}
		if (reg)
			*reg &= mask;
	}
}

/* Leaf 0Dh: the components whose features are there. KVM takes the guest's XCR0 from EAX and EDX of its first subleaf. */
static void mask_xsave(struct leaves *l, const struct cpu_feature_set *keep, bool is_open)
{
	uint64_t known = 0, allowed = cpu_xcr0_bits(keep);
	uint32_t end = 576;

	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		known |= cpu_features[f].xcr0;
	if (is_open && allowed)
		allowed |= ~known;
	for (uint32_t i = 0; i < l->head.nent; i++) {
		struct kvm_cpuid_entry2 *e = &l->entry[i];

		if (e->function != 0xd || e->index < 2)
			continue;
		if (!(allowed >> e->index & 1) && !(e->ecx & 1))
			e->eax = e->ebx = e->ecx = e->edx = 0;
		else if (!(e->ecx & 1) && e->eax && e->ebx + e->eax > end)
			end = e->ebx + e->eax;
	}
	for (uint32_t i = 0; i < l->head.nent; i++) {
		struct kvm_cpuid_entry2 *e = &l->entry[i];

		if (e->function == 0xd && e->index == 0) {
			e->eax &= (uint32_t)allowed;
			e->edx &= (uint32_t)(allowed >> 32);
			e->ecx = allowed ? end : 0;
		}
	}
}

/* Subleaves of leaf 7 beyond the first hold nothing but features; registers that the table does not know at all go. */
static void mask_unknown(struct leaves *l)
{
	for (uint32_t i = 0; i < l->head.nent; i++) {
		struct kvm_cpuid_entry2 *e = &l->entry[i];
		bool has_rows[4] = { false };

		if (e->function != 7 || e->index == 0)
			continue;
		for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
			if (cpu_features[f].leaf == 7 && cpu_features[f].subleaf == e->index)
				has_rows[cpu_features[f].reg] = true;
		for (unsigned r = 0; r < 4; r++)
			if (!has_rows[r])
				*reg_of(e, r) = 0;
	}
}

static int apply_model(struct kvm_engine *k, struct leaves *l)
{
	const struct cpu_feature_set available = shown(l);
	const bool is_open = cpu_model_is_open(&k->cpu);
	int err = cpu_model_resolve(&k->cpu, &available, "KVM on this host", &k->features, k->error);

	if (err)
		return err;
	mask_features(l, &k->features, is_open);
	mask_xsave(l, &k->features, is_open);
	if (!is_open)
		mask_unknown(l);
	return 0;
}

/* Leaves 15h and 16h (SDM vol. 2, CPUID): with them the guest needs no calibration loop against the PIT. */
static void set_clock(struct kvm_engine *k, struct leaves *l)
{
	struct kvm_cpuid_entry2 *max = find(l, 0), *e;

	if (!max || k->tsc_khz == 0)
		return;
	e = find_or_add(l, 0x15);
	if (e) {
		/* crystal * ebx / eax = TSC; a crystal of 1 kHz units of the TSC keeps it exact */
		e->eax = 1000;
		e->ebx = (uint32_t)k->tsc_khz;
		e->ecx = 1000000;
	}
	e = find_or_add(l, 0x16);
	if (e)
		e->eax = e->ebx = (uint32_t)(k->tsc_khz / 1000);
	if (max->eax < 0x16)
		max->eax = 0x16;
}

static void set_topology(struct kvm_engine *k, struct leaves *l, unsigned vcpu)
{
	for (uint32_t i = 0; i < l->head.nent; i++) {
		struct kvm_cpuid_entry2 *e = &l->entry[i];

		switch (e->function) {
		case 1:
			e->ebx = (e->ebx & 0x0000ffff) | k->vcpus << 16 | vcpu << 24;
			/* TSC-deadline works with KVM's local APIC, although GET_SUPPORTED_CPUID does not say so. */
			e->ecx |= 1u << 24 | 1u << 31;
			break;
		case 0xb:
		case 0x1f:
			e->edx = vcpu;
			break;
		}
	}
}

int kvm_set_cpuid(struct kvm_engine *k, unsigned vcpu)
{
	struct leaves *l = calloc(1, sizeof(*l));
	int khz, err = 0;

	if (!l)
		return -ENOMEM;
	l->head.nent = MAX_LEAVES;
	if (ioctl(k->kvm_fd, KVM_GET_SUPPORTED_CPUID, l) < 0) {
		err = kvm_fail(k, "KVM_GET_SUPPORTED_CPUID");
		goto out;
	}
	khz = ioctl(k->vcpu[vcpu].fd, KVM_GET_TSC_KHZ, 0);
	k->tsc_khz = khz > 0 ? (uint64_t)khz : 0;
	set_topology(k, l, vcpu);
	err = apply_model(k, l);
	if (err)
		goto out;
	set_clock(k, l);
	if (ioctl(k->vcpu[vcpu].fd, KVM_SET_CPUID2, l) < 0)
		err = kvm_fail(k, "KVM_SET_CPUID2");
out:
	free(l);
	return err;
}
