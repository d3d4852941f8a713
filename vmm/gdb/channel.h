/* SPDX-License-Identifier: MIT */
/* The vcpu process as a debugger's target: control messages over the channel between the two. */
#ifndef BULKHEAD_VMM_GDB_CHANNEL_H
#define BULKHEAD_VMM_GDB_CHANNEL_H

#include "target.h"

#include "proto/frame.h"

struct channel {
	int fd; /* -1: there is none yet */
	uint32_t id;
	bool has_held; /* news that came while an answer was waited for */
	struct engine_hit held;
	unsigned held_by;
	struct frame frame;
};

/* Functions of struct target; `c` is the channel. -ETIMEDOUT: it does not answer. */
int channel_hold(struct channel *c);
int channel_go(struct channel *c, const struct engine_debug *want);
int channel_get(struct channel *c, unsigned vcpu, struct engine_state *out);
int channel_set(struct channel *c, unsigned vcpu, const struct engine_state *in);
int channel_read(struct channel *c, unsigned vcpu, bool physical, uint64_t address, void *out, size_t size, size_t *got);
int channel_write(struct channel *c, unsigned vcpu, bool physical, uint64_t address, const void *in, size_t size);
int channel_info(struct channel *c, const char *what, char *text, size_t len);

/* Something can be read: news go to `held`. 0, or -errno: nothing more will come. */
int channel_listen(struct channel *c);

#endif
