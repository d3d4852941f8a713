/* SPDX-License-Identifier: MIT */
/* Images as disks: see disk.h. */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *disk_take_field(const char *text, char *out, size_t size, bool *fits)
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

static const char *take_format(struct disk_spec *out, const char *name)
{
	if (out->way == DISK_SOCKET)
		return "a back-end at a socket knows the format itself";
	out->has_format = true;
	out->way = !strcmp(name, "qcow2") ? DISK_QCOW2 : DISK_RAW;
	return out->way == DISK_QCOW2 || !strcmp(name, "raw") ? NULL : "the formats are raw and qcow2";
}

static bool ends_in(const char *text, const char *with)
{
	size_t n = strlen(text), m = strlen(with);

	return n > m && !strcmp(text + n - m, with);
}

const char *disk_name_of(const char *text)
{
	return text + (strncmp(text, "unix:", 5) ? 0 : 5);
}

static const char *take_name(struct disk_spec *out)
{
	const char *name = disk_name_of(out->path);

	if (!out->path[0])
		return "the name of the file is missing";
	if (name != out->path) {
		memmove(out->path, name, strlen(name) + 1);
		out->way = DISK_SOCKET;
		if (strlen(out->path) > 107)
			return "the name of a socket has at most 107 bytes";
	} else if (ends_in(out->path, ".qcow2")) {
		out->way = DISK_QCOW2;
	}
	return out->path[0] ? NULL : "behind unix: comes the name of a socket";
}

static const char *take_word(struct disk_spec *out, const char *word)
{
	if (!strcmp(word, "ro")) {
		out->read_only = true;
		return NULL;
	}
	if (!strncmp(word, "format=", 7))
		return take_format(out, word + 7);
	if (strncmp(word, "serial=", 7))
		return "behind the file come ro, serial=TEXT and format=raw or qcow2, and nothing else; a comma in its name is "
		       "written twice";
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
	text = disk_take_field(text, out->path, sizeof(out->path), &fits);
	*why = fits ? take_name(out) : "the name of the file is too long";
	while (text && !*why) {
		text = disk_take_field(text, word, sizeof(word), &fits);
		*why = fits ? take_word(out, word)
			    : "behind the file come ro, serial=TEXT and format=raw or qcow2, and nothing else";
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

/* A guest may have written it there: then nobody but the user may say that it is one. */
static bool is_qcow2(int fd)
{
	char magic[4];

	return pread(fd, magic, sizeof(magic), 0) == sizeof(magic) && !memcmp(magic, "QFI\xfb", sizeof(magic));
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
	if (!spec->has_format && is_qcow2(fd)) {
		snprintf(error, DISK_ERROR_MAX,
			 "%.150s is of format qcow2: say ,format=qcow2 behind its name; or ,format=raw, if a guest has written "
			 "that",
			 spec->path);
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
