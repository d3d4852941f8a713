/* SPDX-License-Identifier: MIT */
/* Clients of the control socket. */
#ifndef BULKHEAD_VMM_CONTROL_H
#define BULKHEAD_VMM_CONTROL_H

#include "../common/launch.h"

#include "../../proto/frame.h"

struct client;
struct proc;
struct vm;

void control_init(struct vm *vm);
void control_add(struct vm *vm, int fd, enum client_rights rights);
/* Somebody who asks for metrics over HTTP. */
void control_add_scraper(struct vm *vm, int fd);
/* There is something new (news.h). */
void control_news(struct vm *vm);
/* It has what it asked for: descriptors of enum frame_take_fd. */
/* For whoever asked for the other engine. */
void control_engine_changed(struct vm *vm, const char *error);
void control_answer_take(struct vm *vm, uint32_t id, const int fds[FRAME_TAKE_FDS]);
void control_refuse(struct client *c, uint32_t id, int code, const char *text);
/* Answers everyone who waits for the end. */
void control_ended(struct vm *vm);
/* A device has a new incarnation that serves (error NULL), or will not get one. */
void control_device_changed(struct vm *vm, struct proc *p, const char *error);
/* A STATS reply came, or a process is gone. */
void control_stats_changed(struct vm *vm);

#endif
