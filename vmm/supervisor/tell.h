/* SPDX-License-Identifier: MIT */
/* What the supervisor says: to its user, to the log, to the keeper. None of these waits for a reader (common/say.h). */
#ifndef BULKHEAD_VMM_TELL_H
#define BULKHEAD_VMM_TELL_H

#include "../common/launch.h"

#include <stdint.h>

struct vm;

/* `level` as in proto/log.h. */
void vm_say(struct vm *vm, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void vm_log(struct vm *vm, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void vm_trace(struct vm *vm, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void vm_tell_keeper(struct vm *vm, enum note_kind kind, uint32_t code, const char *text);
/* Adds phrases that are not there yet. */
void vm_note_missing(struct vm *vm, const char *phrase);

#endif
