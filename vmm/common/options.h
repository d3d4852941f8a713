/* SPDX-License-Identifier: MIT */
/*
 * The options of all commands: one table. The parser, --help, the completions of shells (gen_completion.c), what a
 * mistyped word most likely meant (nearest.h) and the keys of vm.toml come from it; tests hold the manual against it.
 */
#ifndef BULKHEAD_VMM_OPTIONS_H
#define BULKHEAD_VMM_OPTIONS_H

#include "value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum command {
#define COMMAND(NAME, ...) COMMAND_##NAME,
#include "commands.def"
	COMMANDS
};

struct command_row {
	const char *name, *operands;
	unsigned least, most; /* words that are no options */
	const char *summary;
};
extern const struct command_row command_rows[COMMANDS];

struct option_row {
	const char *name; /* without the dashes; also the key in vm.toml */
	enum value_kind kind;
	unsigned commands; /* bits 1 << COMMAND_NAME */
	size_t offset;	   /* in struct vm_config for commands that start a machine, else in struct cli_args */
	const char *arg;   /* as --help shows it; of VALUE_CHOICE the words, separated by |; NULL: takes no value */
	const char *help;  /* NULL: between our programs, not for users */
	const char *alias; /* another name of it; NULL */
	bool no_key;	   /* says nothing about a machine, and is no key in vm.toml */
};
extern const struct option_row option_rows[];
extern const unsigned option_count;

/* What the commands take that do not start a machine. */
enum { CLI_WORDS = 4 };
struct cli_args {
	const char *words[CLI_WORDS]; /* those that are no options */
	unsigned count;
	bool json, force, all, help, config, print, read_only, steal, resize, once, systemd, web, full_screen, grab;
	uint32_t console_port; /* from 1 */
	const char *log_file;
	uint64_t log_size;
	uint32_t log_count, frames, rate, web_port;
	struct step_list steps;
	uint32_t timeout_ms, interval_ms;
	int escape;
	const char *binary, *older_than, *reopen;
	const char *suite, *mirror, *packages, *hostname, *key, *user_data;
	uint64_t size;
};

bool option_is_of(const struct option_row *row, enum command command);
/* By its name or its alias, `len` letters of it; NULL: the command has none. */
const struct option_row *option_find(enum command command, const char *name, size_t len);

/*
 * Reads argv[1..] into `base`, a struct vm_config for COMMAND_RUN and COMMAND_DEMO, else a struct cli_args. Strings are kept
 * by reference. -EINVAL: `error` says which word, what is wrong with it, and what would be right; one about an
 * option begins with its name.
 */
int options_parse(enum command command, void *base, int argc, char **argv, char error[VALUE_ERROR_MAX]);

/* The command of that name, or COMMANDS. */
enum command command_find(const char *name);
/* Of an unknown command: what was meant, or NULL. */
const char *command_suggest(const char *name);

#endif
