/* SPDX-License-Identifier: MIT */
/* Connections kept in a socket's queue: see stash.h. */
#include "stash.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proto/clock.h"

enum { SWEEP_MAX = 256 };

struct entry {
	uint32_t id;    /* 0: an end mark, not an entry */
	uint32_t nonce; /* of an end mark */
};

union one_fd {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

static int put(const struct stash *s, struct entry e, int fd)
{
	struct iovec iov = { &e, sizeof(e) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union one_fd control = { 0 };

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.header =
			(struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	return sendmsg(s->wr, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int stash_put(const struct stash *s, uint32_t id, int fd)
{
	return put(s, (struct entry){ .id = id }, fd);
}

/* The entry at the front, which stays there with MSG_PEEK. *fd is -1 if it came without one. */
static int get(const struct stash *s, struct entry *e, int *fd, int flags)
{
	struct iovec iov = { e, sizeof(*e) };
	union one_fd control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(s->rd, &msg, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c;

	*fd = -1;
	if (n < 0)
		return -errno;
	if (n != sizeof(*e))
		*e = (struct entry){ 0 };
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return 0;
}

static void judge_one(const struct stash *s, struct entry e, int fd,
		      enum stash_verdict (*judge)(void *ctx, uint32_t id, int fd), void *ctx)
{
	enum stash_verdict verdict = e.id ? judge(ctx, e.id, fd) : STASH_DROP;

	if (verdict != STASH_DROP)
		put(s, e, fd);
	if (verdict != STASH_TAKE)
		close(fd);
}

static void remove_first(const struct stash *s)
{
	struct entry e;
	int fd;

	if (get(s, &e, &fd, 0) == 0 && fd >= 0)
		close(fd);
}

/*
 * Round once: an end mark of our own goes in first. Marks of sweeps that were cut short are dropped on the way. An entry
 * leaves the front only when it is at the end again: who dies in between leaves it there twice.
 */
int stash_sweep(const struct stash *s, enum stash_verdict (*judge)(void *ctx, uint32_t id, int fd), void *ctx)
{
	uint32_t nonce = (uint32_t)(clock_ns() >> 4);
	struct entry e;
	int fd, err = put(s, (struct entry){ .nonce = nonce }, -1);

	for (unsigned i = 0; i < SWEEP_MAX && !err; i++) {
		err = get(s, &e, &fd, MSG_PEEK);
		if (err)
			break;
		if (fd >= 0)
			judge_one(s, e, fd, judge, ctx);
		remove_first(s);
		if (fd < 0 && e.id == 0 && e.nonce == nonce)
			return 0;
	}
	return err == -EAGAIN ? 0 : err;
}
