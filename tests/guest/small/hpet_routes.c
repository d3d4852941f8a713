/* SPDX-License-Identifier: MIT */
/*
 * Every way of an HPET interrupt: each timer, on each pin that its Tn_INT_ROUTE_CAP offers, as edge and as level, and the
 * legacy replacement route. Counted: what was asked for comes, and nothing else (IA-PC HPET 1.0a, 2.3.8, 2.3.4, 2.3.6).
 */
#include "guest.h"

enum { CAP = 0, CONFIG = 0x10, STATUS = 0x20, COUNTER = 0xf0, TIMER = 0x100, STRIDE = 0x20, COMPARATOR = 8 };
enum { ENABLE = 1, LEGACY = 2 };				       /* general configuration */
enum { T_LEVEL = 1 << 1, T_ENABLE = 1 << 2, T_PERIODIC = 1 << 3, T_CAN_REPEAT = 1 << 4, T_SET = 1 << 6, T_ROUTE = 9 };
enum { MARK = 0x41, VECTOR = 0x50, SHOTS = 3, PATIENCE_MS = 15000 };

static volatile unsigned count, unasked, spurious, marks;
static volatile bool wants_level, stopping; /* what the timer is set to */
static volatile uint64_t served;  /* status bits that the handler has found */
static uint64_t ticks_per_ms;

static uint64_t get(unsigned offset)
{
	return *(volatile uint64_t *)(LAYOUT_HPET_BASE + offset);
}

static void put(unsigned offset, uint64_t value)
{
	*(volatile uint64_t *)(LAYOUT_HPET_BASE + offset) = value;
}

/*
 * A level stays until its status bit is cleared, by a 1 (2.3.6); an edge has none. A level interrupt without its bit is
 * spurious: whoever sees EOIs that the guest has not made sends it again.
 */
static void on_interrupt(void)
{
	uint64_t status = get(STATUS);

	if (wants_level && !status)
		spurious += !stopping;
	else
		count++;
	served |= status;
	put(STATUS, status);
	lapic_eoi();
}

static void on_unasked(void)
{
	unasked++;
	lapic_eoi();
}

static void fail(unsigned timer, unsigned pin, bool level, const char *what)
{
	print("timer ");
	print_dec(timer);
	print(", pin ");
	print_dec(pin);
	print(level ? ", level: " : ", edge: ");
	print_dec(count);
	print(" interrupts, ");
	print_dec(unasked);
	print(" elsewhere; ");
	check(false, what);
}

/* Interrupts on, until `wanted` have come or the counter has reached `limit`. */
static void wait(unsigned wanted, uint64_t limit)
{
	__asm__ volatile("sti" ::: "memory");
	while (count < wanted && get(COUNTER) < limit)
		__asm__ volatile("pause");
	__asm__ volatile("cli" ::: "memory");
}

static void start(unsigned timer, uint64_t config, uint64_t general)
{
	put(CONFIG, 0);
	put(COUNTER, 0);
	put(TIMER + STRIDE * timer, config);
	put(TIMER + STRIDE * timer + COMPARATOR, ticks_per_ms);
	put(CONFIG, general | ENABLE);
}

static void on_mark(void)
{
	marks++;
	lapic_eoi();
}

/*
 * Whatever was on its way has come, without a guess at how long that takes: what the IOAPIC has sent when it answers a
 * read comes before an interrupt of the PIT that is asked for afterwards, whose vector is the least urgent.
 */
static void drain(void)
{
	unsigned before = marks;

	ioapic_route(LAYOUT_PIT_PIN, MARK, false, false);
	(void)mmio_read(LAYOUT_IOAPIC_BASE + 0x10);
	outb(0x43, 0x30); /* 8254, mode 0: once */
	outb(0x40, 100);
	outb(0x40, 0);
	__asm__ volatile("sti" ::: "memory");
	while (marks == before)
		__asm__ volatile("pause");
	__asm__ volatile("cli" ::: "memory");
	ioapic_route(LAYOUT_PIT_PIN, MARK, false, true);
}

/* A level that falls now may have been sent already. */
static void stop(unsigned timer)
{
	stopping = true;
	put(CONFIG, 0);
	put(TIMER + STRIDE * timer, 0);
	put(STATUS, ~0ull);
	drain();
	stopping = false;
}

/* One-shot, several times; then the same time again in which nothing more may come. */
static void shoot(unsigned timer, unsigned pin, bool level, uint64_t config, uint64_t general)
{
	count = 0;
	served = 0;
	for (unsigned n = 1; n <= SHOTS; n++) {
		start(timer, config, general);
		wait(n, PATIENCE_MS * ticks_per_ms);
		if (count != n)
			fail(timer, pin, level, "one shot, one interrupt");
		wait(n + 1, get(COUNTER) + ticks_per_ms);
		if (count != n)
			fail(timer, pin, level, "it comes once");
	}
	if (served != (level ? 1ull << timer : 0))
		fail(timer, pin, level, "a level has its status bit, an edge none");
	stop(timer);
}

static void repeat(unsigned timer, unsigned pin, bool level, uint64_t config)
{
	if (!(get(TIMER + STRIDE * timer) & T_CAN_REPEAT))
		return;
	count = 0;
	start(timer, config | T_PERIODIC | T_SET, 0);
	wait(10, PATIENCE_MS * ticks_per_ms);
	if (count < 10)
		fail(timer, pin, level, "ten periods");
	stop(timer);
}

static void try_pin(unsigned timer, unsigned pin, bool level)
{
	uint64_t config = T_ENABLE | (level ? T_LEVEL : 0) | (uint64_t)pin << T_ROUTE;

	set_handler(VECTOR + pin, on_interrupt);
	ioapic_route(pin, (uint8_t)(VECTOR + pin), level, false);
	wants_level = level;
	shoot(timer, pin, level, config, 0);
	repeat(timer, pin, level, config);
	ioapic_route(pin, (uint8_t)(VECTOR + pin), level, true);
	set_handler(VECTOR + pin, on_unasked);
	if (unasked)
		fail(timer, pin, level, "on the right pin");
}

static unsigned try_timer(unsigned timer)
{
	uint32_t pins = (uint32_t)(get(TIMER + STRIDE * timer) >> 32);
	unsigned routes = 0;

	check(pins != 0, "a timer without a pin");
	for (unsigned pin = 0; pin < LAYOUT_IOAPIC_PINS; pin++) {
		if (!(pins >> pin & 1))
			continue;
		try_pin(timer, pin, false);
		try_pin(timer, pin, true);
		routes += 2;
	}
	return routes;
}

/* 2.3.4: timer 0 takes the place of the PIT, on pin 2; timer 1 that of the RTC, on pin 8. */
static void try_legacy(unsigned timer, unsigned pin)
{
	set_handler(VECTOR + pin, on_interrupt);
	ioapic_route(pin, (uint8_t)(VECTOR + pin), false, false);
	wants_level = false;
	outb(0x43, 0x30); /* the PIT's output stays low: its rise would be an edge each time it gets its line back */
	shoot(timer, pin, false, T_ENABLE, LEGACY);
	ioapic_route(pin, (uint8_t)(VECTOR + pin), false, true);
}

void guest_main(void)
{
	unsigned timers, routes = 0;

	/* COUNTER_CLK_PERIOD, in femtoseconds */
	ticks_per_ms = 1000000000000ull / (get(CAP) >> 32);
	timers = (unsigned)(get(CAP) >> 8 & 31) + 1;
	set_handler(MARK, on_mark);
	pic_init(0);
	lapic_init();
	for (unsigned pin = 0; pin < LAYOUT_IOAPIC_PINS; pin++)
		set_handler((uint8_t)(VECTOR + pin), on_unasked);
	for (unsigned timer = 0; timer < timers; timer++)
		routes += try_timer(timer);
	try_legacy(0, LAYOUT_PIT_PIN);
	try_legacy(1, LAYOUT_RTC_IRQ);
	check(!unasked, "no interrupt that was not asked for");
	print_dec(timers);
	print(" timers, ");
	print_dec(routes);
	print(" routes, ");
	print_dec(spurious);
	print(" spurious\n");
	finish(0);
}
