/* SPDX-License-Identifier: MIT */
/* An exporter as a vhost-user front-end (QEMU, docs/interop/vhost-user.rst) that waits for its answers: exporter.h. */
#include "exporter.h"

#include "../../proto/share_offer.h"
#include "../../proto/vhost_user.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define BIT(n) (1ull << (n))
#define NEEDED (VU_F_VERSION_1 | VU_F_PROTOCOL_FEATURES)
#define USED                                                                                                         \
	(NEEDED | BIT(VIRTIO_BLK_F_RO) | BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_DISCARD) | \
	 BIT(VIRTIO_BLK_F_WRITE_ZEROES))
enum { SECTOR = 512, CONFIG_BYTES = 60, PATIENCE_S = 10 };
_Static_assert(offsetof(struct virtio_blk_config, write_zeroes_may_unmap) == 56, "virtio 1.2, 5.2.4");

static int say(int fd, enum vu_request request, const void *body, uint32_t bytes, int passed)
{
	struct vu_header header = { .request = request, .flags = VU_VERSION, .size = bytes };
	struct iovec iov[2] = { { &header, sizeof(header) }, { (void *)(uintptr_t)body, bytes } };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = bytes ? 2 : 1 };

	if (passed >= 0) {
		control.header =
			(struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), &passed, sizeof(int));
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)(sizeof(header) + bytes) ? 0 : -ECONNRESET;
}

static int say_word(int fd, enum vu_request request, uint64_t word, int passed)
{
	return say(fd, request, &word, sizeof(word), passed);
}

static int say_state(int fd, enum vu_request request, uint32_t index, uint32_t num)
{
	return say(fd, request, &(struct vu_vring_state){ index, num }, sizeof(struct vu_vring_state), -1);
}

static int hear(int fd, void *out, size_t bytes)
{
	ssize_t n = recv(fd, out, bytes, MSG_WAITALL);

	if (n == (ssize_t)bytes)
		return 0;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? -ETIMEDOUT : -ECONNRESET;
}

/* The answer to what was said, of exactly so many bytes. */
static int answer(int fd, enum vu_request request, void *out, uint32_t bytes)
{
	struct vu_header h;
	int rc = hear(fd, &h, sizeof(h));

	if (rc)
		return rc;
	if (h.request != request || (h.flags & (VU_VERSION_MASK | VU_REPLY)) != (VU_VERSION | VU_REPLY) || h.size != bytes)
		return -EPROTO;
	return hear(fd, out, bytes);
}

static int ask_word(int fd, enum vu_request request, uint64_t *out)
{
	int rc = say(fd, request, NULL, 0, -1);

	return rc ? rc : answer(fd, request, out, sizeof(*out));
}

static int ask_config(int fd, struct virtio_blk_config *out)
{
	struct vu_config c = { .size = CONFIG_BYTES };
	int rc = say(fd, VU_GET_CONFIG, &c, VU_CONFIG_HEADER + CONFIG_BYTES, -1);

	if (!rc)
		rc = answer(fd, VU_GET_CONFIG, &c, VU_CONFIG_HEADER + CONFIG_BYTES);
	memset(out, 0, sizeof(*out));
	memcpy(out, c.region, CONFIG_BYTES);
	return rc;
}

/* `wanted`: protocol features. */
static int negotiate(int fd, uint64_t *features, uint64_t wanted, const char **why)
{
	uint64_t protocol = 0;
	int rc = ask_word(fd, VU_GET_FEATURES, features);

	if (!rc && (*features & NEEDED) != NEEDED) {
		*why = "it speaks vhost-user as it was before protocol features and virtio 1.0; take a newer one";
		return -EPROTO;
	}
	if (!rc)
		rc = ask_word(fd, VU_GET_PROTOCOL_FEATURES, &protocol);
	if (!rc && wanted & ~protocol) {
		*why = "it does not tell its configuration: it is no disk, or too old";
		return -EPROTO;
	}
	*features &= USED;
	if (!rc)
		rc = say_word(fd, VU_SET_PROTOCOL_FEATURES, wanted, -1);
	if (!rc)
		rc = say(fd, VU_SET_OWNER, NULL, 0, -1);
	return rc;
}

/* One queue, in memory that nobody has touched; the last answer says that all of it was taken. */
static int start(const int fds[DISK_FDS], uint64_t features, uint64_t bytes, uint32_t queue)
{
	const struct vu_memory memory = { .count = 1, .regions = { { DISK_OFFER_BASE, bytes, DISK_OFFER_BASE, 0 } } };
	const struct vu_vring_addr addr = { .index = queue,
					    .desc = DISK_OFFER_BASE + DISK_OFFER_DESC,
					    .avail = DISK_OFFER_BASE + DISK_OFFER_AVAIL,
					    .used = DISK_OFFER_BASE + DISK_OFFER_USED };
	int fd = fds[DISK_FD_LINK], rc = say_word(fd, VU_SET_FEATURES, features, -1);

	if (!rc)
		rc = say(fd, VU_SET_MEM_TABLE, &memory, 8 + sizeof(memory.regions[0]), fds[DISK_FD_MEMORY]);
	if (!rc)
		rc = say_state(fd, VU_SET_VRING_NUM, queue, DISK_OFFER_QUEUE);
	if (!rc)
		rc = say_state(fd, VU_SET_VRING_BASE, queue, 0);
	if (!rc)
		rc = say(fd, VU_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	if (!rc)
		rc = say_word(fd, VU_SET_VRING_CALL, queue, fds[DISK_FD_CALL]);
	if (!rc)
		rc = say_word(fd, VU_SET_VRING_KICK, queue, fds[DISK_FD_KICK]);
	if (!rc)
		rc = say_state(fd, VU_SET_VRING_ENABLE, queue, 1);
	return rc ? rc : ask_word(fd, VU_GET_FEATURES, &features);
}

static int take_facts(const struct virtio_blk_config *c, uint64_t features, struct disk_offer *offer, struct export_facts *facts,
		      const char **why)
{
	*facts = (struct export_facts){ c->capacity, features, features & BIT(VIRTIO_BLK_F_RO) };
	*why = "its disk has no sectors";
	if (!c->capacity || c->capacity > UINT64_MAX / SECTOR / 2)
		return -EPROTO;
	*why = "its disk has sectors of more than 512 bytes, which are not served";
	if (features & BIT(VIRTIO_BLK_F_BLK_SIZE) && c->blk_size > SECTOR)
		return -EPROTO;
	offer->discard_sectors = c->max_discard_sectors;
	offer->zeroes_sectors = c->max_write_zeroes_sectors;
	offer->may_unmap = c->write_zeroes_may_unmap != 0;
	offer->features = features;
	return 0;
}

static const char *in_words(int rc)
{
	return rc == -ETIMEDOUT ? "it does not answer" : rc == -ECONNRESET ? "it hung up" : "it speaks no vhost-user";
}

static int be_patient(int fd)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	return 0;
}

int exporter_introduce(const int fds[DISK_FDS], struct disk_offer *offer, struct export_facts *facts, const char **why)
{
	struct virtio_blk_config config;
	uint64_t features = 0;
	int fd = fds[DISK_FD_LINK], rc = be_patient(fd);

	*why = NULL;
	if (!rc)
		rc = negotiate(fd, &features, VU_PROTOCOL_CONFIG, why);
	if (!rc)
		rc = ask_config(fd, &config);
	if (!rc)
		rc = take_facts(&config, features, offer, facts, why);
	if (!rc)
		rc = start(fds, features, DISK_OFFER_BYTES, 0);
	if (rc && !*why)
		*why = in_words(rc);
	return rc;
}

/* It has a queue for requests, and its own features are none that concern us. */
int exporter_introduce_folder(const int fds[DISK_FDS], const char **why)
{
	uint64_t features = 0;
	int fd = fds[DISK_FD_LINK], rc = be_patient(fd);

	*why = NULL;
	if (!rc)
		rc = negotiate(fd, &features, 0, why);
	if (!rc)
		rc = start(fds, features & NEEDED, SHARE_OFFER_BYTES, SHARE_OFFER_INDEX);
	if (rc && !*why)
		*why = in_words(rc);
	return rc;
}
