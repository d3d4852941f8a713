/* SPDX-License-Identifier: MIT */
/*
 * Extended state: struct cpu <-> KVM's XSAVE area, in the standard form (emu/core/xstate.h). Where a component lies in it
 * CPUID leaf 0Dh of the host says; what is not there keeps its initial value.
 */
#include "kvm.h"
#include "emu/core/xstate.h"

#include <cpuid.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>

/* Where each component lies. CPUID is asked once: in a virtual machine it is slow. */
static struct {
	unsigned size, offset;
} places[XSTATE_COMPONENTS];
static pthread_once_t placed = PTHREAD_ONCE_INIT;

static void find_places(void)
{
	unsigned c, d;

	for (unsigned k = 2; k < XSTATE_COMPONENTS; k++)
		if (!__get_cpuid_count(0xd, k, &places[k].size, &places[k].offset, &c, &d))
			places[k].size = 0;
}

/* A component's place in the area of `bytes`, NULL if it has none. */
static uint8_t *component(uint8_t *area, size_t bytes, unsigned k)
{
	pthread_once(&placed, find_places);
	if (places[k].size == 0 || places[k].offset + (size_t)places[k].size > bytes)
		return NULL;
	return area + places[k].offset;
}

bool kvm_xstate_is_ours(uint64_t xcr0)
{
	pthread_once(&placed, find_places);
	for (unsigned k = 2; k < XSTATE_COMPONENTS; k++)
		if ((xcr0 >> k & 1) && places[k].offset != xstate_components[k].offset)
			return false;
	return true;
}

static void legacy_out(struct fx_image *m, const struct cpu *in)
{
	const unsigned top = (in->fpu.sw >> 11) & 7;

	m->cw = in->fpu.cw;
	m->sw = in->fpu.sw;
	m->tag = in->fpu.tag;
	m->fop = in->fpu.fop;
	m->fip = in->fpu.fip;
	m->fdp = in->fpu.fdp;
	m->mxcsr = in->mxcsr;
	for (unsigned n = 0; n < 8; n++)
		memcpy(m->st[n], &in->fpu.r[(top + n) & 7], 10);
	for (unsigned n = 0; n < 16; n++)
		memcpy(m->xmm[n], in->vec[n].u8, 16);
}

static void legacy_in(struct cpu *out, const struct fx_image *m)
{
	unsigned top;

	out->fpu.cw = m->cw;
	out->fpu.sw = m->sw;
	out->fpu.tag = m->tag;
	out->fpu.fop = m->fop;
	out->fpu.fip = m->fip;
	out->fpu.fdp = m->fdp;
	out->mxcsr = m->mxcsr;
	top = (out->fpu.sw >> 11) & 7;
	for (unsigned n = 0; n < 8; n++)
		memcpy(&out->fpu.r[(top + n) & 7], m->st[n], 10);
	for (unsigned n = 0; n < 16; n++)
		memcpy(out->vec[n].u8, m->xmm[n], 16);
}

void kvm_xstate_out(uint8_t *area, size_t bytes, const struct cpu *in)
{
	struct xsave_header *header = (void *)(area + XSTATE_LEGACY_BYTES);

	legacy_out((void *)area, in);
	header->xstate_bv = 3;
	for (unsigned k = 2; k < XSTATE_COMPONENTS; k++) {
		uint8_t *p = xstate_components[k].size ? component(area, bytes, k) : NULL;

		if (!p)
			continue;
		xstate_pack(in, k, XSTATE_REGISTERS, p);
		header->xstate_bv |= 1ull << k;
	}
}

void kvm_xstate_in(struct cpu *out, uint8_t *area, size_t bytes)
{
	const struct xsave_header *header = (const void *)(area + XSTATE_LEGACY_BYTES);

	legacy_in(out, (const void *)area);
	for (unsigned k = 2; k < XSTATE_COMPONENTS; k++) {
		const uint8_t *p = header->xstate_bv >> k & 1 ? component(area, bytes, k) : NULL;

		if (p)
			xstate_unpack(out, k, XSTATE_REGISTERS, p);
	}
}

void kvm_xstate_init(struct kvm_engine *k)
{
	/* The size of the area, where it may be more than 4096 bytes. */
	const int bytes = ioctl(k->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);

	if (bytes > (int)sizeof(struct kvm_xsave))
		k->xsave_bytes = (size_t)bytes;
	else if (ioctl(k->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE) > 0)
		k->xsave_bytes = sizeof(struct kvm_xsave);
	k->has_xcrs = ioctl(k->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XCRS) > 0;
}

static unsigned long get_request(size_t bytes)
{
	return bytes > sizeof(struct kvm_xsave) ? KVM_GET_XSAVE2 : KVM_GET_XSAVE;
}

int kvm_xstate_read(const struct kvm_engine *k, unsigned vcpu)
{
	const struct kvm_vcpu *v = &k->vcpu[vcpu];

	if (!v->area)
		return -ENOTSUP;
	return ioctl(v->fd, get_request(k->xsave_bytes), v->area) < 0 ? -errno : 0;
}

int kvm_xstate_set(struct kvm_engine *k, unsigned vcpu, const struct cpu *in)
{
	uint8_t *area = k->vcpu[vcpu].area;
	int err = kvm_xstate_read(k, vcpu); /* what we do not know of it (tiles) stays as it is */

	if (err)
		return err;
	kvm_xstate_out(area, k->xsave_bytes, in);
	return ioctl(k->vcpu[vcpu].fd, KVM_SET_XSAVE, area) < 0 ? kvm_fail(k, "KVM_SET_XSAVE") : 0;
}

int kvm_xstate_get(struct kvm_engine *k, unsigned vcpu, struct cpu *out)
{
	int err = kvm_xstate_read(k, vcpu);

	if (!err)
		kvm_xstate_in(out, k->vcpu[vcpu].area, k->xsave_bytes);
	return err;
}
