/* SPDX-License-Identifier: MIT */
/* What control messages must carry, and in which range: see control_check.h. */
#include "control_check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "disk.h"
#include "net.h"
#include "kind.h"
#include "layout.h"
#include "ring.h"
#include "share.h"
#include "virtio.h"

enum { PAGE = 4096, CMDLINE_MAX = 4096, NAME_MAX_LEN = 63, PATH_MAX_LEN = 4096, CLIENTS_MAX = 64, LINES = 24, SERIAL_PORTS = 4 };
enum { SPIN_MAX_NS = 1000000, LOG_LEVELS = 5, SANDBOX_MODES = 3, COMMON_DEVICE_FDS = 6, CPU_TEXT_MAX = 1024 };

#define ROLE(x) BULKHEAD__ROLE__ROLE_##x

static int complain(struct control_complaint *c, const char *field, const char *why)
{
	c->field = field;
	c->why = why;
	return -EINVAL;
}

const char *control_role_name(Bulkhead__Role role)
{
	static const char *const names[] = {
		[ROLE(SUPERVISOR)] = "supervisor",
		[ROLE(BOOT)] = "boot",
		[ROLE(VCPU)] = "vcpu",
		[ROLE(GDBD)] = "gdbd",
	};
	const struct kind_row *kind = kind_of_role(role);

	if (kind)
		return kind->name;
	return (unsigned)role < sizeof(names) / sizeof(names[0]) ? names[role] : NULL;
}

void control_process_name(Bulkhead__Role role, unsigned instance, char out[KIND_NAME_MAX])
{
	const struct kind_row *kind = kind_of_role(role);
	const char *name = control_role_name(role);

	if (kind)
		kind_process_name(kind, instance, out);
	else
		snprintf(out, KIND_NAME_MAX, "%s", name ? name : "?");
}

static unsigned virtio_fds(const struct kind_row *kind)
{
	switch (kind->virtio) {
	case KIND_VIRTIO_NONE:
		break;
	case KIND_VIRTIO_FRONT:
		return VIRTIO_FRONT_FDS;
	case KIND_VIRTIO_BACK:
		return VIRTIO_BACK_FDS;
	}
	return 0;
}

unsigned control_device_fds(Bulkhead__Role role, unsigned sources)
{
	const struct kind_row *kind = kind_of_role(role);

	if (!kind)
		return 0;
	return COMMON_DEVICE_FDS + virtio_fds(kind) + kind->fd_count + (kind->collects ? 2 * sources : 1) +
	       kind_holds_ram(kind->memory);
}

bool control_has_code_map(const Bulkhead__SetupDevice *m)
{
	return m->has_has_code_map && m->has_code_map;
}

/* How many instances there may be. */
static unsigned most_of(uint32_t role)
{
	const struct kind_row *kind = kind_of_role(role);

	return kind ? kind->most : 1;
}

/* Names become part of paths and of what ps shows. */
static bool is_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > NAME_MAX_LEN || s[0] == '.' || s[0] == '-')
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

int control_check_hello(const Bulkhead__Hello *m, Bulkhead__Role expected, struct control_complaint *c)
{
	if (!m->has_proto_major)
		return complain(c, "proto_major", "is missing");
	if (m->proto_major != CONTROL_MAJOR)
		return complain(c, "proto_major", "the two programs are of different releases; install one release");
	if (!m->has_role || m->role != expected)
		return complain(c, "role", "is not the role of this program");
	if (m->has_instance && m->instance >= most_of(expected))
		return complain(c, "instance", "is more than there can be");
	if (!m->vm || !is_name(m->vm))
		return complain(c, "vm", "must be 1 to 63 letters, digits, '.', '_' or '-'");
	if (m->has_log_level && m->log_level >= LOG_LEVELS)
		return complain(c, "log_level", "must be 0 to 4");
	return 0;
}

struct cpu_topology control_topology(const Bulkhead__MachineConfig *m)
{
	if (!m->has_sockets && !m->has_cores && !m->has_threads)
		return topology_flat(m->vcpus);
	return (struct cpu_topology){ m->sockets, m->cores, m->threads };
}

struct display_spec control_display(const Bulkhead__MachineConfig *m)
{
	return (struct display_spec){ m->has_display ? m->display : DISPLAY_NONE, m->has_display_width ? m->display_width : 0,
				      m->has_display_height ? m->display_height : 0 };
}

bool control_has_vga_rom(const Bulkhead__MachineConfig *m)
{
	return m->has_rom_bytes && m->rom_bytes && control_display(m).kind == DISPLAY_VGA;
}

uint64_t control_screen_base(const Bulkhead__MachineConfig *m)
{
	return m->has_screen_base && m->screen_base ? m->screen_base : LAYOUT_SCREEN_BASE;
}

int control_check_machine(const Bulkhead__MachineConfig *m, struct control_complaint *c)
{
	struct cpu_topology topology;
	struct display_spec display;

	if (!m)
		return complain(c, "machine", "is missing");
	display = control_display(m);
	if (!display_is_possible(&display))
		return complain(c, "machine.display", "is none that there is");
	if (!m->has_ram_bytes || m->ram_bytes == 0 || m->ram_bytes > LAYOUT_RAM_MAX || m->ram_bytes % PAGE)
		return complain(c, "machine.ram_bytes", "must be a multiple of 4096, at most 64 GiB");
	if (!m->has_vcpus || m->vcpus == 0 || m->vcpus > RING_VCPUS)
		return complain(c, "machine.vcpus", "must be 1 to 64");
	if (m->has_flash_bytes &&
	    (m->flash_bytes % PAGE || (m->flash_bytes && m->flash_bytes + m->rom_bytes > LAYOUT_FLASH_BYTES)))
		return complain(c, "machine.flash_bytes", "must be a multiple of 4096, and with rom_bytes at most 8 MiB");
	if (m->has_rom_bytes && (m->rom_bytes > LAYOUT_ROM_MAX || m->rom_bytes % PAGE || m->rom_bytes >= m->ram_bytes))
		return complain(c, "machine.rom_bytes", "must be a multiple of 4096, at most 16 MiB, and less than the memory");
	if (control_screen_base(m) % LAYOUT_SCREEN_BYTES || control_screen_base(m) < LAYOUT_RAM_LOW_FIRMWARE ||
	    control_screen_base(m) >= LAYOUT_RAM_HIGH_BASE - LAYOUT_ROM_MAX)
		return complain(c, "machine.screen_base", "is not where a framebuffer may be");
	if (m->n_boot_order > VIRTIO_DEVICES)
		return complain(c, "machine.boot_order", "names more disks than there may be");
	topology = control_topology(m);
	if (topology.sockets > m->vcpus || topology.cores > m->vcpus || topology.threads > m->vcpus ||
	    topology_cpus(&topology) != m->vcpus || !topology_is_valid(&topology))
		return complain(c, "machine.sockets", "sockets, cores and threads must make vcpus");
	return 0;
}

static int check_common(protobuf_c_boolean has_spin, uint32_t spin_ns, protobuf_c_boolean has_sandbox, uint32_t sandbox,
			struct control_complaint *c)
{
	if (has_spin && spin_ns > SPIN_MAX_NS)
		return complain(c, "spin_ns", "must be at most 1000000");
	if (has_sandbox && sandbox >= SANDBOX_MODES)
		return complain(c, "sandbox", "is not a known mode");
	return 0;
}

static int check_sources(const Bulkhead__SetupDevice *m, const struct kind_row *kind, struct control_complaint *c)
{
	if (!kind->collects)
		return m->n_sources ? complain(c, "sources", "only irqd has line sources") : 0;
	if (m->n_sources == 0 || m->n_sources > DEVICES_MAX)
		return complain(c, "sources", "too few or too many");
	for (size_t i = 0; i < m->n_sources; i++) {
		const Bulkhead__LineSource *s = m->sources[i];

		if (!s->has_lines || s->lines >> LINES)
			return complain(c, "sources.lines", "must be lines 0 to 23");
	}
	return 0;
}

/* How many descriptors they bring; -EINVAL. */
static int check_serial_ports(const Bulkhead__SetupDevice *m, Bulkhead__Role role, struct control_complaint *c)
{
	unsigned seen = 0;
	int fds = 0;

	if (m->n_serial_ports && role != BULKHEAD__ROLE__ROLE_SERIALD)
		return complain(c, "serial_ports", "only seriald has ports");
	for (size_t i = 0; i < m->n_serial_ports; i++) {
		const Bulkhead__SerialPort *p = m->serial_ports[i];

		if (!p->has_port || p->port >= SERIAL_PORTS || seen >> p->port & 1)
			return complain(c, "serial_ports.port", "must be 0 to 3, each once");
		if (!p->has_kind || p->kind <= BULKHEAD__SERIAL_KIND__SERIAL_NONE || p->kind > BULKHEAD__SERIAL_KIND__SERIAL_FILE)
			return complain(c, "serial_ports.kind", "is unknown");
		seen |= 1u << p->port;
		fds += p->port ? 2 : 1;
	}
	return fds;
}

int control_check_setup_device(const Bulkhead__SetupDevice *m, Bulkhead__Role role, unsigned nfds,
			       struct control_complaint *c)
{
	const struct kind_row *kind = kind_of_role(role);
	int err = kind ? control_check_machine(m->machine, c) : complain(c, "role", "is not a device"), serial;

	if (!err)
		err = check_common(m->has_spin_ns, m->spin_ns, m->has_sandbox, m->sandbox, c);
	if (!err)
		err = check_sources(m, kind, c);
	if (err)
		return err;
	if (m->has_console_clients_max && m->console_clients_max > CLIENTS_MAX)
		return complain(c, "console_clients_max", "must be at most 64");
	if (control_has_code_map(m) && kind->memory != KIND_MEMORY_WRITES)
		return complain(c, "has_code_map", "is for who writes guest memory");
	if ((kind->virtio == KIND_VIRTIO_FRONT) != (m->has_virtio_id && m->virtio_id && m->virtio_id < 64))
		return complain(c, "virtio_id", "is for a virtio front-end, which needs it");
	if (m->disk && (kind->virtio != KIND_VIRTIO_BACK || (m->disk->serial && strlen(m->disk->serial) > DISK_SERIAL_MAX)))
		return complain(c, "disk", "is for its back-end, with a serial number of at most 20 characters");
	if (m->net && (kind->virtio != KIND_VIRTIO_BACK || (m->net->has_mac && m->net->mac >> 40 & 1) ||
		       (m->net->has_mtu && (m->net->mtu < 68 || m->net->mtu > NET_MTU_LARGE))))
		return complain(c, "net", "is for its back-end, with an address of one station, and an MTU of 68 to 65520");
	if (m->disk && m->disk->has_remote && m->disk->remote && !m->disk->sectors)
		return complain(c, "disk", "has no size");
	if (m->share &&
	    (kind->virtio != KIND_VIRTIO_BACK || !m->share->tag || !*m->share->tag || strlen(m->share->tag) > SHARE_TAG_MAX))
		return complain(c, "share", "is for its back-end, with a tag of 1 to 36 characters");
	serial = check_serial_ports(m, role, c);
	if (serial < 0)
		return serial;
	if (nfds != control_device_fds(role, (unsigned)m->n_sources) + control_has_code_map(m) + (unsigned)serial)
		return complain(c, "descriptors", "wrong number");
	return 0;
}

static int check_channels(const Bulkhead__SetupVcpu *m, struct control_complaint *c)
{
	if (m->n_instances && m->n_instances != m->n_channels)
		return complain(c, "instances", "must be as many as channels, or none");
	if (m->n_channels > DEVICES_MAX)
		return complain(c, "channels", "are too many");
	for (size_t i = 0; i < m->n_channels; i++) {
		if (!kind_of_role(m->channels[i]))
			return complain(c, "channels", "is not a device");
		if (m->n_instances && m->instances[i] >= most_of(m->channels[i]))
			return complain(c, "instances", "is more than there can be");
		for (size_t j = 0; j < i; j++)
			if (m->channels[j] == m->channels[i] && (!m->n_instances || m->instances[j] == m->instances[i]))
				return complain(c, "channels", "names a device twice");
	}
	return 0;
}

int control_check_entry(const Bulkhead__EntryState *m, struct control_complaint *c)
{
	if (!m)
		return complain(c, "entry", "is missing");
	if (m->n_gpr != 0 && m->n_gpr != 16)
		return complain(c, "entry.gpr", "must have 16 values, or none");
	if (m->n_seg != 0 && m->n_seg != 6)
		return complain(c, "entry.seg", "must have 6 values, or none");
	return 0;
}

int control_check_setup_vcpu(const Bulkhead__SetupVcpu *m, unsigned nfds, struct control_complaint *c)
{
	int err = control_check_machine(m->machine, c);
	bool kvm, map = m->has_has_code_map && m->has_code_map, counters = m->has_has_counters && m->has_counters;
	const unsigned trace = m->trace ? 3 : 0;
	unsigned frame;

	if (!err)
		err = check_common(m->has_spin_ns, m->spin_ns, m->has_sandbox, m->sandbox, c);
	if (!err)
		err = check_channels(m, c);
	if (!err)
		err = control_check_entry(m->entry, c);
	if (err)
		return err;
	if (m->cpu && strlen(m->cpu) > CPU_TEXT_MAX)
		return complain(c, "cpu", "must be at most 1024 bytes");
	if (m->has_code_cache && (m->code_cache < LAYOUT_CODE_CACHE_MIN || m->code_cache > LAYOUT_CODE_CACHE_MAX))
		return complain(c, "code_cache", "must be 8 MiB to 2 GiB");
	if (m->n_features > CONTROL_FEATURES_MAX)
		return complain(c, "features", "are too many");
	if (m->has_tsc_khz && m->tsc_khz && (m->tsc_khz < 100000 || m->tsc_khz > 10000000))
		return complain(c, "tsc_khz", "must be 100 MHz to 10 GHz");
	kvm = m->engine && strcmp(m->engine, "kvm") == 0;
	if (!m->engine || (!kvm && strcmp(m->engine, "emu") != 0))
		return complain(c, "engine", "must be emu or kvm");
	if (m->trace && (m->trace->n_from != m->trace->n_to || m->trace->n_from > 16 ||
			 (kvm && (m->trace->instructions || m->trace->sample_every))))
		return complain(c, "trace", "has ranges without an end, too many, or is not for this engine");
	if (kvm && map)
		return complain(c, "has_code_map", "is for engine emu");
	frame = (m->machine->has_frame && m->machine->frame) || control_display(m->machine).kind != DISPLAY_NONE ? 2 : 0;
	frame += control_has_vga_rom(m->machine);
	if (nfds != 3 + frame + 4 * m->n_channels + kvm + map + counters + trace)
		return complain(c, "descriptors", "wrong number");
	return 0;
}

unsigned control_initrds(const Bulkhead__SetupBoot *m)
{
	return m->n_initrd_names ? (unsigned)m->n_initrd_names : m->has_has_initrd && m->has_initrd;
}

static int check_initrds(const Bulkhead__SetupBoot *m, unsigned nfds, struct control_complaint *c)
{
	if (m->n_initrd_names > CONTROL_INITRDS_MAX)
		return complain(c, "initrd_names", "are too many");
	if (m->n_initrd_texts != m->n_initrd_names)
		return complain(c, "initrd_texts", "must be as many as initrd_names");
	for (size_t n = 0; n < m->n_initrd_names; n++) {
		if (strlen(m->initrd_names[n]) > PATH_MAX_LEN)
			return complain(c, "initrd_names", "one is too long");
		if (strlen(m->initrd_texts[n]) >= CMDLINE_MAX)
			return complain(c, "initrd_texts", "each must be shorter than 4096 bytes");
	}
	if (nfds != 2u + control_initrds(m))
		return complain(c, "descriptors", "wrong number");
	return 0;
}

int control_check_setup_boot(const Bulkhead__SetupBoot *m, unsigned nfds, struct control_complaint *c)
{
	int err = control_check_machine(m->machine, c);

	if (!err)
		err = check_common(false, 0, m->has_sandbox, m->sandbox, c);
	if (err)
		return err;
	if (m->cmdline && strlen(m->cmdline) >= CMDLINE_MAX)
		return complain(c, "cmdline", "must be shorter than 4096 bytes");
	if (m->n_linux_words > CONTROL_LINUX_WORDS_MAX)
		return complain(c, "linux_words", "are too many");
	for (size_t n = 0; n < m->n_linux_words; n++)
		if (strlen(m->linux_words[n]) > CONTROL_LINUX_WORD_MAX || strpbrk(m->linux_words[n], " \t\n\""))
			return complain(c, "linux_words", "one is not a word");
	if ((m->kernel_name && strlen(m->kernel_name) > PATH_MAX_LEN) ||
	    (m->initrd_name && strlen(m->initrd_name) > PATH_MAX_LEN))
		return complain(c, "kernel_name", "is too long");
	return check_initrds(m, nfds, c);
}

int control_check_route_add(const Bulkhead__RouteAdd *m, struct control_complaint *c)
{
	if (!m->has_device || !kind_of_role(m->device))
		return complain(c, "device", "is not a device");
	if (m->has_instance && m->instance >= most_of(m->device))
		return complain(c, "instance", "is more than there can be");
	if (!m->has_range || !m->has_base_address)
		return complain(c, "range", "is missing, or its base");
	return 0;
}

static bool is_event(Bulkhead__EventType type)
{
	return protobuf_c_enum_descriptor_get_value(&bulkhead__event_type__descriptor, (int)type) != NULL;
}

int control_check_event(const Bulkhead__Event *m, struct control_complaint *c)
{
	if (!m->has_type || m->type <= BULKHEAD__EVENT_TYPE__EVENT_NONE || !is_event(m->type))
		return complain(c, "type", "is not a known event");
	return 0;
}

int control_check_set_log(const Bulkhead__SetLog *m, struct control_complaint *c)
{
	if (!m->has_level || m->level >= LOG_LEVELS)
		return complain(c, "level", "must be 0 to 4");
	return 0;
}
