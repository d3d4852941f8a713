/* SPDX-License-Identifier: MIT */
/*
 * Control messages on SOCK_SEQPACKET sockets: one frame per packet, a 16-byte header, a protobuf body, descriptors as
 * SCM_RIGHTS. Everything is checked before it is believed: length, type, number of descriptors; bodies are decoded into
 * a bounded arena.
 */
#ifndef BULKHEAD_PROTO_FRAME_H
#define BULKHEAD_PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control.pb-c.h"

enum { FRAME_BODY_MAX = 64 * 1024, FRAME_FDS_MAX = 128, FRAME_ARENA = 128 * 1024 };
/* What the answer to TAKE brings, in this order. */
enum frame_take_fd { FRAME_TAKE_STATE, FRAME_TAKE_RAM, FRAME_TAKE_STASH_WRITE, FRAME_TAKE_STASH_READ, FRAME_TAKE_FDS };
#define FRAME_MAGIC 0x4842u

/* DEBUG_MEMORY moves at most so many bytes. */
enum { FRAME_DEBUG_BYTES = 16384 };

struct frame_header {
	uint16_t magic;
	uint16_t type; /* MessageType of control.proto */
	uint32_t len;  /* of the body */
	uint32_t id;   /* chosen by the requester, repeated in the reply; 0 in events */
	uint16_t flags; /* 0 */
	uint16_t nfds;
};
_Static_assert(sizeof(struct frame_header) == 16 && offsetof(struct frame_header, id) == 8, "frame header");

/* Large: keep one static per channel. frame_recv() overwrites it; `msg` and strings in it live until then. */
struct frame {
	struct frame_header header;
	ProtobufCMessage *msg; /* of the type that header.type says */
	int fds[FRAME_FDS_MAX]; /* owned by the frame: take one by setting it to -1 */
	unsigned fd_count;
	size_t arena_used;
	uint8_t packet[sizeof(struct frame_header) + FRAME_BODY_MAX];
	_Alignas(16) uint8_t arena[FRAME_ARENA];
};

/*
 * Receives one frame. Received descriptors are close-on-exec.
 *
 * 0           frame->msg is decoded; on any error below all descriptors of the packet have been closed
 * -EAGAIN     nothing there (non-blocking socket)
 * -ECONNRESET the peer is gone (also: end of file)
 * -EMSGSIZE   longer than a frame may be, or the header's length disagrees with the packet
 * -EPROTO     wrong magic, unknown type, flags
 * -EBADMSG    the body cannot be decoded (or not within the arena), or the number of descriptors disagrees
 */
int frame_recv(int sock, struct frame *frame);

/* Closes descriptors that nobody took. */
void frame_close_fds(struct frame *frame);

/*
 * Sends one frame; never raises SIGPIPE. `fds` stay the caller's.
 * 0, -EMSGSIZE, -EAGAIN (non-blocking or `dontwait`: the peer does not read), or the errno of sendmsg (-EPIPE, ...)
 */
int frame_send(int sock, uint16_t type, uint32_t id, const ProtobufCMessage *msg, const int *fds, unsigned nfds);
int frame_send_dontwait(int sock, uint16_t type, uint32_t id, const ProtobufCMessage *msg);

/* Replies. `field` may be NULL. */
int frame_reply_ok(int sock, uint32_t id);
int frame_reply_error(int sock, uint32_t id, int code, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/*
 * Request and reply in one, for the requester: sends, waits up to timeout_ms for the reply with the same id (others are
 * dropped). 0: frame holds MSG_OK (or MSG_ERROR); -ETIMEDOUT; or as frame_send and frame_recv.
 */
int frame_call(int sock, struct frame *frame, uint16_t type, uint32_t id, const ProtobufCMessage *msg, const int *fds,
	       unsigned nfds, int timeout_ms);

const char *frame_type_name(uint16_t type);
const ProtobufCMessageDescriptor *frame_type_descriptor(uint16_t type);

#endif
