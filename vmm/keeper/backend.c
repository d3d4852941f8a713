/* SPDX-License-Identifier: MIT */
/* --disk and its like: what is behind virtio devices is opened here, and served by their back-ends: keeper.h. */
#include "keeper.h"

#include "../common/exit_codes.h"
#include "../common/programs.h"
#include "../common/screen_size.h"

#include "../../proto/disk.h"
#include "../../proto/gpu.h"
#include "../../proto/net_open.h"
#include "../../proto/shm.h"
#include "../../proto/share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Disks and folders that another program serves, which begins when the machine has a directory. */
static const struct disk_spec *exported[VIRTIO_DEVICES];
static const struct share_spec *shared[VIRTIO_DEVICES];

static int open_disk(struct keeper *k, unsigned n, const char *text)
{
	struct launch *l = &k->launch;
	static struct disk_spec specs[VIRTIO_DEVICES]; /* the supervisor goes on reading it */
	char error[DISK_ERROR_MAX];
	const char *why;
	int rc = disk_parse(text, &specs[n], &why);

	if (rc)
		return keeper_fail(k, EXIT_USAGE, "--disk %.150s: %s", text, why);
	l->disk[n].serial = specs[n].serial;
	if (specs[n].way != DISK_RAW) {
		exported[n] = &specs[n];
		return 0;
	}
	rc = disk_open(&specs[n], error);
	if (rc < 0)
		return keeper_fail(k, EXIT_USAGE, "--disk %s", error);
	l->backend_fd[n] = rc;
	l->disk[n].read_only = specs[n].read_only;
	return 0;
}

static uint64_t number_of_mac(const uint8_t mac[NET_MAC])
{
	uint64_t number = 0;

	for (unsigned i = 0; i < NET_MAC; i++)
		number = number << 8 | mac[i];
	return number;
}

int keeper_backend_inherits(const struct keeper *k, unsigned n)
{
	const struct backend_list *list = &k->config.backends;
	struct net_spec spec;
	const char *why;

	if (n >= list->count || list->of[n].kind != KIND_NETD || net_parse(list->of[n].text, &spec, &why))
		return -1;
	return spec.tap_fd;
}

/* What has come through exec() is not to be closed by the next one, until somebody has taken it. */
int keeper_keep_inherited(struct keeper *k)
{
	for (unsigned n = 0; n < VIRTIO_DEVICES; n++) {
		int fd = keeper_backend_inherits(k, n), flags = fd < 0 ? 0 : fcntl(fd, F_GETFD);

		if (fd < 0)
			continue;
		if (flags < 0)
			return keeper_fail(k, EXIT_USAGE,
					   "--net tap-fd=%d: no open TAP interface: no descriptor of that number was handed on",
					   fd);
		if (flags & FD_CLOEXEC)
			return keeper_fail(k, EXIT_USAGE,
					   "--net tap-fd=%d: it is in use already: each card takes a descriptor of its own", fd);
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
	return 0;
}

/* Its address follows from the machine's name, and so is opened when that is known. */
static int open_net(struct keeper *k, unsigned n, const char *text)
{
	struct launch *l = &k->launch;
	char error[NET_ERROR_MAX], place[4200];
	struct net_spec spec;
	const char *why;
	uint8_t mac[NET_MAC];
	int program, rc = net_parse(text, &spec, &why);

	if (rc)
		return keeper_fail(k, EXIT_USAGE, "--net %.150s: %s", text, why);
	program = program_open("bulkhead-uplinkd", place, sizeof(place));
	rc = net_open(&spec, text, k->config.name, program, k->config.sandbox, error);
	if (program >= 0)
		close(program);
	if (rc < 0)
		return keeper_fail(k, EXIT_USAGE, "--net %s", error);
	net_mac(&spec, k->config.name, k->config.backends.of[n].instance, mac);
	l->backend_fd[n] = rc;
	l->net[n].is_one = true;
	l->net[n].tap = spec.way == NET_TAP;
	l->net[n].mac = number_of_mac(mac);
	l->net[n].mtu = net_mtu(&spec);
	return 0;
}

/* The machine's directory becomes another one later: from here on its name is whole. */
static int find_folder(struct share_spec *spec)
{
	char *path = realpath(spec->path, NULL);
	struct stat st;
	int rc = 0;

	if (!path || stat(path, &st) < 0)
		rc = -errno;
	else if (!S_ISDIR(st.st_mode))
		rc = -ENOTDIR;
	else if (strlen(path) >= sizeof(spec->path))
		rc = -ENAMETOOLONG;
	else if (access(path, R_OK | X_OK | (spec->read_only ? 0 : W_OK)) < 0)
		rc = -errno;
	if (!rc)
		memcpy(spec->path, path, strlen(path) + 1);
	free(path);
	return rc;
}

static const char *what_to_do(int rc)
{
	switch (-rc) {
	case ENOENT:
		return "; mkdir -p DIR makes it";
	case ENOTDIR:
		return "; a folder is shared, not a file: --disk is for images";
	case EACCES:
	case EROFS:
		return "; it has to be readable, and writable unless ,ro stands behind its name";
	default:
		return "";
	}
}

static bool is_taken(const struct keeper *k, const char *tag)
{
	for (unsigned i = 0; i < VIRTIO_DEVICES; i++)
		if (k->launch.share_tag[i] && !strcmp(k->launch.share_tag[i], tag))
			return true;
	return false;
}

static int open_share(struct keeper *k, unsigned n, const char *text)
{
	static struct share_spec specs[VIRTIO_DEVICES]; /* the supervisor goes on reading the tag */
	const char *why;
	int rc = share_parse(text, &specs[n], &why);

	if (rc)
		return keeper_fail(k, EXIT_USAGE, "--share %.150s: %s", text, why);
	if (is_taken(k, specs[n].tag))
		return keeper_fail(k, EXIT_USAGE, "--share %.150s: another folder has the tag %s; give it a tag of its own", text,
				   specs[n].tag);
	rc = find_folder(&specs[n]);
	if (rc)
		return keeper_fail(k, EXIT_USAGE, "--share %.150s: %s%s", specs[n].path, strerror(-rc), what_to_do(rc));
	k->launch.share_tag[n] = specs[n].tag;
	shared[n] = &specs[n];
	return 0;
}

static int open_rng(struct keeper *k, unsigned n, const char *text)
{
	(void)text;
	k->launch.backend_fd[n] = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	return k->launch.backend_fd[n] < 0 ? keeper_fail(k, EXIT_USAGE, "--rng: /dev/urandom: %s", strerror(errno)) : 0;
}

/* All that it keeps outlives the processes that serve it. */
static int open_gpu(struct keeper *k, unsigned n, const char *text)
{
	struct gpu_store *s;
	void *page = NULL;
	int fd = -1, err = shm_create("bulkhead-gpu", sizeof(*s), &fd);

	if (!err)
		err = shm_map_rw(fd, sizeof(*s), &page);
	if (err)
		return keeper_fail(k, EXIT_INTERNAL, "--gpu: no memory for what it keeps: %s", strerror(-err));
	s = page;
	s->magic = GPU_MAGIC;
	s->version = GPU_VERSION;
	screen_size_parse(text, &s->width, &s->height);
	shm_unmap(page, sizeof(*s));
	k->launch.backend_fd[n] = fd;
	return 0;
}

/* What has a place on this host, before the machine's name is known; and what is named by it. */
static int (*const early[KIND_COUNT])(struct keeper *k, unsigned n, const char *text) = {
	[KIND_BLKD] = open_disk,
	[KIND_FSD] = open_share,
	[KIND_RNGD] = open_rng,
	[KIND_GPUD] = open_gpu,
};
static int (*const late[KIND_COUNT])(struct keeper *k, unsigned n, const char *text) = {
	[KIND_NETD] = open_net,
};

static int open_those(struct keeper *k, int (*const how[KIND_COUNT])(struct keeper *k, unsigned n, const char *text))
{
	const struct backend_list *list = &k->config.backends;
	int rc = 0;

	for (unsigned n = 0; n < list->count && !rc; n++)
		if (how[list->of[n].kind])
			rc = how[list->of[n].kind](k, n, list->of[n].text);
	return rc;
}

int keeper_open_backends(struct keeper *k)
{
	return open_those(k, early);
}

int keeper_open_named_backends(struct keeper *k)
{
	return open_those(k, late);
}

int exporters_start(struct keeper *k)
{
	int rc = 0;

	for (unsigned n = 0; n < VIRTIO_DEVICES && !rc; n++)
		if (exported[n] || shared[n])
			rc = exporter_start(k, n, exported[n], shared[n]);
	return rc;
}
