/* SPDX-License-Identifier: MIT */
/* Options back into text: config_text.h. */
#include "config_text.h"

#include "options.h"

#include "../../proto/disk.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The contents of a TOML basic string. */
static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\u%04X", c);
		else
			fputc(c, out);
	}
}

static void put_string(FILE *out, const char *text)
{
	fputc('"', out);
	put_escaped(out, text);
	fputc('"', out);
}

/* The keeper's working directory is that of the command line. */
static void put_path(FILE *out, const char *path)
{
	char *here = *path == '/' ? NULL : getcwd(NULL, 0);

	if (here) {
		put_escaped(out, strcmp(here, "/") ? here : "");
		fputc('/', out);
	}
	put_escaped(out, path);
	free(here);
}

static void put_initrds(FILE *out, const struct initrd_list *list)
{
	fputc('[', out);
	for (unsigned i = 0; i < list->count; i++) {
		fputs(i ? ", \"" : "\"", out);
		put_path(out, list->of[i].file);
		if (list->of[i].text) {
			fputc(':', out);
			put_escaped(out, list->of[i].text);
		}
		fputc('"', out);
	}
	fputc(']', out);
}

static void put_serial(FILE *out, const char *const *ports)
{
	const char *separator = "";

	fputc('[', out);
	for (unsigned i = 0; i < SERIAL_PORTS; i++) {
		const char *path = ports[i] ? serial_path(ports[i]) : NULL;

		if (!ports[i])
			continue;
		fprintf(out, "%s\"%.*s", separator, (int)(path ? path - ports[i] : 0), ports[i]);
		if (path)
			put_path(out, path);
		else
			put_escaped(out, ports[i]);
		fputc('"', out);
		separator = ", ";
	}
	fputc(']', out);
}

static void put_external(FILE *out, const struct external *list)
{
	const char *separator = "";
	char name[KIND_NAME_MAX];

	fputc('[', out);
	for (unsigned i = 0; i < DEVICES_MAX; i++) {
		unsigned instance;

		if (!list[i].path)
			continue;
		kind_process_name(kind_of_number(i, &instance), instance, name);
		fprintf(out, "%s\"%s=unix:", separator, name);
		put_path(out, list[i].path);
		if (list[i].user >= 0)
			fprintf(out, ",user=%lld", (long long)list[i].user);
		fputc('"', out);
		separator = ", ";
	}
	fputc(']', out);
}

static void put_backends(FILE *out, uint8_t kind, const struct vm_config *config)
{
	const char *separator = "", *text, *name;

	fputc('[', out);
	for (unsigned i = 0; i < config->backends.count; i++) {
		if (config->backends.of[i].kind != kind)
			continue;
		text = config->backends.of[i].text;
		name = disk_name_of(text);
		fprintf(out, "%s\"%.*s", separator, (int)(name - text), text);
		put_path(out, name);
		fputc('"', out);
		separator = ", ";
	}
	fputc(']', out);
}

/* The n-th of "one|two|three". */
static void put_word(FILE *out, const char *list, unsigned n)
{
	for (; n; n--)
		list += strcspn(list, "|") + 1;
	fprintf(out, "\"%.*s\"", (int)strcspn(list, "|"), list);
}

static void put_size(FILE *out, uint64_t bytes)
{
	if (bytes % (1 << 20))
		fprintf(out, "\"%lluK\"", (unsigned long long)(bytes >> 10));
	else
		fprintf(out, "\"%lluM\"", (unsigned long long)(bytes >> 20));
}

static void put_escape(FILE *out, int key)
{
	char text[3] = { '^', (char)(key + '@'), 0 };

	put_string(out, key < 0 ? "none" : text);
}

/* The short form where it says the same. */
static void put_cpus(FILE *out, const struct cpu_topology *t)
{
	if (t->sockets == 1 && t->threads == 1)
		fprintf(out, "%u", t->cores);
	else
		fprintf(out, "\"%u,sockets=%u,cores=%u,threads=%u\"", topology_cpus(t), t->sockets, t->cores, t->threads);
}

static void put_display(FILE *out, const struct display_spec *d)
{
	if (d->kind == DISPLAY_LFB)
		fprintf(out, "\"lfb,%ux%u\"", d->width, d->height);
	else
		put_string(out, d->kind == DISPLAY_VGA ? "vga" : "none");
}

static void put_value(FILE *out, const struct option_row *row, const struct vm_config *config)
{
	const char *field = (const char *)config + row->offset, *text;

	switch (row->kind) {
	case VALUE_FLAG:
		fputs(*(const bool *)field ? "true" : "false", out);
		break;
	case VALUE_TEXT:
	case VALUE_CHOICE:
	case VALUE_CPU:
	case VALUE_GDB:
		text = *(const char *const *)field;
		put_string(out, text ? text : "");
		break;
	case VALUE_FILE:
		text = *(const char *const *)field;
		fputc('"', out);
		if (text)
			put_path(out, text);
		fputc('"', out);
		break;
	case VALUE_SIZE:
	case VALUE_CACHE:
		put_size(out, *(const uint64_t *)field);
		break;
	case VALUE_DURATION:
		fprintf(out, "\"%ums\"", *(const uint32_t *)field);
		break;
	case VALUE_COUNT:
		fprintf(out, "%u", *(const uint32_t *)field);
		break;
	case VALUE_NAME:
		put_string(out, field);
		break;
	case VALUE_ENUM:
		put_word(out, row->arg, *(const unsigned *)field);
		break;
	case VALUE_DISPLAY:
		put_display(out, (const struct display_spec *)field);
		break;
	case VALUE_CPUS:
		put_cpus(out, (const struct cpu_topology *)field);
		break;
	case VALUE_ESCAPE:
		put_escape(out, *(const int *)field);
		break;
	case VALUE_INITRD:
		put_initrds(out, (const struct initrd_list *)field);
		break;
	case VALUE_SERIAL:
		put_serial(out, (const char *const *)field);
		break;
	case VALUE_BYTES:
		fprintf(out, "%llu", (unsigned long long)*(const uint64_t *)field);
		break;
	case VALUE_STEP_SEND:
	case VALUE_STEP_EXPECT:
		break;
	case VALUE_EXTERNAL:
		put_external(out, (const struct external *)field);
		break;
	case VALUE_GROUP:
		fprintf(out, "%lld", (long long)*(const int64_t *)field);
		break;
	case VALUE_BACKEND:
		put_backends(out, (uint8_t)(row->offset - offsetof(struct vm_config, devices)), config);
		break;
	case VALUE_DEVICE:
		fprintf(out, "%u", *(const uint8_t *)field);
		break;
	case VALUE_FD:
		break;
	}
}

/* The caller's to free; NULL: no memory. */
static char *text_of(const struct option_row *row, const struct vm_config *config)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	put_value(out, row, config);
	fclose(out);
	return text;
}

/* What a machine of that platform has where nobody says anything. */
static void init_defaults(struct vm_config *defaults, enum platform platform)
{
	config_init(defaults);
	defaults->platform = platform;
	config_settle(defaults);
	defaults->platform = PLATFORM_PC;
}

void config_text_write(FILE *out, const struct vm_config *machine)
{
	struct vm_config defaults, settled = *machine, *config = &settled;

	config_settle(config);
	init_defaults(&defaults, config->platform);
	if (config->demo)
		fprintf(out, "# The built-in guest: bulkhead demo --config FILE starts it.\n");
	for (unsigned i = 0; i < option_count; i++) {
		const struct option_row *row = &option_rows[i];
		char *text, *common;

		if (row->no_key || !option_is_of(row, config->demo ? COMMAND_DEMO : COMMAND_RUN))
			continue;
		text = text_of(row, config);
		common = text_of(row, &defaults);
		if (text && common && strcmp(text, common))
			fprintf(out, "%s = %s\n", row->name, text);
		free(text);
		free(common);
	}
}
