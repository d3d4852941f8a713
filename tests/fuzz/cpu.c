/* SPDX-License-Identifier: MIT */
/*
 * Arbitrary code on the emulated processor, in five modes, by single steps and in blocks. Beyond the sanitizers: both
 * ways end with the same fault, registers and memory.
 *
 * Input: mode, flags, eight registers of a byte each, code. UD2 stands behind the code.
 */
#include "fuzz.h"
#include "tests/unit/emu_harness.h"

enum { INSNS = 64, CODE_MAX = 64, REGS = 8, DATA_BYTES = 0x3000 };

/* What registers may hold to begin with: small numbers, addresses of data, edges. */
static uint64_t value(uint8_t choice)
{
	static const uint64_t edges[] = { 0,
					  ~0ull,
					  1ull << 31,
					  1ull << 63,
					  0x7fffffff,
					  0xffffffff,
					  0x0000800000000000,
					  0xffff800000000000,
					  HARNESS_RAM - 1,
					  HARNESS_CODE,
					  HARNESS_GDT,
					  HARNESS_PML4,
					  0xfee00000,
					  0xfec00000,
					  0xfffff,
					  HARNESS_IDT };

	if (choice < 0x40)
		return choice;
	if (choice < 0xc0)
		return HARNESS_DATA + (choice - 0x40u) * 64;
	return edges[choice & 15];
}

/* Two runs can differ by what they read from clocks and random numbers. */
static bool is_repeatable(const uint8_t *code, size_t size)
{
	for (size_t i = 0; i + 1 < size; i++) {
		if (code[i] == 0x0f && (code[i + 1] == 0x31 || code[i + 1] == 0x01 || code[i + 1] == 0xc7 ||
					code[i + 1] == 0x30 || code[i + 1] == 0x32 || code[i + 1] == 0x33))
			return false;
	}
	return true;
}

static int run(struct harness *h, enum harness_tier tier, struct input in)
{
	static const uint8_t ud2[] = { 0x0f, 0x0b };
	uint8_t code[CODE_MAX + sizeof(ud2)];
	unsigned mode = take_below(&in, HARNESS_LONG_USER + 1), flags = (unsigned)take(&in, 1);
	size_t size;

	harness_init(h, (enum harness_mode)mode, tier);
	for (unsigned n = 0; n < REGS; n++)
		if (n != RSP)
			h->cpu->gpr[n] = value((uint8_t)take(&in, 1));
	if (mode < HARNESS_LONG)
		for (unsigned n = 0; n < REGS; n++)
			h->cpu->gpr[n] &= 0xffffffff;
	harness_deliver(h, flags & 1);
	harness_set_flags(h, 2 | (flags & 2 ? 0x100 : 0) | (flags & 4 ? 0x400 : 0) | (flags & 8 ? 0x40000 : 0));
	size = in.left < CODE_MAX ? in.left : CODE_MAX;
	memcpy(code, in.data, size);
	memcpy(code + size, ud2, sizeof(ud2));
	harness_code(h, code, size + sizeof(ud2));
	return harness_run(h, INSNS);
}

static void compare(struct harness *a, struct harness *b)
{
	for (unsigned n = 0; n < 16; n++)
		CHECK(a->cpu->gpr[n] == b->cpu->gpr[n], "register %u: %llx by steps, %llx in blocks", n,
		      (unsigned long long)a->cpu->gpr[n], (unsigned long long)b->cpu->gpr[n]);
	CHECK(a->cpu->rip == b->cpu->rip, "%llx by steps, %llx in blocks", (unsigned long long)a->cpu->rip,
	      (unsigned long long)b->cpu->rip);
	CHECK(harness_flags(a) == harness_flags(b), "%llx by steps, %llx in blocks", (unsigned long long)harness_flags(a),
	      (unsigned long long)harness_flags(b));
	CHECK(memcmp(a->ram + HARNESS_DATA, b->ram + HARNESS_DATA, DATA_BYTES) == 0, "memory");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct harness step, block;
	int by_steps, in_blocks;

	if (size < 2 + REGS)
		return -1;
	by_steps = run(&step, HARNESS_STEP, (struct input){ data, size });
	in_blocks = run(&block, HARNESS_BLOCK, (struct input){ data, size });
	/* Counts differ at the ends of blocks, so only runs that ended by themselves can be compared. */
	if (by_steps && in_blocks && is_repeatable(data, size)) {
		CHECK(by_steps == in_blocks, "%x by steps, %x in blocks", by_steps, in_blocks);
		compare(&step, &block);
	}
	harness_fini(&step);
	harness_fini(&block);
	return 0;
}
