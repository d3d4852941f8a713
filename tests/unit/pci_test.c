/* SPDX-License-Identifier: MIT */
/* The PCI bus of the vcpu process (vmm/vcpu/pci.h), and the host bridge's header; by PCI Local Bus 3.0. */
#include <criterion/criterion.h>
#include <string.h>

#include "devices/chips/pci_bridge.h"
#include "devices/chips/pci_config.h"
#include "devices/model.h"
#include "proto/virtio.h"
#include "vmm/vcpu/pci.h"
#include "vmm/vcpu/window.h"

enum { DEVICE = 1, CHANNEL = 3, CONFIG_RANGE = 0, BAR_RANGE = 1, ROM_RANGE = 2, BAR_BYTES = 0x8000 };
#define CONFIG (LAYOUT_ECAM_BASE + DEVICE * LAYOUT_ECAM_DEVICE)
#define BAR (LAYOUT_PCI_BASE + 0x10000)

static const struct model_range ranges[] = {
	[CONFIG_RANGE] = { .name = "CONFIG", .space = MODEL_MMIO, .base = CONFIG, .len = LAYOUT_ECAM_FUNCTION },
	[BAR_RANGE] = { .name = "BAR", .space = MODEL_MMIO, .base = BAR, .len = BAR_BYTES },
	[ROM_RANGE] = { .name = "ROM", .space = MODEL_MMIO, .base = BAR + BAR_BYTES, .len = BAR_BYTES, .rom = true },
};

static struct pci_bus pci;
static struct route_table routes;
static uint32_t address, command, bar, rom;

/* The device: what the guest wrote last. */
static uint64_t device(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, unsigned size)
{
	if (space == IO_PORT)
		return address;
	return addr == CONFIG + PCI_COMMAND ? command
	       : addr == CONFIG + PCI_BAR0  ? bar
	       : addr == CONFIG + PCI_ROM   ? rom
					    : UINT64_MAX;
}

static void setup(void)
{
	pci_init(&pci, true, false);
	route_init(&routes);
	routes.has_pci = true;
	cr_assert_eq(route_add(&routes, ranges, 3, 0, CHANNEL), 0);
}

TestSuite(pci, .init = setup);

static uint64_t translated(uint64_t port, unsigned size)
{
	uint64_t addr = 0;

	return pci_translate(&pci, device, NULL, 0, port, size, &addr) ? addr : 0;
}

/* 3.2.2.3.2, figure 3-2: bit 31 enable, 23..16 bus, 15..11 device, 10..8 function, 7..2 register. */
Test(pci, mechanism_1_is_ecam)
{
	pci_note_write(&pci, PCI_CONFIG_ADDRESS, 0x80000000 | 1 << 11 | 2 << 8 | 0x10, 4);
	cr_expect_eq(translated(PCI_CONFIG_DATA, 4), LAYOUT_ECAM_BASE + (1 << 15) + (2 << 12) + 0x10);
	cr_expect_eq(translated(PCI_CONFIG_DATA + 2, 2), LAYOUT_ECAM_BASE + (1 << 15) + (2 << 12) + 0x12);
	cr_expect_eq(translated(PCI_CONFIG_DATA + 3, 1), LAYOUT_ECAM_BASE + (1 << 15) + (2 << 12) + 0x13);
	cr_expect_eq(translated(PCI_CONFIG_DATA + 2, 4), 0, "across the end of the register");
	cr_expect_eq(translated(PCI_CONFIG_ADDRESS, 4), 0);
	pci_note_write(&pci, PCI_CONFIG_ADDRESS, 0x80ff0000, 4);
	cr_expect_geq(translated(PCI_CONFIG_DATA, 4), LAYOUT_ECAM_BASE + LAYOUT_ECAM_SIZE, "another bus: nobody's");
	pci_note_write(&pci, PCI_CONFIG_ADDRESS, 0x00000800, 4);
	cr_expect_eq(translated(PCI_CONFIG_DATA, 4), 0, "not enabled");
}

/* "any other types of accesses to this address (non-DWORD) have no effect on CONFIG_ADDRESS" */
Test(pci, only_doublewords_set_the_address)
{
	pci_note_write(&pci, PCI_CONFIG_ADDRESS, 0x80000800, 4);
	pci_note_write(&pci, PCI_CONFIG_ADDRESS, 0, 2);
	pci_note_write(&pci, PCI_CONFIG_ADDRESS + 1, 0x06, 1);
	cr_expect_eq(translated(PCI_CONFIG_DATA, 4), CONFIG);
}

/* A process that takes over from another has not seen the write. */
Test(pci, address_of_an_earlier_process)
{
	address = 0x80000804;
	cr_expect_eq(translated(PCI_CONFIG_DATA, 4), CONFIG + 4);
}

Test(pci, without_it_the_ports_lead_nowhere)
{
	pci_init(&pci, false, false);
	pci_note_write(&pci, PCI_CONFIG_ADDRESS, 0x80000800, 4);
	cr_expect_eq(translated(PCI_CONFIG_DATA, 4), 0);
}

static void write_config(uint32_t new_command, uint32_t new_bar, unsigned offset, unsigned size)
{
	command = new_command;
	bar = new_bar;
	pci_config_written(&pci, &routes, route_find(&routes, MODEL_MMIO, CONFIG), device, NULL, 0, CONFIG + offset, size);
}

static bool answers(uint64_t addr)
{
	return route_find(&routes, MODEL_MMIO, addr) && route_find(&routes, MODEL_MMIO, addr + BAR_BYTES - 1);
}

/* 6.2.5.2: it answers if both the function's memory and the ROM are switched on. */
Test(pci, expansion_rom)
{
	const uint64_t at = LAYOUT_PCI_BASE + 0x2000000;

	rom = (uint32_t)at;
	write_config(PCI_COMMAND_MEMORY, (uint32_t)BAR, PCI_ROM, 4);
	cr_expect_not(answers(at), "its own switch");
	rom |= 1;
	write_config(0, (uint32_t)BAR, PCI_ROM, 4);
	cr_expect_not(answers(at), "the function's");
	write_config(PCI_COMMAND_MEMORY, (uint32_t)BAR, PCI_COMMAND, 2);
	cr_expect(answers(at));
	cr_expect_eq(route_find(&routes, MODEL_MMIO, at)->range, ROM_RANGE);
	cr_expect(answers(BAR), "the BAR before it is where it was");
}

/* 6.2.5.1: software turns decoding off, sizes the register, and writes its address back. */
Test(pci, bars_move)
{
	const uint64_t elsewhere = LAYOUT_PCI_BASE + 0x1000000;

	cr_expect(answers(BAR));
	write_config(0, BAR, PCI_COMMAND, 2);
	cr_expect_not(answers(BAR));
	write_config(0, ~(BAR_BYTES - 1u), PCI_BAR0, 4);
	write_config(0, (uint32_t)elsewhere, PCI_BAR0, 4);
	cr_expect_not(answers(elsewhere), "not decoded yet");
	write_config(PCI_COMMAND_MEMORY, (uint32_t)elsewhere, PCI_COMMAND, 1);
	cr_expect(answers(elsewhere));
	cr_expect_not(answers(BAR));
	cr_expect_eq(route_find(&routes, MODEL_MMIO, elsewhere)->range, BAR_RANGE);
	write_config(PCI_COMMAND_MEMORY, 0, PCI_BAR0, 4);
	cr_expect_null(route_find(&routes, MODEL_MMIO, 0), "zero is no address");
	write_config(PCI_COMMAND_MEMORY, (uint32_t)BAR, PCI_STATUS, 2);
	cr_expect_not(answers(BAR), "nothing that matters was written");
	write_config(PCI_COMMAND_MEMORY, (uint32_t)BAR, 0x13, 1);
	cr_expect(answers(BAR));
}

/* The process that has seen the writes has ended, as when a guest goes over to the other engine. */
Test(pci, bars_that_were_moved_before)
{
	const uint64_t elsewhere = LAYOUT_PCI_BASE + 0x1000000;

	command = PCI_COMMAND_MEMORY;
	bar = (uint32_t)elsewhere;
	pci_find_bars(&pci, &routes, device, NULL);
	cr_expect(answers(elsewhere));
	cr_expect_not(answers(BAR));
	command = 0;
	pci_find_bars(&pci, &routes, device, NULL);
	cr_expect_not(answers(elsewhere), "not decoded");
}

/* struct virtio_pci_cfg_cap, as the driver has filled it in. */
static struct {
	uint32_t bar, offset, length;
} window;

static uint64_t virtio_function(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, unsigned size)
{
	const uint64_t at = addr - CONFIG - VIRTIO_WINDOW;

	return at == 4 ? window.bar & 0xff : at == 8 ? window.offset : at == 12 ? window.length : UINT64_MAX;
}

static int notified(uint32_t offset, uint32_t length, unsigned at, unsigned size)
{
	window.offset = offset;
	window.length = length;
	return virtio_window_queue(virtio_function, NULL, 0, CONFIG, CONFIG + VIRTIO_WINDOW + at, size);
}

/* Virtio 1.2, 4.1.4.9: what is written to pci_cfg_data goes to the place in the BAR that the capability names. */
Test(pci, a_queue_is_notified_through_configuration_space)
{
	cr_expect_eq(notified(VIRTIO_NOTIFY, 2, 16, 2), 0);
	cr_expect_eq(notified(VIRTIO_NOTIFY + 3 * VIRTIO_NOTIFY_STEP, 4, 16, 4), 3);
	cr_expect_eq(notified(VIRTIO_NOTIFY + VIRTIO_QUEUES * VIRTIO_NOTIFY_STEP, 2, 16, 2), -1, "behind the last");
	cr_expect_eq(notified(VIRTIO_NOTIFY - 1, 1, 16, 1), -1);
	cr_expect_eq(notified(0, 2, 16, 2), -1, "another part of the BAR");
	cr_expect_eq(notified(VIRTIO_NOTIFY, 4, 16, 2), -1, "the length is another");
	cr_expect_eq(notified(VIRTIO_NOTIFY, 4, 8, 4), -1, "the capability is filled in");
	window.bar = 1;
	cr_expect_eq(notified(VIRTIO_NOTIFY, 2, 16, 2), -1, "there is no such BAR");
	window.bar = 0;
}

/* 6.2.1, 6.2.4: a bridge of class 06h, sub-class 00h, header type 0, without BARs, capabilities and interrupt. */
Test(pci, host_bridge)
{
	cr_expect_neq(pci_bridge_read(PCI_VENDOR_ID, 2), 0xffff);
	cr_expect_eq(pci_bridge_read(PCI_REVISION, 4) >> 8, 0x060000);
	cr_expect_eq(pci_bridge_read(0x0e, 1), 0, "header type");
	cr_expect_eq(pci_bridge_read(PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES, 0);
	cr_expect_eq(pci_bridge_read(PCI_INTERRUPT_PIN, 1), 0);
	for (unsigned bar_n = 0; bar_n < 6; bar_n++)
		cr_expect_eq(pci_bridge_read(PCI_BAR0 + 4 * bar_n, 4), 0);
	cr_expect_eq(pci_bridge_read(0x100, 4), 0, "no extended capability (PCI Express 3.0, 7.9.1)");
	cr_expect_eq(pci_bridge_read(PCI_VENDOR_ID, 8) & 0xffff, pci_bridge_read(PCI_VENDOR_ID, 2));
}

/* Intel's Q35 (316966, 5.1.16) has a register that says where ECAM is; here it is where either firmware puts it. */
Test(pci, second_place_of_ecam)
{
	uint64_t addr = LAYOUT_ECAM_OTHER + 0x8004, beyond = LAYOUT_ECAM_OTHER + LAYOUT_ECAM_SIZE;

	pci_translate_memory(&pci, &addr);
	cr_expect_eq(addr, LAYOUT_ECAM_OTHER + 0x8004, "of machines with firmware only");
	pci_init(&pci, true, true);
	pci_translate_memory(&pci, &addr);
	cr_expect_eq(addr, LAYOUT_ECAM_BASE + 0x8004);
	pci_translate_memory(&pci, &beyond);
	cr_expect_eq(beyond, LAYOUT_ECAM_OTHER + LAYOUT_ECAM_SIZE, "other buses are nobody's");
}

/* The second range behind that of the configuration space is at BAR 2. */
static const struct model_range two[] = {
	{ .name = "CONFIG", .space = MODEL_MMIO, .base = CONFIG + LAYOUT_ECAM_DEVICE, .len = LAYOUT_ECAM_FUNCTION },
	{ .name = "FIRST", .space = MODEL_MMIO, .base = BAR + 0x100000, .len = BAR_BYTES },
	{ .name = "SECOND", .space = MODEL_MMIO, .base = BAR + 0x200000, .len = BAR_BYTES },
};

static uint64_t device_of_two(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, unsigned size)
{
	const uint64_t offset = addr - two[0].base;

	(void)ctx;
	(void)vcpu;
	(void)space;
	(void)size;
	return offset == PCI_COMMAND ? PCI_COMMAND_MEMORY
	       : offset == PCI_BAR0  ? BAR + 0x300000
	       : offset == 0x18	     ? BAR + 0x400000
				     : 0;
}

Test(pci, two_bars)
{
	static uint8_t memory[BAR_BYTES];
	const struct route_range *r;

	cr_assert_eq(route_add(&routes, two, 3, 0, CHANNEL + 1), 0);
	route_memory(&routes, CHANNEL + 1, 1, memory);
	pci_config_written(&pci, &routes, route_find(&routes, MODEL_MMIO, two[0].base), device_of_two, NULL, 0,
			   two[0].base + 0x18, 4);
	cr_expect(answers(BAR + 0x300000));
	cr_expect(answers(BAR + 0x400000));
	cr_expect_not(answers(BAR + 0x200000));
	cr_expect(answers(BAR), "the other device's");
	r = route_find(&routes, MODEL_MMIO, BAR + 0x300000);
	cr_assert_not_null(r);
	cr_expect_eq(r->memory, memory, "it goes along");
	r = route_find(&routes, MODEL_MMIO, BAR + 0x400000);
	cr_assert_not_null(r);
	cr_expect_null(r->memory);
}
