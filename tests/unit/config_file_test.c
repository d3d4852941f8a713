/* SPDX-License-Identifier: MIT */
/* vm.toml: every option of a machine has a key, every key an option, and what is written is read as the same machine. */
#include "vmm/cli/config_file.h"
#include "vmm/common/config_text.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS = CONFIG_FILE_WORDS + 8 };

static char dir[] = "/tmp/config_file_test_XXXXXX", path[64];
static struct config_file file;
static struct vm_config config;
static char error[CONFIG_ERROR_MAX];

static void setup(void)
{
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/vm.toml", dir);
}

static void teardown(void)
{
	toml_free(&file.doc);
	unlink(path);
	rmdir(dir);
}

TestSuite(config_file, .init = setup, .fini = teardown);

/* The file, and then these words; NULL: none. */
static int read_as(enum command command, const char *text, const char *a, const char *b)
{
	char *argv[] = { "run", (char *)a, (char *)b, NULL }, *words[WORDS];
	int argc = 1, rc;
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
	toml_free(&file.doc);
	rc = config_file_read(&file, command, path);
	if (rc)
		return rc;
	while (argv[argc])
		argc++;
	argc = config_file_merge(&file, command, argc, argv, words, WORDS);
	cr_assert_gt(argc, 0);
	config_init(&config);
	config.demo = command == COMMAND_DEMO;
	return options_parse(command, &config, argc, words, error);
}

static int read_text(const char *text)
{
	return read_as(COMMAND_RUN, text, NULL, NULL);
}

Test(config_file, what_first_users_write)
{
	cr_assert_eq(
		read_text("backend = \"emulator\"\nmemory = \"256M\"\nkernel = \"/boot/vmlinuz\"\ninitrd = \"/boot/initrd.img\"\n"
			  "cmdline = \"console=ttyS0 quiet\"\n"),
		0);
	cr_expect_str_eq(config.engine, "emu");
	cr_expect_eq(config.ram_bytes, 256u << 20);
	cr_expect_str_eq(config.kernel, "/boot/vmlinuz");
	cr_expect_eq(config.initrds.count, 1);
	cr_expect_str_eq(config.initrds.of[0].file, "/boot/initrd.img");
	cr_expect_str_eq(config.cmdline, "console=ttyS0 quiet");
}

Test(config_file, flags_win)
{
	static const char text[] =
		"memory = \"256M\"\ndetach = true\nno-reboot = true\ninitrd = [\"/a\", \"/b\"]\ntest-device = 2\n";

	cr_assert_eq(read_as(COMMAND_RUN, text, "--memory=64M", "--no-detach"), 0);
	cr_expect_eq(config.ram_bytes, 64u << 20);
	cr_expect(!config.detach && config.no_reboot);
	cr_expect_eq(config.initrds.count, 2);
	cr_expect_eq(config.devices[KIND_TESTD], 2);
	cr_assert_eq(read_as(COMMAND_RUN, text, "--initrd=/c", "--test-device"), 0);
	cr_expect_eq(config.initrds.count, 1, "what adds up is not mixed");
	cr_expect_str_eq(config.initrds.of[0].file, "/c");
	cr_expect_eq(config.devices[KIND_TESTD], 1);
	cr_assert_eq(read_as(COMMAND_RUN, text, "--reboot", "--no-test-device"), 0);
	cr_expect(!config.no_reboot && !config.devices[KIND_TESTD]);
}

Test(config_file, paths_are_meant_from_the_file)
{
	char expected[96];

	cr_assert_eq(read_text("kernel = \"vmlinuz\"\ninitrd = [\"/abs\", \"rel:text:more\"]\nlog = \"\"\n"), 0);
	snprintf(expected, sizeof(expected), "%s/vmlinuz", dir);
	cr_expect_str_eq(config.kernel, expected);
	snprintf(expected, sizeof(expected), "%s/rel", dir);
	cr_expect_str_eq(config.initrds.of[1].file, expected);
	cr_expect_str_eq(config.initrds.of[1].text, "text:more");
	cr_expect_null(config.log_file, "an empty one is none");
}

Test(config_file, mistakes)
{
	static const char *const texts[] = {
		"memroy = \"1G\"",
		"memory = \"12Q\"",
		"memory = 1.5",
		"kernel = 1",
		"kernel = [\"a\"]",
		"detach = \"yes\"",
		"detach = 1",
		"test-device = 3",
		"test-device = -1",
		"test-device = \"1\"",
		"initrd = [1]",
		"initrd = [[\"a\"]]",
		"[machine]\nmemory = \"1G\"",
		"help = true",
		"config = \"x\"",
		"ready-fd = 3",
		"demo = true",
		"from = \"vm1\"",
		"cpu = \"help\"",
		"engine = \"emu\"\nbackend = \"emu\"",
		"cmdline = \"a\\u0000b\"",
		"name = \"../up\"",
		"memory = ",
		"memory = \"1G\" x",
		"on-halt = \"reboot\"",
		"memory = 1979-05-27",
	};

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		cr_expect_eq(read_text(texts[i]), -EINVAL, "%s", texts[i]);
		cr_expect_eq(file.mistakes, 1, "%s", texts[i]);
	}
	cr_expect_eq(read_text("a = 1\nb = 2\nc = 3\n"), -EINVAL);
	cr_expect_eq(file.mistakes, 3, "each is told");
	cr_expect_eq(read_as(COMMAND_DEMO, "kernel = \"x\"\n", NULL, NULL), -EINVAL, "the demo's guest is built in");
	cr_expect_eq(config_file_read(&file, COMMAND_RUN, dir), -EINVAL, "a directory");
	cr_expect_eq(config_file_read(&file, COMMAND_RUN, "/nonexistent/vm.toml"), -EINVAL);
}

/* A value that is not the default, for each kind. */
static const char *another_value(const struct option_row *row)
{
	static char word[32];

	switch (row->kind) {
	case VALUE_FLAG:
	case VALUE_DEVICE:
	case VALUE_BARE:
		return "";
	case VALUE_TEXT:
		return "=a \"b\" \\c \t \xc3\xa9";
	case VALUE_FILE:
		return "=/some/file";
	case VALUE_SIZE:
		return "=1028K";
	case VALUE_CACHE:
		return "=9M";
	case VALUE_DURATION:
		return "=1234ms";
	case VALUE_COUNT:
		return "=5";
	case VALUE_NAME:
		return "=web";
	case VALUE_CHOICE:
	case VALUE_ENUM:
		snprintf(word, sizeof(word), "=%s", strrchr(row->arg, '|') + 1);
		return strcmp(row->name, "vga") ? word : "=none";
	case VALUE_DISPLAY:
		return "=lfb,800x600";
	case VALUE_CPU:
		return "=max,-avx";
	case VALUE_CPUS:
		return "=6,sockets=1,cores=3,threads=2";
	case VALUE_ESCAPE:
		return "=^A";
	case VALUE_INITRD:
		return "=/some/image:with: words";
	case VALUE_SERIAL:
		return "=3:socket=/some/console.sock,server";
	case VALUE_GROUP:
		return "=1234";
	case VALUE_BACKEND:
		if (!strcmp(row->name, "gpu"))
			return "=800x600";
		if (!strcmp(row->name, "share"))
			return "=tag=/some/folder,ro";
		return strcmp(row->name, "net") ? "=/some/disk,ro" : "=user,cidr=10.1.0.0/16";
	case VALUE_EXTERNAL:
		return "=seriald=unix:/some/serial,socket,user=1000";
	case VALUE_GDB:
		return "=/some/gdb.sock";
	case VALUE_STEP_SEND: /* the last ones: of no machine */
	case VALUE_STEP_EXPECT:
	case VALUE_BYTES:
	case VALUE_FD:
		break;
	}
	return "";
}

static char *written(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	config_text_write(out, &config);
	fclose(out);
	return text;
}

/* Of the options that --help shows only those have no key that say nothing about a machine. */
static bool may_lack_a_key(const char *name)
{
	return !strcmp(name, "help") || !strcmp(name, "json") || !strcmp(name, "config");
}

Test(config_file, every_option_of_a_machine_is_written_and_read)
{
	unsigned count = 0;

	for (unsigned i = 0; i < option_count; i++) {
		const struct option_row *row = &option_rows[i];
		char word[96], *argv[] = { "run", word }, *first, *second;

		if (!option_is_of(row, COMMAND_RUN) || !row->help)
			continue;
		cr_expect_eq(row->no_key, may_lack_a_key(row->name), "%s", row->name);
		if (row->no_key)
			continue;
		snprintf(word, sizeof(word), "--%s%s", row->name, another_value(row));
		config_init(&config);
		cr_assert_eq(options_parse(COMMAND_RUN, &config, 2, argv, error), 0, "%s: %s", word, error);
		first = written();
		cr_expect(strstr(first, row->name) == first, "%s is not written: %s", word, first);
		cr_expect_eq(read_text(first), 0, "%s", first);
		second = written();
		cr_expect_str_eq(second, first);
		free(first), free(second);
		count++;
	}
	cr_expect_gt(count, 20);
}

Test(config_file, paths_are_written_whole)
{
	char *argv[] = { "run", "--kernel=some/kernel", "--initrd=image:words" }, here[256], expected[600], *text;

	cr_assert_not_null(getcwd(here, sizeof(here)));
	config_init(&config);
	cr_assert_eq(options_parse(COMMAND_RUN, &config, 3, argv, error), 0);
	text = written();
	snprintf(expected, sizeof(expected), "kernel = \"%s/some/kernel\"\ninitrd = [\"%s/image:words\"]\n", here, here);
	cr_expect_str_eq(text, expected);
	free(text);
}
