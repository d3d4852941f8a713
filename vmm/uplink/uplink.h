/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-uplinkd: what a network card is connected to, if that is no interface: this host's connections (user.c, by
 * libslirp), or another machine's card (pair.c). It is outside of the machine, in the host's network; it has nothing of the guest
 * but the frames that it sends and takes. The first process (main.c) starts another when the one that works dies.
 */
#ifndef BULKHEAD_VMM_UPLINK_H
#define BULKHEAD_VMM_UPLINK_H

#include "../../proto/net.h"
#include "../../proto/net_frame.h"

#include <stddef.h>

/* Works until the card is gone; returns an exit code. `ready` is called when all is open: NULL, or what is wrong. */
int user_serve(const struct net_spec *spec, void (*ready)(const char *why));
int pair_serve(const struct net_spec *spec, void (*ready)(const char *why));

#endif
