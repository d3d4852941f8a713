/* SPDX-License-Identifier: MIT */
/* Options of a machine: one table, from which parsing and --help are made. */
#include "config.h"

#include "../../proto/layout.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define PAGE 4096ull
#define RAM_MIN (1ull << 20)
enum { CMDLINE_MAX = 2047 };

enum option_type { OPT_TEXT, OPT_FLAG, OPT_SIZE, OPT_DURATION, OPT_NAME, OPT_CHOICE, OPT_SANDBOX, OPT_ON_HALT, OPT_ON_DEVICE_FAILURE, OPT_COUNT, OPT_CPU, OPT_ESCAPE, OPT_INITRD, OPT_GROUP,
	OPT_FD, OPT_DEVICE };

struct option_row {
	const char *name;
	enum option_type type;
	size_t offset;
	const char *arg; /* as --help shows it; for OPT_CHOICE also the choices, separated by | */
	const char *help; /* NULL: not for users */
};

#define AT(field) offsetof(struct vm_config, field)

/* Kinds of devices that a machine has only if it is asked for. */
#define PRESENCE_ALWAYS(NAME)
#define PRESENCE_OPTION(NAME) DEVICE_OPTION(NAME, NAME##_OPTION)
#define DEVICE_OPTION(NAME, ...) DEVICE_OPTION_ROW(NAME, __VA_ARGS__)
#define DEVICE_OPTION_ROW(NAME, option, help) { option, OPT_DEVICE, AT(devices[KIND_##NAME]), NULL, help },

static const struct option_row rows[] = {
	{ "kernel", OPT_TEXT, AT(kernel), "FILE", "kernel image: bzImage, vmlinux, PVH or Multiboot ELF, flat image" },
	{ "initrd", OPT_INITRD, AT(initrds), "FILE[:TEXT]",
	  "initial RAM disk; several are put behind each other for Linux, and are modules for Multiboot, with TEXT as their command line" },
	{ "cmdline", OPT_TEXT, AT(cmdline), "TEXT", "kernel command line" },
	{ "memory", OPT_SIZE, AT(ram_bytes), "SIZE", "guest memory, with K, M or G (default 512M)" },
	{ "format", OPT_CHOICE, AT(format), "auto|bzimage|elf|pvh|multiboot|flat16|flat64", "how to read the kernel" },
	{ "engine", OPT_CHOICE, AT(engine), "auto|emu|kvm", "what runs guest code; auto takes emu for now (see bulkhead(1))" },
	{ "cpu", OPT_CPU, AT(cpu), "MODEL[,+FEATURE|,-FEATURE...]",
	  "the guest's processor: max, x86-64-v2, x86-64-v3, x86-64-v4, host (default max; host with kvm); "
	  "--cpu help lists models and features" },
	{ "vga", OPT_CHOICE, AT(vga), "none|stub", "display: stub has its cursor registers, and no picture (default); none: all-ones" },
	{ "json", OPT_FLAG, AT(json), NULL, "with --cpu help: as JSON" },
	{ "name", OPT_NAME, AT(name), "NAME", "name of the machine (default: the first free of vm1, vm2, ...)" },
	{ "detach", OPT_FLAG, AT(detach), NULL, "leave it running in the background, print where it is" },
	{ "no-console", OPT_FLAG, AT(no_console), NULL, "stay in the foreground without attaching the console (for services)" },
	{ "no-reboot", OPT_FLAG, AT(no_reboot), NULL, "end with code 32 when the guest asks for a reset" },
	{ "on-halt", OPT_ON_HALT, AT(on_halt), "stop|wait", "when the guest halts with interrupts off (default stop)" },
	{ "on-device-failure", OPT_ON_DEVICE_FAILURE, AT(on_device_failure), "restart|degrade|pause|stop",
	  "when a device process dies: restart it, while the guest waits; degrade: never. A device that is given up reads "
	  "all-ones, or with pause or stop the machine pauses or ends (code 37)" },
	{ "device-failure-limit", OPT_COUNT, AT(device_failure_limit), "N",
	  "deaths in a row, without a request served in between, after which a device is given up (default 16; 0: never)" },
	{ "stop-timeout", OPT_DURATION, AT(stop_timeout_ms), "TIME", "how long SIGTERM waits for the guest (default 30s)" },
	{ "escape", OPT_ESCAPE, AT(escape), "^X", "escape key of the console (default ^])" },
	{ "group", OPT_GROUP, AT(group), "GROUP", "members may use the console and control it too (default: only you and root)" },
	{ "sandbox", OPT_SANDBOX, AT(sandbox), "on|log|off", "log: forbidden calls are logged by the kernel, not stopped" },
	{ "log", OPT_TEXT, AT(log_file), "FILE", "append messages here instead of stderr" },
	{ "verbose", OPT_FLAG, AT(verbose), NULL, "tell what happens, with times" },
	{ "help", OPT_FLAG, AT(help), NULL, "this text" },
#define DEVICE(NAME, name, model, role, presence, ...) PRESENCE_##presence(NAME)
#include "../../proto/devices.def"
	{ "runtime-dir", OPT_TEXT, AT(runtime_dir), "DIR", NULL },
	{ "demo", OPT_FLAG, AT(demo), NULL, NULL },
	{ "from", OPT_TEXT, AT(from), "NAME", NULL },
	{ "taken-fd", OPT_FD, AT(taken_fd), "FD", NULL },
	{ "ready-fd", OPT_FD, AT(ready_fd), "FD", NULL },
	{ "keep", OPT_FLAG, AT(keep_on_parent_exit), NULL, NULL },
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

void config_init(struct vm_config *config)
{
	*config = (struct vm_config){
		.format = "auto", .engine = "auto", .vga = "stub", .cmdline = "", .ram_bytes = 512ull << 20,
		.stop_timeout_ms = 30000, .device_failure_limit = DEVICE_FAILURE_LIMIT, .escape = 0x1d, .group = -1, .ready_fd = -1, .taken_fd = -1,
		 .sandbox = SANDBOX_DEFAULT,
#define ALWAYS 1
#define OPTION 0
#define DEVICE(NAME, name, model, role, presence, ...) .devices[KIND_##NAME] = presence,
#include "../../proto/devices.def"
	};
}

int config_parse_size(const char *text, uint64_t *out)
{
	static const struct {
		const char *suffix;
		unsigned shift;
	} units[] = { { "", 0 }, { "K", 10 }, { "KiB", 10 }, { "M", 20 }, { "MiB", 20 }, { "G", 30 }, { "GiB", 30 } };
	char *end;
	unsigned long long v;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
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

int config_parse_duration(const char *text, uint32_t *out_ms)
{
	static const struct {
		const char *suffix;
		uint32_t ms;
	} units[] = { { "", 1000 }, { "s", 1000 }, { "ms", 1 }, { "m", 60000 }, { "h", 3600000 } };
	char *end;
	unsigned long long v;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
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

	return n > 0 && n <= VM_NAME_MAX && !name[n] && name[0] != '.' && name[0] != '-';
}

static int bad(char *error, const struct option_row *row, const char *value, const char *why)
{
	snprintf(error, CONFIG_ERROR_MAX, "--%s %s: %s", row->name, value, why);
	return -EINVAL;
}

static int check_ram(const struct option_row *row, const char *value, uint64_t bytes, char *error)
{
	char why[128];

	if (!bytes)
		return bad(error, row, value, "a machine needs memory; try 512M");
	if (bytes % PAGE && bytes < 1 << 20) {
		snprintf(why, sizeof(why), "%llu bytes is not a multiple of the page size (4096); did you mean %lluM?",
			 (unsigned long long)bytes, (unsigned long long)bytes);
		return bad(error, row, value, why);
	}
	if (bytes % PAGE)
		return bad(error, row, value, "not a multiple of the page size (4096 bytes)");
	if (bytes < RAM_MIN)
		return bad(error, row, value, "at least 1M is needed");
	if (bytes > LAYOUT_RAM_MAX)
		return bad(error, row, value, "at most 64G is supported");
	return 0;
}

static bool is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
		if (len && !strncmp(p, value, len) && (p[len] == '|' || !p[len]))
			return true;
	return false;
}

static int bad_choice(char *error, const struct option_row *row, const char *value)
{
	char why[128];

	snprintf(why, sizeof(why), "must be one of %s", row->arg);
	return bad(error, row, value, why);
}

static int set_on_halt(enum on_halt *out, const char *value)
{
	if (strcmp(value, "stop") && strcmp(value, "wait"))
		return -EINVAL;
	*out = strcmp(value, "stop") ? ON_HALT_WAIT : ON_HALT_STOP;
	return 0;
}

static int set_on_device_failure(enum on_device_failure *out, const char *value)
{
	static const char *const names[] = {
		[ON_DEVICE_FAILURE_RESTART] = "restart", [ON_DEVICE_FAILURE_DEGRADE] = "degrade",
		[ON_DEVICE_FAILURE_PAUSE] = "pause", [ON_DEVICE_FAILURE_STOP] = "stop",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(value, names[i])) {
			*out = (enum on_device_failure)i;
			return 0;
		}
	return -EINVAL;
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
		snprintf(error, CONFIG_ERROR_MAX, "--%s: %s", row->name, why);
		return -EINVAL;
	}
	*out = value;
	return 0;
}

static int add_device(uint8_t *count, const struct option_row *row, char *error)
{
	const struct kind_row *kind = &kind_rows[row->offset - AT(devices)];

	if (*count == kind->most) {
		snprintf(error, CONFIG_ERROR_MAX, "--%s: a machine has at most %u of these", row->name, kind->most);
		return -EINVAL;
	}
	++*count;
	return 0;
}

/* A file whose name holds a colon is taken as it is. An empty name is none: unit files pass variables that may be empty. */
static int add_initrd(struct initrd_list *list, const struct option_row *row, const char *value, char *error)
{
	const char *colon = access(value, F_OK) == 0 ? NULL : strchr(value, ':');
	char *file;

	if (!*value)
		return 0;
	if (list->count == CONFIG_INITRDS) {
		snprintf(error, CONFIG_ERROR_MAX, "--%s: a machine has at most %d of these", row->name, CONFIG_INITRDS);
		return -EINVAL;
	}
	file = colon ? strndup(value, (size_t)(colon - value)) : strdup(value);
	if (!file) {
		snprintf(error, CONFIG_ERROR_MAX, "--%s: no memory", row->name);
		return -ENOMEM;
	}
	list->of[list->count].file = file;
	list->of[list->count++].text = colon ? colon + 1 : NULL;
	return 0;
}

static int set(struct vm_config *config, const struct option_row *row, char *value, char *error)
{
	char *field = (char *)config + row->offset;

	switch (row->type) {
	case OPT_TEXT:
		/* An empty file name is none: unit files pass variables that may be empty. */
		*(const char **)field = *value || row->offset == AT(cmdline) ? value : NULL;
		return 0;
	case OPT_FLAG:
		*(bool *)field = true;
		return 0;
	case OPT_SIZE:
		if (config_parse_size(value, (uint64_t *)field))
			return bad(error, row, value, "not a size; write a number with K, M or G, such as 512M");
		return check_ram(row, value, *(uint64_t *)field, error);
	case OPT_DURATION:
		if (config_parse_duration(value, (uint32_t *)field))
			return bad(error, row, value, "not a time; write 30s, 500ms or 2m");
		return 0;
	case OPT_NAME:
		if (set_name(field, value))
			return bad(error, row, value, "a name has 1 to 48 letters, digits, '.', '-', '_', and starts with none of '.-'");
		return 0;
	case OPT_CHOICE:
		if (!is_choice(row->arg, value))
			return bad_choice(error, row, value);
		*(const char **)field = value;
		return 0;
	case OPT_SANDBOX:
		return sandbox_mode_parse(value, (enum sandbox_mode *)field) ? bad_choice(error, row, value) : 0;
	case OPT_ON_HALT:
		return set_on_halt((enum on_halt *)field, value) ? bad_choice(error, row, value) : 0;
	case OPT_ON_DEVICE_FAILURE:
		return set_on_device_failure((enum on_device_failure *)field, value) ? bad_choice(error, row, value) : 0;
	case OPT_COUNT:
		return set_count((uint32_t *)field, value) ? bad(error, row, value, "write a number from 0 to 1000000") : 0;
	case OPT_CPU:
		return set_cpu((const char **)field, row, value, error);
	case OPT_ESCAPE:
		return set_escape((int *)field, value) ?
			       bad(error, row, value, "write a control character as ^] or ^A, or none") : 0;
	case OPT_INITRD:
		return add_initrd((struct initrd_list *)field, row, value, error);
	case OPT_GROUP:
		return set_group((int64_t *)field, value) ? bad(error, row, value, "no such group; name one of /etc/group") : 0;
	case OPT_DEVICE:
		return add_device((uint8_t *)field, row, error);
	case OPT_FD:
		return set_fd((int *)field, value) ? bad(error, row, value, "not a descriptor") : 0;
	}
	return -EINVAL;
}

static const struct option_row *find(const char *name, size_t len)
{
	for (unsigned i = 0; i < ROWS; i++)
		if (strlen(rows[i].name) == len && !strncmp(rows[i].name, name, len))
			return &rows[i];
	return NULL;
}

/* The option that a typing mistake most likely meant: the longest common beginning, at least three letters. */
static const char *suggestion(const char *name, size_t len)
{
	const char *best = NULL;
	size_t best_len = 2;

	for (unsigned i = 0; i < ROWS; i++) {
		size_t n = 0;

		while (n < len && rows[i].name[n] && rows[i].name[n] == name[n])
			n++;
		if (rows[i].help && n > best_len) {
			best = rows[i].name;
			best_len = n;
		}
	}
	return best;
}

static int unknown(const char *arg, size_t len, char *error)
{
	const char *near = arg[0] == '-' && arg[1] == '-' ? suggestion(arg + 2, len - 2) : NULL;

	if (near)
		snprintf(error, CONFIG_ERROR_MAX, "unknown option %.*s; did you mean --%s?", (int)len, arg, near);
	else if (arg[0] == '-')
		snprintf(error, CONFIG_ERROR_MAX, "unknown option %.*s; see bulkhead run --help", (int)len, arg);
	else
		snprintf(error, CONFIG_ERROR_MAX, "unexpected argument %.100s; a kernel is given with --kernel FILE", arg);
	return -EINVAL;
}

static bool takes_value(const struct option_row *row)
{
	return row->type != OPT_FLAG && row->type != OPT_DEVICE;
}

int config_parse(struct vm_config *config, int argc, char **argv, char error[CONFIG_ERROR_MAX])
{
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		size_t len = strcspn(arg, "=");
		const struct option_row *row;
		char *value;
		int rc;

		if (!strcmp(arg, "-h"))
			arg = "--help", len = 6;
		row = len > 2 && arg[0] == '-' && arg[1] == '-' ? find(arg + 2, len - 2) : NULL;
		if (!row)
			return unknown(arg, len < 80 ? len : 80, error);
		value = arg[len] ? argv[i] + len + 1 : NULL;
		if (!takes_value(row) && value)
			return bad(error, row, value, "takes no value");
		if (takes_value(row) && !value && !(value = ++i < argc ? argv[i] : NULL)) {
			snprintf(error, CONFIG_ERROR_MAX, "--%s needs a value: --%s %s", row->name, row->name, row->arg);
			return -EINVAL;
		}
		rc = set(config, row, value, error);
		if (rc)
			return rc;
	}
	return 0;
}

static int check_file(const char *option, const char *path, char *error)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;

	if (fd < 0) {
		snprintf(error, CONFIG_ERROR_MAX, "--%s %.150s: %s", option, path, strerror(errno));
		return -EINVAL;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		snprintf(error, CONFIG_ERROR_MAX, "--%s %.150s: not a regular file", option, path);
		rc = -EINVAL;
	} else if (!st.st_size) {
		snprintf(error, CONFIG_ERROR_MAX, "--%s %.150s: the file is empty", option, path);
		rc = -EINVAL;
	}
	close(fd);
	return rc;
}

static int check_host_memory(uint64_t bytes, char *error)
{
	struct sysinfo si;
	uint64_t total;

	if (sysinfo(&si) < 0)
		return 0;
	total = ((uint64_t)si.totalram + si.totalswap) * si.mem_unit;
	if (bytes <= total)
		return 0;
	snprintf(error, CONFIG_ERROR_MAX, "--memory %lluM: this host has only %lluM", (unsigned long long)(bytes >> 20),
		 (unsigned long long)(total >> 20));
	return -EINVAL;
}

static bool is_kvm(const struct vm_config *config)
{
	return !strcmp(config->engine, "kvm");
}

const char *config_cpu(const struct vm_config *config)
{
	return config->cpu ? config->cpu : is_kvm(config) ? "host" : "max";
}

bool config_wants_cpu_help(const struct vm_config *config)
{
	return config->cpu && !strcmp(config->cpu, "help");
}

/* What KVM has, only KVM can tell; what the emulator has is known here. */
static int check_cpu(const struct vm_config *config, char *error)
{
	const struct cpu_feature_set emulated = cpu_emulated();
	struct cpu_feature_set features;
	char why[CPU_MODEL_ERROR_MAX];
	struct cpu_model model;
	int rc;

	rc = cpu_model_parse(&model, config_cpu(config), why);
	if (!rc && model.base == CPU_BASE_HOST && !is_kvm(config)) {
		snprintf(error, CONFIG_ERROR_MAX, "--cpu host is what KVM offers; the emulator's is --cpu max");
		return -EINVAL;
	}
	if (!rc && !is_kvm(config))
		rc = cpu_model_resolve(&model, &emulated, "the emulator", &features, why);
	if (rc)
		snprintf(error, CONFIG_ERROR_MAX, "--cpu: %s", why);
	return rc ? -EINVAL : 0;
}

int config_check(const struct vm_config *config, char error[CONFIG_ERROR_MAX])
{
	int rc = 0;

	if (config->json) {
		snprintf(error, CONFIG_ERROR_MAX, "--json goes with --cpu help only; a machine's state is bulkhead status --json");
		return -EINVAL;
	}
	if (!config->kernel && !config->demo) {
		snprintf(error, CONFIG_ERROR_MAX, "no kernel; give one with --kernel FILE, or try: bulkhead demo");
		return -EINVAL;
	}
	if (config->detach && config->no_console) {
		snprintf(error, CONFIG_ERROR_MAX, "--detach and --no-console exclude each other");
		return -EINVAL;
	}
	if (config->from && !config->detach) {
		snprintf(error, CONFIG_ERROR_MAX, "--from needs --detach: consoles stay attached to the machine that goes on");
		return -EINVAL;
	}
	if (config->sandbox != SANDBOX_OFF && SANDBOX_DEFAULT == SANDBOX_OFF) {
		snprintf(error, CONFIG_ERROR_MAX, "--sandbox %s: this is a build with sanitizers, which need what the sandbox "
			 "takes away; leave the option out", sandbox_mode_name(config->sandbox));
		return -EINVAL;
	}
	if (strlen(config->cmdline) > CMDLINE_MAX) {
		snprintf(error, CONFIG_ERROR_MAX, "--cmdline has %zu characters; at most %d fit", strlen(config->cmdline),
			 CMDLINE_MAX);
		return -EINVAL;
	}
	rc = check_cpu(config, error);
	if (!rc && config->kernel)
		rc = check_file("kernel", config->kernel, error);
	for (unsigned n = 0; !rc && n < config->initrds.count; n++)
		rc = check_file("initrd", config->initrds.of[n].file, error);
	return rc ? rc : check_host_memory(config->ram_bytes, error);
}

void config_print_options(void)
{
	for (unsigned i = 0; i < ROWS; i++) {
		char left[80];

		if (!rows[i].help)
			continue;
		snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].arg ? " " : "", rows[i].arg ? rows[i].arg : "");
		if (strlen(left) > 26)
			printf("  %s\n  %-26s  %s\n", left, "", rows[i].help);
		else
			printf("  %-26s  %s\n", left, rows[i].help);
	}
}
