/* SPDX-License-Identifier: MIT */
/* Which system calls each process may make, in which phase, with which arguments, and why. Everything else traps. */
#include "sandbox_table.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/futex.h>
#include <linux/kvm.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROLE(x) (1u << SANDBOX_##x)
#define KEEPER ROLE(KEEPER)
#define LOGGER ROLE(LOGGER)
#define SUPER ROLE(SUPERVISOR)
#define BOOT ROLE(BOOT)
#define KVM ROLE(VCPU_KVM)
#define VCPU (ROLE(VCPU_EMU) | KVM)
#define DEVICES ((1u << SANDBOX_ROLES) - (1u << SANDBOX_DEVICE))
enum { QUIET, LISTENS }; /* column "fence" of devices.def */
enum {
	LISTENERS = 0
#define DEVICE(NAME, name, model, role, presence, most, wiring, fence, ...) | ((fence) == LISTENS) << SANDBOX_##NAME
#include "devices.def"
};
#define CHILDREN (BOOT | VCPU | DEVICES)
#define ALL (KEEPER | SUPER | CHILDREN)

/* A daemon lives on the heap that it has when it enters its run phase (sandbox.c, settle_heap), and the keeper needs none.
 * AddressSanitizer asks for memory whenever it likes. */
#if defined(__SANITIZE_ADDRESS__)
#define HEAP_GROWS ALL
#else
#define HEAP_GROWS (ALL & ~(DEVICES | KEEPER))
#endif

#define WHOLE(v) 0xffffffffull, (v)
#define FD(fd) { 0, WHOLE(fd) }
/* No flag but these: MSG_OOB, MSG_ERRQUEUE and what is to come are code paths of the kernel that nobody here needs. */
#define ONLY(arg, flags) { arg, 0xffffffffull & ~(unsigned)(flags), 0 }
#define SEND_FLAGS(arg) ONLY(arg, MSG_NOSIGNAL | MSG_DONTWAIT)
#define RECV_FLAGS(arg) ONLY(arg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
/* Waiting and waking by plain words only: locks with owners (FUTEX_LOCK_PI and its kin) are another thousand lines. */
#define FUTEX(roles, op, why_) { "futex", 0, roles, { { 1, WHOLE(op) } }, 0, why_ }
#define NEW_NAMESPACES                                                                                              \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)
#define KVM_CALL(request, s, r, why_) { "ioctl", s, r, { { 1, WHOLE(request) } }, 0, why_ }

const struct sandbox_rule sandbox_rules[] = {
	/* call		    setup	 run		     conditions, errno, why */
	{ "read",	    0, ALL, { { 0 } }, 0, "doorbells, console bytes" },
	{ "write",	    0, ALL, { { 0 } }, 0, "doorbells, console bytes, log lines" },
	{ "read",	    0, LOGGER, { FD(STDIN_FILENO) }, 0, "messages of keeper and supervisor" },
	{ "write",	    0, LOGGER, { FD(STDERR_FILENO) }, 0, "to where the user wants them" },
	{ "recvmsg",	    0, ALL & ~(KEEPER | LISTENERS), { RECV_FLAGS(2) }, 0, "control messages, descriptors" },
	{ "recvmsg",	    0, LISTENERS, { ONLY(2, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_PEEK) }, 0, "control messages, descriptors, console bytes" },
	{ "recvmsg",	    0, KEEPER, { FD(SANDBOX_KEEPER_NOTE), RECV_FLAGS(2) }, 0, "notes of the supervisor" },
	/* sendmsg() can pass descriptors, and no filter sees whether it does; sendto() cannot. */
	{ "sendto",	    0, ALL & ~KEEPER, { { 4, ~0ull, 0 }, SEND_FLAGS(3) }, 0, "control messages, events, console bytes" },
	{ "sendto",	    0, KEEPER, { FD(STDERR_FILENO), { 4, ~0ull, 0 }, SEND_FLAGS(3) }, 0, "messages to the logger" },
	{ "sendmsg",	    0, SUPER, { SEND_FLAGS(2) }, 0, "set-up messages, with descriptors" },
	{ "sendmsg",	    0, LISTENERS, { FD(SANDBOX_STASH), SEND_FLAGS(2) }, 0, "keeps console clients for its next incarnation" },
	{ "sendmsg",	    0, KEEPER, { FD(SANDBOX_KEEPER_NOTE), SEND_FLAGS(2) }, 0, "control clients and notes to the supervisor" },
	{ "close",	    0, ALL, { { 0 } }, 0, "surplus descriptors, console clients that left" },
	{ "exit_group",	    0, ALL | LOGGER, { { 0 } }, 0, "the end" },
	{ "rt_sigreturn",   0, ALL | LOGGER, { { 0 } }, 0, "return from a signal handler" },
	{ "restart_syscall", DEVICES, SUPER | BOOT | VCPU, { { 0 } }, 0, "the kernel resumes an interrupted sleep (SIGSTOP, SIGCONT)" },
	{ "clock_gettime",  0, ALL & ~KEEPER, { { 0 } }, 0, "where the vDSO cannot tell the time" },
	FUTEX(VCPU | DEVICES, FUTEX_WAKE, "the other side of a ring"),
	FUTEX(VCPU, FUTEX_WAIT, "the other side of a ring"),
	FUTEX(VCPU, FUTEX_WAKE_PRIVATE, "threads of the process"),
	FUTEX(VCPU, FUTEX_WAIT_PRIVATE, "threads of the process"),
	FUTEX(VCPU, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, "threads of the process: condition variables"),
	{ "epoll_wait",	    0, SUPER | DEVICES, { { 0 } }, 0, "event loop" },
	{ "epoll_ctl",	    0, SUPER | DEVICES, { { 0 } }, 0, "event loop" },
	{ "ppoll",	    VCPU | DEVICES | BOOT, KEEPER | LOGGER | SUPER | VCPU, { { 0 } }, 0, "bounded waits; the logger's for a reader has no bound" },
	{ "poll",	    VCPU | DEVICES | BOOT, SUPER, { { 0 } }, 0, "bounded waits" },

	{ "mmap",	    CHILDREN, HEAP_GROWS, { { 2, PROT_EXEC, 0 } }, 0, "heap and shared objects, never executable" },
	/* The vcpu process maps generated code before it has a filter of its own, under the one that it inherits. The supervisor
	 * may run programs anyway; nobody else has this row, and nowhere is a page writable and executable. */
	{ "mmap",	    0, SUPER, { { 2, WHOLE(PROT_READ | PROT_EXEC) }, { 3, WHOLE(MAP_SHARED) } }, 0, "the emulator's generated code" },
	{ "munmap",	    CHILDREN, HEAP_GROWS, { { 0 } }, 0, "heap" },
	{ "brk",	    CHILDREN, HEAP_GROWS, { { 0 } }, 0, "heap" },
	{ "mprotect",	    CHILDREN, SUPER, { { 2, PROT_EXEC, 0 } }, 0, "read-only relocations after exec, thread stacks" },
	{ "mremap",	    CHILDREN, SUPER | BOOT, { { 0 } }, 0, "heap" },
	{ "madvise",	    CHILDREN, SUPER | BOOT, { { 0 } }, 0, "heap, huge pages for guest memory" },

	/* set-up of a process: programs start, objects are mapped */
	{ "fstat",	    CHILDREN, SUPER, { { 0 } }, 0, "sizes of objects" },
	{ "newfstatat",	    CHILDREN, SUPER, { { 0 } }, 0, "sizes of objects (glibc's fstat)" },
	{ "lseek",	    CHILDREN, SUPER | BOOT, { { 0 } }, 0, "sizes of images" },
	{ "pread64",	    CHILDREN, SUPER | BOOT, { { 0 } }, 0, "images" },
	{ "fcntl",	    CHILDREN, SUPER, { { 1, WHOLE(F_GET_SEALS) } }, 0, "is the object sealed" },
	{ "fcntl",	    CHILDREN, SUPER, { { 1, WHOLE(F_GETFD) } }, 0, "descriptor checks" },
	{ "fcntl",	    CHILDREN, SUPER, { { 1, WHOLE(F_SETFD) } }, 0, "close-on-exec" },
	{ "fcntl",	    CHILDREN, SUPER, { { 1, WHOLE(F_GETFL) } }, 0, "descriptor checks" },
	{ "fcntl",	    CHILDREN, SUPER, { { 1, WHOLE(F_SETFL) } }, 0, "non-blocking pipes, before the run phase only" },
	{ "fcntl",	    CHILDREN, SUPER, { { 1, WHOLE(F_DUPFD_CLOEXEC) } }, 0, "descriptor order" },
	{ "dup",	    CHILDREN, SUPER, { { 0 } }, 0, "descriptor order" },
	{ "dup2",	    CHILDREN, SUPER, { { 0 } }, 0, "descriptor order" },
	{ "dup3",	    CHILDREN, SUPER, { { 0 } }, 0, "descriptor order" },
	{ "rt_sigaction",   CHILDREN, SUPER, { { 0 } }, 0, "handlers" },
	{ "rt_sigprocmask", CHILDREN, SUPER | KVM, { { 0 } }, 0, "threads mask signals; pthread_kill" },
	{ "sigaltstack",    CHILDREN, 0, { { 0 } }, 0, "handlers" },
	{ "prctl",	    CHILDREN, SUPER, { { 0, WHOLE(PR_SET_NAME) } }, 0, "names of processes and threads" },
	{ "prctl",	    CHILDREN, SUPER, { { 0, WHOLE(PR_SET_MM) } }, 0, "the name that ps shows" },
	{ "prctl",	    CHILDREN, SUPER, { { 0, WHOLE(PR_SET_NO_NEW_PRIVS) } }, 0, "entering the fence" },
	{ "prctl",	    CHILDREN, SUPER, { { 0, WHOLE(PR_GET_NO_NEW_PRIVS) } }, 0, "entering the fence" },
	{ "prctl",	    CHILDREN, SUPER, { { 0, WHOLE(PR_SET_DUMPABLE) } }, 0, "entering the fence" },
	{ "prctl",	    CHILDREN, SUPER, { { 0, WHOLE(PR_SET_PDEATHSIG) } }, 0, "ends with its parent" },
	{ "prctl",	    CHILDREN, SUPER, { { 0, WHOLE(PR_CAPBSET_DROP) } }, 0, "entering the fence" },
	{ "prctl",	    CHILDREN, SUPER, { { 0, WHOLE(PR_CAP_AMBIENT) } }, 0, "entering the fence" },
	{ "prctl",	    CHILDREN, SUPER, { { 0, WHOLE(PR_SET_TIMERSLACK) } }, 0, "exact timers" },
	{ "seccomp",	    CHILDREN, SUPER, { { 0 } }, 0, "the next, narrower filter" },
	{ "gettid",	    CHILDREN, SUPER, { { 0 } }, 0, "threads" },
	{ "getpid",	    CHILDREN, SUPER | KVM, { { 0 } }, 0, "HELLO; pthread_kill" },
	{ "getuid",	    CHILDREN, SUPER, { { 0 } }, 0, "libevent: are we set-user-ID" },
	{ "geteuid",	    CHILDREN, SUPER, { { 0 } }, 0, "libevent: are we set-user-ID" },
	{ "getgid",	    CHILDREN, SUPER, { { 0 } }, 0, "libevent: are we set-user-ID" },
	{ "getegid",	    CHILDREN, SUPER, { { 0 } }, 0, "libevent: are we set-user-ID" },
	{ "getrandom",	    CHILDREN, SUPER | BOOT, { { 0 } }, 0, "hash seeds; the loader: kernel addresses, seed for the guest" },
	{ "prlimit64",	    CHILDREN, SUPER, { { 0 } }, 0, "limits, stack size" },
	{ "sched_getaffinity", CHILDREN, SUPER, { { 0 } }, 0, "how many processors: may we spin" },
	{ "sched_setaffinity", VCPU, SUPER, { { 0 } }, 0, "placement of vCPUs" },
	{ "sched_yield",    DEVICES, VCPU, { { 0 } }, 0, "spinning politely" },
	{ "epoll_create1",  CHILDREN, SUPER, { { 0 } }, 0, "event loop" },
	{ "timerfd_create", CHILDREN, SUPER, { { 0 } }, 0, "deadlines" },
	{ "timerfd_settime", 0, SUPER | DEVICES, { { 0 } }, 0, "deadlines" },
	{ "eventfd2",	    CHILDREN, SUPER, { { 0 } }, 0, "wake-ups inside one process" },
	{ "pipe2",	    CHILDREN, SUPER, { { 0 } }, 0, "wake-ups inside one process" },
	{ "accept4",	    0, LISTENERS, { { 0 } }, 0, "console clients" },
	{ "accept4",	    0, KEEPER, { FD(SANDBOX_KEEPER_CONTROL) }, 0, "control clients" },
	{ "getsockopt",	    0, KEEPER, { { 1, WHOLE(SOL_SOCKET) }, { 2, WHOLE(SO_PEERCRED) } }, 0, "who is the peer" },
	{ "getsockopt",	    0, KEEPER, { { 1, WHOLE(SOL_SOCKET) }, { 2, WHOLE(SO_PEERGROUPS) } }, 0, "in which groups" },

	/* threads: of the vCPU process only, before its run phase */
	{ "clone3",	    VCPU, SUPER, { { 0 } }, ENOSYS, "its flags are out of a filter's sight; glibc falls back to clone" },
	{ "clone",	    VCPU, 0, { { 0, CLONE_THREAD | NEW_NAMESPACES, CLONE_THREAD } }, 0, "vCPU threads" },
	{ "set_robust_list", CHILDREN, SUPER, { { 0 } }, 0, "start of a program or thread" },
	{ "set_tid_address", CHILDREN, SUPER, { { 0 } }, 0, "start of a program" },
	{ "rseq",	    CHILDREN, SUPER, { { 0 } }, 0, "start of a program or thread" },
	{ "arch_prctl",	    CHILDREN, SUPER, { { 0 } }, 0, "start of a program" },
	{ "uname",	    CHILDREN, SUPER, { { 0 } }, 0, "start of a program" },
	{ "readlink",	    CHILDREN, SUPER, { { 0 } }, EACCES, "start of a static program asks for its own name" },
	{ "readlinkat",	    CHILDREN, SUPER, { { 0 } }, EACCES, "as readlink" },
	{ "exit",	    VCPU, SUPER, { { 0 } }, 0, "end of a thread" },
	{ "tgkill",	    VCPU, KVM, { { 0 } }, 0, "kicks a vCPU thread out of the guest" },

	/* what has to fail without ending a program: libraries ask, and live with a no */
	{ "openat",	    BOOT | VCPU | DEVICES, 0, { { 0 } }, ENOENT, "libraries look for files" },
	{ "open",	    BOOT | VCPU | DEVICES, 0, { { 0 } }, ENOENT, "libraries look for files" },
	{ "ioctl",	    DEVICES, SUPER, { { 1, WHOLE(0x5401) } }, ENOTTY, "stdio asks whether it writes to a terminal" },
	{ "set_mempolicy",  VCPU, 0, { { 0 } }, ENOSYS, "not offered" },

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
	KVM_CALL(KVM_GET_FPU, 0, KVM, "pause"),
	KVM_CALL(KVM_SET_FPU, 0, KVM, "resume"),
	KVM_CALL(KVM_GET_MSRS, 0, KVM, "pause"),
	KVM_CALL(KVM_SET_MSRS, 0, KVM, "resume"),
	KVM_CALL(KVM_GET_MP_STATE, 0, KVM, "is the vCPU halted"),
	KVM_CALL(KVM_SET_MP_STATE, 0, KVM, "resume"),
#endif

	/* supervisor: makes objects and children */
	{ "memfd_create",   0, SUPER, { { 0 } }, 0, "memory objects" },
	{ "ftruncate",	    0, SUPER, { { 0 } }, 0, "size of memory objects" },
	{ "fallocate",	    0, SUPER, { { 1, WHOLE(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) } }, 0, "a reboot empties guest memory" },
	{ "fcntl",	    0, SUPER, { { 1, WHOLE(F_ADD_SEALS) } }, 0, "seals on memory objects" },
	{ "openat",	    0, SUPER, { { 2, O_ACCMODE | O_CREAT | O_TRUNC | O_PATH, 0 } }, 0, "read-only re-open through its own fd directory" },
	{ "socketpair",	    0, SUPER, { { 0, WHOLE(AF_UNIX) } }, 0, "control channels" },
	{ "clone",	    0, SUPER, { { 0, ~0ull, SANDBOX_CLONE_CHILD } }, 0, "children" },
	{ "clone",	    0, SUPER, { { 0, ~0ull, SANDBOX_CLONE_CHILD_USER } }, 0, "children, as an ordinary user" },
	{ "clone",	    0, SUPER, { { 0, ~0ull, SANDBOX_CLONE_CHILD_PLAIN } }, 0, "children, without namespaces" },
	{ "unshare",	    0, SUPER, { { 0, WHOLE(CLONE_NEWUSER) } }, 0, "a child's own user namespace" },
	{ "setgroups",	    0, SUPER, { { 0, WHOLE(0) } }, 0, "a child's own group" },
	{ "setresgid",	    0, SUPER, { { 0 } }, 0, "a child's own group" },
	{ "setresuid",	    0, SUPER, { { 0 } }, 0, "a child's own user" },
	{ "capset",	    CHILDREN, SUPER, { { 0 } }, 0, "a child has no capabilities" },
	{ "capget",	    CHILDREN, SUPER, { { 0 } }, 0, "a child has no capabilities" },
	{ "close_range",    0, SUPER, { { 0 } }, 0, "a child inherits only what it was given" },
	{ "execveat",	    0, SUPER, { { 4, WHOLE(AT_EMPTY_PATH) } }, 0, "children, by descriptor" },
	{ "waitid",	    0, SUPER | KEEPER, { { 0 } }, 0, "how a child ended" },
	{ "pidfd_send_signal", 0, SUPER, { { 0 } }, 0, "ends a child" },
	{ "kill",	    0, SUPER, { { 1, WHOLE(0) } }, EPERM, "is it alive: pidfds are used instead" },
	{ "getppid",	    0, SUPER, { { 0 } }, 0, "did the keeper die before we asked to be told" },
	{ "landlock_create_ruleset", CHILDREN, SUPER, { { 0 } }, 0, "entering the fence" },
	{ "landlock_restrict_self", CHILDREN, SUPER, { { 0 } }, 0, "entering the fence" },
	{ "setrlimit",	    CHILDREN, SUPER, { { 0 } }, 0, "entering the fence" },
	{ "statfs",	    CHILDREN, SUPER, { { 0 } }, 0, "is the root empty" },

	/* keeper: tidies up after everything else is dead */
	{ "unlinkat",	    0, KEEPER, { FD(SANDBOX_KEEPER_DIR), { 2, WHOLE(0) } }, 0, "sockets, log and lock of the machine" },
	{ "unlinkat",	    0, KEEPER, { FD(SANDBOX_KEEPER_BASE), { 2, WHOLE(AT_REMOVEDIR) } }, 0, "directory of the machine, when it is empty" },
};
const unsigned sandbox_rule_count = sizeof(sandbox_rules) / sizeof(sandbox_rules[0]);

static bool names_role(const struct sandbox_rule *rule, uint32_t roles, unsigned phase)
{
	return ((phase & SANDBOX_PHASE_SETUP) && (rule->setup & roles)) || (rule->run & roles);
}

bool sandbox_rule_applies(const struct sandbox_rule *rule, enum sandbox_role role, unsigned phase)
{
	/* Filters are inherited and add up: what a child may do, the supervisor's filter must let pass. */
	if (role == SANDBOX_SUPERVISOR)
		return names_role(rule, SUPER | CHILDREN, SANDBOX_PHASE_SETUP);
	return names_role(rule, 1u << role, phase);
}

unsigned sandbox_run_limit(enum sandbox_role role)
{
	if (role == SANDBOX_VCPU_KVM)
		return 20;
	return role == SANDBOX_VCPU_EMU || role >= SANDBOX_DEVICE ? 16 : 0;
}
