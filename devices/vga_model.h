/* SPDX-License-Identifier: MIT */
/* The model of a PC's display: registers. Its memory is objects that the model cannot reach; its shell shows them. */
#ifndef BULKHEAD_DEVICES_VGA_MODEL_H
#define BULKHEAD_DEVICES_VGA_MODEL_H

#include "devices/chips/crtc.h"
#include "devices/chips/dispi.h"
#include "devices/chips/pci_function.h"
#include "devices/chips/vga.h"
#include "devices/model.h"

struct vga_state {
	struct vga vga;
	struct dispi dispi;
	struct pci_function function;
	struct crtc stub; /* DISPLAY_LFB: what there is of an adapter beside the framebuffer */
	struct display_spec display;
	uint8_t clear; /* 0, or 1: the framebuffer is to be cleared before the guest goes on */
	uint8_t has_rom; /* 0, or 1: the function has an expansion ROM, whose bytes the vcpu process has */
	uint8_t reserved[2];
};

/* What of the framebuffer is shown: false: a mode of the VGA's own. */
bool vga_model_linear(const void *state, struct dispi_mode *out);
/* Has the guest asked for a clear framebuffer? To be asked once for each request. */
bool vga_model_take_clear(void *state);

#endif
