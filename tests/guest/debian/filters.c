/* SPDX-License-Identifier: MIT */
/*
 * Socket filters, which the kernel translates to code of the processor: programs of random arithmetic, of which the packet's bytes are
 * the operands, attached and replaced a thousand times. Each has to let through as many bytes as the same arithmetic yields here.
 */
#include <linux/filter.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TIMES = 1000, STEPS = 24, PACKET = 64 };

static uint32_t step(uint16_t op, uint32_t a, uint32_t k)
{
	switch (op) {
	case BPF_ADD:
		return a + k;
	case BPF_SUB:
		return a - k;
	case BPF_MUL:
		return a * k;
	case BPF_DIV:
		return a / k;
	case BPF_OR:
		return a | k;
	case BPF_AND:
		return a & k;
	case BPF_LSH:
		return a << (k & 31);
	case BPF_RSH:
		return a >> (k & 31);
	default:
		return a ^ k;
	}
}

/* Loads a byte of the packet, does STEPS operations, and returns the low bits of the result + 1. */
static uint32_t make(struct sock_filter *f, const uint8_t *packet)
{
	static const uint16_t ops[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_XOR };
	const uint32_t at = (uint32_t)rand() % PACKET;
	uint32_t a = packet[at];

	*f++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at);
	for (unsigned n = 0; n < STEPS; n++) {
		const uint16_t op = ops[(unsigned)rand() % (sizeof(ops) / sizeof(ops[0]))];
		const uint32_t k = op == BPF_LSH || op == BPF_RSH ? (uint32_t)rand() % 32 : (uint32_t)rand() | 1;

		*f++ = (struct sock_filter)BPF_STMT(BPF_ALU | op | BPF_K, k);
		a = step(op, a, k);
	}
	*f++ = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 31);
	*f++ = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1);
	*f = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
	return (a & 31) + 1;
}

int main(void)
{
	struct sock_filter f[STEPS + 4];
	struct sock_fprog program = { .len = STEPS + 4, .filter = f };
	uint8_t packet[PACKET], got[PACKET];
	int s[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, s) < 0)
		return 1;
	for (unsigned n = 0; n < TIMES; n++) {
		uint32_t want;
		ssize_t r;

		for (unsigned k = 0; k < PACKET; k++)
			packet[k] = (uint8_t)rand();
		want = make(f, packet);
		if (setsockopt(s[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
			return 2;
		if (write(s[0], packet, PACKET) != PACKET)
			return 3;
		r = read(s[1], got, sizeof(got));
		if (r != (ssize_t)want || memcmp(packet, got, want) != 0) {
			printf("filter %u lets %ld bytes through, not %u\n", n, (long)r, want);
			return 4;
		}
	}
	printf("%u filters\n", TIMES);
	return 0;
}
