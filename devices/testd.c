/* SPDX-License-Identifier: MIT */
/* bulkhead-testd: the test device. The model cannot reach guest memory; what it wants of it is done here. */
#include "daemons.h"
#include "testdev_model.h"

/* An aligned quadword, in one access; what is not there reads as all-ones. */
static uint64_t *quadword(struct runtime *rt, uint64_t address)
{
	return address % 8 ? NULL : runtime_memory(rt, address, 8);
}

/* Before the commit: whoever takes over does it again, to the same effect. */
static void applied(struct runtime *rt, uint64_t now_ns)
{
	uint64_t address, data, *at;

	(void)now_ns;
	switch (testdev_model_take_wish(rt->state, &address, &data)) {
	case TESTDEV_NOTHING:
		break;
	case TESTDEV_LOAD:
		at = quadword(rt, address);
		testdev_model_load(rt->state, at ? __atomic_load_n(at, __ATOMIC_RELAXED) : UINT64_MAX);
		break;
	case TESTDEV_STORE:
		at = quadword(rt, address);
		if (at) {
			__atomic_store_n(at, data, __ATOMIC_RELAXED);
			runtime_memory_written(rt, address, 8);
		}
		break;
	}
}

const struct daemon_shell testd_shell = {
	.shell_version = TESTD_SHELL_VERSION,
	.kind = KIND_TESTD,
	.model = &testdev_model,
	.applied = applied,
};
