/* SPDX-License-Identifier: MIT */
/* Sealed memory objects: see shm.h. */
#include "shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

enum { PAGE = 4096, SEALS = F_SEAL_SHRINK | F_SEAL_GROW };

size_t shm_round(size_t size)
{
	return (size + PAGE - 1) & ~(size_t)(PAGE - 1);
}

/* MFD_NOEXEC_SEAL (Linux 6.3) keeps the object from ever being executed; older kernels refuse the flag. */
static int create_memfd(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

int shm_create(const char *name, size_t size, int *out_fd)
{
	int fd = create_memfd(name);
	int err;

	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)shm_round(size)) < 0 || fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	*out_fd = fd;
	return 0;
}

int shm_reopen_readonly(int fd, int *out_fd)
{
	char path[32];
	int copy;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	copy = open(path, O_RDONLY | O_CLOEXEC);
	if (copy < 0)
		return -errno;
	*out_fd = copy;
	return 0;
}

int64_t shm_size(int fd)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0)
		return -EINVAL;
	if ((seals & SEALS) != SEALS)
		return -EPERM;
	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_size;
}

static int map(int fd, size_t size, int prot, void *at, void **out)
{
	int64_t have = shm_size(fd);
	void *base;

	if (have < 0)
		return (int)have;
	if (size == 0 || (uint64_t)have != shm_round(size))
		return -EINVAL;
	base = mmap(at, shm_round(size), prot, MAP_SHARED | (at ? MAP_FIXED : 0), fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	*out = base;
	return 0;
}

int shm_map_rw(int fd, size_t size, void **out)
{
	return map(fd, size, PROT_READ | PROT_WRITE, NULL, out);
}

int shm_map_rw_at(int fd, size_t size, void *base)
{
	return map(fd, size, PROT_READ | PROT_WRITE, base, &base);
}

int shm_map_ro(int fd, size_t size, const void **out)
{
	void *base = NULL;
	int err = map(fd, size, PROT_READ, NULL, &base);

	if (!err)
		*out = base;
	return err;
}

void shm_unmap(const void *base, size_t size)
{
	munmap((void *)(uintptr_t)base, shm_round(size));
}
