/* SPDX-License-Identifier: MIT */
/* Registers of a VGA that are answered where they were written (vmm/vcpu/echo.h): always as the device would (devices/vga_model.h). */
#include <criterion/criterion.h>

#include "devices/chips/vga.h"
#include "devices/vga_model.h"
#include "vmm/vcpu/echo.h"

static struct vga_state s;
static struct route_table routes;
static struct echo echo;
static unsigned answered;

static void setup(void)
{
	const struct model_config config = { .vcpus = 1, .display = { .kind = DISPLAY_VGA } };

	vga_model.reset(&s, &config, 0);
	route_init(&routes);
	cr_assert_eq(route_add(&routes, vga_model.ranges, vga_model.range_count, 0, 0), 0);
	echo_init(&echo);
	answered = 0;
}

TestSuite(echo, .init = setup);

static void out(uint16_t port, uint16_t value, unsigned size)
{
	const struct route_range *r = route_find(&routes, MODEL_PORT, port);

	echo_written(&echo, r, port, value, size);
	vga_model.write(&s, r->range, (uint32_t)(port - r->base), value, size, 0);
}

/* What the device says; and what was said for it, if anything, is the same. */
static uint8_t in(uint16_t port)
{
	const struct route_range *r = route_find(&routes, MODEL_PORT, port);
	const uint8_t device = (uint8_t)vga_model.read(&s, r->range, (uint32_t)(port - r->base), 1, 0);
	uint64_t value;

	if (echo_read(&echo, r, port, 1, &value)) {
		answered++;
		cr_assert_eq(value, device, "port %x: %lx, and the device says %x", port, (unsigned long)value, device);
	}
	return device;
}

/* VGA: cursor start and end (index 0Ah, 0Bh), start address (0Ch, 0Dh), cursor location (0Eh, 0Fh). */
Test(echo, cursor_is_known_when_it_was_written)
{
	out(0x3d4, 0x0e, 1);
	cr_assert_eq(in(0x3d4), 0x0e);
	cr_assert_eq(answered, 1);
	in(0x3d5);
	cr_assert_eq(answered, 1, "nobody has written it");
	out(0x3d5, 0x12, 1);
	out(0x3d4, 0x340f, 2);
	cr_assert_eq(in(0x3d5), 0x34);
	out(0x3d4, 0x0e, 1);
	cr_assert_eq(in(0x3d5), 0x12);
	cr_assert_eq(answered, 3);
}

Test(echo, every_register_and_value)
{
	for (unsigned index = 0; index < 0x100; index++) {
		for (unsigned value = 0; value < 0x100; value += 0x55) {
			out(0x3d4, (uint16_t)index, 1);
			out(0x3d5, (uint16_t)value, 1);
			in(0x3d4);
			in(0x3d5);
		}
	}
	cr_assert_eq(answered, 256 * 4 + 8 * 6 * 4, "the index always; of the registers, six, at each of eight aliases");
}

/* The same registers have other ports as well. */
Test(echo, other_ways_are_not_missed)
{
	out(0x3d4, 0x110f, 2);
	out(0x3b4, 0x220f, 2);
	cr_assert_eq(in(0x3d5), 0x22);
	out(0x3d4, 0x0f, 1);
	cr_assert_eq(in(0x3d5), 0x22);
	out(0x3d4, 0x330f, 2);
	out(0x3d5, 0x4455, 2);
	in(0x3d5);
	out(0x3d4, 0x330f, 2);
	echo_forget(&echo);
	answered = 0;
	in(0x3d5);
	cr_assert_eq(answered, 0, "a new guest");
}
