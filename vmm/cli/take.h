/* SPDX-License-Identifier: MIT */
/* Another machine, held still so that one of ours can go on from where it stands. */
#ifndef BULKHEAD_VMM_TAKE_H
#define BULKHEAD_VMM_TAKE_H

#include "../../proto/frame.h"

struct taken {
	int sock; /* its control channel: as long as that is open it stands still; -1: there is none */
	int fd[FRAME_TAKE_FDS];
};

void take_none(struct taken *t);
/* Brings it to a standstill. 0, or an exit code; what went wrong has been printed. */
int take_machine(const char *name, struct taken *t);
/* In the child that becomes the keeper: the descriptors where it finds them. The first, or -1. */
int take_inherit(const struct taken *t);
/* The new machine runs: the other one ends. */
void take_away(struct taken *t);

#endif
