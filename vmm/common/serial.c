/* SPDX-License-Identifier: MIT */
/* What is behind a serial port: serial.h. */
#include "serial.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SERVER ",server"

static const char *after(const char *text, const char *word)
{
	size_t len = strlen(word);

	return strncmp(text, word, len) ? NULL : text + len;
}

const char *serial_path(const char *text)
{
	const char *spec = text[0] && text[1] == ':' ? text + 2 : text;
	const char *file = after(spec, "file=");

	return file ? file : after(spec, "socket=");
}

/* Behind what a client of ours would be is no ",server": it may come one day, and is not to mean something else until then. */
static const char *cut_server(const char *value, size_t *len)
{
	size_t all = strlen(value), tail = sizeof(SERVER) - 1;

	if (all < tail || strcmp(value + all - tail, SERVER))
		return "the machine listens, and does not connect: write ,server behind it";
	*len = all - tail;
	return NULL;
}

static const char *parse_socket(const char *value, struct serial_spec *spec)
{
	const char *why = cut_server(value, &spec->path_len);

	spec->path = value;
	if (!why && !spec->path_len)
		why = "the path of the socket is missing";
	return why;
}

static const char *parse_tcp(const char *value, struct serial_spec *spec)
{
	const char *colon = strrchr(value, ':'), *why;
	char host[32], *end;
	unsigned long port;
	struct in_addr a;
	size_t len;

	why = cut_server(value, &len);
	if (why)
		return why;
	if (!colon || (size_t)(colon - value) >= sizeof(host))
		return "write 127.0.0.1:PORT,server";
	memcpy(host, value, (size_t)(colon - value));
	host[colon - value] = 0;
	if (inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1", &a) != 1 || ntohl(a.s_addr) >> 24 != 127)
		return "only on this host: 127.0.0.1, for a console has no password";
	port = strtoul(colon + 1, &end, 10);
	if (!isdigit((unsigned char)colon[1]) || end != value + len || port < 1 || port > 65535)
		return "a port is a number from 1 to 65535";
	spec->address = ntohl(a.s_addr);
	spec->tcp_port = (uint16_t)port;
	return NULL;
}

const char *serial_parse(const char *text, struct serial_spec *spec)
{
	const char *value;

	*spec = (struct serial_spec){ .kind = SERIAL_NOTHING };
	if (text[0] < '1' || text[0] > '0' + SERIAL_PORTS || text[1] != ':')
		return "write N:pty, N:file=PATH, N:socket=PATH,server or N:tcp=127.0.0.1:PORT,server, with N from 1 to 4";
	spec->port = (unsigned)(text[0] - '1');
	text += 2;
	if (!strcmp(text, "none"))
		return NULL;
	if (!strcmp(text, "pty"))
		return spec->kind = SERIAL_PTY, NULL;
	value = after(text, "file=");
	if (value) {
		*spec = (struct serial_spec){
			.port = spec->port, .kind = SERIAL_TO_FILE, .path = value, .path_len = strlen(value)
		};
		return *value ? NULL : "the name of the file is missing";
	}
	value = after(text, "socket=");
	if (value)
		return spec->kind = SERIAL_SOCKET, parse_socket(value, spec);
	value = after(text, "tcp=");
	if (value)
		return spec->kind = SERIAL_TCP, parse_tcp(value, spec);
	return "must be one of none, pty, file=PATH, socket=PATH,server, tcp=127.0.0.1:PORT,server";
}
