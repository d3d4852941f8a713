/* SPDX-License-Identifier: MIT */
/*
 * linux-ring0: a kernel that runs one static Linux program, in ring 0 like itself. SYSCALL works there as it does from ring 3, so the
 * program needs no change; nothing protects the kernel from it. What it finds in memory:
 *
 *    200000h   the kernel
 *    400000h   a program of fixed address (ET_EXEC), and above it what it gets by brk()
 *   1800000h   a program that goes anywhere (static-pie), the same
 *   2000000h   the file itself, and behind it what mmap() gives
 *   3f00000h   the program's stack
 */
#ifndef BULKHEAD_TESTS_FIRST_LINUX_H
#define BULKHEAD_TESTS_FIRST_LINUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PAGE = 4096,
	STACK_BOTTOM = 0x03f00000,
	STACK_TOP = 0x04000000,
	MAX_WORDS = 16, /* of the command line */
};

/* Errors, as system calls return them: negated. */
enum { ENOENT = 2, EBADF = 9, EAGAIN = 11, ENOMEM = 12, EINVAL = 22, ENOTTY = 25, ESPIPE = 29, ERANGE = 34, ENOSYS = 38 };

/* elf.c */
struct image {
	uint64_t bias;	    /* what was added to its addresses */
	uint64_t entry;	    /* where it begins to run */
	uint64_t headers;   /* where its program headers lie in memory */
	uint64_t header_count;
	uint64_t end;	    /* of its memory */
	uint64_t limit;	    /* how far brk() may go */
	uint64_t file_size; /* without what was put behind it */
};

/* NULL, or what is wrong with the file at FRAME_PROGRAM_ADDRESS. */
const char *elf_load(struct image *image);

/* stack.c: fills the stack as a program finds it (System V ABI, x86-64, 3.4.1), and says where it begins. */
uint64_t stack_build(const struct image *image);

/* memory.c */
void memory_init(const struct image *image);
uint64_t memory_brk(uint64_t wanted);
int64_t memory_map(uint64_t wanted, uint64_t size, bool is_fixed);
int64_t memory_unmap(uint64_t start, uint64_t size);

/* files.c: standard input, output and error are the serial port; beside these there is /program, for reading. */
void files_init(const struct image *image);
int64_t file_open(const char *path);
int64_t file_close(uint64_t fd);
int64_t file_read(uint64_t fd, uint8_t *to, uint64_t n);
int64_t file_write(uint64_t fd, const uint8_t *from, uint64_t n);
int64_t file_seek(uint64_t fd, int64_t offset, uint64_t whence);
int64_t file_stat(uint64_t fd, void *to);

/* entry.S: the way into the program, which has no way back. */
_Noreturn void enter_program(uint64_t rip, uint64_t rsp);

/* processor.c: descriptor tables, page tables, SYSCALL. A fault ends the machine with 128 and the signal's number. */
void processor_init(void);
void set_fs_base(uint64_t base);
uint64_t fs_base(void);
uint64_t random_word(void);

/* calls.c, called from entry.S: the six arguments, and which call it is; 0 or more, or an error negated. */
int64_t on_system_call(const uint64_t *arguments, uint64_t number);

#endif
