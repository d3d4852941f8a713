/* SPDX-License-Identifier: MIT */
/*
 * Where the pieces of the guest's memory object appear to the guest. They lie in the object behind each other, in the order of
 * their addresses: RAM below 4 GiB, in a machine that starts with firmware its image, which ends at 4 GiB, and RAM above.
 * The image takes part of what --memory says, as a board's own memory does: no other object has to be known to anybody.
 */
#ifndef BULKHEAD_PROTO_MEMORY_MAP_H
#define BULKHEAD_PROTO_MEMORY_MAP_H

#include "layout.h"

#include <stdint.h>

struct memory_map {
	uint64_t low, rom, high; /* bytes of each */
};

/* `bytes` are all; `rom` 0: no firmware. Firmware wants more room for devices below 4 GiB. */
static inline struct memory_map memory_map(uint64_t bytes, uint64_t rom)
{
	const uint64_t most = rom ? LAYOUT_RAM_LOW_FIRMWARE : LAYOUT_RAM_LOW_MAX;
	const uint64_t ram = bytes > rom ? bytes - rom : 0, low = ram < most ? ram : most;

	return (struct memory_map){ .low = low, .rom = bytes - ram, .high = ram - low };
}

/* The image's first byte. */
static inline uint64_t memory_map_rom(const struct memory_map *m)
{
	return LAYOUT_RAM_HIGH_BASE - m->rom;
}

#endif
