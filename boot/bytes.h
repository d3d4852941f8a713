/* SPDX-License-Identifier: MIT */
/* Little-endian values in bytes; the caller has checked the range. */
#ifndef BULKHEAD_BOOT_BYTES_H
#define BULKHEAD_BOOT_BYTES_H

#include <stdint.h>

static inline uint16_t boot_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t boot_le32(const uint8_t *p)
{
	return boot_le16(p) | (uint32_t)boot_le16(p + 2) << 16;
}

static inline uint64_t boot_le64(const uint8_t *p)
{
	return boot_le32(p) | (uint64_t)boot_le32(p + 4) << 32;
}

static inline void boot_set16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

static inline void boot_set32(uint8_t *p, uint32_t value)
{
	boot_set16(p, (uint16_t)value);
	boot_set16(p + 2, (uint16_t)(value >> 16));
}

static inline void boot_set64(uint8_t *p, uint64_t value)
{
	boot_set32(p, (uint32_t)value);
	boot_set32(p + 4, (uint32_t)(value >> 32));
}

#endif
