/* SPDX-License-Identifier: MIT */
/* SETUP_DEVICE: a daemon takes its objects, and the state of an earlier incarnation if there is one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/control_check.h"
#include "proto/log.h"
#include "proto/memory_map.h"
#include "proto/shm.h"
#include "runtime.h"

static struct model_config machine_config(const Bulkhead__MachineConfig *m)
{
	const struct memory_map map = memory_map(m->ram_bytes, m->rom_bytes);
	struct model_config config = {
		.ram_low = map.low,
		.rom = map.rom,
		.flash = m->has_flash_bytes ? m->flash_bytes : 0,
		.ram_high = map.high,
		.rtc_offset_s = m->has_rtc_offset_s ? m->rtc_offset_s : 0,
		.realtime_ns = m->has_realtime_ns ? m->realtime_ns : 0,
		.vcpus = (uint8_t)m->vcpus,
		.pci = m->has_pci && m->pci,
		.ps2 = m->has_ps2 && m->ps2,
		.no_vga = m->has_no_vga && m->no_vga,
		.frame = m->has_frame && m->frame,
		.topology = control_topology(m),
		.display = control_display(m),
	};

	for (size_t i = 0; i < m->n_boot_order && i < VIRTIO_DEVICES; i++)
		config.boot_order[config.boot_count++] = (uint8_t)m->boot_order[i];
	return config;
}

struct objects {
	const void *req;
	void *rsp, *shadow, *line, *journal;
};

static int map_objects(const int *fds, struct objects *o)
{
	int err = shm_map_ro(fds[SETUP_FD_REQ], sizeof(struct ring_req), &o->req);

	if (!err)
		err = shm_map_rw(fds[SETUP_FD_RSP], sizeof(struct ring_rsp), &o->rsp);
	if (!err)
		err = shm_map_rw(fds[SETUP_FD_SHADOW], sizeof(struct shadow_page), &o->shadow);
	if (!err)
		err = shm_map_rw(fds[SETUP_FD_LINE], sizeof(struct line_page), &o->line);
	if (!err)
		err = shm_map_rw(fds[SETUP_FD_JOURNAL], sizeof(struct journal_object), &o->journal);
	return err;
}

/* Both ends of a pipe are descriptions of their own: this one is nobody's but ours. */
static int take_pipe(int *fd)
{
	int mine = *fd;

	*fd = -1;
	fcntl(mine, F_SETFL, O_NONBLOCK);
	return mine;
}

/* Where to go on in the ring when no journal says it: where the predecessor was, if that can be true. */
static uint32_t ring_position(const struct ring_req *req, const struct ring_rsp *rsp)
{
	uint32_t tail = atomic_load_explicit(&req->tail, memory_order_acquire);
	uint32_t head = atomic_load_explicit(&rsp->head, memory_order_relaxed);

	return tail - head <= RING_SLOTS ? head : tail;
}

static int check_loaded(struct runtime *rt, const char **field)
{
	const struct daemon_shell *shell = rt->shell;
	int err = shell->model->validate(rt->state, field);

	if (!err && shell->validate)
		err = shell->validate(shell->shell_state, field);
	return err;
}

/* A journal that is behind or ahead of what REQ can hold belongs to another ring. */
static bool is_position_possible(const struct ring_req *req, uint32_t head)
{
	return atomic_load_explicit(&req->tail, memory_order_acquire) - head <= RING_SLOTS;
}

/* -ENOENT: nothing to take over. Any other error: *why. */
static int recover(struct runtime *rt, const struct journal_id *id, const struct ring_req *req, const char **why)
{
	void *const parts[JOURNAL_PARTS] = { rt->state, rt->shell->shell_state };
	int err = journal_load(&rt->journal, id, parts, &rt->mark, why);

	if (!err)
		err = check_loaded(rt, why);
	if (!err && !is_position_possible(req, rt->mark.head)) {
		*why = "it belongs to another ring";
		err = -EINVAL;
	}
	return err;
}

/* The answer to the last applied slot may not have been published. Doing it twice changes nothing. */
static void republish_reply(struct runtime *rt)
{
	struct ring_cell *cell = &rt->ring.rsp->cells[rt->mark.reply_vcpu];

	if (!rt->mark.reply_valid)
		return;
	cell->data = rt->mark.reply.data;
	memcpy(cell->bytes, rt->mark.reply.bytes, sizeof(cell->bytes));
	atomic_store_explicit(&cell->seq, rt->mark.reply_seq, memory_order_release);
	futex_wake(&cell->seq, RING_VCPUS);
}

/* Who slept on our predecessor's words, sleeps on ours. */
static void wake_everyone(struct runtime *rt)
{
	struct ring_rsp *rsp = rt->ring.rsp;

	atomic_fetch_add_explicit(&rsp->room, 1, memory_order_release);
	futex_wake(&rsp->room, RING_VCPUS);
}

static void power_on(struct runtime *rt, const struct journal_id *id)
{
	memset(rt->state, 0, rt->shell->model->state_size);
	if (rt->shell->shell_state)
		memset(rt->shell->shell_state, 0, rt->shell->shell_size);
	memset(&rt->mark, 0, sizeof(rt->mark));
	journal_format(&rt->journal, id);
	runtime_reset(rt, runtime_now(rt));
}

/* The first thing that uses the objects: a daemon that refuses a journal leaves it as it was. */
static int take_state(struct runtime *rt, const Bulkhead__SetupDevice *setup, const struct objects *o,
		      const struct journal_id *id, const char **why)
{
	int err = journal_open(&rt->journal, o->journal, id);

	if (err)
		return err;
	err = setup->has_recover && setup->recover ? recover(rt, id, o->req, why) : -ENOENT;
	if (err && err != -ENOENT && setup->has_strict && setup->strict)
		return err;
	rt->recovered = !err;
	if (err && err != -ENOENT)
		log_error("journal cannot be used (%s): the device starts from power-on state", *why ? *why : "unknown");
	if (err)
		power_on(rt, id);
	/* A death before the first request of ours is not that request's doing. */
	atomic_store(&rt->journal.object->header.attempt_active, 0);
	return 0;
}

static int start_device(struct runtime *rt, const Bulkhead__SetupDevice *setup, const struct objects *o,
			const char **why)
{
	const struct daemon_shell *shell = rt->shell;
	const struct journal_id id = {
		.role = kind_rows[shell->kind].role,
		.version = shell->model->version,
		.part_version = shell->shell_version,
		.part_size = { (uint32_t)shell->model->state_size, (uint32_t)shell->shell_size },
	};
	uint32_t head = ring_position(o->req, o->rsp);
	int err = take_state(rt, setup, o, &id, why);

	if (err)
		return err;
	rt->line = o->line;
	line_sample(rt->line, rt->line_last, shell->model->lines);
	shadow_writer_init(&rt->shadow, o->shadow);
	if (rt->recovered)
		head = rt->mark.head;
	rt->mark.head = head;
	ring_consumer_init(&rt->ring, o->req, o->rsp, head, rt->config.vcpus);
	atomic_store(&rt->ring.rsp->incarnation, rt->child.incarnation);
	rt->skips = setup->has_skip_seq;
	rt->skip_seq = setup->skip_seq;
	rt->drops = setup->has_drop_to;
	rt->drop_to = setup->drop_to;
	if (rt->recovered)
		republish_reply(rt);
	if (setup->has_recover && setup->recover)
		wake_everyone(rt);
	return 0;
}

static int complain(struct runtime *rt, int err, const char *field, const char *why)
{
	frame_reply_error(rt->child.control_fd, rt->child.frame.header.id, err, field, "SETUP_DEVICE: %s: %s", field, why);
	return err;
}

/* Before anybody is told that we are there: a death in between leaves the one or the other, and we are asked again. */
static void reset_late(struct runtime *rt)
{
	runtime_reset(rt, runtime_now(rt));
	runtime_commit(rt);
}

int runtime_setup(struct runtime *rt)
{
	struct frame *f = &rt->child.frame;
	const Bulkhead__SetupDevice *setup = (const Bulkhead__SetupDevice *)f->msg;
	const struct kind_row *kind = &kind_rows[rt->shell->kind];
	unsigned own = kind->collects ? SETUP_FD_OWN : SETUP_FD_OWN + 1, memory;
	struct control_complaint c;
	struct objects o = { 0 };
	const char *why = NULL;
	int err = control_check_setup_device(setup, rt->child.role, f->fd_count, &c);

	if (err)
		return complain(rt, err, c.field, c.why);
	memory = f->fd_count - kind_holds_ram(kind->memory) - control_has_code_map(setup);
	rt->state = calloc(1, rt->shell->model->state_size);
	if (!rt->state)
		return complain(rt, -ENOMEM, "state", "no memory");
	err = map_objects(f->fds, &o);
	if (!err)
		err = runtime_map_memory(rt, setup, f->fds + memory);
	if (err)
		return complain(rt, err, "objects", "wrong size, not sealed, or not of the right mode");
	rt->config = machine_config(setup->machine);
	rt->config.instance = (uint8_t)rt->child.instance;
	rt->config.virtio_type = (uint8_t)setup->virtio_id;
	rt->clock.offset_ns = setup->machine->has_clock_offset_ns ? setup->machine->clock_offset_ns : 0;
	rt->spin_ns = setup->has_spin_ns ? setup->spin_ns : 0;
	rt->doorbell_fd = take_pipe(&f->fds[SETUP_FD_DOORBELL]);
	rt->irqd_doorbell_fd = own > SETUP_FD_OWN ? take_pipe(&f->fds[SETUP_FD_OWN]) : -1;
	err = start_device(rt, setup, &o, &why);
	if (err)
		return complain(rt, err, "journal", why ? why : strerror(-err));
	if (rt->shell->start)
		err = rt->shell->start(rt, setup, f->fds + own, memory - own);
	if (err)
		return complain(rt, err, "start", strerror(-err));
	if (rt->shell->hold_lines && setup->has_hold_lines && setup->hold_lines)
		rt->shell->hold_lines(rt, true);
	if (setup->has_reset && setup->reset)
		reset_late(rt);
	frame_close_fds(f);
	return 0;
}
