/* SPDX-License-Identifier: MIT */
/* bulkhead-timerd: 8254, RTC, ACPI PM timer, HPET. All it does is in the model; time and lines are the runtime's. */
#include "daemons.h"

const struct daemon_shell timerd_shell = {
	.shell_version = TIMERD_SHELL_VERSION,
	.kind = KIND_TIMERD,
	.model = &timer_model,
};
