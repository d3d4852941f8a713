/* SPDX-License-Identifier: MIT */
/* The model of a PC's display: vga_model.h. */
#include "vga_model.h"

#include <errno.h>
#include <string.h>

enum vga_range { VGAD_RANGES(RANGE_ID) RANGES };
static const struct model_range ranges[RANGES] = { VGAD_RANGES(RANGE_ROW) };

/* BAR 0 is the framebuffer, BAR 2 the registers as memory (QEMU, docs/specs/standard-vga): VGA ports from 3C0h on, Bochs' registers. */
enum { VENDOR = 0x1234, DEVICE = 0x1111, SUBSYSTEM_VENDOR = 0x1af4, SUBSYSTEM = 0x1100, BAR2 = PCI_BAR0 + 8 };
enum { BAR_VGA = 0x400, BAR_VGA_BYTES = 0x20, BAR_DISPI = 0x500, BAR_DISPI_BYTES = 2 * DISPI_REGISTERS };

_Static_assert(LAYOUT_SCREEN_BYTES == 1 << 24 && LAYOUT_SCREEN_REGISTERS_BYTES == 1 << 12 && LAYOUT_SCREEN_ROM_BYTES == 1 << 16,
	       "as the write masks have it");
#define WRITABLE                                                                                                       \
	[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, [PCI_CACHE_LINE] = 0xff,             \
	[PCI_BAR0 + 3] = 0xff, [BAR2 + 1] = 0xf0, [BAR2 + 2] = 0xff, [BAR2 + 3] = 0xff, [PCI_INTERRUPT_LINE] = 0xff
static const uint8_t plain_mask[PCI_CONFIG_BYTES] = { WRITABLE };
/* The same with an expansion ROM, the VGA BIOS, which only firmware wants. */
static const uint8_t rom_mask[PCI_CONFIG_BYTES] = {
	WRITABLE,
	[PCI_ROM] = PCI_ROM_ENABLE,
	[PCI_ROM + 2] = 0xff,
	[PCI_ROM + 3] = 0xff,
};
#undef WRITABLE

static const uint8_t *mask_of(const struct vga_state *s)
{
	return s->has_rom ? rom_mask : plain_mask;
}

/* Both BARs are assigned and decoded, as firmware leaves them. */
static void put_header(struct pci_function *f)
{
	memset(f, 0, sizeof(*f));
	pci_function_set(f, PCI_VENDOR_ID, VENDOR, 2);
	pci_function_set(f, PCI_DEVICE_ID, DEVICE, 2);
	pci_function_set(f, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY, 2);
	pci_function_set(f, PCI_CLASS_BASE, PCI_CLASS_DISPLAY, 1);
	pci_function_set(f, PCI_BAR0, (uint32_t)LAYOUT_SCREEN_BASE | PCI_BAR_PREFETCHABLE, 4);
	pci_function_set(f, BAR2, (uint32_t)LAYOUT_SCREEN_REGISTERS, 4);
	pci_function_set(f, PCI_SUBSYSTEM_VENDOR_ID, SUBSYSTEM_VENDOR, 2);
	pci_function_set(f, PCI_SUBSYSTEM_ID, SUBSYSTEM, 2);
}

static uint8_t read_crtc(const struct vga_state *s, unsigned offset)
{
	return s->display.kind == DISPLAY_VGA ? vga_crtc_read(&s->vga, offset) : crtc_read(&s->stub, offset);
}

static void write_crtc(struct vga_state *s, unsigned offset, uint8_t value)
{
	if (s->display.kind == DISPLAY_VGA)
		vga_crtc_write(&s->vga, offset, value);
	else
		crtc_write(&s->stub, offset, value);
}

static uint8_t read_byte(struct vga_state *s, enum vga_range range, uint32_t offset, uint64_t now_ns)
{
	if (offset >= ranges[range].len)
		return 0xff;
	if (range == RANGE_CRTC)
		return read_crtc(s, offset);
	if (s->display.kind != DISPLAY_VGA)
		return 0xff;
	switch (range) {
	case RANGE_CRTC_MONO:
		return vga_crtc_read(&s->vga, offset);
	case RANGE_STATUS:
	case RANGE_STATUS_MONO:
		return vga_status(&s->vga, now_ns);
	case RANGE_REGISTERS:
		return vga_read(&s->vga, offset);
	case RANGE_CRTC:
	case RANGE_DISPI:
	case RANGE_CONFIG:
	case RANGE_FRAMEBUFFER:
	case RANGE_BAR:
	case RANGE_ROM:
	case RANGES:
		break;
	}
	return 0xff;
}

static void write_byte(struct vga_state *s, enum vga_range range, uint32_t offset, uint8_t value)
{
	if (offset >= ranges[range].len)
		return;
	if (range == RANGE_CRTC)
		write_crtc(s, offset, value);
	if (s->display.kind != DISPLAY_VGA)
		return;
	switch (range) {
	case RANGE_CRTC_MONO:
		vga_crtc_write(&s->vga, offset, value);
		break;
	case RANGE_STATUS:
	case RANGE_STATUS_MONO:
		vga_feature_write(&s->vga, value);
		break;
	case RANGE_REGISTERS:
		vga_write(&s->vga, offset, value);
		break;
	case RANGE_CRTC:
	case RANGE_DISPI:
	case RANGE_CONFIG:
	case RANGE_FRAMEBUFFER:
	case RANGE_BAR:
	case RANGE_ROM:
	case RANGES:
		break;
	}
}

/* Registers of 16 bits at two neighbouring ports: only accesses of that size mean anything. */
static uint64_t read_dispi(const struct vga_state *s, uint32_t offset, unsigned size)
{
	if (s->display.kind != DISPLAY_VGA || size != 2 || offset > DISPI_DATA)
		return UINT64_MAX;
	return offset == DISPI_INDEX ? s->dispi.index : dispi_read(&s->dispi, s->dispi.index);
}

static void write_dispi(struct vga_state *s, uint32_t offset, uint16_t value, unsigned size)
{
	if (s->display.kind != DISPLAY_VGA || size != 2 || offset > DISPI_DATA)
		return;
	if (offset == DISPI_INDEX)
		s->dispi.index = value;
	else if (dispi_write(&s->dispi, s->dispi.index, value))
		s->clear = 1;
}

static uint64_t read_bytes(struct vga_state *s, enum vga_range range, uint32_t offset, unsigned size, uint64_t now_ns)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size && i < 8; i++)
		value |= (uint64_t)read_byte(s, range, offset + i, now_ns) << 8 * i;
	return value;
}

static void write_bytes(struct vga_state *s, enum vga_range range, uint32_t offset, uint64_t data, unsigned size)
{
	for (unsigned i = 0; i < size && i < 8; i++)
		write_byte(s, range, offset + i, (uint8_t)(data >> 8 * i));
}

/* Which port an offset of BAR 2 is; false: none that is there. */
static bool port_of(uint32_t at, enum vga_range *range, uint32_t *offset)
{
	static const enum vga_range wanted[] = { RANGE_REGISTERS, RANGE_CRTC, RANGE_STATUS };
	uint64_t port = VGA_BASE + (at - BAR_VGA);

	for (unsigned i = 0; at - BAR_VGA < BAR_VGA_BYTES && i < 3; i++) {
		if (port - ranges[wanted[i]].base >= ranges[wanted[i]].len)
			continue;
		*range = wanted[i];
		*offset = (uint32_t)(port - ranges[wanted[i]].base);
		return true;
	}
	return false;
}

static uint64_t read_bar(struct vga_state *s, uint32_t at, unsigned size, uint64_t now_ns)
{
	enum vga_range range;
	uint32_t offset;

	if (at - BAR_DISPI < BAR_DISPI_BYTES && size == 2 && at % 2 == 0)
		return dispi_read(&s->dispi, (at - BAR_DISPI) / 2);
	return port_of(at, &range, &offset) ? read_bytes(s, range, offset, size, now_ns) : UINT64_MAX;
}

static void write_bar(struct vga_state *s, uint32_t at, uint64_t data, unsigned size)
{
	enum vga_range range;
	uint32_t offset;

	if (at - BAR_DISPI < BAR_DISPI_BYTES && size == 2 && at % 2 == 0)
		s->clear |= dispi_write(&s->dispi, (at - BAR_DISPI) / 2, (uint16_t)data);
	else if (port_of(at, &range, &offset))
		write_bytes(s, range, offset, data, size);
}

/* The function that there is not with --display lfb, all of it. */
static uint64_t read_pci(struct vga_state *s, enum vga_range range, uint32_t offset, unsigned size, uint64_t now_ns)
{
	if (s->display.kind != DISPLAY_VGA)
		return UINT64_MAX;
	if (range == RANGE_CONFIG)
		return pci_function_read(&s->function, offset, size);
	return range == RANGE_BAR ? read_bar(s, offset, size, now_ns) : UINT64_MAX;
}

static void write_pci(struct vga_state *s, enum vga_range range, uint32_t offset, uint64_t data, unsigned size)
{
	if (s->display.kind != DISPLAY_VGA)
		return;
	if (range == RANGE_CONFIG)
		pci_function_write(&s->function, mask_of(s), offset, data, size);
	else if (range == RANGE_BAR)
		write_bar(s, offset, data, size);
}

static uint64_t vga_model_read(void *state, unsigned range, uint32_t offset, unsigned size, uint64_t now_ns)
{
	if (range >= RANGES)
		return UINT64_MAX;
	if (range == RANGE_DISPI)
		return read_dispi(state, offset, size);
	if (ranges[range].space == MODEL_MMIO)
		return read_pci(state, range, offset, size, now_ns);
	return read_bytes(state, range, offset, size, now_ns);
}

static void vga_model_write(void *state, unsigned range, uint32_t offset, uint64_t data, unsigned size, uint64_t now_ns)
{
	(void)now_ns;
	if (range >= RANGES)
		return;
	if (range == RANGE_DISPI)
		write_dispi(state, offset, (uint16_t)data, size);
	else if (ranges[range].space == MODEL_MMIO)
		write_pci(state, range, offset, data, size);
	else
		write_bytes(state, range, offset, data, size);
}

bool vga_model_linear(const void *state, struct dispi_mode *out)
{
	const struct vga_state *s = state;

	if (s->display.kind == DISPLAY_VGA)
		return dispi_mode(&s->dispi, out);
	*out = (struct dispi_mode){
		.width = s->display.width, .height = s->display.height, .pitch = s->display.width * 4, .bytes = 4
	};
	return true;
}

bool vga_model_take_clear(void *state)
{
	struct vga_state *s = state;
	bool clear = s->clear;

	s->clear = 0;
	return clear;
}

static void vga_model_reset(void *state, const struct model_config *config, uint64_t now_ns)
{
	struct vga_state *s = state;

	(void)now_ns;
	memset(s, 0, sizeof(*s));
	vga_reset(&s->vga);
	dispi_reset(&s->dispi);
	put_header(&s->function);
	crtc_reset(&s->stub, config->no_vga);
	s->display = config->display;
	s->has_rom = config->rom != 0 && config->display.kind == DISPLAY_VGA;
}

static uint64_t vga_model_advance(void *state, uint64_t now_ns)
{
	(void)state;
	(void)now_ns;
	return UINT64_MAX;
}

static void vga_model_get_lines(const void *state, uint32_t words[MODEL_LINES])
{
	(void)state;
	(void)words;
}

static unsigned vga_model_get_shadow(const void *state, struct shadow_value out[MODEL_MAX_SHADOW])
{
	(void)state;
	(void)out;
	return 0;
}

static int vga_model_validate(const void *state, const char **field)
{
	static const uint8_t nothing[2];
	const struct vga_state *s = state;
	struct pci_function reset;

	put_header(&reset);
	*field = vga_check(&s->vga);
	if (!*field)
		*field = dispi_check(&s->dispi);
	if (!*field)
		*field = crtc_check(&s->stub);
	if (!*field && s->has_rom > 1)
		*field = "has_rom";
	if (!*field && !pci_function_is_possible(&s->function, &reset, mask_of(s)))
		*field = "function";
	if (!*field && !display_is_possible(&s->display))
		*field = "display";
	if (!*field && (s->clear > 1 || memcmp(s->reserved, nothing, sizeof(nothing))))
		*field = "clear";
	return *field ? -EINVAL : 0;
}

const struct device_model vga_model = {
	.name = "vga",
	.version = 1,
	.state_size = sizeof(struct vga_state),
	.ranges = ranges,
	.range_count = RANGES,
	.lines = VGAD_LINES,
	.reset = vga_model_reset,
	.read = vga_model_read,
	.write = vga_model_write,
	.advance = vga_model_advance,
	.get_lines = vga_model_get_lines,
	.get_shadow = vga_model_get_shadow,
	.validate = vga_model_validate,
};
