/* SPDX-License-Identifier: MIT */
/* bulkhead-timerd: 8254, RTC, ACPI PM timer, HPET. All it does is in the model; time and lines are the runtime's. */
#include "runtime.h"

int main(int argc, char **argv)
{
	static const struct daemon_shell shell = {
		.program = "bulkhead-timerd",
		.summary = "timers and clock of a Bulkhead VM",
		.role = BULKHEAD__ROLE__ROLE_TIMERD,
		.sandbox = SANDBOX_TIMERD,
		.model = &timer_model,
	};

	return runtime_main(&shell, argc, argv);
}
