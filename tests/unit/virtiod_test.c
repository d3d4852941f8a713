/* SPDX-License-Identifier: MIT */
/* bulkhead-virtiod between a guest and back-ends that are none of ours (QEMU, docs/interop/vhost-user.rst; virtio 1.2, 2.1.2). */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon_harness.h"
#include "devices/virtio_model.h"
#include "proto/vhost_user.h"

enum { ACCEPTED_SELECT = 8, ACCEPTED = 12, STATUS = 0x14, QUEUE_ENABLE = 0x1c, CONFIG_BYTES = 60 };
#define FEATURES (VU_F_VERSION_1 | VU_F_EVENT_IDX | VU_F_PROTOCOL_FEATURES)

static struct daemon d;
static int back = -1;

static void setup(void)
{
	daemon_start(&d, (Bulkhead__Role)kind_rows[KIND_VIRTIOD].role);
}

static void teardown(void)
{
	close(back);
	back = -1;
	daemon_free(&d);
}

TestSuite(virtiod, .init = setup, .fini = teardown);

static uint64_t get(uint32_t offset, unsigned size)
{
	struct io_slot s = daemon_slot(&d, IO_READ, MODEL_MMIO, LAYOUT_PCI_BASE + offset, size, 0);
	struct ring_reply r;

	cr_assert_eq(ring_call(&d.producer, &s, &r), 0);
	return r.data;
}

static void set(uint32_t offset, unsigned size, uint64_t value)
{
	struct io_slot s = daemon_slot(&d, IO_WRITE, MODEL_MMIO, LAYOUT_PCI_BASE + offset, size, value);

	cr_assert_eq(ring_call(&d.producer, &s, NULL), 0);
}

/* The back-end's end of a new connection. */
static void link_back(void)
{
	const struct timeval limit = { .tv_sec = 5 };
	int pair[2];

	close(back);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	back = pair[0];
	daemon_link(&d, pair[1]);
}

static void expect(enum vu_request request)
{
	uint8_t body[VU_BODY_MAX];
	struct vu_header h;

	cr_assert_eq(recv(back, &h, sizeof(h), MSG_WAITALL), sizeof(h), "request %u", request);
	cr_assert_eq(h.request, request, "%u instead of %u", h.request, request);
	cr_assert_leq(h.size, sizeof(body));
	cr_assert(!h.size || recv(back, body, h.size, MSG_WAITALL) == (ssize_t)h.size);
}

static void say(uint32_t request, uint32_t flags, const void *body, uint32_t bytes)
{
	const struct vu_header h = { request, flags, bytes };
	uint8_t frame[sizeof(h) + VU_BODY_MAX];

	memcpy(frame, &h, sizeof(h));
	memcpy(frame + sizeof(h), body, bytes);
	cr_assert_eq(send(back, frame, sizeof(h) + bytes, MSG_NOSIGNAL), sizeof(h) + bytes);
}

static void answer(enum vu_request request, uint64_t word)
{
	expect(request);
	say(request, VU_VERSION | VU_REPLY, &word, sizeof(word));
}

static void describe(uint64_t features)
{
	struct vu_config config = { .size = CONFIG_BYTES, .region = { 100 } };

	answer(VU_GET_FEATURES, features);
	answer(VU_GET_PROTOCOL_FEATURES, VU_PROTOCOL_MQ | VU_PROTOCOL_CONFIG);
	expect(VU_SET_PROTOCOL_FEATURES);
	expect(VU_SET_OWNER);
	answer(VU_GET_QUEUE_NUM, 2);
	expect(VU_GET_CONFIG);
	say(VU_GET_CONFIG, VU_VERSION | VU_REPLY, &config, VU_CONFIG_HEADER + CONFIG_BYTES);
}

static void expect_hang_up(void)
{
	struct vu_header h;

	ssize_t n = recv(back, &h, sizeof(h), MSG_WAITALL);

	cr_expect(n == 0 || (n < 0 && errno == ECONNRESET), "it has hung up");
}

static void negotiate(uint64_t features)
{
	for (unsigned n = 0; n < 2; n++) {
		set(ACCEPTED_SELECT, 4, n);
		set(ACCEPTED, 4, features >> 32 * n & 0xffffffff);
	}
	set(STATUS, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
}

/* A back-end with less than the guest has negotiated is hung up on; when the guest has reset the device, it may come again. */
Test(virtiod, a_back_end_that_does_not_suit)
{
	link_back();
	describe(FEATURES);
	while (get(4, 4) == 0)
		;
	negotiate(VU_F_VERSION_1 | VU_F_EVENT_IDX);
	link_back();
	describe(FEATURES & ~VU_F_EVENT_IDX);
	expect_hang_up();
	cr_expect(get(STATUS, 1) & VIRTIO_NEEDS_RESET);
	set(STATUS, 1, 0);
	cr_expect_eq(daemon_event(&d)->type, BULKHEAD__EVENT_TYPE__EVENT_UNLINKED);
	link_back();
	describe(FEATURES & ~VU_F_EVENT_IDX);
	negotiate(VU_F_VERSION_1);
	set(STATUS, 1, get(STATUS, 1) | VIRTIO_DRIVER_OK);
	expect(VU_SET_FEATURES);
	cr_expect_not(get(STATUS, 1) & VIRTIO_NEEDS_RESET);
}

/* What a back-end says of a driver that is no more is not said of the next one. */
Test(virtiod, a_late_error)
{
	static const uint64_t one = 1;

	link_back();
	describe(FEATURES);
	cr_assert_eq(write(d.pipes[VIRTIO_ERRORS][1], &one, sizeof(one)), sizeof(one));
	while (get(4, 4) == 0)
		;
	negotiate(VU_F_VERSION_1);
	set(QUEUE_ENABLE, 2, 1);
	set(STATUS, 1, get(STATUS, 1) | VIRTIO_DRIVER_OK);
	expect(VU_SET_FEATURES);
	cr_expect_not(get(STATUS, 1) & VIRTIO_NEEDS_RESET);
	for (enum vu_request r = 0; r < 7; r++)
		expect((enum vu_request[]){ VU_SET_VRING_NUM, VU_SET_VRING_BASE, VU_SET_VRING_ADDR, VU_SET_VRING_CALL,
					    VU_SET_VRING_ERR, VU_SET_VRING_KICK, VU_SET_VRING_ENABLE }[r]);
	cr_assert_eq(write(d.pipes[VIRTIO_ERRORS][1], &one, sizeof(one)), sizeof(one));
	while (!(get(STATUS, 1) & VIRTIO_NEEDS_RESET))
		; /* of this one it is */
	set(STATUS, 1, 0);
	expect(VU_GET_VRING_BASE);
	cr_assert_eq(write(d.pipes[VIRTIO_ERRORS][1], &one, sizeof(one)), sizeof(one));
	say(VU_GET_VRING_BASE, VU_VERSION | VU_REPLY, (uint32_t[]){ 0, 0 }, 8);
	while (get(STATUS, 1))
		;
	negotiate(VU_F_VERSION_1);
	set(STATUS, 1, get(STATUS, 1) | VIRTIO_DRIVER_OK);
	expect(VU_SET_FEATURES);
	cr_expect_not(get(STATUS, 1) & VIRTIO_NEEDS_RESET);
}

/* Each is hung up on, and the next one is asked as if nothing had been. */
Test(virtiod, nonsense)
{
	static const struct {
		uint32_t request, flags, bytes;
		uint64_t features;
	} said[] = {
		{ VU_GET_CONFIG, VU_VERSION | VU_REPLY, 8, FEATURES },		       /* not what it was asked */
		{ VU_GET_FEATURES, VU_VERSION, 8, FEATURES },			       /* no reply */
		{ VU_GET_FEATURES, 2 | VU_REPLY, 8, FEATURES },			       /* another version */
		{ VU_GET_FEATURES, VU_VERSION | VU_REPLY, 16, FEATURES },	       /* too long */
		{ VU_GET_FEATURES, VU_VERSION | VU_REPLY, 8, VU_F_VERSION_1 },	       /* from before protocol features */
		{ VU_GET_FEATURES, VU_VERSION | VU_REPLY, 8, VU_F_PROTOCOL_FEATURES }, /* a device of before 1.0 */
	};

	for (unsigned i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		const uint64_t body[2] = { said[i].features };

		link_back();
		expect(VU_GET_FEATURES);
		say(said[i].request, said[i].flags, body, said[i].bytes);
		expect_hang_up();
	}
	link_back();
	describe(FEATURES);
	while (get(4, 4) == 0)
		;
	negotiate(VU_F_VERSION_1);
	cr_expect(get(STATUS, 1) & VIRTIO_FEATURES_OK);
}
