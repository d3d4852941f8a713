/* SPDX-License-Identifier: MIT */
/* bulkhead view: a machine's screen in a window (bulkhead-view), or in a browser (bulkhead-vncd and noVNC). */
#include "cli.h"

#include "client.h"
#include "web.h"
#include "../common/exit_codes.h"
#include "../common/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TOKEN_BYTES = 16 };

static int complain(const char *what, int rc)
{
	fprintf(stderr, "bulkhead: %s: %s\n", what, strerror(-rc));
	return EXIT_FAILED;
}

/* An O_PATH descriptor, or -errno; what is wrong has been told. */
static int find_program(const char *name, const char *library)
{
	char path[4200];
	int fd = program_open(name, path, sizeof(path));

	if (fd < 0)
		fprintf(stderr, "bulkhead: program %.150s: %s; it is built where %s is\n", path, strerror(-fd), library);
	return fd;
}

/* ---- a browser ------------------------------------------------------------------------------------------------- */

static int make_token(char token[2 * TOKEN_BYTES + 1])
{
	unsigned char bytes[TOKEN_BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -errno;
	for (unsigned i = 0; i < TOKEN_BYTES; i++)
		snprintf(token + (size_t)2 * i, 3, "%02x", bytes[i]);
	return 0;
}

struct vncd {
	pid_t pid;
	int out; /* what it prints; it hangs up when it ends */
	unsigned port;
};

/* The token is no argument of it: those can be read by everybody. */
static _Noreturn void in_vncd(int program, int out, int token, const struct machine_ref *ref)
{
	char empty[] = "";
	char *argv[] = {
		"bulkhead-vncd", "--token-fd", "0", "--dir", (char *)ref->path, (char *)ref->name, "127.0.0.1:auto", NULL
	};

	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	dup2(token, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	syscall(SYS_execveat, program, empty, argv, environ, AT_EMPTY_PATH);
	_exit(EXIT_INTERNAL);
}

/* It says where it listens, or on standard error why it does not. */
static int read_port(struct vncd *v)
{
	char line[200];
	size_t n = 0;
	const char *port;
	ssize_t got = 1;

	while (n < sizeof(line) - 1 && (!n || line[n - 1] != '\n') && got > 0) {
		got = read(v->out, line + n, sizeof(line) - 1 - n);
		n += got > 0 ? (size_t)got : 0;
	}
	line[n] = 0;
	port = strstr(line, "port ");
	v->port = port ? (unsigned)strtoul(port + 5, NULL, 10) : 0;
	return v->port ? 0 : -EIO;
}

static int start_vncd(struct vncd *v, int program, const struct machine_ref *ref, const char *token)
{
	int out[2], secret[2], rc = 0;

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(secret, O_CLOEXEC) < 0)
		return -errno;
	if (write(secret[1], token, strlen(token)) != (ssize_t)strlen(token))
		rc = -EIO;
	v->pid = rc ? -1 : fork();
	if (v->pid == 0)
		in_vncd(program, out[1], secret[0], ref);
	if (v->pid < 0 && !rc)
		rc = -errno;
	close(out[1]);
	close(secret[0]);
	close(secret[1]);
	v->out = out[0];
	return rc ? rc : read_port(v);
}

static void end_vncd(const struct vncd *v)
{
	if (v->pid <= 0)
		return;
	kill(v->pid, SIGTERM);
	while (waitpid(v->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int serve(const struct machine_ref *ref, struct web *w, int program)
{
	struct vncd vncd = { .pid = -1 };
	int rc = web_listen(w);

	if (rc)
		return complain("the page's port", rc);
	rc = start_vncd(&vncd, program, ref, w->token);
	if (rc) {
		end_vncd(&vncd);
		return EXIT_FAILED;
	}
	w->end_fd = vncd.out;
	printf("http://127.0.0.1:%u/%s/vnc.html?autoconnect=1&resize=scale&port=%u&path=%s\n", w->port, w->token, vncd.port,
	       w->token);
	fflush(stdout);
	rc = web_serve(w);
	end_vncd(&vncd);
	return rc ? complain("the page", rc) : EXIT_OK;
}

static int view_in_browser(const struct machine_ref *ref, uint32_t port)
{
	char token[2 * TOKEN_BYTES + 1];
	struct web w = { .token = token, .port = (uint16_t)port };
	int program = find_program("bulkhead-vncd", "libvncserver"), rc = make_token(token);

	if (program < 0)
		return EXIT_FAILED;
	if (rc || port > UINT16_MAX)
		return complain("--port", rc ? rc : -ERANGE);
	w.dir_fd = open(WEB_NOVNC, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w.dir_fd < 0) {
		fprintf(stderr, "bulkhead: %s: %s: the page is noVNC's; install Debian's novnc\n", WEB_NOVNC, strerror(errno));
		return EXIT_FAILED;
	}
	return serve(ref, &w, program);
}

/* ---- a window -------------------------------------------------------------------------------------------------- */

/* It takes our place. */
static int view_in_window(const struct machine_ref *ref, const struct cli_args *args)
{
	char empty[] = "", *argv[6] = { "bulkhead-view" };
	int program = find_program("bulkhead-view", "SDL2"), n = 1;

	if (program < 0) {
		fprintf(stderr, "bulkhead: bulkhead view %s --web shows it in a browser\n", ref->name);
		return EXIT_FAILED;
	}
	if (args->full_screen)
		argv[n++] = "--full-screen";
	if (args->grab)
		argv[n++] = "--grab";
	argv[n++] = (char *)ref->name;
	argv[n] = NULL;
	syscall(SYS_execveat, program, empty, argv, environ, AT_EMPTY_PATH);
	return complain("bulkhead-view", -errno);
}

int cmd_view(int argc, char **argv)
{
	struct machine_ref ref;
	struct cli_args args;
	int rc = cli_parse(COMMAND_VIEW, &args, argc, argv);

	if (!rc)
		rc = client_find(args.words[0], &ref);
	if (rc)
		return rc;
	return args.web ? view_in_browser(&ref, args.web_port) : view_in_window(&ref, &args);
}
