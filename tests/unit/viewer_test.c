/* SPDX-License-Identifier: MIT */
/* What viewers of the screen share: keysyms, a keyboard, a connection to displayd; and where VNC listens. */
#include "vmm/common/vnc_place.h"
#include "vmm/view/scancode.h"
#include "vmm/viewer/keyboard.h"
#include "vmm/viewer/keysym.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static struct link l;
static struct keyboard keyboard;

/* displayd's end. */
static int attach(void)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	if (!l.picture) { /* none is looked at here */
		static struct picture none;

		l.picture = &none;
	}
	cr_assert_eq(link_attach(&l, pair[0], dup(pair[1])), 0);
	return pair[1];
}

static struct screen_packet take(int end)
{
	struct screen_packet p = { 0 };

	cr_assert_geq(recv(end, &p, sizeof(p), MSG_DONTWAIT), SCREEN_PACKET_HEAD);
	return p;
}

static void say(int end, enum screen_type type, uint64_t number)
{
	const struct screen_packet p = { .type = (uint16_t)type, .number = number };

	cr_assert_eq(send(end, &p, SCREEN_PACKET_HEAD, 0), SCREEN_PACKET_HEAD);
	cr_assert_eq(link_read(&l), 0);
}

static int join(void)
{
	int end;

	cr_assert_eq(link_init(&l, SCREEN_PACED), 0);
	end = attach();
	cr_expect_eq(take(end).type, SCREEN_JOIN);
	return end;
}

/* screen.h: the first packet is JOIN, input is numbered from 1 on, and answered when it is in the journal. */
Test(viewer, events_wait_for_welcome_and_for_each_other)
{
	int end = join();
	struct screen_packet p;

	link_push(&l, SCREEN_EV_KEY, KEY_A, 1);
	link_flush(&l);
	cr_expect_lt(recv(end, &p, sizeof(p), MSG_DONTWAIT), 0, "it has not been welcomed");
	say(end, SCREEN_WELCOME, 0);
	link_flush(&l);
	p = take(end);
	cr_expect(p.type == SCREEN_INPUT && p.number == 1 && p.count == 1 && p.events[0].code == KEY_A);
	link_push(&l, SCREEN_EV_KEY, KEY_A, 0);
	link_flush(&l);
	cr_expect_lt(recv(end, &p, sizeof(p), MSG_DONTWAIT), 0, "the first one is not answered");
	say(end, SCREEN_TAKEN, 1);
	link_flush(&l);
	cr_expect_eq(take(end).number, 2);
	close(end);
}

/* What was under way when displayd died is sent again under the same nonce if it was not taken, and not if it was. */
Test(viewer, nothing_is_lost_or_comes_twice)
{
	int end = join();

	say(end, SCREEN_WELCOME, 0);
	link_push(&l, SCREEN_EV_KEY, KEY_A, 1);
	link_flush(&l);
	cr_expect_eq(take(end).number, 1);
	close(end);
	cr_expect_eq(link_read(&l), -ECONNRESET);
	end = attach();
	cr_expect_eq(take(end).number, l.nonce);
	say(end, SCREEN_WELCOME, 0);
	cr_expect_eq(take(end).number, 1, "again");
	close(end);
	link_read(&l);
	end = attach();
	take(end);
	say(end, SCREEN_WELCOME, 1);
	cr_expect_not(l.owed, "it came through");
	close(end);
}

Test(viewer, a_guest_that_takes_nothing_costs_no_more)
{
	link_init(&l, 0);
	for (unsigned i = 0; i < 3 * LINK_QUEUE; i++)
		link_point(&l, i, i);
	cr_expect_leq(l.count, LINK_QUEUE);
	cr_expect_eq(l.queue[l.count - 1].value, 3 * LINK_QUEUE - 1, "the last place of the mouse counts");
	cr_expect_eq(l.dropped, 0);
	for (unsigned i = 0; i < LINK_QUEUE; i++)
		link_type(&l, 'A');
	cr_expect_leq(l.count, LINK_QUEUE);
	cr_expect(l.queue[l.count - 1].value == 0, "no key stays down");
}

/* X11's list of keysyms, and input-event-codes.h. */
Test(viewer, keysyms)
{
	static const struct {
		uint32_t keysym;
		uint16_t code;
		bool shift;
	} rows[] = {
		{ 'a', KEY_A, false },	    { 'A', KEY_A, true },	 { '?', KEY_SLASH, true },
		{ '0', KEY_0, false },	    { ' ', KEY_SPACE, false },	 { 0xff0d, KEY_ENTER, false },
		{ 0xffbe, KEY_F1, false },  { 0xffc7, KEY_F10, false },	 { 0xffc8, KEY_F11, false },
		{ 0xffc9, KEY_F12, false }, { 0xff51, KEY_LEFT, false }, { 0xffff, KEY_DELETE, false },
		{ 0xe4, 0, false },	    { 0x1f, 0, false },		 { 0xffffffff, 0, false },
		{ 0x7f, 0, false },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct keysym_key k = keysym_find(rows[i].keysym);

		cr_expect(k.code == rows[i].code && k.shift == rows[i].shift, "keysym %x: code %u", rows[i].keysym, k.code);
	}
}

/* HID Usage Tables, keyboard page. */
Test(viewer, places_of_keys)
{
	static const struct {
		unsigned usage;
		uint16_t code;
	} rows[] = {
		{ 0x04, KEY_A },
		{ 0x1d, KEY_Z },
		{ 0x1e, KEY_1 },
		{ 0x27, KEY_0 },
		{ 0x28, KEY_ENTER },
		{ 0x31, KEY_BACKSLASH },
		{ 0x39, KEY_CAPSLOCK },
		{ 0x3a, KEY_F1 },
		{ 0x45, KEY_F12 },
		{ 0x49, KEY_INSERT },
		{ 0x4f, KEY_RIGHT },
		{ 0x52, KEY_UP },
		{ 0x53, KEY_NUMLOCK },
		{ 0x58, KEY_KPENTER },
		{ 0x59, KEY_KP1 },
		{ 0x63, KEY_KPDOT },
		{ 0x64, KEY_102ND },
		{ 0x73, KEY_F24 },
		{ 0xe0, KEY_LEFTCTRL },
		{ 0xe7, KEY_RIGHTMETA },
		{ 0, 0 },
		{ 0xe8, 0 },
		{ 511, 0 },
		{ 0xffffffff, 0 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(scancode_key(rows[i].usage), rows[i].code, "usage %x", rows[i].usage);
}

/* The guest's view of it: a list of "+code" and "-code". */
static const char *told(void)
{
	static char text[200];
	size_t n = 0;

	text[0] = 0;
	for (unsigned i = 0; i < l.count; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%c%u ", l.queue[i].value ? '+' : '-', l.queue[i].code);
	l.count = 0;
	return text;
}

Test(viewer, shift_as_the_character_needs_it)
{
	link_init(&l, 0);
	keyboard_keysym(&keyboard, &l, 'A', true);
	keyboard_keysym(&keyboard, &l, 'A', false);
	cr_expect_str_eq(told(), "+42 +30 -42 -30 ");
	keyboard_keysym(&keyboard, &l, 0xffe1, true);
	keyboard_keysym(&keyboard, &l, '/', true);
	keyboard_keysym(&keyboard, &l, '/', false);
	cr_expect_str_eq(told(), "+42 -42 +53 +42 -53 ");
	keyboard_keysym(&keyboard, &l, 0xffe3, true); /* a shortcut is of keys, not of characters */
	keyboard_keysym(&keyboard, &l, 'c', true);
	cr_expect_str_eq(told(), "+29 +46 ");
	keyboard_release_all(&keyboard, &l);
	cr_expect_str_eq(told(), "-29 -42 -46 ");
	keyboard_release_all(&keyboard, &l);
	cr_expect_str_eq(told(), "");
}

Test(viewer, vnc_places)
{
	static const struct {
		const char *text;
		int rc;
		const char *socket;
		uint16_t port;
	} rows[] = {
		{ "127.0.0.1:1", 0, "", 5901 },
		{ "127.0.0.1:0", 0, "", 5900 },
		{ "127.0.0.1:5999", 0, "", 5999 },
		{ "127.9.9.9:99", 0, "", 5999 },
		{ "/tmp/vnc", 0, "/tmp/vnc", 0 },
		{ "./a:1", 0, "./a:1", 0 },
		{ "vnc", 0, "vnc", 0 },
		{ "/tmp/vnc,paste=off", 0, "/tmp/vnc", 0 },
		{ "0.0.0.0:1", -EINVAL, "", 0 },
		{ "0.0.0.0:1,password-file=p", 0, "", 5901 },
		{ "127.0.0.1:", -EINVAL, "", 0 },
		{ "127.0.0.1:-1", -EINVAL, "", 0 },
		{ "127.0.0.1:65536", -EINVAL, "", 0 },
		{ "127.0.0.1:1 ", -EINVAL, "", 0 },
		{ "", -EINVAL, "", 0 },
		{ "/tmp/vnc,", -EINVAL, "", 0 },
		{ "/tmp/vnc,password-file=", -EINVAL, "", 0 },
		{ "::1:1", -EINVAL, "", 0 },
		{ "host:1", -EINVAL, "", 0 },
	};
	char error[VNC_ERROR_MAX];
	struct vnc_place place;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = vnc_place_parse(rows[i].text, &place, error);

		cr_expect_eq(rc, rows[i].rc, "%s", rows[i].text);
		if (!rc)
			cr_expect(!strcmp(place.socket, rows[i].socket) && place.port == rows[i].port, "%s", rows[i].text);
	}
}
