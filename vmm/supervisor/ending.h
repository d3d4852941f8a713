/* SPDX-License-Identifier: MIT */
/* The end of a machine: what the guest still has to say, the drain, stop, the exit code. */
#ifndef BULKHEAD_VMM_ENDING_H
#define BULKHEAD_VMM_ENDING_H

#include "vm.h" /* enum question */

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

/* A timer of the machine's, made when it is first set; without memory for it, its time has come. */
void machine_timer(struct vm *vm, struct event **timer, uint32_t ms, event_callback_fn callback);
/* timeout_ms 0: at once, without asking the guest. */
void machine_stop(struct vm *vm, uint32_t timeout_ms);
/* From here on the time of --timeout runs. */
void machine_limit_time(struct vm *vm);
/* Presses the power button if the machine is being stopped and platformd is there. */
void machine_press_button(struct vm *vm);
/* Ends it, when everything is delivered. */
void machine_end(struct vm *vm, uint32_t code, const char *reason, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same, unless platformd has heard otherwise from the guest. */
void machine_conclude(struct vm *vm, uint32_t code, const char *reason, const char *text);
/* An end that has been asked for comes within a second, whatever is left undone. */
void machine_hurry(struct vm *vm);
/* Ends the guest's processes, then asks platformd. */
void machine_ask(struct vm *vm, enum question question);
/* Its answer. */
void machine_fenced(struct proc *p);
/* A device is ready, or given up. */
void machine_device_settled(struct proc *p);
/* A process has ended; `well`: with code 0. False: it is somebody else's business. */
bool machine_process_ended(struct proc *p, bool well);
/* Is this device to be started again if it dies? */
bool machine_wants(const struct proc *p);

#endif
