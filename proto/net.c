/* SPDX-License-Identifier: MIT */
/* --net: see net.h. */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 160 };
#define NETWORK_DEFAULT 0x0a000200u /* 10.0.2.0/24 */

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Six pairs of digits; a group address is nobody's own. */
static const char *take_mac(struct net_spec *out, const char *text)
{
	if (strlen(text) != 3 * NET_MAC - 1)
		return "a mac is written 52:54:00:12:34:56";
	for (unsigned i = 0; i < NET_MAC; i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i < NET_MAC - 1 && text[3 * i + 2] != ':'))
			return "a mac is written 52:54:00:12:34:56";
		out->mac[i] = (uint8_t)(high << 4 | low);
	}
	out->has_mac = true;
	return out->mac[0] & 1 ? "this mac is a group's; its first byte has to be even" : NULL;
}

static bool take_number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;

	*out = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && *out <= max;
}

static const char *take_cidr(struct net_spec *out, const char *text)
{
	char address[32];
	size_t n = strcspn(text, "/");
	struct in_addr in;
	unsigned long prefix;

	if (!text[n] || n >= sizeof(address))
		return "a cidr is written 10.0.2.0/24";
	memcpy(address, text, n);
	address[n] = 0;
	if (inet_pton(AF_INET, address, &in) != 1 || !take_number(text + n + 1, 32, &prefix))
		return "a cidr is written 10.0.2.0/24";
	if (prefix < 8 || prefix > NET_PREFIX_MAX)
		return "the network of a cidr has 8 to 29 bits: /24 is usual";
	out->network = ntohl(in.s_addr);
	out->prefix = (unsigned)prefix;
	return out->network & ((1u << (32 - prefix)) - 1) ? "the address of a cidr ends with its network: 10.0.2.0/24" : NULL;
}

static bool take_port(const char *text, uint16_t *out)
{
	unsigned long port;
	bool ok = take_number(text, 65535, &port) && port;

	*out = ok ? (uint16_t)port : 0;
	return ok;
}

/* "tcp:127.0.0.1:2222:22", and without an address this host's own. */
static const char *take_forward(struct net_spec *out, const char *text)
{
	static const char how[] =
		"a forward is written tcp:127.0.0.1:2222:22: protocol, this host's address and port, the guest's port";
	struct net_forward *f = &out->forwards[out->forward_count];
	char copy[WORD_MAX], *part[4], *save = NULL;
	unsigned parts = 0;
	struct in_addr in = { htonl(INADDR_LOOPBACK) };

	if (out->forward_count == NET_FORWARDS)
		return "there are at most 16 forwards";
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *p = strtok_r(copy, ":", &save); p && parts < 4; p = strtok_r(NULL, ":", &save))
		part[parts++] = p;
	if (parts < 3 || (save && *save) || (strcmp(part[0], "tcp") && strcmp(part[0], "udp")))
		return how;
	if (parts == 4 && inet_pton(AF_INET, part[1], &in) != 1)
		return how;
	f->udp = part[0][0] == 'u';
	f->host_addr = ntohl(in.s_addr);
	if (!take_port(part[parts - 2], &f->host_port) || !take_port(part[parts - 1], &f->guest_port))
		return "the ports of a forward are from 1 to 65535";
	out->forward_count++;
	return NULL;
}

static const char *take_way(struct net_spec *out, const char *word)
{
	unsigned long fd;

	if (!strcmp(word, "user")) {
		out->way = NET_USER;
		return NULL;
	}
	if (!strncmp(word, "tap-fd=", 7)) {
		out->way = NET_TAP;
		out->tap_fd = take_number(word + 7, 1 << 20, &fd) && fd > 2 ? (int)fd : -1;
		return out->tap_fd < 0 ? "tap-fd is the number of an open descriptor, above 2" : NULL;
	}
	if (!strncmp(word, "tap=", 4)) {
		out->way = NET_TAP;
		snprintf(out->tap, sizeof(out->tap), "%.15s", word + 4);
		return word[4] && strlen(word + 4) <= NET_TAP_MAX && !strchr(word + 4, '/')
			       ? NULL
			       : "tap is the name of an interface, of at most 15 characters";
	}
	if (strncmp(word, "pair=", 5))
		return "it begins with user, tap=NAME, tap-fd=N or pair=SOCKET";
	out->way = NET_PAIR;
	snprintf(out->path, sizeof(out->path), "%.107s", word + 5);
	return word[5] && strlen(word + 5) <= NET_PATH_MAX ? NULL : "pair is the path of a socket, of at most 107 characters";
}

static const char *take_word(struct net_spec *out, const char *word)
{
	if (!strncmp(word, "mac=", 4))
		return take_mac(out, word + 4);
	if (out->way != NET_USER)
		return "behind tap and pair comes mac=MAC, and nothing else";
	if (!strncmp(word, "cidr=", 5))
		return take_cidr(out, word + 5);
	if (!strncmp(word, "forward=", 8))
		return take_forward(out, word + 8);
	return "behind user come mac=MAC, cidr=NETWORK/N and forward=PROTOCOL:ADDRESS:PORT:PORT, and nothing else";
}

int net_parse(const char *text, struct net_spec *out, const char **why)
{
	char word[WORD_MAX];
	bool first = true;

	memset(out, 0, sizeof(*out));
	out->tap_fd = -1;
	out->network = NETWORK_DEFAULT;
	out->prefix = 24;
	*why = NULL;
	do {
		size_t n = strcspn(text, ",");

		if (n >= sizeof(word)) {
			*why = "a part of it is too long";
			break;
		}
		memcpy(word, text, n);
		word[n] = 0;
		*why = first ? take_way(out, word) : take_word(out, word);
		first = false;
		text += n + (text[n] == ',');
		if (!*why && !text[0] && text[-1] == ',')
			*why = "behind the last comma is nothing";
	} while (!*why && *text);
	return *why ? -EINVAL : 0;
}

/* FNV-1a, into the bytes behind the first, which says: administered locally, and of one station. */
void net_stable_mac(const char *machine, unsigned n, uint8_t out[NET_MAC])
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (const char *c = machine; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 0x100000001b3ull;
	hash = (hash ^ (n + 0x80)) * 0x100000001b3ull;
	hash ^= hash >> 32;
	out[0] = 0x02;
	for (unsigned i = 1; i < NET_MAC; i++)
		out[i] = (uint8_t)(hash >> 8 * i);
}
