/* SPDX-License-Identifier: MIT */
/* bulkhead-timerd: 8254, RTC, ACPI PM timer, HPET. All it does is in the model; time and lines are the runtime's. */
#include "daemons.h"

const struct daemon_shell timerd_shell = {
	.program = "bulkhead-timerd",
	.summary = "timers and clock of a Bulkhead VM",
	.role = BULKHEAD__ROLE__ROLE_TIMERD,
	.sandbox = SANDBOX_TIMERD,
	.model = &timer_model,
};
