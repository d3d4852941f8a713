/* SPDX-License-Identifier: MIT */
/* Calls that no filter may let through: never.h. Pointers are invalid, so that a filter that does let through is harmless. */
#include "never.h"

#include "proto/sandbox.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define ROLE(x) (1u << SANDBOX_##x)
#define ALL ((1u << SANDBOX_ROLES) - 1)
#define KEEPER ROLE(KEEPER)
#define SPAWNER ROLE(SPAWNER)
#define DIALLER ROLE(DIALLER)
#define UPLINK ROLE(UPLINKD) /* it has the host's network: what a guest connects to, it connects to */
#define INSIDE (ALL & ~UPLINK)
#define CHILDREN (ALL & ~(KEEPER | DIALLER | ROLE(SUPERVISOR) | SPAWNER))
#define SOME_FD 1000000 /* nobody has it open */
#define BAD ~0ull

#define FUTEX(op) { #op, SYS_futex, ALL, { BAD, op, 1 } }, { #op " (private)", SYS_futex, ALL, { BAD, op | FUTEX_PRIVATE_FLAG, 1 } }
#define FLAG(flag) FLAG_OF(flag, ALL)
#define FLAG_OF(flag, roles)                                                            \
	{ "sendmsg " #flag, SYS_sendmsg, ALL, { SOME_FD, BAD, flag } },       \
	{ "sendmsg " #flag, SYS_sendmsg, KEEPER, { SANDBOX_KEEPER_NOTE, BAD, flag } }, \
	{ "sendmsg " #flag, SYS_sendmsg, ROLE(SERIALD), { SANDBOX_STASH, BAD, flag } }, \
	{ "sendmsg " #flag, SYS_sendmsg, ROLE(VIRTIOD), { SANDBOX_LINK, BAD, flag } },  \
	{ "sendto " #flag, SYS_sendto, INSIDE, { SOME_FD, BAD, 1, flag } },      \
	{ "recvmsg " #flag, SYS_recvmsg, roles, { SOME_FD, BAD, flag } },       \
	{ "recvmsg " #flag, SYS_recvmsg, KEEPER, { SANDBOX_KEEPER_NOTE, BAD, flag } }

const struct never nevers[] = {
	/* futex(2): locks with owners, and operations on two words */
	FUTEX(FUTEX_FD), FUTEX(FUTEX_REQUEUE), FUTEX(FUTEX_CMP_REQUEUE), FUTEX(FUTEX_WAKE_OP), FUTEX(FUTEX_LOCK_PI),
	FUTEX(FUTEX_UNLOCK_PI), FUTEX(FUTEX_TRYLOCK_PI), FUTEX(FUTEX_WAIT_REQUEUE_PI), FUTEX(FUTEX_CMP_REQUEUE_PI),
	FUTEX(13 /* FUTEX_LOCK_PI2 */), FUTEX(14),
	/* send(2), recv(2): what is not asked for */
	FLAG(MSG_OOB), FLAG_OF(MSG_ERRQUEUE, ALL & ~UPLINK), FLAG(MSG_WAITALL), FLAG(MSG_ZEROCOPY), FLAG(MSG_FASTOPEN), FLAG(1 << 20),
	{ "sendto MSG_ZEROCOPY", SYS_sendto, UPLINK, { SOME_FD, BAD, 1, MSG_ZEROCOPY } },
	{ "sendto MSG_FASTOPEN", SYS_sendto, UPLINK, { SOME_FD, BAD, 1, MSG_FASTOPEN } },
	/* unix(7): a descriptor passed on, a message to whom it was not connected */
	{ "a descriptor to anybody", SYS_sendmsg, CHILDREN, { SOME_FD, BAD, 0 } },
	{ "a descriptor to the supervisor", SYS_sendmsg, CHILDREN, { 3, BAD, 0 } },
	{ "a descriptor to the supervisor", SYS_sendmsg, CHILDREN & ~ROLE(VNC) /* whose 4 is its door */, { 4, BAD, MSG_DONTWAIT } },
	{ "a descriptor to anybody but the supervisor", SYS_sendmsg, KEEPER, { SANDBOX_KEEPER_CONTROL, BAD, 0 } },
	{ "a descriptor to anybody but the supervisor", SYS_sendmsg, SPAWNER, { SANDBOX_SPAWNER_SOCK + 1, BAD, 0 } },
	{ "a descriptor to whom it has connected", SYS_sendmsg, DIALLER, { SANDBOX_DIALLER_SOCK + 1, BAD, 0 } },
	{ "what that says", SYS_recvmsg, DIALLER, { SANDBOX_DIALLER_SOCK + 1, BAD, 0 } },
	{ "what that says", SYS_read, DIALLER, { SANDBOX_DIALLER_SOCK + 1, BAD, 1 } },
	{ "bytes to whom it has connected", SYS_write, DIALLER, { SANDBOX_DIALLER_SOCK + 1, BAD, 1 } },
	{ "a stream", SYS_socket, DIALLER, { AF_UNIX, SOCK_STREAM, 0 } },
	{ "many messages", SYS_sendmmsg, ALL, { 3, BAD, 1, 0 } },
	{ "a message to an address", SYS_sendto, INSIDE, { SOME_FD, BAD, 1, 0, BAD, 16 } },
	/* the keeper: files elsewhere, directories among its files, anything but removing */
	{ "a file of another machine", SYS_unlinkat, KEEPER, { SANDBOX_KEEPER_BASE, BAD, 0 } },
	{ "a directory in its own", SYS_unlinkat, KEEPER, { SANDBOX_KEEPER_DIR, BAD, AT_REMOVEDIR } },
	{ "a file by its path", SYS_unlinkat, ALL, { (uint64_t)AT_FDCWD, BAD, 0 } },
	{ "a directory by its path", SYS_unlinkat, ALL, { (uint64_t)AT_FDCWD, BAD, AT_REMOVEDIR } },
	{ "a file through another descriptor", SYS_unlinkat, ALL, { SOME_FD, BAD, 0 } },
	{ "unlink", SYS_unlink, INSIDE, { BAD } },
	{ "rmdir", SYS_rmdir, ALL, { BAD } },
	{ "rename", SYS_renameat2, ALL, { (uint64_t)AT_FDCWD, BAD, (uint64_t)AT_FDCWD, BAD } },
	{ "link", SYS_linkat, ALL, { (uint64_t)AT_FDCWD, BAD, (uint64_t)AT_FDCWD, BAD } },
	{ "open for writing", SYS_openat, ALL, { (uint64_t)AT_FDCWD, BAD, O_WRONLY } },
	{ "open for writing, creating", SYS_openat, ALL, { SOME_FD, BAD, O_RDWR | O_CREAT } },
	{ "open", SYS_openat, KEEPER, { SOME_FD, BAD, O_RDONLY } },
	{ "a signal", SYS_pidfd_send_signal, KEEPER, { SOME_FD, 9 } },
	{ "a signal by number", SYS_kill, KEEPER, { 1, 9 } },
	{ "connect", SYS_connect, INSIDE & ~DIALLER, { SOME_FD, BAD, 16 } },
	{ "socket", SYS_socket, INSIDE, { AF_INET, SOCK_STREAM, 0 } },
	{ "bind", SYS_bind, INSIDE, { SOME_FD, BAD, 16 } },
	{ "a socket below IP", SYS_socket, UPLINK, { AF_PACKET, SOCK_RAW, 0 } },
	{ "a socket of the kernel's own", SYS_socket, UPLINK, { AF_NETLINK, SOCK_RAW, 0 } },
	/* the supervisor: what it has the spawner for; the spawner: what is not a child of ours */
	{ "make a process", SYS_clone, ROLE(SUPERVISOR), { 17 } },
	{ "make a process", SYS_fork, ALL, { 0 } },
	{ "execute by descriptor", SYS_execveat, ROLE(SUPERVISOR) | KEEPER, { SANDBOX_PROGRAM, BAD, BAD, BAD, AT_EMPTY_PATH } },
	{ "execute another descriptor", SYS_execveat, ALL, { SOME_FD, BAD, BAD, BAD, AT_EMPTY_PATH } },
	{ "execute below a descriptor", SYS_execveat, ALL, { SANDBOX_PROGRAM, BAD, BAD, BAD, 0 } },
	{ "change user", SYS_setresuid, ROLE(SUPERVISOR) | KEEPER, { 1, 1, 1 } },
	{ "capabilities", SYS_capset, ROLE(SUPERVISOR) | KEEPER, { BAD, BAD } },
	{ "a process in the host's namespaces, beside us", SYS_clone, SPAWNER, { 17 } },
	{ "mount", SYS_mount, ALL, { BAD, BAD, BAD, 0, BAD } },
	{ "a namespace with mounts", SYS_unshare, ALL, { 0x00020000 } },
	{ "accept elsewhere", SYS_accept4, KEEPER, { SOME_FD, 0, 0, 0 } },
	/* everybody */
	{ "execute by path", SYS_execve, ALL, { BAD, BAD, BAD } },
	{ "trace", SYS_ptrace, ALL, { 0, 1, 0, 0 } },
	{ "another's memory", SYS_process_vm_readv, ALL, { 1, BAD, 1, BAD, 1, 0 } },
	{ "io_uring", SYS_io_uring_setup, ALL, { 1, BAD } },
	{ "bpf", SYS_bpf, ALL, { 0, BAD, 0 } },
	{ "performance counters", SYS_perf_event_open, ALL, { BAD, 0, 0, BAD, 0 } },
	{ "user fault handling", SYS_userfaultfd, ALL, { 0 } },
	{ "keys", SYS_add_key, ALL, { BAD, BAD, BAD, 0, 0 } },
	{ "join a namespace", SYS_setns, ALL, { SOME_FD, 0 } },
	{ "another's descriptors", SYS_pidfd_getfd, ALL, { SOME_FD, 0, 0 } },
};
const unsigned never_count = sizeof(nevers) / sizeof(nevers[0]);
