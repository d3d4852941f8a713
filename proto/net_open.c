/* SPDX-License-Identifier: MIT */
/* What is behind a network card: see net_open.h. */
#include "net_open.h"

#include "net_frame.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PARKED = 64, ROOM = 1 << 20 };
enum { TAP_FLAGS = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

void net_mac(const struct net_spec *spec, const char *owner, unsigned n, uint8_t out[NET_MAC])
{
	if (spec->has_mac)
		memcpy(out, spec->mac, NET_MAC);
	else
		net_stable_mac(owner, n, out);
}

uint16_t net_mtu(const struct net_spec *spec)
{
	return spec->way == NET_TAP ? NET_MTU_USUAL : NET_MTU_LARGE;
}

/* ---- an interface ---- */

static int refuse_tap(const struct net_spec *spec, int fd, int err, char *error)
{
	const char *next = "; bulkhead host says what this host offers";

	if (err == EPERM || err == EACCES)
		next = "; its owner may use it: ip tuntap add NAME mode tap user YOU";
	else if (err == EBUSY)
		next = "; it is in use: choose another, or end who uses it";
	else if (err == ENOENT || err == ENODEV)
		next = "; this host has no TAP interfaces: modprobe tun, or use --net user";
	else if (err == EINVAL)
		next = "; there is an interface of that name which is no TAP, or one that has several queues: choose another";
	snprintf(error, NET_ERROR_MAX, "tap=%s: %s%s", spec->tap, strerror(err), next);
	if (fd >= 0)
		close(fd);
	return -err;
}

static int open_tap(const struct net_spec *spec, char *error)
{
	struct ifreq ifr = { .ifr_flags = TAP_FLAGS };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), header = NET_HEADER;

	memcpy(ifr.ifr_name, spec->tap, strlen(spec->tap) + 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
		return refuse_tap(spec, fd, errno, error);
	return fd;
}

/* It was opened by the one who started us. */
static int take_tap(const struct net_spec *spec, char *error)
{
	struct ifreq ifr = { 0 };
	int header = NET_HEADER;

	if (ioctl(spec->tap_fd, TUNGETIFF, &ifr) < 0 || (ifr.ifr_flags & TAP_FLAGS) != TAP_FLAGS ||
	    ioctl(spec->tap_fd, TUNSETVNETHDRSZ, &header) < 0) {
		snprintf(error, NET_ERROR_MAX,
			 "tap-fd=%d: no open TAP interface; open /dev/net/tun, TUNSETIFF with IFF_TAP, IFF_NO_PI and "
			 "IFF_VNET_HDR, "
			 "and hand that descriptor on",
			 spec->tap_fd);
		return -EINVAL;
	}
	fcntl(spec->tap_fd, F_SETFD, FD_CLOEXEC);
	fcntl(spec->tap_fd, F_SETFL, O_RDWR | O_NONBLOCK);
	return spec->tap_fd;
}

/* ---- a process ---- */

static _Noreturn void in_uplink(int program, int frames, int report, const char *text, const char *owner, enum sandbox_mode mode)
{
	char number[8], empty[] = "", name[] = "bulkhead-uplinkd";
	char *argv[] = { name, (char *)(uintptr_t)text, (char *)(uintptr_t)owner, number, NULL };
	char *env[] = { NULL };
	int file = fcntl(program, F_DUPFD_CLOEXEC, PARKED), one = fcntl(frames, F_DUPFD_CLOEXEC, PARKED),
	    other = fcntl(report, F_DUPFD_CLOEXEC, PARKED);

	snprintf(number, sizeof(number), "%u", (unsigned)mode);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	dup2(one, UPLINK_FRAMES);
	dup2(other, UPLINK_REPORT);
	close_range(UPLINK_REPORT + 1, PARKED - 1, 0);
	syscall(SYS_execveat, file, empty, argv, env, AT_EMPTY_PATH);
	dprintf(UPLINK_REPORT, "bulkhead-uplinkd cannot be executed: %s", strerror(errno));
	_exit(1);
}

/* Nothing but the end of the report: it is ready. */
static int read_report(int fd, const char *text, char *error)
{
	char why[240];
	ssize_t n = read(fd, why, sizeof(why) - 1);

	close(fd);
	if (n == 1 && !why[0])
		return 0;
	why[n > 0 ? n : 0] = 0;
	snprintf(error, NET_ERROR_MAX, "%.120s: %s", text, why[0] ? why : "bulkhead-uplinkd has ended; its messages say why");
	return -EINVAL;
}

static int start_uplink(int program, const char *text, const char *owner, enum sandbox_mode mode, char *error)
{
	int pair[2], report[2], room = ROOM, rc;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 || pipe2(report, O_CLOEXEC) < 0) {
		snprintf(error, NET_ERROR_MAX, "%.120s: no descriptors: %s", text, strerror(errno));
		return -errno;
	}
	for (unsigned i = 0; i < 2; i++)
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	pid = fork();
	if (!pid)
		in_uplink(program, pair[1], report[1], text, owner, mode);
	close(pair[1]);
	close(report[1]);
	rc = read_report(report[0], text, error);
	if (!rc)
		return pair[0];
	close(pair[0]);
	return rc;
}

int net_open(const struct net_spec *spec, const char *text, const char *owner, int program, enum sandbox_mode mode,
	     char error[NET_ERROR_MAX])
{
	if (spec->way == NET_TAP)
		return spec->tap_fd >= 0 ? take_tap(spec, error) : open_tap(spec, error);
	if (program >= 0)
		return start_uplink(program, text, owner, mode, error);
	snprintf(error, NET_ERROR_MAX,
		 "%.120s: bulkhead-uplinkd: %s; it is built where libslirp is (apt-get install libslirp-dev)", text,
		 strerror(-program));
	return program;
}
