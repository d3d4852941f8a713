/* SPDX-License-Identifier: MIT */
/*
 * How a child that no supervisor has started comes by the one that it serves: it listens on a socket of its own (--socket), or
 * on one that systemd hands to it (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS), and takes the first supervisor whose user it
 * may serve. All of that before any sandbox: nothing has been read from anybody yet.
 */
#ifndef BULKHEAD_PROTO_CHILD_SOCKET_H
#define BULKHEAD_PROTO_CHILD_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

/* Has systemd handed us a socket? Only the first counts. */
bool child_is_activated(void);

/*
 * Waits for a supervisor at `path`, or at systemd's socket if that is NULL. Besides our own user and root, `peer` may
 * connect (-1: nobody); others are told so and turned away. A connected socket, or -errno: reported on stderr in the name of
 * `program`.
 */
int child_accept(const char *program, const char *path, int64_t peer);

#endif
