/* SPDX-License-Identifier: MIT */
/* brk() and mmap(). Everything is mapped already, and may be written and run: what is given out are addresses, and zeroes. */
#include "../frame.h"
#include "../guest.h"
#include "linux.h"

enum { PAGES = (STACK_BOTTOM - FRAME_PROGRAM_ADDRESS) / PAGE };

static uint64_t break_start, break_end, break_limit;
static bool is_taken[PAGES]; /* from FRAME_PROGRAM_ADDRESS on */

static uint64_t page_up(uint64_t address)
{
	return (address + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

void memory_init(const struct image *image)
{
	uint64_t file_pages = page_up(sizeof(struct frame_program) + frame_program()->length) / PAGE;

	break_start = break_end = page_up(image->end);
	break_limit = image->limit;
	for (uint64_t i = 0; i < file_pages && i < PAGES; i++)
		is_taken[i] = true;
}

/* The old end, if the new one cannot be. */
uint64_t memory_brk(uint64_t wanted)
{
	if (wanted < break_start || wanted > break_limit)
		return break_end;
	if (wanted > break_end)
		memset((void *)(uintptr_t)break_end, 0, wanted - break_end);
	break_end = wanted;
	return break_end;
}

static bool is_free(uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++)
		if (is_taken[i])
			return false;
	return true;
}

static void *page_address(uint64_t n)
{
	return (void *)(uintptr_t)(FRAME_PROGRAM_ADDRESS + n * PAGE);
}

static int64_t take(uint64_t first, uint64_t count)
{
	memset(page_address(first), 0, count * PAGE);
	for (uint64_t i = first; i < first + count; i++)
		is_taken[i] = true;
	return (int64_t)(uintptr_t)page_address(first);
}

/* The pages of a range that mmap() gave, or may give; false: it is none. */
static bool pages_of(uint64_t start, uint64_t size, uint64_t *first, uint64_t *count)
{
	if (start % PAGE || start < FRAME_PROGRAM_ADDRESS || start >= STACK_BOTTOM || !size || size > STACK_BOTTOM - start)
		return false;
	*first = (start - FRAME_PROGRAM_ADDRESS) / PAGE;
	*count = page_up(size) / PAGE;
	return true;
}

/* The lowest place that is large enough, unless it has to be at a certain one. */
int64_t memory_map(uint64_t wanted, uint64_t size, bool is_fixed)
{
	uint64_t first, count;

	if (!size)
		return -EINVAL;
	if (size > STACK_BOTTOM - FRAME_PROGRAM_ADDRESS)
		return -ENOMEM;
	if (is_fixed)
		return pages_of(wanted, size, &first, &count) ? take(first, count) : -ENOMEM;
	count = page_up(size) / PAGE;
	for (first = 0; first + count <= PAGES; first++)
		if (is_free(first, count))
			return take(first, count);
	return -ENOMEM;
}

int64_t memory_unmap(uint64_t start, uint64_t size)
{
	uint64_t first, count;

	if (!pages_of(start, size, &first, &count))
		return -EINVAL;
	for (uint64_t i = first; i < first + count; i++)
		is_taken[i] = false;
	return 0;
}
