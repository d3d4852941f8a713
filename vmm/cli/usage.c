/* SPDX-License-Identifier: MIT */
/* Processor time and memory of processes: usage.h. */
#include "usage.h"

#include "../../proto/text.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char prefix[] = "bh-";

static bool read_line(pid_t pid, const char *name, char *line, size_t size)
{
	char path[64];
	FILE *in;
	bool ok;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	in = fopen(path, "re");
	ok = in && fgets(line, (int)size, in);
	if (in)
		fclose(in);
	return ok;
}

/* proc(5): the name stands in brackets, and may hold brackets itself; numbers from 4 on are counted behind the last one. */
bool usage_parse_stat(const char *line, struct usage_row *out)
{
	const char *open = strchr(line, '('), *end = strrchr(line, ')');
	unsigned long user, system;
	long parent, rss;
	size_t skip = sizeof(prefix) - 1;

	if (!open || !end || end < open)
		return false;
	if (sscanf(end + 1, " %*c %ld %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu %*s %*s %*s %*s %*s %*s %*s %*s %ld", &parent,
		   &user, &system, &rss) != 4)
		return false;
	*out = (struct usage_row){ .pid = (pid_t)atoi(line), .parent = (pid_t)parent };
	if (strncmp(open + 1, prefix, skip))
		skip = 0;
	snprintf(out->name, sizeof(out->name), "%.*s", (int)(end - open - 1 - (ptrdiff_t)skip), open + 1 + skip);
	text_clean(out->name, TEXT_ONE_LINE); /* a process chooses it */
	out->cpu_ns = (uint64_t)(user + system) * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK));
	out->rss_bytes = (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE);
	return true;
}

static bool read_row(pid_t pid, struct usage_row *out)
{
	char line[512];

	return read_line(pid, "stat", line, sizeof(line)) && usage_parse_stat(line, out);
}

static void read_pss(struct usage_row *row)
{
	unsigned long long kib;
	char path[64], line[128];
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", row->pid);
	in = fopen(path, "re");
	while (in && !row->has_pss && fgets(line, sizeof(line), in))
		if (sscanf(line, "Pss: %llu kB", &kib) == 1) {
			row->has_pss = true;
			row->pss_bytes = kib << 10;
		}
	if (in)
		fclose(in);
}

enum { HOST_MAX = 4096 };

static unsigned read_host(struct usage_row *rows)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	unsigned n = 0;

	while (dir && n < HOST_MAX && (e = readdir(dir))) {
		pid_t pid = atoi(e->d_name);

		if (pid > 0)
			n += read_row(pid, &rows[n]);
	}
	if (dir)
		closedir(dir);
	return n;
}

const struct usage_row *usage_find(const struct usage *u, pid_t pid)
{
	for (unsigned i = 0; pid && i < u->count; i++)
		if (u->of[i].pid == pid)
			return &u->of[i];
	return NULL;
}

/* Level by level: whose parent is in the list, and who is not. */
void usage_read(pid_t keeper, bool with_pss, struct usage *out)
{
	struct usage_row *host = calloc(HOST_MAX, sizeof(*host));
	unsigned n = host && keeper > 0 ? read_host(host) : 0, before = 0;

	out->count = 0;
	for (unsigned i = 0; i < n; i++)
		if (host[i].pid == keeper)
			out->of[out->count++] = host[i];
	while (before != out->count) {
		before = out->count;
		for (unsigned i = 0; i < n && out->count < USAGE_MAX; i++)
			if (usage_find(out, host[i].parent) && !usage_find(out, host[i].pid))
				out->of[out->count++] = host[i];
	}
	free(host);
	for (unsigned i = 0; with_pss && i < out->count; i++)
		read_pss(&out->of[i]);
}
