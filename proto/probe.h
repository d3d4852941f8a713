/* SPDX-License-Identifier: MIT */
/*
 * Static probes (USDT) for tracers of the host such as bpftrace: a no-op instruction each, and a note in the program's
 * file that says where the arguments are. docs/observing.md lists them. Without <sys/sdt.h> at build time there are none.
 */
#ifndef BULKHEAD_PROTO_PROBE_H
#define BULKHEAD_PROTO_PROBE_H

#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define PROBE2(name, a, b) DTRACE_PROBE2(bulkhead, name, a, b)
#define PROBE4(name, a, b, c, d) DTRACE_PROBE4(bulkhead, name, a, b, c, d)
#define PROBE5(name, a, b, c, d, e) DTRACE_PROBE5(bulkhead, name, a, b, c, d, e)
#else
#define PROBE2(name, a, b) ((void)0)
#define PROBE4(name, a, b, c, d) ((void)0)
#define PROBE5(name, a, b, c, d, e) ((void)0)
#endif

#endif
