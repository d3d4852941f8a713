/* SPDX-License-Identifier: MIT */
/* A PC's display: accesses of a guest, whatever is in its memory, and a picture now and then. */
#include "devices/vga_model.h"
#include "devices/vga_picture.h"
#include "model.h"

static void shell(void *state, struct input *in, uint64_t now)
{
	static struct picture picture;
	static uint8_t legacy[LAYOUT_VGA_BYTES], screen[LAYOUT_SCREEN_BYTES];
	const struct vga_canvas canvas = { &picture.half[0], picture.pixels[0], picture.cells[0] };
	const struct vga_memory memory = { legacy, screen };
	const struct vga_state *s = state;
	struct dispi_mode mode;

	memset(legacy + take_below(in, LAYOUT_VGA_BYTES - 255), (int)take(in, 1), 255);
	if (vga_model_take_clear(state))
		CHECK(vga_model_linear(state, &mode));
	if (!vga_model_linear(state, &mode))
		vga_picture(&s->vga, &memory, vga_blink_at(now), &canvas);
	else
		CHECK((uint64_t)mode.start + (uint64_t)mode.pitch * mode.height <= LAYOUT_SCREEN_BYTES);
	CHECK(vga_model_linear(state, &mode) || picture_size_is_good(&picture.half[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct model_target target = { &vga_model, shell, 0, 0 };

	return model_input(&target, data, size);
}
