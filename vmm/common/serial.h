/* SPDX-License-Identifier: MIT */
/* --serial: what is behind a serial port of the guest's. */
#ifndef BULKHEAD_VMM_SERIAL_H
#define BULKHEAD_VMM_SERIAL_H

#include <stddef.h>
#include <stdint.h>

enum { SERIAL_PORTS = 4 };

enum serial_kind {
	SERIAL_NOTHING,
	SERIAL_PTY,	/* "pty": a pseudo terminal of its own */
	SERIAL_TO_FILE, /* "file=PATH": the output is appended to it */
	SERIAL_SOCKET,	/* "socket=PATH,server": a UNIX stream socket */
	SERIAL_TCP,	/* "tcp=127.0.0.1:PORT,server": on the loopback interface */
};

struct serial_spec {
	unsigned port; /* 0: COM1 */
	enum serial_kind kind;
	const char *path; /* in the text; not terminated */
	size_t path_len;
	uint32_t address; /* host's byte order, in 127.0.0.0/8 */
	uint16_t tcp_port;
};

/* "N:SPEC", N from 1 to 4. NULL, or what is wrong with it. `spec` may refer to `text`. */
const char *serial_parse(const char *text, struct serial_spec *spec);
/* Where a path begins in such a text; NULL: it has none. */
const char *serial_path(const char *text);

#endif
