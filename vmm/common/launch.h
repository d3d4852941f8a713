/* SPDX-License-Identifier: MIT */
/*
 * What the keeper opens while it still can, and hands to the supervisor that it clones. After that the two speak over
 * one SEQPACKET socket pair in packets of struct keeper_note: both ends are the same program, and the keeper takes
 * nothing from it but a byte, a code and a text to print.
 */
#ifndef BULKHEAD_VMM_LAUNCH_H
#define BULKHEAD_VMM_LAUNCH_H

#include "config.h"
#include "report.h"

#include "../../proto/frame.h"
#include "../../proto/kind.h"

#include <stdint.h>

/* The programs of devices follow, one for each kind. */
enum program { PROGRAM_BOOT, PROGRAM_VCPU, PROGRAM_GDBD, PROGRAM_DEVICE };
enum { PROGRAMS = PROGRAM_DEVICE + KIND_COUNT };

/* User ids of a machine that root started: this base, plus 64 for each process id, plus the process's number. */
#define LAUNCH_UID_BASE 0x62680000u
enum { LAUNCH_UIDS = 64 };

/* TRACED_FD_END: nobody uses it, and the tracer ends when it is closed. */
enum trace_fd { TRACE_FD_RINGS, TRACE_FD_HEADS, TRACE_FD_BELL, TRACE_FD_END, TRACE_FD_COUNT };

enum isolation {
	ISOLATION_NONE,	 /* no namespaces at all */
	ISOLATION_ROOT,	 /* started by root, no user namespaces: the others, and another user id */
	ISOLATION_USER,	 /* ordinary user: everything in a user namespace that maps only them */
	ISOLATION_UIDS,	 /* root: a user namespace with a range of ids, one for each process */
};

struct launch {
	const struct vm_config *config;
	enum isolation isolation;
	struct sandbox_report missing;
	int program_fd[PROGRAMS];
	int kernel_fd, kvm_fd; /* the former may be firmware */
	uint64_t rom_bytes; /* of that; 0: it is a kernel */
	int vga_rom_fd;	    /* of a VGA that firmware shows its screen on: LAYOUT_SCREEN_ROM_BYTES, read-only; -1 */
	uint32_t screen_base; /* where that firmware puts the framebuffer; 0: there is none */
	uint64_t variables_bytes; /* of what firmware keeps; 0: nothing */
	int variables_fd;	  /* where; -1 */
	uint32_t boot_order[VIRTIO_DEVICES]; /* the disks that --boot-order names */
	unsigned boot_count;
	int initrd_fd[CONFIG_INITRDS + 1]; /* as many as the configuration names, then exec's; of a frame machine its program */
	bool has_exec;
	int taken_fd[FRAME_TAKE_FDS]; /* enum frame_take_fd: the machine goes on from there; -1: it starts with the kernel */
	int null_fd;
	int console_fd; /* listening */
	int serial_fd[SERIAL_PORTS]; /* --serial; -1: nothing */
	enum serial_kind serial_kind[SERIAL_PORTS];
	int backend_fd[VIRTIO_DEVICES]; /* what config's backends serve, open and locked, or an exporter's socket; -1 */
	struct {
		bool read_only;
		const char *serial;
		bool remote; /* another program has the image (proto/disk_offer.h), and has said these */
		uint64_t sectors, features;
	} disk[VIRTIO_DEVICES];
	struct {
		bool is_one, tap;
		uint64_t mac;
		uint16_t mtu;
	} net[VIRTIO_DEVICES];
	const char *share_tag[VIRTIO_DEVICES]; /* NULL: it is none */
	int serial_held_fd[SERIAL_PORTS]; /* the other end of a pseudo terminal, kept so that it does not hang up; -1 */
	int keeper_fd;	/* our end of the pair */
	int go_fd;	/* one byte comes when the user ids are mapped: the isolation that was reached */
	int dialler_fd; /* our end (dial.h); -1: nothing is to be connected to */
	int backlog_fd; /* BACKLOG, which the keeper reads too */
	struct report *report; /* shared with the keeper: what the record of the end is made of */
	int trace_fd[TRACE_FD_COUNT]; /* the vcpu process's ends of the tracer's channels; -1: nobody traces */
	char dir[128];
	char debugger[160]; /* where gdb connects to */
	bool engine_kvm; /* it begins with KVM; with the emulator, kvm_fd is there if it can go over to KVM */
	uint32_t tsc_khz; /* what the emulator's counter of time has to count, so that KVM can go on with it; 0: anything */
	bool tsc_is_hosts; /* it is to begin as the host's, since KVM shows no other */
	bool kvm_breaks_syscall, kvm_half_syscall; /* kvm_defects.h */
	char engine_reason[160]; /* why it is this engine: a sentence for users */
	uint64_t started_ns; /* CLOCK_MONOTONIC, when the command line began */
	bool trace, journal; /* journal: stderr is read by journald */
};

enum note_kind {
	NOTE_NONE,
	NOTE_RUNNING, /* to the keeper: the first guest instruction is about to run */
	NOTE_STATUS,  /* to the keeper: text for STATUS= */
	NOTE_ENDED,   /* to the keeper: code and text; the exit follows */
	NOTE_PING,    /* to the supervisor, which sends it back: does its loop go round? */
	NOTE_CLIENT,  /* to the supervisor: a control client, as descriptor; code: enum client_rights */
	NOTE_DEBUGGER, /* to the supervisor: a debugger's connection, as descriptor */
	NOTE_METRICS, /* to the supervisor: somebody who asks for metrics, as descriptor */
	NOTE_STOP,    /* to the supervisor: power button, then after the time-out the end */
	NOTE_KILL,    /* to the supervisor: end now */
	NOTE_CAPTURE, /* to the keeper: the capture of that number in struct report is to be written to its file */
	NOTE_MISSING, /* to the supervisor: what of the keeper's own fence this host refuses; to the keeper: what a user should
		       * know of the machine's */
};

/* Who asks? Only the keeper can tell: in the supervisor's user namespace nobody has their own id. */
enum client_rights {
	CLIENT_STRANGER, /* turned away */
	CLIENT_MEMBER,	 /* of --group: may use the machine, as it is */
	CLIENT_OWNER,	 /* or root: may put another program in a device's place, too */
};

struct keeper_note {
	uint8_t kind;
	uint8_t code;
	char text[206];
};

/* Runs in the cloned process, never returns. */
_Noreturn void supervisor_main(struct launch *launch);

/* 0 or -errno; `fd` -1: none. */
int note_send(int sock, const struct keeper_note *note, int fd);
/* 0, -EAGAIN, -ECONNRESET. The text is terminated and harmless (proto/text.h), *fd is -1 if there was none. */
int note_recv(int sock, struct keeper_note *note, int *fd);

#endif
