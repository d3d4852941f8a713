/* SPDX-License-Identifier: MIT */
/*
 * What stands between a child that was taken over and the supervisor that listens to it: how much it may say, and what
 * of its words reaches a terminal, a log or a client.
 */
#include "trust.h"

#include "../../proto/clock.h"

#include <string.h>

#define TYPE(x) BULKHEAD__MESSAGE_TYPE__MSG_##x

bool budget_allows(struct budget *b, unsigned limit, uint64_t window_ns)
{
	uint64_t now = clock_ns();

	if (!b->since_ns || now - b->since_ns >= window_ns) {
		b->since_ns = now;
		b->used = 0;
		b->refused_before = b->refused;
		b->refused = 0;
	}
	if (b->used < limit) {
		b->used++;
		return true;
	}
	b->refused++;
	return false;
}

unsigned budget_take_refused(struct budget *b)
{
	unsigned n = b->refused_before;

	b->refused_before = 0;
	return n;
}

/* Printable ASCII, and of UTF-8 whatever cannot be a C1 control character, which some terminals obey as ESC. */
static bool is_harmless(uint8_t c, uint8_t before)
{
	if (c < 0x20 || c == 0x7f)
		return false;
	return c < 0x80 || c >= 0xa0 || (before >= 0x80 && before != 0xc2);
}

void trust_text(char *text, bool lines)
{
	uint8_t before = 0;

	for (; text && *text; text++) {
		uint8_t c = (uint8_t)*text;

		if (!is_harmless(c, before) && !(lines && c == '\n'))
			*text = '?';
		before = c;
	}
}

/* Fields that we do not know are kept by the decoder as pointers into the frame: whoever keeps the message, keeps those. */
static void forget_unknown(ProtobufCMessage *m)
{
	m->n_unknown_fields = 0;
	m->unknown_fields = NULL;
}

static void trust_ok(Bulkhead__Ok *ok)
{
	if (ok->hello)
		trust_text(ok->hello->version, false);
	if (ok->entry) {
		trust_text(ok->entry->format, false);
		trust_text(ok->entry->note, false);
	}
	for (size_t i = 0; i < ok->n_sandbox_missing; i++)
		trust_text(ok->sandbox_missing[i], false);
	for (size_t i = 0; i < ok->n_cpu_features; i++)
		trust_text(ok->cpu_features[i], false);
	if (ok->stats)
		forget_unknown(&ok->stats->base);
}

/* A register dump has several lines; anything else with a line feed in it would forge log lines. */
static bool has_lines(const Bulkhead__Event *e)
{
	return e->type == BULKHEAD__EVENT_TYPE__EVENT_TRIPLE_FAULT || e->type == BULKHEAD__EVENT_TYPE__EVENT_ENGINE_ERROR;
}

void trust_message(struct frame *f)
{
	switch (f->header.type) {
	case TYPE(OK):
		trust_ok((Bulkhead__Ok *)f->msg);
		break;
	case TYPE(ERROR):
		trust_text(((Bulkhead__Error *)f->msg)->text, false);
		trust_text(((Bulkhead__Error *)f->msg)->field, false);
		break;
	case TYPE(EVENT):
		trust_text(((Bulkhead__Event *)f->msg)->text, has_lines((Bulkhead__Event *)f->msg));
		break;
	default:
		break;
	}
}
