/* SPDX-License-Identifier: MIT */
/* Lines for the journal: see journald.h. */
#include "journald.h"

#include "../../proto/kind.h"

#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PATH "/run/systemd/journal/socket"

enum { PRIORITY_DEFAULT = 6 };

/* Somebody between systemd and us may have put another file in standard error's place. */
static int leads_to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev &&
	       st.st_ino == ino;
}

int journald_open(void)
{
	const struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = PATH };
	int fd = leads_to_journal() ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;

	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The length of the device's name that `text` begins with, of an instance's with its number; 0: it does not. */
static size_t device_name(const char *text, size_t len)
{
	size_t letters = 0, all;

	while (letters < len && text[letters] >= 'a' && text[letters] <= 'z')
		letters++;
	for (all = letters; all < len && text[all] >= '0' && text[all] <= '9';)
		all++;
	for (unsigned k = 0; k < KIND_COUNT; k++)
		if (strlen(kind_rows[k].name) == letters && !memcmp(kind_rows[k].name, text, letters))
			return all < len && (text[all] == ' ' || text[all] == ':' || text[all] == '[') && all < KIND_NAME_MAX
				       ? all
				       : 0;
	return 0;
}

static size_t add_device(char *out, size_t at, const char *vm, const char *text, size_t len)
{
	char prefix[80];
	size_t skip = (size_t)snprintf(prefix, sizeof(prefix), "bulkhead: %.60s: ", vm), name;

	if (len < skip || memcmp(text, prefix, skip))
		return at;
	name = device_name(text + skip, len - skip);
	return name ? at + (size_t)sprintf(out + at, "DEVICE=%.*s\n", (int)name, text + skip) : at;
}

size_t journald_entry(char *out, const char *vm, const char *text, size_t len)
{
	int priority = PRIORITY_DEFAULT;
	uint64_t bytes;
	size_t at;

	if (len >= 3 && text[0] == '<' && text[1] >= '0' && text[1] <= '7' && text[2] == '>') {
		priority = text[1] - '0';
		text += 3;
		len -= 3;
	}
	while (len && text[len - 1] == '\n')
		len--;
	at = (size_t)sprintf(out, "PRIORITY=%d\nSYSLOG_IDENTIFIER=bulkhead\nVM=%.60s\n", priority, vm);
	at = add_device(out, at, vm, text, len);
	at += (size_t)sprintf(out + at, "MESSAGE\n");
	bytes = htole64(len);
	memcpy(out + at, &bytes, sizeof(bytes));
	at += sizeof(bytes);
	memcpy(out + at, text, len);
	at += len;
	out[at++] = '\n';
	return at;
}
