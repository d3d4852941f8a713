/* SPDX-License-Identifier: MIT */
/*
 * A virtio back-end by itself, for any VMM that is a vhost-user front-end: it listens at a socket, and serves one front-end at a
 * time; when that hangs up, the next one may come.
 */
#ifndef BULKHEAD_DEVICES_ALONE_H
#define BULKHEAD_DEVICES_ALONE_H

#include "devices/vhost_back.h"
#include "proto/kind.h"

enum { ALONE_USAGE_WRONG = 2, ALONE_FAILED = 1 };

struct alone {
	enum kind kind;
	const char *usage; /* "--net user|tap=NAME|...": what stands behind --vhost-user SOCKET */
	const struct vhost_device *device;
	/* What has to be made within the fence, while that lets it be made; `back` is there. 0 or -errno. May be NULL. */
	int (*start)(struct vhost_back *back);
	bool keeps_record; /* it hands its front-end a record of what is under way (virtq_inflight.h) */
	struct event_base *base;
	struct event listener;
	int listen_fd;
	struct vhost_back back;
};

/* Is "--vhost-user" among the arguments? Else it is a machine's daemon. */
bool alone_is_wanted(int argc, char **argv);
/*
 * Reads "--vhost-user SOCKET" and one option more, "--disk VALUE", or without a value if `value` is NULL. 0, or an exit code, and then
 * what is wrong has been said.
 */
int alone_parse(const struct alone *a, int argc, char **argv, const char *option, const char **path, const char **value);
/* To stderr, with the usage. Returns ALONE_USAGE_WRONG. */
int alone_usage(const struct alone *a, const char *why);
/* Listens, and makes the loop. 0, or an exit code as above. */
int alone_open(struct alone *a, const char *path);
/* Enters the fence, and serves until it is killed. Returns an exit code. */
int alone_serve(struct alone *a);

#endif
