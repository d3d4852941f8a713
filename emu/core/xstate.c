/* SPDX-License-Identifier: MIT */
/* The components of extended state: xstate.h. */
#include "xstate.h"

#include <stddef.h>
#include <string.h>

_Static_assert(sizeof(struct fx_image) == XSTATE_LEGACY_BYTES && offsetof(struct fx_image, xmm) == 160, "SDM vol. 1, table 10-2");
_Static_assert(sizeof(struct xsave_header) == XSTATE_HEADER_BYTES, "SDM vol. 1, 13.4.2");

const struct xstate_component xstate_components[XSTATE_COMPONENTS] = {
	[XSTATE_AVX] = { 256, 576, false, 0, 16, 16, 16 },
	[XSTATE_OPMASK] = { 64, 1088, false, 0, 0, 0, 0 },
	[XSTATE_ZMM_HI256] = { 512, 1152, false, 0, 16, 32, 32 },
	[XSTATE_HI16_ZMM] = { 1024, 1664, false, 16, 16, 0, 64 },
	[XSTATE_PKRU] = { 8, 2688, false, 0, 0, 0, 0 }, /* and four reserved bytes */
};

static unsigned present(const struct xstate_component *x, unsigned registers)
{
	const unsigned most = registers > x->first ? registers - x->first : 0;

	return x->count < most ? x->count : most;
}

unsigned xstate_bytes(unsigned k, unsigned registers)
{
	const struct xstate_component *x = &xstate_components[k];

	return x->count ? present(x, registers) * x->bytes : x->size;
}

void xstate_pack(const struct cpu *c, unsigned k, unsigned registers, uint8_t *out)
{
	const struct xstate_component *x = &xstate_components[k];
	const uint64_t pkru = c->pkru;

	if (k == XSTATE_OPMASK)
		memcpy(out, c->k, sizeof(c->k));
	if (k == XSTATE_PKRU)
		memcpy(out, &pkru, sizeof(pkru));
	for (unsigned n = 0; n < present(x, registers); n++)
		memcpy(out + n * x->bytes, c->vec[x->first + n].u8 + x->at, x->bytes);
}

void xstate_unpack(struct cpu *c, unsigned k, unsigned registers, const uint8_t *in)
{
	const struct xstate_component *x = &xstate_components[k];

	if (k == XSTATE_OPMASK)
		memcpy(c->k, in, sizeof(c->k));
	if (k == XSTATE_PKRU)
		memcpy(&c->pkru, in, sizeof(c->pkru));
	for (unsigned n = 0; n < present(x, registers); n++)
		memcpy(c->vec[x->first + n].u8 + x->at, in + n * x->bytes, x->bytes);
}
