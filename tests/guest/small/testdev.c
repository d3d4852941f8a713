/* SPDX-License-Identifier: MIT */
/*
 * Every port of the test device (bulkhead-testd(8)), of one or two of them: latch, wires, window, fw_cfg, guest memory as
 * another process sees it. Then it waits: `r` resets the machine, another key ends it.
 */
#include "guest.h"

enum { PORT_STEP = 0x3000, WINDOW_STEP = 0x20000, VECTOR = 0x50, PULSES = 3 };
#define WINDOW 0xff000000ull
#define SPOT 0x800000ull /* of memory that nobody uses */

static volatile unsigned edges, levels;
static uint16_t ports; /* of the device that is looked at */
static uint64_t window;
static unsigned wire;

static void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}

static void on_edge(void)
{
	edges++;
	lapic_eoi();
}

/* A level stays until its device takes it away. */
static void on_level(void)
{
	levels++;
	outb((uint16_t)(ports + 0x2000 + wire), 0);
	lapic_eoi();
}

static void try_latch(void)
{
	static const char text[] = "abcd";
	const void *from = text;
	uint64_t n = 4;
	uint16_t port = ports + 0xe0;

	outl(port, 0x12345678);
	check(inl(port) == 0x12345678 && inw(port + 2) == 0x1234 && inb(port + 1) == 0x56, "latch");
	check(inb(ports + 0xe8) == 0x78 && inb(ports + 0xea) == 0x34 && inb(ports + 0xeb) == 0x12, "bytes of the latch");
	outb(ports + 0xea, 0x99);
	check(inl(port) == 0x12995678, "a byte of the latch");
	outl(ports + 0xe4, 0x1000);
	check(inl(ports + 0xe4) == ~0u, "flush is written only");
	__asm__ volatile("cld; rep outsb" : "+S"(from), "+c"(n) : "d"(port) : "memory");
	check(inb(port) == 'd', "REP OUTSB");
}

static void wait_for(volatile unsigned *count, unsigned n)
{
	for (uint64_t i = 0; *count < n && i < 1000000000; i++)
		__asm__ volatile("sti; pause; cli" ::: "memory");
}

/* Line 0 is pin 2. A pulse is an edge, whoever else holds the line. */
static void try_edges(unsigned pin)
{
	uint16_t port = (uint16_t)(ports + 0x2000 + wire);

	edges = 0;
	set_handler((uint8_t)(VECTOR + pin), on_edge);
	ioapic_route(pin, (uint8_t)(VECTOR + pin), false, false);
	for (unsigned n = 1; n <= PULSES; n++) {
		outb(port, 1);
		outb(port, 0);
		wait_for(&edges, n);
		check(edges == n, "an edge for each pulse");
	}
	ioapic_route(pin, (uint8_t)(VECTOR + pin), false, true);
}

static void try_level(unsigned pin)
{
	levels = 0;
	set_handler((uint8_t)(VECTOR + pin), on_level);
	ioapic_route(pin, (uint8_t)(VECTOR + pin), true, false);
	outb((uint16_t)(ports + 0x2000 + wire), 1);
	wait_for(&levels, 1);
	check(levels >= 1, "a level interrupts");
	ioapic_route(pin, (uint8_t)(VECTOR + pin), true, true);
}

static void try_wires(void)
{
	for (wire = 0; wire < LAYOUT_IOAPIC_PINS; wire++) {
		unsigned pin = wire == LAYOUT_PIT_IRQ ? LAYOUT_PIT_PIN : wire;

		if (wire == LAYOUT_PIT_PIN)
			continue;
		try_edges(pin);
		if (wire != LAYOUT_PIT_IRQ) /* the PIT's output is high */
			try_level(pin);
	}
}

static void try_window(void)
{
	for (uint64_t at = window; at < window + 0x10000; at += 0x1008)
		*(volatile uint64_t *)at = at * 0x9e3779b97f4a7c15;
	for (uint64_t at = window; at < window + 0x10000; at += 0x1008)
		check(*(volatile uint64_t *)at == at * 0x9e3779b97f4a7c15, "window");
	*(volatile uint8_t *)(window + 0xffff) = 0xa5;
	check(*(volatile uint16_t *)(window + 0xfffe) == 0xa500, "its last byte");
	__asm__ volatile("lock addl $5, (%0)" ::"r"(window + 4) : "memory");
	check(mmio_read(window + 4) == (uint32_t)((window * 0x9e3779b97f4a7c15) >> 32) + 5,
	      "read and written in one instruction");
}

static uint64_t item(uint16_t key, unsigned bytes)
{
	uint64_t value = 0;

	outw(ports + 0x510, key);
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)inb(ports + 0x511) << 8 * i;
	return value;
}

static void try_fw_cfg(void)
{
	check(item(0, 4) == ('Q' | 'E' << 8 | 'M' << 16 | 'U' << 24), "fw_cfg: signature");
	check(inb(ports + 0x511) == 0, "fw_cfg: behind the end");
	check(item(1, 4) == 1, "fw_cfg: features");
	check(item(3, 8) == 16 << 20, "fw_cfg: memory");
	check(item(5, 2) == 1 && item(15, 2) == 1, "fw_cfg: processors");
}

/* Memory is empty after a reset; what each side stores, the other one sees. */
static void try_memory(void)
{
	volatile uint64_t *spot = (volatile uint64_t *)(SPOT + ports), *address = (volatile uint64_t *)(window + 0x10000);

	*address = SPOT + ports;
	check(address[1] == 0 && *spot == 0, "fresh memory");
	*spot = 0x1122334455667788;
	*address = SPOT + ports;
	check(address[1] == 0x1122334455667788, "the device sees what the processor stores");
	address[1] = 0x99aabbccddeeff00;
	check(*spot == 0x99aabbccddeeff00, "the processor sees what the device stores");
	*address = 16 << 20;
	check(address[1] == ~0ull, "behind the end of memory");
	*address = SPOT + 4;
	check(address[1] == ~0ull, "not aligned");
}

/* What a device stores into code that has run is executed the next time: mov eax, N; ret. */
static void try_code(void)
{
	const uint64_t at = SPOT + 0x1000 + ports;
	volatile uint64_t *address = (volatile uint64_t *)(window + 0x10000);
	uint32_t (*code)(void) = (uint32_t(*)(void))at;

	for (uint64_t n = 0; n < 200; n++) {
		uint32_t a = 0, c = 0;

		*address = at;
		address[1] = 0xc300000000b8 | n << 8;
		__asm__ volatile("cpuid" : "+a"(a), "+c"(c)::"rbx", "rdx", "memory"); /* SDM vol. 3, 8.3: serialising */
		check(code() == n, "code that a device has overwritten");
	}
}

static bool try_device(unsigned n)
{
	ports = (uint16_t)(n * PORT_STEP);
	window = WINDOW + n * WINDOW_STEP;
	outl(ports + 0xe0, 0);
	if (inl(ports + 0xe0) == ~0u)
		return false;
	try_latch();
	try_wires();
	try_window();
	try_fw_cfg();
	try_memory();
	try_code();
	outl(ports + 0xe0, 0xcafe0000 + n);
	return true;
}

static uint8_t read_key(void)
{
	while (!(inb(LAYOUT_COM1 + 5) & 1))
		__asm__ volatile("pause");
	return inb(LAYOUT_COM1);
}

/* The latches are what they were left at, whatever has happened to the devices meanwhile. */
static void check_latches(unsigned devices)
{
	for (unsigned n = 0; n < devices; n++)
		check(inl((uint16_t)(0xe0 + n * PORT_STEP)) == 0xcafe0000 + n, "latch, later");
}

void guest_main(void)
{
	unsigned devices = 0;
	uint8_t key;

	pic_init(0);
	lapic_init();
	while (devices < 2 && try_device(devices))
		devices++;
	print_dec(devices);
	print(" test devices\n");
	if (devices == 0)
		finish(3);
	key = read_key();
	check_latches(devices);
	if (key == 'r')
		outb(LAYOUT_RESET_PORT, LAYOUT_RESET_VALUE);
	else
		finish(0);
	for (;;)
		__asm__ volatile("hlt");
}
