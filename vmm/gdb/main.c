/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-gdbd: between a debugger and a machine's vcpu process. The debugger's connection comes from the keeper, by way of
 * the supervisor; this process listens to nobody, and holds neither files nor the guest's memory. It serves one debugger at
 * a time.
 */
#include "channel.h"
#include "session.h"

#include "proto/child.h"
#include "proto/log.h"
#include "proto/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { VCPUS_MAX = 64 /* a bit for each in `step` */ };

struct gdbd {
	struct child child;
	struct channel channel;
	struct target target;
	struct session session;
	int client_fd; /* -1: nobody debugs */
	bool fenced;
};

static struct gdbd gdbd = { .channel.fd = -1, .client_fd = -1 };

/* ---- the target's functions ------------------------------------------------------------------------------------ */

static int hold(void *ctx)
{
	return channel_hold(&((struct gdbd *)ctx)->channel);
}

static int go(void *ctx, const struct engine_debug *want)
{
	return channel_go(&((struct gdbd *)ctx)->channel, want);
}

static int get(void *ctx, unsigned vcpu, struct engine_state *out)
{
	return channel_get(&((struct gdbd *)ctx)->channel, vcpu, out);
}

static int set(void *ctx, unsigned vcpu, const struct engine_state *in)
{
	return channel_set(&((struct gdbd *)ctx)->channel, vcpu, in);
}

static int read_memory(void *ctx, unsigned vcpu, bool physical, uint64_t address, void *out, size_t size, size_t *got)
{
	return channel_read(&((struct gdbd *)ctx)->channel, vcpu, physical, address, out, size, got);
}

static int write_memory(void *ctx, unsigned vcpu, bool physical, uint64_t address, const void *in, size_t size)
{
	return channel_write(&((struct gdbd *)ctx)->channel, vcpu, physical, address, in, size);
}

static int info(void *ctx, const char *what, char *text, size_t len)
{
	return channel_info(&((struct gdbd *)ctx)->channel, what, text, len);
}

static void kill_machine(void *ctx)
{
	struct gdbd *g = ctx;

	child_event(&g->child, BULKHEAD__EVENT_TYPE__EVENT_DEBUG_KILL, 0, BULKHEAD__ROLE__ROLE_GDBD, NULL);
}

/* A debugger takes its answers; one that has stopped reading is waited for, a while, since that harms only itself. */
static void send_bytes(void *ctx, const char *bytes, size_t len)
{
	static const struct timespec patience = { .tv_sec = 5 };
	struct gdbd *g = ctx;

	while (len) {
		struct pollfd p = { .fd = g->client_fd, .events = POLLOUT };
		ssize_t n = send(g->client_fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			return; /* its end is read next */
		} else if (ppoll(&p, 1, &patience, NULL) == 0) {
			g->session.over = true;
			return;
		}
	}
}

/* ---- the debugger ---------------------------------------------------------------------------------------------- */

static void drop_client(struct gdbd *g)
{
	if (g->client_fd < 0)
		return;
	session_close(&g->session);
	close(g->client_fd);
	g->client_fd = -1;
	log_info("the debugger has gone");
}

static void on_client(struct gdbd *g)
{
	char bytes[4096];
	ssize_t n = read(g->client_fd, bytes, sizeof(bytes));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || !session_take(&g->session, bytes, (size_t)n))
		drop_client(g);
}

static void tell_held(struct gdbd *g)
{
	if (!g->channel.has_held)
		return;
	g->channel.has_held = false;
	if (g->client_fd >= 0)
		session_held(&g->session, g->channel.held_by, &g->channel.held);
}

static void on_channel(struct gdbd *g)
{
	if (!channel_listen(&g->channel))
		return;
	close(g->channel.fd); /* a new one comes with the next vcpu process */
	g->channel.fd = -1;
}

/* ---- the supervisor -------------------------------------------------------------------------------------------- */

static int take_fd(struct frame *f)
{
	int fd = f->fds[0];

	f->fds[0] = -1;
	return fd;
}

static void refuse(struct gdbd *g, int code, const char *why)
{
	frame_reply_error(g->child.control_fd, g->child.frame.header.id, code, NULL, "%s", why);
}

/* With the first one the fence is closed. Each later one belongs to a guest that was reset: it stands still until we let it
 * go. */
static void on_debug_channel(struct gdbd *g, struct frame *f)
{
	static const struct engine_debug nothing;
	const Bulkhead__DebugChannel *m = (const Bulkhead__DebugChannel *)f->msg;
	bool again = g->fenced;

	if (g->channel.fd >= 0)
		close(g->channel.fd);
	g->channel.fd = take_fd(f);
	g->channel.has_held = false;
	g->target.kvm = m->kvm;
	g->target.vcpus = m->vcpus >= 1 && m->vcpus <= VCPUS_MAX ? m->vcpus : 1;
	if (!again && sandbox_enter_run(SANDBOX_GDBD, g->child.sandbox) < 0) {
		refuse(g, EPERM, "sandbox");
		return;
	}
	g->fenced = true;
	frame_reply_ok(g->child.control_fd, f->header.id);
	if (again && g->client_fd >= 0)
		session_reborn(&g->session);
	else if (again)
		channel_go(&g->channel, &nothing);
}

static void on_debug_client(struct gdbd *g, struct frame *f)
{
	int fd = take_fd(f);

	frame_reply_ok(g->child.control_fd, f->header.id);
	if (g->client_fd >= 0 || g->channel.fd < 0) {
		log_warning("a second debugger was turned away");
		close(fd);
		return;
	}
	g->client_fd = fd;
	session_open(&g->session, &g->target);
	log_info("a debugger has come");
}

static void on_debug_end(struct gdbd *g, struct frame *f)
{
	frame_reply_ok(g->child.control_fd, f->header.id);
	if (g->client_fd < 0)
		return;
	session_ended(&g->session);
	drop_client(g);
}

/* False: the supervisor is gone. */
static bool on_control(struct gdbd *g)
{
	static const struct {
		uint16_t type;
		void (*serve)(struct gdbd *g, struct frame *f);
	} requests[] = {
		{ BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_CHANNEL, on_debug_channel },
		{ BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_CLIENT, on_debug_client },
		{ BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_END, on_debug_end },
	};
	struct frame *f = &g->child.frame;
	int err = frame_recv(g->child.control_fd, f);

	if (err)
		return err != -ECONNRESET;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (requests[i].type == f->header.type) {
			requests[i].serve(g, f);
			frame_close_fds(f);
			return true;
		}
	frame_close_fds(f);
	refuse(g, ENOSYS, "not for gdbd");
	return true;
}

static int serve(struct gdbd *g)
{
	for (;;) {
		struct pollfd fds[] = { { .fd = g->child.control_fd, .events = POLLIN },
					{ .fd = g->channel.fd, .events = POLLIN },
					{ .fd = g->client_fd, .events = POLLIN } };

		if (ppoll(fds, 3, NULL, NULL) < 0 && errno != EINTR)
			return 1;
		if (fds[1].revents)
			on_channel(g);
		tell_held(g);
		if (fds[2].revents && g->client_fd >= 0)
			on_client(g);
		tell_held(g);
		if (fds[0].revents && !on_control(g))
			return 0;
	}
}

int main(int argc, char **argv)
{
	struct gdbd *g = &gdbd;
	int code = child_start(&g->child, BULKHEAD__ROLE__ROLE_GDBD, "bulkhead-gdbd",
			       "speaks gdb's remote serial protocol for a virtual machine", argc, argv);

	if (code >= 0)
		return code;
	g->target = (struct target){ .ctx = g,
				     .vcpus = 1,
				     .hold = hold,
				     .go = go,
				     .get = get,
				     .set = set,
				     .read = read_memory,
				     .write = write_memory,
				     .info = info,
				     .kill = kill_machine,
				     .send = send_bytes };
	if (sandbox_enter_setup(SANDBOX_GDBD, g->child.sandbox, NULL) < 0 || child_hello(&g->child))
		return 1;
	return serve(g);
}
