/* SPDX-License-Identifier: MIT */
#ifndef BULKHEAD_DEVICES_NET_ALONE_H
#define BULKHEAD_DEVICES_NET_ALONE_H

/* netd by itself: "--vhost-user SOCKET --net WHAT". Its exit code; -1: the arguments ask for something else. */
int net_alone(int argc, char **argv);

#endif
