/* SPDX-License-Identifier: MIT */
/*
 * The setup header of a bzImage or zImage, read and checked (Documentation/x86/boot.rst). A field that the image's protocol
 * version does not have, or that is zero where zero says nothing, has the value that the protocol gives for it.
 */
#ifndef BULKHEAD_BOOT_SETUP_H
#define BULKHEAD_BOOT_SETUP_H

#include "loader.h"

struct setup {
	struct view file;
	unsigned version;    /* major << 8 | minor */
	struct view code;    /* the part that runs in protected mode */
	struct view payload; /* the kernel packed in it; size 0: it does not say where */
	uint64_t load;	     /* where `code` goes */
	uint64_t linked;     /* where the packed kernel was linked to run; 0: not known */
	uint64_t start;	     /* where the kernel will run when `code` has done its work, */
	uint64_t room;	     /* and how much it claims there, or the size of `code` if that is not known */
	uint64_t align;	     /* a power of two */
	uint64_t initrd_max; /* last byte that an initrd may occupy */
	bool relocatable;
	bool wide; /* has a 64-bit entry */
	uint8_t zero_page[BOOT_PAGE];
};

/* 0; -ENOEXEC (broken, or too old), -ENOMEM (the guest is too small), with a message. */
int setup_read(struct loader *l, struct setup *s);

/* First byte behind everything that the image claims. */
uint64_t setup_end(const struct setup *s);

#endif
