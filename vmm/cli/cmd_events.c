/* SPDX-License-Identifier: MIT */
/* bulkhead events: what happens to machines, as it happens. */
#include "cli.h"

#include "client.h"
#include "output.h"
#include "peer.h"
#include "../common/exit_codes.h"

#include "../../proto/text.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MACHINES_MAX = 128, ANSWER_MS = 2000, LOOK_MS = 500, WATCH_ID = 1 };

/* Those that we listen to. */
struct watch {
	char name[64];
	int sock; /* -1: nobody any more */
	pid_t keeper;
};
struct watcher {
	bool json;
	unsigned count;
	struct watch of[MACHINES_MAX];
};

static json_t *text(const char *s)
{
	json_t *j = s ? json_string(s) : NULL;

	return j ? j : json_null();
}

static void print_json(const char *machine, const Bulkhead__News *n)
{
	json_t *j = json_object();

	json_object_set_new(j, "schema", json_integer(1));
	json_object_set_new(j, "machine", text(machine));
	json_object_set_new(j, "number", json_integer((json_int_t)n->number));
	json_object_set_new(j, "realtime_ns", json_integer(n->realtime_ns));
	json_object_set_new(j, "monotonic_ns", json_integer(n->monotonic_ns));
	json_object_set_new(j, "event", text(n->what));
	json_object_set_new(j, "device", text(n->device));
	json_object_set_new(j, "incarnation", n->has_incarnation ? json_integer(n->incarnation) : json_null());
	json_object_set_new(j, "code", n->has_code ? json_integer(n->code) : json_null());
	json_object_set_new(j, "text", text(n->text));
	json_dumpf(j, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(j);
	printf("\n");
}

static void print_line(const char *machine, const Bulkhead__News *n)
{
	time_t at = (time_t)(n->realtime_ns / 1000000000);
	char when[32] = "?";
	struct tm tm;

	if (localtime_r(&at, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s.%03d %s: %s%s%s", when, (int)(n->realtime_ns / 1000000 % 1000), machine, n->what ? n->what : "?",
	       n->device ? " " : "", n->device ? n->device : "");
	if (n->has_code)
		printf(" code %u", n->code);
	printf("%s%s\n", n->text && *n->text ? ": " : "", n->text ? n->text : "");
}

/* It does not follow the machine into its end by itself: what is in the socket is read first. */
static void forget(struct watch *w)
{
	close(w->sock);
	w->sock = -1;
}

static void hear(struct watcher *all, struct watch *w)
{
	int rc = frame_recv(w->sock, &client_frame);

	if (rc == -EAGAIN)
		return;
	if (rc) {
		forget(w);
		return;
	}
	if (client_frame.header.type != BULKHEAD__MESSAGE_TYPE__MSG_NEWS)
		return;
	text_clean_message(client_frame.msg, TEXT_ONE_LINE);
	if (all->json)
		print_json(w->name, (const Bulkhead__News *)client_frame.msg);
	else
		print_line(w->name, (const Bulkhead__News *)client_frame.msg);
	fflush(stdout);
}

/* 0, or as client_call(). */
static int listen_to(struct watcher *all, const char *name, const char *path)
{
	const Bulkhead__Watch m = BULKHEAD__WATCH__INIT;
	struct watch *w = &all->of[all->count];
	struct peer peer;
	int rc = all->count == MACHINES_MAX ? -ENOSPC : peer_connect(path, "control.sock", SOCK_SEQPACKET, &peer);

	if (rc)
		return rc;
	rc = frame_call(peer.sock, &client_frame, BULKHEAD__MESSAGE_TYPE__MSG_WATCH, WATCH_ID, &m.base, NULL, 0, ANSWER_MS);
	if (!rc && client_frame.header.type == BULKHEAD__MESSAGE_TYPE__MSG_ERROR) {
		text_clean_message(client_frame.msg, TEXT_ONE_LINE);
		rc = -EREMOTEIO;
	}
	if (rc) {
		close(peer.sock);
		return rc;
	}
	*w = (struct watch){ .sock = peer.sock, .keeper = peer.pid };
	snprintf(w->name, sizeof(w->name), "%s", name);
	all->count++;
	return 0;
}

/* A machine that is there and not listened to. Its name may have been another one's before. */
static void look(void *ctx, const char *name, const char *path)
{
	struct watcher *all = ctx;

	for (unsigned n = 0; n < all->count; n++)
		if (all->of[n].sock >= 0 && !strcmp(all->of[n].name, name))
			return;
	listen_to(all, name, path);
}

static void drop_silent(struct watcher *all)
{
	unsigned kept = 0;

	for (unsigned n = 0; n < all->count; n++)
		if (all->of[n].sock >= 0)
			all->of[kept++] = all->of[n];
	all->count = kept;
}

static void hear_all(struct watcher *all, int timeout_ms)
{
	struct pollfd fds[MACHINES_MAX + 1];

	for (unsigned n = 0; n < all->count; n++)
		fds[n] = (struct pollfd){ .fd = all->of[n].sock, .events = POLLIN };
	/* Who reads what we write may have gone while nothing happens. */
	fds[all->count] = (struct pollfd){ .fd = STDOUT_FILENO };
	if (poll(fds, all->count + 1, timeout_ms) <= 0)
		return;
	if (fds[all->count].revents & POLLERR)
		_exit(EXIT_OUTPUT);
	for (unsigned n = 0; n < all->count; n++)
		if (fds[n].revents)
			hear(all, &all->of[n]);
	drop_silent(all);
}

int cmd_events(int argc, char **argv)
{
	static struct watcher all;
	struct machine_ref ref;
	struct cli_args args;
	int rc = cli_parse(COMMAND_EVENTS, &args, argc, argv);

	all.json = args.json;
	if (!rc && args.count)
		rc = client_find(args.words[0], &ref);
	if (rc)
		return rc;
	if (args.count)
		rc = listen_to(&all, ref.name, ref.path);
	if (rc)
		return client_complain(ref.name, &client_frame, rc);
	while (!ferror(stdout) && (all.count || !args.count)) {
		if (!args.count)
			rundir_each(NULL, look, &all);
		hear_all(&all, args.count ? -1 : LOOK_MS);
	}
	return EXIT_OK;
}
