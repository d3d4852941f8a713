/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-view: a machine's screen in a window, by SDL2. A program of its own, which `bulkhead view` runs, so that a server needs no
 * SDL. It is its user's, as the desktop is that it draws on; of the machine it gets what any viewer gets.
 */
#include "scancode.h"

#include "../cli/client.h"
#include "../common/exit_codes.h"
#include "../viewer/keyboard.h"

#include <SDL2/SDL.h>
#include <errno.h>
#include <getopt.h>
#include <linux/input-event-codes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TURN_MS = 10, ASK_MS = 5000, PASTE_MAX = 4096, FAREWELL_MS = 500, SCALE = 1 };

static struct window {
	struct machine_ref ref;
	struct link link, keys;
	struct keyboard keyboard;
	SDL_Window *window;
	SDL_Renderer *renderer;
	SDL_Texture *texture;
	uint32_t width, height; /* of the texture; 0: none yet */
	uint32_t *pixels;
	bool full_screen, grabbed, wants_grab, stale, over;
} the_window;

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

/* ---- the picture ----------------------------------------------------------------------------------------------- */

/* The guest may change it at any time. */
static int resize(struct window *w, uint32_t width, uint32_t height)
{
	uint32_t *pixels = calloc((size_t)width * height, sizeof(*pixels));
	SDL_Texture *texture =
		SDL_CreateTexture(w->renderer, SDL_PIXELFORMAT_RGB888, SDL_TEXTUREACCESS_STREAMING, (int)width, (int)height);

	if (!pixels || !texture) {
		free(pixels);
		if (texture)
			SDL_DestroyTexture(texture);
		return -ENOMEM;
	}
	if (w->texture)
		SDL_DestroyTexture(w->texture);
	free(w->pixels);
	w->texture = texture;
	w->pixels = pixels;
	w->width = width;
	w->height = height;
	SDL_RenderSetLogicalSize(w->renderer, (int)width, (int)height);
	if (!w->full_screen)
		SDL_SetWindowSize(w->window, (int)width * SCALE, (int)height * SCALE);
	return 0;
}

static void take_picture(struct window *w)
{
	uint32_t width, height;

	if (!link_is_new(&w->link) || !link_size(&w->link, &width, &height))
		return;
	if ((width != w->width || height != w->height) && resize(w, width, height))
		return;
	if (link_copy(&w->link, w->pixels, width, height))
		return;
	SDL_UpdateTexture(w->texture, NULL, w->pixels, (int)(width * sizeof(*w->pixels)));
	w->stale = true;
}

static void draw(struct window *w)
{
	if (!w->stale || !w->texture)
		return;
	SDL_SetRenderDrawColor(w->renderer, 0, 0, 0, 255);
	SDL_RenderClear(w->renderer);
	SDL_RenderCopy(w->renderer, w->texture, NULL, NULL);
	SDL_RenderPresent(w->renderer);
	w->stale = false;
}

/* ---- the machine ----------------------------------------------------------------------------------------------- */

/* 0, -EAGAIN: its display is on its way back; or as client_call(). */
static int connect_screen(struct window *w)
{
	struct frame *f = &client_frame;
	int rc = client_call(w->ref.path, BULKHEAD__MESSAGE_TYPE__MSG_SCREEN, NULL, -1, ASK_MS, f);

	if (rc)
		return client_is_put_off(rc, f) ? -EAGAIN : rc;
	if (f->fd_count == 2) {
		rc = link_attach(&w->link, f->fds[0], f->fds[1]);
		f->fds[0] = f->fds[1] = -1;
	}
	frame_close_fds(f);
	return rc ? -EAGAIN : 0;
}

/* Of a PC: without a keyboard what is typed goes nowhere. */
static void connect_keys(struct window *w)
{
	struct frame *f = &client_frame;
	int rc = client_call(w->ref.path, BULKHEAD__MESSAGE_TYPE__MSG_INPUT, NULL, -1, ASK_MS, f);

	if (rc && !client_is_put_off(rc, f))
		w->link.keys = NULL;
	if (rc)
		return;
	if (f->fd_count == 1) {
		link_attach(&w->keys, f->fds[0], -1);
		f->fds[0] = -1;
	}
	frame_close_fds(f);
}

static void keep_connected(struct window *w)
{
	int rc = 0;

	link_read(&w->link);
	if (w->link.sock < 0)
		rc = connect_screen(w);
	if (link_wants_keys(&w->link))
		connect_keys(w);
	if (rc && rc != -EAGAIN && !rundir_is_alive(w->ref.path))
		w->over = true;
	link_flush(&w->link);
}

/* ---- keyboard and mouse ---------------------------------------------------------------------------------------- */

static void set_title(struct window *w)
{
	char title[200];

	snprintf(title, sizeof(title), "%s%s", w->ref.name, w->grabbed ? " (Ctrl+Alt+G lets the mouse go)" : "");
	SDL_SetWindowTitle(w->window, title);
}

static void grab(struct window *w, bool on)
{
	w->grabbed = on;
	SDL_SetRelativeMouseMode(on);
	SDL_SetWindowKeyboardGrab(w->window, on);
	set_title(w);
}

static void set_full_screen(struct window *w, bool on)
{
	w->full_screen = on;
	SDL_SetWindowFullscreen(w->window, on ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
	w->stale = true;
}

static void paste(struct window *w)
{
	char *text = SDL_GetClipboardText();

	for (unsigned i = 0; text && text[i] && i < PASTE_MAX; i++)
		link_type(&w->link, text[i]);
	SDL_free(text);
}

/* Ours, and not the guest's: with Ctrl and Alt. What is down of these goes up in the guest first. */
static bool do_shortcut(struct window *w, const SDL_KeyboardEvent *e)
{
	const bool both = (e->keysym.mod & KMOD_CTRL) && (e->keysym.mod & KMOD_ALT);
	const SDL_Scancode code = e->keysym.scancode;

	if (!both || (code != SDL_SCANCODE_G && code != SDL_SCANCODE_F && code != SDL_SCANCODE_V && code != SDL_SCANCODE_Q))
		return false;
	if (e->type != SDL_KEYDOWN || e->repeat)
		return true;
	keyboard_release_all(&w->keyboard, &w->link);
	if (code == SDL_SCANCODE_G)
		grab(w, !w->grabbed);
	else if (code == SDL_SCANCODE_F)
		set_full_screen(w, !w->full_screen);
	else if (code == SDL_SCANCODE_V)
		paste(w);
	else
		w->over = true;
	return true;
}

static void on_key(struct window *w, const SDL_KeyboardEvent *e)
{
	uint16_t code = scancode_key(e->keysym.scancode);

	if (!do_shortcut(w, e) && code)
		keyboard_key(&w->keyboard, &w->link, code, e->type == SDL_KEYDOWN);
}

static uint32_t clamp(int v, uint32_t end)
{
	return v < 0 ? 0 : (uint32_t)v >= end ? end - 1 : (uint32_t)v;
}

/* SDL counts in the picture's pixels, however large the window is. */
static void on_motion(struct window *w, const SDL_MouseMotionEvent *e)
{
	if (!w->width)
		return;
	if (!w->grabbed) {
		link_point(&w->link, clamp(e->x, w->width), clamp(e->y, w->height));
		return;
	}
	if (e->xrel)
		link_push(&w->link, SCREEN_EV_REL, REL_X, (uint32_t)e->xrel);
	if (e->yrel)
		link_push(&w->link, SCREEN_EV_REL, REL_Y, (uint32_t)e->yrel);
}

static void on_button(struct window *w, const SDL_MouseButtonEvent *e)
{
	static const uint16_t codes[] = {
		[SDL_BUTTON_LEFT] = BTN_LEFT, [SDL_BUTTON_MIDDLE] = BTN_MIDDLE, [SDL_BUTTON_RIGHT] = BTN_RIGHT
	};

	if (e->button < sizeof(codes) / sizeof(codes[0]) && codes[e->button])
		keyboard_key(&w->keyboard, &w->link, codes[e->button], e->type == SDL_MOUSEBUTTONDOWN);
}

static void on_window(struct window *w, const SDL_WindowEvent *e)
{
	w->stale = true;
	if (e->event == SDL_WINDOWEVENT_FOCUS_LOST)
		keyboard_release_all(&w->keyboard, &w->link);
	if (e->event == SDL_WINDOWEVENT_FOCUS_GAINED && w->wants_grab) {
		w->wants_grab = false;
		grab(w, true);
	}
}

static void on_event(struct window *w, const SDL_Event *e)
{
	switch (e->type) {
	case SDL_QUIT:
		w->over = true;
		return;
	case SDL_KEYDOWN:
	case SDL_KEYUP:
		on_key(w, &e->key);
		return;
	case SDL_MOUSEMOTION:
		on_motion(w, &e->motion);
		return;
	case SDL_MOUSEBUTTONDOWN:
	case SDL_MOUSEBUTTONUP:
		on_button(w, &e->button);
		return;
	case SDL_MOUSEWHEEL:
		if (e->wheel.y)
			link_push(&w->link, SCREEN_EV_REL, SCREEN_REL_WHEEL, (uint32_t)e->wheel.y);
		return;
	case SDL_WINDOWEVENT:
		on_window(w, &e->window);
		return;
	default: /* SDL has hundreds of kinds */
		return;
	}
}

/* ---- the loop -------------------------------------------------------------------------------------------------- */

static void turn(struct window *w)
{
	SDL_Event e;
	int any = SDL_WaitEventTimeout(&e, TURN_MS);

	for (; any; any = SDL_PollEvent(&e))
		on_event(w, &e);
	keep_connected(w);
	take_picture(w);
	draw(w);
}

/* Nothing stays pressed. */
static void say_goodbye(struct window *w)
{
	keyboard_release_all(&w->keyboard, &w->link);
	for (unsigned i = 0; i < FAREWELL_MS / TURN_MS && w->link.sock >= 0 && !link_is_idle(&w->link); i++) {
		link_flush(&w->link);
		usleep(TURN_MS * 1000);
		link_read(&w->link);
	}
}

/* ---- set-up ---------------------------------------------------------------------------------------------------- */

static int no_window(const struct window *w, const char *why)
{
	const bool has_server = getenv("DISPLAY") || getenv("WAYLAND_DISPLAY");

	fprintf(stderr, "bulkhead-view: no window can be opened: %s%s\n", why,
		has_server ? "" : "; there is no display server (DISPLAY and WAYLAND_DISPLAY are not set)");
	fprintf(stderr, "bulkhead-view: bulkhead view %s --web shows it in a browser\n", w->ref.name);
	return EXIT_FAILED;
}

/* Where there is no display server, SDL draws into memory that nobody sees. */
static bool is_seen(void)
{
	const char *driver = SDL_GetCurrentVideoDriver();

	return getenv("SDL_VIDEODRIVER") || (driver && strcmp(driver, "offscreen") && strcmp(driver, "dummy"));
}

static int open_window(struct window *w)
{
	SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
	SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "nearest");
	SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
	SDL_SetHint(SDL_HINT_MOUSE_FOCUS_CLICKTHROUGH, "1");
	if (SDL_Init(SDL_INIT_VIDEO) < 0)
		return no_window(w, SDL_GetError());
	if (!is_seen())
		return no_window(w, "SDL finds no display");
	w->window = SDL_CreateWindow(w->ref.name, SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, LAYOUT_FRAME_WIDTH,
				     LAYOUT_FRAME_HEIGHT, SDL_WINDOW_RESIZABLE);
	if (w->window)
		w->renderer = SDL_CreateRenderer(w->window, -1, 0);
	if (w->window && !w->renderer)
		w->renderer = SDL_CreateRenderer(w->window, -1, SDL_RENDERER_SOFTWARE);
	if (!w->renderer)
		return no_window(w, SDL_GetError());
	SDL_SetWindowMinimumSize(w->window, 64, 64);
	if (w->full_screen)
		set_full_screen(w, true);
	return 0;
}

static const char help[] = "usage: bulkhead-view [--full-screen] [--grab] NAME\n"
			   "The screen of a running machine in a window; see bulkhead-view(1).\n";

/* -1: go on. */
static int parse(struct window *w, int argc, char **argv)
{
	static const struct option options[] = { { "full-screen", no_argument, NULL, 'f' },
						 { "grab", no_argument, NULL, 'g' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h')
			return fputs(help, stdout) < 0;
		if (c == '?')
			break;
		w->full_screen |= c == 'f';
		w->wants_grab |= c == 'g';
	}
	if (c != -1 || argc - optind != 1) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	c = client_find(argv[optind], &w->ref);
	return c ? c : -1;
}

/* A machine whose screen is full is told of before there is a window. */
static int first_connection(struct window *w)
{
	int rc = link_init(&w->link, SCREEN_PACED);

	if (!rc)
		rc = link_init(&w->keys, 0);
	w->link.keys = &w->keys;
	for (unsigned i = 0; !rc && i < ASK_MS / TURN_MS; i++) {
		rc = connect_screen(w);
		if (rc != -EAGAIN)
			break;
		usleep(TURN_MS * 1000);
		rc = 0;
	}
	return rc ? client_complain(w->ref.name, &client_frame, rc) : 0;
}

int main(int argc, char **argv)
{
	const struct sigaction end = { .sa_handler = on_signal };
	struct window *w = &the_window;
	int rc = parse(w, argc, argv);

	if (rc < 0)
		rc = first_connection(w);
	if (!rc)
		rc = open_window(w);
	if (rc)
		return rc;
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	signal(SIGPIPE, SIG_IGN);
	while (!w->over && !stopped)
		turn(w);
	say_goodbye(w);
	SDL_Quit();
	return EXIT_OK;
}
