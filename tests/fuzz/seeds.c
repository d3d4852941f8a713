/* SPDX-License-Identifier: MIT */
/*
 * Writes the first inputs of those targets whose formats chance would not find: kernel images, packed streams, control
 * messages, command lines. Usage: fuzz-seeds CORPUS-DIRECTORY
 */
#include "devices/model.h"
#include "proto/control_check.h"
#include "proto/frame.h"
#include "proto/layout.h"
#include "tests/unit/boot_images.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *corpus;

static void put_seed(const char *target, const char *name, const void *head, size_t head_len, const void *data, size_t len)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", corpus, target);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/%s", corpus, target, name);
	f = fopen(path, "w");
	if (!f || fwrite(head, 1, head_len, f) != head_len || fwrite(data, 1, len, f) != len || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

/* boot.c: format, memory (7: 32 MiB), flags. */
static void put_image(const char *name, enum boot_format format, uint8_t flags, struct image i)
{
	const uint8_t head[] = { (uint8_t)format, 7, flags };

	put_seed("boot", name, head, sizeof(head), i.data, i.size);
}

static const char *const packing_names[PACKINGS] = { "gzip", "xz", "lzma", "lz4", "zstd", "unknown" };

static void put_linux(void)
{
	char name[64];

	for (int how = 0; how < PACKINGS; how++) {
		snprintf(name, sizeof(name), "bzimage-%s", packing_names[how]);
		put_image(name, BOOT_AUTO, 0x40, make_bzimage(pack(make_vmlinux(1, how & 1), (enum packing)how)));
	}
	put_image("bzimage-nokaslr", BOOT_BZIMAGE, 1, make_bzimage(pack(make_vmlinux(1, 0), PACK_GZIP)));
	put_image("bzimage-plain", BOOT_BZIMAGE, 2, make_bzimage(pack(make_vmlinux(0, 0), PACK_ZSTD)));
	put_image("bzimage-32-bits", BOOT_AUTO, 0, make_bzimage(pack(make_vmlinux32(1), PACK_XZ)));
	put_image("vmlinux", BOOT_AUTO, 0, make_vmlinux(1, 0));
	put_image("vmlinux-32-bits", BOOT_ELF_LINUX, 0, make_vmlinux32(0));
}

/* Multiboot Specification 0.6.96, 3.1.2: with ELF, and with the addresses in the header. */
static struct image multiboot(struct image i, size_t at, int addresses)
{
	const uint32_t flags = addresses ? 0x10003 : 3;

	put32(&i, at, 0x1badb002);
	put32(&i, at + 4, flags);
	put32(&i, at + 8, 0u - 0x1badb002 - flags);
	if (addresses) {
		put32(&i, at + 12, 0x200000 + (uint32_t)at);
		put32(&i, at + 16, 0x200000);
		put32(&i, at + 20, 0x200000 + (uint32_t)i.size);
		put32(&i, at + 24, 0x202000);
		put32(&i, at + 28, 0x200100);
	}
	return i;
}

static void put_others(void)
{
	put_image("pvh-64", BOOT_AUTO, 0x40, make_elf(64, 2 * MIB, 2 * MIB, 2 * MIB, 1, 2 * MIB));
	put_image("pvh-32", BOOT_ELF_PVH, 4, make_elf(32, 2 * MIB, 2 * MIB, 2 * MIB, 1, 2 * MIB + 16));
	put_image("multiboot-elf", BOOT_AUTO, 0x40, multiboot(make_elf(32, 2 * MIB, 2 * MIB, 2 * MIB, 0, 0), 0x1000, 0));
	put_image("multiboot-raw", BOOT_MULTIBOOT, 0, multiboot(image_new(1024), 64, 1));
	put_image("elf-beyond-ram", BOOT_ELF_LINUX, 0, make_elf(64, 32 * MIB - 0x800, 0, 32 * MIB - 0x800, 0, 0));
	put_image("flat16", BOOT_FLAT16, 0, image_new(512));
	put_image("flat64", BOOT_FLAT64, 0, image_new(512));
}

static void put_streams(void)
{
	const uint8_t room[] = { 0xff, 0x7f };
	struct image plain = image_new(3000);

	for (size_t i = 0; i < plain.size; i++)
		plain.data[i] = (uint8_t)(i * i >> 7);
	for (int how = 0; how < PACK_UNKNOWN; how++) {
		struct image p = pack(plain, (enum packing)how);
		size_t trailer = how == PACK_GZIP ? 0 : 4;

		put_seed("unpack", packing_names[how], room, sizeof(room), p.data, p.size - trailer);
	}
}

/* frame.c: flags with the number of descriptors, index of the type, body. */
static void put_message(const char *name, uint8_t type_index, uint8_t nfds, const void *msg)
{
	const uint8_t head[] = { (uint8_t)(0x80 | nfds), type_index };
	size_t len = protobuf_c_message_get_packed_size(msg);
	uint8_t *body = malloc(len + 1);

	protobuf_c_message_pack(msg, body);
	put_seed("frame", name, head, sizeof(head), body, len);
	free(body);
}

static Bulkhead__MachineConfig machine = BULKHEAD__MACHINE_CONFIG__INIT;

static void put_hello(void)
{
	Bulkhead__Hello hello = BULKHEAD__HELLO__INIT;
	Bulkhead__Event event = BULKHEAD__EVENT__INIT;
	Bulkhead__Error error = BULKHEAD__ERROR__INIT;
	Bulkhead__SetLog log = BULKHEAD__SET_LOG__INIT;

	hello.has_proto_major = hello.has_role = hello.has_log_level = 1;
	hello.proto_major = CONTROL_MAJOR;
	hello.role = BULKHEAD__ROLE__ROLE_SERIALD;
	hello.vm = (char *)"vm1";
	event.has_type = event.has_code = 1;
	event.type = BULKHEAD__EVENT_TYPE__EVENT_LOG;
	event.text = (char *)"a line";
	error.has_code = 1;
	error.text = error.field = (char *)"text";
	log.has_level = 1;
	put_message("hello", 2, 1, &hello);
	put_message("event", 12, 0, &event);
	put_message("error", 1, 0, &error);
	put_message("set-log", 11, 0, &log);
}

static void put_setup(void)
{
	Bulkhead__SetupDevice device = BULKHEAD__SETUP_DEVICE__INIT;
	Bulkhead__SetupVcpu vcpu = BULKHEAD__SETUP_VCPU__INIT;
	Bulkhead__SetupBoot boot = BULKHEAD__SETUP_BOOT__INIT;
	Bulkhead__EntryState entry = BULKHEAD__ENTRY_STATE__INIT;
	Bulkhead__LineSource source = BULKHEAD__LINE_SOURCE__INIT, *sources[] = { &source };
	Bulkhead__Role channels[] = { BULKHEAD__ROLE__ROLE_IRQD, BULKHEAD__ROLE__ROLE_TIMERD };
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	uint64_t gpr[16] = { 1, 2, 3 };

	machine.has_ram_bytes = machine.has_vcpus = machine.has_realtime_ns = 1;
	machine.ram_bytes = 1 << 20;
	machine.vcpus = 1;
	device.machine = vcpu.machine = boot.machine = &machine;
	put_message("setup-timerd", 3, 7, &device);
	put_message("setup-seriald", 3, 10, &device);
	device.n_sources = source.has_lines = 1;
	device.sources = sources;
	source.lines = 0x10;
	source.device = (char *)"seriald";
	put_message("setup-irqd", 3, 10, &device);
	entry.n_gpr = 16;
	entry.gpr = gpr;
	vcpu.entry = ok.entry = &entry;
	vcpu.engine = (char *)"emu";
	vcpu.n_channels = 2;
	vcpu.channels = channels;
	put_message("setup-vcpu", 4, 11, &vcpu);
	boot.cmdline = (char *)"console=ttyS0";
	put_message("setup-boot", 5, 2, &boot);
	put_message("ok", 0, 0, &ok);
}

static void put_command_lines(void)
{
	static const char *const lines[] = {
		"512M\n--kernel\nbzImage\n--memory=512M\n--name\nvm1\n--cmdline\nconsole=ttyS0\n--detach",
		"30s\n--stop-timeout\n500ms\n--escape\n^A\n--sandbox=log\n--on-halt\nwait\n--verbose",
		"1048576\n--format\nflat64\n--engine=kvm\n--no-reboot\n--ready-fd\n3\n--runtime-dir\n/tmp\n--keep",
		"16777216T\n--memory\n18446744073709551615G\n--kernle\nx",
	};
	char name[16];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(name, sizeof(name), "line-%zu", i);
		put_seed("config", name, "", 0, lines[i], strlen(lines[i]));
	}
}

/* model.h: operations of the model targets. */
struct program {
	const struct device_model *model;
	uint8_t bytes[1024];
	size_t len;
};

static void add(struct program *p, uint64_t v, unsigned bytes)
{
	for (unsigned n = 0; n < bytes && p->len < sizeof(p->bytes); n++)
		p->bytes[p->len++] = (uint8_t)(v >> 8 * n);
}

static struct program program(const struct device_model *model)
{
	struct program p = { .model = model };

	add(&p, 0x40, 2);
	add(&p, 1000000000, 4);
	add(&p, 0, 2);
	return p;
}

/* A write of 1 << log2 bytes. */
static void add_write(struct program *p, uint64_t addr, unsigned log2, uint64_t value)
{
	for (unsigned i = 0; i < p->model->range_count; i++) {
		const struct model_range *r = &p->model->ranges[i];

		if (addr - r->base >= r->len)
			continue;
		add(p, 0, 1);
		add(p, i, 1);
		add(p, log2, 1);
		add(p, addr - r->base, r->len > 256 ? 2 : 1);
		add(p, value, 1u << log2);
		return;
	}
}

static void add_time(struct program *p, unsigned shift, uint16_t ns)
{
	add(p, 4 | shift << 3, 1);
	add(p, ns, 2);
}

static void finish(const struct program *p, const char *name)
{
	put_seed(p->model->name, name, "", 0, p->bytes, p->len);
}

static void put_timers(void)
{
	struct program p = program(&timer_model);

	for (unsigned n = 0; n < 3; n++) {
		add_write(&p, LAYOUT_HPET_BASE + 0x100 + 0x20 * n, 3, 0x4c | (20 + n) << 9);
		add_write(&p, LAYOUT_HPET_BASE + 0x108 + 0x20 * n, 3, 30);
		add_write(&p, LAYOUT_HPET_BASE + 0x108 + 0x20 * n, 3, 30);
	}
	add_write(&p, LAYOUT_HPET_BASE + 0x10, 3, 1);
	add_time(&p, 8, 1000);
	finish(&p, "hpet-fast");
	p = program(&timer_model);
	add_write(&p, 0x43, 0, 0x34);
	add_write(&p, 0x40, 0, 2);
	add_write(&p, 0x40, 0, 0);
	add_time(&p, 8, 1000);
	add_write(&p, 0x43, 0, 0xc2);
	finish(&p, "pit-fast");
	p = program(&timer_model);
	add_write(&p, 0x70, 0, 10);
	add_write(&p, 0x71, 0, 0x23);
	add_write(&p, 0x70, 0, 11);
	add_write(&p, 0x71, 0, 0x72);
	add_time(&p, 16, 30000);
	finish(&p, "rtc-fast");
}

static void put_interrupts(void)
{
	static const uint16_t init[][2] = { { 0x20, 0x11 }, { 0x21, 0x30 }, { 0x21, 4 }, { 0x21, 1 }, { 0xa0, 0x11 },
					    { 0xa1, 0x38 }, { 0xa1, 2 },    { 0xa1, 1 }, { 0x21, 0 }, { 0xa1, 0 } };
	struct program p = program(&irq_model);

	for (unsigned n = 0; n < sizeof(init) / sizeof(init[0]); n++)
		add_write(&p, init[n][0], 0, init[n][1]);
	add_write(&p, LAYOUT_IOAPIC_BASE, 2, 0x10 + 2 * 9);
	add_write(&p, LAYOUT_IOAPIC_BASE + 0x10, 2, 0x8049);
	for (unsigned n = 0; n < 6; n++) {
		add(&p, 6, 1); /* irq.c: a wire up, acknowledge, messages, EOI, wire down */
		add(&p, n == 5 ? 0 : n, 1);
		add(&p, n < 3 ? 0x49 : 9, n == 3 ? 0 : 1);
	}
	finish(&p, "both");
}

static void put_testdev(void)
{
	struct program p = program(&testdev_model);

	add_write(&p, 0xe0, 2, 0x12345678);
	add_write(&p, 0x510, 1, 3);
	add_write(&p, 0x200e, 0, 1);
	add_write(&p, 0xff010000, 3, 0x1000);
	add(&p, 6, 1);
	add(&p, 0x55, 8);
	add_write(&p, 0xff000000, 3, UINT64_MAX);
	finish(&p, "all");
}

static void put_firmware(void)
{
	struct program p = program(&firmware_model);

	add_write(&p, 0x510, 1, 0x19);
	add_write(&p, LAYOUT_ECAM_BASE + 0x90, 0, 0x30);
	add_write(&p, LAYOUT_ECAM_BASE + 0xf8060, 0, 0x0b);
	add_write(&p, 0x510, 1, 0x21);
	finish(&p, "all");
}

static void put_uart(void)
{
	struct program p = program(&serial_model);

	add_write(&p, LAYOUT_COM1 + 2, 0, 0xc1);
	add_write(&p, LAYOUT_COM1 + 1, 0, 0x0f);
	add_write(&p, LAYOUT_COM1 + 4, 0, 0x0b);
	add_write(&p, LAYOUT_COM1, 0, 'x');
	add(&p, 6, 1);
	add(&p, 1 << 2, 1);
	add(&p, 20, 1);
	add_time(&p, 16, 100);
	add_write(&p, LAYOUT_COM1 + 4, 0, 0x1b);
	finish(&p, "loop");
}

/* race.c: a valid request, then one of its bytes spoiled: size, flags, vCPU, space, count. */
static void put_races(void)
{
	static const uint8_t places[] = { 4, 5, 6, 7, 10, 12 };
	char name[16];

	for (unsigned n = 0; n < sizeof(places); n++) {
		const uint8_t steps[] = { 1, 1, 0, 0, 1, 0, 0, 0, 2, 0, places[n], 0, 0xee, 0, 0, 0 };

		snprintf(name, sizeof(name), "spoil-%u", places[n]);
		put_seed("race", name, "", 0, steps, sizeof(steps));
	}
}

/* producer.c: messages with a good and with a forbidden vector, then their reader. */
static void put_messages(void)
{
	static const uint8_t ops[] = { 0, 0, 0, 0, 6, 0x31, 0, 5, 6, 2, 0, 5, 6, 0x31, 2, 5 };

	put_seed("producer", "messages", "", 0, ops, sizeof(ops));
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: fuzz-seeds CORPUS-DIRECTORY\n");
		return 2;
	}
	corpus = argv[1];
	put_linux();
	put_others();
	put_streams();
	put_hello();
	put_setup();
	put_command_lines();
	put_timers();
	put_interrupts();
	put_uart();
	put_testdev();
	put_firmware();
	put_races();
	put_messages();
	return 0;
}
