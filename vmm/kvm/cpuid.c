/* SPDX-License-Identifier: MIT */
/* The guest's CPUID under KVM: what KVM supports here, with this processor's APIC id and clock frequencies. */
#include "kvm.h"

#include "emu/core/tsc.h"

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
	*e = (struct kvm_cpuid_entry2){ .function = function };
	return e;
}

/* Leaves 15h and 16h (SDM vol. 2, CPUID): with them the guest needs no calibration loop against the PIT. */
static void set_clock(struct kvm_engine *k, struct leaves *l)
{
	struct kvm_cpuid_entry2 *max = find(l, 0), *e;

	if (!max || k->tsc_khz == 0)
		return;
	e = find_or_add(l, 0x15);
	if (e) {
		const struct tsc_fraction f = tsc_fraction((uint32_t)k->tsc_khz);

		/* crystal * ebx / eax = TSC. The crystal is what the local APIC's timer counts: KVM's counts nanoseconds. */
		e->eax = f.of;
		e->ebx = f.ticks;
		e->ecx = 1000000000;
	}
	e = find_or_add(l, 0x16);
	if (e)
		e->eax = e->ebx = (uint32_t)(k->tsc_khz / 1000);
	if (max->eax < 0x16)
		max->eax = 0x16;
}

/* Leaves 0Bh and 1Fh: threads of the core, threads of the package, and no more (SDM vol. 2, CPUID). */
static void set_levels(struct kvm_cpuid_entry2 *e, const struct cpu_topology *t, uint32_t id)
{
	e->eax = e->index == 0 ? topology_thread_bits(t) : e->index == 1 ? topology_package_bits(t) : 0;
	e->ebx = e->index == 0 ? t->threads : e->index == 1 ? t->cores * t->threads : 0;
	e->ecx = e->index | (e->index == 0 ? 1u << 8 : e->index == 1 ? 2u << 8 : 0);
	e->edx = id;
}

/* What the host's caches are shared by is not what the guest's are: the first two levels are a core's, the third a package's. */
static void set_cache(struct kvm_cpuid_entry2 *e, const struct cpu_topology *t)
{
	const uint32_t core = 1u << topology_thread_bits(t), package = 1u << topology_package_bits(t);
	const bool shared = (e->eax >> 5 & 7) >= 3;

	if (e->eax & 0x1f)
		e->eax = (e->eax & 0x3fff) | ((shared ? package : core) - 1) << 14 | (package / core - 1) << 26;
}

/* AMD's own leaves (APM vol. 3, appendix E.4.17): id of the processor, of its core, of its package. */
static void set_amd_ids(struct kvm_cpuid_entry2 *e, const struct cpu_topology *t, uint32_t id)
{
	e->eax = id;
	e->ebx = (t->threads - 1) << 8 | ((id >> topology_thread_bits(t)) & 0xff);
	e->ecx = id >> topology_package_bits(t);
}

static void set_topology(struct kvm_engine *k, struct leaves *l, unsigned vcpu)
{
	const struct cpu_topology *t = &k->topology;
	const uint32_t id = topology_apic_id(t, vcpu), threads = t->cores * t->threads;

	for (uint32_t i = 0; i < l->head.nent; i++) {
		struct kvm_cpuid_entry2 *e = &l->entry[i];

		switch (e->function) {
		case 1:
			e->ebx = (e->ebx & 0x0000ffff) | 1u << (16 + topology_package_bits(t)) | id << 24;
			e->edx = threads > 1 ? e->edx | 1u << 28 : e->edx & ~(1u << 28);
			/* TSC-deadline works with KVM's local APIC, although GET_SUPPORTED_CPUID does not say so. */
			e->ecx |= 1u << 24 | 1u << 31;
			break;
		case 4:
			set_cache(e, t);
			break;
		case 0xb:
		case 0x1f:
			set_levels(e, t, id);
			break;
		case 0x80000008: /* of AMD; Intel's are zero */
			if (e->ecx)
				e->ecx = (e->ecx & ~0xf0ffu) | topology_package_bits(t) << 12 | (threads - 1);
			break;
		case 0x8000001e:
			set_amd_ids(e, t, id);
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
	err = kvm_model_apply(&k->cpu, &l->head, &k->features, k->error);
	if (err)
		goto out;
	set_clock(k, l);
	if (ioctl(k->vcpu[vcpu].fd, KVM_SET_CPUID2, l) < 0)
		err = kvm_fail(k, "KVM_SET_CPUID2");
out:
	free(l);
	return err;
}
