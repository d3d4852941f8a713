/* SPDX-License-Identifier: MIT */
/* Which system calls each process may make, in which phase, with which arguments, and why. Everything else traps. */
#include "sandbox_table.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROLE(x) (1u << SANDBOX_##x)
#define KEEPER ROLE(KEEPER)
#define LOGGER ROLE(LOGGER)
#define DIALLER ROLE(DIALLER)
#define TRACED ROLE(TRACED)
#define UPLINK ROLE(UPLINKD)
#define SUPER ROLE(SUPERVISOR)
#define SPAWNER ROLE(SPAWNER)
#define BOOT ROLE(BOOT)
#define KVM ROLE(VCPU_KVM)
#define VCPU (ROLE(VCPU_EMU) | KVM)
#define GDBD ROLE(GDBD)
#define VNC ROLE(VNC)
#define DEVICES ((1u << SANDBOX_ROLES) - (1u << SANDBOX_DEVICE))
enum { QUIET, LISTENS, CLOSES, SPEAKS, SERVES, FRAMES, DRAWS, KEEPS, RELAYS }; /* column "fence" of devices.def */
enum {
	LISTENERS = 0
#define DEVICE(NAME, name, model, role, presence, most, wiring, fence, ...) | ((fence) == LISTENS) << SANDBOX_##NAME
#include "devices.def"
};
enum {
	CLOSERS = 0
#define DEVICE(NAME, name, model, role, presence, most, wiring, fence, ...) | ((fence) == CLOSES) << SANDBOX_##NAME
#include "devices.def"
};
enum {
	SPEAKERS = 0
#define DEVICE(NAME, name, model, role, presence, most, wiring, fence, ...) | ((fence) == SPEAKS) << SANDBOX_##NAME
#include "devices.def"
};
enum {
	SERVERS = 0
#define DEVICE(NAME, name, model, role, presence, most, wiring, fence, ...) | ((fence) == SERVES) << SANDBOX_##NAME
#include "devices.def"
};
enum {
	CARDS = 0
#define DEVICE(NAME, name, model, role, presence, most, wiring, fence, ...) | ((fence) == FRAMES) << SANDBOX_##NAME
#include "devices.def"
};
enum {
	DRAWERS = 0
#define DEVICE(NAME, name, model, role, presence, most, wiring, fence, ...) | ((fence) == DRAWS) << SANDBOX_##NAME
#include "devices.def"
};
enum {
	HOLDERS = 0
#define DEVICE(NAME, name, model, role, presence, most, wiring, fence, ...) | ((fence) == KEEPS) << SANDBOX_##NAME
#include "devices.def"
};
enum {
	FOLDERS = 0
#define DEVICE(NAME, name, model, role, presence, most, wiring, fence, ...) | ((fence) == RELAYS) << SANDBOX_##NAME
#include "devices.def"
};
/* Virtio back-ends that others use: by themselves they take connections, and map what they are handed. */
enum { BACKS = SERVERS | CARDS | DRAWERS };
#define THREADED (VCPU | SERVERS)
#define CHILDREN (BOOT | VCPU | GDBD | DEVICES)
#define ALL (KEEPER | SUPER | SPAWNER | CHILDREN)

/* A daemon lives on the heap that it has when it enters its run phase (sandbox.c, settle_heap); keeper and spawner need
 * none. AddressSanitizer asks for memory whenever it likes. */
#if defined(__SANITIZE_ADDRESS__)
#define HEAP_GROWS (ALL | TRACED | VNC)
#else
#define HEAP_GROWS (SUPER | BOOT | VCPU | TRACED | VNC)
#endif

#define WHOLE(v) 0xffffffffull, (v)
#define FD(fd) { 0, WHOLE(fd) }
/* No flag but these: MSG_OOB, MSG_ERRQUEUE and what is to come are code paths of the kernel that nobody here needs. */
#define ONLY(arg, flags) { arg, 0xffffffffull & ~(unsigned)(flags), 0 }
#define SEND_FLAGS(arg) ONLY(arg, MSG_NOSIGNAL | MSG_DONTWAIT)
#define RECV_FLAGS(arg) ONLY(arg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
/* Waiting and waking by plain words only: locks with owners (FUTEX_LOCK_PI and its kin) are another thousand lines. */
#define FUTEX(roles, op, why_) { "futex", 0, 0, roles, { { 1, WHOLE(op) } }, 0, why_ }
#define PRCTL(e, s, r, option, why_) { "prctl", e, s, r, { { 0, WHOLE(option) } }, 0, why_ }
#define FCNTL(e, s, r, command, why_) { "fcntl", e, s, r, { { 1, WHOLE(command) } }, 0, why_ }
#define NEW_NAMESPACES                                                                                              \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)
#define KVM_CALL(request, s, r, why_) { "ioctl", 0, s, r, { { 1, WHOLE(request) } }, 0, why_ }

const struct sandbox_rule sandbox_rules[] = {
	/* call		  exec, setup, run    conditions, errno, why */
	{ "read",	  0, 0, ALL & ~BOOT, { { 0 } }, 0, "doorbells, timers, log lines of children" },
	{ "write",	  0, 0, ALL, { { 0 } }, 0, "doorbells, log lines; keeper: command line, systemd, record of the end" },
	{ "recvmsg",	  0, 0, LOGGER, { FD(STDIN_FILENO), RECV_FLAGS(2) }, 0, "messages of keeper and supervisor, another file to write to" },
	{ "dup3",	  0, 0, LOGGER, { { 1, WHOLE(STDERR_FILENO) } }, 0, "another file to write to" },
	{ "write",	  0, 0, LOGGER, { FD(STDERR_FILENO) }, 0, "to where the user wants them" },
	{ "read",	  0, 0, TRACED, { { 0 } }, 0, "doorbell, the machine's end" },
	{ "write",	  0, 0, TRACED, { { 0 } }, 0, "to files that are open" },
	{ "write",	  0, 0, DIALLER, { FD(STDERR_FILENO) }, 0, "last words" },
	{ "recvmsg",	  0, BOOT, SUPER | SPAWNER | VCPU | GDBD | (DEVICES & ~LISTENERS), { RECV_FLAGS(2) }, 0, "control messages, descriptors" },
	{ "recvmsg",	  0, 0, LISTENERS, { ONLY(2, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_PEEK) }, 0, "control messages, descriptors, console bytes" },
	{ "recvmsg",	  0, 0, KEEPER, { FD(SANDBOX_KEEPER_NOTE), RECV_FLAGS(2) }, 0, "notes of the supervisor" },
	/* sendmsg() can pass descriptors, and no filter sees whether it does; sendto() cannot. */
	{ "sendto",	  0, 0, SUPER | CHILDREN, { { 4, ~0ull, 0 }, SEND_FLAGS(3) }, 0, "control messages, events, console bytes" },
	{ "sendto",	  0, 0, KEEPER, { FD(STDERR_FILENO), { 4, ~0ull, 0 }, SEND_FLAGS(3) }, 0, "messages to the logger" },
	{ "sendmsg",	  0, 0, SUPER, { SEND_FLAGS(2) }, 0, "messages with descriptors" },
	{ "sendmsg",	  0, 0, SPEAKERS, { FD(SANDBOX_LINK), SEND_FLAGS(2) }, 0, "queues, and the pipes that belong to them, to the back-end" },
	{ "sendmsg",	  0, 0, SERVERS, { FD(SANDBOX_LINK), SEND_FLAGS(2) }, 0, "by itself: the record of what is under way, which the front-end keeps" },
	{ "dup",	  0, SERVERS, 0, { { 0 } }, 0, "by itself: so that connections get the number that a filter expects" },
	{ "pread64",	  0, HOLDERS, 0, { { 0 } }, 0, "what firmware has kept" },
	{ "pwrite64",	  0, 0, HOLDERS, { { 0 } }, 0, "what firmware keeps" },
	{ "preadv2",	  0, 0, BACKS, { { 0 } }, 0, "the image, into guest memory; by itself: is memory that a front-end hands over there" },
	{ "pwritev",	  0, 0, SERVERS, { { 0 } }, 0, "guest memory, into the image" },
	{ "fdatasync",	  0, 0, SERVERS, { { 0 } }, 0, "the guest flushes its disk" },
	{ "fallocate",	  0, 0, SERVERS, { { 1, ~(unsigned long long)(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE), 0 } }, 0, "the guest discards, or wants zeroes" },
	{ "lseek",	  0, SERVERS, 0, { { 0 } }, 0, "the size of the image" },
	{ "accept4",	  0, 0, BACKS, { { 0 } }, 0, "by itself: front-ends" },
	{ "mmap",	  0, 0, BACKS | FOLDERS, { { 2, PROT_EXEC, 0 } }, 0, "by itself: memory that a front-end hands over; memory shared with another program" },
	{ "munmap",	  0, 0, BACKS | FOLDERS, { { 0 } }, 0, "by itself: memory of an earlier front-end; of an earlier program" },
	{ "writev",	  0, 0, CARDS, { { 0 } }, 0, "frames of the guest's" },
	{ "ioctl",	  0, 0, CARDS, { { 1, WHOLE(TUNSETOFFLOAD) } }, 0, "what the driver can do with frames" },
	{ "sendmsg",	  0, 0, SPAWNER, { FD(SANDBOX_SPAWNER_SOCK), SEND_FLAGS(2) }, 0, "answers, with a child's pidfd" },
	{ "sendmsg",	  0, 0, LISTENERS, { FD(SANDBOX_STASH), SEND_FLAGS(2) }, 0, "keeps console clients for its next incarnation" },
	{ "sendmsg",	  0, 0, KEEPER, { FD(SANDBOX_KEEPER_NOTE), SEND_FLAGS(2) }, 0, "control clients and notes to the supervisor" },
	{ "close",	  0, CHILDREN, KEEPER | LOGGER | SUPER | SPAWNER | GDBD | LISTENERS | CLOSERS | SPEAKERS | BACKS | FOLDERS, { { 0 } }, 0, "surplus descriptors, clients that left" },
	{ "exit_group",	  0, 0, ALL | LOGGER | DIALLER | TRACED, { { 0 } }, 0, "the end" },
	{ "rt_sigreturn", 0, 0, ALL | LOGGER | DIALLER | TRACED, { { 0 } }, 0, "return from a signal handler" },
	{ "restart_syscall", 0, 0, VCPU, { { 0 } }, 0, "the kernel resumes an interrupted sleep (SIGSTOP, SIGCONT)" },
	{ "clock_gettime", 0, 0, (ALL & ~SPAWNER) | LOGGER, { { 0 } }, 0, "where the vDSO cannot tell the time; processor time of a child" },
	FUTEX(VCPU | DEVICES | TRACED, FUTEX_WAKE, "the other side of a ring"),
	FUTEX(VCPU, FUTEX_WAIT, "the other side of a ring"),
	FUTEX(VCPU, FUTEX_WAKE_PRIVATE, "threads of the process"),
	FUTEX(VCPU, FUTEX_WAIT_PRIVATE, "threads of the process"),
	FUTEX(VCPU, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, "threads of the process: condition variables"),
	{ "sched_yield",  0, KVM, ROLE(VCPU_EMU), { { 0 } }, 0, "a vCPU that spins waits for another one" },
	{ "epoll_wait",	  0, 0, SUPER | DEVICES, { { 0 } }, 0, "event loop" },
	{ "epoll_ctl",	  0, 0, SUPER | DEVICES, { { 0 } }, 0, "event loop" },
	{ "ppoll",	  0, 0, KEEPER | LOGGER | TRACED | VCPU | GDBD, { { 0 } }, 0, "bounded waits; the logger's for a reader has no bound" },

	{ "mmap",	  0, CHILDREN, HEAP_GROWS, { { 2, PROT_EXEC, 0 } }, 0, "heap and shared objects, never executable" },
	{ "mmap",	  VCPU, 0, 0, { { 2, WHOLE(PROT_READ | PROT_EXEC) }, { 3, WHOLE(MAP_SHARED) } }, 0, "the emulator's generated code: nowhere is a page writable and executable" },
	{ "munmap",	  0, CHILDREN, HEAP_GROWS, { { 0 } }, 0, "heap" },
	{ "brk",	  0, CHILDREN, HEAP_GROWS, { { 0 } }, 0, "heap" },
	{ "madvise",	  0, 0, BOOT, { { 0 } }, 0, "huge pages for what is unpacked" },
	/* Zeroes where it may write them anyway; no file gets shorter, and what others map of it reads as zeroes, too. */
	{ "madvise",	  0, VCPU, ROLE(VCPU_EMU), { { 2, WHOLE(MADV_DONTNEED) } }, 0, "an idle guest's decoded code is given back" },
	{ "madvise",	  0, VCPU, ROLE(VCPU_EMU), { { 2, WHOLE(MADV_REMOVE) } }, 0, "an idle guest's translated code is given back" },
	{ "pread64",	  0, 0, BOOT, { { 0 } }, 0, "images" },
	{ "getrandom",	  CHILDREN, VCPU, BOOT, { { 0 } }, 0, "heap; the loader: kernel addresses, seed for the guest" },

	/* a program starts, and enters its fence */
	{ "execveat",	  CHILDREN, 0, 0, { FD(SANDBOX_PROGRAM), { 4, WHOLE(AT_EMPTY_PATH) } }, 0, "the program that its filter is for" },
	{ "arch_prctl",	  CHILDREN, 0, 0, { { 0 } }, 0, "start of a program" },
	{ "set_tid_address", CHILDREN, 0, 0, { { 0 } }, 0, "start of a program" },
	{ "set_robust_list", CHILDREN, THREADED, 0, { { 0 } }, 0, "start of a program or thread" },
	{ "rseq",	  CHILDREN, THREADED, 0, { { 0 } }, 0, "start of a program or thread" },
	{ "mprotect",	  CHILDREN, THREADED, 0, { { 2, PROT_EXEC, 0 } }, 0, "read-only relocations, thread stacks" },
	{ "readlink",	  CHILDREN, 0, 0, { { 0 } }, EACCES, "start of a static program asks for its own name" },
	{ "readlinkat",	  CHILDREN, 0, 0, { { 0 } }, EACCES, "as readlink" },
	{ "prlimit64",	  CHILDREN, CHILDREN, SPAWNER, { { 0 } }, 0, "limits, stack size" },
	{ "rt_sigaction", CHILDREN, THREADED, SPAWNER, { { 0 } }, 0, "handlers" },
	FCNTL(CHILDREN, 0, 0, F_GETFD, "are the channels there"),
	FCNTL(CHILDREN, 0, 0, F_SETFD, "close-on-exec"),
	{ "capget",	  CHILDREN, 0, SPAWNER, { { 0 } }, 0, "no capabilities" },
	{ "capset",	  CHILDREN, 0, SPAWNER, { { 0 } }, 0, "no capabilities" },
	PRCTL(CHILDREN, 0, SPAWNER, PR_CAPBSET_DROP, "no capabilities"),
	PRCTL(CHILDREN, 0, SPAWNER, PR_CAP_AMBIENT, "no capabilities"),
	PRCTL(CHILDREN, 0, SPAWNER, PR_SET_NO_NEW_PRIVS, "entering the fence"),
	PRCTL(CHILDREN, 0, SPAWNER, PR_SET_DUMPABLE, "entering the fence"),
	{ "landlock_create_ruleset", CHILDREN, 0, SPAWNER, { { 0 } }, 0, "entering the fence" },
	{ "landlock_restrict_self", CHILDREN, 0, SPAWNER, { { 0 } }, 0, "entering the fence" },
	{ "seccomp",	  CHILDREN, CHILDREN | SUPER, SPAWNER, { { 0 } }, 0, "the next, narrower filter" },
	{ "epoll_create1", DEVICES, SUPER, 0, { { 0 } }, 0, "event loop" },
	{ "timerfd_create", DEVICES, 0, 0, { { 0 } }, 0, "deadlines" },
	{ "getuid",	  DEVICES, SUPER, 0, { { 0 } }, 0, "libevent: are we set-user-ID" },
	{ "geteuid",	  DEVICES, SUPER, 0, { { 0 } }, 0, "libevent: are we set-user-ID" },
	{ "getgid",	  DEVICES, SUPER, 0, { { 0 } }, 0, "libevent: are we set-user-ID" },
	{ "getegid",	  DEVICES, SUPER, 0, { { 0 } }, 0, "libevent: are we set-user-ID" },

	/* it is greeted, and maps its objects */
	{ "getpid",	  0, CHILDREN, KVM, { { 0 } }, 0, "HELLO; pthread_kill" },
	PRCTL(0, CHILDREN, 0, PR_SET_NAME, "names of processes and threads"),
	{ "newfstatat",	  0, CHILDREN | SUPER, 0, { { 0 } }, 0, "sizes of objects" },
	{ "fstat",	  0, CHILDREN | SUPER, 0, { { 0 } }, 0, "sizes of objects" },
	FCNTL(0, CHILDREN | SUPER, 0, F_GET_SEALS, "is the object sealed"),
	FCNTL(0, CHILDREN, SUPER, F_SETFL, "non-blocking pipes and channels"),
	{ "timerfd_settime", 0, 0, DEVICES, { { 0 } }, 0, "deadlines" },
	{ "dup3",	  0, LISTENERS, SPAWNER, { { 0 } }, 0, "to where a filter expects it" },
	{ "dup3",	  0, 0, SPEAKERS, { { 1, WHOLE(SANDBOX_LINK) } }, 0, "another connection to its back-end" },
	{ "accept4",	  0, 0, LISTENERS, { { 0 } }, 0, "console clients" },

	/* threads: of the vCPU process, and of who serves a disk, before their run phase */
	{ "clone3",	  0, THREADED, 0, { { 0 } }, ENOSYS, "its flags are out of a filter's sight; glibc falls back to clone" },
	{ "clone",	  0, THREADED, 0, { { 0, CLONE_THREAD | NEW_NAMESPACES, CLONE_THREAD } }, 0, "vCPU threads; threads that wait for a disk" },
	{ "rt_sigprocmask", 0, THREADED, SPAWNER | KVM, { { 0 } }, 0, "threads mask signals; pthread_kill" },
	{ "tgkill",	  0, 0, KVM, { { 0 } }, 0, "kicks a vCPU thread out of the guest" },

	/* what has to fail without ending a program: libraries ask, and live with a no */
	{ "openat",	  0, CHILDREN, 0, { { 0 } }, ENOENT, "libraries look for files" },
	{ "open",	  0, CHILDREN, 0, { { 0 } }, ENOENT, "libraries look for files" },
	{ "ioctl",	  0, DEVICES, SUPER, { { 1, WHOLE(0x5401) } }, ENOTTY, "stdio asks whether it writes to a terminal" },

#if defined(__x86_64__) /* elsewhere KVM is another thing, and not for these guests */
	/* KVM: each request by name */
	KVM_CALL(KVM_GET_API_VERSION, KVM, 0, "engine set-up"),
	KVM_CALL(KVM_CREATE_VM, KVM, 0, "engine set-up"),
	KVM_CALL(KVM_CHECK_EXTENSION, KVM, 0, "engine set-up"),
	KVM_CALL(KVM_GET_VCPU_MMAP_SIZE, KVM, 0, "engine set-up"),
	KVM_CALL(KVM_GET_SUPPORTED_CPUID, KVM, 0, "engine set-up"),
	KVM_CALL(KVM_SET_TSS_ADDR, KVM, 0, "engine set-up"),
	KVM_CALL(KVM_SET_IDENTITY_MAP_ADDR, KVM, 0, "engine set-up"),
	KVM_CALL(KVM_ENABLE_CAP, KVM, 0, "engine set-up: split irqchip"),
	KVM_CALL(KVM_SET_USER_MEMORY_REGION, KVM, 0, "engine set-up: guest memory"),
	KVM_CALL(KVM_CREATE_VCPU, KVM, 0, "engine set-up"),
	KVM_CALL(KVM_SET_CPUID2, KVM, 0, "engine set-up"),
	KVM_CALL(KVM_GET_TSC_KHZ, KVM, 0, "engine set-up"),
	KVM_CALL(KVM_SET_SIGNAL_MASK, KVM, 0, "engine set-up: kicks"),
	KVM_CALL(KVM_RUN, 0, KVM, "runs the guest"),
	KVM_CALL(KVM_INTERRUPT, 0, KVM, "external interrupt of the 8259"),
	KVM_CALL(KVM_SIGNAL_MSI, 0, KVM, "messages to local APICs"),
	KVM_CALL(KVM_SET_GSI_ROUTING, 0, KVM, "which pins are level-triggered"),
	KVM_CALL(KVM_GET_REGS, 0, KVM, "register dump, pause"),
	KVM_CALL(KVM_SET_REGS, 0, KVM, "resume"),
	KVM_CALL(KVM_GET_SREGS, 0, KVM, "register dump, pause"),
	KVM_CALL(KVM_SET_SREGS, 0, KVM, "resume"),
	KVM_CALL(KVM_TRANSLATE, 0, KVM, "KVM gave up: do the guest's tables lie in memory; debugger"),
	KVM_CALL(KVM_SET_GUEST_DEBUG, 0, KVM, "debugger"),
	KVM_CALL(KVM_GET_XSAVE, 0, KVM, "pause"),
	KVM_CALL(KVM_GET_XSAVE2, 0, KVM, "pause, where the state is larger than a page"),
	KVM_CALL(KVM_SET_XSAVE, 0, KVM, "resume"),
	KVM_CALL(KVM_GET_XCRS, 0, KVM, "pause"),
	KVM_CALL(KVM_SET_XCRS, 0, KVM, "resume"),
	KVM_CALL(KVM_GET_DEBUGREGS, 0, KVM, "pause"),
	KVM_CALL(KVM_SET_DEBUGREGS, 0, KVM, "resume"),
	KVM_CALL(KVM_GET_VCPU_EVENTS, 0, KVM, "pause"),
	KVM_CALL(KVM_SET_VCPU_EVENTS, 0, KVM, "resume"),
	KVM_CALL(KVM_GET_LAPIC, 0, KVM, "pause"),
	KVM_CALL(KVM_SET_LAPIC, 0, KVM, "resume"),
	KVM_CALL(KVM_GET_MSRS, 0, KVM, "pause"),
	KVM_CALL(KVM_SET_MSRS, 0, KVM, "resume"),
	KVM_CALL(KVM_GET_MP_STATE, 0, KVM, "is the vCPU halted"),
	KVM_CALL(KVM_SET_MP_STATE, 0, KVM, "resume"),
#endif

	/* supervisor: makes objects and channels, watches and ends processes */
	{ "memfd_create", VCPU, SUPER, 0, { { 0 } }, 0, "memory objects; the emulator's generated code" },
	{ "ftruncate",	  VCPU, SUPER, 0, { { 0 } }, 0, "size of memory objects" },
	{ "fallocate",	  0, 0, SUPER, { { 1, WHOLE(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) } }, 0, "a reboot empties guest memory" },
	FCNTL(0, SUPER, 0, F_ADD_SEALS, "seals on memory objects"),
	{ "openat",	  0, SUPER, 0, { { 2, O_ACCMODE | O_CREAT | O_TRUNC | O_PATH, 0 } }, 0, "read-only re-open through its own fd directory" },
	{ "socketpair",	  0, 0, SUPER, { { 0, WHOLE(AF_UNIX) } }, 0, "control channels" },
	{ "pipe2",	  DEVICES, SERVERS, SUPER, { { 0 } }, 0, "log lines of a child; event loop; requests to threads, and back" },
	{ "waitid",	  0, 0, SUPER | KEEPER, { { 0 } }, 0, "how a child ended" },
	{ "pidfd_send_signal", 0, 0, SUPER, { { 0 } }, 0, "ends a child, wakes it" },

	/* spawner: makes processes; what a child does on its way to its program is done behind this filter, too */
	{ "clone",	  0, 0, SPAWNER, { { 0, ~0ull, SANDBOX_CLONE_CHILD } }, 0, "children" },
	{ "clone",	  0, 0, SPAWNER, { { 0, ~0ull, SANDBOX_CLONE_CHILD_USER } }, 0, "children, as an ordinary user" },
	{ "clone",	  0, 0, SPAWNER, { { 0, ~0ull, SANDBOX_CLONE_CHILD_PLAIN } }, 0, "children, without namespaces" },
	{ "openat",	  0, 0, SPAWNER, { { 2, O_ACCMODE | O_CREAT | O_TRUNC | O_PATH, 0 } }, 0, "a child's number on the host, in its own fdinfo directory" },
	{ "unshare",	  0, 0, SPAWNER, { { 0, WHOLE(CLONE_NEWUSER) } }, 0, "a child's own user namespace" },
	{ "setgroups",	  0, 0, SPAWNER, { { 0, WHOLE(0) } }, 0, "a child's own group" },
	{ "setresgid",	  0, 0, SPAWNER, { { 0 } }, 0, "a child's own group" },
	{ "setresuid",	  0, 0, SPAWNER, { { 0 } }, 0, "a child's own user" },
	FCNTL(0, 0, SPAWNER, F_DUPFD_CLOEXEC, "descriptors of a child"),
	{ "dup2",	  0, 0, SPAWNER, { { 0 } }, 0, "descriptors of a child" },
	{ "close_range",  0, 0, SPAWNER, { { 0 } }, 0, "a child inherits only what it was given" },
	PRCTL(0, 0, SPAWNER, PR_SET_PDEATHSIG, "a child ends with its supervisor"),
	{ "landlock_add_rule", 0, 0, SPAWNER, { { 0 } }, 0, "a child's program may be executed, nothing else" },

	/* dialler: connects for the supervisor, looks who listens, and hands the connection over */
	{ "recvmsg",	  0, 0, DIALLER, { FD(SANDBOX_DIALLER_SOCK), RECV_FLAGS(2) }, 0, "which device" },
	{ "sendmsg",	  0, 0, DIALLER, { FD(SANDBOX_DIALLER_SOCK), SEND_FLAGS(2) }, 0, "its connection" },
	{ "socket",	  0, 0, DIALLER, { { 0, WHOLE(AF_UNIX) }, { 1, WHOLE(SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK) } }, 0, "connections" },
	{ "connect",	  0, 0, DIALLER, { { 0 } }, 0, "connections" },
	{ "getsockopt",	  0, 0, DIALLER, { { 1, WHOLE(SOL_SOCKET) }, { 2, WHOLE(SO_PEERCRED) } }, 0, "who listens there" },
	{ "close",	  0, 0, DIALLER, { { 0 } }, 0, "connections that are the supervisor's now" },

	/* uplinkd: its first process starts the one that works; that has this host's network, and no file but /etc/resolv.conf and /dev/urandom */
	{ "clone",	  0, UPLINK, 0, { { 0, CLONE_THREAD | NEW_NAMESPACES, 0 } }, 0, "the one that works" },
	FUTEX(UPLINK, FUTEX_WAKE_PRIVATE, "the library's one-time set-up"),
	{ "wait4",	  0, UPLINK, 0, { { 0 } }, 0, "how it ended" },
	{ "clock_nanosleep", 0, UPLINK, 0, { { 0 } }, 0, "before another takes its place" },
	{ "set_robust_list", 0, UPLINK, 0, { { 0 } }, 0, "start of a process" },
	{ "rt_sigprocmask", 0, UPLINK, 0, { { 0 } }, 0, "start of a process" },
	{ "seccomp",	  0, UPLINK, 0, { { 0 } }, 0, "the next, narrower filter" },
	PRCTL(0, UPLINK, 0, PR_SET_PDEATHSIG, "it ends with the first"),
	{ "read",	  0, 0, UPLINK, { { 0 } }, 0, "frames, /etc/resolv.conf" },
	{ "write",	  0, 0, UPLINK, { { 0 } }, 0, "frames, the report" },
	{ "writev",	  0, 0, UPLINK, { { 0 } }, 0, "frames" },
	{ "poll",	  0, 0, UPLINK, { { 0 } }, 0, "frames, connections" },
	{ "socket",	  0, 0, UPLINK, { { 0, WHOLE(AF_INET) } }, 0, "the guest's connections" },
	{ "socket",	  0, 0, UPLINK, { { 0, WHOLE(AF_UNIX) } }, 0, "another machine's card" },
	{ "connect",	  0, 0, UPLINK, { { 0 } }, 0, "the guest's connections" },
	{ "bind",	  0, 0, UPLINK, { { 0 } }, 0, "forwards, UDP" },
	{ "listen",	  0, 0, UPLINK, { { 0 } }, 0, "forwards" },
	{ "accept",	  0, 0, UPLINK, { { 0 } }, 0, "forwards" },
	{ "accept4",	  0, 0, UPLINK, { { 0 } }, 0, "another machine's card" },
	{ "getsockopt",	  0, 0, UPLINK, { { 0 } }, 0, "how a connection ended" },
	{ "setsockopt",	  0, 0, UPLINK, { { 0 } }, 0, "sizes, addresses used again" },
	{ "getsockname",  0, 0, UPLINK, { { 0 } }, 0, "forwards" },
	{ "getpeername",  0, 0, UPLINK, { { 0 } }, 0, "forwards" },
	{ "recvfrom",	  0, 0, UPLINK, { { 0 } }, 0, "the guest's connections" },
	{ "recvmsg",	  0, 0, UPLINK, { { 2, WHOLE(MSG_ERRQUEUE) } }, 0, "why a datagram of the guest's did not arrive" },
	{ "sendto",	  0, 0, UPLINK, { SEND_FLAGS(3) }, 0, "the guest's connections" },
	{ "sendto",	  0, 0, UPLINK, { { 3, MSG_OOB, MSG_OOB } }, EOPNOTSUPP, "urgent data, which libslirp would send" },
	{ "shutdown",	  0, 0, UPLINK, { { 0 } }, 0, "the guest's connections" },
	{ "ioctl",	  0, 0, UPLINK, { { 1, WHOLE(FIONREAD) } }, 0, "how much has come" },
	FCNTL(0, 0, UPLINK, F_GETFL, "sockets that do not block"),
	FCNTL(0, 0, UPLINK, F_SETFL, "sockets that do not block"),
	FCNTL(0, 0, UPLINK, F_GETFD, "sockets that no program inherits"),
	FCNTL(0, 0, UPLINK, F_SETFD, "sockets that no program inherits"),
	{ "close",	  0, 0, UPLINK, { { 0 } }, 0, "connections that are over" },
	{ "openat",	  0, 0, UPLINK, { { 2, O_ACCMODE | O_CREAT | O_TRUNC | O_PATH, 0 } }, 0, "/etc/resolv.conf, the only one in its root but /dev/urandom" },
	{ "newfstatat",	  0, 0, UPLINK, { { 0 } }, 0, "has it changed" },
	{ "unlink",	  0, 0, UPLINK, { { 0 } }, 0, "a socket at which nobody listens any more" },
	{ "brk",	  0, 0, UPLINK, { { 0 } }, 0, "heap" },
	{ "mmap",	  0, 0, UPLINK, { { 2, PROT_EXEC, 0 } }, 0, "heap" },
	{ "munmap",	  0, 0, UPLINK, { { 0 } }, 0, "heap" },
	{ "mremap",	  0, 0, UPLINK, { { 0 } }, 0, "heap" },
	{ "clock_gettime", 0, 0, UPLINK, { { 0 } }, 0, "where the vDSO cannot tell the time" },
	{ "exit_group",	  0, 0, UPLINK, { { 0 } }, 0, "the end" },
	{ "rt_sigreturn", 0, 0, UPLINK, { { 0 } }, 0, "return from a signal handler" },
	/* a server of VNC: one viewer, one connection to displayd; it gets others from its door */
	{ "read",	  0, 0, VNC, { { 0 } }, 0, "what the viewer sends" },
	{ "write",	  0, 0, VNC, { { 0 } }, 0, "pictures to the viewer" },
	{ "recvfrom",	  0, 0, VNC, { ONLY(3, MSG_DONTWAIT | MSG_PEEK) }, 0, "displayd's answers; is the viewer a browser" },
	{ "recvmsg",	  0, 0, VNC, { FD(SANDBOX_VNC_DOOR), RECV_FLAGS(2) }, 0, "another connection to displayd" },
	{ "sendmsg",	  0, 0, VNC, { FD(SANDBOX_VNC_DOOR), SEND_FLAGS(2) }, 0, "asks for one" },
	{ "sendto",	  0, 0, VNC, { { 4, ~0ull, 0 }, SEND_FLAGS(3) }, 0, "events to displayd" },
	{ "poll",	  0, 0, VNC, { { 0 } }, 0, "bounded waits" },
	{ "select",	  0, 0, VNC, { { 0 } }, 0, "libvncserver's waits" },
	{ "pselect6",	  0, 0, VNC, { { 0 } }, 0, "the same, by glibc" },
	{ "close",	  0, 0, VNC, { { 0 } }, 0, "connections that are broken" },
	{ "exit_group",	  0, 0, VNC, { { 0 } }, 0, "the end" },
	{ "rt_sigreturn", 0, 0, VNC, { { 0 } }, 0, "return from a signal handler" },
	{ "clock_gettime", 0, 0, VNC, { { 0 } }, 0, "where the vDSO cannot tell the time" },
	FCNTL(0, VNC, 0, F_GETFL, "the viewer's connection does not block"),
	FCNTL(0, VNC, 0, F_SETFL, "the viewer's connection does not block"),
	FCNTL(0, VNC, 0, F_GET_SEALS, "is PICTURE sealed"),
	{ "setsockopt",	  0, VNC, 0, { { 0 } }, 0, "small packets to the viewer leave at once" },
	{ "getpeername",  0, VNC, 0, { { 0 } }, 0, "libvncserver asks whose connection it is" },
	{ "shutdown",	  0, 0, VNC, { { 0 } }, 0, "the viewer's connection ends" },
	{ "getrandom",	  0, 0, VNC, { { 0 } }, 0, "the challenge that a password answers" },
	{ "newfstatat",	  0, VNC, 0, { { 0 } }, 0, "size of PICTURE" },
	{ "fstat",	  0, VNC, 0, { { 0 } }, 0, "size of PICTURE" },
	{ "seccomp",	  0, VNC, 0, { { 0 } }, 0, "the next, narrower filter" },
	{ "prlimit64",	  0, VNC, 0, { { 0 } }, 0, "limits" },

	{ "pwrite64",	  0, 0, KEEPER, { { 0 } }, 0, "what a device was when it died" },

	/* keeper: lets clients in, tidies up after everything else is dead */
	{ "accept4",	  0, 0, KEEPER, { FD(SANDBOX_KEEPER_CONTROL) }, 0, "control clients" },
	{ "accept4",	  0, 0, KEEPER, { FD(SANDBOX_KEEPER_GDB) }, 0, "debuggers" },
	{ "accept4",	  0, 0, KEEPER, { FD(SANDBOX_KEEPER_METRICS) }, 0, "who asks for metrics" },
	{ "getsockopt",	  0, 0, KEEPER, { { 1, WHOLE(SOL_SOCKET) }, { 2, WHOLE(SO_PEERCRED) } }, 0, "who is the peer" },
	{ "getsockopt",	  0, 0, KEEPER, { { 1, WHOLE(SOL_SOCKET) }, { 2, WHOLE(SO_PEERGROUPS) } }, 0, "in which groups" },
	{ "unlinkat",	  0, 0, KEEPER, { FD(SANDBOX_KEEPER_DIR), { 2, WHOLE(0) } }, 0, "sockets, log and lock of the machine" },
	{ "unlinkat",	  0, 0, KEEPER, { FD(SANDBOX_KEEPER_BASE), { 2, WHOLE(AT_REMOVEDIR) } }, 0, "directory of the machine, when it is empty" },
};
const unsigned sandbox_rule_count = sizeof(sandbox_rules) / sizeof(sandbox_rules[0]);

static bool names_role(const struct sandbox_rule *rule, uint32_t roles, enum sandbox_phase phase)
{
	switch (phase) {
	case SANDBOX_PHASE_EXEC:
		return (rule->exec | rule->setup | rule->run) & roles;
	case SANDBOX_PHASE_SETUP:
		return (rule->setup | rule->run) & roles;
	case SANDBOX_PHASE_RUN:
		return rule->run & roles;
	}
	return false;
}

bool sandbox_rule_applies(const struct sandbox_rule *rule, enum sandbox_role role, enum sandbox_phase phase)
{
	/* Filters are inherited and add up: what a child may do, the spawner's filter must let pass. */
	if (role == SANDBOX_SPAWNER)
		return names_role(rule, SPAWNER | CHILDREN, SANDBOX_PHASE_EXEC);
	return names_role(rule, 1u << role, phase);
}

unsigned sandbox_run_limit(enum sandbox_role role)
{
	switch (role) {
	case SANDBOX_SPAWNER:
		return 0;
	case SANDBOX_SUPERVISOR:
		return 24;
	case SANDBOX_VNC: /* a library's loop beside ours */
		return 24;
	case SANDBOX_VCPU_KVM:
		return 20;
	case SANDBOX_UPLINKD:
		return 32;
	default:
		return 1u << role & BACKS ? 20 : 16;
	}
}
