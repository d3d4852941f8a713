/* SPDX-License-Identifier: MIT */
/* What is behind a network card, opened: by whoever still can, before a fence closes. */
#ifndef BULKHEAD_PROTO_NET_OPEN_H
#define BULKHEAD_PROTO_NET_OPEN_H

#include "net.h"
#include "sandbox.h"

enum { NET_ERROR_MAX = 400 };

/* What bulkhead-uplinkd, which the far side of `user` and `pair` is, finds open: frames, and where it says that it is ready, or
 * what is wrong. */
enum { UPLINK_FRAMES = 3, UPLINK_REPORT = 4 };

/*
 * A descriptor of messages that are frames (net_frame.h): an interface of this host's, or the socket of a bulkhead-uplinkd that
 * has been started; that ends with the calling process. `text` is what `spec` was made of, `owner` whose card it is, for ps;
 * `program` an O_PATH descriptor of bulkhead-uplinkd, or -errno, if there is none. Returns the descriptor, or -errno with a sentence that
 * begins with the value, and names the next step.
 */
int net_open(const struct net_spec *spec, const char *text, const char *owner, int program, enum sandbox_mode mode,
	     char error[NET_ERROR_MAX]);
/* The card's address: the user's, or that of the owner's n-th card. */
void net_mac(const struct net_spec *spec, const char *owner, unsigned n, uint8_t out[NET_MAC]);
/* What the guest is told of the largest packet. */
uint16_t net_mtu(const struct net_spec *spec);

#endif
