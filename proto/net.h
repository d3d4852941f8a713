/* SPDX-License-Identifier: MIT */
/* --net: what a machine's network card is connected to. */
#ifndef BULKHEAD_PROTO_NET_H
#define BULKHEAD_PROTO_NET_H

#include <stdbool.h>
#include <stdint.h>

enum net_way {
	NET_USER, /* user-mode networking: connections of the guest's are connections of this host's */
	NET_TAP,  /* an interface of this host */
	NET_PAIR, /* another machine's card, by way of a socket */
};

enum { NET_FORWARDS = 16, NET_PATH_MAX = 107, NET_TAP_MAX = 15, NET_MAC = 6 };
enum { NET_MTU_USUAL = 1500, NET_MTU_LARGE = 65520 }; /* where no wire is between, one piece is as large as it gets */

/* Who connects to `host_port` at `host_addr` of this host reaches `guest_port` of the guest. Addresses in host order. */
struct net_forward {
	bool udp;
	uint32_t host_addr;
	uint16_t host_port, guest_port;
};

struct net_spec {
	enum net_way way;
	char tap[NET_TAP_MAX + 1];
	int tap_fd; /* -1: it has a name */
	char path[NET_PATH_MAX + 1];
	bool has_mac;
	uint8_t mac[NET_MAC];
	uint32_t network; /* host order; /prefix */
	unsigned prefix;
	unsigned forward_count;
	struct net_forward forwards[NET_FORWARDS];
};

/* "user[,forward=tcp:ADDRESS:PORT:PORT]...[,cidr=NETWORK/N]", "tap=NAME", "tap-fd=N" or "pair=SOCKET", each with [,mac=MAC]. 0, or
 * -EINVAL with what is wrong, and what would be right. */
int net_parse(const char *text, struct net_spec *out, const char **why);
/* The address of a machine's n-th card, if the user has chosen none: always the same for that name; nobody's in particular. */
void net_stable_mac(const char *machine, unsigned n, uint8_t out[NET_MAC]);
/* In the guest's network: the router is its second address, the name server its third, the guest gets the fifteenth, or
 * the last one that there is. */
enum { NET_ROUTER = 2, NET_DNS = 3, NET_GUEST = 15, NET_PREFIX_MAX = 29 };
static inline uint32_t net_guest_address(const struct net_spec *spec)
{
	uint32_t last = (1u << (32 - spec->prefix)) - 2;

	return spec->network + (last < NET_GUEST ? last : NET_GUEST);
}

#endif
