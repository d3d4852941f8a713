/* SPDX-License-Identifier: MIT */
/* Records of accesses to devices as text, with the names of devices and registers from their tables. */
#ifndef BULKHEAD_VMM_TRACE_IO_TEXT_H
#define BULKHEAD_VMM_TRACE_IO_TEXT_H

#include "proto/trace.h"

#include "sink.h"

void io_text(struct sink *out, const struct trace_io *i);
/* "COM1.THR/DLL": of the range and of the registers that may be meant; "COM1" or "" if the tables have none there. */
void io_register_name(const struct trace_io *i, char *out, size_t len);

#endif
