/* SPDX-License-Identifier: MIT */
/* design.md, section 2: one writer each, sealed so that nobody can SIGBUS a peer. */
#include <errno.h>

#include "proto_harness.h"

Test(shm, reader_cannot_map_writable)
{
	struct test_object o;
	void *p;

	test_object_make(&o, "t", 5000);
	cr_assert_eq(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, o.ro_fd, 0), MAP_FAILED);
	cr_assert_eq(errno, EACCES);
	cr_assert_eq(mprotect((void *)(uintptr_t)o.ro, 8192, PROT_READ | PROT_WRITE), -1);
	cr_assert_eq(shm_map_rw(o.ro_fd, 5000, &p), -EACCES);
	test_object_free(&o);
}

Test(shm, cannot_be_resized_or_unsealed)
{
	struct test_object o;

	test_object_make(&o, "t", 8192);
	cr_assert_eq(ftruncate(o.fd, 0), -1);
	cr_assert_eq(ftruncate(o.fd, 16384), -1);
	cr_assert_eq(ftruncate(o.ro_fd, 0), -1);
	cr_assert_eq(fcntl(o.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	test_object_free(&o);
}

Test(shm, writes_show_through)
{
	struct test_object o;

	test_object_make(&o, "t", 4096);
	((volatile char *)o.rw)[17] = 42;
	cr_assert_eq(((const volatile char *)o.ro)[17], 42);
	test_object_free(&o);
}

Test(shm, refuses_what_is_not_such_an_object)
{
	const void *p;
	int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING), pipes[2];
	struct test_object o;

	cr_assert_eq(ftruncate(fd, 4096), 0);
	cr_assert_eq(shm_map_ro(fd, 4096, &p), -EPERM);
	close(fd);
	cr_assert_eq(pipe(pipes), 0);
	cr_assert_eq(shm_map_ro(pipes[0], 4096, &p), -EINVAL);
	cr_assert_eq(shm_map_ro(-1, 4096, &p), -EINVAL);
	fd = open("/proc/self/exe", O_RDONLY);
	cr_assert_eq(shm_map_ro(fd, 4096, &p), -EINVAL);
	test_object_make(&o, "t", 4096);
	cr_assert_eq(shm_map_ro(o.ro_fd, 8192, &p), -EINVAL, "larger than it is: would be a SIGBUS");
	cr_assert_eq(shm_map_ro(o.ro_fd, 0, &p), -EINVAL);
	test_object_free(&o);
}
