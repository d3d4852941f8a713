/* SPDX-License-Identifier: MIT */
/*
 * What a machine is made of, as the user asked for it. The command line and the keeper parse the same options with the
 * same table (options.h); the first checks everything that needs no privilege, so that mistakes are named before anything starts.
 */
#ifndef BULKHEAD_VMM_CONFIG_H
#define BULKHEAD_VMM_CONFIG_H

#include "serial.h"
#include "value.h"

#include "../../emu/model/features.h"
#include "../../proto/display.h"
#include "../../proto/kind.h"
#include "../../proto/sandbox.h"
#include "../../proto/topology.h"
#include "../../proto/virtio.h"

#include <stdbool.h>
#include <stdint.h>

enum { VM_NAME_MAX = 48, CONFIG_ERROR_MAX = VALUE_ERROR_MAX };

enum platform {
	PLATFORM_PC,
	PLATFORM_FRAME, /* 64 MiB, an ELF kernel in long mode, pictures and events through one port (docs/guests.md) */
};

enum on_halt {
	ON_HALT_STOP, /* HLT with interrupts off ends the machine */
	ON_HALT_WAIT, /* it stays, as on hardware, until someone stops it */
};

/* What happens when a device process dies; given up: the limit was passed, or DEGRADE. */
enum on_device_failure {
	ON_DEVICE_FAILURE_RESTART, /* restarted; given up, the machine goes on without it */
	ON_DEVICE_FAILURE_DEGRADE, /* given up at its first death */
	ON_DEVICE_FAILURE_PAUSE,   /* restarted; given up, the machine is paused until `bulkhead device restart` */
	ON_DEVICE_FAILURE_STOP,	   /* restarted; given up, the machine ends with code 37 */
};

/* With restart.h's waits: a guest waits less than ten seconds until then. */
enum { DEVICE_FAILURE_LIMIT = 16, CONFIG_INITRDS = 8 };

/* --initrd FILE[:TEXT]; text NULL: none. Both live as long as the program. */
struct initrd_list {
	unsigned count;
	struct {
		const char *file, *text;
	} of[CONFIG_INITRDS];
};

/* --disk and its like, in the order in which they were given: the n-th is behind front-end n. `text` lives as long as the
 * program. */
struct backend_list {
	unsigned count;
	struct {
		uint8_t kind, instance; /* enum kind */
		const char *text;
	} of[VIRTIO_DEVICES];
};

/* --device: the socket at which a process that somebody else has started serves it. */
struct external {
	const char *path; /* NULL: the machine starts it itself */
	int64_t user;	  /* may listen there beside the machine's owner and root; -1: nobody */
};

struct vm_config {
	char name[VM_NAME_MAX + 1]; /* empty: the first free one of vm1, vm2, ... */
	const char *kernel, *cmdline, *format, *engine, *vga, *tier, *ready;
	struct initrd_list initrds;
	enum platform platform;
	const char *firmware; /* "seabios", "ovmf" or a file; NULL: the machine starts with a kernel */
	const char *firmware_vars; /* file where it keeps its variables, or "none"; NULL: the machine's own */
	const char *firmware_guess, *firmware_why; /* config_settle(): what the disk wants, where nobody said what to start with */
	const char *boot_order; /* of firmware; NULL: disks in their order */
	struct display_spec display; /* of a PC */
	const char *program; /* of a frame machine; NULL: none */
	const char *exec; /* command for bulkhead-init in a Linux guest; NULL: none */
	const char *terminal; /* guest_note.h: what the console is shown on; NULL: nobody knows */
	const char *cpu; /* processor model, as given; NULL: the engine's default; "help" */
	const char *serial[SERIAL_PORTS]; /* --serial, whole; NULL: nothing */
	const char *gdb; /* port, or path of a socket; NULL: the machine's own socket, and the guest does not wait */
	const char *trace, *trace_io, *profile, *symbols; /* files; NULL: none */
	const char *trace_range, *trace_privilege, *trace_start, *trace_stop; /* trace_filter.h */
	uint32_t trace_last; /* instructions that are kept for a crash; 0: all are written */
	const char *vnc; /* vnc_place.h; NULL: none */
	const char *metrics; /* path of a socket; NULL: none */
	const char *log_file, *result_file;
	const char *config_file; /* command line: what was read from it stands before its own options */
	const char *runtime_dir; /* base directory; NULL: chosen by rundir.h */
	uint64_t ram_bytes; /* 0: nobody has said; config_settle() */
	uint64_t code_cache_bytes; /* of the emulator; 0: its default */
	struct cpu_topology cpus;
	uint32_t stop_timeout_ms; /* how long a stop by signal waits for the guest */
	uint32_t timeout_ms; /* how long it may take; 0: as long as it likes */
	enum on_halt on_halt;
	enum on_device_failure on_device_failure;
	uint32_t device_failure_limit; /* deaths of one device in a row without progress; 0: any number */
	uint8_t devices[KIND_COUNT]; /* how many of each kind (proto/devices.def) */
	struct backend_list backends;
	struct external external[DEVICES_MAX]; /* by number (proto/kind.h) */
	enum sandbox_mode sandbox;
	int64_t group; /* whose members may use the sockets beside the owner; -1: nobody's */
	int escape; /* control character of the console client */
	bool detach, no_console, no_reboot, no_fallback, verbose, quiet, demo, help, json;
	const char *from; /* the machine that goes on as this one, whose other options are the same; NULL: none */
	int taken_fd; /* keeper: the first of the descriptors of enum frame_take_fd, the others follow; -1 */
	int ready_fd; /* keeper: where the command line wants to be told; -1 */
	bool keep_on_parent_exit;
};

void config_init(struct vm_config *config);

/* After parsing: what follows from other options where nobody has said it. */
void config_settle(struct vm_config *config);

/* What parsing alone cannot see: required options, combinations, files that cannot be read, the host's memory. */
int config_check(const struct vm_config *config, char error[CONFIG_ERROR_MAX]);

/* The firmware that the machine starts with: what was asked for, or what a disk without a kernel wants; NULL: none. */
const char *config_firmware(const struct vm_config *config);

/* What the machine starts with, as it was given: the file of a kernel, or --firmware; "demo" for the one that is no file. */
const char *config_image(const struct vm_config *config);

/* Is there a command for a Linux guest? */
bool config_has_exec(const struct vm_config *config);

/* The port that --gdb names; 0: it names a path; -1: it is neither. */
int gdb_port(const char *gdb);

/* The processor model as text: what was asked for, or the engine's default. */
const char *config_cpu(const struct vm_config *config);
bool config_wants_cpu_help(const struct vm_config *config);

#endif
