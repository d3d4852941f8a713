/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-blkd by itself: a disk for any VMM that is a vhost-user front-end. One front-end at a time; when it hangs up, the
 * next one may come.
 */
#include "devices/blk_disk.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/disk.h"
#include "proto/log.h"
#include "proto/sandbox.h"

enum { EXIT_USAGE_WRONG = 2, EXIT_FAILED = 1 };

struct alone {
	struct event_base *base;
	struct event listener;
	int listen_fd;
	struct vhost_back back;
	struct blk_disk disk;
};

static struct alone self;

static int usage(const char *why)
{
	fprintf(stderr, "bulkhead-blkd: %s\nUsage: bulkhead-blkd --vhost-user SOCKET --disk FILE[,ro][,serial=TEXT]\n", why);
	return EXIT_USAGE_WRONG;
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
	struct alone *a = arg;
	int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (connection < 0)
		return;
	if (a->back.fd >= 0)
		close(connection); /* there is one at work */
	else if (vhost_back_attach(&a->back, connection))
		vhost_back_detach(&a->back);
}

static void served(void *ctx)
{
	blk_disk_tell_errors(ctx);
}

static void lost(void *ctx, const char *why)
{
	(void)ctx;
	log_info("%s", why);
}

/* A socket that nobody listens at any more makes room. Other files refuse connections, too. */
static bool is_dead_socket(const struct sockaddr_un *addr)
{
	struct stat st;
	bool dead;
	int fd;

	if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	dead = fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 && errno == ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	return dead;
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;

	if (fd < 0 || strlen(path) >= sizeof(addr.sun_path))
		return fd < 0 ? -errno : -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (is_dead_socket(&addr))
		unlink(path);
	mask = umask(0177);
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1) < 0) {
		int err = -errno;

		close(fd);
		fd = err;
	}
	umask(mask);
	return fd;
}

static int make_loop(struct alone *a)
{
	struct event_config *config = event_config_new();

	if (!config)
		return -ENOMEM;
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	a->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!a->base || event_assign(&a->listener, a->base, a->listen_fd, EV_READ | EV_PERSIST, on_connection, a) < 0 ||
	    event_add(&a->listener, NULL) < 0)
		return -EIO;
	vhost_back_init(&a->back, &a->disk.device, a->base, NULL);
	return 0;
}

/* From here on it can use what it has open, take connections, and map what it is handed. */
static int enter_fence(void)
{
	struct sandbox_report report = { 0 };
	int err = sandbox_enter_setup(sandbox_of_kind(KIND_BLKD), SANDBOX_ON, &report);

	return err ? err : sandbox_enter_run(sandbox_of_kind(KIND_BLKD), SANDBOX_ON);
}

static int run(struct alone *a, const char *path, const struct disk_spec *spec)
{
	char error[DISK_ERROR_MAX];
	int fd = disk_open(spec, error), err;

	if (fd < 0) {
		fprintf(stderr, "bulkhead-blkd: --disk %s\n", error);
		return EXIT_USAGE_WRONG;
	}
	a->listen_fd = listen_at(path);
	if (a->listen_fd < 0) {
		fprintf(stderr, "bulkhead-blkd: --vhost-user %s: %s; choose another path, or end who listens there\n", path,
			strerror(-a->listen_fd));
		return EXIT_USAGE_WRONG;
	}
	err = blk_disk_init(&a->disk, fd, spec->read_only, spec->serial, served, lost);
	if (!err)
		err = make_loop(a);
	signal(SIGPIPE, SIG_IGN);
	if (!err)
		err = enter_fence();
	if (err) {
		fprintf(stderr, "bulkhead-blkd: cannot start: %s\n", strerror(-err));
		return EXIT_FAILED;
	}
	event_base_dispatch(a->base);
	return EXIT_FAILED;
}

int blk_alone(int argc, char **argv)
{
	const char *path = NULL, *disk = NULL, *why;
	static struct disk_spec spec;

	for (int i = 1; i < argc; i++)
		path = !strcmp(argv[i], "--vhost-user") ? "" : path;
	if (!path)
		return -1;
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 == argc)
			return usage("an option needs a value");
		if (!strcmp(argv[i], "--vhost-user"))
			path = argv[i + 1];
		else if (!strcmp(argv[i], "--disk"))
			disk = argv[i + 1];
		else
			return usage("--vhost-user goes with --disk, and nothing else");
	}
	if (!*path || !disk)
		return usage(disk ? "the path of the socket is missing" : "--disk FILE is missing: what is to be served");
	if (disk_parse(disk, &spec, &why))
		return usage(why);
	if (spec.way != DISK_RAW)
		return usage("by itself it serves raw images and block devices");
	return run(&self, path, &spec);
}
