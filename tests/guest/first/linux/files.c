/* SPDX-License-Identifier: MIT */
#include "../frame.h"
#include "../guest.h"
#include "linux.h"

enum {
	STANDARD = 3, /* descriptors below: the serial port */
	DESCRIPTORS = 8,
	END_OF_INPUT = 4, /* Ctrl-D, as at a terminal */
	CHARACTER_DEVICE = 0020620,
	REGULAR_FILE = 0100555,
	FROM_START = 0,
	FROM_HERE = 1,
	FROM_END = 2,
};

/* struct stat of the kernel's interface for x86-64. */
struct status {
	uint64_t device, inode, links;
	uint32_t mode, user, group, zero;
	uint64_t device_number;
	int64_t size, block_size, blocks;
	uint64_t times[6];
	int64_t reserved[3];
};

_Static_assert(sizeof(struct status) == 144, "asm/stat.h");

static struct {
	bool is_open;
	uint64_t at;
} open_files[DESCRIPTORS];
static uint64_t file_size;

void files_init(const struct image *image)
{
	file_size = image->file_size;
}

static bool is_same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static bool is_file(uint64_t fd)
{
	return fd >= STANDARD && fd < DESCRIPTORS && open_files[fd].is_open;
}

int64_t file_open(const char *path)
{
	if (!is_same(path, "/program") && !is_same(path, "/proc/self/exe"))
		return -ENOENT;
	for (uint64_t fd = STANDARD; fd < DESCRIPTORS; fd++) {
		if (open_files[fd].is_open)
			continue;
		open_files[fd].is_open = true;
		open_files[fd].at = 0;
		return (int64_t)fd;
	}
	return -ENOMEM;
}

int64_t file_close(uint64_t fd)
{
	if (fd < STANDARD)
		return 0;
	if (!is_file(fd))
		return -EBADF;
	open_files[fd].is_open = false;
	return 0;
}

/* A line, or what there is room for. Input stays at its end once it has been there. */
static int64_t read_serial(uint8_t *to, uint64_t n)
{
	static bool is_at_end;
	uint64_t got = 0;

	while (got < n && !is_at_end) {
		uint8_t c = frame_getc();

		is_at_end = c == END_OF_INPUT;
		if (!is_at_end)
			to[got++] = c;
		if (c == '\n')
			break;
	}
	return (int64_t)got;
}

int64_t file_read(uint64_t fd, uint8_t *to, uint64_t n)
{
	uint64_t left;

	if (fd == 0)
		return read_serial(to, n);
	if (!is_file(fd))
		return -EBADF;
	left = open_files[fd].at < file_size ? file_size - open_files[fd].at : 0;
	if (n > left)
		n = left;
	memcpy(to, frame_program()->bytes + open_files[fd].at, n);
	open_files[fd].at += n;
	return (int64_t)n;
}

int64_t file_write(uint64_t fd, const uint8_t *from, uint64_t n)
{
	if (fd >= STANDARD)
		return -EBADF;
	for (uint64_t i = 0; i < n; i++)
		frame_putc(from[i]);
	return (int64_t)n;
}

int64_t file_seek(uint64_t fd, int64_t offset, uint64_t whence)
{
	if (fd < STANDARD)
		return -ESPIPE;
	if (!is_file(fd))
		return -EBADF;
	if (whence == FROM_HERE)
		offset += (int64_t)open_files[fd].at;
	else if (whence == FROM_END)
		offset += (int64_t)file_size;
	if (whence > FROM_END || offset < 0)
		return -EINVAL;
	open_files[fd].at = (uint64_t)offset;
	return offset;
}

int64_t file_stat(uint64_t fd, void *to)
{
	struct status *s = to;

	if (fd >= STANDARD && !is_file(fd))
		return -EBADF;
	memset(s, 0, sizeof(*s));
	s->inode = fd + 1;
	s->links = 1;
	s->mode = fd < STANDARD ? CHARACTER_DEVICE : REGULAR_FILE;
	s->size = fd < STANDARD ? 0 : (int64_t)file_size;
	s->block_size = PAGE;
	s->blocks = (s->size + 511) / 512;
	return 0;
}
