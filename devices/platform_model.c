/* SPDX-License-Identifier: MIT */
/*
 * The platform daemon's model: what is left of a PC's board. Everything here is made of byte-wide ports,
 * except the PCI address register and the exit ports; wider accesses are cut into bytes, as the bus does.
 */
#include <errno.h>
#include <string.h>

#include "devices/chips/exitport.h"
#include "devices/chips/pci_bridge.h"
#include "devices/chips/pvpanic.h"
#include "devices/platform_model.h"
#include "proto/kind.h"
#include "proto/layout.h"

enum { POST_CODE_PORT = 0x80 };

/* CF8h..CFBh belong to two chips: the PCI address register takes doublewords, the reset register has byte
 * CF9h. */
static const struct reg_desc config_regs[] = {
	{.name = "CONFIG_ADDRESS",
	 .offset = 0,
	 .size = 4,
	 .readable = true,
	 .writable = true,
	 .write_mask = PCI_STUB_ADDRESS_MASK,
	 .post = REG_POSTED,
	 .class = CLASS_INDEX,
	 .shadow = REG_SHADOW_VALUE,
	 .depends = CLASS_INDEX},
	{.name = "RST_CNT",
	 .offset = ACPI_RESET_PORT - PCI_STUB_ADDRESS,
	 .size = 1,
	 .readable = true,
	 .writable = true,
	 .write_mask = ACPI_RESET_MASK,
	 .post = REG_SYNC},
};

/* Linux waits by writing here; the code means nothing to anybody. */
static const struct reg_desc post_code_reg = {
	.name = "POST_CODE",
	.offset = 0,
	.size = 1,
	.writable = true,
	.post = REG_DROPPED,
};

enum platform_range { PLATFORMD_RANGES(RANGE_ID) RANGES };
static const struct model_range ranges[RANGES] = { PLATFORMD_RANGES(RANGE_ROW) };
enum { RESET_OFFSET = ACPI_RESET_PORT - PCI_STUB_ADDRESS }; /* in CONFIG */

/*
 * A request that nobody took yet is not repeated: the first one decides what happens to the machine. Nor is there room for
 * one of each: of four at least two end it, and a fifth adds nothing.
 */
static void post_event(struct platform_state *s, enum platform_event_type type, uint8_t code)
{
	for (unsigned i = 0; i < s->event_count; i++) {
		if (s->events[i].type == type)
			return;
	}
	if (s->event_count == PLATFORM_EVENTS)
		return;
	s->events[s->event_count].type = (uint8_t)type;
	s->events[s->event_count].code = code;
	s->event_count++;
}

static void reset_if(struct platform_state *s, bool requested)
{
	if (requested)
		post_event(s, PLATFORM_RESET, 0);
}

/* Nothing is plugged into this controller. Who has a keyboard has another one (input_model.h). */
static void obey_kbc(struct platform_state *s, struct i8042_effect effect)
{
	if (effect.sends)
		i8042_no_answer(&s->kbc, effect.aux);
	reset_if(s, effect.reset);
}

static void write_pm1(struct platform_state *s, unsigned offset, uint8_t value)
{
	const int sleep = acpi_pm1_write(&s->pm1, offset, value);

	if (sleep < 0)
		return;
	if (sleep == LAYOUT_SLP_TYP_S5) {
		post_event(s, PLATFORM_POWEROFF, 0);
		return;
	}
	post_event(s, PLATFORM_SLEEP, (uint8_t)sleep);
	acpi_pm1_wake(&s->pm1);
}

static void update_lines(struct platform_state *s)
{
	s->kbd_line = line_set(s->kbd_line, i8042_irq1(&s->kbc));
	s->aux_line = line_set(s->aux_line, i8042_irq12(&s->kbc));
	s->sci_line = line_set(s->sci_line, acpi_pm1_sci(&s->pm1));
}

/* Reading the output buffer takes its interrupt down; the next byte, if there is one, is a new edge. */
static uint8_t read_kbc(struct platform_state *s)
{
	s->kbd_line = line_set(s->kbd_line, false);
	s->aux_line = line_set(s->aux_line, false);
	return i8042_read_data(&s->kbc);
}

static uint8_t read_byte(struct platform_state *s, enum platform_range range, uint32_t offset)
{
	if (offset >= ranges[range].len)
		return 0xff;
	switch (range) {
	case RANGE_PM1:
		return acpi_pm1_read(&s->pm1, offset);
	case RANGE_CONFIG:
		return offset == RESET_OFFSET ? s->pm1.reset : 0xff;
	case RANGE_KBC_DATA:
		return read_kbc(s);
	case RANGE_KBC_STATUS:
		return i8042_read_status(&s->kbc);
	case RANGE_PORT92:
		return port92_read(&s->port92);
	case RANGE_DEBUG:
	case RANGE_DEBUG_ALT:
		return DEBUGCON_PRESENT;
	case RANGE_CRTC:
		return crtc_read(&s->crtc, offset);
	case RANGE_PVPANIC:
		return pvpanic_read();
	case RANGE_PCI_DATA:
	case RANGE_DEBUG_TINY:
	case RANGE_EXIT:
	case RANGE_EXIT_ALT:
	case RANGE_EXIT_PLAIN:
	case RANGE_READY:
	case RANGE_POST_CODE:
	case RANGE_PCI_BRIDGE:
	case RANGES:
		break;
	}
	return 0xff;
}

static void write_byte(struct platform_state *s, enum platform_range range, uint32_t offset, uint8_t value)
{
	if (offset >= ranges[range].len)
		return;
	switch (range) {
	case RANGE_PM1:
		write_pm1(s, offset, value);
		break;
	case RANGE_CONFIG:
		if (offset == RESET_OFFSET)
			reset_if(s, acpi_reset_write(&s->pm1, value));
		break;
	case RANGE_KBC_DATA:
		obey_kbc(s, i8042_write_data(&s->kbc, value));
		break;
	case RANGE_KBC_STATUS:
		obey_kbc(s, i8042_write_command(&s->kbc, value));
		break;
	case RANGE_PORT92:
		reset_if(s, port92_write(&s->port92, value));
		break;
	case RANGE_DEBUG:
	case RANGE_DEBUG_ALT:
	case RANGE_DEBUG_TINY:
		debugcon_write(&s->debug, value);
		break;
	case RANGE_CRTC:
		crtc_write(&s->crtc, offset, value);
		break;
	case RANGE_EXIT:
	case RANGE_EXIT_ALT:
		if (offset == 0) /* the code needs the low byte only; the rest of the value is no exit */
			post_event(s, PLATFORM_EXIT,
				   s->plain_exit && range == RANGE_EXIT_ALT ? exitport_plain_code(value) : exitport_code(value));
		break;
	case RANGE_PVPANIC:
		if (pvpanic_write(value))
			post_event(s, PLATFORM_PANIC, 0);
		break;
	case RANGE_READY:
		post_event(s, PLATFORM_READY, 0);
		break;
	case RANGE_EXIT_PLAIN:
		post_event(s, PLATFORM_EXIT, exitport_plain_code(value));
		break;
	case RANGE_PCI_DATA:
	case RANGE_POST_CODE:
	case RANGE_PCI_BRIDGE:
	case RANGES:
		break;
	}
}

/* Only doublewords reach CONFIG_ADDRESS (PCI 3.0, 3.2.2.3.2). */
static bool is_config_address(unsigned range, uint32_t offset, unsigned size)
{
	return range == RANGE_CONFIG && offset == 0 && size == 4;
}

static uint64_t platform_read(void *state, unsigned range, uint32_t offset, unsigned size, uint64_t now_ns)
{
	struct platform_state *s = state;
	uint64_t value = 0;

	(void)now_ns;
	if (range >= RANGES)
		return UINT64_MAX;
	if (range == RANGE_PCI_BRIDGE)
		return pci_bridge_read(offset, size);
	if (is_config_address(range, offset, size))
		return pci_stub_read_address(&s->pci);
	for (unsigned i = 0; i < size && i < 8; i++)
		value |= (uint64_t)read_byte(s, range, offset + i) << 8 * i;
	update_lines(s);
	return value;
}

static void platform_write(void *state, unsigned range, uint32_t offset, uint64_t data, unsigned size, uint64_t now_ns)
{
	struct platform_state *s = state;

	(void)now_ns;
	if (range >= RANGES)
		return;
	if (is_config_address(range, offset, size)) {
		pci_stub_write_address(&s->pci, (uint32_t)data);
		return;
	}
	for (unsigned i = 0; i < size && i < 8; i++)
		write_byte(s, range, offset + i, (uint8_t)(data >> 8 * i));
	update_lines(s);
}

static void platform_reset(void *state, const struct model_config *config, uint64_t now_ns)
{
	struct platform_state *s = state;

	(void)now_ns;
	memset(s, 0, sizeof(*s));
	acpi_pm1_reset(&s->pm1);
	pci_stub_reset(&s->pci);
	i8042_reset(&s->kbc);
	port92_reset(&s->port92);
	debugcon_reset(&s->debug);
	crtc_reset(&s->crtc, config->no_vga);
	s->plain_exit = config->frame;
}

static uint64_t platform_advance(void *state, uint64_t now_ns)
{
	(void)state;
	(void)now_ns;
	return UINT64_MAX;
}

static void platform_get_lines(const void *state, uint32_t words[MODEL_LINES])
{
	const struct platform_state *s = state;

	words[LAYOUT_KBD_IRQ] = s->kbd_line;
	words[LAYOUT_SCI_IRQ] = s->sci_line;
	words[LAYOUT_AUX_IRQ] = s->aux_line;
}

/* Current value of a register whose read has no side effect. What has no state reads its reset value for
 * ever. */
static uint64_t peek(const struct platform_state *s, unsigned range, const struct reg_desc *reg)
{
	if (range == RANGE_PM1)
		return acpi_pm1_read(&s->pm1, reg->offset) | (uint64_t)acpi_pm1_read(&s->pm1, reg->offset + 1u) << 8;
	if (range == RANGE_CONFIG)
		return pci_stub_read_address(&s->pci);
	if (range == RANGE_KBC_STATUS)
		return i8042_read_status(&s->kbc);
	if (range == RANGE_PORT92)
		return port92_read(&s->port92);
	return reg->reset;
}

static unsigned platform_get_shadow(const void *state, struct shadow_value out[MODEL_MAX_SHADOW])
{
	const struct platform_state *s = state;
	unsigned n = 0;

	for (unsigned r = 0; r < RANGES; r++) {
		for (unsigned i = 0; i < ranges[r].reg_count && n < MODEL_MAX_SHADOW; i++) {
			const struct reg_desc *reg = &ranges[r].regs[i];

			if (reg->shadow == REG_SHADOW_VALUE)
				out[n++] = (struct shadow_value){ .valid = true, .value = peek(s, r, reg) };
		}
	}
	return n;
}

static const char *check_events(const struct platform_state *s)
{
	if (s->event_count > PLATFORM_EVENTS)
		return "event_count";
	for (unsigned i = 0; i < s->event_count; i++) {
		if (s->events[i].type == PLATFORM_NONE || s->events[i].type >= PLATFORM_EVENT_TYPES)
			return "events";
		for (unsigned j = 0; j < i; j++) {
			if (s->events[i].type == s->events[j].type)
				return "events";
		}
	}
	return NULL;
}

static const char *check_lines(const struct platform_state *s)
{
	if ((s->kbd_line & LINE_LEVEL) != i8042_irq1(&s->kbc))
		return "kbd_line";
	if ((s->aux_line & LINE_LEVEL) != i8042_irq12(&s->kbc))
		return "aux_line";
	if ((s->sci_line & LINE_LEVEL) != acpi_pm1_sci(&s->pm1))
		return "sci_line";
	return NULL;
}

static int platform_validate(const void *state, const char **field)
{
	const struct platform_state *s = state;
	const char *bad = acpi_pm1_check(&s->pm1);

	if (!bad)
		bad = pci_stub_check(&s->pci);
	if (!bad)
		bad = i8042_check(&s->kbc);
	if (!bad)
		bad = port92_check(&s->port92);
	if (!bad)
		bad = debugcon_check(&s->debug);
	if (!bad)
		bad = crtc_check(&s->crtc);
	if (!bad)
		bad = check_events(s);
	if (!bad)
		bad = check_lines(s);
	if (!bad && s->plain_exit > 1)
		bad = "plain_exit";
	*field = bad;
	return bad ? -EINVAL : 0;
}

struct platform_event platform_model_take_event(void *state)
{
	struct platform_state *s = state;
	struct platform_event event = { PLATFORM_NONE, 0 };

	if (s->event_count == 0)
		return event;
	event.type = (enum platform_event_type)s->events[0].type;
	event.code = s->events[0].code;
	memmove(&s->events[0], &s->events[1], sizeof(s->events) - sizeof(s->events[0]));
	s->event_count--;
	return event;
}

bool platform_model_has_event(const void *state)
{
	const struct platform_state *s = state;

	return s->event_count > 0;
}

size_t platform_model_take_debug(void *state, uint8_t *buf, size_t len)
{
	struct platform_state *s = state;

	return debugcon_take(&s->debug, buf, len);
}

void platform_model_power_button(void *state)
{
	struct platform_state *s = state;

	acpi_pm1_power_button(&s->pm1);
	update_lines(s);
}

const struct device_model platform_model = {
	.name = "platform",
	.version = 2,
	.state_size = sizeof(struct platform_state),
	.ranges = ranges,
	.range_count = RANGES,
	.lines = PLATFORMD_LINES,
	.reset = platform_reset,
	.read = platform_read,
	.write = platform_write,
	.advance = platform_advance,
	.get_lines = platform_get_lines,
	.get_shadow = platform_get_shadow,
	.validate = platform_validate,
};
