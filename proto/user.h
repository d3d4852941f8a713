/* SPDX-License-Identifier: MIT */
/* Users by name, for static programs: they cannot load what getpwnam() asks. */
#ifndef BULKHEAD_PROTO_USER_H
#define BULKHEAD_PROTO_USER_H

#include <stdint.h>

/* A number, or a name from /etc/passwd. 0 or -EINVAL; *uid is then -1. */
int user_parse(const char *text, int64_t *uid);

#endif
