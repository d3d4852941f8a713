/* SPDX-License-Identifier: MIT */
/* Writes one good image of each kind, with the two bytes that boot_fuzz.c wants in front, to the folder
 * argv[1]. */
#include "../unit/boot_images.h"

#include <stdio.h>
#include <string.h>

static int save(const char *dir, const char *name, struct image i, int format)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	if (f == NULL)
		return 1;
	fputc(format, f);
	fputc(0x80 | 31, f);
	fwrite(i.data, 1, i.size, f);
	return fclose(f);
}

static struct image multiboot(void)
{
	struct image i = make_elf(32, 1 * MIB, 0xc0100000, 0xc0100010, 0, 0);

	put32(&i, ELF_TEXT, 0x1badb002);
	put32(&i, ELF_TEXT + 4, 3);
	put32(&i, ELF_TEXT + 8, 0u - 0x1badb002 - 3);
	return i;
}

static struct image multiboot_raw(void)
{
	static const uint32_t header[] = {
		0x1badb002, 1 << 16, 0u - 0x1badb002 - (1 << 16), 0x100000, 0x100000, 0, 0, 0x100040};
	struct image i = image_new(256);

	for (unsigned n = 0; n < 8; n++)
		put32(&i, 4 * n, header[n]);
	return i;
}

int main(int argc, char **argv)
{
	char name[32];
	int bad = 0;

	if (argc != 2)
		return 2;
	for (enum packing p = 0; p < PACKINGS; p++) {
		snprintf(name, sizeof(name), "bzimage-%d", (int)p);
		bad |= save(argv[1], name, make_bzimage(pack(make_vmlinux(1, p & 1), p)), BOOT_AUTO);
	}
	bad |= save(argv[1], "elf", make_elf(64, 16 * MIB, 0xffffffff81000000ull, 16 * MIB, 0, 0),
		    BOOT_ELF_LINUX);
	bad |= save(argv[1], "pvh", make_elf(64, 1 * MIB, 1 * MIB, 1 * MIB, 1, 0x100000), BOOT_ELF_PVH);
	bad |= save(argv[1], "multiboot", multiboot(), BOOT_MULTIBOOT);
	bad |= save(argv[1], "multiboot-raw", multiboot_raw(), BOOT_AUTO);
	bad |= save(argv[1], "flat16", image_new(16), BOOT_FLAT16);
	bad |= save(argv[1], "flat64", image_new(16), BOOT_FLAT64);
	return bad;
}
