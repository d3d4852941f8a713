/* SPDX-License-Identifier: MIT */
/*
 * frame.h in a process of the host's, without a window: the same addresses, standard input and output for the serial port.
 * Usage: PROGRAM [--frames N] [--events FILE] [--picture FILE]
 *   --frames   ends behind the Nth frame, and says on standard error how many there were a second
 *   --events   lines of "FRAME TYPE CODE VALUE": what is in the mailbox behind that frame; the first frame is 1
 *   --picture  writes the framebuffer as it is at the end (PPM)
 */
#include "frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static struct {
	unsigned long last_frame;
	FILE *events;
	const char *picture;
	struct timespec start;
} native;

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(2);
}

static double seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* Pages at a guest's address. */
static void *place(uintptr_t address, size_t size)
{
	void *at = mmap((void *)address, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (at == MAP_FAILED)
		fail("mmap");
	return at;
}

static void write_picture(const char *path)
{
	const uint32_t *pixels = frame_pixels();
	FILE *f = fopen(path, "wb");

	if (!f)
		fail(path);
	fprintf(f, "P6\n%d %d\n255\n", FRAME_WIDTH, FRAME_HEIGHT);
	for (int i = 0; i < FRAME_PIXELS; i++) {
		putc((int)(pixels[i] >> 16 & 0xff), f);
		putc((int)(pixels[i] >> 8 & 0xff), f);
		putc((int)(pixels[i] & 0xff), f);
	}
	if (fclose(f))
		fail(path);
}

/* The lines of the script that name this frame go into the mailbox; the next line waits for its frame. */
static void fill(struct frame_mailbox *box)
{
	static unsigned long frame;
	static struct frame_event e;

	box->count = 0;
	while (native.events && box->count < FRAME_MAX_EVENTS) {
		if (frame > box->frame)
			return;
		if (frame)
			box->events[box->count++] = e;
		if (fscanf(native.events, "%lu %hu %hu %u", &frame, &e.type, &e.code, &e.value) == 4)
			continue;
		fclose(native.events);
		native.events = NULL;
	}
}

void frame_show(void)
{
	struct frame_mailbox *box = (struct frame_mailbox *)(uintptr_t)FRAME_MAILBOX_ADDRESS;
	double seconds = seconds_since(&native.start);

	box->frame++;
	box->time_ns = (uint64_t)(seconds * 1e9);
	fill(box);
	if (box->frame != native.last_frame)
		return;
	fprintf(stderr, "%.1f frames a second\n", (double)box->frame / seconds);
	frame_exit(0);
}

_Noreturn void frame_exit(uint8_t code)
{
	if (native.picture)
		write_picture(native.picture);
	exit(code);
}

void frame_putc(uint8_t c)
{
	putchar(c);
}

uint8_t frame_getc(void)
{
	int c = getchar();

	return c == EOF ? 4 : (uint8_t)c;
}

void frame_enable_vectors(void)
{
}

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--frames"))
			native.last_frame = strtoul(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--events") && !(native.events = fopen(argv[i + 1], "r")))
			fail(argv[i + 1]);
		else if (!strcmp(argv[i], "--picture"))
			native.picture = argv[i + 1];
	}
	place(FRAME_MAILBOX_ADDRESS, sizeof(struct frame_mailbox));
	place(FRAME_BUFFER_ADDRESS, FRAME_PIXELS * sizeof(uint32_t));
	clock_gettime(CLOCK_MONOTONIC, &native.start);
	guest_main();
	frame_exit(0);
}
