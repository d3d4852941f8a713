/* SPDX-License-Identifier: MIT */
/* bulkhead-netd by itself: a network card for any VMM that is a vhost-user front-end. */
#include "devices/net_alone.h"

#include <stdio.h>
#include <unistd.h>

#include "devices/alone.h"
#include "devices/backend.h"
#include "devices/net.h"
#include "proto/net_open.h"
#include "vmm/common/programs.h"

static struct alone self = { .kind = KIND_NETD, .usage = "--net user|tap=NAME|tap-fd=N|pair=SOCKET[,mac=MAC]" };
static struct net net;

static int run(const char *path, const char *text, const struct net_spec *spec)
{
	char error[NET_ERROR_MAX], place[4200];
	uint8_t mac[NET_MAC];
	int program = program_open("bulkhead-uplinkd", place, sizeof(place)), fd, code;

	fd = net_open(spec, text, "netd", program, SANDBOX_ON, error);

	if (program >= 0)
		close(program);
	if (fd < 0) {
		fprintf(stderr, "bulkhead-netd: --net %s\n", error);
		return ALONE_USAGE_WRONG;
	}
	code = alone_open(&self, path);
	if (code)
		return code;
	net_mac(spec, path, 0, mac);
	net_init(&net, fd, spec->way == NET_TAP, mac, net_mtu(spec), NULL, backend_lost);
	self.device = &net.device;
	return net_watch(&net, self.base) ? ALONE_FAILED : alone_serve(&self);
}

int net_alone(int argc, char **argv)
{
	const char *path, *text = NULL, *why;
	struct net_spec spec;
	int code;

	if (!alone_is_wanted(argc, argv))
		return -1;
	code = alone_parse(&self, argc, argv, "--net", &path, &text);
	if (code)
		return code;
	return net_parse(text, &spec, &why) ? alone_usage(&self, why) : run(path, text, &spec);
}
