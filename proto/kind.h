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

/* How many a machine may have, of all kinds. */
enum {
	DEVICES_MAX = 0
#define DEVICE(NAME, name, model, role, presence, most, ...) + (most)
#include "devices.def"
};

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
	KIND_FD_SCREEN,	 /* framebuffer, read-only */
	KIND_FD_MAILBOX, /* read-write */
	KIND_FD_LEGACY,	 /* a display's window below 1 MiB, read-only */
	KIND_FD_FRAMEBUFFER, /* a PC's, read-write */
	KIND_FD_PICTURE, /* what viewers see (screen.h), read-write */
	KIND_FD_VARIABLES, /* what firmware keeps, a file of the size that the machine says, read-write; or /dev/null */
	KIND_FDS
};

/* Its part in a virtio device. */
enum kind_virtio { KIND_VIRTIO_NONE, KIND_VIRTIO_FRONT, KIND_VIRTIO_BACK };
enum { VIRTIO_FRONT_FDS = 18, VIRTIO_BACK_FDS = 1 }; /* that SETUP_DEVICE brings (control.proto) */

enum kind_memory {
	KIND_MEMORY_NONE,
	KIND_MEMORY_READS,
	KIND_MEMORY_WRITES,
	KIND_MEMORY_WINDOW, /* none of RAM, but objects that lie in its place, and are among `fds` */
};

/* Does it get all of RAM? */
static inline bool kind_holds_ram(enum kind_memory memory)
{
	return memory == KIND_MEMORY_READS || memory == KIND_MEMORY_WRITES;
}

/* Does it change what vCPUs may have decoded as code, and what a guest that starts again wants empty? */
static inline bool kind_writes_memory(enum kind_memory memory)
{
	return memory == KIND_MEMORY_WRITES || memory == KIND_MEMORY_WINDOW;
}

struct kind_row {
	const char *name;	/* "seriald" */
	const char *program;	/* "bulkhead-seriald" */
	const char *summary;	/* one sentence for --help */
	uint32_t role;		/* Role in control.proto */
	uint8_t most;		/* instances */
	uint32_t lines;		/* bit mask */
	bool collects;		/* gets the line pages and doorbells of all others, instead of a doorbell to irqd */
	enum kind_virtio virtio;
	uint8_t virtio_id;	/* of a back-end's device */
	enum kind_memory memory; /* the guest's */
	const uint8_t *fds;	/* enum kind_fd */
	unsigned fd_count;
};
extern const struct kind_row kind_rows[KIND_COUNT];

/* NULL: not a device. */
const struct kind_row *kind_of_role(uint32_t role);

/* The devices of all kinds in a row, DEVICES_MAX of them, instances of a kind behind each other: which one a number stands for,
 * and the number of "seriald" or "serial", "testd1" or "test1"; -ENODEV: there is none of that name. */
const struct kind_row *kind_of_number(unsigned number, unsigned *instance);
int kind_find(const char *name);

/* "seriald"; of a kind that may have several instances "testd0", "testd1", ... */
enum { KIND_NAME_MAX = 16 };
void kind_process_name(const struct kind_row *kind, unsigned instance, char out[KIND_NAME_MAX]);

#endif
