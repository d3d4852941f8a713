/* SPDX-License-Identifier: MIT */
/*
 * The processor model under KVM: KVM_GET_SUPPORTED_CPUID's answer less what the model has not. Pure, so that it is tested
 * with the answers of other hosts, too.
 */
#include "kvm.h"

#include <asm/kvm_para.h>
#include <stddef.h>

/* What KVM does for guests that know it (the kernel's Documentation/virt/kvm/x86/cpuid.rst): leaf 40000001h names it. */
enum { LEAF_AIDS = 0x40000001, LEAF_AIDS_FIRST = 0x40000000, LEAF_AIDS_LAST = 0x400000ff };

#define AID(name) (1u << KVM_FEATURE_##name)

/*
 * What KVM does by itself. Not asynchronous page faults (ASYNC_PF and its kin): guest memory is not swapped where that would
 * pay, and a fault that is on its way is no part of a state, as the register of POLL_CONTROL is none. Not what needs the process behind KVM (HC_MAP_GPA_RANGE,
 * MIGRATION_CONTROL), or an IOAPIC that knows more ids than ours (MSI_EXT_DEST_ID).
 */
static const uint32_t offered_aids = AID(CLOCKSOURCE) | AID(NOP_IO_DELAY) | AID(CLOCKSOURCE2) | AID(STEAL_TIME) | AID(PV_EOI) |
				     AID(PV_UNHALT) | AID(PV_TLB_FLUSH) | AID(PV_SEND_IPI) | AID(PV_SCHED_YIELD) |
				     AID(CLOCKSOURCE_STABLE_BIT);

static uint32_t *reg_of(struct kvm_cpuid_entry2 *e, unsigned reg)
{
	uint32_t *const regs[] = { &e->eax, &e->ebx, &e->ecx, &e->edx };

	return regs[reg];
}

/* The register that holds a feature's bit, NULL: KVM does not know the leaf. */
static uint32_t *feature_reg(struct kvm_cpuid2 *l, const struct cpu_feature_row *row)
{
	for (uint32_t i = 0; i < l->nent; i++) {
		struct kvm_cpuid_entry2 *e = &l->entries[i];

		if (e->function == row->leaf && e->index == row->subleaf)
			return reg_of(e, row->reg);
	}
	return NULL;
}

static struct cpu_feature_set shown(struct kvm_cpuid2 *l)
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
 * APIC and HTT, OSXSAVE (KVM keeps it in step), leaves 6, 40000001h, 80000007h and 80000008h, and on AMD processors (bits 0 to 24 of 80000001h
 * EDX repeat those of leaf 1) what leaf 1 says. */
static uint32_t not_ours(struct kvm_cpuid2 *l, uint32_t leaf, unsigned reg, bool is_open)
{
	const uint32_t *one = feature_reg(l, &cpu_features[CPUF_FPU]);
	uint32_t mask = is_open ? ~0u : 0;

	if (leaf == 1 && reg == CPUID_EDX)
		mask |= 1u << 9 | 1u << 28;
	if (leaf == 1 && reg == CPUID_ECX)
		mask |= 1u << 27;
	if (leaf == 6)
		mask = ~0u;
	if (leaf == 0x80000001 && reg == CPUID_EDX && one)
		mask |= *one & 0x0183f3ff;
	if (leaf == 0x80000007 || leaf == 0x80000008 || leaf == LEAF_AIDS)
		mask = ~0u;
	return mask;
}

static void mask_features(struct kvm_cpuid2 *l, const struct cpu_feature_set *keep, bool is_open)
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
static void mask_xsave(struct kvm_cpuid2 *l, const struct cpu_feature_set *keep, bool is_open)
{
	uint64_t known = 0, allowed = cpu_xcr0_bits(keep);
	uint32_t end = 576;

	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		known |= cpu_features[f].xcr0;
	if (is_open && allowed)
		allowed |= ~known;
	for (uint32_t i = 0; i < l->nent; i++) {
		struct kvm_cpuid_entry2 *e = &l->entries[i];

		if (e->function != 0xd || e->index < 2)
			continue;
		if (!(allowed >> e->index & 1) && !(e->ecx & 1))
			e->eax = e->ebx = e->ecx = e->edx = 0;
		else if (!(e->ecx & 1) && e->eax && e->ebx + e->eax > end)
			end = e->ebx + e->eax;
	}
	for (uint32_t i = 0; i < l->nent; i++) {
		struct kvm_cpuid_entry2 *e = &l->entries[i];

		if (e->function == 0xd && e->index == 0) {
			e->eax &= (uint32_t)allowed;
			e->edx &= (uint32_t)(allowed >> 32);
			e->ecx = allowed ? end : 0;
		}
	}
}

/* Subleaves of leaf 7 beyond the first hold nothing but features; registers that the table does not know at all go. */
static void mask_unknown(struct kvm_cpuid2 *l)
{
	for (uint32_t i = 0; i < l->nent; i++) {
		struct kvm_cpuid_entry2 *e = &l->entries[i];
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

static void mask_aids(struct kvm_cpuid2 *l)
{
	for (uint32_t i = 0; i < l->nent; i++)
		if (l->entries[i].function == LEAF_AIDS)
			l->entries[i].eax &= offered_aids;
}

static bool is_of_aids(uint32_t leaf)
{
	return leaf >= LEAF_AIDS_FIRST && leaf <= LEAF_AIDS_LAST;
}

/* Whole leaves that came with a feature. A KVM without kvmclock may have the rest of what is called kvm: that goes with the model. */
static void mask_leaves(const struct cpu_model *m, struct kvm_cpuid2 *l, const struct cpu_feature_set *keep)
{
	for (uint32_t i = 0; i < l->nent; i++) {
		struct kvm_cpuid_entry2 *e = &l->entries[i];

		if (!cpu_leaf_exists(keep, e->function) || (is_of_aids(e->function) && !cpu_has(&m->possible, CPUF_KVM)))
			e->eax = e->ebx = e->ecx = e->edx = 0;
	}
}

/* Does the model take nothing away from what there is? */
static bool takes_nothing(const struct cpu_model *m, const struct cpu_feature_set *available)
{
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if (cpu_has(available, f) ? !cpu_has(&m->possible, f) : cpu_has(&m->wanted, f))
			return false;
	return cpu_model_is_open(m);
}

int kvm_model_apply(const struct cpu_model *m, struct kvm_cpuid2 *l, struct cpu_feature_set *out,
		    char error[CPU_MODEL_ERROR_MAX])
{
	struct cpu_feature_set available;
	int err;

	mask_aids(l);
	*out = available = shown(l);
	if (takes_nothing(m, &available))
		return 0;
	err = cpu_model_resolve(m, &available, "KVM on this host", out, error);
	if (err)
		return err;
	mask_features(l, out, cpu_model_is_open(m));
	mask_xsave(l, out, cpu_model_is_open(m));
	mask_leaves(m, l, out);
	if (!cpu_model_is_open(m))
		mask_unknown(l);
	return 0;
}
