/* SPDX-License-Identifier: MIT */
/* What bulkhead-traced finds open when it starts, by number; outputs that nobody wants are not. */
#ifndef BULKHEAD_VMM_TRACED_H
#define BULKHEAD_VMM_TRACED_H

enum traced_fd {
	TRACED_RINGS = 3, /* TRACE, read-only */
	TRACED_HEADS,	  /* TRACED, read-write */
	TRACED_BELL,	  /* doorbell pipe, read end */
	TRACED_END,	  /* pipe that is closed when the machine has ended, read end */
	TRACED_INSNS,
	TRACED_IO,
	TRACED_TEXT,
	TRACED_JSON,
	TRACED_FOLDED,
	TRACED_SYMBOLS, /* read-only */
	TRACED_FDS,
};

#endif
