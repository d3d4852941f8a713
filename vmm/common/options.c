/* SPDX-License-Identifier: MIT */
/* The table of options, and its parser: options.h. */
#include "options.h"

#include "config.h"
#include "nearest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct command_row command_rows[COMMANDS] = {
#define COMMAND(NAME, name, operands, least, most, summary) { #name, operands, least, most, summary },
#include "commands.def"
};

#define IN(NAME) (1u << COMMAND_##NAME)
#define MACHINE (IN(RUN) | IN(DEMO))
#define ALL (~0u)

/*
 * KEY       an option of a machine, which is also a key in vm.toml; KEY_ALSO: known by another name, too
 * NO_KEY    an option of `run` that says nothing about a machine
 * ARGUMENT  an option of a command that starts no machine
 */
#define KEY_ALSO(name, alias, kind, commands, field, arg, help) \
	{ name, VALUE_##kind, commands, offsetof(struct vm_config, field), arg, help, alias, false }
#define KEY(name, kind, commands, field, arg, help) KEY_ALSO(name, NULL, kind, commands, field, arg, help)
#define NO_KEY(name, kind, commands, field, arg, help) \
	{ name, VALUE_##kind, commands, offsetof(struct vm_config, field), arg, help, NULL, true }
#define ARGUMENT(name, kind, commands, field, arg, help) \
	{ name, VALUE_##kind, commands, offsetof(struct cli_args, field), arg, help, NULL, true }

/* Kinds of devices that a machine has only if it is asked for. */
#define PRESENCE_ALWAYS(NAME)
#define PRESENCE_FRAME(NAME)
#define PRESENCE_FIRMWARE(NAME)
#define PRESENCE_DISPLAY(NAME)
#define PRESENCE_OPTION(NAME) DEVICE_OPTION(NAME, NAME##_OPTION)
#define PRESENCE_BOARD(NAME) DEVICE_OPTION(NAME, NAME##_OPTION)
#define PRESENCE_IMPLIED(NAME)
#define PRESENCE_BACKEND(NAME) BACKEND_OPTION(NAME, NAME##_OPTION)
#define PRESENCE_BARE(NAME) BARE_OPTION(NAME, NAME##_OPTION)
#define BARE_OPTION(NAME, ...) BARE_OPTION_ROW(NAME, __VA_ARGS__)
#define BARE_OPTION_ROW(NAME, option, help) KEY(option, BARE, MACHINE, devices[KIND_##NAME], NULL, help),
#define BACKEND_OPTION(NAME, ...) BACKEND_OPTION_ROW(NAME, __VA_ARGS__)
#define BACKEND_OPTION_ROW(NAME, option, arg, help) KEY(option, BACKEND, MACHINE, devices[KIND_##NAME], arg, help),
#define DEVICE_OPTION(NAME, ...) DEVICE_OPTION_ROW(NAME, __VA_ARGS__)
#define DEVICE_OPTION_ROW(NAME, option, help) KEY(option, DEVICE, MACHINE, devices[KIND_##NAME], NULL, help),

_Static_assert(sizeof(enum on_halt) == sizeof(unsigned) && sizeof(enum platform) == sizeof(unsigned) && sizeof(enum on_device_failure) == sizeof(unsigned) &&
	       sizeof(enum sandbox_mode) == sizeof(unsigned), "VALUE_ENUM");

const struct option_row option_rows[] = {
	NO_KEY("config", FILE, MACHINE, config_file, "FILE",
		"take options from this file, see vm.toml(5); those given here win"),
	KEY("kernel", FILE, IN(RUN), kernel, "FILE", "kernel image: bzImage, vmlinux, PVH or Multiboot ELF, flat image"),
	KEY("firmware", TEXT, IN(RUN), firmware, "seabios|ovmf|FILE",
		"start with a PC's firmware, which boots from --disk: Debian's SeaBIOS or OVMF, or an image of your own (default, with --disk and "
		"without --kernel: what the disk wants)"),
	KEY("firmware-vars", TEXT, IN(RUN), firmware_vars, "FILE|none",
		"where UEFI keeps its variables (default, with ovmf: a file of the machine's own, if --name names it)"),
	KEY("boot-order", TEXT, IN(RUN), boot_order, "N[,N...]", "which --disk firmware tries first; the first is 0 (default: in their order)"),
	KEY("initrd", INITRD, IN(RUN), initrds, "FILE[:TEXT]",
		"initial RAM disk; several are put behind each other for Linux, and are modules for Multiboot, with TEXT as their "
		"command line"),
	KEY("cmdline", TEXT, IN(RUN), cmdline, "TEXT", "kernel command line"),
	KEY("exec", TEXT, IN(RUN), exec, "COMMAND",
		"run it in a Linux guest's initramfs, with /bin/sh if there is one, and end with its exit code"),
	KEY("memory", SIZE, MACHINE, ram_bytes, "SIZE", "guest memory, with K, M or G (default 512M; a frame machine's 64M)"),
	KEY("format", CHOICE, IN(RUN), format, "auto|bzimage|elf|pvh|multiboot|flat16|flat64", "how to read the kernel"),
	KEY("platform", ENUM, IN(RUN), platform, "pc|frame",
		"what the machine is: a PC (default), or a frame machine, whose guest shows pictures and reads events through one port "
		"(bulkhead-displayd(8))"),
	KEY("program", FILE, IN(RUN), program, "FILE", "of a frame machine: the program that its kernel finds at 32 MiB"),
	KEY_ALSO("engine", "backend", CHOICE, MACHINE, engine, "auto|emu|kvm",
		"what runs guest code; auto measures: kvm where that is the processor itself (default)"),
	KEY("no-fallback", FLAG, MACHINE, no_fallback, NULL,
		"end the machine at an instruction that KVM cannot do, instead of running it on the emulator (engine kvm)"),
	KEY("code-cache", CACHE, MACHINE, code_cache_bytes, "SIZE",
		"what decoded and translated code may take of this host (default 192M, 48M more for each further processor)"),
	KEY("cpu", CPU, MACHINE, cpu, "MODEL[,+FEATURE|,-FEATURE...]",
		"the guest's processor: max, x86-64-v2, x86-64-v3, x86-64-v4, host (default max; host with kvm); --cpu help "
		"lists models and features"),
	KEY("ready", CHOICE, MACHINE, ready, "vcpu|guest",
		"when the machine counts as started, for --detach and systemd: when the first instruction is about to run "
		"(default), or when the guest says so by writing to port 506h"),
	KEY_ALSO("cpus", "vcpus", CPUS, MACHINE, cpus, "N[,sockets=N][,cores=N][,threads=N]",
		"how many processors, 1 to 64 (default 1), and how they are arranged (default: cores of one socket)"),
	KEY("display", DISPLAY, MACHINE, display, "none|lfb[,WIDTHxHEIGHT]|vga",
		"a screen, for bulkhead screenshot and screen: lfb, a framebuffer that Linux finds by itself (default 1024x768); vga, text "
		"and Bochs' framebuffer; none: no process, no picture (default)"),
	KEY("vga", CHOICE, MACHINE, vga, "none|stub",
		"without --display vga: stub has an adapter's cursor registers, and no picture (default); none: all-ones"),
	NO_KEY("json", FLAG, MACHINE, json, NULL, "with --cpu help: as JSON"),
	KEY("serial", SERIAL, MACHINE, serial, "N:pty|N:file=PATH|N:socket=PATH,server|N:tcp=127.0.0.1:PORT,server",
		"what is behind serial port N, 1 to 4; COM1 is the console besides"),
	KEY("name", NAME, MACHINE, name, "NAME", "name of the machine (default: the first free of vm1, vm2, ...)"),
	KEY("detach", FLAG, MACHINE, detach, NULL, "leave it running in the background, print where it is"),
	KEY("no-console", FLAG, MACHINE, no_console, NULL,
		"stay in the foreground without attaching the console (for services)"),
	KEY("no-reboot", FLAG, MACHINE, no_reboot, NULL, "end with code 32 when the guest asks for a reset"),
	KEY("on-halt", ENUM, MACHINE, on_halt, "stop|wait", "when the guest halts with interrupts off (default stop)"),
	KEY("on-device-failure", ENUM, MACHINE, on_device_failure, "restart|degrade|pause|stop",
		"when a device process dies: restart it, while the guest waits; degrade: never. A device that is given up "
		"reads all-ones, or with pause or stop the machine pauses or ends (code 37)"),
	KEY("device-failure-limit", COUNT, MACHINE, device_failure_limit, "N",
		"deaths in a row, without a request served in between, after which a device is given up "
		"(default 16; 0: never)"),
	KEY("stop-timeout", DURATION, MACHINE, stop_timeout_ms, "TIME", "how long SIGTERM waits for the guest (default 30s)"),
	KEY("escape", ESCAPE, MACHINE, escape, "^X", "escape key of the console (default ^])"),
	KEY("group", GROUP, MACHINE, group, "GROUP",
		"members may use the console and control it too (default: only you and root)"),
	KEY("device", EXTERNAL, MACHINE, external, "DEVICE=unix:SOCKET[,user=USER]",
		"somebody else has started this device's process, which listens there: see bulkhead-seriald(8)"),
	KEY("sandbox", ENUM, MACHINE, sandbox, "on|log|off", "log: forbidden calls are logged by the kernel, not stopped"),
	KEY("gdb", GDB, MACHINE, gdb, "PORT|SOCKET",
		"the guest waits for a debugger before its first instruction: gdb's target remote, on this loopback port or socket"),
	KEY("trace", FILE, MACHINE, trace, "FILE",
		"write each instruction, in Intel SDE's layout; packed if it is called .zst (engine emu)"),
	KEY("trace-range", TEXT, MACHINE, trace_range, "FROM-TO[,FROM-TO...]", "of --trace: only instructions at these linear addresses"),
	KEY("trace-privilege", CHOICE, MACHINE, trace_privilege, "all|kernel|user", "of --trace: only these (default all)"),
	KEY("trace-start", TEXT, MACHINE, trace_start, "ADDRESS", "of --trace: not before the instruction at this linear address"),
	KEY("trace-stop", TEXT, MACHINE, trace_stop, "ADDRESS", "of --trace: up to the instruction at this linear address"),
	KEY("trace-last", COUNT, MACHINE, trace_last, "N",
		"of --trace: keep the last N instructions, and write them when the machine crashes"),
	KEY("trace-io", FILE, MACHINE, trace_io, "FILE", "write each access to a device, and each interrupt"),
	KEY("profile", FILE, MACHINE, profile, "FILE",
		"write where the guest spends its instructions: FILE, FILE.json, and FILE.folded for flame graphs (engine emu)"),
	KEY("symbols", FILE, MACHINE, symbols, "FILE", "of --profile: names of addresses, a System.map"),
	KEY("metrics", FILE, MACHINE, metrics, "SOCKET", "answer there with metrics in Prometheus' text format, over HTTP"),
	KEY("vnc", TEXT, MACHINE, vnc, "SOCKET|127.0.0.1:N[,password-file=FILE][,paste=off]",
		"the screen for viewers of VNC, at this socket, or display or port N (bulkhead-vncd(8))"),
	KEY("timeout", DURATION, MACHINE, timeout_ms, "TIME", "end it with code 36 if it takes longer"),
	KEY("result", FILE, MACHINE, result_file, "FILE", "write how it ended here, as JSON"),
	KEY("quiet", FLAG, MACHINE, quiet, NULL, "no last line that tells how it ended"),
	KEY("log", FILE, MACHINE, log_file, "FILE", "append messages here instead of stderr"),
	KEY("runtime-dir", FILE, MACHINE, runtime_dir, "DIR",
		"where the machine's directory is made (default: see bulkhead(1), FILES)"),
	KEY("verbose", FLAG, MACHINE, verbose, NULL, "tell what happens, with times"),
#define DEVICE(NAME, name, model, role, presence, ...) PRESENCE_##presence(NAME)
#include "../../proto/devices.def"
	NO_KEY("help", FLAG, MACHINE, help, NULL, "this text"),
	NO_KEY("tier", CHOICE, MACHINE, tier, "auto|step|block|jit|check|verify|verify-all|narrow", NULL),
	NO_KEY("demo", FLAG, IN(RUN), demo, NULL, NULL),
	NO_KEY("terminal", TEXT, IN(RUN), terminal, "ROWSxCOLUMNS,TERM", NULL),
	NO_KEY("from", TEXT, MACHINE, from, "NAME", NULL),
	NO_KEY("taken-fd", FD, IN(RUN), taken_fd, "FD", NULL),
	NO_KEY("ready-fd", FD, IN(RUN), ready_fd, "FD", NULL),
	NO_KEY("keep", FLAG, IN(RUN), keep_on_parent_exit, NULL, NULL),

	ARGUMENT("config", FLAG, IN(SHOW), config, NULL, "as a file that starts the same machine; there is no other form yet"),
	ARGUMENT("systemd", FLAG, IN(CHECK), systemd, NULL, "print what the machine's unit may use instead, for systemd"),
	ARGUMENT("json", FLAG, IN(LIST) | IN(STATUS) | IN(SECURITY) | IN(HOST) | IN(VERSION) | IN(STATS) | IN(TOP) | IN(EVENTS), json, NULL, "as JSON"),
	ARGUMENT("once", FLAG, IN(TOP), once, NULL, "one picture, of the time since the machine was started"),
	ARGUMENT("interval", DURATION, IN(TOP), interval_ms, "TIME", "between two pictures (default 2s)"),
	ARGUMENT("reopen", FILE, IN(LOG), reopen, "FILE",
		"go on writing messages to this file, after the old one was moved away"),
	ARGUMENT("all", FLAG, IN(LIST), all, NULL, "those that have ended, too"),
	ARGUMENT("all", FLAG, IN(DEVICE), all, NULL, "with upgrade: the devices of all machines"),
	ARGUMENT("older-than", TEXT, IN(DEVICE), older_than, "VERSION", "with upgrade: only those whose program is older"),
	ARGUMENT("escape", ESCAPE, IN(CONSOLE), escape, "^X", "escape key (default ^])"),
	ARGUMENT("read-only", FLAG, IN(CONSOLE), read_only, NULL, "watch, and type nothing"),
	ARGUMENT("steal", FLAG, IN(CONSOLE), steal, NULL, "type, though another client does; that one watches from then on"),
	ARGUMENT("port", COUNT, IN(CONSOLE), console_port, "N", "serial port N, 2 to 4, if it has a connector (default 1)"),
	ARGUMENT("resize", FLAG, IN(CONSOLE), resize, NULL, "type stty with this terminal's size into the guest's shell first"),
	ARGUMENT("send", STEP_SEND, IN(CONSOLE), steps, "TEXT",
		"for scripts: type it; \\n, \\r, \\t, \\e, \\\\ and \\xHH are bytes. In order with --expect, and as often as you like"),
	ARGUMENT("expect", STEP_EXPECT, IN(CONSOLE), steps, "REGEX",
		"wait until the guest has printed this POSIX extended regular expression; code 36 if it does not in time"),
	ARGUMENT("timeout", DURATION, IN(CONSOLE), timeout_ms, "TIME", "how long each --expect waits (default 30s)"),
	ARGUMENT("log", FILE, IN(CONSOLE), log_file, "FILE", "append what is printed here, too"),
	ARGUMENT("log-size", BYTES, IN(CONSOLE), log_size, "SIZE", "begin another file when it has become so large (default 10M; 0: never)"),
	ARGUMENT("log-count", COUNT, IN(CONSOLE), log_count, "N", "keep so many older ones, FILE.1 the latest (default 4)"),
	ARGUMENT("web", FLAG, IN(VIEW), web, NULL, "print an address for a browser on this host, and serve it until ^C"),
	ARGUMENT("port", COUNT, IN(VIEW), web_port, "N", "with --web: the port of its page (default: any that is free)"),
	ARGUMENT("full-screen", FLAG, IN(VIEW), full_screen, NULL, "the window covers the screen"),
	ARGUMENT("grab", FLAG, IN(VIEW), grab, NULL, "the window has the mouse, and sends how far it moves; Ctrl+Alt+G lets go"),
	ARGUMENT("expect", STEP_EXPECT, IN(SCREEN), steps, "REGEX",
		"wait until the screen shows this POSIX extended regular expression; code 36 if it does not in time"),
	ARGUMENT("timeout", DURATION, IN(SCREEN), timeout_ms, "TIME", "how long each --expect waits (default 30s)"),
	ARGUMENT("frames", COUNT, IN(RECORD), frames, "N", "so many (default: until the machine ends, or ^C)"),
	ARGUMENT("rate", COUNT, IN(RECORD), rate, "N", "show N of them a second (default: as they came; of a video 60)"),
	ARGUMENT("timeout", DURATION, IN(STOP), timeout_ms, "TIME", "how long the guest has to power off (default 30s)"),
	ARGUMENT("force", FLAG, IN(STOP), force, NULL, "end it at once"),
	ARGUMENT("force", FLAG, IN(ENGINE), force, NULL, "also to a KVM that is known to harm such a guest"),
	ARGUMENT("binary", FILE, IN(DEVICE), binary, "FILE", "with replace: this program instead of the installed one"),
	ARGUMENT("print", FLAG, IN(GDB), print, NULL, "only tell what to write behind gdb's target remote"),
	ARGUMENT("size", BYTES, IN(IMAGE), size, "SIZE", "of the disk (default 2G)"),
	ARGUMENT("suite", TEXT, IN(IMAGE), suite, "NAME", "Debian's release (default bookworm)"),
	ARGUMENT("mirror", TEXT, IN(IMAGE), mirror, "URL", "where packages come from (default http://deb.debian.org/debian)"),
	ARGUMENT("packages", TEXT, IN(IMAGE), packages, "NAME[,NAME...]", "more packages than those that it needs to start"),
	ARGUMENT("hostname", TEXT, IN(SEED), hostname, "NAME", "what the system calls itself"),
	ARGUMENT("key", FILE, IN(SEED), key, "FILE", "public keys, as ssh-keygen writes them: who has one of theirs may log in as root by ssh"),
	ARGUMENT("user-data", FILE, IN(SEED), user_data, "FILE", "a script that runs once as root, when there is a network"),
	ARGUMENT("force", FLAG, IN(IMAGE) | IN(SEED), force, NULL, "though the file is there already"),
	ARGUMENT("help", FLAG, ALL & ~MACHINE, help, NULL, "this text"),
};
enum { ROWS = sizeof(option_rows) / sizeof(option_rows[0]) };
const unsigned option_count = ROWS;

/* What those are called elsewhere who come from there. */
static const struct foreign {
	const char *other, *ours;
} foreign_options[] = {
	{ "ram", "memory" }, { "mem", "memory" }, { "m", "memory" }, { "append", "cmdline" },
	{ "params", "cmdline" }, { "args", "cmdline" }, { "accel", "engine" }, { "machine", "platform" },
	{ "k", "kernel" }, { "i", "initrd" }, { "initramfs", "initrd" }, { "module", "initrd" },
	{ "d", "detach" }, { "daemonize", "detach" }, { "background", "detach" }, { "n", "name" },
	{ "v", "verbose" }, { "debug", "verbose" }, { "D", "log" }, { "logfile", "log" }, { "f", "force" },
	{ "t", "timeout" }, { "smp", "cpus" }, { "c", "cpus" }, { "cores", "cpus" },
	{ "graphics", "display" }, { "screen", "display" }, { "video", "display" },
}, foreign_commands[] = {
	{ "ls", "list" }, { "ps", "list" }, { "logs", "log" }, { "attach", "console" }, { "start", "run" },
	{ "create", "run" }, { "boot", "run" }, { "shutdown", "stop" }, { "poweroff", "stop" },
	{ "halt", "stop" }, { "rm", "kill" }, { "destroy", "kill" }, { "validate", "check" },
	{ "info", "status" }, { "inspect", "status" }, { "usage", "help" },
};
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *translate(const struct foreign *table, size_t count, const char *word)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(table[i].other, word))
			return table[i].ours;
	return NULL;
}

bool option_is_of(const struct option_row *row, enum command command)
{
	return row->commands >> command & 1;
}

static bool is_called(const char *name, const char *text, size_t len)
{
	return name && strlen(name) == len && !strncmp(name, text, len);
}

const struct option_row *option_find(enum command command, const char *name, size_t len)
{
	for (unsigned i = 0; i < ROWS; i++)
		if (option_is_of(&option_rows[i], command) &&
		    (is_called(option_rows[i].name, name, len) || is_called(option_rows[i].alias, name, len)))
			return &option_rows[i];
	return NULL;
}

enum command command_find(const char *name)
{
	for (unsigned i = 0; i < COMMANDS; i++)
		if (!strcmp(command_rows[i].name, name))
			return (enum command)i;
	return COMMANDS;
}

const char *command_suggest(const char *name)
{
	const char *translated = translate(foreign_commands, COUNT(foreign_commands), name);
	struct nearest near = { .typed = name };

	for (unsigned i = 0; !translated && i < COMMANDS; i++)
		nearest_try(&near, command_rows[i].name);
	return translated ? translated : near.best;
}

/* The option of this command that was meant: the word of another VMM with however many dashes, or a mistake in ours. */
static const char *option_suggest(enum command command, const char *name)
{
	const char *translated = translate(foreign_options, COUNT(foreign_options), name);
	struct nearest near = { .typed = name };

	if (translated && option_find(command, translated, strlen(translated)))
		return translated;
	for (unsigned i = 0; i < ROWS; i++)
		if (option_is_of(&option_rows[i], command) && option_rows[i].help)
			nearest_try(&near, option_rows[i].name);
	return near.best;
}

/* The commands that take an option which this one does not: "bulkhead run", or two or more. Empty: none. */
static void find_elsewhere(const char *name, size_t len, char *out, size_t size)
{
	size_t n = 0;

	out[0] = 0;
	for (unsigned c = 0; c < COMMANDS && n < size; c++) {
		const struct option_row *row = option_find((enum command)c, name, len);

		if (row && row->help)
			n += (size_t)snprintf(out + n, size - n, "%sbulkhead %s", n ? " or " : "", command_rows[c].name);
	}
}

static int unknown_option(enum command command, const char *arg, size_t len, char *error)
{
	size_t dashes = strspn(arg, "-");
	char name[80], elsewhere[64];
	const char *near;

	snprintf(name, sizeof(name), "%.*s", (int)(len > dashes ? len - dashes : 0), arg + dashes);
	near = option_suggest(command, name);
	find_elsewhere(name, strlen(name), elsewhere, sizeof(elsewhere));
	if (dashes == 2 && elsewhere[0] && command == COMMAND_DEMO)
		snprintf(error, VALUE_ERROR_MAX, "%.*s: the demo's guest is built in; this is an option of %s", (int)len, arg,
			 elsewhere);
	else if (near)
		snprintf(error, VALUE_ERROR_MAX, "unknown option %.*s; did you mean --%s?", (int)len, arg, near);
	else if (elsewhere[0])
		snprintf(error, VALUE_ERROR_MAX, "unknown option %.*s; it is one of %s", (int)len, arg, elsewhere);
	else
		snprintf(error, VALUE_ERROR_MAX, "unknown option %.*s; see bulkhead %s --help", (int)len, arg,
			 command_rows[command].name);
	return -EINVAL;
}

static bool starts_machine(enum command command)
{
	return command == COMMAND_RUN || command == COMMAND_DEMO;
}

static int take_word(enum command command, void *base, const char *word, char *error)
{
	struct cli_args *args = base;

	if (command == COMMAND_RUN)
		snprintf(error, VALUE_ERROR_MAX, "unexpected argument %.100s; a kernel is given with --kernel FILE", word);
	else if (starts_machine(command) || args->count == command_rows[command].most)
		snprintf(error, VALUE_ERROR_MAX, "unexpected argument %.100s", word);
	else
		return args->words[args->count++] = word, 0;
	return -EINVAL;
}

static int too_few(enum command command, const struct cli_args *args, char *error)
{
	if (args->help || args->count >= command_rows[command].least)
		return 0;
	if (!strncmp(command_rows[command].operands, "FILE", 4))
		snprintf(error, VALUE_ERROR_MAX, "the name of a file is missing: bulkhead %s %s", command_rows[command].name,
			 command == COMMAND_CHECK ? "vm.toml" : "disk.img");
	else if (!strncmp(command_rows[command].operands, "NAME", 4) || args->count)
		snprintf(error, VALUE_ERROR_MAX, "the name of a machine is missing; see bulkhead list");
	else
		snprintf(error, VALUE_ERROR_MAX, "something is missing: bulkhead %s %s", command_rows[command].name,
			 command_rows[command].operands);
	return -EINVAL;
}

/* An option is no value, unless it is written behind a =. */
static bool is_option(enum command command, const char *word)
{
	return word[0] == '-' && word[1] == '-' && option_find(command, word + 2, strcspn(word + 2, "="));
}

static int no_value_wanted(const char *name, size_t len, const char *arg, char *error)
{
	snprintf(error, VALUE_ERROR_MAX, "--%.*s takes no value, and %.60s gives it one", (int)(len < 60 ? len : 60), name, arg);
	return -EINVAL;
}

static int no_value(const struct option_row *row, const char *next, char *error)
{
	if (next)
		snprintf(error, VALUE_ERROR_MAX, "--%s needs a value, and %.60s is an option: --%s %s", row->name, next,
			 row->name, row->arg);
	else
		snprintf(error, VALUE_ERROR_MAX, "--%s needs a value: --%s %s", row->name, row->name, row->arg);
	return -EINVAL;
}

/* --no-FLAG, or of --no-FLAG the other way round: --FLAG. It takes back what a file of options says. */
static const struct option_row *find_negated(enum command command, const char *name, size_t len)
{
	const struct option_row *row;
	char other[64];

	if (len > 3 && !strncmp(name, "no-", 3))
		row = option_find(command, name + 3, len - 3);
	else
		row = option_find(command, other,
				  (size_t)snprintf(other, sizeof(other), "no-%.*s", len < 60 ? (int)len : 60, name));
	return row && !row->no_key && !value_is_taken(row->kind) ? row : NULL;
}

static int take_unknown(enum command command, void *base, const char *arg, size_t len, char *error)
{
	const struct option_row *row = len > 2 && arg[1] == '-' ? find_negated(command, arg + 2, len - 2) : NULL;

	if (!row)
		return unknown_option(command, arg, len < 80 ? len : 80, error);
	if (arg[len])
		return no_value_wanted(arg + 2, len - 2, arg, error);
	value_unset(base, row);
	return 0;
}

/* argv[*i], and the next word where its value is that. */
static int take_option(enum command command, void *base, int argc, char **argv, int *i, char *error)
{
	const char *arg = strcmp(argv[*i], "-h") ? argv[*i] : "--help", *value;
	size_t len = strcspn(arg, "=");
	const struct option_row *row = len > 2 && arg[1] == '-' ? option_find(command, arg + 2, len - 2) : NULL;

	if (!row)
		return take_unknown(command, base, arg, len, error);
	value = arg[len] ? arg + len + 1 : NULL;
	if (!value_is_taken(row->kind) && value)
		return no_value_wanted(arg + 2, len - 2, arg, error);
	if (value_is_taken(row->kind) && !value) {
		if (*i + 1 >= argc || is_option(command, argv[*i + 1]))
			return no_value(row, *i + 1 < argc ? argv[*i + 1] : NULL, error);
		value = argv[++*i];
	}
	return value_set(base, row, value, error);
}

/* A dash alone stands for standard input or output, and before a digit for a number below zero. */
static bool looks_like_option(const char *word)
{
	return word[0] == '-' && word[1] && !(word[1] >= '0' && word[1] <= '9');
}

int options_parse(enum command command, void *base, int argc, char **argv, char error[VALUE_ERROR_MAX])
{
	int rc = 0;

	for (int i = 1; !rc && i < argc; i++)
		rc = looks_like_option(argv[i]) ? take_option(command, base, argc, argv, &i, error)
						: take_word(command, base, argv[i], error);
	return rc || starts_machine(command) ? rc : too_few(command, base, error);
}
