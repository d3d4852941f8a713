/* SPDX-License-Identifier: MIT */
/* --exec: an archive with bulkhead-init and what it is told, which the guest's kernel unpacks over the user's: keeper.h. */
#include "keeper.h"

#include "../common/cpio.h"
#include "../common/exit_codes.h"
#include "../common/guest_note.h"
#include "../common/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int put(void *ctx, const void *data, size_t len)
{
	const char *at = data;
	ssize_t n;

	for (; len; at += n, len -= (size_t)n) {
		n = write(*(const int *)ctx, at, len);
		if (n < 0)
			return -errno;
	}
	return 0;
}

static int add_init(struct cpio *c)
{
	char path[4200];
	int fd = program_open(GUEST_NOTE_INIT, path, sizeof(path)), rc = fd < 0 ? fd : 0;
	void *image = MAP_FAILED;
	struct stat st;

	if (!rc)
		close(fd), fd = open(path, O_RDONLY | O_CLOEXEC);
	if (!rc && (fd < 0 || fstat(fd, &st) < 0))
		rc = -errno;
	if (!rc)
		image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (!rc && image == MAP_FAILED)
		rc = -errno;
	if (!rc)
		rc = cpio_file(c, GUEST_NOTE_INIT, 0755, image, (size_t)st.st_size);
	if (image != MAP_FAILED)
		munmap(image, (size_t)st.st_size);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int add_note(struct cpio *c, const struct vm_config *config)
{
	const struct guest_note nothing = { .rows = 0 };
	char line[GUEST_NOTE_MAX], *text;
	int len, rc;

	guest_note_format(&nothing, line);
	len = asprintf(&text, "%s\n%s", config->terminal ? config->terminal : line, config->exec);
	if (len < 0)
		return -ENOMEM;
	rc = cpio_file(c, GUEST_NOTE_FILE, 0600, text, (size_t)len);
	free(text);
	return rc;
}

int keeper_open_exec(struct keeper *k)
{
	int fd = memfd_create("bulkhead-exec", MFD_CLOEXEC), rc = fd < 0 ? -errno : 0;
	struct cpio c = { .put = put, .ctx = &fd };

	if (!rc)
		rc = add_init(&c);
	if (!rc)
		rc = add_note(&c, &k->config);
	if (!rc)
		rc = cpio_end(&c);
	if (rc)
		return keeper_fail(k, EXIT_USAGE, "--exec: %s: %s; reinstall bulkhead, or set BULKHEAD_LIBEXEC", GUEST_NOTE_INIT,
				   strerror(-rc));
	k->launch.initrd_fd[k->config.initrds.count] = fd;
	k->launch.has_exec = true;
	return 0;
}
