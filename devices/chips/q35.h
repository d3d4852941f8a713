/* SPDX-License-Identifier: MIT */
/*
 * The two functions by whose identity firmware recognises the board, as configuration space and nothing else: host bridge
 * 00:00.0 of Intel's Q35 (document 316966, chapter 5) and LPC bridge 00:1f.0 of ICH9 (316972, chapter 13). What
 * they say is fixed (where power management is); what firmware writes they keep, and it has no effect: memory
 * below 1 MiB can always be written, interrupts are wired, ECAM answers where firmware may want it.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_Q35_H
#define BULKHEAD_DEVICES_CHIPS_Q35_H

#include "pci_function.h"

void q35_bridge_reset(struct pci_function *f);
void q35_lpc_reset(struct pci_function *f);
void q35_bridge_write(struct pci_function *f, uint32_t offset, uint64_t data, unsigned size);
void q35_lpc_write(struct pci_function *f, uint32_t offset, uint64_t data, unsigned size);
bool q35_bridge_is_possible(const struct pci_function *f);
bool q35_lpc_is_possible(const struct pci_function *f);

#endif
