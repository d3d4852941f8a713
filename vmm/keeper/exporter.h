/* SPDX-License-Identifier: MIT */
/*
 * Disks and folders that another program serves (proto/disk_offer.h, proto/share_offer.h): exporter.c is the process that starts it,
 * or connects to it; exporter_program.c starts and ends it; exporter_vhost.c says by vhost-user what the two share.
 */
#ifndef BULKHEAD_VMM_EXPORTER_H
#define BULKHEAD_VMM_EXPORTER_H

#include "../../proto/disk_offer.h"
#include "../common/rundir.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { EXPORTER_TEXT = 200 };
struct disk_spec;
struct share_spec;

/* What a program says of its disk. */
struct export_facts {
	uint64_t sectors, features;
	bool read_only;
};

struct exporter {
	const char *vm;
	/* One of these. */
	const struct disk_spec *disk;
	const struct share_spec *share;
	char socket[RUNDIR_PATH_MAX + 8]; /* where our own program listens, for a moment */
	pid_t child;
	int child_says; /* read end of its standard error */
	struct export_facts facts;
};

/* "--disk FILE" as messages begin. */
const char *exporter_option(const struct exporter *e);
const char *exporter_path(const struct exporter *e);

/* Starts it. Our end of a connection that waits until the program serves, or -errno. */
int exporter_start_program(struct exporter *e);
/* Where somebody else's listens; the same. */
int exporter_connect(const char *path);
/* Ends it, if there is one: asked to leave it tidies up; what does not leave is killed. */
void exporter_end_program(struct exporter *e);
/* Why it has ended, in its own words. */
void exporter_last_words(struct exporter *e, char *out, size_t size);

/*
 * On a fresh connection, fds[DISK_FD_LINK]: asks what it is, and says where the queue is, in the memory and with the eventfds of
 * the others. It waits, up to ten seconds for each answer. 0, with *offer and *facts; -ECONNRESET: it hung up; -ETIMEDOUT: it does
 * not answer; -EPROTO: it speaks nonsense, or lacks what is needed. *why says more, in words.
 */
int exporter_introduce(const int fds[DISK_FDS], struct disk_offer *offer, struct export_facts *facts, const char **why);
/* The same for a folder, of which there is nothing to ask. */
int exporter_introduce_folder(const int fds[DISK_FDS], const char **why);

#endif
