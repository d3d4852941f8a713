/* SPDX-License-Identifier: MIT */
/*
 * The least of a PC's firmware: there is none, but guests call it. Interrupts of real mode return with the carry flag set,
 * which is how services say that they do not exist; hardware interrupts are acknowledged and forgotten; the reset
 * vector, where a processor would start and where Linux jumps with reboot=b, resets the machine.
 */
#include "loader.h"

#include <string.h>

enum {
	SEGMENT = 0xf000,
	SERVICE = 0xff00, /* offsets in the segment */
	MASTER_IRQ = 0xff10,
	SLAVE_IRQ = 0xff20,
	RESET = 0xff30,
	RESET_VECTOR = 0xfff0,
	VECTORS = 256,
};

static const uint8_t service[] = {
	0x55,			/* push bp */
	0x89, 0xe5,		/* mov bp, sp */
	0x80, 0x4e, 0x06, 0x01, /* or byte [bp+6], 1: CF of the flags that IRET pops */
	0x5d,			/* pop bp */
	0xcf,			/* iret */
};
static const uint8_t master_irq[] = {
	0x50,	    /* push ax */
	0xb0, 0x20, /* mov al, 20h: end of interrupt */
	0xe6, 0x20, /* out 20h, al */
	0x58,	    /* pop ax */
	0xcf,	    /* iret */
};
static const uint8_t slave_irq[] = {
	0x50, 0xb0, 0x20, 0xe6, 0xa0, /* out a0h, al: the second 8259, then the first */
	0xe6, 0x20, 0x58, 0xcf,
};
static const uint8_t reset[] = {
	0xfa,		  /* cli */
	0xba, 0xf9, 0x0c, /* mov dx, cf9h */
	0xb0, 0x06,	  /* mov al, 6: full reset */
	0xee,		  /* out dx, al */
	0xf4,		  /* hlt */
	0xeb, 0xfd,	  /* jmp to it */
};
/* A far jump, the date of the firmware, the model byte of a PC/AT (IBM PC/AT Technical Reference, ROM BIOS). */
static const uint8_t reset_vector[16] = {
	0xea, RESET & 0xff, RESET >> 8, SEGMENT & 0xff, SEGMENT >> 8,
	'0', '1', '/', '0', '1', '/', '7', '0', 0, 0xfc, 0,
};

/* IRQ 0 to 7 are vectors 08 to 0f, IRQ 8 to 15 vectors 70 to 77, as a PC's firmware programs the controllers. */
static unsigned handler_of(unsigned vector)
{
	if (vector >= 0x08 && vector <= 0x0f)
		return MASTER_IRQ;
	if (vector >= 0x70 && vector <= 0x77)
		return SLAVE_IRQ;
	return vector == 0x18 || vector == 0x19 ? RESET : SERVICE; /* no system to load: start again */
}

static int put_code(struct loader *l, unsigned offset, const uint8_t *code, size_t bytes)
{
	return boot_put(l, (uint64_t)SEGMENT * 16 + offset, code, bytes);
}

int boot_put_bios(struct loader *l, bool low)
{
	int err = put_code(l, SERVICE, service, sizeof(service));

	_Static_assert(SEGMENT * 16 + SERVICE == BOOT_BIOS_CODE, "loader.h says where it is");
	if (err == 0)
		err = put_code(l, MASTER_IRQ, master_irq, sizeof(master_irq));
	if (err == 0)
		err = put_code(l, SLAVE_IRQ, slave_irq, sizeof(slave_irq));
	if (err == 0)
		err = put_code(l, RESET, reset, sizeof(reset));
	if (err == 0)
		err = put_code(l, RESET_VECTOR, reset_vector, sizeof(reset_vector));
	for (unsigned n = 0; n < VECTORS && low && err == 0; n++) {
		uint8_t vector[4];

		boot_set16(vector, (uint16_t)handler_of(n));
		boot_set16(vector + 2, SEGMENT);
		err = boot_put(l, 4 * n, vector, sizeof(vector));
	}
	return err;
}
