/* SPDX-License-Identifier: MIT */
/* design.md, section 5: fixed header, length before allocation, bounded arena, expected number of descriptors. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/control_check.h"
#include "proto/frame.h"
#include "proto/log.h"
#include "proto_harness.h"

#define TYPE(x) BULKHEAD__MESSAGE_TYPE__MSG_##x

static struct frame frame;
static int sock[2];

static void setup(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock), 0);
	fcntl(sock[1], F_SETFL, O_NONBLOCK);
}

static void teardown(void)
{
	close(sock[0]);
	close(sock[1]);
}

TestSuite(frame, .init = setup, .fini = teardown, .timeout = 60);

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

Test(frame, message_and_descriptors_arrive)
{
	Bulkhead__SetupBoot boot = BULKHEAD__SETUP_BOOT__INIT;
	const Bulkhead__SetupBoot *got;
	char cmdline[] = "console=ttyS0";
	int fds[2] = { sock[0], sock[1] };

	boot.cmdline = cmdline;
	cr_assert_eq(frame_send(sock[0], TYPE(SETUP_BOOT), 77, &boot.base, fds, 2), 0);
	cr_assert_eq(frame_recv(sock[1], &frame), 0);
	cr_assert_eq(frame.header.id, 77);
	cr_assert_eq(frame.fd_count, 2);
	cr_assert(fcntl(frame.fds[1], F_GETFD) & FD_CLOEXEC);
	got = (const Bulkhead__SetupBoot *)frame.msg;
	cr_assert_str_eq(got->cmdline, "console=ttyS0");
	frame_close_fds(&frame);
}

Test(frame, long_messages)
{
	Bulkhead__Error e = BULKHEAD__ERROR__INIT;
	char *text = malloc(FRAME_BODY_MAX);

	memset(text, 'x', FRAME_BODY_MAX);
	text[FRAME_BODY_MAX - 100] = 0;
	e.text = text;
	int size = 1 << 20;

	setsockopt(sock[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	cr_assert_eq(frame_send(sock[0], TYPE(ERROR), 1, &e.base, NULL, 0), 0);
	cr_assert_eq(frame_recv(sock[1], &frame), 0);
	cr_assert_eq(strlen(((Bulkhead__Error *)frame.msg)->text), FRAME_BODY_MAX - 100);
	text[FRAME_BODY_MAX - 100] = 'x';
	text[FRAME_BODY_MAX - 1] = 0;
	cr_assert_eq(frame_send(sock[0], TYPE(ERROR), 1, &e.base, NULL, 0), -EMSGSIZE);
	free(text);
}

static int raw(const void *packet, size_t len)
{
	cr_assert_eq(send(sock[0], packet, len, 0), (ssize_t)len);
	return frame_recv(sock[1], &frame);
}

Test(frame, headers_that_lie)
{
	const struct frame_header good = { FRAME_MAGIC, TYPE(STATS), 0, 1, 0, 0 };
	struct frame_header h = good;
	uint8_t big[FRAME_BODY_MAX + 100] = { 0 };
	int size = 1 << 20;

	setsockopt(sock[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	cr_assert_eq(frame_recv(sock[1], &frame), -EAGAIN);
	cr_assert_eq(raw(&good, sizeof(good)), 0);
	cr_assert_eq(raw(&good, 5), -EMSGSIZE);
	h.magic = 1;
	cr_assert_eq(raw(&h, sizeof(h)), -EPROTO);
	h = good;
	h.type = 0;
	cr_assert_eq(raw(&h, sizeof(h)), -EPROTO);
	h.type = 15;
	cr_assert_eq(raw(&h, sizeof(h)), -EPROTO, "a gap in the numbers");
	h.type = 0xffff;
	cr_assert_eq(raw(&h, sizeof(h)), -EPROTO);
	h = good;
	h.flags = 1;
	cr_assert_eq(raw(&h, sizeof(h)), -EPROTO);
	h = good;
	h.len = 4;
	cr_assert_eq(raw(&h, sizeof(h)), -EMSGSIZE);
	h.len = 0xfffffff0;
	cr_assert_eq(raw(&h, sizeof(h)), -EMSGSIZE);
	h = good;
	h.nfds = 1;
	cr_assert_eq(raw(&h, sizeof(h)), -EBADMSG);
	memcpy(big, &good, sizeof(good));
	cr_assert_eq(raw(big, sizeof(big)), -EMSGSIZE);
	h = good;
	h.type = TYPE(SETUP_DEVICE);
	cr_assert_eq(raw(&h, sizeof(h)), -EBADMSG, "comes with descriptors, or not at all");
}

static void send_fds(const struct frame_header *h, int count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 200)] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)h, sizeof(*h) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
	struct cmsghdr *c = (struct cmsghdr *)control;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
	msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
	for (int i = 0; i < count; i++)
		((int *)CMSG_DATA(c))[i] = sock[0];
	cr_assert_eq(sendmsg(sock[0], &msg, 0), (ssize_t)sizeof(*h));
}

Test(frame, surplus_descriptors_are_closed)
{
	struct frame_header h = { FRAME_MAGIC, TYPE(STATS), 0, 1, 0, 0 };
	int before = count_fds();

	if (getenv("QEMU_USER"))
		cr_skip_test("qemu-user itself keeps the descriptors that do not fit the buffer");
	send_fds(&h, 3);
	cr_assert_eq(frame_recv(sock[1], &frame), -EBADMSG, "header says none");
	h.nfds = 3;
	send_fds(&h, 3);
	cr_assert_eq(frame_recv(sock[1], &frame), -EBADMSG, "STATS never has any");
	h.nfds = 200;
	send_fds(&h, 200);
	cr_assert_eq(frame_recv(sock[1], &frame), -EBADMSG);
	h.magic = 0;
	send_fds(&h, 30);
	cr_assert_eq(frame_recv(sock[1], &frame), -EPROTO);
	cr_assert_eq(count_fds(), before);
}

/* 2 bytes of input become a whole sub-message: expansion is bounded by the arena, not by the sender. */
Test(frame, expansion_is_bounded)
{
	uint8_t packet[sizeof(struct frame_header) + 20000];
	struct frame_header h = { FRAME_MAGIC, TYPE(OK), 20000, 1, 0, 0 };

	memcpy(packet, &h, sizeof(h));
	for (size_t i = sizeof(h); i < sizeof(packet); i += 2) {
		packet[i] = 6 << 3 | 2; /* sandbox_missing, empty string */
		packet[i + 1] = 0;
	}
	cr_assert_eq(raw(packet, sizeof(packet)), -EBADMSG);
	cr_assert_leq(frame.arena_used, FRAME_ARENA);
}

Test(frame, random_bodies)
{
	unsigned seed = 9;

	for (int i = 0; i < 20000; i++) {
		struct frame_header h = { FRAME_MAGIC, (uint16_t)(rand_r(&seed) % 26), 0, 1, 0, 0 };
		uint8_t packet[sizeof(h) + 64];

		h.len = (uint32_t)rand_r(&seed) % 64;
		memcpy(packet, &h, sizeof(h));
		for (size_t k = 0; k < h.len; k++)
			packet[sizeof(h) + k] = (uint8_t)(rand_r(&seed) % (k % 2 ? 256 : 128));
		raw(packet, sizeof(h) + h.len);
	}
}

Test(frame, peer_gone)
{
	close(sock[0]);
	cr_assert_eq(frame_recv(sock[1], &frame), -ECONNRESET);
	cr_assert_eq(frame_reply_ok(sock[1], 1), -EPIPE);
	sock[0] = -1;
}

Test(frame, call_takes_the_reply_with_its_id)
{
	Bulkhead__Empty empty = BULKHEAD__EMPTY__INIT;

	cr_assert_eq(frame_reply_ok(sock[1], 4), 0); /* a reply that came too late */
	cr_assert_eq(frame_reply_error(sock[1], 5, -EINVAL, "spin_ns", "no %s", "good"), 0);
	cr_assert_eq(frame_call(sock[0], &frame, TYPE(STATS), 5, &empty.base, NULL, 0, 1000), 0);
	cr_assert_eq(frame.header.type, TYPE(ERROR));
	cr_assert_eq(((Bulkhead__Error *)frame.msg)->code, EINVAL);
	cr_assert_str_eq(((Bulkhead__Error *)frame.msg)->text, "no good");
	cr_assert_str_eq(((Bulkhead__Error *)frame.msg)->field, "spin_ns");
	cr_assert_eq(frame_call(sock[0], &frame, TYPE(STATS), 6, &empty.base, NULL, 0, 10), -ETIMEDOUT);
}

Test(control_check, machine)
{
	Bulkhead__MachineConfig m = BULKHEAD__MACHINE_CONFIG__INIT;
	struct control_complaint c;

	cr_assert_eq(control_check_machine(NULL, &c), -EINVAL);
	m.has_ram_bytes = m.has_vcpus = true;
	m.ram_bytes = 64 << 20;
	m.vcpus = 1;
	cr_assert_eq(control_check_machine(&m, &c), 0);
	m.vcpus = 8;
	m.has_sockets = m.has_cores = m.has_threads = true;
	m.sockets = m.cores = m.threads = 2;
	cr_assert_eq(control_check_machine(&m, &c), 0);
	m.threads = 1;
	cr_assert_eq(control_check_machine(&m, &c), -EINVAL, "that makes four");
	m.cores = 0x80000002;
	cr_assert_eq(control_check_machine(&m, &c), -EINVAL, "and so does that, in 32 bits");
	m.has_sockets = m.has_cores = m.has_threads = false;
	m.vcpus = 65;
	cr_assert_eq(control_check_machine(&m, &c), -EINVAL);
	m.vcpus = 0;
	cr_assert_eq(control_check_machine(&m, &c), -EINVAL);
	cr_assert_str_eq(c.field, "machine.vcpus");
	m.vcpus = 64;
	m.ram_bytes = 4097;
	cr_assert_eq(control_check_machine(&m, &c), -EINVAL);
	cr_assert_str_eq(c.field, "machine.ram_bytes");
	m.ram_bytes = 0;
	cr_assert_eq(control_check_machine(&m, &c), -EINVAL);
}

Test(control_check, hello_names)
{
	Bulkhead__Hello h = BULKHEAD__HELLO__INIT;
	static char *const bad[] = { "", "a/b", "..", "-x", ".", "a b", "\xff", "x\n" };
	struct control_complaint c;
	char name[] = "vm-1.test_X";

	h.has_proto_major = h.has_role = true;
	h.proto_major = CONTROL_MAJOR;
	h.role = BULKHEAD__ROLE__ROLE_IRQD;
	h.vm = name;
	cr_assert_eq(control_check_hello(&h, BULKHEAD__ROLE__ROLE_IRQD, &c), 0);
	cr_assert_eq(control_check_hello(&h, BULKHEAD__ROLE__ROLE_TIMERD, &c), -EINVAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		h.vm = bad[i];
		cr_assert_eq(control_check_hello(&h, BULKHEAD__ROLE__ROLE_IRQD, &c), -EINVAL, "%s", bad[i]);
	}
	h.vm = name;
	h.proto_major++;
	cr_assert_eq(control_check_hello(&h, BULKHEAD__ROLE__ROLE_IRQD, &c), -EINVAL);
}

/* Several may drive a line: irqd joins them. */
Test(control_check, line_sources)
{
	Bulkhead__MachineConfig m = BULKHEAD__MACHINE_CONFIG__INIT;
	Bulkhead__SetupDevice s = BULKHEAD__SETUP_DEVICE__INIT;
	Bulkhead__LineSource a = BULKHEAD__LINE_SOURCE__INIT, b = BULKHEAD__LINE_SOURCE__INIT;
	Bulkhead__LineSource *list[] = { &a, &b };
	struct control_complaint c;

	m.has_ram_bytes = m.has_vcpus = true;
	m.ram_bytes = 4096;
	m.vcpus = 1;
	s.machine = &m;
	s.sources = list;
	s.n_sources = 2;
	a.has_lines = b.has_lines = true;
	a.lines = 0x18;
	b.lines = 0x101;
	cr_assert_eq(control_check_setup_device(&s, BULKHEAD__ROLE__ROLE_IRQD, 12, &c), 0, "%s", c.field);
	cr_assert_eq(control_check_setup_device(&s, BULKHEAD__ROLE__ROLE_IRQD, 11, &c), -EINVAL);
	cr_assert_eq(control_check_setup_device(&s, BULKHEAD__ROLE__ROLE_TIMERD, 7, &c), -EINVAL);
	b.lines = 0x108;
	cr_assert_eq(control_check_setup_device(&s, BULKHEAD__ROLE__ROLE_IRQD, 12, &c), 0);
	b.lines = 1 << 24;
	cr_assert_eq(control_check_setup_device(&s, BULKHEAD__ROLE__ROLE_IRQD, 12, &c), -EINVAL);
}

/* seriald: 7 for every device, 5 of its own, a connector for each port and a history for all but COM1. */
Test(control_check, serial_ports)
{
	Bulkhead__MachineConfig m = BULKHEAD__MACHINE_CONFIG__INIT;
	Bulkhead__SetupDevice s = BULKHEAD__SETUP_DEVICE__INIT;
	Bulkhead__SerialPort a = BULKHEAD__SERIAL_PORT__INIT, b = BULKHEAD__SERIAL_PORT__INIT;
	Bulkhead__SerialPort *list[] = { &a, &b };
	struct control_complaint c;

	m.has_ram_bytes = m.has_vcpus = true;
	m.ram_bytes = 4096;
	m.vcpus = 1;
	s.machine = &m;
	s.serial_ports = list;
	s.n_serial_ports = 2;
	a.has_port = b.has_port = a.has_kind = b.has_kind = true;
	a.kind = b.kind = BULKHEAD__SERIAL_KIND__SERIAL_TTY;
	b.port = 3;
	cr_assert_eq(control_check_setup_device(&s, BULKHEAD__ROLE__ROLE_SERIALD, 15, &c), 0, "%s", c.field);
	cr_assert_eq(control_check_setup_device(&s, BULKHEAD__ROLE__ROLE_SERIALD, 16, &c), -EINVAL);
	cr_assert_eq(control_check_setup_device(&s, BULKHEAD__ROLE__ROLE_TIMERD, 10, &c), -EINVAL, "it has no ports");
	b.port = 0;
	cr_assert_eq(control_check_setup_device(&s, BULKHEAD__ROLE__ROLE_SERIALD, 14, &c), -EINVAL, "twice");
	b.port = 4;
	cr_assert_eq(control_check_setup_device(&s, BULKHEAD__ROLE__ROLE_SERIALD, 15, &c), -EINVAL, "there is none");
	b.port = 3;
	b.kind = BULKHEAD__SERIAL_KIND__SERIAL_NONE;
	cr_assert_eq(control_check_setup_device(&s, BULKHEAD__ROLE__ROLE_SERIALD, 15, &c), -EINVAL);
	b.kind = (Bulkhead__SerialKind)99;
	cr_assert_eq(control_check_setup_device(&s, BULKHEAD__ROLE__ROLE_SERIALD, 15, &c), -EINVAL);
}

/* 10 in 5 seconds per call site, and the next line says how many were swallowed. */
Test(log, limit_per_site)
{
	struct log_site site = { 0 };
	uint32_t suppressed;

	for (int i = 0; i < 10; i++)
		cr_assert(log_site_allows(&site, 1000, &suppressed));
	for (int i = 0; i < 7; i++)
		cr_assert_not(log_site_allows(&site, 1000 + LOG_WINDOW_NS - 1, &suppressed));
	cr_assert(log_site_allows(&site, 1000 + LOG_WINDOW_NS, &suppressed));
	cr_assert_eq(suppressed, 7);
	cr_assert(log_site_allows(&site, 1001 + LOG_WINDOW_NS, &suppressed));
	cr_assert_eq(suppressed, 0);
}
