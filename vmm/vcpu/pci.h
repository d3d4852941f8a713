/* SPDX-License-Identifier: MIT */
/*
 * The PCI bus as this process is it: configuration mechanism 1 leads to the same place as ECAM, and a function's memory is
 * where its BAR says. What the registers hold is the devices' business: they answer in their ranges of ECAM.
 */
#ifndef BULKHEAD_VMM_VCPU_PCI_H
#define BULKHEAD_VMM_VCPU_PCI_H

#include "emu/core/engine.h"
#include "proto/layout.h"
#include "proto/route.h"

#include <pthread.h>

struct pci_bus {
	bool firmware; /* ECAM answers in a second place */
	bool present; /* else the ports lead nowhere, as on a machine without it */
	_Atomic uint64_t address; /* what was last written to CONFIG_ADDRESS; PCI_UNKNOWN: ask the device that has it */
	pthread_mutex_t moves;	  /* of BARs */
};

/* More than the register holds. */
#define PCI_UNKNOWN (1ull << 32)

/* Reads from ECAM or a port as the guest would; ctx is the caller's. */
typedef uint64_t pci_read_fn(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, unsigned size);

void pci_init(struct pci_bus *p, bool present, bool firmware);
/* A write to a port is on its way: if it is one to CONFIG_ADDRESS, it is remembered. */
void pci_note_write(struct pci_bus *p, uint64_t port, uint64_t data, unsigned size);
/* Does the access to this port go to configuration space? Then *addr is where in ECAM. */
bool pci_translate(struct pci_bus *p, pci_read_fn *read, void *ctx, unsigned vcpu, uint64_t port, unsigned size,
		   uint64_t *addr);
/* Where in ECAM that is what a memory access to its second place reaches; else *addr stays what it is. */
void pci_translate_memory(const struct pci_bus *p, uint64_t *addr);
/*
 * These bytes of a function's configuration space were written, and that has been answered. If its BARs may have moved by
 * it, they are looked at, and its memory ranges routed there. By rule these are BAR 0, and BAR 2 and 4 if there are as many, 32 bits
 * wide, and the ranges behind the one of the configuration space in the row of the kind (proto/devices.def); the last of these may be an
 * expansion ROM.
 */
void pci_config_written(struct pci_bus *p, struct route_table *routes, const struct route_range *config, pci_read_fn *read,
			void *ctx, unsigned vcpu, uint64_t addr, unsigned size);

/* Another process has seen the writes until now: all BARs are looked at. Before the guest runs. */
void pci_find_bars(struct pci_bus *p, struct route_table *routes, pci_read_fn *read, void *ctx);

/* Is that range the configuration space of a function? */
static inline bool pci_is_config(const struct route_range *r)
{
	return r->base - LAYOUT_ECAM_BASE < LAYOUT_ECAM_SIZE;
}

#endif
