/* SPDX-License-Identifier: MIT */
/* A virtio network card (virtio 1.2, 5.1): frames between queues in memory and a socket; and the option that asks for it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net.h"

enum { SIZE = 8, RAM = 8192, DESC = 0, AVAIL = 512, USED = 1024, BUFFERS = 2048, NEXT = 1, WRITE = 2 };

static uint8_t ram[RAM] __attribute__((aligned(4096)));
static int far;
static struct net card;
static struct virtq ring;

static void *at(void *ctx, uint64_t addr, uint64_t len)
{
	return len <= RAM && addr <= RAM - len ? ram + addr : NULL;
}

static void written(void *ctx, uint64_t addr, uint64_t len)
{
}

static const struct virtq_memory memory = { at, written, NULL };

static void put(unsigned where, uint64_t value, unsigned bytes)
{
	memcpy(ram + where, &value, bytes);
}

static unsigned get16(unsigned where)
{
	return (unsigned)(ram[where] | ram[where + 1] << 8);
}

static void setup(void)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	memset(ram, 0, sizeof(ram));
	far = pair[1];
	net_init(&card, pair[0], false, (const uint8_t[]){ 2, 0, 0, 0, 0, 1 }, 1500, NULL, NULL);
	card.features = NET_F_MRG_RXBUF;
	ring = (struct virtq){ 0 };
	cr_assert_eq(virtq_start(&ring, &memory, SIZE, DESC, AVAIL, USED), 0);
}

static void teardown(void)
{
	close(card.fd);
	close(far);
}

TestSuite(net, .init = setup, .fini = teardown);

/* A buffer of the driver's in descriptor `n`, its own chain. */
static void offer(unsigned n, unsigned bytes, unsigned flags)
{
	put(DESC + 16 * n, BUFFERS + 256 * n, 8);
	put(DESC + 16 * n + 8, bytes, 4);
	put(DESC + 16 * n + 12, flags, 2);
	put(AVAIL + 4 + 2 * (get16(AVAIL + 2) % SIZE), n, 2);
	put(AVAIL + 2, get16(AVAIL + 2) + 1, 2);
}

static void come(unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		card.message[i] = (uint8_t)(i < NET_HEADER ? 0 : i);
	card.pending = bytes;
}

/* 5.1.6.4: "num_buffers" says how many descriptors a packet is spread over, and all become used at once. */
Test(net, spread_over_buffers)
{
	come(100);
	offer(0, 40, WRITE);
	cr_expect_eq(net_deliver(&card, &ring), -EAGAIN, "60 bytes have no place");
	cr_expect_eq(get16(USED + 2), 0, "and the driver sees nothing of it");
	cr_expect_eq(card.chains, 1);
	offer(1, 40, WRITE);
	offer(2, 40, WRITE);
	cr_expect_eq(net_deliver(&card, &ring), 0);
	cr_expect_eq(get16(USED + 2), 3);
	cr_expect_eq(get16(BUFFERS + 10), 3);
	cr_expect_eq(get16(USED + 4 + 4) + get16(USED + 12 + 4) + get16(USED + 20 + 4), 100);
	cr_expect_eq(ram[BUFFERS + 256 * 2 + 19], 99, "its last byte");
}

Test(net, one_buffer_without_merging)
{
	card.features = 0;
	come(100);
	offer(0, 40, WRITE);
	offer(1, 40, WRITE);
	cr_expect_eq(net_deliver(&card, &ring), 0);
	cr_expect_eq(get16(USED + 2), 0);
	cr_expect_eq(card.dropped, 1);
	come(40);
	cr_expect_eq(net_deliver(&card, &ring), 0);
	cr_expect_eq(get16(USED + 2), 1);
	cr_expect_eq(get16(BUFFERS + 10), 1, "5.1.6.4.1: num_buffers is 1");
}

Test(net, no_room_at_all)
{
	come(100);
	for (unsigned n = 0; n < SIZE; n++)
		offer(n, 1, WRITE);
	cr_expect_eq(net_deliver(&card, &ring), 0, "no queue of this size would hold it");
	cr_expect_eq(card.dropped, 1);
	cr_expect_eq(get16(USED + 2), 0);
}

Test(net, hostile_buffers)
{
	come(100);
	offer(0, 100, 0);
	cr_expect_eq(net_deliver(&card, &ring), -EPROTO, "one that the device may not write");
}

static struct virtq_chain chain;

static int send_bytes(uint32_t bytes)
{
	memset(ram + BUFFERS, 0x55, bytes);
	memset(ram + BUFFERS, 0, NET_HEADER);
	chain.readable = 1;
	chain.writable = 0;
	chain.pieces[0] = (struct virtq_piece){ ram + BUFFERS, BUFFERS, bytes };
	return net_send(&card, &chain);
}

Test(net, sent)
{
	uint8_t message[200];

	cr_expect_eq(send_bytes(80), 0);
	cr_expect_eq(read(far, message, sizeof(message)), 80);
	cr_expect_eq(message[79], 0x55);
	cr_expect_eq(send_bytes(NET_FRAME_MIN - 1), 0);
	cr_expect_eq(card.dropped, 1, "less than a header and addresses");
	chain.writable = 1;
	cr_expect_eq(net_send(&card, &chain), -EPROTO, "5.1.6.2: the device only reads it");
}

Test(net, full)
{
	int rc = 0;

	for (unsigned i = 0; i < 100000 && !rc; i++)
		rc = send_bytes(80);
	cr_expect_eq(rc, -EAGAIN, "it waits");
	card.jammed = true;
	cr_expect_eq(send_bytes(80), 0, "and if it has waited, drops");
	cr_expect_eq(card.dropped, 1);
}

static struct net_header *header(uint8_t message[64])
{
	memset(message, 0, 64);
	return (struct net_header *)message;
}

/* 5.1.6.4.1, and what the driver has not negotiated. */
Test(net, admitted)
{
	uint8_t m[64] __attribute__((aligned(4)));
	struct net_header *h = header(m);

	cr_expect(!net_frame_admit(m, NET_FRAME_MIN - 1, 0));
	h->flags = 0xff;
	h->csum_start = 40;
	cr_expect(net_frame_admit(m, 64, NET_F_GUEST_CSUM));
	cr_expect_eq(h->flags, NET_NEEDS_CSUM | NET_DATA_VALID);
	h->csum_start = 51;
	cr_expect(!net_frame_admit(m, 64, NET_F_GUEST_CSUM), "behind its end");
	h->csum_start = 0xffff;
	h->csum_offset = 0xffff;
	cr_expect(!net_frame_admit(m, 64, 0));
	h = header(m);
	h->gso_type = NET_GSO_TCPV4;
	h->flags = NET_NEEDS_CSUM;
	h->gso_size = 1448;
	cr_expect(!net_frame_admit(m, 64, NET_F_GUEST_CSUM), "segments are not this driver's");
	cr_expect(net_frame_admit(m, 64, NET_F_GUEST_CSUM | NET_F_GUEST_TSO4));
	h->gso_size = 0;
	cr_expect(!net_frame_admit(m, 64, NET_F_GUEST_CSUM | NET_F_GUEST_TSO4));
}

/* RFC 1071, section 3: the bytes 00 01 f2 03 f4 f5 f6 f7 sum up to ddf2. */
Test(net, checksum)
{
	static const uint8_t example[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
	uint8_t m[64] __attribute__((aligned(4)));
	struct net_header *h = header(m);

	memcpy(m + 64 - 10, example, sizeof(example));
	h->flags = NET_NEEDS_CSUM;
	h->csum_start = 64 - 10 - NET_HEADER;
	h->csum_offset = 8;
	cr_expect(net_frame_admit(m, 64, 0));
	cr_expect_eq(m[62], 0x22); /* the complement */
	cr_expect_eq(m[63], 0x0d);
	cr_expect_eq(h->flags, 0);
}

static const char *why;
static struct net_spec spec;

Test(net_option, read)
{
	cr_assert_eq(net_parse("user,forward=tcp:127.0.0.1:2222:22,forward=udp:53:5353,cidr=192.168.7.0/28,mac=52:54:00:AB:cd:01",
			       &spec, &why),
		     0);
	cr_expect_eq(spec.forward_count, 2);
	cr_expect(!spec.forwards[0].udp && spec.forwards[0].host_port == 2222 && spec.forwards[0].guest_port == 22);
	cr_expect(spec.forwards[1].udp && spec.forwards[1].host_addr == 0x7f000001);
	cr_expect_eq(net_guest_address(&spec), 0xc0a8070e, "the last of a /28");
	cr_expect(spec.has_mac && spec.mac[3] == 0xab);
	cr_assert_eq(net_parse("user", &spec, &why), 0);
	cr_expect_eq(net_guest_address(&spec), 0x0a00020f);
	cr_assert_eq(net_parse("tap=bh0,mac=02:00:00:00:00:07", &spec, &why), 0);
	cr_expect_str_eq(spec.tap, "bh0");
	cr_assert_eq(net_parse("pair=/tmp/x", &spec, &why), 0);
	cr_expect_str_eq(spec.path, "/tmp/x");
}

Test(net_option, stable_address)
{
	uint8_t a[NET_MAC], b[NET_MAC];

	net_stable_mac("vm1", 0, a);
	net_stable_mac("vm1", 0, b);
	cr_expect_arr_eq(a, b, NET_MAC);
	cr_expect_eq(a[0], 0x02, "administered locally, one station's");
	net_stable_mac("vm1", 1, b);
	cr_expect_neq(memcmp(a, b, NET_MAC), 0);
	net_stable_mac("vm2", 0, b);
	cr_expect_neq(memcmp(a, b, NET_MAC), 0);
}
