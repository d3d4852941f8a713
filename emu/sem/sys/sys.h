/* SPDX-License-Identifier: MIT */
/* System instructions and events: what the run loop, the MMU and the other semantics ask of them. */
#ifndef BULKHEAD_EMU_SYS_H
#define BULKHEAD_EMU_SYS_H

#include "emu/core/emu.h"

/* 0, -ENOMEM, or the errno of the random number generator. */
int sys_init(struct emu *e);
void sys_fini(struct emu *e);

/* ---- events ---- */

/* Delivers e->fault (and #DF, triple fault after it): afterwards RIP is at the handler, or activity is
 * CPU_SHUTDOWN. e->cpu.rip must be the address that the exception pushes. */
void exc_deliver_fault(struct emu *e);
/* Delivers an external interrupt or NMI at an instruction boundary. */
void exc_deliver_interrupt(struct emu *e, uint8_t vector);
void exc_deliver_nmi(struct emu *e);
/* May this vCPU touch [port, port+size) at its CPL/IOPL (TSS I/O bitmap)? 0 or EMU_STOP (#GP). */
int sys_check_port(struct emu *e, uint16_t port, unsigned size);
/* INIT (SDM vol. 3, table 9-1): afterwards a processor other than 0 waits for SIPI. Resets the local APIC too. */
void sys_init_signal(struct emu *e);
/* Start-up IPI; does nothing unless the processor waits for one. */
void sys_sipi(struct emu *e, uint8_t vector);

/* ---- debugging ---- */

/* Code and data breakpoints, single-step: called by the single-step tier around each instruction when
 * RFLAGS.TF or DR7 asks for it. sys_debug_active() tells that the block tier must not be used. */
bool sys_debug_active(const struct emu *e);
/* Instruction breakpoints; EMU_STOP = #DB recorded. `resumed`: a repeated instruction goes on with its next iteration,
 * whose breakpoint has been looked at already. */
int sys_debug_before(struct emu *e, bool resumed);
/* Traps: `branched` says that the instruction was a branch and taken, which DEBUGCTL.BTF asks about. */
int sys_debug_after(struct emu *e, bool tf_was_set, bool branched);
/* The instruction faulted: breakpoints that it met before are not reported (SDM vol. 3, 17.2.4). */
void sys_debug_fault(struct emu *e);
/* A trap that MOV SS held back is due before the next instruction, and before any interrupt. */
bool sys_debug_trap_due(const struct emu *e);
/* The running instruction has met a breakpoint: repeated ones stop after this iteration. */
bool sys_debug_trap_pending(const struct emu *e);
/* What a debug exception still owes between two instructions: bits of DR6, and the T bit of a new task (core/state.h). */
void sys_debug_save(const struct emu *e, uint64_t *pending, uint8_t *task_trap);
void sys_debug_restore(struct emu *e, uint64_t pending, uint8_t task_trap);
/* Data breakpoint check, called for each access of the single-step tier while DR7 arms one. */
void sys_debug_data(struct emu *e, uint64_t linear, unsigned size, bool write);

#endif
