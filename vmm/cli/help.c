/* SPDX-License-Identifier: MIT */
/* --help: help.h. */
#include "help.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COMMAND_COLUMN = 12, OPTION_COLUMN = 30 };

/* What stands below the options. Lines of their own, which are not wrapped. */
static const char *const more[COMMANDS] = {
	[COMMAND_RUN] =
		"Examples:\n"
		"  bulkhead run --kernel vmlinuz --initrd initrd.img\n"
		"  bulkhead run --kernel vmlinuz --name web --memory 1G --detach\n"
		"  bulkhead console web          attach to it; bulkhead stop web    end it\n",
	[COMMAND_DEVICE] =
		"  device list NAME\n"
		"  device restart NAME DEVICE    a fresh process; also for one that was given up\n"
		"  device replace NAME DEVICE    another program, while the guest runs; for the\n"
		"                                machine's owner and root\n"
		"DEVICE is one of those that the list shows, with or without its d.\n",
};

static const char *const codes =
	"Exit codes: 0 power-off or stop; 2 usage or image; 32 reset with --no-reboot; 33 a process of the machine failed; "
	"34 triple fault; 35 kernel panic; 36 --timeout; 37 a device was given up; 38 sandbox violation; 39 the guest chose one of "
	"these; 40 output was lost; 41 internal; else what the guest wrote to an exit port.";

static unsigned limited(unsigned long width)
{
	return width < HELP_WIDTH_MIN ? HELP_WIDTH_MIN : width > HELP_WIDTH_MAX ? HELP_WIDTH_MAX : (unsigned)width;
}

unsigned help_width(void)
{
	struct winsize size = { 0 };
	const char *columns = getenv("COLUMNS");

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
		return limited(size.ws_col);
	return columns && *columns ? limited(strtoul(columns, NULL, 10)) : HELP_WIDTH;
}

void help_wrap(FILE *out, const char *text, unsigned at, unsigned indent, unsigned width)
{
	bool fresh = true;

	while (*(text += strspn(text, " "))) {
		unsigned len = (unsigned)strcspn(text, " ");

		if (!fresh && at + 1 + len > width) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
			fresh = true;
		}
		fprintf(out, "%s%.*s", fresh ? "" : " ", (int)len, text);
		at += len + !fresh;
		text += len;
		fresh = false;
	}
	fputc('\n', out);
}

static void put_entry(const char *left, const char *help, unsigned column)
{
	if (strlen(left) + 4 > column)
		printf("  %s\n%*s", left, (int)column, "");
	else
		printf("  %-*s", (int)column - 2, left);
	help_wrap(stdout, help, column, column, help_width());
}

static void put_option(const struct option_row *row)
{
	char left[96];

	snprintf(left, sizeof(left), "--%s%s%s", row->name, row->arg ? " " : "", row->arg ? row->arg : "");
	put_entry(left, row->help, OPTION_COLUMN);
}

static bool is_shown(const struct option_row *row, enum command command)
{
	return row->help && option_is_of(row, command);
}

/* A machine has too many options for one line. */
static void put_usage_options(FILE *out, enum command command)
{
	if (command == COMMAND_RUN || command == COMMAND_DEMO) {
		fprintf(out, "%s [options]", command == COMMAND_RUN ? " --kernel FILE" : "");
		return;
	}
	for (unsigned i = 0; i < option_count; i++)
		if (is_shown(&option_rows[i], command) && strcmp(option_rows[i].name, "help"))
			fprintf(out, " [--%s%s%s]", option_rows[i].name, option_rows[i].arg ? " " : "",
				option_rows[i].arg ? option_rows[i].arg : "");
}

void help_usage(FILE *out, enum command command)
{
	const struct command_row *row = &command_rows[command];

	fprintf(out, "Usage: bulkhead %s%s%s", row->name, *row->operands ? " " : "", row->operands);
	put_usage_options(out, command);
	fputc('\n', out);
}

void help_command(enum command command)
{
	help_usage(stdout, command);
	printf("\n");
	help_wrap(stdout, command_rows[command].summary, 0, 0, help_width());
	printf("\n");
	for (unsigned i = 0; i < option_count; i++)
		if (is_shown(&option_rows[i], command))
			put_option(&option_rows[i]);
	if (more[command])
		printf("\n%s", more[command]);
	if (command == COMMAND_RUN || command == COMMAND_DEMO) {
		printf("\n");
		help_wrap(stdout, codes, 0, 0, help_width());
	}
}

void help_commands(void)
{
	help_wrap(stdout, "bulkhead: virtual machines in watertight compartments; every device is a process of its own.", 0, 0,
		  help_width());
	printf("\nUsage: bulkhead COMMAND [options]\n\n");
	for (unsigned i = 0; i < COMMANDS; i++)
		put_entry(command_rows[i].name, command_rows[i].summary, COMMAND_COLUMN);
	printf("\nExamples:\n"
	       "  bulkhead demo\n"
	       "  bulkhead run --kernel vmlinuz --initrd initrd.img --name web\n"
	       "  bulkhead console web            attach; Ctrl-] then . leaves\n"
	       "  bulkhead status web --json\n"
	       "  bulkhead stop web --timeout 20s\n\n"
	       "bulkhead COMMAND --help tells more; so does bulkhead(1).\n");
}
