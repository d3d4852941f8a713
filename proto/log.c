/* SPDX-License-Identifier: MIT */
/* Rate-limited log lines: see log.h. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"

static log_sink *sink_function;
static void *sink_ctx;
static _Atomic int max_level = LOG_LEVEL_INFO;
static _Atomic uint64_t suppressed_total;

void log_set_sink(log_sink *sink, void *ctx)
{
	sink_ctx = ctx;
	sink_function = sink;
}

void log_set_level(enum log_level level)
{
	atomic_store(&max_level, (int)level);
}

bool log_wants(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

uint64_t log_suppressed_total(void)
{
	return atomic_load(&suppressed_total);
}

/* Threads may race for the start of a window: one line more or less, nothing worse. */
bool log_site_allows(struct log_site *site, uint64_t now_ns, uint32_t *suppressed)
{
	uint64_t start = atomic_load(&site->window_start_ns);

	*suppressed = 0;
	if (start == 0 || now_ns - start >= LOG_WINDOW_NS) {
		atomic_store(&site->window_start_ns, now_ns ? now_ns : 1);
		atomic_store(&site->count, 0);
		*suppressed = atomic_exchange(&site->suppressed, 0);
	}
	if (atomic_fetch_add(&site->count, 1) < LOG_BURST)
		return true;
	atomic_fetch_add(&site->suppressed, 1);
	atomic_fetch_add(&suppressed_total, 1);
	return false;
}

static void to_stderr(const char *line)
{
	char buf[LOG_LINE_MAX + 2];
	int n = snprintf(buf, sizeof(buf), "%s\n", line);
	ssize_t done = write(STDERR_FILENO, buf, n < (int)sizeof(buf) ? (size_t)n : sizeof(buf) - 1);

	(void)done; /* nobody reads stderr: nothing to be done about it */
}

void log_line(struct log_site *site, enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	uint32_t suppressed;
	va_list ap;
	int n;

	if (!log_site_allows(site, clock_ns(), &suppressed))
		return;
	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (suppressed && n >= 0 && n < (int)sizeof(line))
		snprintf(line + n, sizeof(line) - (size_t)n, " (suppressed %u like this)", suppressed);
	if (sink_function)
		sink_function(sink_ctx, level, line);
	else
		to_stderr(line);
}
