/* SPDX-License-Identifier: MIT */
/* Starting further processors (SDM vol. 3, 8.4.4), and messages between them: smp.h. */
#include "smp.h"

enum { TRAMPOLINE = 0x98000, MP_FROM = 0xe0000, MP_TO = 0x100000 };

extern uint8_t smp_trampoline[], smp_trampoline_end[], smp_trampoline_cr3[];
void smp_begin(uint32_t apic_id, uint32_t number);

unsigned cpu_count = 1;
uint32_t apic_id_of[SMP_MAX];
static uint8_t number_of[256]; /* by APIC id */
static void (*work_of_all)(unsigned cpu);
static volatile uint32_t arrived;

static bool is_text(const uint8_t *p, const char *text)
{
	while (*text && *p == (uint8_t)*text)
		p++, text++;
	return !*text;
}

/* MultiProcessor Specification 1.4, 4.1 to 4.3: the usable ones among its processors. */
static unsigned count_processors(void)
{
	const uint8_t *f = (const uint8_t *)MP_FROM, *e;
	unsigned count = 0, entries;

	while (f < (const uint8_t *)MP_TO && !is_text(f, "_MP_"))
		f += 16;
	if (f == (const uint8_t *)MP_TO)
		return 1;
	e = (const uint8_t *)(uintptr_t)(*(const uint32_t *)(f + 4));
	entries = *(const uint16_t *)(e + 34);
	for (e += 44; entries--; e += e[0] == 0 ? 20 : 8)
		count += e[0] == 0 && (e[3] & 1);
	return count;
}

bool in_x2apic_mode(void)
{
	return rdmsr(0x1b) & 1 << 10;
}

uint32_t lapic_read(uint32_t offset)
{
	return in_x2apic_mode() ? (uint32_t)rdmsr(0x800 + offset / 16) : mmio_read(LAYOUT_LAPIC_BASE + offset);
}

void lapic_write(uint32_t offset, uint32_t value)
{
	if (in_x2apic_mode())
		wrmsr(0x800 + offset / 16, value);
	else
		mmio_write(LAYOUT_LAPIC_BASE + offset, value);
}

void icr_write(uint32_t destination, uint32_t low)
{
	if (in_x2apic_mode()) {
		__asm__ volatile("mfence" ::: "memory");
		wrmsr(0x830, (uint64_t)destination << 32 | low);
		return;
	}
	mmio_write(LAYOUT_LAPIC_BASE + 0x310, destination << 24);
	mmio_write(LAYOUT_LAPIC_BASE + 0x300, low);
}

static uint32_t own_apic_id(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return b >> 24;
}

unsigned this_cpu(void)
{
	return number_of[own_apic_id()];
}

void smp_begin(uint32_t apic_id, uint32_t number)
{
	load_idt();
	apic_id_of[number] = apic_id;
	number_of[apic_id] = (uint8_t)number;
	lapic_write(0xf0, 0x1ff);
	add32(&arrived, 1);
	work_of_all(number);
}

static void delay_us(unsigned us)
{
	const uint64_t end = tsc() + 1000ull * us;

	while (tsc() < end)
		relax();
}

bool smp_start(void (*work)(unsigned cpu))
{
	uint64_t cr3;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	for (unsigned n = 0; n < (unsigned)(smp_trampoline_end - smp_trampoline); n++)
		((volatile uint8_t *)TRAMPOLINE)[n] = smp_trampoline[n];
	*(volatile uint32_t *)(TRAMPOLINE + (smp_trampoline_cr3 - smp_trampoline)) = (uint32_t)cr3;
	lapic_init();
	cpu_count = count_processors();
	apic_id_of[0] = own_apic_id();
	number_of[apic_id_of[0]] = 0;
	work_of_all = work;
	if (cpu_count == 1)
		return true;
	icr_write(0, ICR_OTHERS | ICR_INIT | ICR_ASSERT);
	delay_us(100);
	icr_write(0, ICR_OTHERS | ICR_SIPI | ICR_ASSERT | TRAMPOLINE >> 12);
	delay_us(200);
	icr_write(0, ICR_OTHERS | ICR_SIPI | ICR_ASSERT | TRAMPOLINE >> 12); /* as kernels do; lost where the first was taken */
	for (const uint64_t end = tsc() + 20000000000ull; load32(&arrived) != cpu_count - 1 && tsc() < end;)
		relax();
	return load32(&arrived) == cpu_count - 1;
}

void smp_restart(unsigned cpu)
{
	icr_write(apic_id_of[cpu], ICR_INIT | ICR_ASSERT);
	delay_us(100);
	icr_write(apic_id_of[cpu], ICR_SIPI | ICR_ASSERT | TRAMPOLINE >> 12);
}
