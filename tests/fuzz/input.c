/* SPDX-License-Identifier: MIT */
/* Lines of a script for bulkhead input: any bytes. A line that is refused has given no event. */
#include "vmm/cli/input.h"

#include "fuzz.h"

#include <errno.h>

static unsigned events;

static int on_event(void *ctx, struct screen_event event)
{
	(void)ctx;
	events++;
	CHECK(event.type >= SCREEN_EV_KEY && event.type <= SCREEN_EV_ABS && event.code <= SCREEN_CODE_MAX);
	CHECK(event.type != SCREEN_EV_KEY || event.code != 0);
	return 0;
}

static int on_number(void *ctx, uint32_t n)
{
	(void)ctx;
	(void)n;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct input_sink sink = { NULL, on_event, on_number, on_number };
	char line[INPUT_LINE_MAX] = { 0 }, error[INPUT_ERROR_MAX] = { 0 };
	int err;

	memcpy(line, data, size < sizeof(line) - 1 ? size : sizeof(line) - 1);
	events = 0;
	err = input_line(line, &sink, error);
	CHECK(err == 0 || (err == -EINVAL && error[0] && events == 0));
	return 0;
}
