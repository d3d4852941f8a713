/* SPDX-License-Identifier: MIT */
/* Commands of the remote serial protocol: session.h, and gdb's manual, "Packets". */
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BODY_MAX = PACKET_MAX, MEMORY_MAX = BODY_MAX / 2 - 8, SIGNAL_INT = 2, SIGNAL_TRAP = 5 };

/* ---- answers --------------------------------------------------------------------------------------------------- */

static void send_last(struct session *s)
{
	s->target->send(s->target->ctx, s->last, s->last_len);
}

static void reply_bytes(struct session *s, const char *body, size_t len)
{
	s->last_len = packet_make(s->last, sizeof(s->last), body, len);
	send_last(s);
}

static void reply(struct session *s, const char *body)
{
	reply_bytes(s, body, strlen(body));
}

/* The number is an errno's: nobody but a reader of logs looks at it. */
static void reply_result(struct session *s, int err)
{
	char text[8];

	snprintf(text, sizeof(text), "E%02x", (unsigned)-err & 0xff);
	reply(s, err ? text : "OK");
}

static const char *describe_point(const struct engine_point *p, char text[64])
{
	static const char *const names[] = {
		[ENGINE_POINT_WRITE] = "watch", [ENGINE_POINT_READ] = "rwatch", [ENGINE_POINT_ACCESS] = "awatch"
	};

	if (p->kind == ENGINE_POINT_SOFT)
		return "swbreak:;";
	if (p->kind == ENGINE_POINT_HARD)
		return "hwbreak:;";
	snprintf(text, 64, "%s:%llx;", p->kind < ENGINE_POINT_KINDS ? names[p->kind] : "watch", (unsigned long long)p->address);
	return text;
}

static void reply_stop(struct session *s)
{
	unsigned signal = s->hit.why == ENGINE_HIT_NONE ? SIGNAL_INT : SIGNAL_TRAP;
	char body[128], point[64];

	snprintf(body, sizeof(body), "T%02xthread:%x;%s", signal, s->stopped_by + 1,
		 s->hit.why == ENGINE_HIT_POINT ? describe_point(&s->hit.point, point) : "");
	reply(s, body);
}

/* ---- holding and going ----------------------------------------------------------------------------------------- */

static int go(struct session *s, uint64_t step, uint64_t stay)
{
	struct engine_debug want = { .step = step, .stay = stay };
	int err;

	want.count = points_list(&s->points, want.point);
	err = s->target->go(s->target->ctx, &want);
	if (!err) {
		s->held = false;
		s->step = step;
	}
	return err;
}

static void resume(struct session *s, uint64_t step, uint64_t stay)
{
	int err = go(s, step, stay);

	s->owes_stop = !err;
	if (err)
		reply_result(s, err);
}

void session_held(struct session *s, unsigned vcpu, const struct engine_hit *hit)
{
	s->held = true;
	s->hit = *hit;
	s->stopped_by = vcpu < s->target->vcpus ? vcpu : 0;
	s->vcpu = s->stopped_by;
	if (s->owes_stop)
		reply_stop(s);
	s->owes_stop = false;
}

/* Of the guest that was, nothing is left; whoever had it running finds the new one running. */
void session_reborn(struct session *s)
{
	bool running = !s->held;

	s->held = true;
	s->hit = (struct engine_hit){ 0 };
	s->vcpu = s->stopped_by = 0;
	if (running && go(s, 0, 0) && s->owes_stop) {
		reply_stop(s); /* a point cannot be set yet: its user decides */
		s->owes_stop = false;
	}
}

static void let_go(struct session *s)
{
	static const struct engine_debug nothing;

	s->points.count = 0;
	s->over = true;
	s->target->go(s->target->ctx, &nothing);
}

void session_close(struct session *s)
{
	if (!s->over)
		let_go(s);
}

void session_ended(struct session *s)
{
	if (s->owes_stop)
		reply(s, "W00");
	s->over = true;
}

/* ---- commands -------------------------------------------------------------------------------------------------- */

static void cmd_why(struct session *s, const char *args, size_t len)
{
	if (s->held)
		reply_stop(s);
	else
		s->owes_stop = true;
}

static void cmd_continue(struct session *s, const char *args, size_t len)
{
	resume(s, 0, 0);
}

static void cmd_step(struct session *s, const char *args, size_t len)
{
	resume(s, 1ull << s->vcpu, 0);
}

static void cmd_detach(struct session *s, const char *args, size_t len)
{
	let_go(s);
	reply(s, "OK");
}

static void cmd_kill(struct session *s, const char *args, size_t len)
{
	s->over = true;
	s->target->kill(s->target->ctx);
}

static void cmd_get_all(struct session *s, const char *args, size_t len)
{
	static struct engine_state state;
	static uint8_t bytes[REGISTERS_MAX];
	static char hex[2 * REGISTERS_MAX];
	const unsigned size = registers_size();
	int err = s->target->get(s->target->ctx, s->vcpu, &state);

	if (err || size > sizeof(bytes)) {
		reply_result(s, err ? err : -ENOSPC);
		return;
	}
	registers_get_all(&state, bytes);
	hex_write(hex, bytes, size);
	reply_bytes(s, hex, 2 * (size_t)size);
}

static void cmd_set_all(struct session *s, const char *args, size_t len)
{
	static struct engine_state state;
	static uint8_t bytes[REGISTERS_MAX];
	const unsigned size = registers_size();
	int err = -EINVAL;

	if (size <= sizeof(bytes) && len == 2 * (size_t)size && hex_read(bytes, args, size))
		err = s->target->get(s->target->ctx, s->vcpu, &state);
	if (!err) {
		registers_set_all(&state, bytes);
		err = s->target->set(s->target->ctx, s->vcpu, &state);
	}
	reply_result(s, err);
}

static void cmd_get_one(struct session *s, const char *args, size_t len)
{
	static struct engine_state state;
	uint8_t bytes[REGISTER_MAX];
	char hex[2 * REGISTER_MAX];
	uint64_t number;
	int err = -EINVAL;

	if (hex_number(&args, &number) && number < REGISTERS_MAX && register_size((unsigned)number))
		err = s->target->get(s->target->ctx, s->vcpu, &state);
	if (err) {
		reply_result(s, err);
		return;
	}
	len = register_get(&state, (unsigned)number, bytes);
	hex_write(hex, bytes, len);
	reply_bytes(s, hex, 2 * len);
}

static void cmd_set_one(struct session *s, const char *args, size_t len)
{
	static struct engine_state state;
	uint8_t bytes[REGISTER_MAX];
	unsigned size = 0;
	uint64_t number;
	int err = -EINVAL;

	if (hex_until(&args, '=', &number) && number < REGISTERS_MAX)
		size = register_size((unsigned)number);
	if (size && strlen(args) == 2 * (size_t)size && hex_read(bytes, args, size))
		err = s->target->get(s->target->ctx, s->vcpu, &state);
	if (!err) {
		register_set(&state, (unsigned)number, bytes);
		err = s->target->set(s->target->ctx, s->vcpu, &state);
	}
	reply_result(s, err);
}

static void cmd_read(struct session *s, const char *args, size_t len)
{
	static uint8_t bytes[MEMORY_MAX];
	static char hex[2 * MEMORY_MAX];
	uint64_t address, size;
	size_t got = 0;
	int err = -EINVAL;

	if (hex_until(&args, ',', &address) && hex_number(&args, &size))
		err = s->target->read(s->target->ctx, s->vcpu, s->physical, address, bytes,
				      size < sizeof(bytes) ? (size_t)size : sizeof(bytes), &got);
	if (err) {
		reply_result(s, err);
		return;
	}
	hex_write(hex, bytes, got);
	reply_bytes(s, hex, 2 * got);
}

/* ADDRESS,SIZE: and then the bytes. */
static bool take_place(const char **args, uint64_t *address, uint64_t *size)
{
	return hex_until(args, ',', address) && hex_until(args, ':', size);
}

static void cmd_write(struct session *s, const char *args, size_t len)
{
	static uint8_t bytes[MEMORY_MAX];
	uint64_t address, size;
	int err = -EINVAL;

	if (take_place(&args, &address, &size) && size <= sizeof(bytes) && hex_read(bytes, args, (size_t)size))
		err = s->target->write(s->target->ctx, s->vcpu, s->physical, address, bytes, (size_t)size);
	reply_result(s, err);
}

static void cmd_write_binary(struct session *s, const char *args, size_t len)
{
	const char *end = args + len;
	uint64_t address, size;
	int err = -EINVAL;

	if (take_place(&args, &address, &size) && size == (uint64_t)(end - args))
		err = size ? s->target->write(s->target->ctx, s->vcpu, s->physical, address, args, (size_t)size) : 0;
	reply_result(s, err);
}

static bool take_point(const char *args, uint64_t v[3])
{
	return hex_until(&args, ',', &v[0]) && hex_until(&args, ',', &v[1]) && hex_number(&args, &v[2]);
}

/* KVM's software breakpoints may change memory: where there is none, it is better said now than when the guest is to go on. A
 * hardware breakpoint can be where nothing is yet. */
static int probe(struct session *s, uint64_t kind, uint64_t address)
{
	uint8_t byte;
	size_t got;

	if (!s->target->kvm || kind != ENGINE_POINT_SOFT)
		return 0;
	return s->target->read(s->target->ctx, s->vcpu, false, address, &byte, 1, &got);
}

static void cmd_set_point(struct session *s, const char *args, size_t len)
{
	uint64_t v[3];
	int err = -EINVAL;

	if (take_point(args, v) && v[0] < ENGINE_POINT_KINDS)
		err = probe(s, v[0], v[1]);
	if (!err)
		err = points_add(&s->points, (unsigned)v[0], v[1], v[2], s->target->kvm);
	reply_result(s, err);
}

static void cmd_clear_point(struct session *s, const char *args, size_t len)
{
	uint64_t v[3];
	bool valid = take_point(args, v) && v[0] < ENGINE_POINT_KINDS;

	if (valid)
		points_remove(&s->points, (unsigned)v[0], v[1], v[2]);
	reply_result(s, valid ? 0 : -EINVAL);
}

/* Threads are vCPUs, counted from 1; 0 and -1 leave the choice to us. */
static void cmd_thread(struct session *s, const char *args, size_t len)
{
	uint64_t n = 0;
	const char *at = len ? args + 1 : args;

	if (*at != '-' && (!hex_number(&at, &n) || n > s->target->vcpus)) {
		reply_result(s, -EINVAL);
		return;
	}
	if (n && args[0] == 'g')
		s->vcpu = (unsigned)n - 1;
	reply(s, "OK");
}

static void cmd_is_alive(struct session *s, const char *args, size_t len)
{
	uint64_t n;

	reply_result(s, hex_number(&args, &n) && n >= 1 && n <= s->target->vcpus ? 0 : -EINVAL);
}

/*
 * ;ACTION[:THREAD]...: the first that fits a thread counts; one that none fits stands still. gdb counts on that: to get over a
 * breakpoint it takes all of them out and steps one thread, while the others must not run past them.
 */
static void cmd_cont(struct session *s, const char *args, size_t len)
{
	uint64_t step = 0, decided = 0;
	const uint64_t all = s->target->vcpus < 64 ? (1ull << s->target->vcpus) - 1 : ~0ull;

	while (*args == ';') {
		uint64_t those = all;
		char action = args[1];
		uint64_t thread;

		args += action ? 2 : 1;
		args += strcspn(args, ":;"); /* of C and S: a signal, which means nothing to a machine */
		if (*args == ':') {
			args++;
			if (*args != '-' && hex_number(&args, &thread) && thread >= 1 && thread <= s->target->vcpus)
				those = 1ull << (thread - 1);
			args += strcspn(args, ";");
		}
		if (action == 's' || action == 'S')
			step |= those & ~decided;
		decided |= those;
	}
	resume(s, step, all & ~decided);
}

/* ---- queries --------------------------------------------------------------------------------------------------- */

static void query_supported(struct session *s, const char *args, size_t len)
{
	char body[160];

	snprintf(body, sizeof(body), "PacketSize=%x;qXfer:features:read+;swbreak+;hwbreak+;QStartNoAckMode+;vContSupported+",
		 PACKET_MAX);
	reply(s, body);
}

static void query_attached(struct session *s, const char *args, size_t len)
{
	reply(s, "1"); /* so that gdb detaches when it quits */
}

static void query_threads(struct session *s, const char *args, size_t len)
{
	char body[256] = "m1";
	size_t at = 2;

	for (unsigned n = 2; n <= s->target->vcpus && at < sizeof(body) - 8; n++) /* all 64 take 247 */
		at += (size_t)snprintf(body + at, sizeof(body) - at, ",%x", n);
	reply(s, body);
}

static void query_no_more(struct session *s, const char *args, size_t len)
{
	reply(s, "l");
}

static void query_thread(struct session *s, const char *args, size_t len)
{
	char body[16];

	snprintf(body, sizeof(body), "QC%x", s->vcpu + 1);
	reply(s, body);
}

static void query_thread_name(struct session *s, const char *args, size_t len)
{
	uint64_t n = 0;
	char name[16], hex[33];

	hex_number(&args, &n);
	snprintf(name, sizeof(name), "vcpu %u", (unsigned)n - 1);
	hex_write(hex, name, strlen(name));
	reply_bytes(s, hex, 2 * strlen(name));
}

/* target.xml:OFFSET,LENGTH */
static void query_features(struct session *s, const char *args, size_t len)
{
	static char body[BODY_MAX / 2];
	uint64_t at, size;

	if (strncmp(args, "target.xml:", 11)) {
		reply(s, "E00");
		return;
	}
	args += 11;
	if (!hex_until(&args, ',', &at) || !hex_number(&args, &size) || at > s->xml_len) {
		reply_result(s, -EINVAL);
		return;
	}
	if (size > sizeof(body) - 1)
		size = sizeof(body) - 1;
	if (size > s->xml_len - at)
		size = s->xml_len - at;
	body[0] = at + size < s->xml_len ? 'm' : 'l';
	memcpy(body + 1, s->xml + at, (size_t)size);
	reply_bytes(s, body, (size_t)size + 1);
}

static void query_monitor(struct session *s, const char *args, size_t len)
{
	static char text[BODY_MAX / 2], hex[BODY_MAX];
	char command[256];

	if (len % 2 || len / 2 >= sizeof(command) || !hex_read(command, args, len / 2)) {
		reply_result(s, -EINVAL);
		return;
	}
	command[len / 2] = 0;
	monitor_run(s, command, text, sizeof(text) - 1);
	hex_write(hex, text, strlen(text));
	if (text[0])
		reply_bytes(s, hex, 2 * strlen(text));
	else
		reply(s, "OK");
}

static void set_no_ack(struct session *s, const char *args, size_t len)
{
	reply(s, "OK");
	s->no_ack = true;
}

static void query_cont(struct session *s, const char *args, size_t len)
{
	reply(s, "vCont;c;C;s;S");
}

static void kill_politely(struct session *s, const char *args, size_t len)
{
	reply(s, "OK");
	cmd_kill(s, args, len);
}

/* Longer beginnings before the shorter ones that they begin with. */
static const struct {
	const char *begins;
	void (*run)(struct session *s, const char *args, size_t len);
} commands[] = {
	{ "?", cmd_why },	    { "c", cmd_continue },	{ "C", cmd_continue },	   { "D", cmd_detach },
	{ "g", cmd_get_all },	    { "G", cmd_set_all },	{ "H", cmd_thread },	   { "k", cmd_kill },
	{ "m", cmd_read },	    { "M", cmd_write },		{ "p", cmd_get_one },	   { "P", cmd_set_one },
	{ "s", cmd_step },	    { "S", cmd_step },		{ "T", cmd_is_alive },	   { "X", cmd_write_binary },
	{ "z", cmd_clear_point },   { "Z", cmd_set_point },	{ "vCont?", query_cont },  { "vCont", cmd_cont },
	{ "vKill", kill_politely }, { "qAttached", query_attached }, { "qC", query_thread }, { "qfThreadInfo", query_threads },
	{ "qsThreadInfo", query_no_more }, { "qThreadExtraInfo,", query_thread_name }, { "qRcmd,", query_monitor },
	{ "qSupported", query_supported }, { "qXfer:features:read:", query_features }, { "QStartNoAckMode", set_no_ack },
};

static void run(struct session *s, const char *body, size_t len)
{
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		size_t n = strlen(commands[i].begins);

		if (strncmp(body, commands[i].begins, n))
			continue;
		commands[i].run(s, body + n, len - n);
		return;
	}
	reply(s, "");
}

/* ---- the connection -------------------------------------------------------------------------------------------- */

static void acknowledge(struct session *s, const char *how)
{
	if (!s->no_ack)
		s->target->send(s->target->ctx, how, 1);
}

static void interrupt(struct session *s)
{
	s->owes_stop = true;
	if (s->held)
		session_held(s, s->stopped_by, &s->hit);
	else
		s->target->hold(s->target->ctx);
}

bool session_take(struct session *s, const void *bytes, size_t len)
{
	const uint8_t *in = bytes;

	for (size_t i = 0; i < len && !s->over; i++) {
		switch (packet_feed(&s->reader, in[i])) {
		case PACKET_NOTHING:
		case PACKET_ACK:
			break;
		case PACKET_NACK:
			if (!s->no_ack && s->last_len)
				send_last(s);
			break;
		case PACKET_BAD:
			acknowledge(s, "-");
			break;
		case PACKET_INTERRUPT:
			interrupt(s);
			break;
		case PACKET_WHOLE:
			acknowledge(s, "+");
			run(s, s->reader.body, s->reader.len);
			break;
		}
	}
	return !s->over;
}

void session_open(struct session *s, const struct target *target)
{
	memset(s, 0, sizeof(*s));
	s->target = target;
	s->xml_len = registers_describe(s->xml);
	target->hold(target->ctx);
}
