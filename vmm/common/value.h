/* SPDX-License-Identifier: MIT */
/* Values of options: from their text into a field, and what is wrong with them. */
#ifndef BULKHEAD_VMM_VALUE_H
#define BULKHEAD_VMM_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VALUE_ERROR_MAX = 256 };

/* The field's type in brackets. */
enum value_kind {
	VALUE_FLAG,	/* [bool] takes no value */
	VALUE_TEXT,	/* [const char *] */
	VALUE_FILE,	/* [const char *] a path; empty: NULL, for unit files pass variables that may be empty */
	VALUE_SIZE,	/* [uint64_t] bytes of a guest's memory */
	VALUE_CACHE,	/* [uint64_t] bytes; 0: the default */
	VALUE_DURATION, /* [uint32_t] milliseconds */
	VALUE_COUNT,	/* [uint32_t] */
	VALUE_NAME,	/* [char[VM_NAME_MAX + 1]] */
	VALUE_CHOICE,	/* [const char *] one of the row's words */
	VALUE_ENUM,	/* [enum] the number of one of the row's words, which are in the enum's order */
	VALUE_DISPLAY,	/* [struct display_spec] */
	VALUE_CPU,	/* [const char *] */
	VALUE_CPUS,	/* [struct cpu_topology] */
	VALUE_ESCAPE,	/* [int] */
	VALUE_INITRD,	/* [struct initrd_list] each time one more */
	VALUE_SERIAL,	/* [const char *[SERIAL_PORTS]] each time for the port that it names */
	VALUE_STEP_SEND, /* [struct step_list] each time one more; with C's escapes */
	VALUE_STEP_EXPECT, /* [the same] a regular expression */
	VALUE_BYTES,	/* [uint64_t] a size of anything; 0: no limit */
	VALUE_GROUP,	/* [int64_t] */
	VALUE_DEVICE,	/* [uint8_t] takes no value; each time one more of that kind */
	VALUE_BACKEND,	/* [uint8_t] the same, with a value, which goes to struct backend_list */
	VALUE_BARE,	/* [uint8_t] the same, without a value */
	VALUE_EXTERNAL, /* [struct external[]] each time one more device */
	VALUE_GDB,	/* [const char *] a port, or a path; empty: NULL */
	VALUE_FD,	/* [int] */
};

struct option_row;

/* console --send, --expect: in the order in which they were given. */
enum { CLI_STEPS = 64, CLI_SEND_MAX = 2048 };
struct step_list {
	unsigned count;
	struct cli_step {
		bool expects;
		const char *text; /* lives as long as the program; of --send its escapes are bytes, and it may hold zeroes */
		size_t len;
	} of[CLI_STEPS];
};

/* Does an option of that kind take a value? */
bool value_is_taken(enum value_kind kind);
/* Is it one of a few words? */
bool value_is_choice(enum value_kind kind);

/* Sets the field that the row names in `base`. 0, or -EINVAL with what is wrong. `value` is NULL if none is taken. */
int value_set(void *base, const struct option_row *row, const char *value, char error[VALUE_ERROR_MAX]);

/* Takes it back, where the field is a flag or a number of devices. */
void value_unset(void *base, const struct option_row *row);

/* "512M", "1G", "65536K", "1048576" (bytes). -EINVAL, or -ERANGE if it does not fit. */
int config_parse_size(const char *text, uint64_t *out);
/* The same as text, as a user would write it: "64G", "1536M", "1028K"; what is no whole number of any, rounded down: "23.5G". */
enum { SIZE_TEXT_MAX = 24 };
void config_size_text(uint64_t bytes, char out[SIZE_TEXT_MAX]);
/* "30s", "500ms", "2m", "30" (seconds). */
int config_parse_duration(const char *text, uint32_t *out_ms);
struct cpu_topology;
/*
 * "4", "8,sockets=2,cores=2,threads=2": what is not named is 1, but cores, which follow from the others. -EINVAL: *why says what is
 * wrong with it.
 */
/* "lfb,800x600" or its like. 0; -EINVAL: it is none; -ERANGE: of a size that cannot be. */
struct display_spec;
int config_parse_display(const char *text, struct display_spec *out);
int config_parse_cpus(const char *text, struct cpu_topology *out, const char **why);
/* Letters, digits, dot, dash and underscore, not starting with a dot or dash; at most VM_NAME_MAX; not "ended" (rundir.h). */
bool config_is_name(const char *name);

#endif
