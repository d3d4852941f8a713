/* SPDX-License-Identifier: MIT */
/*
 * The machine's fixed addresses and wiring: what the loader tells the guest (ACPI, MP table, E820), what the vcpu process
 * routes, and what the daemons answer must agree, so they all read this page.
 */
#ifndef BULKHEAD_PROTO_LAYOUT_H
#define BULKHEAD_PROTO_LAYOUT_H

#define LAYOUT_RAM_LOW_MAX 0xc0000000ull /* RAM below 4 GiB ends here at the latest; the rest starts at 4 GiB */
#define LAYOUT_RAM_LOW_FIRMWARE 0x80000000ull /* the same in a machine that starts with firmware, which has PCI memory above */
#define LAYOUT_RAM_HIGH_BASE 0x100000000ull
#define LAYOUT_RAM_MAX (64ull << 30)
/* What decoded and translated code may take in the host, of all processors together. */
#define LAYOUT_CODE_CACHE_MIN (8ull << 20)
#define LAYOUT_CODE_CACHE_MAX (2ull << 30)

#define LAYOUT_IOAPIC_BASE 0xfec00000ull
#define LAYOUT_IOAPIC_SIZE 0x1000u
#define LAYOUT_HPET_BASE 0xfed00000ull
#define LAYOUT_HPET_SIZE 0x400u
#define LAYOUT_HPET_LINES 0x00f00000u /* pins 20 to 23, as on Intel's south bridges */
#define LAYOUT_LAPIC_BASE 0xfee00000ull
/* Of a machine that has PCI devices: where BARs may be, and the configuration space of bus 0 as memory (ECAM). */
#define LAYOUT_PCI_BASE 0xc0000000ull
#define LAYOUT_PCI_SIZE 0x20000000u
#define LAYOUT_ECAM_BASE 0xe0000000ull
#define LAYOUT_ECAM_FUNCTION 0x1000u
#define LAYOUT_ECAM_DEVICE 0x8000u
#define LAYOUT_ECAM_SIZE 0x100000u
/* Of a machine that starts with firmware: its image ends at 4 GiB; ECAM answers in a second place, where SeaBIOS wants it; BARs may be
 * from the end of RAM to ECAM, and behind it up to the IOAPIC. */
#define LAYOUT_ROM_MIN 0x10000u
#define LAYOUT_ROM_MAX 0x1000000u
#define LAYOUT_ROM_SHADOW 0x20000u /* its last bytes are below 1 MiB, too */
#define LAYOUT_ECAM_OTHER 0xb0000000ull
#define LAYOUT_ECAM_BUSES 0x10000000u /* bytes of all buses, of which there is the first */
/* In the last bytes below 4 GiB lies its image, and before that what it keeps: together they have this much. */
#define LAYOUT_FLASH_BYTES 0x800000u
#define LAYOUT_FLASH_BASE (0x100000000ull - LAYOUT_FLASH_BYTES)
#define LAYOUT_LPC_DEVICE 31 /* 00:1f.0 */
#define LAYOUT_PCI_LINE 10 /* INTA# of device n is interrupt 10 + n % 2, of the 8259s as of the IOAPIC; level, active high */
#define LAYOUT_PCI_LINES 2
#define LAYOUT_PCI_LINE_OF(device) (LAYOUT_PCI_LINE + (device) % LAYOUT_PCI_LINES)
#define LAYOUT_IOAPIC_ID 0 /* APIC ids of processors and IOAPIC are separate spaces on anything newer than a P6 */
#define LAYOUT_IOAPIC_PINS 24

#define LAYOUT_PM_BASE 0x600	  /* PM1a event block, 4 bytes: PM1_STS, PM1_EN */
#define LAYOUT_PM1_EVT 0x600
#define LAYOUT_PM1_CNT 0x604	  /* PM1a control block, 2 bytes */
#define LAYOUT_PM_TIMER 0x608	  /* 4 bytes, 24 bit counter, 3.579545 MHz */
#define LAYOUT_PM_TIMER_HZ 3579545u
#define LAYOUT_RESET_PORT 0xcf9	  /* FADT reset register */
#define LAYOUT_RESET_VALUE 0x06
#define LAYOUT_SLP_TYP_S5 5	  /* DSDT \_S5 */
#define LAYOUT_SCI_IRQ 9	  /* level, active high in MADT override */

#define LAYOUT_COM1 0x3f8
#define LAYOUT_COM2 0x2f8
#define LAYOUT_COM3 0x3e8
#define LAYOUT_COM4 0x2e8
#define LAYOUT_COM1_IRQ 4 /* and COM3 */
#define LAYOUT_COM2_IRQ 3 /* and COM4 */
#define LAYOUT_RTC_IRQ 8
#define LAYOUT_PIT_IRQ 0  /* IOAPIC pin 2 */
#define LAYOUT_PIT_PIN 2
#define LAYOUT_KBD_IRQ 1
#define LAYOUT_AUX_IRQ 12

#define LAYOUT_EXIT_PORT 0x501	    /* as QEMU's isa-debug-exit: code = (value << 1) | 1 */
#define LAYOUT_EXIT_PORT_ALT 0xf4   /* the same */
#define LAYOUT_EXIT_PLAIN_PORT 0x01 /* tiny guests: the byte is the exit code */
#define LAYOUT_PVPANIC_PORT 0x505   /* as QEMU's pvpanic on the ISA bus */
#define LAYOUT_READY_PORT 0x506	    /* the guest is ready, whatever it writes */
#define LAYOUT_DEBUG_PORT 0xe9	    /* reads back e9h, as Bochs */
#define LAYOUT_DEBUG_PORT_ALT 0x402
#define LAYOUT_DEBUG_PORT_TINY 0x10 /* tiny guests */

/* A PC's framebuffer: at the end of PCI's window, where firmware would put its BAR. The legacy window is the adapter's memory. */
#define LAYOUT_SCREEN_BASE 0xdf000000ull
#define LAYOUT_SCREEN_BYTES 0x1000000u
#define LAYOUT_SCREEN_DEVICE 31 /* on the PCI bus: behind all that are numbered from 1 on */
#define LAYOUT_SCREEN_REGISTERS (LAYOUT_SCREEN_BASE - 0x1000)
#define LAYOUT_SCREEN_REGISTERS_BYTES 0x1000u
#define LAYOUT_VGA_BASE 0xa0000ull
#define LAYOUT_VGA_BYTES 0x20000u

/* --platform frame: where such a machine has what */
#define LAYOUT_FRAME_RAM (64ull << 20)
#define LAYOUT_FRAME_MAPPED (1ull << 30) /* to itself, in 2 MiB pages */
#define LAYOUT_FRAME_TABLES 0x1000ull	 /* PML4, PDPT, one page directory; behind them the GDT */
#define LAYOUT_FRAME_TABLES_END 0x5000ull
#define LAYOUT_FRAME_STACK 0x1f0000ull /* top */
#define LAYOUT_FRAME_PORT 0xf5
#define LAYOUT_FRAME_MAILBOX 0xf00000ull
#define LAYOUT_FRAME_MAILBOX_BYTES 0x1000ull
#define LAYOUT_FRAME_BUFFER 0x1000000ull
#define LAYOUT_FRAME_WIDTH 640u
#define LAYOUT_FRAME_HEIGHT 480u
#define LAYOUT_FRAME_BUFFER_BYTES (LAYOUT_FRAME_WIDTH * LAYOUT_FRAME_HEIGHT * 4ull)
#define LAYOUT_FRAME_PROGRAM 0x2000000ull /* of --program: its length, 8 bytes of nothing, its bytes */
#define LAYOUT_FRAME_PROGRAM_BYTES 16u	  /* before its bytes */

#endif
