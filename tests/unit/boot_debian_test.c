/* SPDX-License-Identifier: MIT */
/* The kernel that Debian ships, as the package cache has it: the real thing against our reading of its
 * format. */
#include "boot_images.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const places[] = {"/var/cache/bulkhead/linux-image-*-cloud-amd64_*.deb",
				     "/boot/vmlinuz-*-cloud-amd64"};

static struct image read_stream(FILE *f)
{
	struct image i = image_new(64 * MIB);

	i.size = fread(i.data, 1, i.size, f);
	return i;
}

/* size 0: there is none on this machine. */
static struct image debian_kernel(void)
{
	char command[512];
	struct image i = { NULL, 0 };
	FILE *f;
	glob_t g;

	if (glob(places[0], 0, NULL, &g) == 0) {
		snprintf(command, sizeof(command),
			 "dpkg-deb --fsys-tarfile %s | tar -xO --wildcards './boot/vmlinuz-*' 2>/dev/null", g.gl_pathv[0]);
		f = popen(command, "r");
		i = read_stream(f);
		pclose(f);
	} else if (glob(places[1], 0, NULL, &g) == 0) {
		f = fopen(g.gl_pathv[0], "r");
		i = read_stream(f);
		fclose(f);
	}
	return i;
}

/* boot.rst: relocatable kernels may lie at any multiple of kernel_alignment, with init_size bytes of memory.
 */
Test(debian, boots_at_a_random_place)
{
	struct image kernel = debian_kernel();
	uint64_t place[2], init_size;
	struct guest g;

	if (kernel.size == 0)
		cr_skip_test("no Debian cloud kernel in /var/cache/bulkhead or /boot");
	init_size = get32(kernel.data + 0x260);
	for (unsigned i = 0; i < 2; i++) {
		guest_init(&g, kernel, 512 * MIB);
		cr_assert_eq(guest_load(&g), 0, "%s", g.rs.error);
		cr_expect(g.rs.kaslr, "Debian builds with RANDOMIZE_BASE: %s", g.rs.note);
		place[i] = g.rs.cpu.rip;
		cr_expect_eq(place[i] % (2 * MIB), 0);
		cr_expect_leq(place[i] + init_size, 512 * MIB);
	}
	guest_init(&g, kernel, 512 * MIB);
	g.rq.cmdline = "nokaslr";
	cr_assert_eq(guest_load(&g), 0, "%s", g.rs.error);
	cr_expect_eq(g.rs.cpu.rip, get64(kernel.data + 0x258), "pref_address");
	cr_expect_not(g.rs.kaslr);
}

Test(debian, truncated)
{
	struct image kernel = debian_kernel();
	struct guest g;

	if (kernel.size == 0)
		cr_skip_test("no Debian cloud kernel in /var/cache/bulkhead or /boot");
	kernel.size -= kernel.size / 3;
	guest_init(&g, kernel, 512 * MIB);
	cr_expect_eq(guest_load(&g), -ENOEXEC);
	cr_expect(strstr(g.rs.error, "payload_length") != NULL, "%s", g.rs.error);
}
