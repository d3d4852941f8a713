/* SPDX-License-Identifier: MIT */
/* What is looked up in the current TSS: inner stacks, IST, the I/O and the interrupt redirection bit maps. */
#include "internal.h"

enum { TSS32_IOMAP = 102, VME_MAP_BYTES = 32 };

static bool tss_is_32bit(const struct emu *e)
{
	return e->cpu.tr.attr & 8;
}

/* Reads within the TSS's limit; outside it is #TS with the selector of the TSS. */
static int tss_read(struct emu *e, uint32_t offset, void *data, unsigned size)
{
	const struct segment *tr = &e->cpu.tr;

	if ((tr->attr & SEG_ATTR_UNUSABLE) || offset + size - 1 > tr->limit)
		return emu_fault_code(e, VEC_TS, tr->selector & ~3u);
	return emu_sys_read(e, tr->base + offset, data, size);
}

int tss_read_stack(struct emu *e, unsigned cpl, uint16_t *ss, uint64_t *sp)
{
	uint32_t image[2];
	uint16_t image16[2];

	if (tss_is_32bit(e)) {
		if (tss_read(e, 4 + cpl * 8, image, 8))
			return EMU_STOP;
		*sp = image[0];
		*ss = (uint16_t)image[1];
		return 0;
	}
	if (tss_read(e, 2 + cpl * 4, image16, 4))
		return EMU_STOP;
	*sp = image16[0];
	*ss = image16[1];
	return 0;
}

int tss_read_rsp(struct emu *e, unsigned slot_offset, uint64_t *rsp)
{
	return tss_read(e, slot_offset, rsp, 8);
}

/* One word of a bit map reached through the I/O map base; false: the map does not reach that far. */
static int tss_map_word(struct emu *e, int32_t relative, uint16_t *word, bool *present)
{
	const struct segment *tr = &e->cpu.tr;
	uint16_t base;
	int64_t offset;

	*present = false;
	if (!tss_is_32bit(e) || (tr->attr & SEG_ATTR_UNUSABLE) || tr->limit < TSS32_IOMAP + 1)
		return 0;
	if (emu_sys_read(e, tr->base + TSS32_IOMAP, &base, 2))
		return EMU_STOP;
	offset = (int64_t)base + relative;
	if (offset < 0 || offset + 1 > tr->limit)
		return 0;
	*present = true;
	return emu_sys_read(e, tr->base + (uint64_t)offset, word, 2);
}

/* Two bytes are read always, so that an access that spans bytes is covered (SDM vol. 1, 19.5.2). */
int sys_check_port(struct emu *e, uint16_t port, unsigned size)
{
	unsigned mask = ((1u << size) - 1) << (port & 7);
	bool present;
	uint16_t word;

	if (sys_protected(e) && (e->cpl > sys_iopl(e) || sys_v86(e))) {
		if (tss_map_word(e, port / 8, &word, &present))
			return EMU_STOP;
		if (!present || (word & mask))
			return emu_gp0(e);
	}
	debug_io(e, port, size);
	return 0;
}

int tss_vme_redirects(struct emu *e, uint8_t vector, bool *redirect)
{
	bool present;
	uint16_t word;
	int32_t byte = vector / 8;

	if (tss_map_word(e, (byte & ~1) - VME_MAP_BYTES, &word, &present))
		return EMU_STOP;
	*redirect = present && !(word >> (vector & 15) & 1);
	return 0;
}
