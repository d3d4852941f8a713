/* SPDX-License-Identifier: MIT */
/* Values of options: value.h. */
#include "value.h"

#include "config.h"
#include "nearest.h"
#include "options.h"
#include "step.h"

#include "backends.h"
#include "../../proto/layout.h"
#include "../../proto/user.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <grp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define PAGE 4096ull
#define RAM_MIN (1ull << 20)

/* Digits, and behind them whatever the unit is. 0, -EINVAL, -ERANGE. */
static int number_before_unit(const char *text, unsigned long long *v, char **end)
{
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*v = strtoull(text, end, 10);
	return errno ? -ERANGE : 0;
}

int config_parse_size(const char *text, uint64_t *out)
{
	static const struct {
		const char *suffix;
		unsigned shift;
	} units[] = { { "", 0 }, { "K", 10 }, { "KiB", 10 }, { "M", 20 }, { "MiB", 20 }, { "G", 30 }, { "GiB", 30 } };
	char *end;
	unsigned long long v;
	int rc = number_before_unit(text, &v, &end);

	if (rc)
		return rc;
	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcasecmp(end, units[i].suffix))
			continue;
		if (v > UINT64_MAX >> units[i].shift)
			return -ERANGE;
		*out = (uint64_t)v << units[i].shift;
		return 0;
	}
	return -EINVAL;
}

void config_size_text(uint64_t bytes, char out[SIZE_TEXT_MAX])
{
	const uint64_t g = bytes >> 30, m = bytes >> 20;

	if (bytes >= 1 << 20 && !(bytes % (1 << 30)))
		snprintf(out, SIZE_TEXT_MAX, "%lluG", (unsigned long long)g);
	else if (bytes >= 1 << 20 && !(bytes % (1 << 20)))
		snprintf(out, SIZE_TEXT_MAX, "%lluM", (unsigned long long)m);
	else if (g >= 4)
		snprintf(out, SIZE_TEXT_MAX, "%llu.%lluG", (unsigned long long)g,
			 (unsigned long long)((bytes >> 20) % 1024 * 10 / 1024));
	else if (m >= 4 && bytes % 1024)
		snprintf(out, SIZE_TEXT_MAX, "%lluM", (unsigned long long)m);
	else
		snprintf(out, SIZE_TEXT_MAX, "%lluK", (unsigned long long)(bytes >> 10));
}

int config_parse_duration(const char *text, uint32_t *out_ms)
{
	static const struct {
		const char *suffix;
		uint32_t ms;
	} units[] = { { "", 1000 }, { "s", 1000 }, { "ms", 1 }, { "m", 60000 }, { "h", 3600000 } };
	char *end;
	unsigned long long v;
	int rc = number_before_unit(text, &v, &end);

	if (rc)
		return rc;
	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].suffix))
			continue;
		if (v > UINT32_MAX / units[i].ms)
			return -ERANGE;
		*out_ms = (uint32_t)v * units[i].ms;
		return 0;
	}
	return -EINVAL;
}

bool config_is_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n > 0 && n <= VM_NAME_MAX && !name[n] && name[0] != '.' && name[0] != '-' && strcmp(name, "ended");
}

static int bad(char *error, const struct option_row *row, const char *value, const char *why)
{
	snprintf(error, VALUE_ERROR_MAX, "--%s %s: %s", row->name, value, why);
	return -EINVAL;
}

static int check_ram(const struct option_row *row, const char *value, uint64_t bytes, char *error)
{
	char why[128];

	if (!bytes)
		return bad(error, row, value, "a machine needs memory; try 512M");
	if (bytes % PAGE && bytes < 1 << 20 && !value[strspn(value, "0123456789")]) {
		snprintf(why, sizeof(why), "%llu bytes is not a multiple of the page size (4096); did you mean %lluM?",
			 (unsigned long long)bytes, (unsigned long long)bytes);
		return bad(error, row, value, why);
	}
	if (bytes < RAM_MIN)
		return bad(error, row, value, "at least 1M is needed");
	if (bytes % PAGE)
		return bad(error, row, value, "not a multiple of the page size (4096 bytes)");
	if (bytes > LAYOUT_RAM_MAX)
		return bad(error, row, value, "at most 64G is supported");
	return 0;
}

static int check_cache(const struct option_row *row, const char *value, uint64_t bytes, char *error)
{
	if (bytes < LAYOUT_CODE_CACHE_MIN)
		return bad(error, row, value, "at least 8M is needed");
	if (bytes > LAYOUT_CODE_CACHE_MAX)
		return bad(error, row, value, "at most 2G is supported");
	return 0;
}

/* The table's own copy of a word; people who come from elsewhere may know it by another name. */
static const char *choice_word(const struct option_row *row, const char *value)
{
	static const struct {
		const char *option, *other, *word;
	} others[] = { { "engine", "emulator", "emu" } };
	size_t len;

	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strcmp(row->name, others[i].option) && !strcmp(value, others[i].other))
			value = others[i].word;
	len = strlen(value);
	for (const char *p = row->arg; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
		if (len && !strncmp(p, value, len) && (p[len] == '|' || !p[len]))
			return value;
	return NULL;
}

static int bad_choice(char *error, const struct option_row *row, const char *value)
{
	struct nearest near = { .typed = value };
	char why[160], room[32];

	nearest_try_list(&near, row->arg, room, sizeof(room));
	snprintf(why, sizeof(why), "must be one of %s%s%s%s", row->arg, near.best ? "; did you mean " : "",
		 near.best ? near.best : "", near.best ? "?" : "");
	return bad(error, row, value, why);
}

static int set_count(uint32_t *out, const char *value)
{
	char *end;
	unsigned long v = strtoul(value, &end, 10);

	if (!isdigit((unsigned char)value[0]) || *end || v > 1000000)
		return -EINVAL;
	*out = (uint32_t)v;
	return 0;
}

/* "^]" or "^a": the control character; "none": no escape key. */
static int set_escape(int *out, const char *value)
{
	int c = toupper((unsigned char)value[0] ? (unsigned char)value[1] : 0);

	if (!strcmp(value, "none")) {
		*out = -1;
		return 0;
	}
	if (value[0] != '^' || c < '@' || c > '_' || value[2])
		return -EINVAL;
	*out = c - '@';
	return 0;
}

static int set_fd(int *out, const char *value)
{
	char *end;
	long v = strtol(value, &end, 10);

	if (*end || end == value || v < 0 || v > 1023)
		return -EINVAL;
	*out = (int)v;
	return 0;
}

/* A number, or a name from /etc/group: read here, because a static program cannot load what getgrnam() asks. */
static int set_group(int64_t *out, const char *value)
{
	char *end;
	unsigned long id = strtoul(value, &end, 10);
	struct group *g;
	FILE *file;

	if (isdigit((unsigned char)value[0]) && !*end && id < UINT32_MAX) {
		*out = (int64_t)id;
		return 0;
	}
	file = fopen("/etc/group", "re");
	while (file && (g = fgetgrent(file)))
		if (!strcmp(g->gr_name, value))
			*out = g->gr_gid;
	if (file)
		fclose(file);
	return *out < 0 ? -EINVAL : 0;
}

static int set_name(char *out, const char *value)
{
	if (!config_is_name(value))
		return -EINVAL;
	snprintf(out, VM_NAME_MAX + 1, "%s", value);
	return 0;
}

static int set_cpu(const char **out, const struct option_row *row, const char *value, char *error)
{
	char why[CPU_MODEL_ERROR_MAX];
	struct cpu_model model;

	if (strcmp(value, "help") && cpu_model_parse(&model, value, why)) {
		snprintf(error, VALUE_ERROR_MAX, "--%s: %s", row->name, why);
		return -EINVAL;
	}
	*out = value;
	return 0;
}

/* What stands before the next comma, as a number from 1 to 64. */
static bool take_number(const char **at, unsigned *out)
{
	unsigned long v;
	char *end;

	if (!isdigit((unsigned char)**at))
		return false;
	v = strtoul(*at, &end, 10);
	if ((*end && *end != ',') || v < 1 || v > TOPOLOGY_MAX_CPUS)
		return false;
	*out = (unsigned)v;
	*at = end;
	return true;
}

/* ",sockets=2,cores=2": into what it names. */
static const char *take_factors(const char *at, struct cpu_topology *t)
{
	const struct {
		const char *name;
		unsigned *value;
	} factors[] = { { "sockets=", &t->sockets }, { "cores=", &t->cores }, { "threads=", &t->threads } };
	enum { FACTORS = sizeof(factors) / sizeof(factors[0]) };

	while (*at == ',') {
		unsigned n = 0;

		at++;
		while (n < FACTORS && strncmp(at, factors[n].name, strlen(factors[n].name)))
			n++;
		if (n == FACTORS)
			return "behind the number come sockets=N, cores=N, threads=N";
		at += strlen(factors[n].name);
		if (*factors[n].value || !take_number(&at, factors[n].value))
			return "sockets, cores and threads are numbers from 1 to 64, each given once";
	}
	return NULL;
}

int config_parse_cpus(const char *text, struct cpu_topology *out, const char **why)
{
	struct cpu_topology t = { 0 };
	unsigned cpus;

	*why = "write a number from 1 to 64, such as 4, or 8,sockets=2,cores=2,threads=2";
	if (!take_number(&text, &cpus))
		return -EINVAL;
	*why = take_factors(text, &t);
	if (*why)
		return -EINVAL;
	t.threads = t.threads ? t.threads : 1;
	if (!t.sockets)
		t.sockets = t.cores && t.cores * t.threads <= cpus ? cpus / (t.cores * t.threads) : 1;
	if (!t.cores && t.sockets * t.threads <= cpus)
		t.cores = cpus / (t.sockets * t.threads);
	if (!t.cores || topology_cpus(&t) != cpus || !topology_is_valid(&t)) {
		*why = "sockets * cores * threads must be the number of processors";
		return -EINVAL;
	}
	*out = t;
	return 0;
}

static int set_cpus(struct cpu_topology *out, const struct option_row *row, const char *value, char *error)
{
	const char *why;

	return config_parse_cpus(value, out, &why) ? bad(error, row, value, why) : 0;
}

int config_parse_display(const char *text, struct display_spec *out)
{
	struct display_spec d = { DISPLAY_LFB, DISPLAY_WIDTH, DISPLAY_HEIGHT };
	int end = 0;

	if (!strcmp(text, "none") || !strcmp(text, "vga"))
		d = (struct display_spec){ .kind = text[0] == 'v' ? DISPLAY_VGA : DISPLAY_NONE };
	else if (strcmp(text, "lfb") &&
		 (sscanf(text, "lfb,%4" SCNu32 "x%4" SCNu32 "%n", &d.width, &d.height, &end) != 2 || text[end]))
		return -EINVAL;
	if (!display_is_possible(&d))
		return -ERANGE;
	*out = d;
	return 0;
}

static int set_display(struct display_spec *out, const struct option_row *row, const char *value, char *error)
{
	int rc = config_parse_display(value, out);

	if (rc == -ERANGE)
		return bad(error, row, value, "a framebuffer has 64 to 4096 columns and rows, and 4194304 pixels at most");
	return rc ? bad(error, row, value, "write none, lfb, lfb,WIDTHxHEIGHT or vga") : 0;
}

static int add_device(uint8_t *count, const struct option_row *row, char *error)
{
	const struct kind_row *kind = &kind_rows[row->offset - offsetof(struct vm_config, devices)];

	if (*count == kind->most) {
		snprintf(error, VALUE_ERROR_MAX, "--%s: a machine has at most %u of these", row->name, kind->most);
		return -EINVAL;
	}
	++*count;
	return 0;
}

static uint8_t front_end(void)
{
	uint8_t kind = 0;

	while (kind_rows[kind].virtio != KIND_VIRTIO_FRONT)
		kind++;
	return kind;
}

static enum kind kind_of(const struct option_row *row)
{
	return (enum kind)(row->offset - offsetof(struct vm_config, devices));
}

static int add_backend(struct vm_config *config, const struct option_row *row, const char *value, char *error)
{
	uint8_t kind = (uint8_t)kind_of(row), front = front_end();
	struct backend_list *list = &config->backends;
	const char *why;

	if (backend_check(kind_of(row), value, &why))
		return bad(error, row, value, why);
	if (config->devices[kind] == kind_rows[kind].most) {
		snprintf(error, VALUE_ERROR_MAX, "--%s: a machine has at most %u of these", row->name, kind_rows[kind].most);
		return -EINVAL;
	}
	if (list->count == VIRTIO_DEVICES || config->devices[front] == kind_rows[front].most) {
		snprintf(error, VALUE_ERROR_MAX, "--%s: a machine has at most %d virtio devices", row->name, VIRTIO_DEVICES);
		return -EINVAL;
	}
	list->of[list->count].kind = kind;
	list->of[list->count].instance = config->devices[kind]++;
	list->of[list->count++].text = value;
	config->devices[front]++;
	return 0;
}

/* Those of one kind, without a gap. */
static void drop_backends(struct vm_config *config, const struct option_row *row)
{
	struct backend_list *list = &config->backends;
	unsigned left = 0;

	for (unsigned n = 0; n < list->count; n++)
		if (list->of[n].kind != kind_of(row))
			list->of[left++] = list->of[n];
	config->devices[front_end()] = (uint8_t)(config->devices[front_end()] - (list->count - left));
	config->devices[kind_of(row)] = 0;
	list->count = left;
}

static bool exists(const char *path, size_t len)
{
	char *copy = strndup(path, len);
	bool there = copy && access(copy, F_OK) == 0;

	free(copy);
	return there;
}

/* FILE[:TEXT], and either may hold colons: FILE is the longest that there is, or what stands before the first colon. */
static const char *end_of_file(const char *value)
{
	const char *first = strchr(value, ':');

	for (size_t len = strlen(value); len; len--)
		if ((!value[len] || value[len] == ':') && exists(value, len))
			return value + len;
	return first ? first : strchr(value, 0);
}

/* An empty name is none: unit files pass variables that may be empty. */
static int add_initrd(struct initrd_list *list, const struct option_row *row, const char *value, char *error)
{
	const char *end = end_of_file(value);
	char *file;

	if (!*value)
		return 0;
	if (list->count == CONFIG_INITRDS) {
		snprintf(error, VALUE_ERROR_MAX, "--%s: a machine has at most %d of these", row->name, CONFIG_INITRDS);
		return -EINVAL;
	}
	file = strndup(value, (size_t)(end - value));
	if (!file) {
		snprintf(error, VALUE_ERROR_MAX, "--%s: no memory", row->name);
		return -ENOMEM;
	}
	list->of[list->count].file = file;
	list->of[list->count++].text = *end ? end + 1 : NULL;
	return 0;
}

static int set_serial(const char **ports, const struct option_row *row, const char *value, char *error)
{
	struct serial_spec spec;
	const char *why = serial_parse(value, &spec);

	if (why)
		return bad(error, row, value, why);
	ports[spec.port] = value;
	return 0;
}

static int no_external(const struct option_row *row, const char *value, char *error, const char *why)
{
	snprintf(error, VALUE_ERROR_MAX, "--%s %.80s: %s; write DEVICE=unix:SOCKET[,user=USER]", row->name, value, why);
	return -EINVAL;
}

/* "serial": its number, or -ENODEV. */
static int external_device(const char *value, size_t len)
{
	char name[KIND_NAME_MAX];

	snprintf(name, sizeof(name), "%.*s", len < sizeof(name) ? (int)len : 0, value);
	return kind_find(name);
}

/* The last comma begins the user: a path may hold some. */
static int take_external(struct external *e, const char *path)
{
	const char *comma = strrchr(path, ',');

	if (comma && !strncmp(comma, ",user=", 6) && user_parse(comma + 6, &e->user) < 0)
		return -ENOENT;
	e->path = e->user < 0 ? path : strndup(path, (size_t)(comma - path));
	return e->path ? 0 : -ENOMEM;
}

static int add_external(struct external *list, const struct option_row *row, const char *value, char *error)
{
	size_t name = strcspn(value, "=");
	const char *path = strncmp(value + name, "=unix:", 6) ? NULL : value + name + 6;
	int device = path ? external_device(value, name) : -EINVAL, rc;

	if (!*value)
		return 0;
	if (!path)
		return no_external(row, value, error, "that is no device and socket");
	if (device < 0)
		return no_external(row, value, error, "no device is called that");
	if (list[device].path)
		return no_external(row, value, error, "that device is given twice");
	rc = take_external(&list[device], path);
	if (rc == -ENOENT)
		return no_external(row, value, error, "no such user; a number, or a name from /etc/passwd");
	if (rc || !*list[device].path || strlen(list[device].path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return no_external(row, value, error, "a socket's path has 1 to 107 characters");
	return 0;
}

bool value_is_taken(enum value_kind kind)
{
	return kind != VALUE_FLAG && kind != VALUE_DEVICE && kind != VALUE_BARE;
}

bool value_is_choice(enum value_kind kind)
{
	return kind == VALUE_CHOICE || kind == VALUE_ENUM;
}

static unsigned number_of(const char *list, const char *word)
{
	size_t len = strlen(word);
	unsigned n = 0;

	while (strncmp(list, word, len) || (list[len] && list[len] != '|')) {
		list += strcspn(list, "|") + 1;
		n++;
	}
	return n;
}

static int set_choice(void *field, const struct option_row *row, const char *value, char *error)
{
	const char *word = choice_word(row, value);

	if (!word)
		return bad_choice(error, row, value);
	if (row->kind == VALUE_ENUM)
		*(unsigned *)field = number_of(row->arg, word);
	else
		*(const char **)field = word;
	return 0;
}

int gdb_port(const char *gdb)
{
	unsigned long port;
	char *end;

	if (!gdb)
		return -1;
	if (strchr(gdb, '/'))
		return 0;
	port = strtoul(gdb, &end, 10);
	return isdigit((unsigned char)gdb[0]) && !*end && port > 0 && port <= 65535 ? (int)port : -1;
}

void value_unset(void *base, const struct option_row *row)
{
	char *field = (char *)base + row->offset;

	if (row->kind == VALUE_FLAG)
		*(bool *)field = false;
	if (row->kind == VALUE_DEVICE)
		*(uint8_t *)field = 0;
	if (row->kind == VALUE_BARE)
		drop_backends(base, row);
}

int value_set(void *base, const struct option_row *row, const char *value, char error[VALUE_ERROR_MAX])
{
	char *field = (char *)base + row->offset;

	switch (row->kind) {
	case VALUE_FLAG:
		*(bool *)field = true;
		return 0;
	case VALUE_TEXT:
		*(const char **)field = value;
		return 0;
	case VALUE_FILE:
		*(const char **)field = *value ? value : NULL;
		return 0;
	case VALUE_SIZE:
		if (config_parse_size(value, (uint64_t *)field))
			return bad(error, row, value, "not a size; write a number with K, M or G, such as 512M");
		return check_ram(row, value, *(uint64_t *)field, error);
	case VALUE_CACHE:
		if (config_parse_size(value, (uint64_t *)field))
			return bad(error, row, value, "not a size; write a number with K, M or G, such as 60M");
		return check_cache(row, value, *(uint64_t *)field, error);
	case VALUE_DURATION:
		return config_parse_duration(value, (uint32_t *)field)
			       ? bad(error, row, value, "not a time; write 30s, 500ms or 2m")
			       : 0;
	case VALUE_COUNT:
		return set_count((uint32_t *)field, value) ? bad(error, row, value, "write a number from 0 to 1000000") : 0;
	case VALUE_NAME:
		return set_name(field, value) ? bad(error, row, value,
						    "a name has 1 to 48 letters, digits, '.', '-', '_', and "
						    "starts with none of '.-'; ended is kept for records")
					      : 0;
	case VALUE_CHOICE:
	case VALUE_ENUM:
		return set_choice(field, row, value, error);
	case VALUE_CPU:
		return set_cpu((const char **)field, row, value, error);
	case VALUE_DISPLAY:
		return set_display((struct display_spec *)field, row, value, error);
	case VALUE_CPUS:
		return set_cpus((struct cpu_topology *)field, row, value, error);
	case VALUE_ESCAPE:
		return set_escape((int *)field, value) ? bad(error, row, value, "write a control character as ^] or ^A, or none")
						       : 0;
	case VALUE_INITRD:
		return add_initrd((struct initrd_list *)field, row, value, error);
	case VALUE_SERIAL:
		return set_serial((const char **)field, row, value, error);
	case VALUE_STEP_SEND:
	case VALUE_STEP_EXPECT:
		return step_add((struct step_list *)field, row, value, error);
	case VALUE_BYTES:
		return config_parse_size(value, (uint64_t *)field)
			       ? bad(error, row, value, "not a size; write 10M, or 0 for none")
			       : 0;
	case VALUE_GROUP:
		return set_group((int64_t *)field, value) ? bad(error, row, value, "no such group; name one of /etc/group") : 0;
	case VALUE_EXTERNAL:
		return add_external((struct external *)field, row, value, error);
	case VALUE_GDB:
		if (*value && gdb_port(value) < 0)
			return bad(error, row, value, "write a port from 1 to 65535, or the path of a socket with a / in it");
		*(const char **)field = *value ? value : NULL;
		return 0;
	case VALUE_BACKEND:
	case VALUE_BARE:
		return add_backend(base, row, value, error);
	case VALUE_DEVICE:
		return add_device((uint8_t *)field, row, error);
	case VALUE_FD:
		return set_fd((int *)field, value) ? bad(error, row, value, "not a descriptor") : 0;
	}
	return -EINVAL;
}
