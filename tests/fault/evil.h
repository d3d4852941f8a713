/* SPDX-License-Identifier: MIT */
/* The hostile daemon of the tests: evil.c is its life, evil_acts.c what it does. */
#ifndef BULKHEAD_TESTS_EVIL_H
#define BULKHEAD_TESTS_EVIL_H

#include "proto/child.h"
#include "proto/ring.h"

enum { EVIL_OBJECTS = 8 };

struct evil_object {
	uint32_t *words;
	size_t len;
};

struct evil {
	struct child child;
	uint64_t seed;
	int fds[FRAME_FDS_MAX]; /* of SETUP_DEVICE, in the order of control.proto */
	unsigned fd_count;
	struct evil_object objects[EVIL_OBJECTS]; /* mapped for writing */
	unsigned object_count;
	const struct ring_req *req;
	struct ring_rsp *rsp;
	uint32_t head;	       /* of an honest consumer */
	uint32_t pending_id;   /* the supervisor's last request */
	uint16_t pending_type; /* 0: none */
};

uint64_t evil_random(struct evil *e);

/* From the name it was started under: bulkhead-seriald and so on. */
Bulkhead__Role evil_role(const char *argv0);

/* Until killed, or until the mode says otherwise. */
void evil_serve(struct evil *e);

#endif
