/* SPDX-License-Identifier: MIT */
/*
 * Packets of fixed size, with descriptors, between processes that are the same program: keeper, supervisor and spawner.
 * Both ends are SOCK_SEQPACKET.
 */
#ifndef BULKHEAD_VMM_PACKET_H
#define BULKHEAD_VMM_PACKET_H

#include <stdbool.h>
#include <stddef.h>

enum { PACKET_FDS = 4 };

/* Never waits, never raises SIGPIPE; `fds` stay the caller's. 0 or -errno. */
int packet_send(int sock, const void *data, size_t len, const int *fds, unsigned nfds);

/*
 * The packet must have exactly `len` bytes. fds[] gets what came with it, close-on-exec, the caller's; the rest of
 * PACKET_FDS is -1. 0, -EAGAIN (only if not `wait`), -ECONNRESET: the peer is gone, or sent something else.
 */
int packet_recv(int sock, void *data, size_t len, int fds[PACKET_FDS], bool wait);

#endif
