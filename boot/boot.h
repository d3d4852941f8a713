/* SPDX-License-Identifier: MIT */
/*
 * Loading a kernel image into guest memory: a pure library (images and RAM in, entry state out). The
 * sandboxed loader process (boot/main.c) and the single-process test machine call it. Images are hostile
 * input.
 */
#ifndef BULKHEAD_BOOT_BOOT_H
#define BULKHEAD_BOOT_BOOT_H

#include "../emu/core/cpu.h"
#include "../proto/display.h"
#include "../proto/topology.h"

#include <stddef.h>
#include <stdint.h>

enum boot_format {
	BOOT_AUTO,
	BOOT_BZIMAGE,	/* Linux, protocol 2.02 or newer, 64-bit or 32-bit entry */
	BOOT_ELF_LINUX, /* vmlinux: ELF entered with the Linux 64-bit or 32-bit protocol */
	BOOT_ELF_PVH,	/* ELF with a XEN_ELFNOTE_PHYS32_ENTRY note, 32-bit entry */
	BOOT_MULTIBOOT, /* Multiboot 1, 32-bit entry */
	BOOT_FLAT16,	/* raw image at 0, entered at 0000:0000 in real mode */
	BOOT_FLAT64,	/* raw image at 0x1000, entered there in long mode with memory identity-mapped */
	BOOT_FIRMWARE,	/* a PC's firmware, entered at its reset vector; it finds out the rest by itself */
	BOOT_FRAME,	/* ELF64 on the frame-port machine: long mode, nothing but page tables beside it; initrd[0] is its program */
};

/*
 * Guest RAM as the loader sees it: low part at guest-physical 0 (all of it RAM, 0xa0000..0xfffff too), high
 * part (may be empty) at 4 GiB, the place of firmware's image (empty without one) before that. It must read as zero: what an image wants zeroed is not touched, and so costs
 * no memory.
 */
struct boot_ram {
	uint8_t *low, *high, *rom;
	uint64_t low_size, high_size, rom_size;
};

struct boot_image {
	const uint8_t *data;
	size_t size;
	const char *name; /* for messages */
	/*
	 * Instead of `data`, for an initrd only: copies all of it to its place in guest memory. 0, or -errno,
	 * which boot_load() then returns.
	 */
	int (*fetch)(const struct boot_image *image, uint8_t *to);
	int fd; /* for fetch */
	const char *text; /* Multiboot: the module's own command line, behind its name; NULL: none */
};

enum { BOOT_INITRDS = 16 };

struct boot_request {
	struct boot_ram ram;
	struct boot_image kernel;
	/* Up to the first of size 0. Linux sees one initrd, the archives behind each other; Multiboot and PVH get modules. */
	struct boot_image initrd[BOOT_INITRDS];
	const char *cmdline;
	/* In front of cmdline, if the image is a Linux kernel; each is left out if cmdline says something else of it. */
	const char *const *linux_words;
	unsigned linux_word_count;
	bool only_linux; /* any other image is an error */
	enum boot_format format;
	unsigned vcpus;
	bool pci; /* there are PCI devices */
	struct display_spec display;
	bool ps2; /* there are a PS/2 keyboard and mouse */
	struct cpu_topology topology; /* all zeroes: one socket of so many cores */
};

struct boot_result {
	struct cpu cpu;		 /* entry state of vCPU 0 (starts from cpu_reset()) */
	enum boot_format format; /* what it turned out to be */
	uint64_t loaded_bytes;
	bool kaslr;	 /* a Linux kernel whose addresses were randomized */
	char note[160];	 /* after success: what the user may want to know, or empty */
	char error[256]; /* after a failure: one sentence naming file and field, and what to do */
};

/*
 * 0, or -ENOEXEC (not a kernel we know, or a broken one), -ENOMEM (does not fit in RAM), -E2BIG (command
 * line), -EINVAL (request itself), -EIO (host). On failure guest RAM is in an undefined state and
 * result->error is set.
 */
int boot_load(const struct boot_request *request, struct boot_result *result);

const char *boot_format_name(enum boot_format format);
/* "auto", "bzimage", "elf", "pvh", "multiboot", "flat16", "flat64", "frame": -EINVAL for anything else. */
int boot_format_parse(const char *name, enum boot_format *out);

#endif
