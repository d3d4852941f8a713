/* SPDX-License-Identifier: MIT */
/* Whatever a debugger sends: the session answers or ends, and the machine behind it is left as the rules are (vmm/gdb). */
#include "fuzz.h"

#include "vmm/gdb/session.h"

#include <errno.h>
#include <string.h>

static struct engine_state state;
static uint8_t memory[4096];

static int hold(void *ctx)
{
	return 0;
}

static int go(void *ctx, const struct engine_debug *want)
{
	CHECK(want->count <= ENGINE_MAX_POINTS);
	for (unsigned i = 0; i < want->count; i++)
		CHECK(want->point[i].kind < ENGINE_POINT_KINDS && want->point[i].size && want->point[i].size <= 8);
	return want->count > 5 ? -EFAULT : 0;
}

static int get(void *ctx, unsigned vcpu, struct engine_state *out)
{
	CHECK(vcpu < 3);
	*out = state;
	return 0;
}

static int set(void *ctx, unsigned vcpu, const struct engine_state *in)
{
	state = *in;
	return 0;
}

static int read_memory(void *ctx, unsigned vcpu, bool physical, uint64_t address, void *out, size_t size, size_t *got)
{
	if (address >= sizeof(memory))
		return -EFAULT;
	*got = size < sizeof(memory) - address ? size : (size_t)(sizeof(memory) - address);
	memcpy(out, memory + address, *got);
	return 0;
}

static int write_memory(void *ctx, unsigned vcpu, bool physical, uint64_t address, const void *in, size_t size)
{
	if (address >= sizeof(memory) || size > sizeof(memory) - address)
		return -EFAULT;
	memcpy(memory + address, in, size);
	return 0;
}

static int info(void *ctx, const char *what, char *text, size_t len)
{
	text[0] = 0;
	return 0;
}

static void kill_machine(void *ctx)
{
}

/* What is sent is a packet, or an acknowledgement. */
static void send_bytes(void *ctx, const char *bytes, size_t len)
{
	CHECK(len == 1 ? strchr("+-", bytes[0]) != NULL : bytes[0] == '$' && bytes[len - 3] == '#');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct target target = { .vcpus = 3,
					      .hold = hold,
					      .go = go,
					      .get = get,
					      .set = set,
					      .read = read_memory,
					      .write = write_memory,
					      .info = info,
					      .kill = kill_machine,
					      .send = send_bytes };
	static struct session s;
	char packet[2 * 2048 + 8];

	session_open(&s, &target);
	session_held(&s, 0, &(struct engine_hit){ 0 });
	/* As it is, then each line of it as a packet whose checksum is right. */
	session_take(&s, data, size);
	for (size_t at = 0; at < size && !s.over; at++) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t len = end ? (size_t)(end - data) - at : size - at;
		size_t n = packet_make(packet, sizeof(packet), (const char *)data + at, len < 2048 ? len : 2048);

		session_take(&s, packet, n);
		if (!s.held)
			session_held(&s, (unsigned)len, &(struct engine_hit){ ENGINE_HIT_STEP, { 0 } });
		at += len;
	}
	session_close(&s);
	return 0;
}
