/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-init: the first process of a Linux guest that `bulkhead run --exec` starts. It runs in the guest and nowhere else:
 * mounts what programs expect, makes the console what it is on the other side (guest_note.h), runs the command, and passes
 * its exit code out through the plain exit port.
 */
#include "../common/guest_note.h"

#include "../../proto/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { WORDS_MAX = 64, CONSOLE_OFF = 6, NOT_FOUND = 127, NOT_EXECUTABLE = 126 };

static char text[1 << 20]; /* of the note: its line, then the command */
static struct guest_note note;
static volatile sig_atomic_t how; /* what a program has asked for: a command of reboot(2) */

/* ---- what programs expect -------------------------------------------------------------------------------------- */

/* Where the user's initramfs has something there already, that stays. */
static void mount_all(void)
{
	static const struct {
		const char *type, *where;
		mode_t mode;
	} mounts[] = { { "proc", "/proc", 0555 },      { "sysfs", "/sys", 0555 },      { "devtmpfs", "/dev", 0755 },
		       { "devpts", "/dev/pts", 0755 }, { "tmpfs", "/dev/shm", 01777 }, { "tmpfs", "/tmp", 01777 } };

	for (unsigned i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		mkdir(mounts[i].where, mounts[i].mode);
		mount(mounts[i].type, mounts[i].where, mounts[i].type, 0, NULL);
	}
}

static const char *read_note(void)
{
	int fd = open("/" GUEST_NOTE_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *line_end = n < 0 ? NULL : strchr(text, '\n');

	close(fd);
	if (!line_end || guest_note_parse(text, (size_t)(line_end - text), &note))
		return NULL;
	return line_end + 1;
}

/* ---- the console ----------------------------------------------------------------------------------------------- */

/* /dev/console is nobody's controlling terminal; what is behind it can be. The last one named is where input comes from. */
static int open_console(void)
{
	char names[256], path[280];
	int fd = open("/sys/class/tty/console/active", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, names, sizeof(names) - 1);
	char *last;

	close(fd);
	names[n < 0 ? 0 : n] = 0;
	names[strcspn(names, "\n")] = 0;
	last = strrchr(names, ' ');
	snprintf(path, sizeof(path), "/dev/%s", last ? last + 1 : names[0] ? names : "console");
	fd = open(path, O_RDWR | O_NOCTTY);
	return fd < 0 ? open("/dev/console", O_RDWR | O_NOCTTY) : fd;
}

/*
 * Input that is no terminal's comes in lines, ended by Ctrl-D, and no other byte of it means anything; the port's
 * handshake holds it up while the command does not read. Output that goes to no terminal is not touched.
 */
static void set_modes(int fd)
{
	struct winsize size = { .ws_row = (unsigned short)note.rows, .ws_col = (unsigned short)note.columns };
	struct termios t;

	if (tcgetattr(fd, &t) < 0)
		return;
	if (!note.in) {
		memset(t.c_cc, _POSIX_VDISABLE, sizeof(t.c_cc));
		t.c_cc[VEOF] = 4;
		t.c_lflag &= (tcflag_t) ~(ISIG | IEXTEN);
		t.c_iflag &= (tcflag_t) ~(ICRNL | INLCR | IGNCR | ISTRIP | IXON | IXOFF);
		t.c_cflag |= CRTSCTS;
	}
	if (!note.in || !note.out)
		t.c_lflag &= (tcflag_t) ~(ECHO | ECHONL);
	if (!note.out)
		t.c_oflag &= (tcflag_t)~OPOST;
	tcsetattr(fd, TCSANOW, &t);
	if (note.rows && note.columns)
		ioctl(fd, TIOCSWINSZ, &size);
}

/*
 * When the leader of its session ends, a terminal is hung up, and what its driver has not sent yet is thrown away. So the leader is not
 * the command.
 */
static void take_terminal(int console)
{
	setsid();
	ioctl(console, TIOCSCTTY, 1);
	signal(SIGTTOU, SIG_IGN); /* we wait for its output while the command has it */
}

/* ---- the command ----------------------------------------------------------------------------------------------- */

static _Noreturn void exec_words(char *command)
{
	char *words[WORDS_MAX + 1] = { NULL }, *save = NULL;
	unsigned n = 0;

	for (char *w = strtok_r(command, " \t\n", &save); w && n < WORDS_MAX; w = strtok_r(NULL, " \t\n", &save))
		words[n++] = w;
	if (n)
		execvp(words[0], words);
	fprintf(stderr, "bulkhead-init: there is no /bin/sh, and %s: %s\n", n ? words[0] : "no command", strerror(errno));
	_exit(errno == EACCES ? NOT_EXECUTABLE : NOT_FOUND);
}

static _Noreturn void run(const char *command, int console)
{
	setpgid(0, 0);
	tcsetpgrp(console, getpid());
	for (int fd = 0; fd < 3; fd++)
		dup2(console, fd);
	close(console);
	signal(SIGINT, SIG_DFL);
	signal(SIGTTOU, SIG_DFL);
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", chdir("/root") ? "/" : "/root", 1);
	if (note.term[0])
		setenv("TERM", note.term, 1);
	else if (!note.out)
		setenv("TERM", "dumb", 1);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	exec_words((char *)command);
}

/* busybox' poweroff, halt and reboot tell the first process by these. */
static void on_signal(int sig)
{
	how = sig == SIGTERM ? (int)RB_AUTOBOOT : (int)RB_POWER_OFF;
}

static void catch_signals(void)
{
	static const int signals[] = { SIGTERM, SIGUSR1, SIGUSR2 };
	struct sigaction sa = { .sa_handler = on_signal };

	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &sa, NULL);
	signal(SIGINT, SIG_IGN);
}

/* Whoever has lost its parent is ours. */
static int wait_for(pid_t command)
{
	int status;
	pid_t pid;

	while ((pid = wait(&status)) != command) {
		if (how)
			return -1;
		if (pid < 0 && errno != EINTR)
			return NOT_FOUND;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

static bool tell_port(unsigned char code)
{
	int fd;

	if (ioperm(LAYOUT_EXIT_PLAIN_PORT, 1, 1) == 0) {
		outb(code, LAYOUT_EXIT_PLAIN_PORT);
		return true;
	}
	fd = open("/dev/port", O_WRONLY | O_CLOEXEC);
	return fd >= 0 && pwrite(fd, &code, 1, LAYOUT_EXIT_PLAIN_PORT) == 1;
}

/* A locked-down kernel refuses programs its ports. Then the machine can only power off or panic, and says why. */
static _Noreturn void leave(int code)
{
	if (tell_port((unsigned char)code))
		sleep(10); /* it is on its way */
	fprintf(stderr, "bulkhead-init: this kernel lets nobody at the exit port; the command ended with %d\n", code);
	if (!code)
		reboot((int)RB_POWER_OFF);
	_exit(code);
}

int main(void)
{
	const char *command;
	int console, code;
	pid_t pid;

	mount_all();
	command = read_note();
	console = open_console();
	for (int fd = 0; console >= 0 && fd < 3; fd++)
		dup2(console, fd);
	if (!command) {
		fprintf(stderr, "bulkhead-init: /%s cannot be read\n", GUEST_NOTE_FILE);
		leave(NOT_FOUND);
	}
	klogctl(CONSOLE_OFF, NULL, 0);
	set_modes(console);
	catch_signals();
	take_terminal(console);
	if (write(console, GUEST_NOTE_BEGIN, strlen(GUEST_NOTE_BEGIN)) < 0)
		leave(NOT_FOUND);
	pid = fork();
	if (!pid)
		run(command, console);
	code = wait_for(pid);
	tcdrain(console);
	sync();
	if (code >= 0)
		leave(code);
	kill(-1, SIGTERM);
	reboot(how);
	_exit(0);
}
