/* SPDX-License-Identifier: MIT */
/* What a machine is made of, and whether it can be had: config.h. */
#include "config.h"

#include "firmware.h"
#include "trace_filter.h"
#include "vnc_place.h"

#include "../../proto/disk.h"
#include "../../proto/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum { CMDLINE_MAX = 2047, EXEC_MAX = 65536 };

/* Nobody gives -1, which stands for nobody. */
static void no_external(struct vm_config *config)
{
	for (unsigned i = 0; i < DEVICES_MAX; i++)
		config->external[i].user = -1;
}

void config_init(struct vm_config *config)
{
	*config = (struct vm_config){
		.format = "auto",
		.engine = "auto",
		.vga = "stub",
		.tier = "auto",
		.ready = "vcpu",
		.cmdline = "",
		.cpus = { 1, 1, 1 },
		.stop_timeout_ms = 30000,
		.device_failure_limit = DEVICE_FAILURE_LIMIT,
		.escape = 0x1d,
		.group = -1,
		.ready_fd = -1,
		.taken_fd = -1,
		.sandbox = SANDBOX_DEFAULT,
#define ALWAYS 1
#define OPTION 0
#define FRAME 0	  /* config_settle() */
#define DISPLAY 0 /* the same */
#define BOARD 0
#define FIRMWARE 0
#define BACKEND 0
#define BARE 0
#define IMPLIED 0
#define DEVICE(NAME, name, model, role, presence, ...) .devices[KIND_##NAME] = presence,
#include "../../proto/devices.def"
	};
	no_external(config);
}

/* Disks, and nobody said what to start. */
static bool config_starts_disk(const struct vm_config *config)
{
	return config->backends.count && !config->kernel && !config->demo && !config->firmware;
}

/* The raw image that firmware tries first; NULL: there is none. */
static const char *first_disk(const struct vm_config *config)
{
	static struct disk_spec spec;
	const char *why;
	uint8_t order[VIRTIO_DEVICES] = { 0 };
	int named = config->boot_order ? firmware_order(config->boot_order, config->backends.count, order, VIRTIO_DEVICES) : 0;
	const unsigned n = named > 0 ? order[0] : 0;

	if (config->backends.of[n].kind != KIND_BLKD || disk_parse(config->backends.of[n].text, &spec, &why) ||
	    spec.way != DISK_RAW)
		return NULL;
	return spec.path;
}

void config_settle(struct vm_config *config)
{
	if (!config->ram_bytes)
		config->ram_bytes = config->platform == PLATFORM_FRAME ? LAYOUT_FRAME_RAM : 512ull << 20;
	if (config_starts_disk(config))
		config->firmware_guess = firmware_for_disk(first_disk(config), &config->firmware_why);
	config->devices[KIND_FIRMWARED] = config_firmware(config) != NULL;
	config->devices[KIND_DISPLAYD] = config->platform == PLATFORM_FRAME;
	config->devices[KIND_VGAD] = config->display.kind != DISPLAY_NONE;
}

static int check_file(const char *option, const char *path, char *error)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;

	if (fd < 0) {
		snprintf(error, CONFIG_ERROR_MAX, "--%s %.150s: %s", option, path, strerror(errno));
		return -EINVAL;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		snprintf(error, CONFIG_ERROR_MAX, "--%s %.150s: not a regular file", option, path);
		rc = -EINVAL;
	} else if (!st.st_size) {
		snprintf(error, CONFIG_ERROR_MAX, "--%s %.150s: the file is empty", option, path);
		rc = -EINVAL;
	}
	close(fd);
	return rc;
}

static int check_host_memory(uint64_t bytes, char *error)
{
	char asked[SIZE_TEXT_MAX], has[SIZE_TEXT_MAX];
	struct sysinfo si;
	uint64_t total;

	if (sysinfo(&si) < 0)
		return 0;
	total = ((uint64_t)si.totalram + si.totalswap) * si.mem_unit;
	if (bytes <= total)
		return 0;
	config_size_text(bytes, asked);
	config_size_text(total >> 20 << 20, has);
	snprintf(error, CONFIG_ERROR_MAX, "--memory %s: this host has only %s", asked, has);
	return -EINVAL;
}

static bool is_kvm(const struct vm_config *config)
{
	return !strcmp(config->engine, "kvm");
}

const char *config_cpu(const struct vm_config *config)
{
	return config->cpu ? config->cpu : is_kvm(config) ? "host" : "max";
}

bool config_wants_cpu_help(const struct vm_config *config)
{
	return config->cpu && !strcmp(config->cpu, "help");
}

/* What KVM has, only KVM can tell; what the emulator has is known here. */
static int check_cpu(const struct vm_config *config, char *error)
{
	const struct cpu_feature_set emulated = cpu_emulated();
	struct cpu_feature_set features;
	char why[CPU_MODEL_ERROR_MAX];
	struct cpu_model model;
	int rc;

	rc = cpu_model_parse(&model, config_cpu(config), why);
	/* Whether it will be KVM is not known yet; who chooses the engine asks again. */
	if (!rc && model.base == CPU_BASE_HOST && !strcmp(config->engine, "auto"))
		return 0;
	if (!rc && model.base == CPU_BASE_HOST && !is_kvm(config)) {
		snprintf(error, CONFIG_ERROR_MAX, "--cpu host is what KVM offers; the emulator's is --cpu max");
		return -EINVAL;
	}
	if (!rc && !is_kvm(config))
		rc = cpu_model_resolve(&model, &emulated, "the emulator", &features, why);
	if (rc)
		snprintf(error, CONFIG_ERROR_MAX, "--cpu: %s", why);
	return rc ? -EINVAL : 0;
}

/* That a device is served elsewhere does not give it to the machine. */
static int check_external(const struct vm_config *config, char *error)
{
	for (unsigned i = 0; i < DEVICES_MAX; i++) {
		unsigned instance;
		const struct kind_row *kind = kind_of_number(i, &instance);
		char name[KIND_NAME_MAX];

		if (!config->external[i].path || instance < config->devices[kind - kind_rows])
			continue;
		kind_process_name(kind, instance, name);
		snprintf(error, CONFIG_ERROR_MAX, "--device: this machine has no %s; an option of its own adds it", name);
		return -EINVAL;
	}
	return 0;
}

bool config_has_exec(const struct vm_config *config)
{
	return config->exec && *config->exec;
}

/* The command has a name of its own for init, and needs a kernel to start. */
static int check_exec(const struct vm_config *config, char *error)
{
	const char *why = NULL;

	if (!config_has_exec(config))
		return 0;
	if (strstr(config->cmdline, "rdinit="))
		why = "its own first process runs the command: leave rdinit= out of --cmdline";
	else if (config->from)
		why = "the machine that --from takes runs already; type it at its console";
	else if (strlen(config->exec) > EXEC_MAX)
		why = "the command is too long; put it in a file of the initrd";
	if (why)
		snprintf(error, CONFIG_ERROR_MAX, "--exec: %s", why);
	return why ? -EINVAL : 0;
}

/* What one kind of machine has and the other has not. */
static int check_platform(const struct vm_config *config, char *error)
{
	const char *why = NULL;

	if (config->platform == PLATFORM_PC)
		why = config->program ? "--program goes with --platform frame; a PC's kernel takes --initrd" : NULL;
	else if (config->display.kind != DISPLAY_NONE)
		why = "a frame machine has a screen of its own: leave out --display";
	else if (config->demo)
		why = "the demo's guest is a PC's";
	else if (config->initrds.count || config_has_exec(config) || *config->cmdline)
		why = "a frame machine's kernel takes no --initrd, --exec or --cmdline; it takes a --program";
	else if (strcmp(config->format, "auto") && strcmp(config->format, "elf"))
		why = "a frame machine's kernel is an ELF file: leave out --format";
	else if (config->ram_bytes < LAYOUT_FRAME_RAM || config->ram_bytes > LAYOUT_FRAME_MAPPED)
		why = "a frame machine has 64M of memory, and at most 1G";
	else if (topology_cpus(&config->cpus) != 1)
		why = "a frame machine has one processor";
	else if (config->devices[KIND_INPUTD])
		why = "a frame machine has a keyboard and a mouse already: leave out --ps2";
	else if (config->backends.count)
		why = "a frame machine has no PCI, and so no --disk; its kernel takes a --program";
	if (why)
		snprintf(error, CONFIG_ERROR_MAX, "--platform: %s", why);
	return why ? -EINVAL : 0;
}

const char *config_firmware(const struct vm_config *config)
{
	if (config->firmware || !config_starts_disk(config))
		return config->firmware;
	return config->firmware_guess ? config->firmware_guess : "seabios";
}

const char *config_image(const struct vm_config *config)
{
	return config->demo ? "demo" : config->kernel ? config->kernel : config_firmware(config);
}

static const char *why_no_firmware(const struct vm_config *config)
{
	if (config->kernel || config->demo)
		return "firmware boots from --disk; leave out --kernel, or --firmware";
	if (config->platform == PLATFORM_FRAME)
		return "a frame machine has none";
	if (config->initrds.count || *config->cmdline || config_has_exec(config))
		return "--initrd, --cmdline and --exec go with --kernel; what firmware boots is on a disk";
	if (config->display.kind != DISPLAY_NONE)
		return "it prints on the serial port, and does not know --display yet; leave one of them out";
	if (config->ram_bytes < 32ull << 20)
		return "firmware needs --memory 32M at least";
	return NULL;
}

/* The image, what does not go with it, and the order of disks. */
static int check_firmware(const struct vm_config *config, char *error)
{
	const char *firmware = config_firmware(config), *why = firmware ? why_no_firmware(config) : NULL;
	uint8_t order[VIRTIO_DEVICES];
	uint64_t bytes;
	int fd;

	if (config->boot_order && !firmware) {
		snprintf(error, CONFIG_ERROR_MAX, "--boot-order: it is for --firmware, and this machine starts with a kernel");
		return -EINVAL;
	}
	if (config->firmware_vars && !firmware) {
		snprintf(error, CONFIG_ERROR_MAX, "--firmware-vars: it is for --firmware, and this machine starts with a kernel");
		return -EINVAL;
	}
	if (!firmware)
		return 0;
	if (why) {
		snprintf(error, CONFIG_ERROR_MAX, "--firmware: %s", why);
		return -EINVAL;
	}
	if (config->boot_order && firmware_order(config->boot_order, config->backends.count, order, VIRTIO_DEVICES) < 0) {
		snprintf(error, CONFIG_ERROR_MAX,
			 "--boot-order %.60s: it takes numbers of disks with commas, each once; the first --disk is 0",
			 config->boot_order);
		return -EINVAL;
	}
	fd = firmware_open(firmware, &bytes, error);
	return fd < 0 ? fd : close(fd);
}

/* Whether it can be had there is seen when it is. */
static int check_vnc(const struct vm_config *config, char *error)
{
	struct vnc_place place;
	const bool has_screen = config->devices[KIND_DISPLAYD] || config->devices[KIND_VGAD];
	char why[VNC_ERROR_MAX] = "this machine has no screen; give it one with --display, or see --platform frame";

	if (!config->vnc || (has_screen && !vnc_place_parse(config->vnc, &place, why)))
		return 0;
	snprintf(error, CONFIG_ERROR_MAX, "--vnc: %s", why);
	return -EINVAL;
}

static int check_display(const struct vm_config *config, char *error)
{
	const bool no_vga = !strcmp(config->vga, "none");
	const char *why = NULL;

	if (config->display.kind == DISPLAY_VGA && no_vga)
		why = "a display of vga answers at the ports that --vga none keeps silent; leave out one of them";
	else if (config->display.kind != DISPLAY_NONE && config->ram_bytes < 1 << 20)
		why = "its window ends at 1 MiB, and so much --memory it takes";
	if (why)
		snprintf(error, CONFIG_ERROR_MAX, "--display: %s", why);
	return why ? -EINVAL : 0;
}

static int check_trace(const struct vm_config *config, char *error)
{
	const char *option = config->trace ? "trace" : config->profile ? "profile" : NULL;
	uint64_t from[TRACE_RANGES_MAX], to[TRACE_RANGES_MAX], address;
	unsigned count;

	if (option && is_kvm(config)) {
		snprintf(error, CONFIG_ERROR_MAX, "--%s is of the emulator: leave out --engine kvm, or try --trace-io", option);
		return -EINVAL;
	}
	if (trace_parse_address(config->trace_start, &address) == -EINVAL ||
	    trace_parse_address(config->trace_stop, &address) == -EINVAL) {
		snprintf(error, CONFIG_ERROR_MAX, "--trace-start and --trace-stop take an address, as 0xffffffff81000000");
		return -EINVAL;
	}
	return trace_parse_ranges(config->trace_range, from, to, &count, error);
}

int config_check(const struct vm_config *config, char error[CONFIG_ERROR_MAX])
{
	int rc = 0;

	if (config->json) {
		snprintf(error, CONFIG_ERROR_MAX,
			 "--json goes with --cpu help only; a machine's state is bulkhead status --json");
		return -EINVAL;
	}
	if (!config_image(config)) {
		snprintf(error, CONFIG_ERROR_MAX,
			 "no kernel; give one with --kernel FILE, or a disk to boot from with --disk, or try: bulkhead demo");
		return -EINVAL;
	}
	if (config->detach && config->no_console) {
		snprintf(error, CONFIG_ERROR_MAX, "--detach and --no-console exclude each other");
		return -EINVAL;
	}
	if (config->from && !config->detach) {
		snprintf(error, CONFIG_ERROR_MAX, "--from needs --detach: consoles stay attached to the machine that goes on");
		return -EINVAL;
	}
	for (unsigned i = 0; i < SERIAL_PORTS && config->from; i++) {
		if (!config->serial[i])
			continue;
		snprintf(error, CONFIG_ERROR_MAX, "--serial %s: the machine that --from takes still has it", config->serial[i]);
		return -EINVAL;
	}
	if (config->sandbox != SANDBOX_OFF && SANDBOX_DEFAULT == SANDBOX_OFF) {
		snprintf(error, CONFIG_ERROR_MAX,
			 "--sandbox %s: this is a build with sanitizers, which need what the sandbox "
			 "takes away; leave the option out",
			 sandbox_mode_name(config->sandbox));
		return -EINVAL;
	}
	if (strlen(config->cmdline) > CMDLINE_MAX) {
		snprintf(error, CONFIG_ERROR_MAX, "--cmdline has %zu characters; at most %d fit", strlen(config->cmdline),
			 CMDLINE_MAX);
		return -EINVAL;
	}
	rc = check_exec(config, error);
	if (!rc)
		rc = check_platform(config, error);
	if (!rc)
		rc = check_firmware(config, error);
	if (!rc)
		rc = check_vnc(config, error);
	if (!rc)
		rc = check_display(config, error);
	if (!rc)
		rc = check_trace(config, error);
	if (!rc)
		rc = check_cpu(config, error);
	if (!rc)
		rc = check_external(config, error);
	if (!rc && config->kernel)
		rc = check_file("kernel", config->kernel, error);
	if (!rc && config->program)
		rc = check_file("program", config->program, error);
	for (unsigned n = 0; !rc && n < config->initrds.count; n++)
		rc = check_file("initrd", config->initrds.of[n].file, error);
	return rc ? rc : check_host_memory(config->ram_bytes, error);
}
