/* SPDX-License-Identifier: MIT */
/*
 * A disk, past the guest's cache. By name only, and only where somebody has made the link /bench-disk: what lies on that disk is
 * written over.
 */
#include "bench.h"

#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#define DISK "/bench-disk"
enum { MIB = 1 << 20, PAGE = 4096, SPAN = 64 * MIB, SEQUENCE = 16, RANDOM = 256, THREADS = 32 };

static uint8_t *buffer;
static int disk = -1;

static bool has_disk(void)
{
	if (disk < 0)
		disk = open(DISK, O_RDWR | O_DIRECT);
	if (!buffer)
		buffer = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return disk >= 0 && buffer != MAP_FAILED;
}

static uint64_t read_sequence(uint64_t n)
{
	uint64_t sum = 0;

	for (uint64_t k = 0; k < n * SEQUENCE; k++)
		sum += (uint64_t)pread(disk, buffer, MIB, (off_t)(k * MIB % SPAN));
	return sum;
}

static uint64_t write_sequence(uint64_t n)
{
	uint64_t sum = 0;

	for (uint64_t k = 0; k < n * SEQUENCE; k++)
		sum += (uint64_t)pwrite(disk, buffer, MIB, (off_t)(k * MIB % SPAN));
	return sum;
}

/* A page somewhere (Knuth's multiplier: each once before one comes again). */
static off_t place(uint64_t k)
{
	return (off_t)(k * 2654435761u % (SPAN / PAGE) * PAGE);
}

static uint64_t read_pages(uint64_t n)
{
	uint64_t sum = 0;

	for (uint64_t k = 0; k < n * RANDOM; k++)
		sum += (uint64_t)pread(disk, buffer, PAGE, place(k));
	return sum;
}

static uint64_t write_pages(uint64_t n)
{
	uint64_t sum = 0;

	for (uint64_t k = 0; k < n * RANDOM; k++)
		sum += (uint64_t)pwrite(disk, buffer, PAGE, place(k));
	return sum;
}

struct reader {
	pthread_t thread;
	uint64_t first, count, sum;
	uint8_t *page;
};

static void *read_some(void *arg)
{
	struct reader *r = arg;

	for (uint64_t k = 0; k < r->count; k++)
		r->sum += (uint64_t)pread(disk, r->page, PAGE, place(r->first + k));
	return NULL;
}

static uint64_t read_pages_at_once(uint64_t n)
{
	static struct reader readers[THREADS];
	uint64_t sum = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		readers[i] = (struct reader){ .first = i * 1000, .count = n * RANDOM / THREADS, .page = buffer + i * PAGE };
		if (pthread_create(&readers[i].thread, NULL, read_some, &readers[i]))
			return 0;
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(readers[i].thread, NULL);
		sum += readers[i].sum;
	}
	return sum;
}

const struct workload disk_workloads[] = {
	{ "disk-write-1m", "MB/s", write_sequence, (uint64_t)SEQUENCE * MIB, has_disk },
	{ "disk-read-1m", "MB/s", read_sequence, (uint64_t)SEQUENCE * MIB, has_disk },
	{ "disk-write-4k", "ns", write_pages, RANDOM, has_disk },
	{ "disk-read-4k", "ns", read_pages, RANDOM, has_disk },
	{ "disk-read-4k-32", "ns", read_pages_at_once, RANDOM, has_disk },
	{ NULL, NULL, NULL, 0, NULL },
};
