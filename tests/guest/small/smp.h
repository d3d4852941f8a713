/* SPDX-License-Identifier: MIT */
/* What small guests with several processors share (guest.h). CPU 0 is the one that started. */
#ifndef BULKHEAD_TESTS_SMP_H
#define BULKHEAD_TESTS_SMP_H

#include "guest.h"

enum { SMP_MAX = 64 };

extern unsigned cpu_count;	 /* as the MP table says; 1 if there is none */
extern uint32_t apic_id_of[SMP_MAX]; /* in the order in which they came up; of CPU 0 from the start */

/* Finds the processors, and lets all others begin `work` with INIT and SIPI; true when all have, within some seconds. */
bool smp_start(void (*work)(unsigned cpu));
/* INIT and SIPI for one of them: it begins its work again, with the number that it had. */
void smp_restart(unsigned cpu);
/* The one that asks; by its local APIC id. */
unsigned this_cpu(void);

enum { ICR_NMI = 0x400, ICR_INIT = 0x500, ICR_SIPI = 0x600, ICR_LOWEST = 0x100, ICR_LOGICAL = 0x800, ICR_ASSERT = 0x4000,
       ICR_SELF = 1 << 18, ICR_ALL = 2 << 18, ICR_OTHERS = 3 << 18 };
/* By the register page, or by MSR in x2APIC mode. */
void icr_write(uint32_t destination, uint32_t low);
bool in_x2apic_mode(void);
uint32_t lapic_read(uint32_t offset);
void lapic_write(uint32_t offset, uint32_t value);

static inline void relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline uint64_t tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

static inline uint32_t load32(const volatile uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void store32(volatile uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline uint32_t add32(volatile uint32_t *p, uint32_t v)
{
	return __atomic_add_fetch(p, v, __ATOMIC_SEQ_CST);
}

/* Spins until *p is `v`. */
static inline void spin_until(const volatile uint32_t *p, uint32_t v)
{
	while (load32(p) != v)
		relax();
}

#endif
