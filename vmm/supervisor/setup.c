/* SPDX-License-Identifier: MIT */
/* The SETUP messages: which objects each process gets, in the order that control.proto names. */
#include "setup.h"
#include "proc.h"
#include "vm.h"

#include "../common/trace_filter.h"

#include "../common/guest_note.h"

#include "../../proto/control_check.h"
#include "../../proto/clock.h"
#include "../../proto/layout.h"

#include <string.h>
#include <time.h>

enum { SAMPLE_EVERY = 20000 /* instructions */ };
enum { SETUP_FDS = FRAME_FDS_MAX, CONSOLE_CLIENTS_MAX = 8 }; /* the latter for who has a console */

struct fd_list {
	int fds[SETUP_FDS];
	unsigned count;
};

static void add(struct fd_list *l, int fd)
{
	if (l->count < SETUP_FDS)
		l->fds[l->count++] = fd;
}

static int64_t realtime_minus_machine(const struct machine_clock *clock)
{
	struct timespec real;

	clock_gettime(CLOCK_REALTIME, &real);
	return (int64_t)real.tv_sec * (int64_t)CLOCK_NS_PER_S + real.tv_nsec - (int64_t)machine_ns(clock);
}

void setup_machine(const struct vm *vm, Bulkhead__MachineConfig *m)
{
	bulkhead__machine_config__init(m);
	m->has_ram_bytes = m->has_vcpus = m->has_rtc_offset_s = m->has_realtime_ns = m->has_clock_offset_ns = true;
	m->ram_bytes = vm->config->ram_bytes;
	m->vcpus = vm_cpus(vm);
	m->has_sockets = m->has_cores = m->has_threads = true;
	m->sockets = vm->config->cpus.sockets;
	m->cores = vm->config->cpus.cores;
	m->threads = vm->config->cpus.threads;
	m->has_pci = m->pci =
		vm->config->backends.count != 0 || vm->launch->rom_bytes != 0 || vm->config->display.kind == DISPLAY_VGA;
	m->has_rom_bytes = true;
	m->rom_bytes = vm->launch->rom_bytes;
	m->has_screen_base = vm->launch->screen_base != 0;
	m->screen_base = vm->launch->screen_base;
	m->has_flash_bytes = true;
	m->flash_bytes = vm->launch->variables_bytes;
	m->boot_order = vm->launch->boot_order;
	m->n_boot_order = vm->launch->boot_count;
	m->has_ps2 = m->ps2 = vm->config->devices[KIND_INPUTD] != 0;
	m->has_no_vga = m->no_vga = !strcmp(vm->config->vga, "none");
	m->has_frame = m->frame = vm->config->platform == PLATFORM_FRAME;
	m->has_display = m->has_display_width = m->has_display_height = true;
	m->display = vm->config->display.kind;
	m->display_width = vm->config->display.width;
	m->display_height = vm->config->display.height;
	m->realtime_ns = realtime_minus_machine(&vm->clock);
	m->clock_offset_ns = vm->clock.offset_ns;
}

static struct device_objects *objects_of(struct vm *vm, enum proc_id id)
{
	return &vm->devices[id - PROC_FIRST_DEVICE];
}

/* Every device that drives lines, and which ones it may drive. */
static void add_line_sources(struct vm *vm, struct fd_list *l, Bulkhead__LineSource *rows,
			     Bulkhead__LineSource **list, Bulkhead__SetupDevice *m)
{
	m->sources = list;
	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS; i++) {
		const struct proc *p = &vm->procs[i];
		struct device_objects *d = objects_of(vm, p->id);
		Bulkhead__LineSource *row = &rows[m->n_sources];

		if (!proc_exists(p) || !p->kind->lines)
			continue;
		bulkhead__line_source__init(row);
		row->device = (char *)proc_name(p);
		row->has_lines = true;
		row->lines = p->kind->lines;
		list[m->n_sources++] = row;
		add(l, d->line.ro);
		add(l, d->irq_bell.rd);
	}
}

struct serial_rows {
	Bulkhead__SerialPort rows[SERIAL_PORTS], *list[SERIAL_PORTS];
};

static Bulkhead__SerialKind serial_kind(enum serial_kind kind)
{
	switch (kind) {
	case SERIAL_NOTHING:
		break;
	case SERIAL_PTY:
		return BULKHEAD__SERIAL_KIND__SERIAL_TTY;
	case SERIAL_TO_FILE:
		return BULKHEAD__SERIAL_KIND__SERIAL_FILE;
	case SERIAL_SOCKET:
	case SERIAL_TCP:
		return BULKHEAD__SERIAL_KIND__SERIAL_LISTENER;
	}
	return BULKHEAD__SERIAL_KIND__SERIAL_NONE;
}

static void add_serial(const struct vm *vm, struct fd_list *l, struct serial_rows *s, Bulkhead__SetupDevice *m)
{
	const struct launch *launch = vm->launch;

	m->serial_ports = s->list;
	for (unsigned i = 0; i < SERIAL_PORTS; i++) {
		Bulkhead__SerialPort *row = &s->rows[m->n_serial_ports];

		if (launch->serial_kind[i] == SERIAL_NOTHING)
			continue;
		bulkhead__serial_port__init(row);
		row->has_port = row->has_kind = true;
		row->port = i;
		row->kind = serial_kind(launch->serial_kind[i]);
		s->list[m->n_serial_ports++] = row;
		add(l, launch->serial_fd[i]);
		if (i)
			add(l, vm->serial_backlog_fd[i]);
	}
}

static void add_front(struct vm *vm, unsigned n, struct fd_list *l, Bulkhead__SetupDevice *m)
{
	const struct virtio_objects *v = &vm->virtio[n];

	m->has_virtio_id = true;
	m->virtio_id = kind_rows[vm->config->backends.of[n].kind].virtio_id;
	add(l, v->vectors.rw);
	add(l, vm->vcpu_bell.wr);
	for (unsigned i = 0; i < VIRTIO_QUEUES; i++)
		add(l, v->kick[i].rd);
	for (unsigned i = 0; i < VIRTIO_VECTORS; i++)
		add(l, v->call[i].wr);
	for (unsigned i = 0; i < VIRTIO_VECTORS; i++)
		add(l, v->call[i].rd);
	add(l, v->error.wr);
	add(l, v->error.rd);
}

struct back_rows {
	Bulkhead__Disk disk;
	Bulkhead__Net net;
	Bulkhead__Share share;
};

/* Which of the machine's it is follows from kind and number. */
static void add_back(const struct proc *p, struct fd_list *l, struct back_rows *rows)
{
	const struct launch *launch = p->vm->launch;
	const struct backend_list *list = &p->vm->config->backends;

	Bulkhead__Disk *disk = &rows->disk;
	Bulkhead__Net *net = &rows->net;

	bulkhead__disk__init(disk);
	bulkhead__net__init(net);
	bulkhead__share__init(&rows->share);
	for (unsigned n = 0; n < list->count; n++) {
		if (list->of[n].kind != p->kind - kind_rows || list->of[n].instance != p->instance)
			continue;
		disk->has_read_only = true;
		disk->read_only = launch->disk[n].read_only;
		disk->serial = (char *)launch->disk[n].serial;
		net->has_mac = net->has_mtu = net->has_tap = launch->net[n].is_one;
		net->mac = launch->net[n].mac;
		net->mtu = launch->net[n].mtu;
		net->tap = launch->net[n].tap;
		disk->has_remote = disk->has_sectors = disk->has_features = launch->disk[n].remote;
		disk->remote = launch->disk[n].remote;
		disk->sectors = launch->disk[n].sectors;
		disk->features = launch->disk[n].features;
		rows->share.tag = (char *)launch->share_tag[n];
		add(l, launch->backend_fd[n]);
	}
}

int setup_device(struct proc *p, bool recover)
{
	struct back_rows back;
	struct vm *vm = p->vm;
	struct device_objects *d = objects_of(vm, p->id);
	Bulkhead__MachineConfig machine;
	Bulkhead__LineSource rows[DEVICES], *list[DEVICES];
	struct serial_rows serial;
	const struct kind_row *kind = p->kind;
	Bulkhead__SetupDevice m = BULKHEAD__SETUP_DEVICE__INIT;
	struct fd_list l = { .count = 0 };

	setup_machine(vm, &machine);
	m.machine = &machine;
	m.has_recover = m.has_console_clients_max = true;
	m.console_clients_max = CONSOLE_CLIENTS_MAX;
	m.recover = recover;
	/* The first incarnation has a journal only if that comes from another machine. */
	m.has_strict = m.strict = recover && (p->recovery.strict || p->incarnation == 1);
	m.has_skip_seq = p->recovery.skips;
	m.skip_seq = p->recovery.skip_seq;
	m.has_drop_to = p->recovery.drops;
	m.drop_to = p->recovery.drop_to;
	m.has_reset = m.reset = p->recovery.must_reset;
	m.has_sandbox = !p->external; /* the fence of one that is not ours is its own business */
	m.sandbox = proc_sandbox(p);
	m.has_hold_lines = kind->collects;
	m.hold_lines = vm->restored != NULL;
	add(&l, d->req.ro);
	add(&l, d->rsp.rw);
	add(&l, d->shadow.rw);
	add(&l, d->line.rw);
	add(&l, d->journal.rw);
	add(&l, d->doorbell.rd);
	if (!kind->collects)
		add(&l, d->irq_bell.wr);
	if (kind->virtio == KIND_VIRTIO_FRONT)
		add_front(vm, p->instance, &l, &m);
	if (kind->virtio == KIND_VIRTIO_BACK) {
		add_back(p, &l, &back);
		m.disk = &back.disk;
		m.net = &back.net;
		m.share = back.share.tag ? &back.share : NULL;
	}
	for (unsigned i = 0; i < kind->fd_count; i++)
		add(&l, vm->shared_fd[kind->fds[i]]);
	if (kind->collects)
		add_line_sources(vm, &l, rows, list, &m);
	if (p->id == PROC_SERIALD)
		add_serial(vm, &l, &serial, &m);
	if (kind_holds_ram(kind->memory))
		add(&l, kind->memory == KIND_MEMORY_WRITES ? vm->ram.rw : vm->ram.ro);
	m.has_has_code_map = true;
	m.has_code_map = kind->memory == KIND_MEMORY_WRITES;
	if (m.has_code_map)
		add(&l, vm->code_map.ro);
	return proc_request(p, BULKHEAD__MESSAGE_TYPE__MSG_SETUP_DEVICE, &m.base, l.fds, l.count);
}

/* Messages name files without their folders: the loader has no business with those. */
static char *file_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return (char *)(slash ? slash + 1 : path);
}

static unsigned add_linux_words(const struct vm *vm, char *words[GUEST_WORDS], char room[GUEST_NOTE_MAX * 2])
{
	const char *text = vm->config->terminal;
	struct guest_note note;
	bool known = text && !guest_note_parse(text, strlen(text), &note);

	return guest_words(vm->launch->has_exec, known ? &note : NULL, words, room);
}

static const char *image_format(const struct vm_config *config)
{
	return config->platform == PLATFORM_FRAME ? "frame" : config_firmware(config) ? "firmware" : config->format;
}

int setup_boot(struct proc *p)
{
	struct vm *vm = p->vm;
	const struct vm_config *config = vm->config;
	Bulkhead__MachineConfig machine;
	Bulkhead__SetupBoot m = BULKHEAD__SETUP_BOOT__INIT;
	char *names[CONFIG_INITRDS + 1], *texts[CONFIG_INITRDS + 1], *words[GUEST_WORDS], room[GUEST_NOTE_MAX * 2];
	struct fd_list l = { .count = 0 };

	setup_machine(vm, &machine);
	m.machine = &machine;
	m.cmdline = (char *)config->cmdline;
	m.format = (char *)image_format(config);
	m.kernel_name = file_name(config_image(config));
	m.has_sandbox = true;
	m.sandbox = config->sandbox;
	add(&l, vm->ram.rw);
	if (vm->restored) {
		m.format = (char *)"memory";
		add(&l, vm->launch->taken_fd[FRAME_TAKE_RAM]);
		return proc_request(p, BULKHEAD__MESSAGE_TYPE__MSG_SETUP_BOOT, &m.base, l.fds, l.count);
	}
	add(&l, vm->launch->kernel_fd);
	for (unsigned n = 0; n < config->initrds.count; n++) {
		names[n] = file_name(config->initrds.of[n].file);
		texts[n] = (char *)(config->initrds.of[n].text ? config->initrds.of[n].text : "");
		add(&l, vm->launch->initrd_fd[n]);
	}
	m.n_initrd_names = m.n_initrd_texts = config->initrds.count + vm->launch->has_exec;
	m.initrd_names = names;
	m.initrd_texts = texts;
	if (vm->launch->has_exec) {
		names[config->initrds.count] = (char *)"--exec";
		texts[config->initrds.count] = (char *)"";
		add(&l, vm->launch->initrd_fd[config->initrds.count]);
	}
	if (config->program) {
		names[0] = file_name(config->program);
		texts[0] = (char *)"";
		m.n_initrd_names = m.n_initrd_texts = 1;
		add(&l, vm->launch->initrd_fd[0]);
	}
	m.n_linux_words = add_linux_words(vm, words, room);
	m.linux_words = words;
	m.has_only_linux = true;
	m.only_linux = vm->launch->has_exec;
	return proc_request(p, BULKHEAD__MESSAGE_TYPE__MSG_SETUP_BOOT, &m.base, l.fds, l.count);
}

/* What the options say; they have been checked. */
static void fill_trace(const struct vm *vm, Bulkhead__TraceSetup *m, uint64_t *from, uint64_t *to)
{
	const struct vm_config *c = vm->config;
	char why[CONFIG_ERROR_MAX];
	unsigned count = 0;

	bulkhead__trace_setup__init(m);
	m->has_instructions = m->has_io = m->has_sample_every = m->has_privileges = true;
	m->instructions = c->trace != NULL;
	m->io = c->trace_io != NULL;
	m->sample_every = c->profile ? SAMPLE_EVERY : 0;
	trace_parse_ranges(c->trace_range, from, to, &count, why);
	m->n_from = m->n_to = count;
	m->from = from;
	m->to = to;
	m->privileges = trace_privileges(c->trace_privilege);
	m->has_start = !trace_parse_address(c->trace_start, &m->start);
	m->has_stop = !trace_parse_address(c->trace_stop, &m->stop);
}

static unsigned name_features(const struct cpu_feature_set *s, char *names[CPUF_COUNT])
{
	unsigned count = 0;

	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if (cpu_has(s, f))
			names[count++] = (char *)cpu_features[f].name;
	return count;
}

/* The pipes of each virtio device, in a message of its own: there are many. */
static int setup_virtio(struct proc *p)
{
	struct vm *vm = p->vm;
	int rc = 0;

	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS && !rc; i++) {
		const struct proc *device = &vm->procs[i];
		const struct virtio_objects *v = &vm->virtio[device->instance];
		Bulkhead__SetupVirtio m = BULKHEAD__SETUP_VIRTIO__INIT;
		struct fd_list l = { .count = 0 };

		if (!proc_exists(device) || device->kind->virtio != KIND_VIRTIO_FRONT)
			continue;
		m.has_device = m.has_instance = true;
		m.device = proc_role(device);
		m.instance = device->instance;
		add(&l, v->vectors.ro);
		for (unsigned n = 0; n < VIRTIO_QUEUES; n++)
			add(&l, v->kick[n].wr);
		for (unsigned n = 0; n < VIRTIO_VECTORS; n++)
			add(&l, v->taken[n]);
		rc = proc_request(p, BULKHEAD__MESSAGE_TYPE__MSG_SETUP_VIRTIO, &m.base, l.fds, l.count);
	}
	return rc;
}

int setup_vcpu(struct proc *p, const Bulkhead__EntryState *entry)
{
	struct vm *vm = p->vm;
	Bulkhead__MachineConfig machine;
	Bulkhead__Role roles[DEVICES];
	uint32_t instances[DEVICES];
	Bulkhead__SetupVcpu m = BULKHEAD__SETUP_VCPU__INIT;
	Bulkhead__TraceSetup trace;
	uint64_t from[TRACE_RANGES_MAX], to[TRACE_RANGES_MAX];
	char *features[CPUF_COUNT];
	struct fd_list l = { .count = 0 };
	int rc;

	setup_machine(vm, &machine);
	m.machine = &machine;
	m.engine = vm->engine_kvm ? "kvm" : "emu";
	m.cpu = (char *)config_cpu(vm->config);
	m.tier = (char *)vm->config->tier;
	m.has_tsc_khz = m.tsc_khz = vm->launch->tsc_khz;
	m.has_tsc_is_hosts = m.tsc_is_hosts = vm->launch->tsc_is_hosts;
	m.has_mends_syscall = m.mends_syscall = vm->launch->kvm_half_syscall;
	m.has_no_syscall = m.no_syscall = vm->launch->kvm_breaks_syscall && !vm->launch->kvm_half_syscall && !vm->handover.forced;
	if (vm->handover.step != HANDOVER_NOT)
		m.n_features = name_features(&vm->handover.features, features);
	m.features = features;
	m.has_no_fallback = m.no_fallback = vm->config->no_fallback;
	m.has_code_cache = vm->config->code_cache_bytes != 0;
	m.code_cache = vm->config->code_cache_bytes;
	m.entry = (Bulkhead__EntryState *)entry;
	m.has_restored = true;
	m.restored = vm->restored != NULL;
	m.has_sandbox = true;
	m.sandbox = vm->config->sandbox;
	add(&l, vm->ram.rw);
	if (m.machine->frame) {
		add(&l, vm->screen.rw);
		add(&l, vm->mailbox.rw);
	} else if (vm->config->display.kind != DISPLAY_NONE) {
		add(&l, vm->legacy.rw);
		add(&l, vm->framebuffer.rw);
		if (control_has_vga_rom(m.machine))
			add(&l, vm->launch->vga_rom_fd);
	}
	add(&l, vm->msi.ro);
	add(&l, vm->vcpu_bell.rd);
	for (unsigned i = 0; i < DEVICES; i++) {
		const struct proc *device = &vm->procs[PROC_FIRST_DEVICE + i];
		struct device_objects *d = &vm->devices[i];

		if (!proc_exists(device))
			continue;
		roles[m.n_channels] = proc_role(device);
		instances[m.n_channels++] = device->instance;
		add(&l, d->req.rw);
		add(&l, d->rsp.ro);
		add(&l, d->shadow.ro);
		add(&l, d->doorbell.wr);
	}
	m.has_has_counters = m.has_counters = true;
	add(&l, vm->counters.rw);
	if (vm->launch->trace_fd[TRACE_FD_RINGS] >= 0) {
		fill_trace(vm, &trace, from, to);
		m.trace = &trace;
		for (unsigned i = TRACE_FD_RINGS; i <= TRACE_FD_BELL; i++)
			add(&l, vm->launch->trace_fd[i]);
	}
	m.channels = roles;
	m.instances = instances;
	m.n_instances = m.n_channels;
	m.has_has_code_map = true;
	m.has_code_map = !vm->engine_kvm;
	add(&l, vm->engine_kvm ? vm->launch->kvm_fd : vm->code_map.rw);
	rc = setup_virtio(p);
	return rc ? rc : proc_request(p, BULKHEAD__MESSAGE_TYPE__MSG_SETUP_VCPU, &m.base, l.fds, l.count);
}
