/* SPDX-License-Identifier: MIT */
/*
 * The debugger's door into the vcpu process: one end of a channel whose other end bulkhead-gdbd holds. Whatever comes
 * through it is as foreign as anything else: it is checked, and it can do to the guest what a debugger may, and to this
 * process nothing.
 *
 * Held and running are kept apart from what the supervisor wants (want_run): the guest runs while neither forbids it.
 */
#ifndef BULKHEAD_VMM_VCPU_DEBUG_H
#define BULKHEAD_VMM_VCPU_DEBUG_H

#include "emu/core/debugger.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame;
struct vcpu_process;

/* Under the process's lock but for `fd` and `releasing`, which are the helper thread's. */
struct debug_door {
	int fd; /* -1: nobody has ever debugged this machine */
	bool releasing; /* the debugger is gone: when all stand still, they go on without points */
	bool hold;
	bool armed; /* the engine has points, or is to step */
	bool told; /* that it stands still */
	bool has_hit;
	struct engine_hit hit; /* of vCPU `hit_by`: the first that came since it was told to go */
	unsigned hit_by;
	uint64_t stay; /* bit per vCPU: this one stands still, though there is no hold */
};

/* ---- helper thread ---- */

/* MSG_DEBUG_CHANNEL, MSG_DEBUG_END: they answer. */
void debug_channel(struct vcpu_process *p, struct frame *f);
void debug_end(struct vcpu_process *p, struct frame *f);
/* One request of the debugger's. */
void debug_serve(struct vcpu_process *p);
/* What was waiting for vCPUs to stand still. */
void debug_finish(struct vcpu_process *p);

/* ---- a vCPU's thread ---- */

/* run() came back with ENGINE_DEBUG: it and all others are to stand still. */
void debug_stopped(struct vcpu_process *p, unsigned vcpu);
/* With the lock held, when one has stopped: if that was the last, the debugger hears of it. */
void debug_tell_held(struct vcpu_process *p);

/* ---- debug_info.c ---- */

/* Text for `monitor info WHAT`; -ENOENT: there is nothing of that name. */
int debug_info(struct vcpu_process *p, const char *what, char *text, size_t len);

#endif
