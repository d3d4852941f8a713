/* SPDX-License-Identifier: MIT */
/* Process titles: title.h. */
#include "title.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char *area;
static char **args; /* lives as long as the process */
static size_t area_len;

/* Strings of argv and environ lie one after the other on the stack. */
static size_t measure(int argc, char **argv)
{
	char *end = argv[0];

	for (int i = 0; i < argc; i++)
		if (argv[i] == end)
			end = argv[i] + strlen(argv[i]) + 1;
	for (char **e = environ; *e; e++)
		if (*e == end)
			end = *e + strlen(*e) + 1;
	return (size_t)(end - argv[0]);
}

static char **copy_list(char **list, int count)
{
	char **copy = calloc((size_t)count + 1, sizeof(*copy));

	for (int i = 0; copy && i < count; i++) {
		copy[i] = strdup(list[i]);
		if (!copy[i])
			return NULL;
	}
	return copy;
}

char **title_init(int argc, char **argv)
{
	int count = 0;
	char **env;
	size_t len = measure(argc, argv);

	while (environ[count])
		count++;
	args = copy_list(argv, argc);
	env = copy_list(environ, count);
	if (!args || !env)
		return NULL;
	environ = env;
	area = argv[0];
	area_len = len;
	return args;
}

void title_set(const char *vm, const char *role)
{
	char comm[16];

	snprintf(comm, sizeof(comm), "bh-%s", role);
	prctl(PR_SET_NAME, comm);
	if (!area)
		return;
	memset(area, 0, area_len);
	snprintf(area, area_len, "bulkhead: %s/%s", vm, role);
}
