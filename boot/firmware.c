/* SPDX-License-Identifier: MIT */
/*
 * A PC's firmware: its image ends at 4 GiB, and the last 128 KiB of it are below 1 MiB as well, in memory that can be written, as
 * firmware leaves it once it has copied itself there. It asks the machine what it is (devices/firmware_model.c): nothing
 * else is put into memory.
 */
#include "loader.h"

#include "../proto/layout.h"

#include <errno.h>
#include <string.h>

int boot_load_firmware(struct loader *l)
{
	const struct boot_image *k = &l->rq->kernel;
	const struct boot_ram *ram = &l->rq->ram;
	const size_t shadow = k->size < LAYOUT_ROM_SHADOW ? k->size : LAYOUT_ROM_SHADOW;

	if (ram->rom == NULL || k->size != ram->rom_size)
		return boot_fail(l, -EINVAL, "%s: the file has another size than when the machine was made: start it again",
				 k->name);
	memcpy(ram->rom, k->data, k->size);
	boot_enter_reset(l);
	return boot_put(l, BOOT_1MIB - shadow, k->data + k->size - shadow, shadow);
}
