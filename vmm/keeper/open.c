/* SPDX-License-Identifier: MIT */
/* Everything that has a name on this host is opened here, before the machine has a process: keeper.h. */
#include "keeper.h"

#include "demo.h"
#include "../common/config_text.h"
#include "../common/exit_codes.h"
#include "../common/firmware.h"
#include "../common/programs.h"
#include "../common/variables.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_programs(struct keeper *k)
{
	static const char *const names[PROGRAM_DEVICE] = {
		[PROGRAM_BOOT] = "bulkhead-boot",
		[PROGRAM_VCPU] = "bulkhead-vcpu",
		[PROGRAM_GDBD] = "bulkhead-gdbd",
	};
	char path[4200];

	for (unsigned i = 0; i < PROGRAMS; i++) {
		const char *name = i < PROGRAM_DEVICE ? names[i] : kind_rows[i - PROGRAM_DEVICE].program;

		k->launch.program_fd[i] = -1;
		if (i >= PROGRAM_DEVICE && !k->config.devices[i - PROGRAM_DEVICE])
			continue;
		k->launch.program_fd[i] = program_open(name, path, sizeof(path));
		if (k->launch.program_fd[i] < 0)
			return keeper_fail(k, EXIT_USAGE, "program %.150s: %s; reinstall bulkhead, or set BULKHEAD_LIBEXEC", path,
					   strerror(-k->launch.program_fd[i]));
	}
	return 0;
}

static int open_demo(void)
{
	int fd = memfd_create("demo", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, demo_image, demo_image_size) != (ssize_t)demo_image_size) {
		close(fd);
		return -1;
	}
	return fd;
}

/* It has been checked. */
static void take_boot_order(struct keeper *k)
{
	uint8_t order[VIRTIO_DEVICES];
	int count =
		k->config.boot_order ? firmware_order(k->config.boot_order, k->config.backends.count, order, VIRTIO_DEVICES) : 0;

	for (int i = 0; i < count; i++)
		k->launch.boot_order[k->launch.boot_count++] = order[i];
}

/* Firmware that keeps nothing, or nobody knows what, gets no flash unless a file is named. */
static int open_variables(struct keeper *k)
{
	const char *firmware = config_firmware(&k->config), *file = k->config.firmware_vars;
	struct variables_wanted w = { .file = file,
				      .name = k->has_name ? k->config.name : NULL,
				      .rom_bytes = k->launch.rom_bytes };
	char error[VARIABLES_ERROR_MAX];

	if (!firmware || (file && !strcmp(file, "none")))
		return 0;
	w.template = firmware_variables(firmware);
	if (!w.template && !file)
		return 0;
	k->launch.variables_fd = variables_open(&w, &k->launch.variables_bytes, error);
	return k->launch.variables_fd < 0 ? keeper_fail(k, EXIT_USAGE, "%s", error) : 0;
}

static int open_firmware(struct keeper *k)
{
	char error[FIRMWARE_ERROR_MAX];
	int fd = firmware_open(config_firmware(&k->config), &k->launch.rom_bytes, error);

	if (fd < 0)
		return keeper_fail(k, EXIT_USAGE, "%s", error);
	k->launch.kernel_fd = fd;
	take_boot_order(k);
	return 0;
}

static int open_kernel(struct keeper *k)
{
	struct launch *l = &k->launch;

	if (config_firmware(&k->config))
		return open_firmware(k);
	l->kernel_fd = k->config.demo ? open_demo() : open(k->config.kernel, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (l->kernel_fd < 0)
		return keeper_fail(k, EXIT_USAGE, "--kernel %.150s: %s", k->config.demo ? "demo" : k->config.kernel,
				   strerror(errno));
	return 0;
}

static int open_images(struct keeper *k)
{
	struct launch *l = &k->launch;
	int rc = open_kernel(k);

	if (rc)
		return rc;
	for (unsigned n = 0; n < k->config.initrds.count; n++) {
		const char *file = k->config.initrds.of[n].file;

		l->initrd_fd[n] = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (l->initrd_fd[n] < 0)
			return keeper_fail(k, EXIT_USAGE, "--initrd %.150s: %s", file, strerror(errno));
	}
	if (k->config.program) {
		l->initrd_fd[0] = open(k->config.program, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (l->initrd_fd[0] < 0)
			return keeper_fail(k, EXIT_USAGE, "--program %.150s: %s", k->config.program, strerror(errno));
	}
	l->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return l->null_fd < 0 ? keeper_fail(k, EXIT_INTERNAL, "/dev/null: %s", strerror(errno)) : 0;
}

/* rundir.h says where it comes from. */
static int too_long(struct keeper *k)
{
	const char *base = k->config.runtime_dir;

	if (!base)
		base = getenv("BULKHEAD_RUNTIME_DIR");
	if (!base)
		base = getenv("XDG_RUNTIME_DIR");
	return keeper_fail(k, EXIT_USAGE,
			   "the runtime directory %.80s%s is too long: %d characters fit, with the machine's name; "
			   "choose another with --runtime-dir",
			   base ? base : "", base && strlen(base) > 80 ? "..." : "", RUNDIR_PATH_MAX - 1);
}

static int claim_name(struct keeper *k)
{
	int rc = -EEXIST;
	bool chosen = k->config.name[0];

	k->has_name = chosen;
	for (unsigned i = 1; rc == -EEXIST && i < 1000; i++) {
		if (!chosen)
			snprintf(k->config.name, sizeof(k->config.name), "vm%u", i);
		rc = rundir_create(&k->rundir, k->config.runtime_dir, k->config.name);
		if (chosen)
			break;
	}
	if (rc == -EEXIST)
		return keeper_fail(k, EXIT_USAGE,
				   "the name %s is in use; choose another with --name, or end that machine: bulkhead stop %s",
				   k->config.name, k->config.name);
	if (rc == -EPERM)
		return keeper_fail(k, EXIT_USAGE,
				   "%.90s or its parent belongs to another user, or others may write there; use --runtime-dir",
				   k->rundir.path);
	if (rc == -ENAMETOOLONG)
		return too_long(k);
	if (rc)
		return keeper_fail(k, EXIT_USAGE, "cannot create the runtime directory %.90s: %s", k->rundir.path, strerror(-rc));
	return 0;
}

/* The group may see which machines there are, pass into this one's directory, without reading it, and connect. */
static int share_with_group(struct keeper *k)
{
	static const char *const sockets[] = { "control.sock", "console.sock" };
	gid_t group = (gid_t)k->config.group;
	int dir = k->rundir.dir_fd;
	bool ok = fchown(dir, (uid_t)-1, group) == 0 && fchmod(dir, 0710) == 0 && fchmod(k->rundir.base_fd, 0755) == 0;

	for (unsigned i = 0; ok && i < 2; i++)
		ok = fchownat(dir, sockets[i], (uid_t)-1, group, 0) == 0 && fchmodat(dir, sockets[i], 0660, 0) == 0;
	return ok ? 0
		  : keeper_fail(k, EXIT_USAGE, "--group: cannot hand the sockets in %.90s to group %u: %s; are you a member?",
				k->rundir.path, group, strerror(errno));
}

static int open_sockets(struct keeper *k)
{
	mode_t mask = umask(0177);
	int rc;

	k->control_fd = keeper_listen(k, "control.sock", SOCK_SEQPACKET);
	if (k->control_fd >= 0 && k->activated_fd >= 0)
		k->launch.console_fd = keeper_adopt_console(k);
	else if (k->control_fd >= 0)
		k->launch.console_fd = keeper_listen(k, "console.sock", SOCK_STREAM);
	rc = k->launch.console_fd < 0 ? 0 : keeper_open_gdb(k);
	if (!rc)
		rc = keeper_open_serial(k);
	if (!rc)
		rc = keeper_open_metrics(k);
	umask(mask);
	if (rc)
		return rc;
	if (k->control_fd < 0 || k->launch.console_fd < 0)
		return keeper_fail(k, EXIT_INTERNAL, "sockets in %.90s: %s", k->rundir.path,
				   strerror(k->control_fd < 0 ? -k->control_fd : -k->launch.console_fd));
	snprintf(k->launch.dir, sizeof(k->launch.dir), "%s", k->rundir.path);
	return k->config.group >= 0 ? share_with_group(k) : 0;
}

/*
 * A FIFO that nobody reads yet is opened for both directions: what is written stays in it until somebody comes. Opening
 * does not wait; the logger may, for it writes.
 */
static int open_log_file(const struct keeper *k)
{
	const int flags = O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	const char *file = k->config.log_file;
	int fd;

	if (!file)
		return openat(k->rundir.dir_fd, "log", O_WRONLY | flags | O_NOFOLLOW, 0600);
	fd = open(file, O_WRONLY | flags, 0600);
	return fd < 0 && errno == ENXIO ? open(file, O_RDWR | flags, 0600) : fd;
}

static int open_log(struct keeper *k)
{
	const char *file = k->config.log_file;
	int fd;

	if (!file && !k->config.detach)
		return 0;
	fd = open_log_file(k);
	if (fd < 0 || fcntl(fd, F_SETFL, O_APPEND) < 0)
		return keeper_fail(k, EXIT_USAGE, "--log %.150s: %s", file ? file : "in the machine's directory",
				   strerror(errno));
	dup2(fd, STDERR_FILENO);
	close(fd);
	return 0;
}

/* For `bulkhead show`, of the owner and root. A machine without it, on a full disk, runs all the same; half of it would be
 * another machine. */
static void write_config(struct keeper *k)
{
	int fd = openat(k->rundir.dir_fd, CONFIG_TEXT_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");

	if (!out)
		return;
	config_text_write(out, &k->config);
	if (fclose(out))
		unlinkat(k->rundir.dir_fd, CONFIG_TEXT_NAME, 0);
}

int keeper_open(struct keeper *k)
{
	int rc = open_programs(k);

	if (!rc)
		rc = open_images(k);
	if (!rc && config_has_exec(&k->config))
		rc = keeper_open_exec(k);
	if (!rc)
		rc = keeper_open_backends(k);
	if (!rc)
		rc = keeper_open_engine(k);
	if (!rc)
		rc = claim_name(k);
	if (!rc)
		rc = keeper_open_named_backends(k);
	if (!rc)
		rc = open_variables(k);
	if (!rc)
		rc = open_sockets(k);
	if (!rc)
		write_config(k);
	return rc ? rc : open_log(k);
}
