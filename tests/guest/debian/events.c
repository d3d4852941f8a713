/* SPDX-License-Identifier: MIT */
/* A program in a guest: names its input devices, and prints what they say, until somebody lets q go. */
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { DEVICES = 16 };

static void open_all(struct pollfd *fds)
{
	for (int i = 0; i < DEVICES; i++) {
		char path[40], name[80] = "";

		snprintf(path, sizeof(path), "/dev/input/event%d", i);
		fds[i] = (struct pollfd){ .fd = open(path, O_RDONLY | O_NONBLOCK), .events = POLLIN };
		if (fds[i].fd >= 0 && ioctl(fds[i].fd, EVIOCGNAME(sizeof(name)), name) > 0)
			printf("device %d: %s\n", i, name);
	}
	puts("listening");
	fflush(stdout);
}

static int show(const struct input_event *e)
{
	if (e->type == EV_KEY || e->type == EV_REL || e->type == EV_ABS)
		printf("event %d %d %d\n", e->type, e->code, (int)e->value);
	fflush(stdout);
	return e->type == EV_KEY && e->code == KEY_Q && !e->value;
}

int main(void)
{
	struct pollfd fds[DEVICES];
	struct input_event e;

	open_all(fds);
	while (poll(fds, DEVICES, -1) > 0)
		for (int i = 0; i < DEVICES; i++)
			while (fds[i].fd >= 0 && read(fds[i].fd, &e, sizeof(e)) == sizeof(e))
				if (show(&e))
					return 0;
	return 1;
}
