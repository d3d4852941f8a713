/* SPDX-License-Identifier: MIT */
/* Landlock, as far as the running kernel has it: sandbox.h. */
#include "sandbox.h"

#include <errno.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

/* All that an ABI can forbid; the headers that we are built with may be older than the kernel. */
struct ruleset {
	uint64_t fs, net, scoped;
};

enum { SCOPE_ABSTRACT_SOCKETS = 1, SCOPE_SIGNALS = 2 };

static size_t everything(long abi, struct ruleset *r)
{
	static const uint64_t fs[] = { 0, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff, 0xffff };

	*r = (struct ruleset){ .fs = fs[abi < 6 ? abi : 6],
			       .net = abi >= 4 ? 3 : 0,
			       .scoped = abi >= 6 ? SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS : 0 };
	return abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
}

static int add_place(int ruleset, const struct sandbox_place *place, uint64_t known)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = place->rights & known, .parent_fd = place->fd };

	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

int sandbox_landlock(const struct sandbox_place *places, unsigned n, bool has_children)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset attr;
	size_t size;
	int fd, rc = 0;

	if (abi < 1)
		return abi < 0 ? -errno : -EOPNOTSUPP;
	size = everything(abi, &attr);
	/* The signal that a child gets at its parent's death (PR_SET_PDEATHSIG) is one of the parent's, and would be kept back. */
	if (has_children)
		attr.scoped &= ~(uint64_t)SCOPE_SIGNALS;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (fd < 0)
		return -errno;
	for (unsigned i = 0; !rc && i < n; i++)
		rc = add_place(fd, &places[i], attr.fs);
	if (!rc && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		rc = -errno;
	close(fd);
	return rc;
}
