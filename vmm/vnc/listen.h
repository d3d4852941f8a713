/* SPDX-License-Identifier: MIT */
/* Where a VNC server listens, and what its password is. */
#ifndef BULKHEAD_VMM_VNC_LISTEN_H
#define BULKHEAD_VMM_VNC_LISTEN_H

#include "../common/vnc_place.h"
#include "vnc.h"

/*
 * A listening socket, non-blocking; a Unix socket is its owner's alone (mode 0600), and one that nobody listens on any more, and that is
 * ours, is replaced. *port: of TCP. -errno.
 */
int vnc_listen(const struct vnc_place *place, uint16_t *port);

/* The first line of the file. 0; -EPERM: others may read it; -ENODATA: there is none; -EFBIG: it is longer than a password can be; -errno. */
int vnc_read_password(const char *file, char out[VNC_PASSWORD_MAX + 1]);

#endif
