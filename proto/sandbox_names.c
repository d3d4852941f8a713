/* SPDX-License-Identifier: MIT */
/* Names of roles and modes. */
#include "sandbox.h"

#include <errno.h>
#include <string.h>

static const char *const role_names[SANDBOX_ROLES] = {
	"keeper", "logger", "dialler", "traced", "supervisor", "spawner", "boot", "vcpu (emu)", "vcpu (kvm)", "gdbd", "vnc",
#define DEVICE(NAME, name, ...) #name,
#include "devices.def"
};

const char *sandbox_role_name(enum sandbox_role role)
{
	return (unsigned)role < SANDBOX_ROLES ? role_names[role] : "?";
}

static const char *const mode_names[] = { "on", "log", "off" };

int sandbox_mode_parse(const char *name, enum sandbox_mode *out)
{
	for (unsigned i = 0; i < sizeof(mode_names) / sizeof(mode_names[0]); i++) {
		if (!strcmp(name, mode_names[i])) {
			*out = (enum sandbox_mode)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *sandbox_mode_name(enum sandbox_mode mode)
{
	return (unsigned)mode <= SANDBOX_OFF ? mode_names[mode] : "?";
}
