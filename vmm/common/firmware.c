/* SPDX-License-Identifier: MIT */
/* Files of firmware: firmware.h. */
#include "firmware.h"

#include "../../proto/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096 };

/* Where distributions put them; the first that is there, or the first, which is then missed by its name. */
static const struct known {
	const char *name, *package, *paths[3], *variables[3];
} known[] = {
	{ "seabios", "seabios", { "/usr/share/seabios/bios-256k.bin", "/usr/share/seabios/bios.bin", NULL }, { NULL } },
	{ "ovmf", "ovmf", { "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd", NULL },
	  { "/usr/share/OVMF/OVMF_VARS_4M.fd", "/usr/share/OVMF/OVMF_VARS.fd", NULL } },
};

static const struct known *find(const char *name)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(known[i].name, name))
			return &known[i];
	return NULL;
}

const char *firmware_path(const char *name)
{
	const struct known *k = find(name);

	for (unsigned i = 0; k && k->paths[i]; i++)
		if (!access(k->paths[i], F_OK))
			return k->paths[i];
	return k ? k->paths[0] : name;
}

/* The one that belongs to the image which is taken. */
const char *firmware_variables(const char *name)
{
	const struct known *k = find(name);

	for (unsigned i = 0; k && k->variables[0] && k->paths[i]; i++)
		if (!access(k->paths[i], F_OK))
			return k->variables[i];
	return NULL;
}

static int check_size(const struct stat *st, const char **why)
{
	if (!S_ISREG(st->st_mode))
		*why = "not a regular file";
	else if (st->st_size < LAYOUT_ROM_MIN)
		*why = "too short for firmware: at least 64K";
	else if (st->st_size > LAYOUT_ROM_MAX)
		*why = "too long for firmware: at most 16M";
	else if (st->st_size % PAGE)
		*why = "not firmware: its size is not a multiple of 4096";
	return *why ? -EINVAL : 0;
}

int firmware_open(const char *name, uint64_t *bytes, char error[FIRMWARE_ERROR_MAX])
{
	const struct known *k = find(name);
	const char *path = firmware_path(name), *why = NULL;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		const int rc = -errno;

		snprintf(error, FIRMWARE_ERROR_MAX, "--firmware %.150s: %s%s%s", path, strerror(-rc),
			 k ? "; install the package " : "; name a file, seabios or ovmf", k ? k->package : "");
		return rc;
	}
	if (fstat(fd, &st) < 0)
		why = strerror(errno);
	else
		check_size(&st, &why);
	if (!why) {
		*bytes = (uint64_t)st.st_size;
		return fd;
	}
	snprintf(error, FIRMWARE_ERROR_MAX, "--firmware %.150s: %s", path, why);
	close(fd);
	return -EINVAL;
}

/* ---- what a disk wants ---- */

enum { SECTOR = 512, CODE = 440, PARTITIONS = 446, PARTITION = 16, EFI_TYPE = 0xef, GPT_ENTRIES = 128, GPT_ENTRY = 128 };

/* Types of partitions as they lie on the disk (UEFI 2.10, 5.3.3): EFI system partition; GRUB's place on such disks. */
static const uint8_t efi_system[16] = { 0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b };
static const uint8_t bios_boot[16] = { 0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e, 0x74, 0x4e, 0x65, 0x65, 0x64, 0x45, 0x46, 0x49 };

struct disk_look {
	bool efi, bios;
};

static void look_at_first_sector(const uint8_t s[SECTOR], struct disk_look *look)
{
	bool code = false;

	if (s[SECTOR - 2] != 0x55 || s[SECTOR - 1] != 0xaa)
		return;
	for (unsigned i = 0; i < CODE; i++)
		code = code || s[i];
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *p = s + PARTITIONS + i * PARTITION;

		look->efi = look->efi || p[4] == EFI_TYPE;
		look->bios = look->bios || (p[0] == 0x80 && code);
	}
}

static void look_at_gpt(int fd, struct disk_look *look)
{
	uint8_t head[SECTOR], entry[GPT_ENTRY];
	uint64_t first;

	if (pread(fd, head, sizeof(head), SECTOR) != SECTOR || memcmp(head, "EFI PART", 8) != 0)
		return;
	memcpy(&first, head + 72, sizeof(first));
	for (unsigned i = 0; i < GPT_ENTRIES && first < 1u << 30; i++) {
		if (pread(fd, entry, sizeof(entry), (off_t)(first * SECTOR + i * GPT_ENTRY)) != GPT_ENTRY)
			return;
		look->efi = look->efi || !memcmp(entry, efi_system, sizeof(efi_system));
		look->bios = look->bios || !memcmp(entry, bios_boot, sizeof(bios_boot));
	}
}

const char *firmware_for_disk(const char *path, const char **why)
{
	struct disk_look look = { false, false };
	uint8_t first[SECTOR];
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	if (fd >= 0 && pread(fd, first, sizeof(first), 0) == SECTOR) {
		look_at_first_sector(first, &look);
		look_at_gpt(fd, &look);
	}
	if (fd >= 0)
		close(fd);
	*why = look.efi && look.bios ? "its first disk starts from BIOS and UEFI"
	       : look.efi	     ? "its first disk has an EFI system partition, and nothing for a BIOS"
				     : "its first disk has no EFI system partition";
	return look.efi && !look.bios ? "ovmf" : "seabios";
}

static bool is_named(const uint8_t *of, unsigned count, unsigned disk)
{
	for (unsigned i = 0; i < count; i++)
		if (of[i] == disk)
			return true;
	return false;
}

int firmware_order(const char *text, unsigned disks, uint8_t *out, size_t most)
{
	unsigned count = 0;

	for (;;) {
		char *end;
		unsigned long disk;

		if (*text < '0' || *text > '9' || count == most)
			return -EINVAL;
		disk = strtoul(text, &end, 10);
		if (disk >= disks || is_named(out, count, (unsigned)disk))
			return -EINVAL;
		out[count++] = (uint8_t)disk;
		if (!*end)
			return (int)count;
		if (*end != ',')
			return -EINVAL;
		text = end + 1;
	}
}
