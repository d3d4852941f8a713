/* SPDX-License-Identifier: MIT */
/*
 * A vcpu process that was taken over and says the same again and again: linked into an otherwise unchanged one
 * (-Wl,--wrap=child_event). From the moment at which it tells that the guest runs, it claims that the guest has halted, or
 * that its processor has shut down, or that the engine cannot go on, for two seconds and as often as it is listened to. Which,
 * stands in the machine's name. The words are rude, too.
 */
#include "rude.h"

#include "proto/child.h"
#include "proto/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define FLOOD_NS (2 * CLOCK_NS_PER_S)

int __real_child_event(struct child *c, Bulkhead__EventType type, uint32_t code, Bulkhead__Role device, const char *text);
int __wrap_child_event(struct child *c, Bulkhead__EventType type, uint32_t code, Bulkhead__Role device, const char *text);

static void flood(struct child *c, Bulkhead__EventType type)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	uint64_t end = clock_ns() + FLOOD_NS;

	while (clock_ns() < end)
		if (__real_child_event(c, type, 0, BULKHEAD__ROLE__ROLE_VCPU, RUDE_WORDS "\nRIP=1") == -EAGAIN)
			ppoll(NULL, 0, &moment, NULL);
}

int __wrap_child_event(struct child *c, Bulkhead__EventType type, uint32_t code, Bulkhead__Role device, const char *text)
{
	int rc = __real_child_event(c, type, code, device, text);

	if (type == BULKHEAD__EVENT_TYPE__EVENT_RUNNING)
		flood(c, strstr(c->vm, "halted")   ? BULKHEAD__EVENT_TYPE__EVENT_HALTED
			 : strstr(c->vm, "engine") ? BULKHEAD__EVENT_TYPE__EVENT_ENGINE_ERROR
						   : BULKHEAD__EVENT_TYPE__EVENT_TRIPLE_FAULT);
	return rc;
}
