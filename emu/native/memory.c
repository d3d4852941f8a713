/* SPDX-License-Identifier: MIT */
/* Memory for generated code: native/memory.h. */
#include "memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/random.h>
#include <unistd.h>

/* Addresses in the lower half of user space, far from where the kernel puts mappings by itself; 0: any. */
static void *random_place(void)
{
	uint64_t r;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != (ssize_t)sizeof(r))
		return NULL;
	return (void *)(uintptr_t)(0x100000000000ull + (r & 0x3fffffff000ull));
}

/* A hint that is taken already is no error: the kernel chooses then. */
static void *map_view(int fd, size_t bytes, int protection)
{
	void *p = mmap(random_place(), bytes, protection, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* What the process may make of files, which this is one of: to ask for more is fatal. And of address space. */
static size_t at_most_permitted(size_t bytes, size_t page)
{
	struct rlimit most;

	if (getrlimit(RLIMIT_FSIZE, &most) == 0 && most.rlim_cur < bytes)
		bytes = (size_t)most.rlim_cur;
	if (getrlimit(RLIMIT_AS, &most) == 0 && most.rlim_cur / 32 < bytes) /* it is mapped twice, and not all there is */
		bytes = (size_t)most.rlim_cur / 32;
	return bytes & ~(page - 1);
}

int native_memory_create(struct native_memory *m, size_t bytes)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fd, err = 0;

	*m = (struct native_memory){ .bytes = at_most_permitted(bytes + page - 1, page) };
	m->mapped = m->bytes;
	m->at = halves_of(0, m->bytes, m->bytes, NATIVE_ALIGN);
	if (m->bytes == 0)
		return -EFBIG;
	fd = memfd_create("bulkhead-code", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)m->bytes) != 0) {
		err = -errno;
	} else {
		m->writable = map_view(fd, m->bytes, PROT_READ | PROT_WRITE);
		m->runnable = m->writable ? map_view(fd, m->bytes, PROT_READ | PROT_EXEC) : NULL;
		err = m->runnable ? 0 : -errno;
	}
	close(fd);
	if (err)
		native_memory_destroy(m);
	return err;
}

void native_memory_destroy(struct native_memory *m)
{
	if (m->writable && m->mapped)
		munmap(m->writable, m->mapped);
	if (m->runnable && m->mapped)
		munmap((void *)(uintptr_t)m->runnable, m->mapped);
	*m = (struct native_memory){ 0 };
}

struct native_memory native_memory_part(const struct native_memory *whole, unsigned n, unsigned count)
{
	const size_t bytes = whole->bytes / count & ~(size_t)(NATIVE_ALIGN - 1);

	if (!whole->writable)
		return (struct native_memory){ 0 };
	return (struct native_memory){ .writable = whole->writable + n * bytes,
				       .runnable = whole->runnable + n * bytes,
				       .bytes = bytes,
				       .at = halves_of(0, bytes, bytes, NATIVE_ALIGN) };
}

struct native_memory native_memory_split(struct native_memory *m)
{
	struct native_memory upper = native_memory_part(m, 1, 2);

	m->bytes = (size_t)(upper.writable - m->writable);
	m->at = halves_of(0, m->bytes, m->bytes, NATIVE_ALIGN);
	return upper;
}

/* A hole in the object, through the view that may write: both views read zeroes there. Sandboxes may forbid it: then it stays. */
void native_memory_give_back(struct native_memory *m)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t from = ((uintptr_t)m->writable + m->at.used + page - 1) & ~(page - 1);
	const uintptr_t to = ((uintptr_t)m->writable + m->touched) & ~(page - 1);

	if (m->writable && to > from)
		madvise((void *)from, to - from, MADV_REMOVE);
	m->touched = m->at.used;
}

const uint8_t *native_memory_put(struct native_memory *m, const uint8_t *code, size_t length)
{
	const size_t at = m->at.used;

	if (length > halves_room(&m->at))
		return NULL;
	memcpy(m->writable + at, code, length);
	m->at.used = native_aligned(at + length);
	if (m->at.used > m->at.end)
		m->at.used = m->at.end;
	return m->runnable + at;
}
