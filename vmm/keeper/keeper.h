/* SPDX-License-Identifier: MIT */
/*
 * The keeper's parts, one file each:
 *
 *   keeper.c  the first stage of a machine: waits, tidies up, passes the exit code on
 *   open.c    opens everything that has a name on this host; listen.c what listens there; exec.c makes what --exec needs;
 *             engine.c chooses the engine
 *   clone.c   clones the supervisor into namespaces where nothing has one
 *   fence.c   what is left to the keeper after that
 *   record.c  what is left of the machine: the record of its end
 *   logger.c  a process that writes what keeper and supervisor have to say
 *   tracer.c  starts the one that writes traces (vmm/trace)
 *   vnc.c     starts the one that serves viewers of VNC (vmm/vnc)
 *   dialler.c one that connects to the sockets of --device
 *   exporter.c, exporter_program.c, exporter_vhost.c  one for each disk or folder that another program serves
 */
#ifndef BULKHEAD_VMM_KEEPER_H
#define BULKHEAD_VMM_KEEPER_H

#include "../common/kvm_probe.h"
#include "../common/launch.h"
#include "../common/rundir.h"

#include <stdbool.h>
#include <sys/types.h>

struct backlog;
struct disk_spec;
struct share_spec;

struct keeper {
	struct vm_config config;
	struct launch launch;
	struct rundir rundir;
	struct kvm_probe kvm; /* where engine kvm was asked for */
	bool has_name; /* somebody has named it */
	int control_fd; /* listening */
	int gdb_fd;	/* listening */
	int traced_fd;	/* pidfd; -1: none */
	int activated_fd; /* the console, listening already: systemd's (LISTEN_FDS); -1 */
	int metrics_fd; /* listening; -1: nobody wants any */
	int note_fd;	/* our end of the pair */
	int signal_fd;	/* read end of the pipe that signal handlers write to */
	int signal_wr;
	int ready_fd;
	int notify_fd; /* systemd; -1: none */
	uint64_t ping_ns, next_ping_ns; /* how often systemd wants to hear of us, 0: never; and when the supervisor is asked */
	int pidfd;
	int logger_fd; /* pidfd */
	int record_fd, result_fd; /* record.h; -1: none */
	int capture_fd[REPORT_CAPTURES]; /* the same */
	pid_t pid; /* our own */
	uint64_t started_ns, started_realtime_ns, ended_realtime_ns, uptime_ns;
	const struct backlog *backlog; /* what the guest has printed */
	struct log_tail log; /* what we have said ourselves */
	int go_wr;
	uid_t owner;
	unsigned stops;
	bool ended;
	char last_words[256];
};

/* One packet to the command line: a letter, a code, a text. One that is gone does not matter. */
void keeper_tell(struct keeper *k, char what, int code, const char *text);
/* Why nothing came of it, to the command line or to stderr. Returns the exit code that it was given. */
int keeper_fail(struct keeper *k, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* To the command line, or to stderr: what the user should know, though it goes on. */
void keeper_warn(struct keeper *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Programs, images, /dev/kvm, name, sockets, log: 0, or an exit code; what went wrong has been said. */
int keeper_open(struct keeper *k);

/* Which engine it will be, and why; /dev/kvm: 0, or an exit code; what went wrong has been said. */
int keeper_open_engine(struct keeper *k);
/* Who asks for KVM gets it. What a guest will stumble over there is said once, and what to do about it. */
void keeper_warn_of_engine(struct keeper *k);

/* --exec's archive, as one initrd more: 0, or an exit code; what went wrong has been said. */
int keeper_open_exec(struct keeper *k);

/*
 * Is there a socket that systemd hands to us as the console (sd_listen_fds(3))? -1: no. To be asked once, before any other
 * descriptor is opened.
 */
int keeper_activated(void);
/* That socket gets its name in the machine's directory as well. 0 or -errno */
int keeper_adopt_console(struct keeper *k);

/* A listening socket of that name in the machine's directory, or -errno. */
int keeper_listen(struct keeper *k, const char *name, int type);
/* Where the user wants it: a listening socket, or -errno. */
int keeper_listen_on_path(const char *path, int backlog);
/* The same over TCP, at an address of this host's own. */
int keeper_listen_on_loopback(uint32_t address, int port);
/* The caller's descriptor that the n-th virtio device is to take, tap-fd; -1: none. */
int keeper_backend_inherits(const struct keeper *k, unsigned n);
/* They are this machine's, each one device's, and no program's that we start. Before anything else is opened: 0, or an exit code. */
int keeper_keep_inherited(struct keeper *k);
/* What is behind virtio devices, --disk: 0, or an exit code; what went wrong has been said. */
int keeper_open_backends(struct keeper *k);
/* Those that want to know the machine's name. */
int keeper_open_named_backends(struct keeper *k);
/* Starts the programs that serve disks which we do not open: 0, or an exit code; what went wrong has been said. */
int exporters_start(struct keeper *k);
/* For back-end n: of a disk or of a folder, the other is NULL. 0, or an exit code; it has been said why. */
int exporter_start(struct keeper *k, unsigned n, const struct disk_spec *disk, const struct share_spec *share);
/* What --serial asks for: 0, or an exit code; what went wrong has been said. */
int keeper_open_serial(struct keeper *k);
/* Where debuggers come: there, or where --gdb says. 0, or an exit code; what went wrong has been said. */
int keeper_open_gdb(struct keeper *k);

/* The same for who asks for metrics. */
int keeper_open_metrics(struct keeper *k);

/* Starts the supervisor; 0, or an exit code. */
int keeper_clone(struct keeper *k);

/*
 * From here on standard error, ours and the supervisor's, leads to the logger (say.h): 0, or an exit code. Finishing waits
 * until all is written, but not for ever; the supervisor must be gone.
 */
int logger_start(struct keeper *k);
void logger_finish(struct keeper *k);

/*
 * Starts the tracer, if one is wanted: 0, or an exit code; what went wrong has been said. Finishing waits until all is written,
 * but not for ever.
 */
int tracer_start(struct keeper *k);
void tracer_finish(struct keeper *k);

/* Starts the VNC server, if one is wanted: 0, or an exit code; what went wrong has been said. It ends when we do. */
int vnc_start(struct keeper *k);

/* Starts the dialler, if the machine needs one: 0, or an exit code. It ends when the supervisor does. */
int dialler_start(struct keeper *k);

/*
 * Moves the descriptors that are still needed to where the filter expects them, and closes all others. Signal handlers
 * must not run meanwhile. 0 or -errno.
 */
int keeper_settle(struct keeper *k);

/* From here on: wait, let clients in, remove what is in the machine's directory. 0 or -errno; what this host refuses is
 * told to the supervisor, which tells everybody. */
int keeper_fence(struct keeper *k);

#endif
