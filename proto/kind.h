/* SPDX-License-Identifier: MIT */
/* Kinds of device daemons as a table; devices.def has their rows and says what the columns mean. */
#ifndef BULKHEAD_PROTO_KIND_H
#define BULKHEAD_PROTO_KIND_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

enum kind {
#define DEVICE(NAME, ...) KIND_##NAME,
#include "devices.def"
	KIND_COUNT
};
enum { DEVICES_MAX = KIND_COUNT }; /* of one machine */

/* Objects of the machine that some kinds are handed. */
enum kind_fd {
	KIND_FD_MSI,	     /* the page, read-write */
	KIND_FD_VCPU_BELL,   /* doorbell of the vcpu process, write end */
	KIND_FD_CONSOLE,     /* listening socket */
	KIND_FD_DEBUG_READ,  /* stream with text of the debug ports */
	KIND_FD_DEBUG_WRITE,
	KIND_FD_BACKLOG,     /* console history, read-write */
	KIND_FD_STASH_WRITE, /* socket pair in whose queue connections wait for the next incarnation */
	KIND_FD_STASH_READ,
	KIND_FDS
};

struct kind_row {
	const char *name;	/* "seriald" */
	const char *program;	/* "bulkhead-seriald" */
	const char *summary;	/* one sentence for --help */
	uint32_t role;		/* Role in control.proto */
	uint32_t lines;		/* bit mask */
	bool collects;		/* gets the line pages and doorbells of all others, instead of a doorbell to irqd */
	const uint8_t *fds;	/* enum kind_fd */
	unsigned fd_count;
};
extern const struct kind_row kind_rows[KIND_COUNT];

/* NULL: not a device. */
const struct kind_row *kind_of_role(uint32_t role);

#endif
