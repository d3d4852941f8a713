/* SPDX-License-Identifier: MIT */
/* --share TAG=DIR[,ro]: a directory of this host's that a guest mounts under that tag (virtio 1.2, 5.11). */
#ifndef BULKHEAD_PROTO_SHARE_H
#define BULKHEAD_PROTO_SHARE_H

#include <stdbool.h>

enum { SHARE_TAG_MAX = 36 }; /* 5.11.4: of these, none has to be a zero */

struct share_spec {
	char tag[SHARE_TAG_MAX + 1];
	char path[4096];
	bool read_only;
};

/* 0, or -EINVAL with what is wrong: "the directory is missing". A comma in the name is written twice. */
int share_parse(const char *text, struct share_spec *out, const char **why);
/* Where in such a text the name of the directory begins; NULL: nowhere. */
const char *share_path_of(const char *text);

#endif
