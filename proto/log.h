/* SPDX-License-Identifier: MIT */
/*
 * Log lines of a child process: sent to the supervisor as EVENT_LOG (to stderr until it has said HELLO), limited per call
 * site to 10 in 5 seconds, so that no guest can flood the host's log. Safe from any thread; never blocks: stderr of a
 * supervisor's child does not, and before HELLO nobody depends on us.
 */
#ifndef BULKHEAD_PROTO_LOG_H
#define BULKHEAD_PROTO_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_TRACE };

enum { LOG_BURST = 10, LOG_LINE_MAX = 512 };
#define LOG_WINDOW_NS 5000000000ull

struct log_site {
	_Atomic uint64_t window_start_ns;
	_Atomic uint32_t count, suppressed;
};

/* Where lines go; `ctx` is passed through. */
typedef void log_sink(void *ctx, enum log_level level, const char *line);

/* NULL: stderr. Set before threads start. */
void log_set_sink(log_sink *sink, void *ctx);
void log_set_level(enum log_level level);
bool log_wants(enum log_level level);
/* Lines that limits have swallowed, all sites. */
uint64_t log_suppressed_total(void);

void log_line(struct log_site *site, enum log_level level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* May this site speak now? *suppressed: how many were swallowed since it last could. */
bool log_site_allows(struct log_site *site, uint64_t now_ns, uint32_t *suppressed);

#define log_at(level, ...)                                                \
	do {                                                              \
		static struct log_site log_site_;                         \
		if (log_wants(level))                                     \
			log_line(&log_site_, (level), __VA_ARGS__);       \
	} while (0)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_trace(...) log_at(LOG_LEVEL_TRACE, __VA_ARGS__)

#endif
