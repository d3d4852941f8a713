/* SPDX-License-Identifier: MIT */
/* The command line's options: the input is split into arguments at newlines. Also sizes and times by themselves. */
#include "fuzz.h"
#include "proto/layout.h"
#include "vmm/common/config.h"
#include "vmm/common/options.h"

#include <ctype.h>
#include <errno.h>

enum { ARGS_MAX = 32 };

static void check_config(const struct vm_config *c)
{
	CHECK(strnlen(c->name, sizeof(c->name)) <= VM_NAME_MAX);
	CHECK(c->name[0] == 0 || config_is_name(c->name));
	CHECK(c->ram_bytes >= 1 << 20 && c->ram_bytes <= LAYOUT_RAM_MAX && c->ram_bytes % 4096 == 0);
	CHECK(c->cmdline && c->format && c->engine);
	CHECK(c->escape >= -1 && c->escape < 32 && c->ready_fd >= -1 && c->ready_fd < 1024);
	CHECK(c->on_halt == ON_HALT_STOP || c->on_halt == ON_HALT_WAIT);
	CHECK(c->sandbox <= SANDBOX_OFF);
}

/* Names become parts of paths. */
static void check_name(const char *text)
{
	if (config_is_name(text))
		CHECK(strlen(text) <= VM_NAME_MAX && !strchr(text, '/') && text[0] != '.');
}

static void check_numbers(const char *text)
{
	uint64_t bytes = 0, digits;
	uint32_t ms = 0;
	int err = config_parse_size(text, &bytes);

	CHECK(err == 0 || err == -EINVAL || err == -ERANGE);
	if (err == 0) {
		digits = strtoull(text, NULL, 10);
		CHECK(isdigit((unsigned char)text[0]) && bytes >= digits && (digits == 0 || bytes % digits == 0));
	}
	err = config_parse_duration(text, &ms);
	CHECK(err == 0 || err == -EINVAL || err == -ERANGE);
	check_name(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_alloc(size + 1), *argv[ARGS_MAX + 1] = { (char *)"bulkhead" }, *next = text;
	char *error = fuzz_alloc(CONFIG_ERROR_MAX);
	struct vm_config config;
	int argc = 1, err;

	memcpy(text, data, size);
	check_numbers(text);
	while (argc < ARGS_MAX && next)
		argv[argc++] = strsep(&next, "\n");
	config_init(&config);
	memset(error, '#', CONFIG_ERROR_MAX);
	err = options_parse(COMMAND_RUN, &config, argc, argv, error);
	if (err == 0) {
		config_settle(&config);
		check_config(&config);
	} else
		CHECK(err == -EINVAL && strnlen(error, CONFIG_ERROR_MAX) < CONFIG_ERROR_MAX && error[0] != 0);
	for (unsigned n = 0; n < config.initrds.count; n++)
		free((char *)config.initrds.of[n].file);
	free(text), free(error);
	return 0;
}
