/* SPDX-License-Identifier: MIT */
/* The program that serves a disk or a folder, as a child of its exporter: see exporter.h. */
#include "exporter.h"

#include "../common/exit_codes.h"

#include "../../proto/disk.h"
#include "../../proto/share.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DISKS "qemu-storage-daemon"
#define FOLDERS "/usr/lib/qemu/virtiofsd"
#define PACKAGE "apt-get install qemu-system-common"
enum { FD_LISTEN = 3, LEAVE_MS = 500, NOT_FOUND = 127 };

static void nap(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

void exporter_end_program(struct exporter *e)
{
	int left = LEAVE_MS;

	if (!e->child)
		return;
	kill(e->child, SIGTERM);
	while (left > 0 && waitpid(e->child, NULL, WNOHANG) == 0) {
		nap(5);
		left -= 5;
	}
	if (left <= 0) {
		kill(e->child, SIGKILL);
		waitpid(e->child, NULL, 0);
	}
	e->child = 0;
	close(e->child_says);
}

/* ---- in the child ---- */

/* Each of `special` with `escape` before it. */
static void append_name(char *out, size_t size, const char *name, const char *special, char escape)
{
	size_t n = strlen(out);

	for (; *name && n + 2 < size; name++) {
		if (strchr(special, *name))
			out[n++] = escape;
		out[n++] = *name;
	}
	out[n] = 0;
}

static void exec_disks(const struct disk_spec *spec)
{
	static char block[sizeof(spec->path) * 2 + 200];
	char export[200];
	char *argv[] = { DISKS, "--blockdev", block, "--export", export, NULL };

	snprintf(block, sizeof(block), "driver=qcow2,node-name=disk,read-only=%s,discard=unmap,file.driver=file,file.filename=",
		 spec->read_only ? "on" : "off");
	append_name(block, sizeof(block), spec->path, ",", ','); /* as QEMU's options have it */
	snprintf(export, sizeof(export),
		 "vhost-user-blk,id=disk,node-name=disk,addr.type=fd,addr.str=%d,writable=%s,writethrough=on", FD_LISTEN,
		 spec->read_only ? "off" : "on");
	unshare(CLONE_NEWNET | CLONE_NEWIPC); /* where it may: an image's backing file is a file */
	execvp(DISKS, argv);
}

static int put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* An ordinary user is root in a user namespace that has nobody else: virtiofsd needs that to fence itself. */
static int be_root(void)
{
	char ids[40];
	int rc;

	if (geteuid() == 0)
		return 0;
	snprintf(ids, sizeof(ids), "0 %u 1", (unsigned)geteuid());
	if (unshare(CLONE_NEWUSER) < 0)
		return -errno;
	rc = put_text("/proc/self/setgroups", "deny");
	if (!rc)
		rc = put_text("/proc/self/uid_map", ids);
	snprintf(ids, sizeof(ids), "0 %u 1", (unsigned)getegid());
	return rc ? rc : put_text("/proc/self/gid_map", ids);
}

/* virtiofsd knows no "read-only": all that it sees of this host's files is mounted so, and it cannot undo that in a namespace of its own. */
static int make_read_only(void)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE };

	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	return syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

/*
 * It fences itself: mount, process and network namespaces, the folder as its root, a seccomp filter. Of root's capabilities it keeps
 * those by which files belong to whom the guest says; making device nodes is taken from it.
 */
static void exec_folders(const struct share_spec *spec)
{
	static char source[sizeof(spec->path) * 2 + 20] = "source=";
	const char *other = getenv("BULKHEAD_VIRTIOFSD"), *program = other && *other ? other : FOLDERS;
	char number[20];
	char *argv[] = { "virtiofsd", number, "-f", "-o", source, "-o", "log_level=err", "-o", "modcaps=-mknod", NULL };
	int rc = be_root();

	if (!rc && spec->read_only)
		rc = make_read_only();
	if (rc) {
		dprintf(STDERR_FILENO, "virtiofsd: it cannot be fenced on this host: %s\n", strerror(-rc));
		_exit(EXIT_FAILED);
	}
	snprintf(number, sizeof(number), "--fd=%d", FD_LISTEN);
	append_name(source, sizeof(source), spec->path, ",\\", '\\'); /* as FUSE's options have it */
	execv(program, argv);
}

static _Noreturn void in_child(const struct exporter *e, int listening, int says, pid_t parent)
{
	int null = open("/dev/null", O_RDWR);

	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(EXIT_INTERNAL);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(says, STDERR_FILENO);
	dup2(listening, FD_LISTEN);
	if (listening == FD_LISTEN)
		fcntl(FD_LISTEN, F_SETFD, 0);
	close_range(FD_LISTEN + 1, ~0u, 0);
	if (e->share)
		exec_folders(e->share);
	else
		exec_disks(e->disk);
	_exit(NOT_FOUND);
}

/* ---- sockets ---- */

static int name_socket(struct sockaddr_un *a, const char *path)
{
	size_t len = strlen(path);

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len >= sizeof(a->sun_path))
		return -ENAMETOOLONG;
	memcpy(a->sun_path, path, len);
	return 0;
}

/* The descriptor, or what went wrong, and nothing is left of it. */
static int settled(int fd, int rc)
{
	if (!rc)
		return fd;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int listen_at(const char *path)
{
	struct sockaddr_un a;
	int rc = name_socket(&a, path), fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	umask(0177);
	unlink(path);
	if (!rc && (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0))
		rc = -errno;
	return settled(fd, rc);
}

int exporter_connect(const char *path)
{
	struct sockaddr_un a;
	int rc = name_socket(&a, path), fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!rc && (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0))
		rc = -errno;
	return settled(fd, rc);
}

/* The socket has a name until the program serves, in a directory of ours. */
int exporter_start_program(struct exporter *e)
{
	int listening = listen_at(e->socket), says[2], fd;
	pid_t parent = getpid();

	if (listening < 0)
		return listening;
	fd = exporter_connect(e->socket);
	unlink(e->socket);
	if (fd >= 0 && pipe2(says, O_CLOEXEC | O_NONBLOCK) == 0) {
		e->child = fork();
		if (!e->child)
			in_child(e, listening, says[1], parent);
		close(says[1]);
		e->child_says = says[0];
		if (e->child < 0) {
			e->child = 0;
			close(says[0]);
			close(fd);
			fd = -EAGAIN;
		}
	}
	close(listening);
	return fd;
}

/* The first line that it wrote, without its own name. */
void exporter_last_words(struct exporter *e, char *out, size_t size)
{
	const char *name = e->share ? "virtiofsd" : DISKS;
	char text[2048];
	ssize_t n = read(e->child_says, text, sizeof(text) - 1);
	char *line;
	int status = 0;

	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	line = strrchr(text, ':');
	snprintf(out, size, "%.*s", EXPORTER_TEXT - 1, line && line[1] && !e->share ? line + 2 : text);
	if (waitpid(e->child, &status, 0) == e->child) {
		e->child = 0;
		close(e->child_says);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
		snprintf(out, size, "%s is not here, which serves %s: " PACKAGE, name,
			 e->share ? "folders" : "images of this format");
	else if (!*out)
		snprintf(out, size, "%s has ended at once", name);
}
