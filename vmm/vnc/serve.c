/* SPDX-License-Identifier: MIT */
/*
 * One viewer of VNC: RFB (RFC 6143) by libvncserver, with a picture and a keyboard of ours. Whatever the viewer sends is read here
 * and nowhere else; what it does not read holds up nobody else.
 */
#include "vnc.h"

#include "../common/packet.h"
#include "../viewer/keyboard.h"

#include "proto/clock.h"
#include "proto/sandbox.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <poll.h>
#include <rfb/rfb.h>
#include <rfb/rfbregion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_NS (CLOCK_NS_PER_S / SCREEN_RATE)
#define GREETING_NS (20 * CLOCK_NS_PER_S) /* for a viewer to say who it is */
#define FAREWELL_NS CLOCK_NS_PER_S	  /* for displayd to take the last events */

enum { BYTES = 4, PASTE_MAX = 4096, PEEK_MS = 10000, STUCK_MS = 20000, WHEEL_UP = 1 << 3, WHEEL_DOWN = 1 << 4 };

static struct server {
	struct vnc_hello hello;
	struct link link, keys;
	struct keyboard keyboard;
	rfbScreenInfoPtr screen;
	rfbClientPtr client; /* NULL: gone */
	uint32_t *fresh;     /* as large as the screen */
	uint32_t x, y;
	int buttons;
	bool asked, asked_keys; /* the door, for another connection */
	bool has_picture;
	uint64_t next_ns;    /* not before that is displayd listened to again */
	uint64_t picture_ns; /* nor another picture taken */
} server;

/* ---- what the viewer does -------------------------------------------------------------------------------------- */

static void on_key(rfbBool down, rfbKeySym keysym, rfbClientPtr cl)
{
	(void)cl;
	keyboard_keysym(&server.keyboard, &server.link, keysym, down);
}

static uint32_t clamp(int v, int end)
{
	return v < 0 ? 0 : v >= end ? (uint32_t)end - 1 : (uint32_t)v;
}

static void on_wheel(int pressed)
{
	if (pressed & WHEEL_UP)
		link_push(&server.link, SCREEN_EV_REL, SCREEN_REL_WHEEL, 1);
	if (pressed & WHEEL_DOWN)
		link_push(&server.link, SCREEN_EV_REL, SCREEN_REL_WHEEL, (uint32_t)-1);
}

static void on_pointer(int mask, int x, int y, rfbClientPtr cl)
{
	static const uint16_t buttons[] = { BTN_LEFT, BTN_MIDDLE, BTN_RIGHT };
	const uint32_t to_x = clamp(x, server.screen->width), to_y = clamp(y, server.screen->height);

	(void)cl;
	if (to_x != server.x || to_y != server.y)
		link_point(&server.link, to_x, to_y);
	server.x = to_x;
	server.y = to_y;
	for (unsigned i = 0; i < sizeof(buttons) / sizeof(buttons[0]); i++)
		keyboard_key(&server.keyboard, &server.link, buttons[i], mask >> i & 1);
	on_wheel(mask & ~server.buttons);
	server.buttons = mask;
}

/* Latin-1; what the US layout has no key for is left out. */
static void on_cut_text(char *text, int len, rfbClientPtr cl)
{
	(void)cl;
	if (server.hello.no_paste)
		return;
	for (int i = 0; i < len && i < PASTE_MAX; i++)
		link_type(&server.link, text[i]);
}

static void on_gone(rfbClientPtr cl)
{
	(void)cl;
	server.client = NULL;
}

/* ---- what it sees ---------------------------------------------------------------------------------------------- */

static uint32_t *row_of(void *pixels, int y)
{
	return (uint32_t *)pixels + (size_t)y * (size_t)server.screen->width;
}

/* 0RGB as a number of 32 bits. */
static void set_format(void)
{
	rfbPixelFormat *f = &server.screen->serverFormat;

	f->redShift = 16;
	f->greenShift = 8;
	f->blueShift = 0;
}

static int resize(uint32_t width, uint32_t height)
{
	rfbScreenInfoPtr s = server.screen;
	void *pixels = calloc((size_t)width * height, BYTES), *fresh = calloc((size_t)width * height, BYTES),
	     *old = s->frameBuffer;

	if (!pixels || !fresh) {
		free(pixels);
		free(fresh);
		return -ENOMEM;
	}
	rfbNewFramebuffer(s, pixels, (int)width, (int)height, 8, 3, BYTES);
	set_format();
	if (server.client)
		s->setTranslateFunction(server.client);
	free(old);
	free(server.fresh);
	server.fresh = fresh;
	return 0;
}

static void mark(int top, int bottom)
{
	if (top < bottom)
		rfbMarkRectAsModified(server.screen, 0, top, server.screen->width, bottom);
}

static void show(void)
{
	const size_t bytes = (size_t)server.screen->width * BYTES;
	int top = 0;

	for (int y = 0; y < server.screen->height; y++) {
		uint32_t *row = row_of(server.screen->frameBuffer, y);

		if (memcmp(row, row_of(server.fresh, y), bytes)) {
			memcpy(row, row_of(server.fresh, y), bytes);
			continue;
		}
		mark(top, y);
		top = y + 1;
	}
	mark(top, server.screen->height);
}

static bool waits_for_picture(void)
{
	return server.client && server.client->state == RFB_NORMAL && !sraRgnEmpty(server.client->requestedRegion);
}

static void take_picture(void)
{
	uint32_t width, height;

	if (clock_ns() < server.picture_ns || !waits_for_picture() || !link_is_new(&server.link) ||
	    !link_size(&server.link, &width, &height))
		return;
	server.picture_ns = clock_ns() + TURN_NS;
	if ((width != (uint32_t)server.screen->width || height != (uint32_t)server.screen->height) && resize(width, height))
		return;
	if (link_copy(&server.link, server.fresh, width, height))
		return;
	show();
	server.has_picture = true;
}

/* Not before there is something to see: what it has asked for stays asked for. */
static void send_picture(void)
{
	if (server.client && server.has_picture)
		rfbUpdateClient(server.client);
	if (server.client && server.client->sock < 0)
		rfbClientConnectionGone(server.client);
}

/* ---- displayd, by way of the door ------------------------------------------------------------------------------ */

static void ask_door(char what, bool *asked)
{
	if (!*asked && packet_send(VNC_DOOR, &what, 1, NULL, 0))
		_exit(1);
	*asked = true;
}

static void take_keys(int fd)
{
	server.asked_keys = false;
	if (fd < 0)
		server.link.keys = NULL;
	else
		link_attach(&server.keys, fd, -1);
}

/* The door is gone: so is the machine, and whoever closes a machine's door closes it for those who are inside. */
static void hear_door(bool wait)
{
	int fds[PACKET_FDS], rc;
	char what;

	rc = packet_recv(VNC_DOOR, &what, 1, fds, wait);
	if (rc == -EAGAIN)
		return;
	if (!rc && what == VNC_KEYS) {
		take_keys(fds[0]);
		return;
	}
	if (rc || fds[0] < 0 || fds[1] < 0)
		_exit(rc != -ECONNRESET);
	server.asked = false;
	link_attach(&server.link, fds[0], fds[1]);
}

static void hear_displayd(uint64_t now_ns)
{
	link_read(&server.link);
	server.next_ns = now_ns + TURN_NS;
}

/* ---- the loop -------------------------------------------------------------------------------------------------- */

static bool has_more(void)
{
	return server.client && server.client->wsctx && webSocketsHasDataInBuffer(server.client);
}

static int wait_ms(uint64_t now_ns)
{
	uint64_t until_ns = now_ns < server.next_ns ? server.next_ns : now_ns + CLOCK_NS_PER_S;

	if (now_ns < server.picture_ns && server.picture_ns < until_ns)
		until_ns = server.picture_ns;
	return has_more() ? 0 : (int)((until_ns - now_ns) / CLOCK_NS_PER_MS + 1);
}

/* A guest may show thousands of frames a second: nobody needs to hear of each. */
static void turn(uint64_t now_ns)
{
	const bool rests = now_ns < server.next_ns;
	struct pollfd fds[] = {
		{ .fd = server.client ? (int)server.client->sock : -1, .events = POLLIN },
		{ .fd = rests ? -1 : server.link.sock, .events = POLLIN },
		{ .fd = rests ? -1 : server.keys.sock, .events = POLLIN },
		{ .fd = VNC_DOOR, .events = POLLIN },
	};

	if (server.link.sock < 0)
		ask_door(VNC_SCREEN, &server.asked);
	if (link_wants_keys(&server.link))
		ask_door(VNC_KEYS, &server.asked_keys);
	poll(fds, sizeof(fds) / sizeof(fds[0]), wait_ms(now_ns));
	if (fds[3].revents)
		hear_door(false);
	if (fds[1].revents || fds[2].revents)
		hear_displayd(clock_ns());
	/* What it asks for is read before there is a picture for it, so that what it gets is not of long ago. */
	if (server.client)
		rfbCheckFds(server.screen, 0);
	take_picture();
	send_picture();
	link_flush(&server.link);
}

static bool is_slow_to_greet(uint64_t until_ns)
{
	return server.client && server.client->state != RFB_NORMAL && clock_ns() > until_ns;
}

/* Nothing stays pressed. */
static void say_goodbye(void)
{
	const uint64_t until_ns = clock_ns() + FAREWELL_NS;

	keyboard_release_all(&server.keyboard, &server.link);
	do {
		link_flush(&server.link);
		if (link_is_idle(&server.link))
			return;
		turn(clock_ns());
	} while (clock_ns() < until_ns);
}

/* ---- set-up ---------------------------------------------------------------------------------------------------- */

static void quiet(const char *format, ...)
{
	(void)format;
}

static int make_screen(void)
{
	static char *passwords[2];
	rfbScreenInfoPtr s;

	rfbLog = rfbErr = quiet;
	rfbMaxClientWait = STUCK_MS;
	s = server.screen = rfbGetScreen(NULL, NULL, LAYOUT_FRAME_WIDTH, LAYOUT_FRAME_HEIGHT, 8, 3, BYTES);
	if (!s)
		return -ENOMEM;
	s->port = s->ipv6port = s->udpPort = 0;
	s->autoPort = FALSE;
	s->frameBuffer = calloc((size_t)s->width * (size_t)s->height, BYTES);
	server.fresh = calloc((size_t)s->width * (size_t)s->height, BYTES);
	s->desktopName = "bulkhead";
	s->cursor = NULL;
	s->deferUpdateTime = 0;
	s->alwaysShared = TRUE;
	s->permitFileTransfer = FALSE;
	s->kbdAddEvent = on_key;
	s->ptrAddEvent = on_pointer;
	s->setXCutText = on_cut_text;
	set_format();
	passwords[0] = server.hello.password;
	if (*server.hello.password) {
		s->authPasswdData = passwords;
		s->passwordCheck = rfbCheckPasswordByList;
	}
	return s->frameBuffer && server.fresh ? 0 : -ENOMEM;
}

/* What a library of ciphers wants to look at, it looks at before the fence is closed. */
static void warm_up(void)
{
	unsigned char bytes[16];

	rfbRandomBytes(bytes);
	rfbEncryptBytes(bytes, server.hello.password);
}

/* A browser's first line: whoever does not know the token gets nothing. */
static bool knows_token(void)
{
	struct pollfd p = { .fd = VNC_VIEWER, .events = POLLIN };
	char line[VNC_TOKEN_MAX + 16] = "", wanted[VNC_TOKEN_MAX + 16] = "GET /";

	if (!*server.hello.token)
		return true;
	strcat(wanted, server.hello.token);
	strcat(wanted, " ");
	if (poll(&p, 1, PEEK_MS) != 1)
		return false;
	return recv(VNC_VIEWER, line, strlen(wanted), MSG_PEEK) == (ssize_t)strlen(wanted) && !strcmp(line, wanted);
}

static void fit(void)
{
	uint32_t width, height;

	if (link_size(&server.link, &width, &height))
		resize(width, height);
}

static int set_up(void)
{
	int fds[PACKET_FDS], rc = packet_recv(VNC_DOOR, &server.hello, sizeof(server.hello), fds, true);

	server.hello.password[VNC_PASSWORD_MAX] = server.hello.token[VNC_TOKEN_MAX] = 0;
	if (!rc)
		rc = link_init(&server.link, 0);
	if (!rc)
		rc = link_init(&server.keys, 0);
	server.link.keys = &server.keys;
	if (!rc)
		rc = make_screen();
	if (rc)
		return rc;
	warm_up();
	rc = sandbox_enter_setup(SANDBOX_VNC, (enum sandbox_mode)server.hello.sandbox, NULL);
	if (rc)
		return rc;
	ask_door(VNC_SCREEN, &server.asked);
	hear_door(true);
	if (!server.link.picture || !knows_token())
		return -EPROTO;
	fit();
	server.client = rfbNewClient(server.screen, VNC_VIEWER);
	if (!server.client)
		return -ECONNRESET;
	server.client->clientGoneHook = on_gone;
	return sandbox_enter_run(SANDBOX_VNC, (enum sandbox_mode)server.hello.sandbox);
}

_Noreturn void vnc_serve(void)
{
	uint64_t until_ns;

	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_NAME, "bh-vnc", 0, 0, 0);
	if (set_up())
		_exit(1);
	until_ns = clock_ns() + GREETING_NS;
	while (server.client && !is_slow_to_greet(until_ns))
		turn(clock_ns());
	say_goodbye();
	_exit(0);
}
