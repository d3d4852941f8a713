/* SPDX-License-Identifier: MIT */
/*
 * What a session wants of a machine. Each function returns 0 or -errno: -EBUSY while the guest runs, -EFAULT where there is
 * no memory. `ctx` is the machine's.
 */
#ifndef BULKHEAD_VMM_GDB_TARGET_H
#define BULKHEAD_VMM_GDB_TARGET_H

#include "emu/core/debugger.h"
#include "emu/core/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target {
	void *ctx;
	unsigned vcpus;
	bool kvm;

	/* All stand still, or go on; session_held() tells when they stand still. */
	int (*hold)(void *ctx);
	int (*go)(void *ctx, const struct engine_debug *want);
	int (*get)(void *ctx, unsigned vcpu, struct engine_state *out);
	int (*set)(void *ctx, unsigned vcpu, const struct engine_state *in);
	/* *got: how much of it there is, from its beginning. */
	int (*read)(void *ctx, unsigned vcpu, bool physical, uint64_t address, void *out, size_t size, size_t *got);
	int (*write)(void *ctx, unsigned vcpu, bool physical, uint64_t address, const void *in, size_t size);
	int (*info)(void *ctx, const char *what, char *text, size_t len);
	/* The machine is to be ended. */
	void (*kill)(void *ctx);
	/* Bytes to the debugger. */
	void (*send)(void *ctx, const char *bytes, size_t len);
};

#endif
