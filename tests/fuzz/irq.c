/* SPDX-License-Identifier: MIT */
/* 8259 pair and IOAPIC: registers, wires, acknowledges, EOIs. Every message it sends must be one that the reader takes. */
#include "devices/irq_model.h"
#include "model.h"
#include "proto/msi.h"

static void wires(void *state, struct input *in)
{
	struct irq_state *s = state;
	uint32_t words[MODEL_LINES];
	unsigned what = (unsigned)take(in, 1), n = what % MODEL_LINES;

	memcpy(words, s->words, sizeof(words));
	if (what & 0x80)
		words[n] = (uint32_t)take(in, 4); /* a device gone mad */
	else
		words[n] = line_set(words[n], what & 0x40);
	irq_model_set_lines(state, words);
}

static void take_messages(void *state)
{
	struct irq_message m;
	unsigned count = 0;

	while (irq_model_take_message(state, &m)) {
		CHECK(m.pin < MODEL_LINES);
		CHECK(++count <= 1000, "messages without end");
	}
}

static void processor(void *state, struct input *in, uint64_t now)
{
	struct pic_output o = irq_model_pic_output(state);
	unsigned what = (unsigned)take(in, 1);

	switch (what & 7) {
	case 0 ... 2:
		wires(state, in);
		break;
	case 3:
		irq_model_intack(state, o.seq - (what >> 5));
		break;
	case 4:
		irq_model_intack(state, (uint32_t)take(in, 4));
		break;
	case 5:
		irq_model_eoi(state, (uint8_t)take(in, 1));
		break;
	default:
		take_messages(state);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct model_target target = { &irq_model, processor, 0, 0 };

	return model_input(&target, data, size);
}
