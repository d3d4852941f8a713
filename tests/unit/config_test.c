/* SPDX-License-Identifier: MIT */
/* Options of a machine: values, and the errors that issue 2 names under "Bad input, named". */
#include "vmm/common/config.h"
#include "vmm/common/options.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct vm_config config;
static char error[CONFIG_ERROR_MAX];

/* Parses up to six words. */
static int parse(const char *a, const char *b, const char *c, const char *d)
{
	char *argv[] = { "run", (char *)a, (char *)b, (char *)c, (char *)d, NULL };
	int argc = 1;

	while (argc < 5 && argv[argc])
		argc++;
	config_init(&config);
	error[0] = 0;
	return options_parse(COMMAND_RUN, &config, argc, argv, error);
}

#define expect_error(rc, part) \
	cr_expect((rc) == -EINVAL && strstr(error, part), "error is '%s', should speak of '%s'", error, part)

Test(config, defaults)
{
	cr_expect_eq(parse(NULL, NULL, NULL, NULL), 0);
	config_settle(&config);
	cr_expect_eq(config.ram_bytes, 512ull << 20);
	cr_expect_eq(config.sandbox, SANDBOX_DEFAULT);
	cr_expect_eq(config.on_halt, ON_HALT_STOP);
	cr_expect_str_eq(config.engine, "auto");
	cr_expect_str_eq(config.format, "auto");
	cr_expect_eq(config.escape, 0x1d, "Ctrl-]");
	cr_expect_eq(config.name[0], 0);
}

Test(config, both_ways_to_give_a_value)
{
	cr_expect_eq(parse("--memory", "1G", "--name=web", NULL), 0);
	cr_expect_eq(config.ram_bytes, 1ull << 30);
	cr_expect_str_eq(config.name, "web");
	cr_expect_eq(parse("--cmdline=console=ttyS0 quiet", "--no-reboot", NULL, NULL), 0);
	cr_expect_str_eq(config.cmdline, "console=ttyS0 quiet", "only the first = separates");
	cr_expect(config.no_reboot);
}

Test(config, sizes)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = { { "4096", 4096 }, { "64K", 65536 }, { "64KiB", 65536 }, { "1M", 1 << 20 }, { "2g", 2ull << 30 } };
	static const char *const bad[] = { "", "M", "-1", "+5", " 5", "5 M", "1.5G", "0x10", "1T", "1MB" };
	uint64_t v;

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cr_expect_eq(config_parse_size(good[i].text, &v), 0, "%s", good[i].text);
		cr_expect_eq(v, good[i].bytes, "%s", good[i].text);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(config_parse_size(bad[i], &v), -EINVAL, "%s", bad[i]);
	cr_expect_eq(config_parse_size("99999999999999999999", &v), -ERANGE);
	cr_expect_eq(config_parse_size("18446744073709551615G", &v), -ERANGE);
}

Test(config, durations)
{
	uint32_t ms;

	cr_expect_eq(config_parse_duration("30s", &ms), 0);
	cr_expect_eq(ms, 30000);
	cr_expect_eq(config_parse_duration("30", &ms), 0);
	cr_expect_eq(ms, 30000);
	cr_expect_eq(config_parse_duration("250ms", &ms), 0);
	cr_expect_eq(ms, 250);
	cr_expect_eq(config_parse_duration("2m", &ms), 0);
	cr_expect_eq(ms, 120000);
	cr_expect_eq(config_parse_duration("s", &ms), -EINVAL);
	cr_expect_eq(config_parse_duration("-1s", &ms), -EINVAL);
	cr_expect_eq(config_parse_duration("5000000000", &ms), -ERANGE);
}

/* bulkhead(1), --cpus. */
Test(config, processors)
{
	static const struct {
		const char *text;
		struct cpu_topology is;
	} good[] = {
		{ "1", { 1, 1, 1 } },
		{ "64", { 1, 64, 1 } },
		{ "8,sockets=2,cores=2,threads=2", { 2, 2, 2 } },
		{ "8,threads=2", { 1, 4, 2 } },
		{ "8,sockets=4", { 4, 2, 1 } },
		{ "6,cores=3", { 2, 3, 1 } },
		{ "6,threads=2,cores=3", { 1, 3, 2 } },
	};
	static const char *const bad[] = { "0",
					   "65",
					   "",
					   "many",
					   "4,",
					   "4,sockets",
					   "4,sockets=",
					   "4,sockets=3",
					   "4,sockets=0",
					   "4,sockets=8",
					   "4,cores=2,cores=2",
					   "4,dies=2",
					   "4,sockets=2,cores=2,threads=2",
					   "4 ",
					   "4,sockets=2x",
					   "99999999999999999999" };

	for (unsigned n = 0; n < sizeof(good) / sizeof(good[0]); n++) {
		cr_expect_eq(parse("--cpus", good[n].text, NULL, NULL), 0, "%s: %s", good[n].text, error);
		cr_expect_eq(memcmp(&config.cpus, &good[n].is, sizeof(good[n].is)), 0, "%s", good[n].text);
	}
	for (unsigned n = 0; n < sizeof(bad) / sizeof(bad[0]); n++)
		expect_error(parse("--cpus", bad[n], NULL, NULL), "--cpus");
	expect_error(parse("--smp", "4", NULL, NULL), "did you mean --cpus?");
	cr_expect_eq(parse("--name=web", NULL, NULL, NULL), 0);
	cr_expect_eq(topology_cpus(&config.cpus), 1, "the default");
}

Test(config, memory_that_cannot_be)
{
	expect_error(parse("--memory", "0", NULL, NULL), "try 512M");
	expect_error(parse("--memory", "512", NULL, NULL), "did you mean 512M?");
	expect_error(parse("--memory", "16777217", NULL, NULL), "page size");
	expect_error(parse("--memory", "8K", NULL, NULL), "at least 1M");
	expect_error(parse("--memory", "65G", NULL, NULL), "at most 64G");
	expect_error(parse("--memory", "much", NULL, NULL), "512M");
	expect_error(parse("--memory", NULL, NULL, NULL), "needs a value");
}

Test(config, unknown_options_are_named)
{
	expect_error(parse("--memroy", "1G", NULL, NULL), "did you mean --memory?");
	expect_error(parse("--frobnicate", NULL, NULL, NULL), "--frobnicate");
	expect_error(parse("-x", NULL, NULL, NULL), "-x");
	expect_error(parse("vmlinuz", NULL, NULL, NULL), "--kernel");
	expect_error(parse("--detach=yes", NULL, NULL, NULL), "takes no value");
	expect_error(parse("--", NULL, NULL, NULL), "--");
}

/* Words of other monitors, with as many dashes as they have there. */
Test(config, words_of_others)
{
	expect_error(parse("--ram", "1G", NULL, NULL), "did you mean --memory?");
	expect_error(parse("-m", "1G", NULL, NULL), "did you mean --memory?");
	expect_error(parse("--append", "quiet", NULL, NULL), "did you mean --cmdline?");
	expect_error(parse("-kernel", "vmlinuz", NULL, NULL), "did you mean --kernel?");
	cr_expect_eq(parse("--backend", "emulator", NULL, NULL), 0);
	cr_expect_str_eq(config.engine, "emu");
}

/* Each says which word is wrong, and what with it. */
Test(config, values_where_none_belong_and_none_where_they_do)
{
	struct cli_args args = { 0 };
	char *no_value[] = { "stop", "vm1", "--timeout" }, *a_value[] = { "stop", "vm1", "--force=1" };
	char *elsewhere[] = { "kill", "vm1", "--force" }, *two[] = { "kill", "vm1", "vm2" };

	expect_error(parse("--name", "--detach", NULL, NULL), "--name needs a value, and --detach is an option");
	cr_expect_eq(parse("--cmdline", "--really", NULL, NULL), 0, "no option");
	cr_expect_eq(parse("--cmdline=--detach", NULL, NULL, NULL), 0);
	expect_error(options_parse(COMMAND_STOP, &args, 3, no_value, error), "--timeout needs a value: --timeout TIME");
	args.count = 0;
	expect_error(options_parse(COMMAND_STOP, &args, 3, a_value, error), "--force takes no value, and --force=1");
	args.count = 0;
	expect_error(options_parse(COMMAND_KILL, &args, 3, elsewhere, error),
		     "--force; it is one of bulkhead engine or bulkhead stop");
	args.count = 0;
	expect_error(options_parse(COMMAND_KILL, &args, 3, two, error), "unexpected argument vm2");
}

Test(config, the_demo_refuses_what_it_would_ignore)
{
	static const char *const refused[] = { "--kernel", "--initrd", "--cmdline", "--format" };

	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		char *argv[] = { "demo", (char *)refused[i], "x" };

		config_init(&config);
		expect_error(options_parse(COMMAND_DEMO, &config, 3, argv, error), "the demo's guest is built in");
	}
}

Test(config, choices)
{
	cr_expect_eq(parse("--engine", "kvm", "--format", "flat64"), 0);
	expect_error(parse("--engine", "tcg", NULL, NULL), "auto|emu|kvm");
	expect_error(parse("--engine", "", NULL, NULL), "auto|emu|kvm");
	expect_error(parse("--engine", "em", NULL, NULL), "auto|emu|kvm");
	expect_error(parse("--on-device-failure", "restrat", NULL, NULL), "did you mean restart?");
	expect_error(parse("--sandbox", "yes", NULL, NULL), "on|log|off");
	expect_error(parse("--on-halt", "reboot", NULL, NULL), "stop|wait");
}

Test(config, escape_key)
{
	cr_expect_eq(parse("--escape", "^a", NULL, NULL), 0);
	cr_expect_eq(config.escape, 1);
	cr_expect_eq(parse("--escape", "none", NULL, NULL), 0);
	cr_expect_eq(config.escape, -1);
	expect_error(parse("--escape", "a", NULL, NULL), "control character");
	expect_error(parse("--escape", "", NULL, NULL), "control character");
	expect_error(parse("--escape", "^ab", NULL, NULL), "control character");
}

/* A name becomes a directory and part of a socket's path. */
Test(config, names)
{
	static const char *const bad[] = { "", ".", "..", ".hidden", "-x", "a/b", "a b", "a\n", "ä" };
	char longest[VM_NAME_MAX + 2];

	cr_expect(config_is_name("vm1") && config_is_name("a.b_c-d"));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(!config_is_name(bad[i]), "%s", bad[i]);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[VM_NAME_MAX + 1] = 0;
	cr_expect(!config_is_name(longest));
	longest[VM_NAME_MAX] = 0;
	cr_expect(config_is_name(longest));
	expect_error(parse("--name", "../etc", NULL, NULL), "--name ../etc");
}

static int check(const char *option, const char *value)
{
	int rc = parse(option, value, NULL, NULL);

	return rc ? rc : config_check(&config, error);
}

Test(config, files_are_looked_at_before_anything_starts)
{
	char path[] = "/tmp/config_test_XXXXXX";
	int fd = mkstemp(path);

	expect_error(parse(NULL, NULL, NULL, NULL) ? 0 : config_check(&config, error), "bulkhead demo");
	expect_error(check("--kernel", "/nonexistent/vmlinuz"), "No such file");
	expect_error(check("--kernel", "/tmp"), "not a regular file");
	expect_error(check("--kernel", "/dev/zero"), "not a regular file");
	expect_error(check("--kernel", path), "empty");
	cr_assert_eq(write(fd, "x", 1), 1);
	cr_expect_eq(check("--kernel", path), 0);
	cr_expect_eq(parse("--kernel", path, "--initrd", "/nonexistent"), 0);
	expect_error(config_check(&config, error), "--initrd /nonexistent");
	close(fd);
	unlink(path);
}

/* A machine has the memory of its kind, unless somebody says otherwise. */
Test(config, platforms)
{
	cr_expect_eq(parse("--platform", "frame", "--kernel", "/bin/true"), 0);
	config_settle(&config);
	cr_expect_eq(config.ram_bytes, 64u << 20);
	cr_expect_eq(config_check(&config, error), 0, "%s", error);
	cr_expect_eq(parse("--platform", "frame", "--memory", "512M"), 0);
	config_settle(&config);
	cr_expect_eq(config.ram_bytes, 512u << 20);
	expect_error(parse("--platform", "fram", NULL, NULL), "frame");
	cr_expect_eq(parse("--platform=frame", "--kernel=/bin/true", "--disk", "/tmp/disk.img"), 0);
	config_settle(&config);
	expect_error(config_check(&config, error), "--disk");
}

Test(config, command_line_too_long)
{
	static char text[4096];

	memset(text, 'x', sizeof(text) - 1);
	cr_expect_eq(parse("--cmdline", text, NULL, NULL), 0);
	config.demo = true;
	expect_error(config_check(&config, error), "at most 2047");
}
