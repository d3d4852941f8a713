/* SPDX-License-Identifier: MIT */
/* From keys and values to words: config_file.h. */
#include "config_file.h"

#include "../common/nearest.h"

#include "../../proto/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct reading {
	struct config_file *f;
	enum command command;
	struct vm_config scratch; /* takes each value, to see whether it does */
};

static void complain_at(struct config_file *f, unsigned line, unsigned column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static void complain_at(struct config_file *f, unsigned line, unsigned column, const char *fmt, ...)
{
	char text[VALUE_ERROR_MAX + 64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "bulkhead: %.200s:%u:%u: %s\n", f->path, line, column, text);
	f->mistakes++;
}

/* An error about an option begins with it; in the file it has no dashes. */
static const char *without_dashes(const char *error)
{
	return error + strspn(error, "-");
}

/* Into the file's words, if the option takes it. `text` NULL: it takes none, or there is no memory. */
static void add_word(struct reading *rd, const struct option_row *row, const struct toml_value *v, const char *text)
{
	struct config_file *f = rd->f;
	char error[VALUE_ERROR_MAX], *word = NULL;

	if (value_is_taken(row->kind) && (!text || asprintf(&word, "--%s=%s", row->name, text) < 0))
		complain_at(f, v->line, v->column, "%s: no memory", row->name);
	else if (!value_is_taken(row->kind) && asprintf(&word, "--%s", row->name) < 0)
		complain_at(f, v->line, v->column, "%s: no memory", row->name);
	else if (f->count == CONFIG_FILE_WORDS)
		complain_at(f, v->line, v->column, "%s: too much", row->name);
	else if (value_set(&rd->scratch, row, text, error))
		complain_at(f, v->line, v->column, "%s", without_dashes(error));
	else
		f->words[f->count].text = word, f->words[f->count].row = row, f->words[f->count++].value = v;
}

static bool is_path(const struct option_row *row)
{
	return row->kind == VALUE_FILE || row->kind == VALUE_INITRD;
}

/* A path is meant from where the file is; "" is none. `text` is it, and stands somewhere in the value. */
static void add_path(struct reading *rd, const struct option_row *row, const struct toml_value *v, const char *text)
{
	const char *path = rd->f->path, *slash = strrchr(path, '/'), *all = v->text.bytes;
	char *joined = NULL;

	if (*text == '/' || !*text || !slash) {
		add_word(rd, row, v, all);
		return;
	}
	if (asprintf(&joined, "%.*s%.*s/%s", (int)(text - all), all, (int)(slash - path), path, text) < 0)
		joined = NULL;
	add_word(rd, row, v, joined);
}

/* "serial=unix:PATH": where the path of a device's socket begins; if there is none, what is wrong is told elsewhere. */
static const char *socket_of(const char *text)
{
	const char *socket = strstr(text, "=unix:");

	return socket ? socket + 6 : "";
}

static bool is_list(const struct option_row *row)
{
	return row->kind == VALUE_INITRD || row->kind == VALUE_SERIAL || row->kind == VALUE_EXTERNAL ||
	       row->kind == VALUE_BACKEND;
}

static void add_string(struct reading *rd, const struct option_row *row, const struct toml_value *v)
{
	if (strlen(v->text.bytes) != v->text.len)
		complain_at(rd->f, v->line, v->column, "%s: a zero byte", row->name);
	else if (row->kind == VALUE_CPU && !strcmp(v->text.bytes, "help"))
		complain_at(rd->f, v->line, v->column, "%s: help is for the command line", row->name);
	else if (is_path(row))
		add_path(rd, row, v, v->text.bytes);
	else if (row->kind == VALUE_SERIAL && serial_path(v->text.bytes))
		add_path(rd, row, v, serial_path(v->text.bytes));
	else if (row->kind == VALUE_BACKEND)
		add_path(rd, row, v, disk_name_of(v->text.bytes));
	else if (row->kind == VALUE_EXTERNAL)
		add_path(rd, row, v, socket_of(v->text.bytes));
	else
		add_word(rd, row, v, v->text.bytes);
}

/* Where a number is one of bytes, seconds, deaths, processors or a group, it needs no quotation marks. */
static bool takes_integer(const struct option_row *row)
{
	return row->kind == VALUE_SIZE || row->kind == VALUE_CACHE || row->kind == VALUE_DURATION || row->kind == VALUE_COUNT ||
	       row->kind == VALUE_GROUP || row->kind == VALUE_GDB || row->kind == VALUE_CPUS;
}

static const char *wanted(const struct option_row *row)
{
	switch (row->kind) {
	case VALUE_FLAG:
		return "true or false";
	case VALUE_DEVICE:
		return "true, false or a number";
	case VALUE_INITRD:
	case VALUE_SERIAL:
	case VALUE_EXTERNAL:
	case VALUE_BACKEND:
		return "a string or an array of strings";
	case VALUE_SIZE:
	case VALUE_CACHE:
	case VALUE_DURATION:
	case VALUE_COUNT:
	case VALUE_GROUP:
	case VALUE_GDB:
	case VALUE_CPUS:
		return "a string or an integer";
	default:
		return "a string";
	}
}

static void add_integer(struct reading *rd, const struct option_row *row, const struct toml_value *v)
{
	char text[24];

	if (row->kind != VALUE_DEVICE) {
		snprintf(text, sizeof(text), "%lld", (long long)v->integer);
		add_word(rd, row, v, text);
		return;
	}
	if (v->integer < 0)
		complain_at(rd->f, v->line, v->column, "%s: a number of devices is not negative", row->name);
	for (int64_t i = 0, before = rd->f->mistakes; i < v->integer && rd->f->mistakes == before; i++)
		add_word(rd, row, v, NULL);
}

static void add_value(struct reading *rd, const struct option_row *row, const struct toml_value *v)
{
	bool takes_boolean = !value_is_taken(row->kind);

	if (v->type == TOML_STRING && value_is_taken(row->kind))
		add_string(rd, row, v);
	else if (v->type == TOML_INTEGER && (takes_integer(row) || row->kind == VALUE_DEVICE))
		add_integer(rd, row, v);
	else if (v->type == TOML_BOOLEAN && takes_boolean && v->boolean)
		add_word(rd, row, v, NULL);
	else if (v->type != TOML_BOOLEAN || !takes_boolean)
		complain_at(rd->f, v->line, v->column, "%s is %s; it should be %s", row->name, toml_type_name(v->type),
			    wanted(row));
}

static void add_key_values(struct reading *rd, const struct option_row *row, const struct toml_value *v)
{
	if (!is_list(row) || v->type != TOML_ARRAY) {
		add_value(rd, row, v);
		return;
	}
	for (const struct toml_value *e = v->list.first; e; e = e->next)
		add_value(rd, row, e);
}

static void unknown_key(struct reading *rd, const struct toml_value *v)
{
	struct nearest near = { .typed = v->key.bytes };
	char name[64];

	/* Others write it with underscores. */
	snprintf(name, sizeof(name), "%.63s", v->key.bytes);
	for (char *p = name; *p; p++)
		*p = *p == '_' ? '-' : *p;
	near.typed = name;
	for (unsigned i = 0; i < option_count; i++)
		if (!option_rows[i].no_key && option_is_of(&option_rows[i], rd->command))
			nearest_try(&near, option_rows[i].name);
	if (v->type == TOML_TABLE)
		complain_at(rd->f, v->line, v->column, "%.60s: a machine's file has no tables; all keys stand by themselves",
			    v->key.bytes);
	else if (rd->command == COMMAND_DEMO && option_find(COMMAND_RUN, v->key.bytes, v->key.len))
		complain_at(rd->f, v->line, v->column, "%.60s: the demo's guest is built in; this is for bulkhead run",
			    v->key.bytes);
	else if (near.best)
		complain_at(rd->f, v->line, v->column, "unknown key %.60s; did you mean %s?", v->key.bytes, near.best);
	else
		complain_at(rd->f, v->line, v->column, "unknown key %.60s; see vm.toml(5)", v->key.bytes);
}

static const struct toml_value *given_before(const struct config_file *f, const struct toml_value *last, enum command command,
					     const struct option_row *row)
{
	for (const struct toml_value *v = f->doc.root.list.first; v != last; v = v->next)
		if (option_find(command, v->key.bytes, v->key.len) == row)
			return v;
	return NULL;
}

static void take_key(struct reading *rd, const struct toml_value *v)
{
	const struct option_row *row = option_find(rd->command, v->key.bytes, v->key.len);
	const struct toml_value *before;

	if (!row || row->no_key) {
		unknown_key(rd, v);
		return;
	}
	before = given_before(rd->f, v, rd->command, row);
	if (before)
		complain_at(rd->f, v->line, v->column, "%s says the same as %s in line %u", v->key.bytes, before->key.bytes,
			    before->line);
	else
		add_key_values(rd, row, v);
}

/* The whole file, or NULL with what is wrong in errno. */
static char *slurp(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;
	char *text = calloc(1, CONFIG_FILE_SIZE_MAX + 1);
	struct stat st;
	ssize_t n = 0;

	*len = 0;
	if (fd < 0 || !text || fstat(fd, &st) < 0)
		rc = errno;
	else if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		rc = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	else
		fcntl(fd, F_SETFL, 0);
	while (!rc && *len <= CONFIG_FILE_SIZE_MAX && (n = read(fd, text + *len, CONFIG_FILE_SIZE_MAX + 1 - *len)) > 0)
		*len += (size_t)n;
	rc = rc ? rc : n < 0 ? errno : *len > CONFIG_FILE_SIZE_MAX ? EFBIG : 0;
	if (fd >= 0)
		close(fd);
	if (!rc)
		return text;
	free(text);
	errno = rc;
	return NULL;
}

int config_file_read(struct config_file *f, enum command command, const char *path)
{
	struct reading rd = { .f = f, .command = command };
	size_t len;
	char *text;
	int rc;

	*f = (struct config_file){ .path = path };
	config_init(&rd.scratch);
	text = slurp(path, &len);
	if (!text) {
		fprintf(stderr, "bulkhead: %.200s: %s\n", path, strerror(errno));
		return -EINVAL;
	}
	rc = toml_read(&f->doc, text, len);
	free(text);
	if (rc)
		complain_at(f, f->doc.line, f->doc.column, "%s", rc == -EINVAL ? f->doc.error : strerror(-rc));
	for (const struct toml_value *v = rc ? NULL : f->doc.root.list.first; v; v = v->next)
		take_key(&rd, v);
	return f->mistakes ? -EINVAL : 0;
}

static bool adds_up(const struct option_row *row)
{
	return is_list(row) || row->kind == VALUE_DEVICE;
}

static bool is_given(enum command command, const struct option_row *row, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], "--", 2) && option_find(command, argv[i] + 2, strcspn(argv[i] + 2, "=")) == row)
			return true;
	return false;
}

int config_file_merge(struct config_file *f, enum command command, int argc, char **argv, char **out, int max)
{
	int n = 0;

	if (argc + (int)f->count + 1 > max)
		return -E2BIG;
	out[n++] = argv[0];
	for (unsigned i = 0; i < f->count; i++) {
		f->words[i].is_overridden = is_given(command, f->words[i].row, argc, argv);
		if (!adds_up(f->words[i].row) || !f->words[i].is_overridden)
			out[n++] = f->words[i].text;
	}
	for (int i = 1; i < argc; i++)
		out[n++] = argv[i];
	out[n] = NULL;
	return n;
}

void config_file_complain(const struct config_file *f, const char *error)
{
	size_t len = strspn(error, "-") == 2 ? strcspn(error + 2, " :") : 0;

	for (unsigned i = 0; len && i < f->count; i++) {
		const struct toml_value *v = f->words[i].value;

		if (f->words[i].is_overridden || strlen(f->words[i].row->name) != len ||
		    strncmp(f->words[i].row->name, error + 2, len))
			continue;
		fprintf(stderr, "bulkhead: %.200s:%u:%u: %s\n", f->path, v->line, v->column, without_dashes(error));
		return;
	}
	fprintf(stderr, "bulkhead: %s\n", error);
}
