/* SPDX-License-Identifier: MIT */
/* Users by name: user.h. */
#include "user.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t find_name(const char *name)
{
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *p;
	int64_t uid = -1;

	while (file && uid < 0 && (p = fgetpwent(file)))
		if (!strcmp(p->pw_name, name))
			uid = p->pw_uid;
	if (file)
		fclose(file);
	return uid;
}

int user_parse(const char *text, int64_t *uid)
{
	char *end;
	unsigned long id = strtoul(text, &end, 10);
	bool is_number = isdigit((unsigned char)text[0]) && !*end && id < UINT32_MAX;

	*uid = is_number ? (int64_t)id : find_name(text);
	return *uid < 0 ? -EINVAL : 0;
}
