/* SPDX-License-Identifier: MIT */
/* noVNC's files over HTTP, for one browser on this host: below an address that contains a token, and nowhere else. */
#ifndef BULKHEAD_VMM_WEB_H
#define BULKHEAD_VMM_WEB_H

#include <stdint.h>

#define WEB_NOVNC "/usr/share/novnc" /* Debian's package novnc */

struct web {
	const char *token;
	uint16_t port; /* at 127.0.0.1; 0: any, and which one it is comes back */
	int dir_fd;    /* where the files are */
	int listener;
	int end_fd; /* when this one says that it ends, so do we */
};

/* 0 or -errno. */
int web_listen(struct web *w);
/* Until end_fd hangs up, or SIGINT, SIGTERM or SIGHUP come. From then on the process has the files below dir_fd, and no others. */
int web_serve(struct web *w);

/* text/html and so on, by the name's ending. */
const char *web_content_type(const char *name);
/* What of a request's path lies below the token: NULL: nothing, or a way out of the directory. Allocated. */
char *web_file_of(const char *token, const char *path);

#endif
