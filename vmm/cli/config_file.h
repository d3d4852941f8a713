/* SPDX-License-Identifier: MIT */
/*
 * vm.toml(5): the options of a machine as a file. Each key is an option's name. What it says becomes words as one would write
 * them on a command line, which stand before those that were written there; so the keeper never reads a file of others.
 */
#ifndef BULKHEAD_VMM_CONFIG_FILE_H
#define BULKHEAD_VMM_CONFIG_FILE_H

#include "../common/config.h"
#include "../common/options.h"

#include "toml.h"

enum { CONFIG_FILE_WORDS = 128, CONFIG_FILE_SIZE_MAX = 65536 };

struct config_file {
	const char *path;
	struct toml doc;
	unsigned count;
	struct {
		char *text; /* "--memory=512M" */
		const struct option_row *row;
		const struct toml_value *value; /* where it stands */
		bool is_overridden;		/* the command line has that option, too */
	} words[CONFIG_FILE_WORDS];
	unsigned mistakes; /* keys and values that are wrong */
};

/*
 * Reads it for COMMAND_RUN or COMMAND_DEMO. All mistakes are told, with line and column. 0, or -EINVAL. The words live as
 * long as the program.
 */
int config_file_read(struct config_file *f, enum command command, const char *path);

/* The command line with these words in front: argc and at most `max` of argv; returns the new count, or -E2BIG. Of an option
 * that adds up, what the file has is left out where the command line has it, too. */
int config_file_merge(struct config_file *f, enum command command, int argc, char **argv, char **out, int max);

/* Tells an error of config_check() or options_parse(): if it is about an option that came from the file, with its place. */
void config_file_complain(const struct config_file *f, const char *error);

#endif
