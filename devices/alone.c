/* SPDX-License-Identifier: MIT */
/* A virtio back-end by itself: see alone.h. */
#include "devices/alone.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/sandbox.h"

static const char *program(const struct alone *a)
{
	return kind_rows[a->kind].program;
}

int alone_usage(const struct alone *a, const char *why)
{
	fprintf(stderr, "%s: %s\nUsage: %s --vhost-user SOCKET %s\n", program(a), why, program(a), a->usage);
	return ALONE_USAGE_WRONG;
}

bool alone_is_wanted(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--vhost-user"))
			return true;
	return false;
}

int alone_parse(const struct alone *a, int argc, char **argv, const char *option, const char **path, const char **value)
{
	bool given = false;

	*path = NULL;
	for (int i = 1; i < argc; i++) {
		bool socket = !strcmp(argv[i], "--vhost-user"), wants = socket || value;
		const char **out = socket ? path : value;

		if (!socket && strcmp(argv[i], option))
			return alone_usage(a, "beside --vhost-user it takes what stands here, and nothing else");
		given = given || !socket;
		if (wants && i + 1 == argc)
			return alone_usage(a, "an option needs a value");
		if (wants)
			*out = argv[++i];
	}
	if (!*path || !**path)
		return alone_usage(a, "the path of the socket is missing");
	return given ? 0 : alone_usage(a, "what is to be served is missing");
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
	return 0;
}

static int failed(const struct alone *a, int err)
{
	fprintf(stderr, "%s: cannot start: %s\n", program(a), strerror(-err));
	return ALONE_FAILED;
}

int alone_open(struct alone *a, const char *path)
{
	int err;

	a->listen_fd = listen_at(path);
	if (a->listen_fd < 0) {
		fprintf(stderr, "%s: --vhost-user %s: %s; choose another path, or end who listens there\n", program(a), path,
			strerror(-a->listen_fd));
		return ALONE_USAGE_WRONG;
	}
	signal(SIGPIPE, SIG_IGN);
	err = make_loop(a);
	return err ? failed(a, err) : 0;
}

/*
 * The filter lets descriptors be sent at one number only, which in a machine is nobody's. An accepted connection gets the lowest one that
 * is free: with all those before it in use, that one, for all other descriptors of a connection come after it, and go with it.
 */
static int let_connections_be_the_link(const struct alone *a)
{
	int fd = 0;

	while (fd >= 0 && fd < SANDBOX_LINK)
		fd = dup(a->listen_fd);
	if (fd < 0)
		return -errno;
	close(fd);
	return fd == SANDBOX_LINK ? 0 : -EMFILE;
}

/* From here on it can use what it has open, take connections, and map what it is handed. */
static int enter_fence(struct alone *a)
{
	struct sandbox_report report = { 0 };
	int err = sandbox_enter_setup(sandbox_of_kind(a->kind), SANDBOX_ON, &report);

	if (!err && a->start)
		err = a->start(&a->back);
	if (!err && a->keeps_record)
		err = let_connections_be_the_link(a);
	return err ? err : sandbox_enter_run(sandbox_of_kind(a->kind), SANDBOX_ON);
}

int alone_serve(struct alone *a)
{
	int err = 0;

	vhost_back_init(&a->back, a->device, a->base, NULL);
	if (a->keeps_record)
		err = vhost_back_make_inflight(&a->back);
	if (!err)
		err = enter_fence(a);
	if (err)
		return failed(a, err);
	event_base_dispatch(a->base);
	return ALONE_FAILED;
}
