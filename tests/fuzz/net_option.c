/* SPDX-License-Identifier: MIT */
/* Any text as the value of --net: what is taken can be served. */
#include <string.h>

#include "fuzz.h"
#include "proto/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net_spec spec;
	const char *why;
	char text[257];
	size_t n = size < sizeof(text) - 1 ? size : sizeof(text) - 1;

	memcpy(text, data, n);
	text[n] = 0;
	if (net_parse(text, &spec, &why)) {
		CHECK(why && *why);
		return 0;
	}
	CHECK(spec.forward_count <= NET_FORWARDS && spec.prefix >= 8 && spec.prefix <= NET_PREFIX_MAX);
	CHECK(net_guest_address(&spec) - spec.network < 1u << (32 - spec.prefix));
	CHECK(!spec.has_mac || !(spec.mac[0] & 1));
	CHECK(spec.way != NET_TAP || spec.tap[0] || spec.tap_fd > 2);
	CHECK(spec.way != NET_PAIR || spec.path[0]);
	return 0;
}
