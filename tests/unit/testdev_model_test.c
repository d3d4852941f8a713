/* SPDX-License-Identifier: MIT */
/* The test device: ports as QEMU's pc-testdev has them, fw_cfg as docs/specs/fw_cfg of QEMU says. */
#include "model_at.h"
#include "model_fuzz.h"

#include <errno.h>

#include "devices/testdev_model.h"
#include "proto/layout.h"

static struct testdev_state s;
static const struct model_config config = { .ram_low = LAYOUT_RAM_LOW_MAX, .ram_high = 1ull << 30, .vcpus = 3 };

static void out(uint16_t port, uint64_t value, unsigned size)
{
	model_write_at(&testdev_model, &s, MODEL_PORT, port, value, size, 0);
}

static uint64_t in(uint16_t port, unsigned size)
{
	return model_read_at(&testdev_model, &s, MODEL_PORT, port, size, 0);
}

static uint32_t line(unsigned n)
{
	uint32_t words[MODEL_LINES] = { 0 };

	testdev_model.get_lines(&s, words);
	return words[n];
}

static void init(void)
{
	memset(&s, 0xff, sizeof(s));
	testdev_model.reset(&s, &config, 0);
}

TestSuite(testdev_model, .init = init);

Test(testdev_model, latch)
{
	cr_assert_eq(in(0xe0, 4), 0);
	out(0xe0, 0x12345678, 4);
	cr_assert_eq(in(0xe0, 4), 0x12345678);
	cr_assert_eq(in(0xe1, 1), 0x56);
	cr_assert_eq(in(0xe2, 2), 0x1234);
	out(0xe3, 0xab, 1);
	cr_assert_eq(in(0xe0, 4), 0xab345678);
	out(0xe1, 0xbeef, 2);
	cr_assert_eq(in(0xe0, 4), 0xabbeef78);
	cr_assert_eq(in(0xe8, 1), 0x78, "the same, by bytes");
	cr_assert_eq(in(0xea, 2), 0xabbe);
	out(0xea, 0x55, 1);
	out(0xe8, 0x66, 1);
	cr_assert_eq(in(0xe0, 4), 0xab55ef66);
	out(0xe4, 0x1000, 4);
	cr_assert_eq(in(0xe0, 4), 0xab55ef66, "the page that is flushed leaves the latch alone");
}

/* Port 2000h + n is line n; what is not 0 raises it. */
Test(testdev_model, wires)
{
	for (unsigned n = 0; n < MODEL_LINES; n++) {
		bool there = n != 2; /* the cascade of the 8259s */

		out((uint16_t)(0x2000 + n), 0x80, 1);
		cr_assert_eq(line(n), there ? LINE_EDGE | LINE_LEVEL : 0, "line %u", n);
		out((uint16_t)(0x2000 + n), 1, 1);
		cr_assert_eq(line(n), there ? LINE_EDGE | LINE_LEVEL : 0, "high already");
		out((uint16_t)(0x2000 + n), 0, 1);
		cr_assert_eq(line(n), there ? LINE_EDGE : 0);
	}
	cr_assert_eq(in(0x2005, 1), 0xff);
	out(0x2017, 0x0101, 2);
	cr_assert_eq(line(23) & LINE_LEVEL, LINE_LEVEL, "what lies behind the last port is nobody's");
}

Test(testdev_model, window)
{
	const uint64_t base = 0xff000000;

	for (unsigned size = 1; size <= 8; size *= 2) {
		uint64_t value = 0x8877665544332211 >> (64 - 8 * size);

		model_write_at(&testdev_model, &s, MODEL_MMIO, base + 0x123, value, size, 0);
		cr_assert_eq(model_read_at(&testdev_model, &s, MODEL_MMIO, base + 0x123, size, 0), value);
	}
	cr_assert_eq(model_read_at(&testdev_model, &s, MODEL_MMIO, base + 0x122, 1, 0), 0);
	model_write_at(&testdev_model, &s, MODEL_MMIO, base + 0xffff, 0x4433, 2, 0);
	cr_assert_eq(model_read_at(&testdev_model, &s, MODEL_MMIO, base + 0xffff, 4, 0), 0xffffff33);
	cr_assert_eq(s.address, 0, "not what comes behind it");
}

static uint64_t item(uint16_t key, unsigned bytes)
{
	uint64_t value = 0;

	out(0x510, key, 2);
	for (unsigned i = 0; i < bytes; i++)
		value |= in(0x511, 1) << 8 * i;
	return value;
}

Test(testdev_model, fw_cfg)
{
	cr_assert_eq(item(0, 4), 'Q' | 'E' << 8 | 'M' << 16 | 'U' << 24, "FW_CFG_SIGNATURE");
	cr_assert_eq(in(0x511, 1), 0, "behind the end reads are 0");
	cr_assert_eq(item(1, 8), 1, "FW_CFG_ID: bit 0, the traditional interface, no DMA");
	cr_assert_eq(item(3, 8), LAYOUT_RAM_LOW_MAX + (1ull << 30), "FW_CFG_RAM_SIZE");
	cr_assert_eq(item(5, 8), 3, "FW_CFG_NB_CPUS, 16 bits");
	cr_assert_eq(item(15, 8), 3, "FW_CFG_MAX_CPUS");
	cr_assert_eq(item(0x4005, 2), 3, "bit 14 asks for writing, which there is not; it names the same item");
	cr_assert_eq(item(0x8005, 2), 0, "bit 15: an item of this architecture");
	cr_assert_eq(item(2, 8), 0, "no such item");
	item(0, 2);
	cr_assert_eq(item(0, 1), 'Q', "the selector begins anew");
	out(0x510, 5, 1);
	out(0x511, 0x55, 1);
	cr_assert_eq(in(0x511, 1), 'E', "neither a byte to the selector nor a write of data changes anything");
	cr_assert_eq(in(0x510, 1), 0xff, "write only");
	cr_assert_eq(in(0x510, 2), 'M' << 8 | 0xff);
}

Test(testdev_model, memory)
{
	uint64_t address, data;

	cr_assert_eq(testdev_model_take_wish(&s, &address, &data), TESTDEV_NOTHING);
	model_write_at(&testdev_model, &s, MODEL_MMIO, 0xff010000, 0x123450, 8, 0);
	cr_assert_eq(testdev_model_take_wish(&s, &address, &data), TESTDEV_LOAD);
	cr_assert_eq(address, 0x123450);
	testdev_model_load(&s, 0xfeedfacecafebeef);
	cr_assert_eq(model_read_at(&testdev_model, &s, MODEL_MMIO, 0xff010008, 8, 0), 0xfeedfacecafebeef);
	model_write_at(&testdev_model, &s, MODEL_MMIO, 0xff01000c, 7, 4, 0);
	cr_assert_eq(testdev_model_take_wish(&s, &address, &data), TESTDEV_STORE);
	cr_assert_eq(data, 0x7cafebeef);
	cr_assert_eq(testdev_model_take_wish(&s, &address, &data), TESTDEV_NOTHING, "once");
}

Test(testdev_model, validation)
{
	const char *field = NULL;

	cr_assert_eq(testdev_model.validate(&s, &field), 0);
#define REJECTS(change)                                                                   \
	do {                                                                              \
		init();                                                                   \
		change;                                                                   \
		cr_assert_eq(testdev_model.validate(&s, &field), -EINVAL, "%s", #change); \
		cr_assert_not_null(field);                                                \
	} while (0)
	REJECTS(s.fw_cfg_at = 9);
	REJECTS(s.wish = TESTDEV_STORE + 1);
	REJECTS(s.lines[2] = LINE_EDGE);
}

Test(testdev_model, random_operations)
{
	fuzz_seed = 17;
	fuzz_run(&testdev_model, &config, 2000, 0);
}
