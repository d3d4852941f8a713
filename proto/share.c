/* SPDX-License-Identifier: MIT */
/* Values of --share: see share.h. */
#include "share.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "disk.h"

const char *share_path_of(const char *text)
{
	const char *is = strchr(text, '=');

	return is ? is + 1 : NULL;
}

/* Linux compares tags byte by byte; what cannot be typed in a guest is refused. */
static const char *take_tag(struct share_spec *out, const char *text, size_t bytes)
{
	if (!bytes || bytes > SHARE_TAG_MAX)
		return "a tag has 1 to 36 characters";
	for (size_t i = 0; i < bytes; i++)
		if (text[i] <= ' ' || text[i] > '~' || text[i] == ',')
			return "a tag is of printable ASCII characters, without blanks and commas";
	memcpy(out->tag, text, bytes);
	return NULL;
}

int share_parse(const char *text, struct share_spec *out, const char **why)
{
	const char *path = share_path_of(text), *more;
	char word[8] = "";
	bool fits;

	memset(out, 0, sizeof(*out));
	*why = path ? take_tag(out, text, (size_t)(path - 1 - text))
		    : "it is TAG=DIR: the name that the guest mounts, and the directory";
	if (*why)
		return -EINVAL;
	more = disk_take_field(path, out->path, sizeof(out->path), &fits);
	if (!fits)
		*why = "the name of the directory is too long";
	else if (!out->path[0])
		*why = "the directory is missing";
	if (more && !*why) {
		more = disk_take_field(more, word, sizeof(word), &fits);
		if (more || !fits || strcmp(word, "ro"))
			*why = "behind the directory comes ro, and nothing else; a comma in its name is written twice";
		out->read_only = true;
	}
	return *why ? -EINVAL : 0;
}
