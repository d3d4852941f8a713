/* SPDX-License-Identifier: MIT */
/* The words of --vnc: vnc_place.h. */
#include "vnc_place.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DISPLAYS = 100, FIRST_DISPLAY = 5900 };

static int fail(char *error, const char *format, const char *word)
{
	snprintf(error, VNC_ERROR_MAX, format, word);
	return -EINVAL;
}

static int parse_option(const char *word, struct vnc_place *out, char *error)
{
	static const char file[] = "password-file=";

	if (!strcmp(word, "paste=off")) {
		out->no_paste = true;
		return 0;
	}
	if (strncmp(word, file, sizeof(file) - 1) || !word[sizeof(file) - 1])
		return fail(error, "%.80s is neither password-file=FILE nor paste=off", word);
	if (strlen(word) - sizeof(file) + 1 >= sizeof(out->password_file))
		return fail(error, "the name of the password's file is too long%s", "");
	strcpy(out->password_file, word + sizeof(file) - 1);
	return 0;
}

static int parse_tcp(const char *address, const char *number, struct vnc_place *out, char *error)
{
	struct in_addr in;
	char *end;
	unsigned long n = strtoul(number, &end, 10);

	if (inet_pton(AF_INET, address, &in) != 1)
		return fail(error, "%.80s is no IPv4 address, as 127.0.0.1; the name of a socket contains a /", address);
	out->address = ntohl(in.s_addr);
	if (!strcmp(number, "auto"))
		return 0;
	if (*number < '0' || *number > '9' || *end || n > UINT16_MAX)
		return fail(error, "%.80s is neither a display, 0 to 99, nor a port", number);
	out->port = (uint16_t)(n < DISPLAYS ? FIRST_DISPLAY + n : n);
	return 0;
}

/* A colon in the last part of a path does not make it an address. */
static int parse_place(char *word, struct vnc_place *out, char *error)
{
	char *colon = strrchr(word, ':');

	if (colon && !strchr(word, '/')) {
		*colon = 0;
		return parse_tcp(word, colon + 1, out, error);
	}
	if (!*word || strlen(word) >= sizeof(out->socket))
		return fail(error, "%.80s is no name that a socket can have", word);
	strcpy(out->socket, word);
	return 0;
}

static bool is_loopback(uint32_t address)
{
	return address >> 24 == IN_LOOPBACKNET;
}

int vnc_place_parse(const char *text, struct vnc_place *out, char error[VNC_ERROR_MAX])
{
	char copy[512], *rest = copy;
	int rc;

	memset(out, 0, sizeof(*out));
	if (strlen(text) >= sizeof(copy))
		return fail(error, "%.80s is too long", text);
	strcpy(copy, text);
	rc = parse_place(strsep(&rest, ","), out, error);
	while (!rc && rest)
		rc = parse_option(strsep(&rest, ","), out, error);
	if (!rc && !*out->socket && !is_loopback(out->address) && !*out->password_file)
		rc = fail(error, "%.80s: others than this host's own reach it; add ,password-file=FILE", text);
	return rc;
}
