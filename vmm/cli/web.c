/* SPDX-License-Identifier: MIT */
/* Files over HTTP: web.h. The protocol is libevent's. */
#include "web.h"

#include "../../proto/sandbox.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HEADERS_MAX = 8192, PATIENCE_S = 20, CONNECTIONS = 64 };

const char *web_content_type(const char *name)
{
	static const char *const types[][2] = {
		{ ".html", "text/html; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" },
		{ ".css", "text/css; charset=utf-8" },
		{ ".json", "application/json" },
		{ ".svg", "image/svg+xml" },
		{ ".png", "image/png" },
		{ ".ico", "image/vnd.microsoft.icon" },
		{ ".oga", "audio/ogg" },
		{ ".mp3", "audio/mpeg" },
		{ ".woff", "font/woff" },
		{ ".ttf", "font/ttf" },
	};
	const char *dot = strrchr(name, '.');

	for (unsigned i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(dot, types[i][0]))
			return types[i][1];
	return "application/octet-stream";
}

/* Time that depends on how much of it is right would help to guess it. */
static bool is_token(const char *token, const char *text, size_t len)
{
	unsigned char differs = 0;

	if (strlen(token) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		differs |= (unsigned char)(token[i] ^ text[i]);
	return !differs;
}

static bool leads_out(const char *name, size_t len)
{
	return strlen(name) != len || *name == '/' || strstr(name, "..");
}

char *web_file_of(const char *token, const char *path)
{
	const char *slash = *path == '/' ? strchr(path + 1, '/') : NULL;
	size_t len = 0;
	char *name;

	if (!slash || !is_token(token, path + 1, (size_t)(slash - path - 1)))
		return NULL;
	name = evhttp_uridecode(slash + 1, 0, &len);
	if (name && !leads_out(name, len) && *name)
		return name;
	free(name);
	return NULL;
}

static int open_file(const struct web *w, const char *name, struct stat *st)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_BENEATH };
	int fd = (int)syscall(SYS_openat2, w->dir_fd, name, &how, sizeof(how));

	if (fd >= 0 && fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void answer(struct evhttp_request *r, void *arg)
{
	const struct web *w = arg;
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(r);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	char *name = path ? web_file_of(w->token, path) : NULL;
	struct evkeyvalq *headers = evhttp_request_get_output_headers(r);
	struct evbuffer *body = evbuffer_new();
	struct stat st;
	int fd = name && body ? open_file(w, name, &st) : -1;

	evhttp_add_header(headers, "Referrer-Policy", "no-referrer"); /* the address is a secret */
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	if (fd >= 0 && evbuffer_add_file(body, fd, 0, st.st_size) == 0) { /* the descriptor is the buffer's */
		evhttp_add_header(headers, "Content-Type", web_content_type(name));
		evhttp_send_reply(r, HTTP_OK, "OK", body);
	} else {
		evhttp_send_error(r, HTTP_NOTFOUND, NULL);
	}
	if (body)
		evbuffer_free(body);
	free(name);
}

int web_listen(struct web *w)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(w->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int on = 1;

	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (w->listener < 0)
		return -errno;
	setsockopt(w->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(w->listener, (const struct sockaddr *)&a, sizeof(a)) < 0 || listen(w->listener, 16) < 0 ||
	    getsockname(w->listener, (struct sockaddr *)&a, &len) < 0)
		return -errno;
	w->port = ntohs(a.sin_port);
	return 0;
}

/* What a browser sends is parsed here: whoever gets through the parser finds a directory of files that anybody may read. */
static int fence(const struct web *w)
{
	const struct sandbox_place files = { w->dir_fd, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR };
	const struct rlimit limit = { CONNECTIONS, CONNECTIONS };
	int rc = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : sandbox_drop_caps(0);

	setrlimit(RLIMIT_NOFILE, &limit);
	if (!rc)
		rc = sandbox_landlock(&files, 1, true);
	return rc == -ENOSYS || rc == -EOPNOTSUPP ? 0 : rc;
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopexit(arg, NULL);
}

/* As long as it is open nothing comes from there. */
static void on_other_end(evutil_socket_t fd, short what, void *arg)
{
	char bytes[256];

	if (read((int)fd, bytes, sizeof(bytes)) <= 0)
		on_end(fd, what, arg);
}

static int watch(struct event_base *base, const struct web *w)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct event *ev = event_new(base, w->end_fd, EV_READ | EV_PERSIST, on_other_end, base);

	if (!ev || event_add(ev, NULL))
		return -ENOMEM;
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		ev = evsignal_new(base, signals[i], on_end, base);
		if (!ev || event_add(ev, NULL))
			return -ENOMEM;
	}
	return 0;
}

int web_serve(struct web *w)
{
	struct event_base *base = event_base_new();
	struct evhttp *http = base ? evhttp_new(base) : NULL;
	int rc = http ? watch(base, w) : -ENOMEM;

	if (rc)
		return rc;
	evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(http, HEADERS_MAX);
	evhttp_set_max_body_size(http, 0);
	evhttp_set_timeout(http, PATIENCE_S);
	evhttp_set_gencb(http, answer, w);
	if (!evhttp_accept_socket_with_handle(http, w->listener))
		return -ENOMEM;
	signal(SIGPIPE, SIG_IGN);
	rc = fence(w);
	return rc ? rc : event_base_dispatch(base) < 0 ? -EIO : 0;
}
