/* SPDX-License-Identifier: MIT */
/* Frames of the control protocol: see frame.h. */
#include "frame.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

struct frame_type {
	const char *name;
	const ProtobufCMessageDescriptor *descriptor;
	uint16_t fds_min, fds_max; /* of any role; control_check.h knows the exact number */
};

#define TYPE(id, name, message, min, max) \
	[BULKHEAD__MESSAGE_TYPE__MSG_##id] = { name, &bulkhead__##message##__descriptor, min, max }
static const struct frame_type types[] = {
	TYPE(OK, "OK", ok, 0, FRAME_TAKE_FDS),
	TYPE(ERROR, "ERROR", error, 0, 0),
	TYPE(HELLO, "HELLO", hello, 0, 1),
	TYPE(SETUP_DEVICE, "SETUP_DEVICE", setup_device, 7, FRAME_FDS_MAX),
	TYPE(SETUP_VCPU, "SETUP_VCPU", setup_vcpu, 3, FRAME_FDS_MAX),
	TYPE(SETUP_BOOT, "SETUP_BOOT", setup_boot, 2, FRAME_FDS_MAX),
	TYPE(RUN, "RUN", empty, 0, 0),
	TYPE(PAUSE, "PAUSE", empty, 0, 0),
	TYPE(STATS, "STATS", empty, 0, 0),
	TYPE(QUIESCE, "QUIESCE", quiesce, 0, 0),
	TYPE(POWER_BUTTON, "POWER_BUTTON", empty, 0, 0),
	TYPE(SET_LOG, "SET_LOG", set_log, 0, 0),
	TYPE(EVENT, "EVENT", event, 0, 0),
	TYPE(STATUS, "STATUS", empty, 0, 0),
	TYPE(STOP, "STOP", stop, 0, 0),
	TYPE(KILL, "KILL", empty, 0, 0),
	TYPE(WAIT, "WAIT", empty, 0, 0),
	TYPE(DEVICE_RESTART, "DEVICE_RESTART", device_name, 0, 0),
	TYPE(DEVICE_REPLACE, "DEVICE_REPLACE", device_name, 1, 1),
	TYPE(DEVICE_STATE, "DEVICE_STATE", device_state, 0, 0),
	TYPE(FENCE, "FENCE", empty, 0, 0),
	TYPE(ROUTE_ADD, "ROUTE_ADD", route_add, 0, 0),
	TYPE(SAVE, "SAVE", state_part, 0, 0),
	TYPE(RESTORE, "RESTORE", state_part, 0, 0),
	TYPE(TAKE, "TAKE", empty, 0, 0),
	TYPE(ENGINE, "ENGINE", engine, 0, 0),
	TYPE(DEVICE_CAPTURE, "DEVICE_CAPTURE", device_name, 0, 0),
	TYPE(LINK, "LINK", empty, 0, 1),
	TYPE(SETUP_VIRTIO, "SETUP_VIRTIO", setup_virtio, 10, 10),
	TYPE(HOLD_LINES, "HOLD_LINES", hold_lines, 0, 0),
	TYPE(CONSOLE, "CONSOLE", console_attach, 0, 0),
	TYPE(CONSOLE_CLIENT, "CONSOLE_CLIENT", console_attach, 1, 1),
	TYPE(SCREEN, "SCREEN", empty, 0, 0),
	TYPE(INPUT, "INPUT", empty, 0, 0),
	TYPE(COUNTERS, "COUNTERS", empty, 0, 0),
	TYPE(WATCH, "WATCH", watch, 0, 0),
	TYPE(NEWS, "NEWS", news, 0, 0),
	TYPE(REOPEN_LOG, "REOPEN_LOG", empty, 1, 1),
	TYPE(DEBUG_CHANNEL, "DEBUG_CHANNEL", debug_channel, 1, 1),
	TYPE(DEBUG_END, "DEBUG_END", empty, 0, 0),
	TYPE(DEBUG_CLIENT, "DEBUG_CLIENT", empty, 1, 1),
	TYPE(DEBUG_HOLD, "DEBUG_HOLD", empty, 0, 0),
	TYPE(DEBUG_GO, "DEBUG_GO", debug_go, 0, 0),
	TYPE(DEBUG_MEMORY, "DEBUG_MEMORY", debug_memory, 0, 0),
	TYPE(DEBUG_STATE, "DEBUG_STATE", state_part, 0, 0),
	TYPE(DEBUG_INFO, "DEBUG_INFO", debug_info, 0, 0),
	TYPE(DEBUG_HELD, "DEBUG_HELD", debug_held, 0, 0),
};
#undef TYPE

static const struct frame_type *find_type(uint16_t type)
{
	return type < sizeof(types) / sizeof(types[0]) && types[type].name ? &types[type] : NULL;
}

const char *frame_type_name(uint16_t type)
{
	const struct frame_type *t = find_type(type);

	return t ? t->name : "unknown";
}

const ProtobufCMessageDescriptor *frame_type_descriptor(uint16_t type)
{
	const struct frame_type *t = find_type(type);

	return t ? t->descriptor : NULL;
}

/* Bump allocation out of the frame: a hostile body cannot make us allocate without bound. */
static void *arena_alloc(void *ctx, size_t size)
{
	struct frame *f = ctx;
	size_t need = (size + 15) & ~(size_t)15;
	void *p;

	if (size > FRAME_ARENA || need > FRAME_ARENA - f->arena_used)
		return NULL;
	p = f->arena + f->arena_used;
	f->arena_used += need;
	return p;
}

static void arena_free(void *ctx, void *p)
{
	(void)ctx;
	(void)p;
}

void frame_close_fds(struct frame *f)
{
	for (unsigned i = 0; i < f->fd_count; i++) {
		if (f->fds[i] >= 0)
			close(f->fds[i]);
		f->fds[i] = -1;
	}
	f->fd_count = 0;
}

/* More than we have room for are closed at once. */
static void keep_fds(struct frame *f, const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (f->fd_count < FRAME_FDS_MAX)
			f->fds[f->fd_count++] = fds[i];
		else
			close(fds[i]);
	}
}

static void collect_fds(struct frame *f, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		int fds[FRAME_FDS_MAX];
		size_t bytes = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || bytes > sizeof(fds))
			continue;
		memcpy(fds, CMSG_DATA(c), bytes);
		keep_fds(f, fds, bytes / sizeof(int));
	}
}

static int receive_packet(int sock, struct frame *f, size_t *len)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * FRAME_FDS_MAX)];
	struct iovec iov = { f->packet, sizeof(f->packet) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	collect_fds(f, &msg);
	if (n == 0)
		return -ECONNRESET;
	if (msg.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	if (msg.msg_flags & MSG_CTRUNC)
		return -EBADMSG;
	*len = (size_t)n;
	return 0;
}

static int check_header(const struct frame *f, size_t len, const struct frame_type **type)
{
	const struct frame_header *h = &f->header;

	*type = find_type(h->type);
	if (h->magic != FRAME_MAGIC || h->flags != 0 || !*type)
		return -EPROTO;
	if (h->len > FRAME_BODY_MAX || h->len != len - sizeof(*h))
		return -EMSGSIZE;
	if (h->nfds != f->fd_count || h->nfds < (*type)->fds_min || h->nfds > (*type)->fds_max)
		return -EBADMSG;
	return 0;
}

static int decode(struct frame *f, size_t len)
{
	ProtobufCAllocator allocator = { arena_alloc, arena_free, f };
	const struct frame_type *type;
	int err;

	if (len < sizeof(f->header))
		return -EMSGSIZE;
	memcpy(&f->header, f->packet, sizeof(f->header));
	err = check_header(f, len, &type);
	if (err)
		return err;
	f->msg = protobuf_c_message_unpack(type->descriptor, &allocator, f->header.len, f->packet + sizeof(f->header));
	return f->msg ? 0 : -EBADMSG;
}

int frame_recv(int sock, struct frame *f)
{
	size_t len = 0;
	int err;

	f->msg = NULL;
	f->fd_count = 0;
	f->arena_used = 0;
	err = receive_packet(sock, f, &len);
	if (!err)
		err = decode(f, len);
	if (err)
		frame_close_fds(f);
	return err;
}

static ssize_t send_with_fds(int sock, void *packet, size_t len, const int *fds, unsigned nfds, int flags)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * FRAME_FDS_MAX)] = { 0 };
	struct iovec iov = { packet, len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(sizeof(int) * nfds)
	};
	struct cmsghdr *c = (struct cmsghdr *)control;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	return sendmsg(sock, &msg, flags);
}

/* Most processes have send() on their list of calls, and no call that could pass a descriptor on. */
static int send_packet(int sock, void *packet, size_t len, const int *fds, unsigned nfds, int flags)
{
	ssize_t n;

	do
		n = nfds ? send_with_fds(sock, packet, len, fds, nfds, MSG_NOSIGNAL | flags)
			 : send(sock, packet, len, MSG_NOSIGNAL | flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return 0;
}

static int pack_and_send(int sock, void *packet, size_t body, const struct frame_header *header,
			 const ProtobufCMessage *msg, const int *fds, int flags)
{
	memcpy(packet, header, sizeof(*header));
	protobuf_c_message_pack(msg, (uint8_t *)packet + sizeof(*header));
	return send_packet(sock, packet, sizeof(*header) + body, fds, header->nfds, flags);
}

/* Apart, so that the usual short message does not touch 64 KiB of stack. */
static int __attribute__((noinline)) send_long(int sock, size_t body, const struct frame_header *header,
					       const ProtobufCMessage *msg, const int *fds, int flags)
{
	uint8_t packet[sizeof(*header) + FRAME_BODY_MAX];

	return pack_and_send(sock, packet, body, header, msg, fds, flags);
}

static int send_frame(int sock, uint16_t type, uint32_t id, const ProtobufCMessage *msg, const int *fds, unsigned nfds,
		      int flags)
{
	uint8_t packet[2048];
	size_t body = protobuf_c_message_get_packed_size(msg);
	struct frame_header header = { FRAME_MAGIC, type, (uint32_t)body, id, 0, (uint16_t)nfds };

	if (body > FRAME_BODY_MAX || nfds > FRAME_FDS_MAX)
		return -EMSGSIZE;
	if (body > sizeof(packet) - sizeof(header))
		return send_long(sock, body, &header, msg, fds, flags);
	return pack_and_send(sock, packet, body, &header, msg, fds, flags);
}

int frame_send(int sock, uint16_t type, uint32_t id, const ProtobufCMessage *msg, const int *fds, unsigned nfds)
{
	return send_frame(sock, type, id, msg, fds, nfds, 0);
}

int frame_send_dontwait(int sock, uint16_t type, uint32_t id, const ProtobufCMessage *msg)
{
	return send_frame(sock, type, id, msg, NULL, 0, MSG_DONTWAIT);
}

int frame_reply_ok(int sock, uint32_t id)
{
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;

	return frame_send(sock, BULKHEAD__MESSAGE_TYPE__MSG_OK, id, &ok.base, NULL, 0);
}

int frame_reply_error(int sock, uint32_t id, int code, const char *field, const char *fmt, ...)
{
	Bulkhead__Error error = BULKHEAD__ERROR__INIT;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	error.has_code = true;
	error.code = code < 0 ? -code : code;
	error.text = text;
	error.field = (char *)(uintptr_t)field;
	return frame_send(sock, BULKHEAD__MESSAGE_TYPE__MSG_ERROR, id, &error.base, NULL, 0);
}

/* For poll(): not less than `ns`, and not the -1 that would mean for ever. */
static int poll_ms(uint64_t ns)
{
	return ns / CLOCK_NS_PER_MS < INT_MAX ? (int)(ns / CLOCK_NS_PER_MS) + 1 : INT_MAX;
}

/* 0: something can be read; -ETIMEDOUT. */
static int wait_readable(int sock, uint64_t end_ns)
{
	for (;;) {
		uint64_t now = clock_ns();
		struct pollfd p = { .fd = sock, .events = POLLIN };
		int n;

		if (now >= end_ns)
			return -ETIMEDOUT;
		n = poll(&p, 1, poll_ms(end_ns - now));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

int frame_call(int sock, struct frame *f, uint16_t type, uint32_t id, const ProtobufCMessage *msg, const int *fds,
	       unsigned nfds, int timeout_ms)
{
	uint64_t end = clock_ns() + (uint64_t)timeout_ms * CLOCK_NS_PER_MS;
	int err = frame_send(sock, type, id, msg, fds, nfds);

	while (!err) {
		err = wait_readable(sock, end);
		if (!err)
			err = frame_recv(sock, f);
		if (err == -EAGAIN)
			err = 0;
		else if (!err && f->header.id == id &&
			 (f->header.type == BULKHEAD__MESSAGE_TYPE__MSG_OK ||
			  f->header.type == BULKHEAD__MESSAGE_TYPE__MSG_ERROR))
			return 0;
		else if (!err)
			frame_close_fds(f);
	}
	return err;
}
