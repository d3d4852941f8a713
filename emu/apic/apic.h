/* SPDX-License-Identifier: MIT */
/* The local APIC of a virtual processor (SDM vol. 3, chapter 10). */
#ifndef BULKHEAD_EMU_APIC_H
#define BULKHEAD_EMU_APIC_H

#include <stdbool.h>
#include <stdint.h>

struct apic_state;
struct emu;
struct lapic;
struct machine;

struct lapic *lapic_create(struct machine *m, struct emu *e, unsigned id);
void lapic_destroy(struct lapic *a);
/* What INIT does to the APIC: reset, but its base and mode stay. Called by sys_init_signal(). */
void lapic_init_signal(struct lapic *a);
/* The memory-mapped page at cpu.msr.apic_base; offset 0..0xfff. Own thread. */
uint32_t lapic_mmio_read(struct lapic *a, uint32_t offset);
void lapic_mmio_write(struct lapic *a, uint32_t offset, uint32_t value);
/* x2APIC MSRs 800h..8ffh and IA32_APIC_BASE, IA32_TSC_DEADLINE. 0 or -EINVAL (#GP).
 * After a change of IA32_APIC_BASE the caller drops all translations: the register page may have moved. */
int lapic_msr_read(struct lapic *a, uint32_t msr, uint64_t *value);
int lapic_msr_write(struct lapic *a, uint32_t msr, uint64_t value);
uint8_t lapic_cr8_read(struct lapic *a);
void lapic_cr8_write(struct lapic *a, uint8_t tpr);
/* Highest-priority vector that may be delivered now, or -1. lapic_ack() moves it from IRR to ISR. */
int lapic_pending(struct lapic *a);
void lapic_ack(struct lapic *a, uint8_t vector);
bool lapic_accepts_extint(struct lapic *a); /* LVT0 unmasked ExtINT, or APIC of the boot processor disabled: virtual wire */
bool lapic_take_nmi(struct lapic *a);
bool lapic_take_init(struct lapic *a);
int lapic_take_sipi(struct lapic *a);	    /* vector or -1 */
/* Fires what is due; returns the next deadline by the machine's clock, UINT64_MAX if none. Own thread. */
uint64_t lapic_advance(struct lapic *a, uint64_t now_ns);
/* The whole state out and in (core/state.h): own thread, or while it does not run. An NMI that has arrived is taken by
 * lapic_take_nmi() first. What goes in has passed engine_state_check(), with cpu.msr.apic_base in place. Its timer counts
 * as of `time_ns`, and goes on from then. */
void lapic_save(struct lapic *a, struct apic_state *s, uint64_t time_ns);
void lapic_restore(struct lapic *a, const struct apic_state *s, uint64_t time_ns);
/* A message to all APICs of the machine. Any thread. -EINVAL for an invalid one. */
int lapic_deliver_msi(struct machine *m, uint64_t addr, uint32_t data);

#endif
