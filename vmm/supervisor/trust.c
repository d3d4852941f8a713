/* SPDX-License-Identifier: MIT */
/*
 * What stands between a child that was taken over and the supervisor that listens to it: how much it may say, and what
 * of its words reaches a terminal, a log or a client.
 */
#include "trust.h"

#include "../../proto/clock.h"
#include "../../proto/text.h"

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

/* Fields that we do not know are kept by the decoder as pointers into the frame: whoever keeps the message, keeps those. */
static void forget_unknown(ProtobufCMessage *m)
{
	m->n_unknown_fields = 0;
	m->unknown_fields = NULL;
}

static void trust_ok(Bulkhead__Ok *ok)
{
	text_clean_message(&ok->base, TEXT_ONE_LINE);
	if (ok->stats)
		forget_unknown(&ok->stats->base);
}

static enum text_lines lines_of(const Bulkhead__Event *e)
{
	return e->type == BULKHEAD__EVENT_TYPE__EVENT_TRIPLE_FAULT || e->type == BULKHEAD__EVENT_TYPE__EVENT_ENGINE_ERROR
		       ? TEXT_REGISTERS
		       : TEXT_ONE_LINE;
}

void trust_message(struct frame *f)
{
	switch (f->header.type) {
	case TYPE(OK):
		trust_ok((Bulkhead__Ok *)f->msg);
		break;
	case TYPE(ERROR):
		text_clean_message(f->msg, TEXT_ONE_LINE);
		break;
	case TYPE(EVENT):
		text_clean_message(f->msg, lines_of((Bulkhead__Event *)f->msg));
		break;
	default:
		break;
	}
}
