/* SPDX-License-Identifier: MIT */
/* The console client: console.h. */
#include "console.h"

#include "client.h"
#include "console_log.h"
#include "exec_filter.h"
#include "screen.h"
#include "script.h"
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

enum { EOT = 4, EXEC_ENDS = 64, SAY_PIECE = 1000, PIECE = 16384, LINGER_MS = 1000 };
enum { RECONNECT_MS = 20, SILENT_MS = 10000 }; /* so long between two attempts: who hangs up at once may do so again */

struct console {
	int sock, escape;
	struct console_options is; /* what the caller wants */
	bool shows; /* standard output is a terminal */
	uint64_t to_skip; /* bytes of history that the log has already, or had no use for */
	bool escaped;	  /* the last byte was the escape key */
	bool stdin_ended; /* its end does not end the machine */
	char out[4096];	  /* towards the machine; what has been sent is kept while nothing has come back */
	size_t out_sent, out_len;
	bool heard;  /* something has come through this connection */
	bool forgot; /* it was more than there is room for */
	int output_error;
	char in[PIECE + ESCAPE_MAX]; /* towards the user: what lies from in_at to in_len */
	size_t in_at, in_len;
	bool left, stop;
	bool hinted; /* the escape key has been named */
	uint64_t silent_ns; /* since when nothing has come */
	uint64_t quiet_ns;  /* the same; any time, and since when nothing was typed either */
	bool told;	    /* that it only watches */
};

static struct console the_console;
static struct exec_filter exec_filter;
static struct screen screen;
static struct script script;
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
	terminal_say(
		"\nafter %s:  .  %s   ?  this text   r  tell the guest's shell the size (stty)   %s  send it to the guest%s\n",
		console_escape_name(c->escape),
		c->is.stoppable ? "leave; the machine goes on in the background" : "leave the console",
		console_escape_name(c->escape), c->is.stoppable ? "   q  stop the machine" : "");
}

/* For a shell that waits for a command: a serial line has no other way to tell. */
static void type_size(struct console *c)
{
	unsigned rows, columns;
	char text[48];

	if (terminal_size(&rows, &columns)) {
		terminal_say("\nthis terminal does not tell its size\n");
		return;
	}
	snprintf(text, sizeof(text), "stty rows %u cols %u\r", rows, columns);
	for (const char *p = text; *p; p++)
		put(c, *p);
}

/* Only watching: said once. */
static void type(struct console *c, char byte)
{
	if (!c->is.watches)
		put(c, byte);
	else if (!c->told)
		terminal_say("\nbulkhead: this console is only watched; %s . leaves, and console --steal types\n",
			     c->escape < 0 ? "the escape key and" : console_escape_name(c->escape));
	c->told = c->is.watches;
}

/* The byte after the escape key. */
static void command(struct console *c, char byte)
{
	if (byte == '.')
		c->left = true;
	else if (byte == 'q' && c->is.stoppable)
		c->stop = true;
	else if (byte == '?')
		help(c);
	else if (byte == 'r' && !c->is.watches)
		type_size(c);
	else if (byte == (char)c->escape)
		type(c, byte);
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
		if (c->stdin_ended && c->is.execs)
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
			type(c, buf[i]);
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

void console_exec_failed(void)
{
	char text[EXEC_FILTER_KEPT + 1];
	size_t len = exec_filter_kept(&exec_filter, text);

	if (!the_console.is.execs || exec_filter.begun || the_console.shows || !len)
		return;
	text[len] = 0;
	text_clean_bytes(text, len, TEXT_LINES);
	terminal_say("bulkhead: the command has not begun; the console's last words:\n");
	for (size_t at = 0; at < len; at += SAY_PIECE)
		terminal_say("%.*s", (int)(len - at < SAY_PIECE ? len - at : SAY_PIECE), text + at);
	terminal_say("\n");
}

/* History is in the log already, unless that is new. */
static void log_output(struct console *c, const char *bytes, size_t len)
{
	size_t skip = len < c->to_skip ? len : (size_t)c->to_skip;
	int rc;

	c->to_skip -= skip;
	if (!c->is.log || c->is.log->fd < 0)
		return;
	rc = console_log_write(c->is.log, bytes + skip, len - skip);
	if (!rc)
		return;
	terminal_say("\nbulkhead: --log %s: %s; it ends here\n", c->is.log->path, strerror(-rc));
	close(c->is.log->fd);
	c->is.log->fd = -1;
}

/* From the machine's bytes to those for the user. */
static void show(struct console *c, const char *bytes, size_t len)
{
	size_t skip = c->is.execs && !exec_filter.begun ? exec_filter_take(&exec_filter, bytes, len) : 0;

	log_output(c, bytes, len);
	if (c->is.steps)
		script_hear(&script, bytes, len);
	if (c->shows) {
		c->in_len = screen_pass(&screen, bytes, len, c->in);
		return;
	}
	memcpy(c->in, bytes + skip, len - skip);
	c->in_len = len - skip;
}

/* 1: more may come; 0: the machine closed it. */
static int take_output(struct console *c)
{
	char bytes[PIECE];
	ssize_t n = recv(c->sock, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	c->in_at = c->in_len = 0;
	c->heard = c->heard || n > 0;
	c->quiet_ns = clock_ns();
	if (n > 0)
		show(c, bytes, (size_t)n);
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

static int ms_until(uint64_t then_ns, uint64_t now_ns)
{
	uint64_t ms = then_ns > now_ns ? (then_ns - now_ns + 999999) / 1000000 : 0;

	return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* Until the hint is due, if there is one and nothing has come. */
static int hint_ms(struct console *c, uint64_t now_ns)
{
	int left = ms_until(c->silent_ns + SILENT_MS * CLOCK_NS_PER_MS, now_ns);

	if (!hint || c->heard)
		return -1;
	if (left)
		return left;
	terminal_say("\n%s\n", hint);
	hint = NULL;
	return -1;
}

static bool lingers(const struct console *c)
{
	return c->is.ends_with_input && c->stdin_ended && c->out_sent == c->out_len;
}

/* How long poll() may wait. */
static int patience_ms(struct console *c)
{
	uint64_t now_ns = clock_ns();

	if (c->is.steps)
		return script.deadline_ns ? ms_until(script.deadline_ns, now_ns) : 0;
	if (lingers(c))
		return ms_until(c->quiet_ns + LINGER_MS * CLOCK_NS_PER_MS, now_ns);
	return hint_ms(c, now_ns);
}

const char *console_step(void)
{
	return script.at < script.steps->count ? script.steps->of[script.at].text : "";
}

/* CONSOLE_CLOSED: there is nothing to end it. What is to be sent goes only into an empty buffer: a step fits into that. */
static enum console_end run_steps(struct console *c)
{
	const char *text;
	size_t len;

	if (c->out_len - c->out_sent)
		return CONSOLE_CLOSED;
	forget_sent(c);
	switch (script_next(&script, clock_ns(), &text, &len)) {
	case SCRIPT_SENDS:
		for (size_t i = 0; i < len; i++)
			put(c, text[i]);
		break;
	case SCRIPT_WAITS:
		break;
	case SCRIPT_LATE:
		return CONSOLE_LATE;
	case SCRIPT_DONE:
		return c->in_at < c->in_len ? CONSOLE_CLOSED : CONSOLE_DONE;
	}
	return CONSOLE_CLOSED;
}

/* Something that neither side has done ends it. CONSOLE_CLOSED: nothing does. */
static enum console_end look_for_end(struct console *c)
{
	if (c->left)
		return CONSOLE_DETACHED;
	if (c->stop)
		return CONSOLE_STOP;
	if (c->is.steps)
		return run_steps(c);
	if (lingers(c) && c->in_at == c->in_len && clock_ns() - c->quiet_ns >= LINGER_MS * CLOCK_NS_PER_MS)
		return CONSOLE_INPUT;
	return CONSOLE_CLOSED;
}

static bool reads_input(const struct console *c)
{
	return !c->is.steps && !c->stdin_ended && c->out_len < sizeof(c->out) - EXEC_ENDS && (!c->is.execs || exec_filter.begun);
}

/* What was read from the machine goes out before more is read; meanwhile keys and signals are still heard. */
static enum console_end move_bytes(struct console *c)
{
	for (;;) {
		enum console_end end = look_for_end(c);
		bool behind = c->in_at < c->in_len, due = c->out_sent < c->out_len;
		struct pollfd fds[] = {
			{ .fd = behind && !due ? -1 : c->sock, .events = (short)((behind ? 0 : POLLIN) | (due ? POLLOUT : 0)) },
			{ .fd = reads_input(c) ? STDIN_FILENO : -1, .events = POLLIN },
			{ .fd = wake[0], .events = POLLIN },
			{ .fd = behind ? STDOUT_FILENO : -1, .events = POLLOUT },
		};

		if (end != CONSOLE_CLOSED)
			return end;
		if (poll(fds, 4, patience_ms(c)) < 0 && errno != EINTR)
			return CONSOLE_CLOSED;
		if (caught)
			return CONSOLE_SIGNAL;
		if (fds[1].revents)
			take_input(c);
		if (c->out_sent < c->out_len)
			flush_to_machine(c);
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

static void begin(struct console *c, int sock, const struct console_options *options)
{
	*c = (struct console){ .sock = sock, .silent_ns = clock_ns(), .quiet_ns = clock_ns() };
	c->to_skip = options->log && options->log->bytes ? options->history : 0;
	screen_begin(&screen, options->history);
	if (options->steps)
		script_begin(&script, options->steps, options->history, options->patience_ms * CLOCK_NS_PER_MS);
	if (options->resizes)
		type_size(c);
}

/* The guest's modes are not the user's, who may be anywhere in the middle of something of the guest's. */
void console_make_whole(void)
{
	const struct console *c = &the_console;
	char text[SCREEN_RESTORE_MAX];
	size_t len = screen_restore(&screen, text);

	if (c->shows)
		terminal_put(STDOUT_FILENO, text, len); /* whoever does not read it, does not see it either */
}

enum console_end console_run(int sock, const struct console_options *options)
{
	struct console *c = &the_console;
	bool tty = terminal_is_ours() && !options->steps;
	enum console_end end;

	if (c->sock != sock)
		begin(c, sock, options);
	c->is = *options;
	c->shows = isatty(STDOUT_FILENO);
	/* Without a terminal the bytes are the guest's, whatever they are. */
	c->escape = tty ? options->escape : -1;
	c->left = c->stop = false;
	if (tty && terminal_raw() == 0 && options->escape >= 0 && !c->hinted)
		terminal_say("Escape: %s then . to leave, %s ? for help\n", console_escape_name(options->escape),
			     console_escape_name(options->escape));
	c->hinted = true;
	end = move_bytes(c);
	if (end != CONSOLE_STOP && end != CONSOLE_SIGNAL)
		console_make_whole();
	terminal_restore();
	return end;
}
