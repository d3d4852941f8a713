/* SPDX-License-Identifier: MIT */
/*
 * Registers are data: each chip lists its registers once, and write masks, posting, shadowing, trace names, the
 * documentation and the read-back test derive from that list.
 */
#ifndef BULKHEAD_PROTO_REG_H
#define BULKHEAD_PROTO_REG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * May a write be posted (the vCPU does not wait for it)? Only if its effect is visible solely through later messages
 * of the same ring: design.md, section 2, "Posting rule". Whatever can mask or drop an interrupt is synchronous.
 */
enum reg_post {
	REG_SYNC,
	REG_POSTED,
	REG_LAST,    /* synchronous, and the last thing that the processor does: the machine ends over it */
	REG_DROPPED, /* no effect whatever (POST code port, PCI data with no device): need not be sent at all */
};

/* How a read may be answered without a round trip. REG_ROUND_TRIP: not at all. */
enum reg_shadow {
	REG_ROUND_TRIP,
	REG_SHADOW_VALUE, /* the value itself is in the SHADOW page while its valid bit is set */
	REG_SHADOW_TIME,  /* a function of time published as (base, rate): PM timer, port 61h */
};

/*
 * Classes of posted operations. A shadow value names the classes it depends on: it counts only when all posted
 * operations of those classes have been applied by the daemon.
 */
enum reg_class {
	CLASS_CONFIG = 1 << 0, /* everything that is not named below */
	CLASS_TXDATA = 1 << 1, /* UART transmit data: does not change LSR as long as the daemon has credit */
	CLASS_INDEX = 1 << 2,  /* index and flip-flop registers (CMOS index, PCI config address) */
};

/* A row is used only for an access of exactly its offset and size; every other access is synchronous. */
struct reg_desc {
	const char *name;
	uint16_t offset;      /* from the base of the chip's range */
	uint8_t size;	      /* natural width in bytes */
	bool readable, writable;
	uint64_t reset;	      /* value read after power-on where that is defined */
	uint64_t write_mask;  /* bits that a write changes; the others keep their value */
	enum reg_post post;
	enum reg_class class; /* of a posted write */
	enum reg_shadow shadow;
	uint8_t depends;      /* enum reg_class bits that a shadowed read depends on */
	/* Registers that share an address (8259 ICW1, OCW2, OCW3): a write is posted only if (value & post_mask) ==
	 * post_match; others are synchronous. Both 0: always as `post` says. */
	uint64_t post_mask, post_match;
	/* The data register behind an index, which is the byte before it: of each index, the bits that read as they were written last,
	 * if nothing else does to the device what these two do not; 0: ask. NULL: none (vmm/vcpu/echo.h). */
	const uint8_t *echo;
	uint8_t echo_count, echo_index_mask;
};

/* What an access of so many bytes reads where nobody answers; also the mask of what it carries. */
static inline uint64_t reg_all_ones(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (1ull << 8 * size) - 1;
}

#endif
