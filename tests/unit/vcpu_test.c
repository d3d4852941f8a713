/* SPDX-License-Identifier: MIT */
/* The vcpu process as its supervisor and its devices see it; the guest is a few bytes of real-mode code. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "proto/code_map.h"
#include "proto/control_check.h"
#include "proto/frame.h"
#include "proto/layout.h"
#include "proto/msi.h"
#include "proto/range.h"
#include "proto/shadow.h"
#include "proto_harness.h"

#define TYPE(x) BULKHEAD__MESSAGE_TYPE__MSG_##x
#define ROLE(x) BULKHEAD__ROLE__ROLE_##x

#ifdef __SANITIZE_ADDRESS__
enum { SANDBOX = 2 };
#else
enum { SANDBOX = 0 };
#endif
enum { RAM = 1 << 20, CODE = 0x1000, CHANNELS = 2, IRQ = 0, SERIAL = 1, LATER = 0x5ff8 };

static const Bulkhead__Role roles[CHANNELS] = { ROLE(IRQD), ROLE(SERIALD) };

static struct machine {
	pid_t pid;
	int control, event;
	uint32_t next_id;
	struct test_object ram, map, msi, shadow[CHANNELS];
	struct test_channel channel[CHANNELS];
	int bell[2];
	struct frame frame;
} vm;

static void call(uint16_t type, const ProtobufCMessage *m, const int *fds, unsigned nfds)
{
	static const Bulkhead__Empty empty = BULKHEAD__EMPTY__INIT;

	cr_assert_eq(frame_call(vm.control, &vm.frame, type, ++vm.next_id, m ? m : &empty.base, fds, nfds, 20000), 0);
}

static void expect_ok(const char *what)
{
	const Bulkhead__Error *e = (const Bulkhead__Error *)vm.frame.msg;

	cr_assert_eq(vm.frame.header.type, TYPE(OK), "%s: %s", what, vm.frame.header.type == TYPE(ERROR) ? e->text : "?");
}

static void spawn(void)
{
	int control[2], event[2];
	char control_text[16], event_text[16];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, event), 0);
	snprintf(control_text, sizeof(control_text), "%d", control[1]);
	snprintf(event_text, sizeof(event_text), "%d", event[1]);
	vm.pid = fork();
	if (vm.pid == 0) {
		fcntl(control[1], F_SETFD, 0);
		fcntl(event[1], F_SETFD, 0);
		execl(VCPU_PROGRAM, VCPU_PROGRAM, "--control-fd", control_text, "--event-fd", event_text, "--sandbox",
		      SANDBOX ? "off" : "on", NULL);
		_exit(127);
	}
	close(control[1]);
	close(event[1]);
	vm.control = control[0];
	vm.event = event[0];
}

static void hello(void)
{
	Bulkhead__Hello h = BULKHEAD__HELLO__INIT;

	h.has_proto_major = h.has_role = true;
	h.proto_major = CONTROL_MAJOR;
	h.role = ROLE(VCPU);
	h.vm = (char *)"test";
	call(TYPE(HELLO), &h.base, NULL, 0);
	expect_ok("HELLO");
}

/* Real mode, all segments at 0 (SDM vol. 3, 3.4.5 for their attributes: present, data read/write or code read). */
static void setup(void)
{
	Bulkhead__MachineConfig machine = BULKHEAD__MACHINE_CONFIG__INIT;
	Bulkhead__EntryState entry = BULKHEAD__ENTRY_STATE__INIT;
	Bulkhead__SetupVcpu m = BULKHEAD__SETUP_VCPU__INIT;
	Bulkhead__Segment seg[6], *segs[6];
	int fds[4 + 4 * CHANNELS] = { vm.ram.fd, vm.msi.ro_fd, vm.bell[0] };

	for (unsigned i = 0; i < 6; i++) {
		bulkhead__segment__init(&seg[i]);
		seg[i].has_selector = seg[i].has_linear_base = seg[i].has_limit = seg[i].has_attr = true;
		seg[i].limit = 0xffff;
		seg[i].attr = i == 1 ? 0x9b : 0x93;
		segs[i] = &seg[i];
	}
	for (unsigned i = 0; i < CHANNELS; i++) {
		int *f = &fds[3 + 4 * i];

		f[0] = vm.channel[i].req.fd;
		f[1] = vm.channel[i].rsp.ro_fd;
		f[2] = vm.shadow[i].ro_fd;
		f[3] = vm.channel[i].bell[1];
	}
	entry.seg = segs;
	entry.n_seg = 6;
	entry.has_rip = true;
	entry.rip = CODE;
	machine.has_ram_bytes = machine.has_vcpus = true;
	machine.ram_bytes = RAM;
	machine.vcpus = 1;
	m.machine = &machine;
	m.entry = &entry;
	m.engine = (char *)"emu";
	m.channels = (Bulkhead__Role *)roles;
	m.n_channels = CHANNELS;
	m.has_sandbox = true;
	m.sandbox = SANDBOX;
	m.has_has_code_map = m.has_code_map = true;
	fds[3 + 4 * CHANNELS] = vm.map.fd;
	call(TYPE(SETUP_VCPU), &m.base, fds, 3 + 4 * CHANNELS);
	cr_assert_eq(vm.frame.header.type, TYPE(ERROR), "the map is missing");
	call(TYPE(SETUP_VCPU), &m.base, fds, 4 + 4 * CHANNELS);
	expect_ok("SETUP_VCPU");
}

static void make_objects(const uint8_t *code, size_t len)
{
	test_object_make(&vm.ram, "ram", RAM);
	test_object_make(&vm.map, "map", code_map_bytes(RAM >> CODE_MAP_PAGE_SHIFT, 1));
	test_object_make(&vm.msi, "msi", sizeof(struct msi_page));
	for (unsigned i = 0; i < CHANNELS; i++) {
		test_channel_make(&vm.channel[i]);
		ring_detach(&vm.channel[i].producer);
		test_object_make(&vm.shadow[i], "shadow", sizeof(struct shadow_page));
	}
	cr_assert_eq(pipe2(vm.bell, O_CLOEXEC | O_NONBLOCK), 0);
	memcpy((uint8_t *)vm.ram.rw + CODE, code, len);
}

static void run(void)
{
	spawn();
	hello();
	setup();
	call(TYPE(RUN), NULL, NULL, 0);
	expect_ok("RUN");
}

static void start(const uint8_t *code, size_t len)
{
	make_objects(code, len);
	run();
}

static void stop(void)
{
	kill(vm.pid, SIGKILL);
	waitpid(vm.pid, NULL, 0);
}

static uint16_t add_route(Bulkhead__Role role, uint32_t range, uint64_t base)
{
	Bulkhead__RouteAdd m = BULKHEAD__ROUTE_ADD__INIT;

	m.has_device = m.has_range = m.has_base_address = true;
	m.device = role;
	m.range = range;
	m.base_address = base;
	call(TYPE(ROUTE_ADD), &m.base, NULL, 0);
	return vm.frame.header.type;
}

/* The next request of the guest to seriald, which may take its time. */
static struct io_slot next_request(void)
{
	struct ring_consumer *ring = &vm.channel[SERIAL].consumer;
	struct io_slot slot = { 0 };
	int err = -EAGAIN;

	for (int i = 0; err == -EAGAIN && i < 200000; i++) {
		err = ring_peek(ring, &slot);
		if (err)
			usleep(100);
	}
	cr_assert_eq(err, 0, "a request");
	return slot;
}

/*
 * A route that is added while the guest runs: it polls ports that nobody has, then COM2's registers answer there as well.
 * A port that nobody answers reads as all-ones (the ISA bus floats).
 */
Test(vcpu, route_added_while_running, .fini = stop)
{
	static const uint8_t code[] = {
		0xba, LATER & 0xff, LATER >> 8, /*	mov	dx, LATER */
		0xec,				/* 1:	in	al, dx */
		0x3c, 0xff,			/*	cmp	al, 0xff */
		0x74, 0xfb,			/*	je	1b */
		0xba, 0xf8,	    0x02,	/*	mov	dx, COM2 */
		0xee,				/*	out	dx, al */
		0xf4, 0xeb,	    0xfd,	/* 2:	hlt; jmp 2b */
	};
	struct ring_reply reply = { .data = 0x5a };
	struct io_slot slot;

	start(code, sizeof(code));
	usleep(50000);
	cr_assert_eq(ring_peek(&vm.channel[SERIAL].consumer, &slot), -EAGAIN, "nobody's port");
	cr_assert_eq(add_route(ROLE(SERIALD), 1, LAYOUT_COM1), TYPE(ERROR), "these are COM1's");
	cr_assert_eq(add_route(ROLE(SERIALD), 99, LATER), TYPE(ERROR), "no such range");
	cr_assert_eq(add_route(ROLE(TIMERD), 0, LATER), TYPE(ERROR), "no such channel");
	cr_assert_eq(add_route(ROLE(BOOT), 0, LATER), TYPE(ERROR), "no device");
	cr_assert_eq(add_route(ROLE(SERIALD), 1, LATER), TYPE(OK));
	slot = next_request();
	cr_assert_eq(slot.op, IO_READ);
	cr_assert_eq(slot.range, 1);
	cr_assert_eq(slot.offset, 0);
	cr_assert_eq(slot.addr, LATER);
	ring_complete(&vm.channel[SERIAL].consumer, &slot, &reply);
	slot = next_request();
	cr_assert_eq(slot.op, IO_WRITE);
	cr_assert_eq(slot.range, 1, "the first place of the same range");
	cr_assert_eq(slot.addr, LAYOUT_COM2);
	cr_assert_eq(slot.data, 0x5a);
	cr_assert_eq(add_route(ROLE(SERIALD), 1, LATER), TYPE(ERROR), "it is there already");
}

/* The code map that its supervisor made tells others what the vcpu process has decoded: proto/code_map.h. */
Test(vcpu, code_map_is_shared, .fini = stop)
{
	static const uint8_t code[] = { 0xba, 0xf8, 0x02, 0xee, 0xf4, 0xeb, 0xfd }; /* mov dx, COM2; out dx, al; hlt; jmp -3 */
	struct code_map_view view = { 0 };

	start(code, sizeof(code));
	next_request();
	cr_assert_eq(code_map_attach(vm.map.ro, vm.map.size, &view), 0);
	cr_expect(view.vcpus == 1 && view.region_count == 1 && view.region[0].size == RAM);
	cr_expect(code_map_hit(&view, CODE, 1));
	cr_expect_not(code_map_hit(&view, 0, CODE));
}

static void expect_event(Bulkhead__EventType type)
{
	do {
		struct pollfd p = { .fd = vm.event, .events = POLLIN };

		cr_assert_eq(poll(&p, 1, 20000), 1);
		cr_assert_eq(frame_recv(vm.event, &vm.frame), 0);
	} while (((const Bulkhead__Event *)vm.frame.msg)->type != type);
}

static uint16_t set_given_up(Bulkhead__Role role, bool given_up)
{
	Bulkhead__DeviceState m = BULKHEAD__DEVICE_STATE__INIT;

	m.has_device = m.has_given_up = true;
	m.device = role;
	m.given_up = given_up;
	call(TYPE(DEVICE_STATE), &m.base, NULL, 0);
	return vm.frame.header.type;
}

/*
 * design.md, Waiting: "The control plane never waits." A guest reads from a device that does not answer. Meanwhile the
 * process answers; PAUSE is answered when the instruction is over; the supervisor's word ends a wait.
 */
Test(vcpu, control_does_not_wait_for_devices, .fini = stop)
{
	static const uint8_t code[] = {
		0xba, 0xfb, 0x03, /* mov dx, COM1 LCR */
		0xec,		  /* in  al, dx */
		0xba, 0xf9, 0x03, /* mov dx, COM1 IER */
		0xee,		  /* out dx, al */
		0xfa, 0xf4,	  /* cli; hlt */
	};
	static const Bulkhead__Empty empty = BULKHEAD__EMPTY__INIT;
	struct ring_reply reply = { .data = 0x11 };
	struct pollfd answer;
	struct io_slot slot;

	start(code, sizeof(code));
	slot = next_request();
	cr_assert_eq(slot.op, IO_READ);
	call(TYPE(STATS), NULL, NULL, 0);
	expect_ok("STATS");
	cr_assert_eq(frame_send(vm.control, TYPE(PAUSE), ++vm.next_id, &empty.base, NULL, 0), 0);
	answer = (struct pollfd){ .fd = vm.control, .events = POLLIN };
	cr_assert_eq(poll(&answer, 1, 50), 0, "the instruction is not over");
	ring_complete(&vm.channel[SERIAL].consumer, &slot, &reply);
	cr_assert_eq(poll(&answer, 1, 20000), 1);
	cr_assert_eq(frame_recv(vm.control, &vm.frame), 0);
	expect_ok("PAUSE");
	cr_assert_eq(ring_peek(&vm.channel[SERIAL].consumer, &slot), -EAGAIN, "it is paused");
	call(TYPE(RUN), NULL, NULL, 0);
	expect_ok("RUN");
	slot = next_request();
	cr_assert_eq(slot.op, IO_WRITE);
	cr_assert_eq(slot.data, 0x11, "what was answered, not all-ones");
	cr_assert_eq(set_given_up(ROLE(SERIALD), true), TYPE(OK));
	expect_event(BULKHEAD__EVENT_TYPE__EVENT_HALTED);
}

/* A machine that is started again while its devices are away: RUN is answered, they are reset when they are there. */
Test(vcpu, reset_waits_for_devices, .fini = stop)
{
	static const uint8_t code[] = { 0xba, 0xfb, 0x03, 0xec, 0xfa, 0xf4 };
	struct ring_reply reply = { .data = 0 };
	struct io_slot slot;

	make_objects(code, sizeof(code));
	for (unsigned i = 0; i < CHANNELS; i++) {
		struct ring_req *req = vm.channel[i].req.rw;

		req->slots[0] = (struct io_slot){ .op = IO_FENCE };
		atomic_store(&req->tail, 1);
	}
	run();
	call(TYPE(STATS), NULL, NULL, 0);
	expect_ok("STATS");
	for (unsigned i = 0; i < 2; i++) {
		slot = next_request();
		cr_assert_eq(slot.op, i ? IO_RESET : IO_FENCE, "what is left of before, then the reset");
		ring_complete(&vm.channel[SERIAL].consumer, &slot, slot.flags & IO_SYNC ? &reply : NULL);
	}
	cr_assert_eq(set_given_up(ROLE(IRQD), true), TYPE(OK));
	expect_event(BULKHEAD__EVENT_TYPE__EVENT_RUNNING);
	cr_assert_eq(next_request().op, IO_READ);
}
