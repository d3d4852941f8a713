/* SPDX-License-Identifier: MIT */
/*
 * Records of instructions as text, in the layout of Intel SDE's debugtrace: what it read, the instruction with the registers
 * that it changed, vector registers, what it wrote.
 */
#ifndef BULKHEAD_VMM_TRACE_INSN_TEXT_H
#define BULKHEAD_VMM_TRACE_INSN_TEXT_H

#include "proto/trace.h"

#include "sink.h"

/* TRACE_INSN, TRACE_FAULT, TRACE_INTERRUPT; trace_is_valid(). */
void insn_text(struct sink *out, const struct trace_insn *i);

#endif
