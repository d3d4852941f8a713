/* SPDX-License-Identifier: MIT */
/*
 * A driver that puts anything into a network card's queues, and a far side that sends anything: what is delivered lies in guest
 * memory, nothing is sent that is longer than a frame, and each call comes to an end.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net.h"
#include "devices/rng.h"
#include "fuzz.h"

enum { SIZE = 16, RAM = 8192, DESC = 0, AVAIL = 512, USED = 1024, STEPS = 64 };

static uint8_t *ram;

static void *at(void *ctx, uint64_t addr, uint64_t len)
{
	return len <= RAM && addr <= RAM - len ? ram + addr : NULL;
}

static void written(void *ctx, uint64_t addr, uint64_t len)
{
	CHECK(len <= RAM && addr <= RAM - len);
}

static const struct virtq_memory memory = { at, written, NULL };

/* Descriptors that lead somewhere, so that not every input breaks at once. */
static void fill(struct input *in)
{
	for (unsigned n = 0; n < SIZE; n++) {
		uint8_t *d = ram + DESC + 16 * n;

		d[1] = (uint8_t)(16 + take_below(in, 16));
		d[8] = (uint8_t)take(in, 1);
		d[12] = (uint8_t)take_below(in, 8);
		d[14] = (uint8_t)take_below(in, SIZE + 1);
	}
	ram[AVAIL + 2] = (uint8_t)take_below(in, SIZE + 2);
	for (unsigned n = 0; n < SIZE; n++)
		ram[AVAIL + 4 + 2 * n] = (uint8_t)take_below(in, SIZE + 1);
}

static void transmit(struct net *n, struct virtq *q, int far)
{
	static struct virtq_chain chain;
	static uint8_t frame[NET_FRAME_MAX + 1];
	int rc = virtq_pop(q, &chain);

	CHECK(rc == 0 || rc == -EAGAIN || rc == -EPROTO);
	if (rc)
		return;
	rc = net_send(n, &chain);
	CHECK(rc == 0 || rc == -EAGAIN || rc == -EPROTO);
	if (!rc)
		virtq_push(q, &chain, 0);
	for (ssize_t got; (got = read(far, frame, sizeof(frame))) > 0;)
		CHECK(got >= NET_FRAME_MIN && got <= NET_FRAME_MAX);
}

static void receive(struct net *n, struct virtq *q, struct input *in)
{
	size_t bytes = (size_t)take_below(in, 600);
	int rc;

	for (size_t i = 0; i < bytes; i++)
		n->message[i] = i < NET_HEADER ? (uint8_t)take(in, 1) : (uint8_t)i;
	n->pending = net_frame_admit(n->message, bytes, n->features) ? bytes : 0;
	if (!n->pending)
		return;
	rc = net_deliver(n, q);
	CHECK(rc == 0 || rc == -EAGAIN || rc == -EPROTO);
	if (rc == -EAGAIN)
		virtq_sleep_beyond(q, n->chains);
}

static void serve(struct virtq *q, struct input *in, unsigned flags)
{
	static struct net card;
	static struct rng rng;
	static struct virtq_chain chain;
	int pair[2], zero[2];

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0 && pipe(zero) == 0);
	close(zero[1]);
	net_init(&card, pair[0], false, (const uint8_t[NET_MAC]){ 2 }, 1500, NULL, NULL);
	rng_init(&rng, zero[0], NULL, NULL);
	card.features = take(in, 2) | (flags & 4 ? NET_F_MRG_RXBUF : 0);
	for (unsigned n = 0; n < STEPS && in->left; n++) {
		switch (take_below(in, 3)) {
		case 0:
			transmit(&card, q, pair[1]);
			break;
		case 1:
			receive(&card, q, in);
			break;
		default:
			if (!virtq_pop(q, &chain) && rng_fill(&rng, &memory, &chain) >= 0)
				virtq_push(q, &chain, 0);
		}
		virtq_wants_call(q);
		take_poke(in, ram, RAM);
	}
	close(pair[0]);
	close(pair[1]);
	close(zero[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct virtq q = { 0 };
	unsigned flags = (unsigned)take(&in, 1);

	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(ram != MAP_FAILED);
	q.event_idx = flags & 1;
	q.indirect = !(flags & 2);
	fill(&in);
	if (virtq_start(&q, &memory, SIZE, DESC, AVAIL, USED) == 0)
		serve(&q, &in, flags);
	munmap(ram, RAM);
	return 0;
}
