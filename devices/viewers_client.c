/* SPDX-License-Identifier: MIT */
/* A viewer's connection, as the supervisor hands it over: viewers.h. */
#include "viewers.h"

#include <errno.h>
#include <string.h>

int viewers_offer_nothing(void *model, const struct screen_event *events, unsigned count)
{
	(void)model;
	(void)events;
	(void)count;
	return -EINVAL;
}

unsigned viewers_room_for_nothing(const void *model)
{
	(void)model;
	return SCREEN_PACKET_EVENTS;
}

int viewers_take_client(struct viewers *v, int control_fd, struct frame *f)
{
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	int err = f->fd_count == 1 ? viewers_admit(v, f->fds[0]) : -EINVAL;

	if (err && err != -EBUSY)
		return frame_reply_error(control_fd, f->header.id, -err, NULL, "the screen takes no viewer: %s", strerror(-err));
	if (err)
		return frame_reply_error(control_fd, f->header.id, -err, NULL,
					 "all %d places of viewers are in use; end one of them, and come again", SCREEN_VIEWERS);
	f->fds[0] = -1;
	return frame_send(control_fd, BULKHEAD__MESSAGE_TYPE__MSG_OK, f->header.id, &ok.base, NULL, 0);
}
