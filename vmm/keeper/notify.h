/* SPDX-License-Identifier: MIT */
/* sd_notify(3), the part we need. */
#ifndef BULKHEAD_VMM_NOTIFY_H
#define BULKHEAD_VMM_NOTIFY_H

#include <stdint.h>

/* Connects to the socket that $NOTIFY_SOCKET names while that is still allowed; -1: there is none. */
int notify_open(void);
/* "READY=1\nSTATUS=running"; to -1 nothing is sent. */
void notify_send(int fd, const char *state);

/* How often whoever watches us wants a sign of life (sd_watchdog_enabled(3)): half of that time; 0: nobody does. */
uint64_t notify_watch_ns(void);

#endif
