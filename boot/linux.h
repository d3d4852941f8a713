/* SPDX-License-Identifier: MIT */
/* The Linux setup header: offsets in the file and, the same, in the zero page (Documentation/x86/boot.rst).
 */
#ifndef BULKHEAD_BOOT_LINUX_H
#define BULKHEAD_BOOT_LINUX_H

enum {
	LINUX_HEADER = 0x1f1, /* first byte: setup_sects */
	LINUX_SETUP_SECTS = 0x1f1,
	LINUX_SYSSIZE = 0x1f4,
	LINUX_BOOT_FLAG = 0x1fe,
	LINUX_JUMP = 0x200,
	LINUX_MAGIC = 0x202,
	LINUX_VERSION = 0x206,
	LINUX_LOADER_TYPE = 0x210,
	LINUX_LOADFLAGS = 0x211,
	LINUX_CODE32_START = 0x214,
	LINUX_INITRD = 0x218,
	LINUX_INITRD_SIZE = 0x21c,
	LINUX_CMDLINE = 0x228,
	LINUX_INITRD_MAX = 0x22c,
	LINUX_ALIGNMENT = 0x230,
	LINUX_RELOCATABLE = 0x234,
	LINUX_XLOADFLAGS = 0x236,
	LINUX_CMDLINE_SIZE = 0x238,
	LINUX_PAYLOAD_OFFSET = 0x248,
	LINUX_PAYLOAD_LENGTH = 0x24c,
	LINUX_SETUP_DATA = 0x250,
	LINUX_PREF_ADDRESS = 0x258,
	LINUX_INIT_SIZE = 0x260,
	LINUX_HEADER_END_MIN = 0x264, /* after init_size */
	LINUX_HEADER_END_MAX = 0x290, /* the zero page has other things from here */
};

enum { LINUX_LOADED_HIGH = 1 << 0, LINUX_KASLR_FLAG = 1 << 1 };
enum { LINUX_XLF_KERNEL_64 = 1 << 0 };

#endif
