/* SPDX-License-Identifier: MIT */
/*
 * Exit codes of `bulkhead run` and `bulkhead wait`, stable and documented in bulkhead(1): 2 and 30 to 41 are ours, all
 * others the guest's. Who looks at the code knows who has chosen it.
 */
#ifndef BULKHEAD_VMM_EXIT_CODES_H
#define BULKHEAD_VMM_EXIT_CODES_H

#include <stdbool.h>
#include <stdint.h>

enum exit_code {
	EXIT_OK = 0,		/* the guest powered off, halted for good, or was stopped */
	EXIT_FAILED = 1,	/* only of commands that bring no guest's code: the machine refused */
	EXIT_USAGE = 2,		/* command line, configuration, or an image that cannot be loaded */
	EXIT_NOT_FOUND = 30,	/* no machine of that name runs, and none has left a record */
	EXIT_NO_ANSWER = 31,	/* it runs, and does not answer */
	EXIT_GUEST_RESET = 32,	/* the guest asked for a reset, and --no-reboot was given */
	EXIT_VMM = 33,		/* a process of the machine failed, or was killed */
	EXIT_TRIPLE_FAULT = 34, /* the guest's processor shut down */
	EXIT_PANIC = 35,	/* the guest's kernel said so through the pvpanic port */
	EXIT_TIMEOUT = 36,	/* it took longer than --timeout */
	EXIT_QUARANTINE = 37,	/* a device was given up: the policy was to stop then, or the guest ended well without it */
	EXIT_SANDBOX = 38,	/* a process made a system call that is not on its list */
	EXIT_GUEST_CODE = 39,	/* the guest chose a code that is one of ours: the record and the last line tell it */
	EXIT_OUTPUT = 40,	/* the guest ended well, but not all of its output, or its record, was delivered */
	EXIT_INTERNAL = 41,	/* our fault, or the host refused something */
};

/* What stands for a code that the guest chose, 0 to 255. */
static inline uint8_t exit_code_of_guest(uint8_t code)
{
	bool is_ours = code == EXIT_USAGE || (code >= EXIT_NOT_FOUND && code <= EXIT_INTERNAL);

	return is_ours ? EXIT_GUEST_CODE : code;
}

#endif
