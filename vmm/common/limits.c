/* SPDX-License-Identifier: MIT */
/* Limits of the caller: limits.h. */
#include "limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/* The supervisor has some hundred descriptors, and those of its clients. */
enum { FILES_NEEDED = 256, FILES_WANTED = 1024 };
/* The vcpu process beside guest memory: caches of the emulator, thread stacks. */
#define SPACE_BESIDE_RAM (48ull << 20)
#define MIB(bytes) ((unsigned long long)(bytes) >> 20)

static const struct {
	int error;
	__rlimit_resource_t what;
	const char *name;
	unsigned shift; /* of the number that is shown */
	const char *unit;
} causes[] = {
	{ ENOMEM, RLIMIT_AS, "RLIMIT_AS", 20, " MiB" },
	{ ENOMEM, RLIMIT_DATA, "RLIMIT_DATA", 20, " MiB" },
	{ EAGAIN, RLIMIT_AS, "RLIMIT_AS", 20, " MiB" },
	{ EAGAIN, RLIMIT_DATA, "RLIMIT_DATA", 20, " MiB" },
	{ EAGAIN, RLIMIT_NPROC, "RLIMIT_NPROC", 0, "" }, /* there nearly always is one */
	{ EMFILE, RLIMIT_NOFILE, "RLIMIT_NOFILE", 0, "" },
	{ EFBIG, RLIMIT_FSIZE, "RLIMIT_FSIZE", 20, " MiB" },
};
enum { CAUSES = sizeof(causes) / sizeof(causes[0]) };

static rlim_t known[CAUSES];

static rlim_t soft_limit(__rlimit_resource_t what)
{
	struct rlimit l;

	return getrlimit(what, &l) < 0 ? RLIM_INFINITY : l.rlim_cur;
}

static void raise_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= FILES_WANTED)
		return;
	l.rlim_cur = l.rlim_max < FILES_WANTED ? l.rlim_max : FILES_WANTED;
	setrlimit(RLIMIT_NOFILE, &l);
}

int limits_check(uint64_t ram_bytes, char why[LIMITS_WHY_MAX])
{
	rlim_t files, space, size;

	raise_files();
	for (unsigned i = 0; i < CAUSES; i++)
		known[i] = soft_limit(causes[i].what);
	files = soft_limit(RLIMIT_NOFILE);
	space = soft_limit(RLIMIT_AS);
	size = soft_limit(RLIMIT_FSIZE);
	if (files < FILES_NEEDED) {
		snprintf(why, LIMITS_WHY_MAX, "%llu files may be open at once (RLIMIT_NOFILE, ulimit -n); a machine needs %d",
			 (unsigned long long)files, FILES_NEEDED);
		return -EMFILE;
	}
	if (space < ram_bytes + SPACE_BESIDE_RAM) {
		snprintf(why, LIMITS_WHY_MAX,
			 "%llu MiB of address space are permitted (RLIMIT_AS, ulimit -v); "
			 "a machine with %llu MiB of memory needs %llu MiB",
			 MIB(space), MIB(ram_bytes), MIB(ram_bytes + SPACE_BESIDE_RAM));
		return -ENOMEM;
	}
	if (size < ram_bytes) {
		snprintf(why, LIMITS_WHY_MAX,
			 "files of %llu MiB are permitted (RLIMIT_FSIZE, ulimit -f), and guest memory is one "
			 "of %llu MiB",
			 MIB(size), MIB(ram_bytes));
		return -EFBIG;
	}
	return 0;
}

const char *limits_hint(int error)
{
	static char text[80];

	for (unsigned i = 0; i < CAUSES; i++) {
		if (causes[i].error != abs(error) || known[i] == RLIM_INFINITY || !known[i])
			continue;
		snprintf(text, sizeof(text), " (%s is %llu%s)", causes[i].name, (unsigned long long)(known[i] >> causes[i].shift),
			 causes[i].unit);
		return text;
	}
	return "";
}
