/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-vncd: two kinds of process out of one program.
 *
 *   the door   (main.c) listens, starts a server for each viewer that comes, and gets connections to the screen for them from the
 *              machine's control socket. It reads nothing that a viewer sends
 *   a server   (serve.c) speaks RFB with one viewer, behind a fence of its own. It holds that connection, PICTURE (read-only), a
 *              connection to displayd, and a pair of sockets to the door
 */
#ifndef BULKHEAD_VMM_VNC_H
#define BULKHEAD_VMM_VNC_H

#include "proto/sandbox.h"

#include <stdbool.h>
#include <stdint.h>

enum { VNC_VIEWER = 3, VNC_DOOR = SANDBOX_VNC_DOOR }; /* descriptors of a server */
enum { VNC_PASSWORD_MAX = 8, VNC_TOKEN_MAX = 64 }; /* RFC 6143, 7.2.2: a password has eight characters */

/*
 * The first packet of the door's is a struct vnc_hello. After that, when the server sends one of these bytes, it gets it back with
 * descriptors: a connection of proto/screen.h and PICTURE; or a connection for events alone, without one if the machine has no keyboard.
 */
enum { VNC_SCREEN = 's', VNC_KEYS = 'k' };
struct vnc_hello {
	char password[VNC_PASSWORD_MAX + 1]; /* empty: none */
	char token[VNC_TOKEN_MAX + 1]; /* not empty: viewers are browsers, and ask for /TOKEN first */
	uint8_t no_paste, sandbox;
};

/* What `argv` of a server begins with. */
#define VNC_SERVE "--serve"
_Noreturn void vnc_serve(void);

#endif
