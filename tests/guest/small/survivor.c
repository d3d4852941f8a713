/* SPDX-License-Identifier: MIT */
/*
 * Works every device in rounds and checks each answer, while the host kills them (tests/fault/storm.py). What it waits for
 * must come: each interrupt that it asked for, each value that it wrote, each character. It reports a round in a line
 * "L number input checksum"; the local APIC's timer, which no daemon has a part in, notices what does not come.
 *
 * Characters from COM1 are data and are reported, but for these:
 *   !  leave with code 42 through the exit port     #  power off           @  reset          ^  triple fault
 *   +  rounds with much output                      =  storms of interrupts    ~  idle, ticks only    .  plain rounds
 *
 * Further processors work registers of their own all the while.
 */
#include "smp.h"

static uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

enum {
	VECTOR_PIT = 0x20, VECTOR_UART = 0x24, VECTOR_SPURIOUS = 0x27, VECTOR_RTC = 0x28, VECTOR_SPURIOUS_SLAVE = 0x2f,
	VECTOR_HPET = 0x50, VECTOR_BEAT = 0x60, VECTOR_REST = 0x61,
	IRQS = 1 << 0 | 1 << 4 | 1 << 8,
	BEATS_MAX = 9000, BEAT = 4000000, /* for one interrupt: half a minute and more */
	INPUT_MAX = 256, LINE_MAX = 400,
};

static volatile unsigned beats, pit, uart, rtc, hpet, spurious;
static char mode = '.';
static unsigned number;
static char input[INPUT_MAX + 1];
static unsigned input_len;

/* ---- interrupts ------------------------------------------------------------------------------------------------ */

static void on_beat(void)
{
	beats++;
	lapic_eoi();
}

static void on_pit(void)
{
	pit++;
	pic_eoi(0);
}

/* Reading IIR takes the transmitter's interrupt away (16550D, "Interrupt Identification Register"). */
static void on_uart(void)
{
	if ((inb(LAYOUT_COM1 + 2) & 0x0f) == 0x02)
		uart++;
	pic_eoi(4);
}

static uint8_t cmos(uint8_t reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void set_cmos(uint8_t reg, uint8_t value)
{
	outb(0x70, reg);
	outb(0x71, value);
}

static void on_rtc(void)
{
	if (cmos(0x0c) & 0x40)
		rtc++;
	pic_eoi(8);
}

static void on_hpet(void)
{
	hpet++;
	lapic_eoi();
}

/* 8259A, "spurious interrupts": IR7 without its bit in service; the slave's has the master's IR2 in service. */
static void on_spurious(void)
{
	spurious++;
}

static void on_spurious_slave(void)
{
	spurious++;
	outb(0x20, 0x20);
}

static void report(const char *what, uint64_t value)
{
	print(what);
	print(" ");
	print_hex(value);
	print("\n");
}

static void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}

static uint8_t pic_read(uint16_t port, uint8_t ocw3)
{
	outb(port, ocw3);
	return inb(port);
}

static _Noreturn void lost(const char *what)
{
	report("IMR", (uint64_t)inb(0xa1) << 8 | inb(0x21));
	report("IRR", (uint64_t)pic_read(0xa0, 0x0a) << 8 | pic_read(0x20, 0x0a));
	report("ISR", (uint64_t)pic_read(0xa0, 0x0b) << 8 | pic_read(0x20, 0x0b));
	check(false, what);
	finish(1);
}

static void wait_for(volatile unsigned *count, unsigned wanted, const char *what)
{
	unsigned start = beats;

	while (*count < wanted) {
		wait_for_interrupt();
		if (beats - start > BEATS_MAX)
			lost(what);
	}
}

/* ---- what each device is asked --------------------------------------------------------------------------------- */

static void expect(uint64_t got, uint64_t wanted, const char *what)
{
	if (got == wanted)
		return;
	report("got", got);
	report("wanted", wanted);
	check(false, what);
}

/* Until no tick is on its way any more. What the 8259 offers reaches the processor when it gets there: under KVM not before the
 * instruction behind an STI. */
static void settle(void)
{
	unsigned seen;

	do {
		seen = pit;
		for (unsigned beat = beats; beats < beat + 20;)
			wait_for_interrupt();
	} while (pit != seen);
}

/* Mode 0 raises OUT once, at the end of its count (8254, "Mode 0"): one edge, one interrupt. */
static void pit_once(uint16_t count)
{
	unsigned before = pit;

	outb(0x43, 0x30);
	outb(0x40, (uint8_t)count);
	outb(0x40, (uint8_t)(count >> 8));
	wait_for(&pit, before + 1, "the PIT's interrupt");
	expect(pit, before + 1, "one interrupt of the PIT");
}

static void uart_once(void)
{
	unsigned before = uart;

	outb(LAYOUT_COM1 + 1, 0x02); /* THR is empty: enabling the interrupt raises it */
	wait_for(&uart, before + 1, "the UART's interrupt");
	outb(LAYOUT_COM1 + 1, 0x00);
}

static void rtc_ticks(unsigned n)
{
	set_cmos(0x0b, 0x42);
	cmos(0x0c);
	wait_for(&rtc, rtc + n, "the RTC's interrupt");
	set_cmos(0x0b, 0x02);
	cmos(0x0c);
}

#define HPET(offset) (LAYOUT_HPET_BASE + (offset))
#define HPET_T0 (1u << 8 | 1u << 2) /* 32 bits wide, interrupt on */

/* A comparator that is behind the counter when it arrives matches in minutes: drivers look, and try again. */
static void hpet_arm(void)
{
	uint32_t deadline, ahead = 20000;

	do {
		deadline = mmio_read(HPET(0xf0)) + ahead;
		mmio_write(HPET(0x108), deadline);
		ahead *= 2;
	} while ((int32_t)(deadline - mmio_read(HPET(0xf0))) < 1000 && ahead < 1u << 30);
}

/*
 * Timer 0 with legacy replacement is wired to pin 2 (HPET 1.0a, 2.3.5, LEG_RT_CNF). When the PIT gets its line back, that
 * is an edge to the 8259: it is taken here, before anybody counts.
 */
static void hpet_once(void)
{
	unsigned before = hpet;

	outb(0x21, 0xff);
	mmio_write(HPET(0x10), 3);
	mmio_write(HPET(0x100), HPET_T0);
	ioapic_route(LAYOUT_PIT_PIN, VECTOR_HPET, false, false);
	expect(mmio_read(HPET(0x100)) & 0x10e, HPET_T0, "HPET timer 0 configuration");
	hpet_arm();
	wait_for(&hpet, before + 1, "the HPET's interrupt");
	ioapic_route(LAYOUT_PIT_PIN, VECTOR_HPET, false, true);
	mmio_write(HPET(0x100), 0);
	mmio_write(HPET(0x10), 0);
	expect(mmio_read(HPET(0x10)), 0, "HPET configuration");
	expect(hpet > before, true, "an interrupt of the HPET");
	outb(0x21, (uint8_t) ~(IRQS | 1 << 2));
	settle();
}

static void registers(uint8_t v)
{
	uint8_t imr = inb(0x21);

	outb(0x21, v);
	expect(inb(0x21), v, "the master's mask");
	outb(0x21, imr);
	expect(inb(0x21), imr, "the master's mask as before");
	expect(imr, (uint8_t) ~(IRQS | 1 << 2), "the master's mask as it was left");
	mmio_write(LAYOUT_IOAPIC_BASE, 0x10 + 2 * 23);
	mmio_write(LAYOUT_IOAPIC_BASE + 0x10, 1u << 16 | v);
	expect(mmio_read(LAYOUT_IOAPIC_BASE + 0x10) & 0x100ff, 1u << 16 | v, "IOAPIC entry");
	outb(LAYOUT_COM1 + 7, v);
	expect(inb(LAYOUT_COM1 + 7), v, "UART scratch register");
	set_cmos(0x40, v);
	set_cmos(0x41, (uint8_t)~v);
	expect(cmos(0x40), v, "CMOS memory");
	expect(cmos(0x41), (uint8_t)~v, "CMOS memory, the next byte");
	outl(0xcf8, 0x80000000u | (uint32_t)v << 8);
	expect(inl(0xcf8), 0x80000000u | (uint32_t)v << 8, "PCI address");
	outw(LAYOUT_PM1_EVT + 2, v & 1 ? 0x100 : 0);
	expect(inw(LAYOUT_PM1_EVT + 2), v & 1 ? 0x100 : 0, "PM1 enable");
	outb(0x61, v & 2);
	expect(inb(0x61) & 2, v & 2, "speaker bit of port 61h");
}

/* ---- further processors ---------------------------------------------------------------------------------------- */

/* What is written to a device by one processor is there when it reads it, whatever the others do with that device meanwhile. */
static volatile uint32_t rounds[SMP_MAX];

static void on_rest(void)
{
	lapic_eoi();
}

/* A scratch register of COM2 to COM4, the comparators that nobody else uses, a register of the display's controller. */
static void work_devices(unsigned cpu, uint32_t v)
{
	static const uint16_t ports[] = { LAYOUT_COM2, LAYOUT_COM3, LAYOUT_COM4 };

	if (cpu <= 3) {
		outb(ports[cpu - 1] + 7, (uint8_t)v);
		expect(inb(ports[cpu - 1] + 7), (uint8_t)v, "another UART's scratch register");
	}
	if (cpu <= 2) {
		mmio_write(HPET(0x108 + 0x20 * cpu), v);
		expect(mmio_read(HPET(0x108 + 0x20 * cpu)), v, "another comparator of the HPET");
	}
	if (cpu == 3) {
		outb(0x3d4, 15);
		outb(0x3d5, (uint8_t)v);
		expect(inb(0x3d5), (uint8_t)v, "the display's cursor");
	}
}

static void work(unsigned cpu)
{
	mmio_write(LAYOUT_LAPIC_BASE + 0x3e0, 0xb);
	mmio_write(LAYOUT_LAPIC_BASE + 0x320, VECTOR_REST);
	for (;;) {
		for (unsigned n = 0; n < 4; n++)
			work_devices(cpu, load32(&rounds[cpu]) * 2654435761u + n);
		add32(&rounds[cpu], 1);
		mmio_write(LAYOUT_LAPIC_BASE + 0x380, 2000000);
		wait_for_interrupt();
	}
}

static void check_processors(void)
{
	for (unsigned n = 1; n < cpu_count && number > 100; n++)
		expect(load32(&rounds[n]) > 10, true, "rounds of a further processor");
}

/* ---- characters ------------------------------------------------------------------------------------------------ */

static void power_off(void)
{
	outw(LAYOUT_PM1_CNT, LAYOUT_SLP_TYP_S5 << 10 | 1 << 13);
}

static void triple_fault(void)
{
	static const uint8_t none[10];

	__asm__ volatile("lidt %0; ud2" ::"m"(none));
}

static void obey(char c)
{
	switch (c) {
	case '!':
		check_processors();
		finish(42);
	case '#':
		power_off();
		break;
	case '@':
		outb(LAYOUT_RESET_PORT, LAYOUT_RESET_VALUE);
		break;
	case '^':
		triple_fault();
		break;
	case '+':
	case '=':
	case '~':
	case '.':
		mode = c;
		break;
	default:
		if (input_len < INPUT_MAX)
			input[input_len++] = c;
	}
}

static void listen(void)
{
	while (input_len < INPUT_MAX && (inb(LAYOUT_COM1 + 5) & 1))
		obey((char)inb(LAYOUT_COM1));
}

static char *put_hex(char *to, unsigned v, unsigned digits)
{
	while (digits--)
		*to++ = "0123456789abcdef"[v >> 4 * digits & 15];
	return to;
}

/* The sum (mod 65536, times 31 for each character) tells a line that was cut from a whole one. */
static void say_line(void)
{
	char line[LINE_MAX], *at = line;
	unsigned sum = 0;

	*at++ = 'L';
	*at++ = ' ';
	at = put_hex(at, number++, 6);
	*at++ = ' ';
	for (unsigned i = 0; i < input_len; i++)
		*at++ = input[i];
	input_len = 0;
	*at++ = ' ';
	for (char *c = line; c < at; c++)
		sum = (sum * 31 + (uint8_t)*c) & 0xffff;
	at = put_hex(at, sum, 4);
	*at++ = '\n';
	*at = 0;
	print(line);
}

/* ---- rounds ---------------------------------------------------------------------------------------------------- */

enum { TICK_COUNT = 11932, TICKS = 60, MAKE_UP = 600 };

/* A round of ticks, by ACPI's timer (24 bits, 4.7 s), by the local APIC's beats, and by the TSC. */
struct round {
	uint32_t pm;
	uint64_t pm_sum, tsc, waited_tsc;
	unsigned beats;
};

static void begin_round(struct round *r)
{
	r->pm = inl(LAYOUT_PM_TIMER);
	r->pm_sum = r->waited_tsc = 0;
	r->tsc = rdtsc();
	r->beats = beats;
}

static uint64_t ticks_of(uint64_t pm)
{
	return pm * 1193182 / LAYOUT_PM_TIMER_HZ / TICK_COUNT;
}

/* How many ticks of the PIT have been due. */
static uint64_t ticks_passed(struct round *r)
{
	uint64_t before = rdtsc();
	uint32_t now = inl(LAYOUT_PM_TIMER);

	r->waited_tsc += rdtsc() - before;
	r->pm_sum += (now - r->pm) & 0xffffff;
	r->pm = now;
	return ticks_of(r->pm_sum);
}

/*
 * A host that is short of processors may leave ours standing while its devices run: ticks merge in the 8259 then, as on a PC
 * whose processor is busy: each time up to twice as many as it took. Beats merge as well, which no daemon has a part in; they
 * come every 4 ms (the APIC timer's crystal, CPUID 15h, has 1 GHz). While we wait for a device they merge, too: no excuse.
 */
static uint64_t ticks_excused(const struct round *r)
{
	uint64_t waited = r->waited_tsc * r->pm_sum / (rdtsc() - r->tsc);
	uint64_t due = (r->pm_sum > waited ? r->pm_sum - waited : 0) * (1000000000 / BEAT) / LAYOUT_PM_TIMER_HZ;
	uint64_t got = beats - r->beats + 1, missing = due > got ? due - got : 0;

	return (missing * 2 * BEAT + 9999999) / 10000000;
}

/* Mode 2, about 100 Hz. A tick may come late, and then several at once; sooner or later all of them are there, unless one is
 * lost: whoever is behind then stays behind. */
static void steady_ticks(void)
{
	uint64_t passed = 0;
	struct round r;
	unsigned first, got = 0;

	outb(0x43, 0x34);
	outb(0x40, TICK_COUNT & 0xff);
	outb(0x40, TICK_COUNT >> 8);
	first = pit;
	wait_for(&pit, first + 1, "the PIT's first tick");
	begin_round(&r);
	first = pit;
	for (unsigned i = 1; i < TICKS + MAKE_UP; i++) {
		wait_for(&pit, first + i, "the PIT's tick");
		got = pit - first;
		passed = ticks_passed(&r);
		if (i >= TICKS && got + 1 >= passed)
			break;
	}
	if (got + 1 + ticks_excused(&r) < passed) {
		report("ticks", got);
		report("of", passed);
		report("excused", ticks_excused(&r));
		lost("a tick");
	}
	/* Mode 0 ends it; what was on its way is not counted as that mode's. */
	outb(0x43, 0x30);
	outb(0x40, 0xff);
	outb(0x40, 0xff);
	wait_for(&pit, pit + 1, "the PIT's last one");
	settle();
}

static void idle(void)
{
	steady_ticks();
	for (unsigned i = 0; i < 3; i++)
		pit_once(0xffff);
	say_line();
}

static void storm(void)
{
	for (unsigned i = 0; i < 100; i++) {
		uart_once();
		pit_once(50);
	}
	rtc_ticks(10);
	say_line();
}

static void flood(void)
{
	for (unsigned i = 0; i < 64; i++) {
		listen();
		say_line();
	}
}

static void everything(void)
{
	registers((uint8_t)(number * 37));
	pit_once(500);
	uart_once();
	rtc_ticks(2);
	hpet_once();
	say_line();
}

/* The firmware's ticks, 18 a second, end (a control word without a count): one that came when the 8259 lets interrupts
 * through already, but the first count is not written yet, would be taken for that count's. */
static void stop_ticks(void)
{
	outb(0x43, 0x30);
}

static void init(void)
{
	stop_ticks();
	set_handler(VECTOR_PIT, on_pit);
	set_handler(VECTOR_UART, on_uart);
	set_handler(VECTOR_RTC, on_rtc);
	set_handler(VECTOR_SPURIOUS, on_spurious);
	set_handler(VECTOR_SPURIOUS_SLAVE, on_spurious_slave);
	set_handler(VECTOR_HPET, on_hpet);
	set_handler(VECTOR_BEAT, on_beat);
	set_handler(VECTOR_REST, on_rest);
	pic_init(IRQS);
	lapic_init();
	mmio_write(LAYOUT_LAPIC_BASE + 0x350, 0x700); /* LINT0: ExtINT, the virtual wire of the 8259 */
	mmio_write(LAYOUT_LAPIC_BASE + 0x3e0, 0xb);
	mmio_write(LAYOUT_LAPIC_BASE + 0x320, VECTOR_BEAT | 1u << 17);
	mmio_write(LAYOUT_LAPIC_BASE + 0x380, BEAT);
	ioapic_route(LAYOUT_PIT_PIN, VECTOR_HPET, false, true);
	set_cmos(0x0a, 0x26); /* 1024 Hz */
	outb(LAYOUT_COM1 + 4, 0x0b);
	outb(LAYOUT_COM1 + 2, 0x07);
}

void guest_main(void)
{
	init();
	check(smp_start(work), "all processors begin");
	print("survivor\n");
	for (;;) {
		listen();
		switch (mode) {
		case '+':
			flood();
			break;
		case '=':
			storm();
			break;
		case '~':
			idle();
			break;
		default:
			everything();
		}
	}
}
