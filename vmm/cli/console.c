/* SPDX-License-Identifier: MIT */
/* The console client: console.h. */
#include "console.h"

#include "client.h"
#include "exec_filter.h"
#include "terminal.h"

#include "../../proto/clock.h"
#include "../../proto/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EOT = 4, EXEC_ENDS = 64, SAY_PIECE = 1000 };
enum { RECONNECT_MS = 20, SILENT_MS = 10000 }; /* so long between two attempts: who hangs up at once may do so again */

struct console {
	int sock, escape;
	bool stoppable;
	bool escaped;	  /* the last byte was the escape key */
	bool stdin_ended; /* its end does not end the machine */
	char out[4096];	  /* towards the machine; what has been sent is kept while nothing has come back */
	size_t out_sent, out_len;
	bool heard;  /* something has come through this connection */
	bool forgot; /* it was more than there is room for */
	int output_error;
	char in[16384]; /* towards the user: what lies from in_at to in_len */
	size_t in_at, in_len;
	bool left, stop;
	bool hinted; /* the escape key has been named */
	uint64_t silent_ns; /* since when nothing has come */
};

static struct console the_console;
static struct exec_filter exec_filter;
static bool execs;
static const char *hint; /* for whom the machine is too silent */
static volatile sig_atomic_t caught;
static int wake[2] = { -1, -1 };

static void on_signal(int sig)
{
	int kept = errno;

	caught = sig;
	if (write(wake[1], "", 1) < 0)
		errno = kept;
	errno = kept;
}

void console_catch_signals(void)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal };

	if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) < 0)
		return;
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int console_signal(void)
{
	int sig = caught;
	char c;

	while (wake[0] >= 0 && read(wake[0], &c, 1) == 1)
		;
	caught = 0;
	return sig;
}

int console_signal_fd(void)
{
	return wake[0];
}

int console_output_error(void)
{
	return the_console.output_error;
}

const char *console_escape_name(int escape)
{
	static char name[8];

	snprintf(name, sizeof(name), "Ctrl-%c", escape + '@');
	return name;
}

static void forget_sent(struct console *c)
{
	memmove(c->out, c->out + c->out_sent, c->out_len - c->out_sent);
	c->out_len -= c->out_sent;
	c->out_sent = 0;
}

static void put(struct console *c, char byte)
{
	if (c->out_len < sizeof(c->out))
		c->out[c->out_len++] = byte;
}

static void help(const struct console *c)
{
	terminal_say("\nafter %s:  .  %s   ?  this text   %s  send it to the guest%s\n", console_escape_name(c->escape),
		     c->stoppable ? "leave; the machine goes on in the background" : "leave the console",
		     console_escape_name(c->escape), c->stoppable ? "   q  stop the machine" : "");
}

/* The byte after the escape key. */
static void command(struct console *c, char byte)
{
	if (byte == '.')
		c->left = true;
	else if (byte == 'q' && c->stoppable)
		c->stop = true;
	else if (byte == '?')
		help(c);
	else if (byte == (char)c->escape)
		put(c, byte);
	else
		terminal_say("\nunknown; %s ? for help\n", console_escape_name(c->escape));
}

/* The first Ctrl-D ends a line that is not complete, the next one the input of whoever reads; programs behind it may read, too. */
static void end_exec_input(struct console *c)
{
	for (unsigned i = 0; i < EXEC_ENDS; i++)
		put(c, EOT);
}

static void take_input(struct console *c)
{
	char buf[1024];
	size_t room = sizeof(c->out) - c->out_len - EXEC_ENDS;
	ssize_t n = read(STDIN_FILENO, buf, room < sizeof(buf) ? room : sizeof(buf));

	if (n <= 0) {
		c->stdin_ended = n == 0 || (errno != EINTR && errno != EAGAIN);
		if (c->stdin_ended && execs)
			end_exec_input(c);
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (c->escaped) {
			c->escaped = false;
			command(c, buf[i]);
		} else if (c->escape >= 0 && buf[i] == (char)c->escape) {
			c->escaped = true;
		} else {
			put(c, buf[i]);
		}
	}
}

static void flush_to_machine(struct console *c)
{
	size_t due = c->out_len - c->out_sent;
	ssize_t n = send(c->sock, c->out + c->out_sent, due, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	c->out_sent += n < 0 ? due : (size_t)n; /* nobody reads it any more */
	c->forgot = c->forgot || (!c->heard && c->out_len == sizeof(c->out));
	if (c->heard || c->forgot)
		forget_sent(c);
}

static void withhold(struct console *c)
{
	size_t before = exec_filter_take(&exec_filter, c->in, c->in_len);

	if (!isatty(STDOUT_FILENO))
		c->in_at = before;
}

void console_exec(void)
{
	execs = true;
}

void console_exec_failed(void)
{
	char text[EXEC_FILTER_KEPT + 1];
	size_t len = exec_filter_kept(&exec_filter, text);

	if (!execs || exec_filter.begun || isatty(STDOUT_FILENO) || !len)
		return;
	text[len] = 0;
	text_clean_bytes(text, len, TEXT_LINES);
	terminal_say("bulkhead: the command has not begun; the console's last words:\n");
	for (size_t at = 0; at < len; at += SAY_PIECE)
		terminal_say("%.*s", (int)(len - at < SAY_PIECE ? len - at : SAY_PIECE), text + at);
	terminal_say("\n");
}

/* 1: more may come; 0: the machine closed it. */
static int take_output(struct console *c)
{
	ssize_t n = recv(c->sock, c->in, sizeof(c->in), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	c->in_at = 0;
	c->in_len = n > 0 ? (size_t)n : 0;
	c->heard = c->heard || n > 0;
	if (execs && !exec_filter.begun && n > 0)
		withhold(c);
	return n > 0;
}

/* No more at once than a pipe takes without waiting when it can be written to. */
static int flush_to_user(struct console *c)
{
	size_t left = c->in_len - c->in_at;
	ssize_t n = write(STDOUT_FILENO, c->in + c->in_at, left < PIPE_BUF ? left : PIPE_BUF);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->in_at += (size_t)n;
	return 0;
}

void console_hint(const char *text)
{
	hint = text;
}

/* How long poll() may wait: until the hint is due, if there is one and nothing has come. */
static int patience_ms(struct console *c)
{
	uint64_t silent_ms = (clock_ns() - c->silent_ns) / 1000000;

	if (!hint || c->heard)
		return -1;
	if (silent_ms < SILENT_MS)
		return SILENT_MS - (int)silent_ms;
	terminal_say("\n%s\n", hint);
	hint = NULL;
	return -1;
}

/* What was read from the machine goes out before more is read; meanwhile keys and signals are still heard. */
static enum console_end move_bytes(struct console *c)
{
	for (;;) {
		bool behind = c->in_at < c->in_len,
		     read_more = !c->stdin_ended && c->out_len < sizeof(c->out) - EXEC_ENDS && (!execs || exec_filter.begun);
		bool due = c->out_sent < c->out_len;
		struct pollfd fds[] = {
			{ .fd = behind && !due ? -1 : c->sock, .events = (short)((behind ? 0 : POLLIN) | (due ? POLLOUT : 0)) },
			{ .fd = read_more ? STDIN_FILENO : -1, .events = POLLIN },
			{ .fd = wake[0], .events = POLLIN },
			{ .fd = behind ? STDOUT_FILENO : -1, .events = POLLOUT },
		};

		if (poll(fds, 4, patience_ms(c)) < 0 && errno != EINTR)
			return CONSOLE_CLOSED;
		if (caught)
			return CONSOLE_SIGNAL;
		if (fds[1].revents)
			take_input(c);
		if (c->out_sent < c->out_len)
			flush_to_machine(c);
		if (c->left)
			return CONSOLE_DETACHED;
		if (c->stop)
			return CONSOLE_STOP;
		if (fds[3].revents) {
			c->output_error = -flush_to_user(c);
			if (c->output_error)
				return CONSOLE_OUTPUT;
		}
		if (!behind && (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) && !take_output(c))
			return CONSOLE_CLOSED;
	}
}

int console_reconnect(int sock, const char *dir)
{
	struct console *c = &the_console;
	int next;

	if (c->sock != sock || c->heard)
		return -1;
	poll(NULL, 0, RECONNECT_MS);
	next = client_console(dir);
	if (next < 0)
		return -1;
	close(sock);
	if (c->forgot)
		terminal_say("\nbulkhead: the console's daemon died; of what was typed some may be lost\n");
	c->forgot = false;
	c->sock = next;
	c->out_sent = 0;
	return next;
}

enum console_end console_run(int sock, int escape, int stoppable)
{
	struct console *c = &the_console;
	enum console_end end;
	bool tty = terminal_is_ours();

	if (c->sock != sock)
		*c = (struct console){ .sock = sock, .silent_ns = clock_ns() };
	/* Without a terminal the bytes are the guest's, whatever they are. */
	c->escape = tty ? escape : -1;
	c->stoppable = stoppable;
	c->left = c->stop = false;
	if (tty && terminal_raw() == 0 && escape >= 0 && !c->hinted)
		terminal_say("Escape: %s then . to leave, %s ? for help\n", console_escape_name(escape),
			     console_escape_name(escape));
	c->hinted = true;
	end = move_bytes(c);
	terminal_restore();
	return end;
}
