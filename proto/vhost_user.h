/* SPDX-License-Identifier: MIT */
/*
 * Messages of the vhost-user protocol (QEMU, docs/interop/vhost-user.rst), as far as front-end and back-ends here use them. A
 * stream of frames: a header, then `size` bytes; descriptors ride on the first byte of theirs. Peers may be anybody's: what
 * comes is copied, and checked, by whom it is for.
 */
#ifndef BULKHEAD_PROTO_VHOST_USER_H
#define BULKHEAD_PROTO_VHOST_USER_H

#include <stddef.h>
#include <stdint.h>

enum vu_request {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4,
	VU_SET_MEM_TABLE = 5,
	VU_SET_LOG_BASE = 6,
	VU_SET_LOG_FD = 7,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_GET_CONFIG = 24,
	VU_SET_CONFIG = 25,
	VU_GET_INFLIGHT_FD = 31,
	VU_SET_INFLIGHT_FD = 32,
};

enum { VU_VERSION = 1, VU_VERSION_MASK = 3, VU_REPLY = 1 << 2, VU_NEED_REPLY = 1 << 3 };

/* Features beside the device's: 0 to 23 and 50 on are the device's own (virtio 1.2, 6). */
#define VU_F_LOG_ALL (1ull << 26)
#define VU_F_INDIRECT (1ull << 28)
#define VU_F_EVENT_IDX (1ull << 29)
#define VU_F_PROTOCOL_FEATURES (1ull << 30)
#define VU_F_VERSION_1 (1ull << 32)

#define VU_PROTOCOL_MQ (1ull << 0)
#define VU_PROTOCOL_REPLY_ACK (1ull << 3)
#define VU_PROTOCOL_CONFIG (1ull << 9)
#define VU_PROTOCOL_INFLIGHT (1ull << 12)

/* In the payload of SET_VRING_KICK and its kin: index in bits 7..0, and whether a descriptor is missing. */
#define VU_VRING_INDEX 0xffu
#define VU_VRING_NO_FD (1u << 8)

enum { VU_REGIONS = 8, VU_CONFIG_MAX = 256, VU_BODY_MAX = 268, VU_FRAME_MAX = 12 + VU_BODY_MAX };

struct vu_header {
	uint32_t request, flags, size;
};

struct vu_vring_state {
	uint32_t index, num;
};

struct vu_vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};

struct vu_region {
	uint64_t guest_addr, size, user_addr, mmap_offset;
};

struct vu_memory {
	uint32_t count, padding;
	struct vu_region regions[VU_REGIONS];
};

struct vu_config {
	uint32_t offset, size, flags;
	uint8_t region[VU_CONFIG_MAX];
};
enum { VU_CONFIG_HEADER = 12 };

struct vu_inflight {
	uint64_t mmap_size, mmap_offset;
	uint16_t queues, queue_size;
} __attribute__((packed));
enum { VU_INFLIGHT_PADDED = 24 };

/* A frame in memory, which has its body aligned: on the stream it follows the header at once (vu_at()). */
struct vu_message {
	struct vu_header header;
	union {
		uint64_t word;
		struct vu_vring_state state;
		struct vu_vring_addr addr;
		struct vu_memory memory;
		struct vu_config config;
		struct vu_inflight inflight;
		uint8_t bytes[VU_BODY_MAX];
	} body;
};

/* Where byte n of a frame lies. Bytes of the header and of the body are not read at once. */
static inline void *vu_at(struct vu_message *m, size_t n)
{
	return n < sizeof(m->header) ? (uint8_t *)&m->header + n : m->body.bytes + (n - sizeof(m->header));
}

_Static_assert(sizeof(struct vu_header) == 12 && sizeof(struct vu_vring_addr) == 40, "vhost-user");
_Static_assert(sizeof(struct vu_inflight) == 20 && sizeof(struct vu_memory) == 264, "vhost-user");
_Static_assert(sizeof(struct vu_config) == 268, "the largest payload");

#endif
