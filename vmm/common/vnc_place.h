/* SPDX-License-Identifier: MIT */
/*
 * Where a machine's VNC server listens, as --vnc says it: SOCKET, or ADDRESS:N. N is a display, 5900 + N, below 100, and else a port,
 * as viewers of VNC read it; "auto" is any port that is free. Behind it ",password-file=FILE" and ",paste=off". Pure.
 */
#ifndef BULKHEAD_VMM_VNC_PLACE_H
#define BULKHEAD_VMM_VNC_PLACE_H

#include <stdbool.h>
#include <stdint.h>

enum { VNC_PATH_MAX = 108, VNC_ERROR_MAX = 200 };

struct vnc_place {
	char socket[VNC_PATH_MAX]; /* empty: TCP */
	uint32_t address; /* IPv4, in the host's order */
	uint16_t port;	  /* 0: any that is free */
	char password_file[256]; /* empty: none */
	bool no_paste; /* text that a viewer cuts is not typed in */
};

/* 0, or -EINVAL with a sentence. An address that others than this host can reach needs a password. */
int vnc_place_parse(const char *text, struct vnc_place *out, char error[VNC_ERROR_MAX]);

#endif
