/* SPDX-License-Identifier: MIT */
/*
 * NOR flash with Intel's command set (Intel 28F640J3 data sheet, "Bus operations" and "Command definitions"), a byte wide, erased in blocks of 4 KiB,
 * as a PC's firmware keeps its variables in. What OVMF's driver looks for to find out that it is flash (EDK2,
 * OvmfPkg/QemuFlashFvbServicesRuntimeDxe) is as QEMU has it: clearing the status takes its ready bit, too, and reads are of the
 * array from then on. There are no locks and no CFI query.
 *
 * The chip's state is what it was told; its content is the caller's, and stays.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_PFLASH_H
#define BULKHEAD_DEVICES_CHIPS_PFLASH_H

#include <stdbool.h>
#include <stdint.h>

enum { PFLASH_BLOCK = 4096, PFLASH_BUFFER = 256 };
enum { PFLASH_READY = 0x80, PFLASH_ERASE_FAILED = 0x20, PFLASH_PROGRAM_FAILED = 0x10 }; /* status */

struct pflash {
	uint8_t command; /* that is under way or that says what reads are of */
	uint8_t step;	 /* writes that it has taken */
	uint8_t status;
	uint8_t last;	 /* of a buffer: bytes that are to come, less one */
	uint16_t taken;	 /* of it */
	uint32_t start;	 /* where it begins */
	uint8_t buffer[PFLASH_BUFFER];
};

/* Bytes of the content that have changed; `bytes` 0: none. */
struct pflash_change {
	uint32_t at, bytes;
};

/* Power-on, and a reset: reads are of the array. */
void pflash_reset(struct pflash *f);
bool pflash_reads_array(const struct pflash *f);
/* `at` lies within the content. */
uint8_t pflash_read(const struct pflash *f, const uint8_t *content, uint32_t at);
/* `size` is a multiple of PFLASH_BLOCK, and `at` below it. Programming takes ones away, as on the chip. */
struct pflash_change pflash_write(struct pflash *f, uint8_t *content, uint32_t size, uint32_t at, uint8_t value);
/* The last change could not be kept: the status says so. */
void pflash_failed(struct pflash *f);
bool pflash_is_possible(const struct pflash *f);

#endif
