/* SPDX-License-Identifier: MIT */
/* Where viewers come in: viewers.h. */
#include "viewers.h"

#include <errno.h>

int viewers_answer(struct viewers *v, struct runtime *rt, struct frame *f)
{
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	int err = f->fd_count == 1 ? viewers_admit(v, f->fds[0]) : -EINVAL;

	if (err)
		return frame_reply_error(rt->child.control_fd, f->header.id, -err, NULL,
					 "all %d places of viewers are in use; end one of them, and come again", SCREEN_VIEWERS);
	f->fds[0] = -1;
	return frame_send(rt->child.control_fd, BULKHEAD__MESSAGE_TYPE__MSG_OK, f->header.id, &ok.base, NULL, 0);
}
