/* SPDX-License-Identifier: MIT */
/*
 * kexec32 IMAGE INITRD|- WORD...: leaves this 64-bit Linux for a Linux image that is entered by the 32-bit boot protocol
 * (Documentation/x86/boot.rst), the words as its command line. The running kernel enters our code in long mode, identity
 * mapped; what leads from there to protected mode without paging is the way down that SDM vol. 3, 10.8.5.4 describes.
 */
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, WAY_DOWN = 0x8000, ZERO_PAGE = 0x9000, CMDLINE = 0xa000, LOW_PAGES = 3 };
enum { SETUP_SECTS = 0x1f1, JUMP = 0x201, LOADER = 0x210, CODE32 = 0x214, INITRD = 0x218, CMDLINE_PTR = 0x228,
       RELOCATABLE = 0x234, PREF_ADDRESS = 0x258, E820_COUNT = 0x1e8, E820 = 0x2d0 };

/* Runs at WAY_DOWN; `way_down_entry` holds where it leads. */
extern const char way_down[], way_down_entry[], way_down_end[];
__asm__(".pushsection .rodata\n"
	".globl way_down, way_down_entry, way_down_end\n"
	".balign 16\n"
	"way_down:\n"
	"	lgdt	way_down_gdtr(%rip)\n"
	"	movl	$0x8ff0, %esp\n"
	"	pushq	$0x10\n"
	"	pushq	$0x8000 + (1f - way_down)\n"
	"	lretq\n"
	".code32\n"
	"1:	movl	$0x18, %eax\n"
	"	movl	%eax, %ds\n"
	"	movl	%eax, %es\n"
	"	movl	%eax, %ss\n"
	"	movl	%cr0, %eax\n"
	"	andl	$0x7fffffff, %eax\n"
	"	movl	%eax, %cr0\n" /* paging off: out of long mode */
	"	movl	$0xc0000080, %ecx\n"
	"	rdmsr\n"
	"	andl	$~0x100, %eax\n" /* EFER.LME */
	"	wrmsr\n"
	"	xorl	%eax, %eax\n"
	"	movl	%eax, %cr4\n"
	"	xorl	%ebx, %ebx\n"
	"	xorl	%edi, %edi\n"
	"	xorl	%ebp, %ebp\n"
	"	movl	$0x9000, %esi\n"
	"	movl	0x8000 + (way_down_entry - way_down), %eax\n"
	"	jmp	*%eax\n"
	".code64\n"
	".balign 8\n"
	"way_down_gdt: .quad 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff\n"
	"way_down_gdtr: .word 31\n"
	"	.quad	0x8000 + (way_down_gdt - way_down)\n"
	"way_down_entry: .long 0\n"
	"way_down_end:\n"
	".popsection\n");

struct file {
	uint8_t *data;
	size_t size;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static struct file read_file(const char *name)
{
	struct stat st;
	struct file f;
	int fd = open(name, O_RDONLY);

	if (fd < 0 || fstat(fd, &st) < 0)
		fail(name);
	f.size = (size_t)st.st_size;
	f.data = malloc(f.size);
	if (f.data == NULL || read(fd, f.data, f.size) != (ssize_t)f.size)
		fail(name);
	close(fd);
	return f;
}

static uint32_t le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static void set32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

/* Where the running kernel's memory map has RAM up to, below 4 GiB. */
static uint64_t ram_end(const uint8_t *zero_page)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < zero_page[E820_COUNT]; i++) {
		uint64_t e[2];

		memcpy(e, zero_page + E820 + 20 * i, 16);
		if (le32(zero_page + E820 + 20 * i + 16) == 1 && e[0] + e[1] <= 1ull << 32 && e[0] + e[1] > end)
			end = e[0] + e[1];
	}
	return end;
}

/* This machine's zero page, with the header of the new image. */
static void make_zero_page(uint8_t *zero_page, const struct file *image, uint32_t start, uint64_t initrd, size_t initrd_size)
{
	int fd = open("/sys/kernel/boot_params/data", O_RDONLY);

	if (fd < 0 || read(fd, zero_page, PAGE) != PAGE)
		fail("/sys/kernel/boot_params/data");
	close(fd);
	memset(zero_page + SETUP_SECTS, 0, 0x290 - SETUP_SECTS);
	memcpy(zero_page + SETUP_SECTS, image->data + SETUP_SECTS, 0x202u + image->data[JUMP] - SETUP_SECTS);
	zero_page[LOADER] = 0xff;
	set32(zero_page + CODE32, start);
	set32(zero_page + INITRD, (uint32_t)initrd);
	set32(zero_page + INITRD + 4, (uint32_t)initrd_size);
	set32(zero_page + CMDLINE_PTR, CMDLINE);
}

static void join(char *to, size_t room, char *const *words)
{
	to[0] = 0;
	for (; *words != NULL; words++) {
		strncat(to, *words, room - strlen(to) - 1);
		strncat(to, " ", room - strlen(to) - 1);
	}
}

static size_t pages(size_t n)
{
	return (n + PAGE - 1) & ~(size_t)(PAGE - 1);
}

int main(int argc, char **argv)
{
	static uint8_t low[LOW_PAGES * PAGE], probe[PAGE];
	struct kexec_segment segments[3];
	struct file image, initrd = { NULL, 0 };
	uint32_t start, code;
	uint64_t initrd_at = 0;

	if (argc < 4) {
		fprintf(stderr, "usage: kexec32 IMAGE INITRD|- WORD...\n");
		return 2;
	}
	image = read_file(argv[1]);
	if (strcmp(argv[2], "-") != 0)
		initrd = read_file(argv[2]);
	code = (image.data[SETUP_SECTS] + 1u) * 512;
	start = image.data[RELOCATABLE] ? le32(image.data + PREF_ADDRESS) : 0x100000;
	make_zero_page(probe, &image, 0, 0, 0);
	if (initrd.size != 0)
		initrd_at = (ram_end(probe) - initrd.size - (1 << 20)) & ~(uint64_t)(PAGE - 1);
	memcpy(low, way_down, (size_t)(way_down_end - way_down));
	set32(low + (way_down_entry - way_down), start);
	make_zero_page(low + ZERO_PAGE - WAY_DOWN, &image, start, initrd_at, initrd.size);
	join((char *)low + CMDLINE - WAY_DOWN, PAGE, argv + 3);
	segments[0] = (struct kexec_segment){ low, sizeof(low), (void *)WAY_DOWN, sizeof(low) };
	segments[1] = (struct kexec_segment){ image.data + code, image.size - code, (void *)(uintptr_t)start,
					      pages(image.size - code) };
	segments[2] = (struct kexec_segment){ initrd.data, initrd.size, (void *)initrd_at, pages(initrd.size) };
	if (syscall(SYS_kexec_load, WAY_DOWN, initrd.size != 0 ? 3 : 2, segments, KEXEC_ARCH_DEFAULT) < 0)
		fail("kexec_load");
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
	fail("reboot");
}
