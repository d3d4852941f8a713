/* SPDX-License-Identifier: MIT */
/*
 * Every field of control.proto is optional; what a message must carry, and in which range, is checked here by hand, one
 * function per message. 0, or -EINVAL with the offending field in *field and a sentence in *why.
 */
#ifndef BULKHEAD_PROTO_CONTROL_CHECK_H
#define BULKHEAD_PROTO_CONTROL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control.pb-c.h"
#include "display.h"
#include "kind.h"
#include "topology.h"

enum { CONTROL_MAJOR = 1, CONTROL_MINOR = 0 };

struct control_complaint {
	const char *field, *why;
};

int control_check_hello(const Bulkhead__Hello *m, Bulkhead__Role expected, struct control_complaint *c);
int control_check_machine(const Bulkhead__MachineConfig *m, struct control_complaint *c);
/* `nfds`: descriptors that came with it; the expected number follows from role and sources. */
int control_check_setup_device(const Bulkhead__SetupDevice *m, Bulkhead__Role role, unsigned nfds,
			       struct control_complaint *c);
/* How its processors are arranged, of a checked one. */
/* Its display, DISPLAY_NONE if it says nothing of one. */
struct display_spec control_display(const Bulkhead__MachineConfig *m);
/* Does it have an expansion ROM, whose object goes to the vcpu process? */
bool control_has_vga_rom(const Bulkhead__MachineConfig *m);
/* Where the framebuffer is memory to processors, wherever its BAR leads. */
uint64_t control_screen_base(const Bulkhead__MachineConfig *m);
struct cpu_topology control_topology(const Bulkhead__MachineConfig *m);
int control_check_setup_vcpu(const Bulkhead__SetupVcpu *m, unsigned nfds, struct control_complaint *c);
enum { CONTROL_INITRDS_MAX = 16, CONTROL_FEATURES_MAX = 192, CONTROL_LINUX_WORDS_MAX = 8, CONTROL_LINUX_WORD_MAX = 63 };
/* How many initrds come with it, each a descriptor behind those of memory and kernel. */
unsigned control_initrds(const Bulkhead__SetupBoot *m);
int control_check_setup_boot(const Bulkhead__SetupBoot *m, unsigned nfds, struct control_complaint *c);
int control_check_entry(const Bulkhead__EntryState *m, struct control_complaint *c);
int control_check_event(const Bulkhead__Event *m, struct control_complaint *c);
int control_check_set_log(const Bulkhead__SetLog *m, struct control_complaint *c);

/* How many descriptors SETUP_DEVICE carries for this role, but for the code map: see control.proto. 0: not a device. */
unsigned control_device_fds(Bulkhead__Role role, unsigned sources);
/* Does the last descriptor hold the code map? */
bool control_has_code_map(const Bulkhead__SetupDevice *m);

int control_check_route_add(const Bulkhead__RouteAdd *m, struct control_complaint *c);

/* "seriald", "vcpu", ...; NULL if unknown. */
const char *control_role_name(Bulkhead__Role role);
/* The same, with a number if there may be several; "?" if unknown. */
void control_process_name(Bulkhead__Role role, unsigned instance, char out[KIND_NAME_MAX]);

#endif
