/* SPDX-License-Identifier: MIT */
/* MSG_SETUP_VCPU: guest memory, rings, routes, engine. Everything that the run-time sandbox will no longer allow. */
#include "vcpu.h"
#include "echo.h"

#include "devices/model.h"
#include "proto/code_map.h"
#include "proto/control_check.h"
#include "proto/memory_map.h"
#include "proto/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const struct device_model *model_of(Bulkhead__Role role)
{
	const struct kind_row *kind = kind_of_role(role);

	return kind ? device_models[kind - kind_rows] : NULL;
}

_Static_assert((int)ROUTE_CHANNELS <= (int)ENGINE_MAX_WRITERS, "each may be one");

struct setup {
	struct vcpu_process *p;
	struct frame *frame;
	unsigned next_fd;
	const char **field;
	struct engine_config config;
	struct engine_bus bus;
	struct cpu_model cpu;
	uint8_t *vga_rom; /* NULL: there is none */
};

/* The next descriptor of the message; the caller owns it. */
static int take_fd(struct setup *s)
{
	int fd = s->frame->fds[s->next_fd];

	s->frame->fds[s->next_fd++] = -1;
	return fd;
}

static void add_ram(struct engine_config *c, uint64_t gpa, uint64_t size, uint8_t *host)
{
	if (size)
		c->ram[c->ram_count++] = (struct engine_ram){ gpa, size, host };
}

static int map_ram(struct setup *s, uint64_t bytes, uint64_t rom)
{
	const struct memory_map map = memory_map(bytes, rom);
	int fd = take_fd(s), err;
	void *host;

	*s->field = "guest RAM";
	err = shm_map_rw(fd, bytes, &host);
	if (err)
		return err;
	add_ram(&s->config, 0, map.low, host);
	add_ram(&s->config, memory_map_rom(&map), map.rom, (uint8_t *)host + map.low);
	add_ram(&s->config, LAYOUT_RAM_HIGH_BASE, map.high, (uint8_t *)host + map.low + map.rom);
	memcpy(s->p->ram, s->config.ram, sizeof(s->p->ram));
	s->p->ram_count = s->config.ram_count;
	return 0;
}

/* A frame machine's framebuffer and mailbox are memory like all other, to engines and debuggers, and objects of their own to those
 * who show the one and fill the other. */
static int map_windows(struct setup *s, uint64_t bytes)
{
	const int screen = take_fd(s), mailbox = take_fd(s);
	uint8_t *ram = s->config.ram[0].host;
	int err = bytes < LAYOUT_FRAME_BUFFER + LAYOUT_FRAME_BUFFER_BYTES ? -EINVAL : 0;

	*s->field = "framebuffer";
	if (!err)
		err = shm_map_rw_at(screen, LAYOUT_FRAME_BUFFER_BYTES, ram + LAYOUT_FRAME_BUFFER);
	if (!err)
		err = shm_map_rw_at(mailbox, LAYOUT_FRAME_MAILBOX_BYTES, ram + LAYOUT_FRAME_MAILBOX);
	return err;
}

/* Behind RAM below 4 GiB, and before what is above it. */
static void add_region(struct setup *s, uint64_t gpa, uint64_t bytes, void *host)
{
	struct engine_config *c = &s->config;

	memmove(&c->ram[2], &c->ram[1], (ENGINE_MAX_RAM - 2) * sizeof(c->ram[0]));
	c->ram[1] = (struct engine_ram){ gpa, bytes, host };
	c->ram_count++;
	memcpy(s->p->ram, c->ram, sizeof(s->p->ram));
	s->p->ram_count = c->ram_count;
}

/* The bytes of an expansion ROM are read in this process, and a write is lost (bus.c). */
static int take_vga_rom(struct setup *s)
{
	static uint8_t copy[LAYOUT_SCREEN_ROM_BYTES];
	const void *rom;
	int err = shm_map_ro(take_fd(s), sizeof(copy), &rom);

	if (err)
		return err;
	memcpy(copy, rom, sizeof(copy));
	shm_unmap(rom, sizeof(copy));
	s->vga_rom = copy;
	return 0;
}

/* A display's memory is memory to the guest, who writes there without asking; vgad sees it as well. */
static int map_display(struct setup *s, const Bulkhead__MachineConfig *m)
{
	const int legacy = take_fd(s), framebuffer = take_fd(s);
	const uint64_t bytes = m->ram_bytes;
	uint8_t *ram = s->config.ram[0].host;
	int err = bytes < LAYOUT_VGA_BASE + LAYOUT_VGA_BYTES ? -EINVAL : 0;
	void *host = NULL;

	*s->field = "display";
	if (!err)
		err = shm_map_rw_at(legacy, LAYOUT_VGA_BYTES, ram + LAYOUT_VGA_BASE);
	if (!err)
		err = shm_map_rw(framebuffer, LAYOUT_SCREEN_BYTES, &host);
	if (!err)
		add_region(s, control_screen_base(m), LAYOUT_SCREEN_BYTES, host);
	if (!err && control_has_vga_rom(m))
		err = take_vga_rom(s);
	return err;
}

_Static_assert((int)COUNTERS_VCPUS >= (int)ENGINE_MAX_VCPUS, "each has a part");

/* Who brings none has nobody who reads them. */
static int map_counters(struct setup *s, bool has)
{
	static struct counters_page own;
	void *page = &own;
	int err = 0;

	*s->field = "COUNTERS";
	if (has)
		err = shm_map_rw(take_fd(s), sizeof(struct counters_page), &page);
	s->p->bus.counters = page;
	s->config.counters = s->p->bus.counters->thread;
	return err;
}

static int map_trace(struct setup *s, const Bulkhead__SetupVcpu *m)
{
	int trace = take_fd(s), traced = take_fd(s), bell = take_fd(s), err;

	*s->field = "trace";
	err = vcpu_trace_init(&s->p->bus.trace, m->trace, m->machine->vcpus, trace, traced, bell, &s->config.clock);
	s->config.trace = err ? NULL : &s->p->bus.trace.engine;
	s->config.single_step |= m->trace->has_instructions && m->trace->instructions;
	return err;
}

static int add_channel(struct setup *s, Bulkhead__Role role, unsigned instance, uint32_t spin_ns)
{
	struct bus *b = &s->p->bus;
	struct channel *c = &b->channels[b->channel_count];
	const struct device_model *model = model_of(role);
	int req_fd = take_fd(s), rsp_fd = take_fd(s), shadow_fd = take_fd(s), bell_fd = take_fd(s);
	const void *rsp, *shadow;
	void *req;
	int err;

	*s->field = control_role_name(role);
	if (!model || b->channel_count == ROUTE_CHANNELS)
		return -EINVAL;
	err = shm_map_rw(req_fd, sizeof(struct ring_req), &req);
	if (!err)
		err = shm_map_ro(rsp_fd, sizeof(struct ring_rsp), &rsp);
	if (!err)
		err = shm_map_ro(shadow_fd, sizeof(struct shadow_page), &shadow);
	if (!err)
		err = ring_attach(&c->ring, req, rsp, bell_fd, spin_ns);
	/* A daemon that has broken its ring harms its own device: its guest waits until another one repairs it. */
	if (err == -EPROTO)
		err = 0;
	if (!err)
		err = route_add(&b->routes, model->ranges, model->range_count, instance, (uint8_t)b->channel_count);
	if (err)
		return err;
	/* The write end is ours alone, so nobody else can turn this off again (design.md, section 2). */
	fcntl(bell_fd, F_SETFL, O_NONBLOCK);
	if (kind_writes_memory(kind_of_role(role)->memory))
		s->config.writers[s->config.writer_count++] = &c->ring.rsp->written;
	c->bus = b;
	c->role = role;
	c->instance = instance;
	c->virtio = virtio_ends_of(b, role, instance);
	c->shadow = shadow;
	c->ring.clock = s->config.clock;
	c->ring.patience = bus_patience;
	c->ring.patience_ctx = c;
	s->p->used_before |= atomic_load(&c->ring.tail) != 0;
	if (role == BULKHEAD__ROLE__ROLE_IRQD)
		b->irqd = c;
	b->channel_count++;
	return 0;
}

/* Where the guest has moved its BAR. The base is looked up here and not when it is used: it moves with the BAR. */
static void place_memory(struct bus *b, uint64_t base, uint8_t *host)
{
	const struct route_range *r = route_find(&b->routes, MODEL_MMIO, base);

	if (r)
		route_memory(&b->routes, r->channel, r->range, host);
}

/* Only a VGA's registers do as its table says: without them the stub's are there, at the same ports. */
static void add_echo(struct bus *b)
{
	static struct echo echo;
	struct channel *c = bus_channel(b, (Bulkhead__Role)kind_rows[KIND_VGAD].role, 0);

	echo_init(&echo);
	if (c)
		c->echo = &echo;
}

static int map_msi(struct setup *s)
{
	const void *page;
	int err;

	*s->field = "MSI";
	err = shm_map_ro(take_fd(s), sizeof(struct msi_page), &page);
	s->p->bus.msi = page;
	s->p->msi_doorbell_fd = take_fd(s);
	return err;
}

static int map_code(struct setup *s, const Bulkhead__MachineConfig *machine)
{
	*s->field = "code map";
	s->config.code_map_bytes = code_map_bytes(
		display_memory_bytes(machine->ram_bytes, control_display(machine).kind) >> CODE_MAP_PAGE_SHIFT, machine->vcpus);
	return shm_map_rw(take_fd(s), s->config.code_map_bytes, &s->config.code_map);
}

/* Exactly what the guest has seen already. */
static int take_features(struct setup *s, const Bulkhead__SetupVcpu *m)
{
	s->cpu = (struct cpu_model){ .base = CPU_BASE_V2 };
	for (size_t n = 0; n < m->n_features; n++) {
		enum cpu_feature f = cpu_feature_find(m->features[n], strlen(m->features[n]));

		if (f == CPUF_NONE)
			return -EINVAL;
		cpu_add(&s->cpu.possible, f);
	}
	s->cpu.wanted = s->cpu.possible;
	cpu_remove(&s->cpu.wanted, CPUF_KVM); /* who relies on it is found by its state (emu/run/state.c) */
	s->config.cpu = &s->cpu;
	return 0;
}

/* Parsed once more: what comes over a channel is not believed. */
static int take_cpu(struct setup *s, const Bulkhead__SetupVcpu *m, char *err, size_t err_len)
{
	char why[CPU_MODEL_ERROR_MAX];

	*s->field = "cpu";
	if (m->n_features)
		return take_features(s, m);
	if (!m->cpu)
		return 0;
	if (cpu_model_parse(&s->cpu, m->cpu, why)) {
		snprintf(err, err_len, "%s", why);
		return -EINVAL;
	}
	s->config.cpu = &s->cpu;
	return 0;
}

static int take_tier(struct setup *s, const char *tier)
{
	enum { SPARSELY = 1000 };
	struct engine_config *c = &s->config;

	*s->field = "tier";
	if (!tier || !strcmp(tier, "auto"))
		return 0;
	c->single_step |= !strcmp(tier, "step");
	c->no_translator = !strcmp(tier, "block");
	c->translate_after = !strcmp(tier, "jit");
	c->check_ranges = !strcmp(tier, "check");
	c->verify_every = !strcmp(tier, "verify") ? SPARSELY : !strcmp(tier, "verify-all");
	c->host_lacks = !strcmp(tier, "narrow") ? "avx512f" : NULL;
	return c->single_step || c->no_translator || c->translate_after || c->check_ranges || c->verify_every || c->host_lacks
		       ? 0
		       : -EINVAL;
}

/* What firmware does on all processors before it starts a kernel on the first. */
static int set_up_others(struct vcpu_process *p, const struct cpu *first)
{
	static struct cpu cpu;
	int ret = 0;

	for (unsigned n = 1; !ret && n < p->vcpus; n++) {
		ret = p->engine->ops->get_state(p->engine, n, &cpu);
		cpu.msr.mtrr_def_type = first->msr.mtrr_def_type;
		if (!ret)
			ret = p->engine->ops->set_state(p->engine, n, &cpu);
	}
	return ret;
}

static int make_engine(struct setup *s, const Bulkhead__SetupVcpu *m, char *err, size_t err_len)
{
	const struct engine_ops *ops = strcmp(m->engine, "kvm") == 0 ? &engine_kvm : &engine_emu;
	struct vcpu_process *p = s->p;
	static struct cpu cpu;
	char cpu_error[CPU_MODEL_ERROR_MAX] = "";
	int ret = take_cpu(s, m, err, err_len);

	if (ret == 0)
		ret = take_tier(s, m->tier);
	if (ret)
		return ret;
	*s->field = "engine";
	s->config.cpu_error = cpu_error;
	bus_engine(&p->bus, &s->bus);
	s->config.bus = &s->bus;
	s->config.native = &p->native;
	s->config.vcpus = p->vcpus = m->machine->vcpus;
	s->config.code_cache_bytes = m->has_code_cache ? m->code_cache : 0;
	s->config.tsc_khz = m->has_tsc_khz ? m->tsc_khz : 0;
	s->config.tsc_is_hosts = m->has_tsc_is_hosts && m->tsc_is_hosts;
	s->config.no_syscall = m->has_no_syscall && m->no_syscall;
	s->config.mends_syscall = m->has_mends_syscall && m->mends_syscall;
	s->config.no_fallback = m->has_no_fallback && m->no_fallback;
	s->config.topology = control_topology(m->machine);
	s->config.kvm_fd = ops == &engine_kvm ? take_fd(s) : -1;
	ret = ops->create(&s->config, &p->engine);
	if (ret == -ENOTSUP && cpu_error[0]) {
		*s->field = "cpu";
		snprintf(err, err_len, "%s", cpu_error);
		return ret;
	}
	if (ret) {
		snprintf(err, err_len, "engine %s cannot be created: %s; try --engine emu", ops->name, strerror(-ret));
		return ret;
	}
	*s->field = "entry";
	ret = ops->get_state(p->engine, 0, &cpu);
	if (ret)
		return ret;
	entry_apply(&cpu, m->entry);
	ret = ops->set_state(p->engine, 0, &cpu);
	return ret ? ret : set_up_others(p, &cpu);
}

int vcpu_setup(struct vcpu_process *p, const Bulkhead__SetupVcpu *m, struct frame *frame, char *err, size_t err_len,
	       const char **field)
{
	struct setup s = { .p = p, .frame = frame, .field = field };
	struct control_complaint complaint;
	int ret;

	*field = "SetupVcpu";
	ret = control_check_setup_vcpu(m, frame->fd_count, &complaint);
	if (ret) {
		*field = complaint.field;
		snprintf(err, err_len, "%s", complaint.why);
		return ret;
	}
	route_init(&p->bus.routes);
	pci_init(&p->bus.pci, m->machine->has_pci && m->machine->pci, m->machine->rom_bytes != 0);
	p->bus.routes.has_pci = p->bus.pci.present;
	p->bus.child = &p->child;
	s.config.clock.offset_ns = m->machine->has_clock_offset_ns ? m->machine->clock_offset_ns : 0;
	ret = map_ram(&s, m->machine->ram_bytes, m->machine->rom_bytes);
	if (!ret && m->machine->has_frame && m->machine->frame)
		ret = map_windows(&s, m->machine->ram_bytes);
	else if (!ret && control_display(m->machine).kind != DISPLAY_NONE)
		ret = map_display(&s, m->machine);
	if (!ret)
		ret = map_msi(&s);
	for (size_t i = 0; !ret && i < m->n_channels; i++)
		ret = add_channel(&s, m->channels[i], m->n_instances ? m->instances[i] : 0, m->spin_ns);
	if (!ret && control_display(m->machine).kind != DISPLAY_NONE)
		place_memory(&p->bus, LAYOUT_SCREEN_BASE, s.config.ram[1].host);
	if (!ret && control_display(m->machine).kind == DISPLAY_VGA)
		add_echo(&p->bus);
	if (!ret && s.vga_rom)
		place_memory(&p->bus, LAYOUT_SCREEN_ROM, s.vga_rom);
	if (!ret)
		ret = map_counters(&s, m->has_has_counters && m->has_counters);
	if (!ret && m->trace)
		ret = map_trace(&s, m);
	if (!ret && m->has_has_code_map && m->has_code_map)
		ret = map_code(&s, m->machine);
	if (!ret && !p->bus.irqd) {
		*field = "channels";
		ret = -EINVAL;
	}
	if (!ret) {
		msi_consumer_init(&p->msi, p->bus.msi, p->bus.irqd->ring.req);
		ret = make_engine(&s, m, err, err_len);
	}
	p->restored = m->has_restored && m->restored;
	p->used_before &= !p->restored;
	if (ret && !err[0])
		snprintf(err, err_len, "%s cannot be used: %s", *field, strerror(-ret));
	return ret;
}
