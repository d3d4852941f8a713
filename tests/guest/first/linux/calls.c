/* SPDX-License-Identifier: MIT */
/*
 * System calls, with the numbers of arch/x86/entry/syscalls/syscall_64.tbl. One processor, one program, one thread, no signals: what asks
 * about more than that gets the answer of such a machine, and what is not here gets ENOSYS, which C libraries know how to take.
 */
#include "../frame.h"
#include "../guest.h"
#include "linux.h"

/* `a`: its six arguments. */
typedef int64_t system_call(const uint64_t *a);

struct time {
	int64_t seconds, nanoseconds;
};

struct vector {
	uint8_t *base;
	uint64_t size;
};

enum {
	MAP_FIXED = 0x10,
	MAP_ANONYMOUS = 0x20,
	AT_EMPTY_PATH = 0x1000,
	ARCH_SET_FS = 0x1002,
	ARCH_GET_FS = 0x1003,
	FUTEX_WAIT = 0,
	LIMIT_STACK = 3,
	TIMER_ABSOLUTE = 1,
	BILLION = 1000000000,
};

static int64_t do_read(const uint64_t *a)
{
	return file_read(a[0], (uint8_t *)a[1], a[2]);
}

static int64_t do_write(const uint64_t *a)
{
	return file_write(a[0], (const uint8_t *)a[1], a[2]);
}

static int64_t do_open(const uint64_t *a)
{
	return file_open((const char *)a[0]);
}

static int64_t do_openat(const uint64_t *a)
{
	return file_open((const char *)a[1]);
}

static int64_t do_close(const uint64_t *a)
{
	return file_close(a[0]);
}

static int64_t do_lseek(const uint64_t *a)
{
	return file_seek(a[0], (int64_t)a[1], a[2]);
}

static int64_t do_fstat(const uint64_t *a)
{
	return file_stat(a[0], (void *)a[1]);
}

/* Of a path, or of a descriptor if that is empty. */
static int64_t stat_path(const char *path, void *to)
{
	int64_t fd = file_open(path), result;

	if (fd < 0)
		return fd;
	result = file_stat((uint64_t)fd, to);
	file_close((uint64_t)fd);
	return result;
}

static int64_t do_stat(const uint64_t *a)
{
	return stat_path((const char *)a[0], (void *)a[1]);
}

static int64_t do_newfstatat(const uint64_t *a)
{
	const char *path = (const char *)a[1];

	return a[3] & AT_EMPTY_PATH && !*path ? file_stat(a[0], (void *)a[2]) : stat_path(path, (void *)a[2]);
}

/* Ends at the first that comes back short. */
static int64_t each_vector(const uint64_t *a, int64_t (*one)(uint64_t fd, const struct vector *v))
{
	const struct vector *v = (const struct vector *)a[1];
	int64_t total = 0;

	for (uint64_t i = 0; i < a[2]; i++) {
		int64_t n = one(a[0], &v[i]);

		if (n < 0)
			return total ? total : n;
		total += n;
		if ((uint64_t)n < v[i].size)
			break;
	}
	return total;
}

static int64_t read_one(uint64_t fd, const struct vector *v)
{
	return file_read(fd, v->base, v->size);
}

static int64_t write_one(uint64_t fd, const struct vector *v)
{
	return file_write(fd, v->base, v->size);
}

static int64_t do_readv(const uint64_t *a)
{
	return each_vector(a, read_one);
}

static int64_t do_writev(const uint64_t *a)
{
	return each_vector(a, write_one);
}

static int64_t do_brk(const uint64_t *a)
{
	return (int64_t)memory_brk(a[0]);
}

static int64_t do_mmap(const uint64_t *a)
{
	return a[3] & MAP_ANONYMOUS ? memory_map(a[0], a[1], a[3] & MAP_FIXED) : -ENOSYS;
}

static int64_t do_munmap(const uint64_t *a)
{
	return memory_unmap(a[0], a[1]);
}

static int64_t do_arch_prctl(const uint64_t *a)
{
	switch (a[0]) {
	case ARCH_SET_FS:
		set_fs_base(a[1]);
		return 0;
	case ARCH_GET_FS:
		*(uint64_t *)a[1] = fs_base();
		return 0;
	}
	return -EINVAL;
}

static int64_t copy_text(char *to, const char *from, uint64_t room)
{
	uint64_t n = 0;

	while (n < room && from[n]) {
		to[n] = from[n];
		n++;
	}
	return (int64_t)n;
}

static int64_t do_readlink(const uint64_t *a)
{
	int64_t fd = file_open((const char *)a[0]);

	if (fd < 0)
		return fd;
	file_close((uint64_t)fd);
	return copy_text((char *)a[1], "/program", a[2]);
}

static int64_t do_readlinkat(const uint64_t *a)
{
	return do_readlink(a + 1);
}

static int64_t do_getcwd(const uint64_t *a)
{
	return a[1] < 2 ? -ERANGE : copy_text((char *)a[0], "/", 1) + (*(char *)(a[0] + 1) = 0) + 1;
}

/* Six fields of 65 bytes. */
static int64_t do_uname(const uint64_t *a)
{
	static const char *const fields[6] = { "Linux", "bulkhead", "6.1.0", "linux-ring0", "x86_64", "" };

	memset((void *)a[0], 0, 6 * 65);
	for (unsigned i = 0; i < 6; i++)
		copy_text((char *)a[0] + 65 * i, fields[i], 64);
	return 0;
}

/* The mailbox has the machine's only clock, and a new time with each frame. Where nobody fills it, cycles pass for nanoseconds. */
static uint64_t now_ns(void)
{
	uint32_t low, high;

	frame_show();
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return frame_mailbox()->time_ns ? frame_mailbox()->time_ns : (uint64_t)high << 32 | low;
}

static int64_t do_clock_gettime(const uint64_t *a)
{
	uint64_t now = now_ns();

	*(struct time *)a[1] = (struct time){ (int64_t)(now / BILLION), (int64_t)(now % BILLION) };
	return 0;
}

static int64_t do_gettimeofday(const uint64_t *a)
{
	uint64_t now = now_ns();

	if (a[0])
		*(struct time *)a[0] = (struct time){ (int64_t)(now / BILLION), (int64_t)(now % BILLION / 1000) };
	return 0;
}

static int64_t sleep_until(uint64_t end_ns)
{
	while (now_ns() < end_ns)
		;
	return 0;
}

static uint64_t nanoseconds(const struct time *t)
{
	return (uint64_t)t->seconds * BILLION + (uint64_t)t->nanoseconds;
}

static int64_t do_nanosleep(const uint64_t *a)
{
	return sleep_until(now_ns() + nanoseconds((const struct time *)a[0]));
}

static int64_t do_clock_nanosleep(const uint64_t *a)
{
	uint64_t start = a[1] & TIMER_ABSOLUTE ? 0 : now_ns();

	return sleep_until(start + nanoseconds((const struct time *)a[2]));
}

static int64_t do_getrandom(const uint64_t *a)
{
	uint8_t *to = (uint8_t *)a[0];

	for (uint64_t i = 0; i < a[1]; i++)
		to[i] = (uint8_t)random_word();
	return (int64_t)a[1];
}

/* No limits, but for the stack's. */
static int64_t do_prlimit64(const uint64_t *a)
{
	uint64_t *old = (uint64_t *)a[3];

	if (old)
		old[0] = old[1] = a[1] == LIMIT_STACK ? STACK_TOP - STACK_BOTTOM : UINT64_MAX;
	return 0;
}

static int64_t do_getrlimit(const uint64_t *a)
{
	const uint64_t as_prlimit[6] = { 0, a[0], 0, a[1] };

	return do_prlimit64(as_prlimit);
}

/* Nobody else would wake one who waits. */
static int64_t do_futex(const uint64_t *a)
{
	return (a[1] & 0x7f) == FUTEX_WAIT ? -EAGAIN : 0;
}

static int64_t do_sched_getaffinity(const uint64_t *a)
{
	if (a[1] < 8)
		return -EINVAL;
	*(uint64_t *)a[2] = 1;
	return 8;
}

static int64_t do_exit(const uint64_t *a)
{
	frame_exit((uint8_t)a[0]);
}

/* To itself, there being nobody else: it ends as by an unhandled signal. 0 asks whether it could. */
static int64_t do_kill(const uint64_t *a)
{
	if (a[1])
		frame_exit((uint8_t)(128 + a[1]));
	return 0;
}

static int64_t do_tgkill(const uint64_t *a)
{
	return do_kill(a + 1);
}

static int64_t no_terminal(const uint64_t *a)
{
	(void)a;
	return -ENOTTY;
}

static int64_t no_such_file(const uint64_t *a)
{
	(void)a;
	return -ENOENT;
}

static int64_t process(const uint64_t *a)
{
	(void)a;
	return 1;
}

/* User and group are 0; and where there is nothing to do, it has been done. */
static int64_t nothing(const uint64_t *a)
{
	(void)a;
	return 0;
}

static system_call *const calls[] = {
	[0] = do_read, [1] = do_write, [2] = do_open, [3] = do_close, [4] = do_stat, [5] = do_fstat, [6] = do_stat /* lstat */,
	[8] = do_lseek, [9] = do_mmap, [10] = nothing /* mprotect */, [11] = do_munmap, [12] = do_brk,
	[13] = nothing /* rt_sigaction */, [14] = nothing /* rt_sigprocmask */, [16] = no_terminal /* ioctl */,
	[19] = do_readv, [20] = do_writev, [21] = no_such_file /* access */, [24] = nothing /* sched_yield */,
	[28] = nothing /* madvise */, [35] = do_nanosleep, [39] = process /* getpid */, [60] = do_exit, [62] = do_kill,
	[63] = do_uname, [72] = nothing /* fcntl */, [79] = do_getcwd, [89] = do_readlink, [95] = nothing /* umask */,
	[96] = do_gettimeofday, [97] = do_getrlimit, [102] = nothing /* getuid */, [104] = nothing /* getgid */,
	[105] = nothing /* setuid */, [106] = nothing /* setgid */, [107] = nothing /* geteuid */, [108] = nothing /* getegid */,
	[110] = nothing /* getppid */, [131] = nothing /* sigaltstack */, [158] = do_arch_prctl, [186] = process /* gettid */,
	[200] = do_kill /* tkill */, [202] = do_futex, [204] = do_sched_getaffinity, [218] = process /* set_tid_address */, [228] = do_clock_gettime,
	[230] = do_clock_nanosleep, [231] = do_exit /* exit_group */, [234] = do_tgkill, [257] = do_openat, [262] = do_newfstatat,
	[267] = do_readlinkat, [273] = nothing /* set_robust_list */, [302] = do_prlimit64, [318] = do_getrandom,
};

int64_t on_system_call(const uint64_t *arguments, uint64_t number)
{
	if (number >= sizeof(calls) / sizeof(calls[0]) || !calls[number])
		return -ENOSYS;
	return calls[number](arguments);
}
