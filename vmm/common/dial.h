/* SPDX-License-Identifier: MIT */
/*
 * A device may be served by a process that somebody else has started: by hand, or systemd (--device). The machine connects to
 * its socket; and again when that process has ended and another listens there. The supervisor can reach no socket, and the
 * keeper is not to: so there is the dialler (vmm/keeper/dialler.c), in machines with such a device. It connects to the sockets
 * that the configuration names, looks who listens there, and passes the connection on. It never reads from it.
 */
#ifndef BULKHEAD_VMM_DIAL_H
#define BULKHEAD_VMM_DIAL_H

#include <stdint.h>

/* To the dialler: */
struct dial_request {
	uint32_t device; /* its number (proto/kind.h) */
};

/* Its answer, with the connection if there is one. */
struct dial_answer {
	uint32_t device;
	int32_t error; /* 0, or -errno: of connect(); -EPERM: who listens there is not the machine's owner, root, or user=USER */
	uint32_t uid;  /* who that is */
};

#endif
