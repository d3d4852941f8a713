/* SPDX-License-Identifier: MIT */
/*
 * The fence around every process but the command line. Three steps, all one-way:
 *
 *   sandbox_enter_exec()   in a child that is about to become another program: whatever that is, it starts behind a fence
 *   sandbox_enter_setup()  right after exec: no capabilities, no_new_privs, not dumpable, limits, own namespaces with an
 *                          empty read-only root (if the spawner could not arrange them), Landlock, setup filter
 *   sandbox_enter_run()    when all objects are mapped and all threads exist: the final system call list
 *
 * What each role may call stands in sandbox_table.c; the filters are compiled from it at build time (sandbox_gen.c), so
 * no process pays for it, and no compiler of filters is linked into a daemon.
 */
#ifndef BULKHEAD_PROTO_SANDBOX_H
#define BULKHEAD_PROTO_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kind.h"

/* Values travel in SetupDevice.sandbox and so on: an absent field means SANDBOX_ON. */
enum sandbox_mode {
	SANDBOX_ON,
	SANDBOX_LOG, /* all of it, but a call outside the list is only logged by the kernel (dmesg, audit) */
	SANDBOX_OFF, /* nothing at all: for debuggers */
};

/* A build with sanitizers says SANDBOX_OFF (vmm/meson.build). */
#ifndef SANDBOX_DEFAULT
#define SANDBOX_DEFAULT SANDBOX_ON
#endif

enum sandbox_role {
	SANDBOX_KEEPER,
	SANDBOX_LOGGER,
	SANDBOX_DIALLER,
	SANDBOX_TRACED,
	SANDBOX_SUPERVISOR,
	SANDBOX_SPAWNER,
	SANDBOX_BOOT,
	SANDBOX_VCPU_EMU,
	SANDBOX_VCPU_KVM,
	SANDBOX_GDBD,
	SANDBOX_VNC, /* the server of one viewer of bulkhead-vncd */
	SANDBOX_DEVICE, /* the first of those below */
	SANDBOX_BEFORE_DEVICES = SANDBOX_DEVICE - 1,
#define DEVICE(NAME, ...) SANDBOX_##NAME,
#include "devices.def"
	SANDBOX_ROLES
};

static inline enum sandbox_role sandbox_of_kind(enum kind kind)
{
	return (enum sandbox_role)(SANDBOX_DEVICE + kind);
}

enum { SANDBOX_MISSING_MAX = 8, SANDBOX_MISSING_LEN = 96 };

/* What could not be had on this host, one phrase each ("user namespaces (...)"); count 0: the fence is complete. */
struct sandbox_report {
	char missing[SANDBOX_MISSING_MAX][SANDBOX_MISSING_LEN];
	unsigned count;
};

/* A process that a filter stopped exits with this code; the last line on its stderr names the call. */
enum { SANDBOX_EXIT_CODE = 38 };

/*
 * The program that is then executed as SANDBOX_PROGRAM, and only that, can do no more than the role may from the start of
 * a program on. `isolated`: it has namespaces and a root of its own already, else it gets those that can be had without
 * another process. -errno: the caller must exit.
 */
int sandbox_enter_exec(enum sandbox_role role, enum sandbox_mode mode, bool isolated);

/*
 * Single-threaded callers only. 0 also when parts are missing (see report, may be NULL): a host without user namespaces
 * still gets filters, limits and no_new_privs. -errno when not even those could be had: the caller must exit.
 * Afterwards only fds that are already open can be used.
 */
int sandbox_enter_setup(enum sandbox_role role, enum sandbox_mode mode, struct sandbox_report *report);

/*
 * Descriptors that filters know by number: whoever enters the role has put them there.
 *
 * The keeper may remove files through one, directories through the other, pass descriptors on through a third.
 */
enum sandbox_keeper_fd {
	SANDBOX_KEEPER_NOTE = 3, /* to the supervisor */
	SANDBOX_KEEPER_CONTROL,	 /* listening */
	SANDBOX_KEEPER_DIR,	 /* of this machine */
	SANDBOX_KEEPER_BASE,	 /* of all machines */
	SANDBOX_KEEPER_GDB,	 /* listening */
	SANDBOX_KEEPER_METRICS,	 /* listening, or nothing */
	SANDBOX_KEEPER_OTHERS,	 /* from here on: those that are only read, written or held */
};
/* What is executed; where the spawner answers. */
enum { SANDBOX_PROGRAM = 64, SANDBOX_SPAWNER_SOCK = 3 };
/* The dialler answers there, and reads and writes nothing else. */
enum { SANDBOX_DIALLER_SOCK = 3 };
/* A server of VNC asks its door there for connections. */
enum { SANDBOX_VNC_DOOR = 4 };
/* Console connections pass into this socket, and from a daemon that listens to nowhere else (devices/stash.h). */
enum { SANDBOX_STASH = 150 };
/* A virtio front-end hands descriptors to its back-end through this one, and to nobody else. */
enum { SANDBOX_LINK = 151 };

/* All threads of the process are put behind the filter. 0 or -errno: then the caller must exit. */
int sandbox_enter_run(enum sandbox_role role, enum sandbox_mode mode);

void sandbox_report_add(struct sandbox_report *report, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *sandbox_role_name(enum sandbox_role role);
/* "on", "log", "off"; -EINVAL for anything else. */
int sandbox_mode_parse(const char *name, enum sandbox_mode *out);
const char *sandbox_mode_name(enum sandbox_mode mode);
/* NULL if the number is unknown. */
const char *sandbox_call_name(long number);

/*
 * Pieces that the spawner uses too.
 */

/* Becomes the user and the group of that number, and a member of no other group. 0 or -errno. */
int sandbox_take_id(uint32_t id);
/* Replaces the root of the calling process's own mount namespace by an empty, read-only tmpfs. */
int sandbox_empty_root(void);

/*
 * Landlock: from here on nothing in any file system can be touched, but what lies below one of these places, in the ways
 * of `rights` (LANDLOCK_ACCESS_FS_*). `has_children`: they die with the caller. Needs no_new_privs or CAP_SYS_ADMIN.
 * 0, or -errno: -ENOSYS or -EOPNOTSUPP if this kernel has no Landlock.
 */
struct sandbox_place {
	int fd;
	uint64_t rights;
};
int sandbox_landlock(const struct sandbox_place *places, unsigned n, bool has_children);

/* Drops the capability bounding, ambient and inheritable sets, and all capabilities that are not in `keep` (bit mask). */
int sandbox_drop_caps(uint64_t keep);

/* In the environment of a child whose namespaces its supervisor has arranged. */
#define SANDBOX_SUPERVISED "BULKHEAD_SUPERVISED"

/* The exact clone() flags with which a spawner starts a child: the filter compares them. The child is the supervisor's. */
#define SANDBOX_CLONE_CHILD                                                                                           \
	(0x00008000ul /* PARENT */ | 0x02000000ul /* NEWCGROUP */ | 0x04000000ul /* NEWUTS */ | 0x08000000ul /* NEWIPC */ | 0x20000000ul /* NEWPID */ | \
	 0x00020000ul /* NEWNS */ | 0x00001000ul /* PIDFD */ | 17ul /* SIGCHLD */)
#define SANDBOX_CLONE_CHILD_USER (SANDBOX_CLONE_CHILD | 0x10000000ul /* NEWUSER */)
#define SANDBOX_CLONE_CHILD_PLAIN (0x00008000ul | 0x00001000ul | 17ul)

#endif
