/* SPDX-License-Identifier: MIT */
/*
 * One debugger's connection: commands of gdb's remote serial protocol in, answers out. All that stands still or runs is the
 * machine (target.h); no socket and no clock in here. What the peer sends is foreign: what it should not, it gets an error
 * for, or an empty answer, which says that a command is not known.
 */
#ifndef BULKHEAD_VMM_GDB_SESSION_H
#define BULKHEAD_VMM_GDB_SESSION_H

#include "packet.h"
#include "points.h"
#include "registers.h"
#include "target.h"

struct session {
	const struct target *target;
	struct packet_reader reader;
	struct points points;
	bool no_ack;
	bool held;
	bool owes_stop; /* gdb waits to hear that all stand still */
	bool physical;	/* m and M take guest-physical addresses */
	bool over;	/* nothing more is to be read: detached, killed, ended */
	unsigned vcpu;	/* whose registers, memory */
	uint64_t step;	/* as it was told to go last */
	unsigned stopped_by;
	struct engine_hit hit; /* why they stand still */
	size_t xml_len;
	size_t last_len;
	char last[2 * PACKET_MAX + 16]; /* the latest packet, until it is acknowledged */
	char xml[REGISTERS_XML_MAX];
};

/* A debugger has come: the machine is told to hold. */
void session_open(struct session *s, const struct target *target);
/* What it has sent. False: the session is over. */
bool session_take(struct session *s, const void *bytes, size_t len);
/* The debugger is gone, whatever it was doing; the machine goes on. */
void session_close(struct session *s);
/* All stand still: vCPU `vcpu` has hit something, or, with ENGINE_HIT_NONE, they were told to. */
void session_held(struct session *s, unsigned vcpu, const struct engine_hit *hit);
/* The guest has been reset, and stands still: points are set again, and it goes on if it was running. */
void session_reborn(struct session *s);
/* The machine has ended. */
void session_ended(struct session *s);

/* ---- monitor.c ---- */

/* `monitor TEXT`: what to print, of at most `len` bytes. */
void monitor_run(struct session *s, const char *text, char *out, size_t len);

#endif
