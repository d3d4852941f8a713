/* SPDX-License-Identifier: MIT */
/* The type 0 configuration header (PCI Local Bus 3.0, 6.1 and 6.2), as far as somebody here has it. */
#ifndef BULKHEAD_DEVICES_CHIPS_PCI_CONFIG_H
#define BULKHEAD_DEVICES_CHIPS_PCI_CONFIG_H

enum {
	PCI_VENDOR_ID = 0x00,
	PCI_DEVICE_ID = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_CLASS_SUB = 0x0a,
	PCI_CLASS_BASE = 0x0b,
	PCI_CACHE_LINE = 0x0c,
	PCI_BAR0 = 0x10,
	PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
	PCI_SUBSYSTEM_ID = 0x2e,
	PCI_CAPABILITIES = 0x34,
	PCI_INTERRUPT_LINE = 0x3c,
	PCI_INTERRUPT_PIN = 0x3d,
	PCI_HEADER_BYTES = 0x40,
	PCI_CONFIG_BYTES = 0x100, /* behind it, in ECAM, is the extended space: empty here */
};

enum { PCI_COMMAND_MEMORY = 1 << 1, PCI_COMMAND_MASTER = 1 << 2, PCI_COMMAND_NO_INTX = 1 << 10 };
enum { PCI_STATUS_INTX = 1 << 3, PCI_STATUS_CAPABILITIES = 1 << 4 };
enum { PCI_CLASS_STORAGE = 0x01, PCI_CLASS_BRIDGE = 0x06 };
enum { PCI_CAP_MSIX = 0x11, PCI_CAP_VENDOR = 0x09 };

/* Mechanism 1 (3.2.2.3.2): CONFIG_ADDRESS. */
enum { PCI_CONFIG_ADDRESS = 0xcf8, PCI_CONFIG_DATA = 0xcfc };
#define PCI_ADDRESS_ENABLE 0x80000000u

#endif
