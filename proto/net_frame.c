/* SPDX-License-Identifier: MIT */
/* Frames with virtio's header: see net_frame.h. */
#include "net_frame.h"

#include <string.h>

/* RFC 1071, over what lies there: the pseudo header's part stands in the checksum's field already (5.1.6.2). */
static uint16_t checksum(const uint8_t *at, size_t bytes)
{
	uint64_t sum = 0;

	for (; bytes >= 4; at += 4, bytes -= 4) {
		uint32_t word;

		memcpy(&word, at, 4);
		sum += word;
	}
	if (bytes) {
		uint32_t word = 0;

		memcpy(&word, at, bytes);
		sum += word;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void complete(struct net_header *h, uint8_t *frame, size_t bytes)
{
	uint16_t sum = checksum(frame + h->csum_start, bytes - h->csum_start);

	memcpy(frame + h->csum_start + h->csum_offset, &sum, sizeof(sum));
	h->flags = 0;
	h->csum_start = h->csum_offset = 0;
}

static bool takes_segments(const struct net_header *h, uint64_t features)
{
	return (h->gso_type == NET_GSO_TCPV4 && features & NET_F_GUEST_TSO4) ||
	       (h->gso_type == NET_GSO_TCPV6 && features & NET_F_GUEST_TSO6);
}

bool net_frame_admit(uint8_t *message, size_t bytes, uint64_t features)
{
	struct net_header h;
	size_t frame = bytes - NET_HEADER;

	if (bytes < NET_FRAME_MIN)
		return false;
	memcpy(&h, message, sizeof(h));
	h.flags &= NET_NEEDS_CSUM | NET_DATA_VALID;
	if (h.gso_type != NET_GSO_NONE && !(takes_segments(&h, features) && h.flags & NET_NEEDS_CSUM && h.gso_size))
		return false;
	if (h.flags & NET_NEEDS_CSUM && (size_t)h.csum_start + h.csum_offset + 2 > frame)
		return false;
	if (!(features & NET_F_GUEST_CSUM)) {
		if (h.flags & NET_NEEDS_CSUM)
			complete(&h, message + NET_HEADER, frame);
		h.flags = 0;
	}
	if (h.gso_type == NET_GSO_NONE)
		h.hdr_len = h.gso_size = 0;
	memcpy(message, &h, sizeof(h));
	return true;
}
