/* SPDX-License-Identifier: MIT */
/* Images as disks: see disk.h. */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Up to the next single comma. Returns what follows, NULL: it was the last. */
static const char *take_field(const char *text, char *out, size_t size, bool *fits)
{
	size_t n = 0;

	*fits = true;
	for (; *text; text++) {
		if (*text == ',' && text[1] != ',')
			break;
		text += *text == ',';
		*fits = *fits && n + 1 < size;
		if (*fits)
			out[n++] = *text;
	}
	out[n] = 0;
	return *text ? text + 1 : NULL;
}

static const char *take_word(struct disk_spec *out, const char *word)
{
	if (!strcmp(word, "ro")) {
		out->read_only = true;
		return NULL;
	}
	if (strncmp(word, "serial=", 7))
		return "behind the file come ro and serial=TEXT, and nothing else; a comma in its name is written twice";
	word += 7;
	if (!*word || strlen(word) > DISK_SERIAL_MAX)
		return "a serial number has 1 to 20 characters";
	for (const char *c = word; *c; c++)
		if (*c <= ' ' || *c > '~')
			return "a serial number is of printable ASCII characters without blanks";
	snprintf(out->serial, sizeof(out->serial), "%s", word);
	return NULL;
}

int disk_parse(const char *text, struct disk_spec *out, const char **why)
{
	char word[64];
	bool fits;

	memset(out, 0, sizeof(*out));
	text = take_field(text, out->path, sizeof(out->path), &fits);
	*why = out->path[0] ? fits ? NULL : "the name of the file is too long" : "the name of the file is missing";
	while (text && !*why) {
		text = take_field(text, word, sizeof(word), &fits);
		*why = fits ? take_word(out, word) : "behind the file come ro and serial=TEXT, and nothing else";
	}
	return *why ? -EINVAL : 0;
}

uint64_t disk_sectors(int fd)
{
	off_t bytes = lseek(fd, 0, SEEK_END);

	return bytes > 0 ? (uint64_t)bytes / DISK_SECTOR : 0;
}

/* Of the open file, not of the process: whoever is handed the descriptor holds the lock. */
static int lock(int fd, bool read_only)
{
	struct flock l = { .l_type = read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &l) < 0 ? -errno : 0;
}

static int check(const struct disk_spec *spec, int fd, char error[DISK_ERROR_MAX])
{
	struct stat st;
	off_t bytes;
	int err;

	if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
		snprintf(error, DISK_ERROR_MAX, "%.150s is neither a file nor a block device", spec->path);
		return -EINVAL;
	}
	bytes = lseek(fd, 0, SEEK_END);
	if (bytes <= 0 || bytes % DISK_SECTOR) {
		snprintf(error, DISK_ERROR_MAX,
			 "%.150s has %lld bytes, and a disk has a multiple of 512, and some: truncate -s %%512 FILE fills it up",
			 spec->path, (long long)bytes);
		return -EINVAL;
	}
	err = lock(fd, spec->read_only);
	if (err == -EAGAIN || err == -EACCES) {
		snprintf(error, DISK_ERROR_MAX, "%.150s is in use%s; end who uses it, or take a copy", spec->path,
			 spec->read_only ? " by somebody who may write to it" : "");
		return -EBUSY;
	}
	return 0; /* a file system without locks is the user's choice */
}

static int refuse(const struct disk_spec *spec, int err, char error[DISK_ERROR_MAX])
{
	const char *next = "";

	if (err == ENOENT)
		next = "; truncate -s 2G FILE makes an empty one";
	else if (err == EACCES || err == EROFS || err == EPERM)
		next = spec->read_only ? "; it has to be readable" : "; ,ro behind its name serves it read-only";
	snprintf(error, DISK_ERROR_MAX, "%.150s: %s%s", spec->path, strerror(err), next);
	return -err;
}

int disk_open(const struct disk_spec *spec, char error[DISK_ERROR_MAX])
{
	int fd = open(spec->path, (spec->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), err;

	if (fd < 0)
		return refuse(spec, errno, error);
	err = check(spec, fd, error);
	if (!err)
		return fd;
	close(fd);
	return err;
}
