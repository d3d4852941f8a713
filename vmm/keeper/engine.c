/* SPDX-License-Identifier: MIT */
/* --engine: which one it will be, and /dev/kvm if that is it. */
#include "keeper.h"

#include "../common/exit_codes.h"
#include "../common/kvm_probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void decide(struct keeper *k, const char *engine, const char *reason)
{
	k->config.engine = engine;
	snprintf(k->launch.engine_reason, sizeof(k->launch.engine_reason), "%s", reason);
}

/* Is something wanted that only the emulator has? */
static const char *emulator_only(const struct vm_config *c)
{
	return c->trace			 ? "--trace is of the emulator"
	       : c->profile		 ? "--profile is of the emulator"
	       : c->code_cache_bytes	 ? "--code-cache is of the emulator"
	       : strcmp(c->tier, "auto") ? "--tier is of the emulator"
					 : NULL;
}

static void keep_defects(struct keeper *k, const struct kvm_defects *d)
{
	k->launch.tsc_is_hosts = d->tsc_is_hosts;
	k->launch.kvm_breaks_syscall = d->breaks_syscall;
	k->launch.kvm_half_syscall = d->half_syscall;
}

/* KVM where it is the processor itself, our emulator where it is faster than what calls itself KVM: by measurement. */
static void choose(struct keeper *k)
{
	const char *emulator = emulator_only(&k->config);
	char reason[KVM_PROBE_TEXT];
	struct kvm_probe probe;
	int fd;

	if (emulator) {
		decide(k, "emu", emulator);
		return;
	}
	fd = kvm_open();
	kvm_probe(fd, &probe);
	kvm_probe_text(&probe, reason);
	decide(k, probe.kind == KVM_HARDWARE ? "kvm" : "emu", reason);
	k->launch.engine_kvm = probe.kind == KVM_HARDWARE;
	k->launch.tsc_khz = probe.tsc_khz;
	keep_defects(k, &probe.defects);
	/* Kept for `bulkhead engine`, whatever it begins with. */
	if (probe.kind == KVM_HARDWARE || probe.kind == KVM_INTERPRETS)
		k->launch.kvm_fd = fd;
	else if (fd >= 0)
		close(fd);
}

int keeper_open_engine(struct keeper *k)
{
	char error[CONFIG_ERROR_MAX];

	if (!strcmp(k->config.engine, "auto")) {
		choose(k);
		if (!config_check(&k->config, error))
			return 0;
		return keeper_fail(k, EXIT_USAGE, "%s (engine %s: %s)", error, k->config.engine, k->launch.engine_reason);
	}
	decide(k, k->config.engine, "asked for");
	if (strcmp(k->config.engine, "kvm"))
		return 0;
	k->launch.engine_kvm = true;
	k->launch.kvm_fd = kvm_open();
	if (k->launch.kvm_fd >= 0) {
		kvm_probe(k->launch.kvm_fd, &k->kvm);
		keep_defects(k, &k->kvm.defects);
		return 0;
	}
	return keeper_fail(k, EXIT_USAGE, "--engine kvm: /dev/kvm: %s; %s", strerror(-k->launch.kvm_fd),
			   k->launch.kvm_fd == -EACCES ? "join the group that owns it, or use --engine emu" : "use --engine emu");
}

void keeper_warn_of_engine(struct keeper *k)
{
	for (unsigned n = 0; n < KVM_COMPLAINTS; n++) {
		const struct kvm_complaint c = kvm_complaint(&k->kvm, n);

		if (c.what)
			keeper_warn(k, "%s; %s", c.what, c.advice);
	}
}
