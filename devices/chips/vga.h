/* SPDX-License-Identifier: MIT */
/*
 * The registers of a VGA (IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem"): CRT controller, sequencer, graphics and
 * attribute controllers, DAC, status. Its memory is mapped into the guest and none of its business: nothing here moves bytes
 * between planes, so that only modes whose memory is as the guest wrote it can be shown (vga_mode()).
 */
#ifndef BULKHEAD_DEVICES_CHIPS_VGA_H
#define BULKHEAD_DEVICES_CHIPS_VGA_H

#include "proto/reg.h"

enum {
	VGA_CRTC_MONO = 0x3b4,
	VGA_STATUS_MONO = 0x3ba,
	VGA_BASE = 0x3c0,
	VGA_CRTC_COLOUR = 0x3d4,
	VGA_STATUS_COLOUR = 0x3da,
	VGA_PORTS = 16, /* from VGA_BASE on */
};

enum { VGA_CRTC = 0x19, VGA_SEQUENCER = 5, VGA_GRAPHICS = 9, VGA_ATTRIBUTE = 0x15, VGA_COLOURS = 256 };

struct vga {
	uint8_t crtc_index, crtc[VGA_CRTC];
	uint8_t sequencer_index, sequencer[VGA_SEQUENCER];
	uint8_t graphics_index, graphics[VGA_GRAPHICS];
	uint8_t attribute_index; /* bit 5: the palette is the screen's, and not the processor's */
	uint8_t attribute[VGA_ATTRIBUTE];
	uint8_t attribute_data; /* 0, or 1: what is written to 3C0h next is data, and no index */
	uint8_t misc, feature, enable;
	uint8_t dac_mask, dac_index, dac_part; /* of three parts of a colour; the next one */
	uint8_t dac_reads; /* 0, or 1: 3C7h was written last */
	uint8_t dac[VGA_COLOURS][3]; /* red, green, blue, of 6 bits */
};

enum { VGA_REG_COUNT = 17, VGA_CRTC_REG_COUNT = 3, VGA_STATUS_REG_COUNT = 2 };
extern const struct reg_desc vga_regs[VGA_REG_COUNT], vga_crtc_regs[VGA_CRTC_REG_COUNT], vga_status_regs[VGA_STATUS_REG_COUNT];

/* Mode 3, 80 by 25 characters, as firmware leaves it. */
void vga_reset(struct vga *v);
/* From VGA_BASE on. */
uint8_t vga_read(struct vga *v, unsigned offset);
void vga_write(struct vga *v, unsigned offset, uint8_t value);
/* Offset 0 the index, 1 the register that it selects. */
uint8_t vga_crtc_read(const struct vga *v, unsigned offset);
void vga_crtc_write(struct vga *v, unsigned offset, uint8_t value);
/* Input status 1: where the beam of a 70 Hz screen is. Makes 3C0h the index. */
uint8_t vga_status(struct vga *v, uint64_t now_ns);
/* Feature control, at the same port. */
void vga_feature_write(struct vga *v, uint8_t value);
/* NULL, or the first field that cannot be. */
const char *vga_check(const struct vga *v);

enum vga_mode_kind {
	VGA_MODE_OFF,	  /* the screen is blanked, or has no size */
	VGA_MODE_TEXT,
	VGA_MODE_LINEAR, /* 256 colours, chained (mode 13h) */
	VGA_MODE_PLANES, /* anything else: not shown */
};

/* What is to be shown, all of it bounded. */
struct vga_mode {
	enum vga_mode_kind kind;
	uint32_t width, height; /* of the picture */
	/* text */
	uint32_t columns, lines, cell_width, cell_height;
	uint32_t base;	       /* in the legacy window */
	uint32_t start, pitch; /* in characters; of mode 13h, in bytes */
	uint32_t cursor;       /* the character's address, as `start` */
	uint32_t cursor_top, cursor_end; /* lines of the cell [top, end); none: top >= end */
	bool blinks;	       /* bit 7 of an attribute; else it is a colour's */
	bool joins;	       /* the ninth dot of line graphics repeats the eighth */
	uint32_t repeat;       /* scan lines of one row of pixels */
};
enum { VGA_COLUMNS_MAX = 160, VGA_LINES_MAX = 100, VGA_WIDTH_MAX = VGA_COLUMNS_MAX * 9, VGA_HEIGHT_MAX = 1024 };

void vga_mode(const struct vga *v, struct vga_mode *out);
/* The colour of text, and of a byte of mode 13h: 0RGB. */
uint32_t vga_text_colour(const struct vga *v, unsigned attribute);
uint32_t vga_dac_colour(const struct vga *v, unsigned index);

#endif
