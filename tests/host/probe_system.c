/* SPDX-License-Identifier: MIT */
/* Branches, prefixes, segments, addresses. */
#include "probe.h"
#include "emu/isa/isa.h"
#include "features.h"

#ifdef __x86_64__
#include <string.h>

enum { UD = 6, GP = 13, PF = 14, AC = 17, NULL_SELECTOR = 0 };

/* A case that is bytes with RCX and RSI, and the two ways in which it ends. */
struct plain {
	enum point at;
	const char *bytes;
	uint8_t count;
	unsigned alike, otherwise; /* vectors */
	uint64_t rsi;
};
static const struct plain plain[] = {
	{ PT_NOP_0F0D, "\x0f\x0d\xc0", 3, PROBE_RAN, UD, 0 },
	{ PT_NEAR_66, "\x66\xeb\x00", 3, PROBE_RAN, PF, 0 },   /* JMP to the RET behind it */
	{ PT_LOCK_CR0, "\xf0\x0f\x20\xc0", 4, UD, GP, 0 },
	{ PT_RING0_ONLY, "\x0f\x35", 2, GP, UD, 0 },	   /* SYSEXIT */
	{ PT_RING0_ONLY, "\x0f\x07", 2, GP, UD, 0 },	   /* SYSRET */
	{ PT_RING0_ONLY, "\x0f\x01\xf8", 3, GP, UD, 0 }, /* SWAPGS */
	{ PT_WIDE_LINEAR, "\x48\x8b\x06", 3, GP, PF, 1ull << 48 }, /* MOV RAX, [RSI] */
	{ PT_KERNEL_HALF, "\x48\x8b\x06", 3, PF, GP, 0xffff900000000000 },
};

static void ask_plain(struct processor *p, const struct plain *c)
{
	struct probe_regs r = { .rsi = c->rsi };

	probe_note(p, c->at, probe_answer(probe_bytes(c->bytes, c->count, &r), c->alike, c->otherwise));
}

/* LGS RAX, [RSI]: a null selector at both places where it may be looked for. */
static enum answer far_rex_w(void)
{
	const uint64_t pointer[2] = { 0x1234000089abcdef, NULL_SELECTOR };
	struct probe_regs r = { .rsi = (uintptr_t)probe_data };

	memcpy(probe_data, pointer, sizeof(pointer));
	if (probe_bytes("\x48\x0f\xb5\x06", 4, &r) != PROBE_RAN)
		return SAYS_NOTHING;
	return r.rax == pointer[0] ? DOES_ALIKE : r.rax == (uint32_t)pointer[0] ? DOES_OTHERWISE : SAYS_NOTHING;
}

/* MOVSXD AX, [RSI] of the last two bytes of a page. */
static enum answer movsxd_66(void)
{
	struct probe_regs r = { .rsi = (uintptr_t)probe_data + PROBE_PAGE - 2 };

	return probe_answer(probe_bytes("\x66\x63\x06", 3, &r), PROBE_RAN, PF);
}

/* The last two bytes of a page. */
static void jump_to_end(void)
{
	__asm__ volatile("call *%0" : : "r"(probe_code + PROBE_PAGE - 2) : "memory");
}

static enum answer ud1_modrm(void)
{
	memcpy(probe_code + PROBE_PAGE - 2, "\x0f\xb9", 2);
	return probe_answer(probe_run(jump_to_end), PF, UD);
}

/* VPINSRD XMM0, XMM0, EAX, 0 with W set. */
static enum answer vpinsr_w1(void)
{
	if (!host_has(FEAT_AVX))
		return SAYS_NOTHING;
	return probe_answer(probe_bytes32("\xc4\xe3\xf9\x22\xc0\x00", 6), PROBE_RAN, UD);
}

/* BT [RSI], RCX whose bit is ours, though RSI is no address. */
static enum answer bit_string(void)
{
	const uint64_t base = 1ull << 58;
	struct probe_regs r = { .rsi = base, .rcx = ((uintptr_t)probe_data - base) << 3 };

	return probe_answer(probe_bytes("\x48\x0f\xa3\x0e", 4, &r), PROBE_RAN, GP);
}

/* LOCK ADD [RSI], EAX over the boundary of a line. */
static enum answer split_lock(void)
{
	struct probe_regs r = { .rsi = (uintptr_t)probe_data + 62 };

	return probe_answer(probe_bytes("\xf0\x01\x06", 3, &r), PROBE_RAN, AC);
}

/* WRGSBASE RCX, a null selector, RDGSBASE RAX, and GS as it was: nobody uses it. */
static enum answer null_base(void)
{
	static const uint8_t code[] = { 0xf3, 0x48, 0x0f, 0xae, 0xd9, 0x31, 0xc0, 0x8e, 0xe8, 0xf3, 0x48, 0x0f, 0xae, 0xc8 };
	struct probe_regs r = { .rcx = 0x12345000 };

	if (probe_bytes(code, sizeof(code), &r) != PROBE_RAN)
		return SAYS_NOTHING;
	return r.rax == 0 ? DOES_ALIKE : r.rax == r.rcx ? DOES_OTHERWISE : SAYS_NOTHING;
}

/* A far call to 32-bit code from a stack above 4 GiB: is the return address there? UD2 ends it. */
static struct {
	uint64_t room[64];
} high_stack;
static struct {
	uint32_t offset;
	uint16_t selector;
} __attribute__((packed)) far_pointer;

static void far_call(void)
{
	__asm__ volatile("mov %[stack], %%rsp; lcall *%[pointer]; ud2"
			 :
			 : [stack] "r"(&high_stack.room[63]), [pointer] "m"(far_pointer)
			 : "memory");
}

static enum answer far_stack(void)
{
	unsigned vector;

	if ((uintptr_t)&high_stack >> 32 == 0)
		return SAYS_NOTHING;
	memcpy(probe_code, "\x0f\x0b", 2);
	far_pointer.offset = (uint32_t)(uintptr_t)probe_code;
	far_pointer.selector = 0x23;
	vector = probe_run(far_call);
	if (vector != UD && vector != PF && vector != GP)
		return SAYS_NOTHING;
	return high_stack.room[62] ? DOES_ALIKE : DOES_OTHERWISE;
}

void probe_system(struct processor *p)
{
	for (unsigned n = 0; n < sizeof(plain) / sizeof(plain[0]); n++)
		ask_plain(p, &plain[n]);
	probe_note(p, PT_FAR_REX_W, far_rex_w());
	probe_note(p, PT_MOVSXD_66, movsxd_66());
	probe_note(p, PT_UD1_MODRM, ud1_modrm());
	probe_note(p, PT_VPINSR_W1, vpinsr_w1());
	probe_note(p, PT_BIT_STRING, bit_string());
	probe_note(p, PT_SPLIT_LOCK, split_lock());
	probe_note(p, PT_NULL_BASE, null_base());
	probe_note(p, PT_FAR_STACK, far_stack());
}
#endif
