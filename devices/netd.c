/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-netd: the back-end of a virtio network card. It has the guest's memory, and one descriptor that frames go in and out of; it
 * can neither connect to anything, nor listen. A frame that is under way when it dies is lost, as on any wire.
 */
#include <errno.h>

#include "daemons.h"
#include "devices/backend.h"
#include "devices/net.h"
#include "devices/net_alone.h"
#include "proto/log.h"

enum { FD_FAR, OWN_FDS };

static struct net net;

static int start(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	const Bulkhead__Net *m = setup->net;
	uint8_t mac[NET_MAC] = { 0x02 };

	if (nfds != OWN_FDS)
		return -EINVAL;
	for (unsigned i = 0; m && m->has_mac && i < NET_MAC; i++)
		mac[i] = (uint8_t)(m->mac >> 8 * (NET_MAC - 1 - i));
	net_init(&net, fds[FD_FAR], m && m->has_tap && m->tap, mac, (uint16_t)(m && m->has_mtu ? m->mtu : NET_MTU_USUAL),
		 backend_served, backend_lost);
	fds[FD_FAR] = -1;
	backend_init(rt, &net.device);
	return net_watch(&net, rt->base);
}

const struct daemon_shell netd_shell = {
	.kind = KIND_NETD,
	.model = &backend_model,
	.shell_version = NETD_SHELL_VERSION,
	.start = start,
	.reset = backend_reset,
	.settle = backend_settle,
	.link = backend_link,
	.alone = net_alone,
};
