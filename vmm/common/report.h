/* SPDX-License-Identifier: MIT */
/*
 * What the supervisor leaves behind for the record of a machine's end (docs/records.md): memory that it shares with the
 * keeper, which reads it when the supervisor is gone, however that came. The supervisor listens to everybody, so the keeper
 * believes nothing in here: numbers are bounded, texts end where their room does, bytes are escaped.
 */
#ifndef BULKHEAD_VMM_REPORT_H
#define BULKHEAD_VMM_REPORT_H

#include "../../proto/capture.h"
#include "../../proto/kind.h"

#include <stddef.h>
#include <stdint.h>

enum { REPORT_CONSOLE = 64 * 1024, REPORT_LOG = 16 * 1024, REPORT_TEXT = 2048, REPORT_WORD = 32, REPORT_LINE = 200 };

/* The last bytes of something: a ring. */
struct log_tail {
	uint64_t written; /* bytes ever */
	char bytes[REPORT_LOG];
};

struct report_device {
	char name[KIND_NAME_MAX];
	uint32_t deaths, fruitless;
	uint8_t gave_up;
	char last_reason[REPORT_LINE];
};

/* The last devices that died, each as its file has it (proto/capture.h). */
enum { REPORT_CAPTURES = 3 };
struct report_capture {
	uint32_t len;
	uint8_t bytes[CAPTURE_MAX];
};

/* Writer: the supervisor. Reader: the keeper, when there is no supervisor any more. */
struct report {
	char reason[REPORT_WORD]; /* empty: it did not get as far as an end */
	char text[REPORT_TEXT];
	uint8_t has_guest_code, guest_code;
	uint8_t is_kvm;
	uint32_t reboots;
	char registers[REPORT_TEXT]; /* of a triple fault; empty: none */
	uint32_t device_count;
	struct report_device devices[DEVICES_MAX];
	uint32_t capture_count; /* ever; the n-th is in n % REPORT_CAPTURES */
	struct report_capture captures[REPORT_CAPTURES];
	struct log_tail log;
};

void log_tail_add(struct log_tail *tail, const char *text, size_t len);
/* What is left of it, the oldest byte first: at most REPORT_LOG bytes to `out`; returns how many. */
size_t log_tail_copy(const struct log_tail *tail, char *out);

#endif
