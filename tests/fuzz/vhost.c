/* SPDX-License-Identifier: MIT */
/*
 * A front-end that says anything to a disk's back-end: vhost-user messages of any kind and size with descriptors of any kind, over
 * a real socket, memory tables of real memory that it goes on writing, queues in it, kicks. What must hold: nothing is touched
 * outside of that memory, each call comes back, no descriptor stays open, and the image keeps its size.
 */
#include "devices/vhost_back.c"
#include "devices/vhost_inflight.c"
#include "devices/vhost_memory.c"
#include "devices/vhost_queue.c"

#include <dirent.h>
#include <fcntl.h>

#include "devices/blk.h"
#include "fuzz.h"

enum { RAM = 16384, SECTORS = 16, STEPS = 100 };

static struct vhost_back back;
static struct blk disk;
static int ram_fd = -1, image_fd = -1, record_fd = -1, peer = -1;
static uint8_t *ram;
static uint64_t hang_ups;

/* No event loop: the target says what comes when. */
int event_assign(struct event *ev, struct event_base *base, evutil_socket_t fd, short what, event_callback_fn callback, void *arg)
{
	return 0;
}

int event_add(struct event *ev, const struct timeval *timeout)
{
	return 0;
}

int event_del(struct event *ev)
{
	return 0;
}

void event_active(struct event *ev, int res, short ncalls)
{
}

static void get_disk_config(void *ctx, uint8_t *out)
{
	blk_config(ctx, VHOST_QUEUES, out);
}

static void accepted(void *ctx, uint64_t features)
{
	disk.write_through = !(features & BLK_F_FLUSH);
}

static int64_t serve_disk(void *ctx, struct vhost_queue *q, struct virtq_chain *chain)
{
	return blk_request(ctx, &q->back->memory, chain);
}

static void lost(void *ctx, const char *why)
{
	hang_ups++;
}

static struct vhost_device device = { .queues = VHOST_QUEUES, .config_bytes = BLK_CONFIG_BYTES, .get_config = get_disk_config,
				      .accepted = accepted, .serve = serve_disk, .lost = lost, .reorders = true, .ctx = &disk };

static unsigned open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	CHECK(dir != NULL);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void begin(void)
{
	if (ram_fd < 0) {
		ram_fd = memfd_create("ram", 0);
		image_fd = memfd_create("image", 0);
		CHECK(ftruncate(ram_fd, RAM) == 0 && ftruncate(image_fd, SECTORS * BLK_SECTOR) == 0);
		ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
		CHECK(ram != MAP_FAILED);
	}
	memset(ram, 0, RAM);
	disk = (struct blk){ .fd = image_fd, .sectors = SECTORS };
	device.features = blk_features(&disk);
	vhost_back_init(&back, &device, NULL, NULL);
	if (record_fd < 0) {
		CHECK(vhost_back_make_inflight(&back) == 0);
		record_fd = back.inflight.spare_fd;
	}
	back.inflight.spare_fd = record_fd;
}

static void come(void)
{
	int pair[2];

	if (peer >= 0)
		close(peer);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	peer = pair[0];
	CHECK(vhost_back_attach(&back, pair[1]) == 0);
}

/* A body that may well be right, of which the input then changes what it likes. */
static uint32_t fill(struct input *in, uint32_t request, uint8_t body[VU_BODY_MAX])
{
	const struct vu_vring_addr addr = { .index = take_below(in, 5), .desc = 0x5000, .avail = 0x6000, .used = 0x7000 };
	const struct vu_memory memory = {
		.count = 1, .regions = { { 0x1000, RAM - 0x1000 * take_below(in, 2), 0x5000, 0x1000 * take_below(in, 2) } }
	};
	const struct vu_inflight record = { 8192, 64 * take_below(in, 2), (uint16_t)take_below(in, 5),
					    (uint16_t)(1u << take_below(in, 6)) };
	uint64_t word = take(in, 1);
	uint32_t bytes = sizeof(word);

	memset(body, 0, VU_BODY_MAX);
	memcpy(body, &word, sizeof(word));
	body[4] = (uint8_t)(1u << take_below(in, 6));
	if (request == VU_SET_FEATURES || request == VU_SET_PROTOCOL_FEATURES)
		word = take(in, 1) & 1 ? VU_F_VERSION_1 | VU_F_PROTOCOL_FEATURES : VU_PROTOCOL_REPLY_ACK | VU_F_INDIRECT,
		memcpy(body, &word, 8);
	if (request == VU_SET_VRING_ADDR)
		memcpy(body, &addr, bytes = sizeof(addr));
	if (request == VU_SET_MEM_TABLE)
		memcpy(body, &memory, bytes = 8 + sizeof(memory.regions[0]));
	if (request == VU_GET_INFLIGHT_FD || request == VU_SET_INFLIGHT_FD)
		memcpy(body, &record, bytes = sizeof(record));
	if (request == VU_GET_CONFIG)
		bytes = VU_CONFIG_HEADER + (body[4] = (uint8_t)take(in, 1));
	for (unsigned n = take_below(in, 4); n > 1; n--)
		take_poke(in, body, VU_BODY_MAX);
	return take_below(in, 8) ? bytes : (uint32_t)take(in, 2);
}

static void say(struct input *in)
{
	uint8_t frame[sizeof(struct vu_header) + VU_BODY_MAX];
	struct vu_header h = { .request = take_below(in, 34), .flags = VU_VERSION | (take(in, 1) & 8) };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	unsigned count = take_below(in, 3);
	int fds[2] = { take_below(in, 4) ? ram_fd : image_fd, image_fd };
	struct iovec iov = { frame, sizeof(h) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	h.size = fill(in, h.request, frame + sizeof(h));
	memcpy(frame, &h, sizeof(h));
	iov.iov_len += h.size < VU_BODY_MAX ? h.size : VU_BODY_MAX;
	if (count) {
		control.header = (struct cmsghdr){ CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	sendmsg(peer, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void hear(void)
{
	uint8_t replies[4096];

	for (unsigned n = 0; n < 4 && back.fd >= 0; n++)
		on_message(back.fd, EV_READ, &back);
	while (recv(peer, replies, sizeof(replies), MSG_DONTWAIT) > 0)
		;
	if (back.fd < 0)
		come();
}

/* Descriptors and an index that lead somewhere. */
static void drive(struct input *in)
{
	unsigned n = take_below(in, 8);
	const struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} d = { 0x1000 + take(in, 2) % RAM, (uint32_t)take(in, 2), (uint16_t)take_below(in, 8), (uint16_t)take_below(in, 9) };

	memcpy(ram + 16 * n, &d, sizeof(d));
	ram[0x1002] = (uint8_t)take_below(in, 10);
	ram[0x1004 + 2 * n] = (uint8_t)take_below(in, 9);
	take_poke(in, ram, RAM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned before;

	begin();
	before = open_files();
	come();
	for (unsigned n = 0; n < STEPS && in.left; n++) {
		unsigned what = take_below(&in, 8);

		if (what < 5)
			say(&in);
		else if (what < 7)
			drive(&in);
		hear();
		for (unsigned q = 0; q < VHOST_QUEUES; q++)
			serve(&back.queues[q]);
	}
	vhost_back_detach(&back);
	close(peer);
	peer = -1;
	CHECK(open_files() == before, "descriptors");
	CHECK(lseek(image_fd, 0, SEEK_END) == SECTORS * BLK_SECTOR);
	CHECK(lseek(ram_fd, 0, SEEK_END) == RAM);
	return 0;
}
