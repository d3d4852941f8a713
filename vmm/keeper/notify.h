/* SPDX-License-Identifier: MIT */
/* sd_notify(3), the part we need. */
#ifndef BULKHEAD_VMM_NOTIFY_H
#define BULKHEAD_VMM_NOTIFY_H

/* Opens the socket while that is still allowed. Without $NOTIFY_SOCKET everything below does nothing. */
void notify_open(void);
/* "READY=1\nSTATUS=running". */
void notify_send(const char *state);

#endif
