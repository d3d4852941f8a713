/* SPDX-License-Identifier: MIT */
/* One child process: birth, requests and replies, events, log lines, death. */
#ifndef BULKHEAD_VMM_PROC_H
#define BULKHEAD_VMM_PROC_H

#include "../../proto/control.pb-c.h"
#include "../../proto/sandbox.h"

#include <stdbool.h>
#include <stdint.h>

struct proc;
struct spawn_answer;
struct vm;

void proc_init(struct vm *vm);
/* Asks for its process and sends HELLO. 0 or -errno. */
int proc_spawn(struct proc *p);
/* The same for one that is not ours, with a connection to it, which is then the callee's. */
int proc_adopt(struct proc *p, int fd);
/* The process is there, or will not be. */
void proc_spawned(struct vm *vm, const struct spawn_answer *answer, int pidfd);
/* Processor time that went into its latest start, in ns; counted if that is a restart. */
void proc_count_cost(struct proc *p, uint64_t ns);
/* How its program is fenced: one that somebody has put in a device's place is, whatever the machine's option says. */
enum sandbox_mode proc_sandbox(const struct proc *p);
int proc_request(struct proc *p, uint16_t type, const ProtobufCMessage *msg, const int *fds, unsigned nfds);
/* Has it not answered such a request yet? */
bool proc_owes(const struct proc *p, uint16_t type);
/* What it has sent and nobody has read yet, bounded. */
void proc_read_events(struct proc *p);
void proc_kill(struct proc *p);
/* Kills it for a reason; what follows is what follows a crash. */
void proc_blame(struct proc *p, const char *why);
/* May another line on its behalf be logged? A child gone mad must not use up what others may say. */
bool proc_may_log(struct proc *p);
const char *proc_name(const struct proc *p);
Bulkhead__Role proc_role(const struct proc *p);
/* Does this machine have it? The instances of a kind are those that its configuration asks for. */
bool proc_exists(const struct proc *p);

#endif
