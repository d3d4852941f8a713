/* SPDX-License-Identifier: MIT */
/* Shared objects and a channel in one process, for tests of proto/ and the daemons. */
#ifndef BULKHEAD_TESTS_PROTO_HARNESS_H
#define BULKHEAD_TESTS_PROTO_HARNESS_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/ring.h"
#include "proto/shm.h"

/* A sealed object: its supervisor's handle, and a read-only one. */
struct test_object {
	int fd, ro_fd;
	void *rw;	/* our own mapping, as the writer has it */
	const void *ro; /* as readers have it */
	size_t size;
};

static inline void test_object_make(struct test_object *o, const char *name, size_t size)
{
	o->size = size;
	cr_assert_eq(shm_create(name, size, &o->fd), 0);
	cr_assert_eq(shm_reopen_readonly(o->fd, &o->ro_fd), 0);
	cr_assert_eq(shm_map_rw(o->fd, size, &o->rw), 0);
	cr_assert_eq(shm_map_ro(o->ro_fd, size, &o->ro), 0);
}

static inline void test_object_free(struct test_object *o)
{
	shm_unmap(o->rw, o->size);
	shm_unmap(o->ro, o->size);
	close(o->fd);
	close(o->ro_fd);
}

struct test_channel {
	struct test_object req, rsp;
	int bell[2];
	struct ring_producer producer;
	struct ring_consumer consumer;
};

static inline void test_channel_make(struct test_channel *c)
{
	test_object_make(&c->req, "req", sizeof(struct ring_req));
	test_object_make(&c->rsp, "rsp", sizeof(struct ring_rsp));
	cr_assert_eq(pipe2(c->bell, O_CLOEXEC), 0);
	fcntl(c->bell[1], F_SETFL, O_NONBLOCK);
	cr_assert_eq(ring_attach(&c->producer, c->req.rw, c->rsp.ro, c->bell[1], 0), 0);
	ring_consumer_init(&c->consumer, c->req.ro, c->rsp.rw, 0, RING_VCPUS);
}

static inline void test_channel_free(struct test_channel *c)
{
	ring_detach(&c->producer);
	test_object_free(&c->req);
	test_object_free(&c->rsp);
	close(c->bell[0]);
	close(c->bell[1]);
}

#endif
