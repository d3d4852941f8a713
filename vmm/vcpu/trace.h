/* SPDX-License-Identifier: MIT */
/* What this process tells the tracer (proto/trace.h): instructions, samples, accesses to devices, interrupts. */
#ifndef BULKHEAD_VMM_VCPU_TRACE_H
#define BULKHEAD_VMM_VCPU_TRACE_H

#include "emu/core/engine.h"
#include "emu/core/trace.h"
#include "proto/control.pb-c.h"
#include "proto/trace.h"

enum { TRACE_RANGES = 16 };

/* All zeroes: nobody traces. */
struct vcpu_trace {
	bool is_on, io;
	bool armed[ENGINE_MAX_VCPUS]; /* between the addresses of start and stop */
	uint32_t sample_every, jitter[ENGINE_MAX_VCPUS];
	bool has_start, has_stop;
	uint64_t start, stop;
	uint32_t privileges; /* bit per privilege level */
	unsigned range_count;
	struct {
		uint64_t from, to; /* both included */
	} range[TRACE_RANGES];
	struct machine_clock clock;
	struct engine_trace engine;
	unsigned vcpus;
	struct trace_writer writer[TRACE_THREADS]; /* by vCPU; behind these the helper thread's */
};

/* What the tracer wants of this process, checked (control_check.h), with its objects, which are `vcpus` + 1 rings. 0 or -errno */
int vcpu_trace_init(struct vcpu_trace *t, const Bulkhead__TraceSetup *m, unsigned vcpus, int trace_fd, int traced_fd, int bell_fd,
		    const struct machine_clock *clock);
/* An access, by the thread of that vCPU; `number` of vCPUs: the helper. `io` without its head. */
void vcpu_trace_io(struct vcpu_trace *t, unsigned vcpu, struct trace_io *io);
/* An interrupt of that vector. */
void vcpu_trace_vector(struct vcpu_trace *t, unsigned vcpu, uint8_t vector, enum trace_way way, uint16_t role);
/* The processor has shut down, or the engine cannot go on. */
void vcpu_trace_crash(struct vcpu_trace *t, unsigned vcpu);

/* An instruction as a record of at most TRACE_RECORD_MAX bytes in `out`, which is aligned: what it changed, read and wrote. */
void trace_encode(const struct engine_insn *i, struct trace_insn *out);

#endif
