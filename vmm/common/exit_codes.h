/* SPDX-License-Identifier: MIT */
/*
 * Exit codes of `bulkhead run` and `bulkhead wait`, stable and documented in bulkhead(1). What the guest writes to an
 * exit port is passed on as it is, so a guest may choose any of them.
 */
#ifndef BULKHEAD_VMM_EXIT_CODES_H
#define BULKHEAD_VMM_EXIT_CODES_H

enum exit_code {
	EXIT_OK = 0,		/* the guest powered off, halted for good, or was stopped */
	EXIT_INTERNAL = 1,	/* our fault */
	EXIT_USAGE = 2,		/* command line, configuration, or an image that cannot be loaded */
	EXIT_GUEST_RESET = 32,	/* the guest asked for a reset, and --no-reboot was given */
	EXIT_VMM = 33,		/* a process of the machine failed, or was killed */
	EXIT_TRIPLE_FAULT = 34, /* the guest's processor shut down */
	EXIT_QUARANTINE = 37,	/* a device was given up: the policy was to stop then, or the guest ended well without it */
	EXIT_SANDBOX = 38,	/* a process made a system call that is not on its list */
	EXIT_OUTPUT = 40,	/* the guest ended well, but not all of its output was delivered */
};

#endif
