/* SPDX-License-Identifier: MIT */
/*
 * --replay FILE: a daemon without a machine. It is given what a capture (proto/capture.h) holds by the messages by which a
 * supervisor would give it, over sockets whose other ends are its own, and then it is asked to leave: so it loads the journal,
 * applies the requests, and comes to an end, or not. Time begins where it was when the capture was made.
 *
 * What no capture holds: what others say meanwhile (characters typed and not taken yet, changes of interrupt lines), and guest
 * memory, which reads as zeroes.
 */
#ifndef BULKHEAD_DEVICES_REPLAY_H
#define BULKHEAD_DEVICES_REPLAY_H

#include "proto/child.h"
#include "proto/kind.h"

/* As git bisect run wants them: good, bad, not to be told. */
enum { REPLAY_CLEAN = 0, REPLAY_DIED = 1, REPLAY_UNUSABLE = 125 };

/* Before any fence. -1: the daemon's channels are there, and all that will be said to it is in them; else an exit code. */
int replay_begin(struct child *c, const struct kind_row *kind, const char *path);
/* It served and has left (0), or could not start (-errno). Tells what there is to tell; the exit code. */
int replay_end(int err);

#endif
