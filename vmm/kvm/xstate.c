/* SPDX-License-Identifier: MIT */
/*
 * Extended state: struct cpu <-> KVM's XSAVE area, in the standard form (SDM vol. 1, 13.4). Where a component lies in it
 * CPUID leaf 0Dh of the host says; what is not there keeps its initial value.
 */
#include "kvm.h"

#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { XSTATE_AVX = 2, XSTATE_OPMASK = 5, XSTATE_ZMM_HI = 6, XSTATE_HI16_ZMM = 7, XSTATE_PKRU = 9 };
enum { XSAVE_MXCSR = 24, XSAVE_ST = 32, XSAVE_XMM = 160, XSAVE_BV = 512 };

/* A component's place in the area of `bytes`, NULL if it has none. */
static uint8_t *component(uint8_t *area, size_t bytes, unsigned k)
{
	unsigned size, offset, c, d;

	if (!__get_cpuid_count(0xd, k, &size, &offset, &c, &d) || size == 0 || offset + (size_t)size > bytes)
		return NULL;
	return area + offset;
}

/* Copies `count` pieces of `size` bytes between the area and `at` of each register from `first` on. */
struct pieces {
	unsigned k, first, count, at, size;
};
static const struct pieces vector_pieces[] = {
	{ XSTATE_AVX, 0, 16, 16, 16 },
	{ XSTATE_ZMM_HI, 0, 16, 32, 32 },
	{ XSTATE_HI16_ZMM, 16, 16, 0, 64 },
};
enum { VECTOR_PIECES = sizeof(vector_pieces) / sizeof(vector_pieces[0]) };

static void legacy_out(uint8_t *area, const struct cpu *in)
{
	const unsigned top = (in->fpu.sw >> 11) & 7;

	memcpy(area, &in->fpu.cw, 2);
	memcpy(area + 2, &in->fpu.sw, 2);
	area[4] = in->fpu.tag;
	memcpy(area + 6, &in->fpu.fop, 2);
	memcpy(area + 8, &in->fpu.fip, 8);
	memcpy(area + 16, &in->fpu.fdp, 8);
	memcpy(area + XSAVE_MXCSR, &in->mxcsr, 4);
	for (unsigned n = 0; n < 8; n++) {
		memcpy(area + XSAVE_ST + 16 * n, &in->fpu.r[(top + n) & 7].sig, 8);
		memcpy(area + XSAVE_ST + 16 * n + 8, &in->fpu.r[(top + n) & 7].se, 2);
	}
	for (unsigned n = 0; n < 16; n++)
		memcpy(area + XSAVE_XMM + 16 * n, in->vec[n].u8, 16);
}

static void legacy_in(struct cpu *out, const uint8_t *area)
{
	unsigned top;

	memcpy(&out->fpu.cw, area, 2);
	memcpy(&out->fpu.sw, area + 2, 2);
	out->fpu.tag = area[4];
	memcpy(&out->fpu.fop, area + 6, 2);
	memcpy(&out->fpu.fip, area + 8, 8);
	memcpy(&out->fpu.fdp, area + 16, 8);
	memcpy(&out->mxcsr, area + XSAVE_MXCSR, 4);
	top = (out->fpu.sw >> 11) & 7;
	for (unsigned n = 0; n < 8; n++) {
		memcpy(&out->fpu.r[(top + n) & 7].sig, area + XSAVE_ST + 16 * n, 8);
		memcpy(&out->fpu.r[(top + n) & 7].se, area + XSAVE_ST + 16 * n + 8, 2);
	}
	for (unsigned n = 0; n < 16; n++)
		memcpy(out->vec[n].u8, area + XSAVE_XMM + 16 * n, 16);
}

void kvm_xstate_out(uint8_t *area, size_t bytes, const struct cpu *in)
{
	uint64_t present = 3;
	uint8_t *p;

	legacy_out(area, in);
	for (unsigned k = 0; k < VECTOR_PIECES; k++) {
		const struct pieces *v = &vector_pieces[k];

		p = component(area, bytes, v->k);
		for (unsigned n = 0; p && n < v->count; n++)
			memcpy(p + n * v->size, in->vec[v->first + n].u8 + v->at, v->size);
		present |= p ? 1ull << v->k : 0;
	}
	p = component(area, bytes, XSTATE_OPMASK);
	if (p)
		memcpy(p, in->k, sizeof(in->k));
	present |= p ? 1ull << XSTATE_OPMASK : 0;
	p = component(area, bytes, XSTATE_PKRU);
	if (p)
		memcpy(p, &in->pkru, sizeof(in->pkru));
	present |= p ? 1ull << XSTATE_PKRU : 0;
	memcpy(area + XSAVE_BV, &present, sizeof(present));
}

void kvm_xstate_in(struct cpu *out, uint8_t *area, size_t bytes)
{
	uint64_t present;
	uint8_t *p;

	memcpy(&present, area + XSAVE_BV, sizeof(present));
	legacy_in(out, area);
	for (unsigned k = 0; k < VECTOR_PIECES; k++) {
		const struct pieces *v = &vector_pieces[k];

		p = present >> v->k & 1 ? component(area, bytes, v->k) : NULL;
		for (unsigned n = 0; p && n < v->count; n++)
			memcpy(out->vec[v->first + n].u8 + v->at, p + n * v->size, v->size);
	}
	p = present >> XSTATE_OPMASK & 1 ? component(area, bytes, XSTATE_OPMASK) : NULL;
	if (p)
		memcpy(out->k, p, sizeof(out->k));
	p = present >> XSTATE_PKRU & 1 ? component(area, bytes, XSTATE_PKRU) : NULL;
	if (p)
		memcpy(&out->pkru, p, sizeof(out->pkru));
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

int kvm_xstate_set(struct kvm_engine *k, int fd, const struct cpu *in)
{
	const size_t bytes = k->xsave_bytes;
	uint8_t *area = bytes ? calloc(1, bytes) : NULL;
	int err = 0;

	if (!area)
		return bytes ? -ENOMEM : -ENOTSUP;
	/* What we do not know of it (tiles) stays as it is. */
	if (ioctl(fd, get_request(bytes), area) < 0) {
		err = -errno;
	} else {
		kvm_xstate_out(area, bytes, in);
		err = ioctl(fd, KVM_SET_XSAVE, area) < 0 ? kvm_fail(k, "KVM_SET_XSAVE") : 0;
	}
	free(area);
	return err;
}

int kvm_xstate_get(struct kvm_engine *k, int fd, struct cpu *out)
{
	const size_t bytes = k->xsave_bytes;
	uint8_t *area = bytes ? calloc(1, bytes) : NULL;
	int err;

	if (!area)
		return bytes ? -ENOMEM : -ENOTSUP;
	err = ioctl(fd, get_request(bytes), area) < 0 ? -errno : 0;
	if (!err)
		kvm_xstate_in(out, area, bytes);
	free(area);
	return err;
}
