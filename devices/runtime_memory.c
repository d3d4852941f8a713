/* SPDX-License-Identifier: MIT */
/* Guest memory of a daemon whose row says that it may hold it, and what it owes those who run code in there. */
#include <errno.h>

#include "proto/code_map.h"
#include "proto/control_check.h"
#include "proto/layout.h"
#include "proto/shm.h"
#include "runtime.h"

void *runtime_memory(const struct runtime *rt, uint64_t addr, uint64_t len)
{
	const struct model_config *c = &rt->config;

	if (!rt->ram || len > UINT64_MAX - addr)
		return NULL;
	if (addr + len <= c->ram_low)
		return rt->ram + addr;
	if (addr < LAYOUT_RAM_HIGH_BASE || addr + len > LAYOUT_RAM_HIGH_BASE + c->ram_high)
		return NULL;
	return rt->ram + c->ram_low + c->rom + (addr - LAYOUT_RAM_HIGH_BASE);
}

/* The map says nothing before the first vcpu process has filled it, which is before anything is decoded. One that makes no
 * sense is taken to say that there is code everywhere. */
void runtime_memory_written(struct runtime *rt, uint64_t addr, uint64_t len)
{
	struct code_map_view view;
	int err;

	if (!rt->code_map || len == 0)
		return;
	err = code_map_attach(rt->code_map, rt->code_map_bytes, &view);
	if (err != -EAGAIN && (err || code_map_hit(&view, addr, len)))
		code_notice_give(&rt->ring.rsp->written, addr, len);
}

static int map_ram(struct runtime *rt, enum kind_memory memory, int fd, uint64_t bytes)
{
	void *ram = NULL;
	const void *read_only = NULL;
	int err = 0;

	switch (memory) {
	case KIND_MEMORY_NONE:
	case KIND_MEMORY_WINDOW:
		break;
	case KIND_MEMORY_READS:
		err = shm_map_ro(fd, bytes, &read_only);
		ram = (void *)(uintptr_t)read_only; /* who writes it nevertheless, dies of it */
		break;
	case KIND_MEMORY_WRITES:
		err = shm_map_rw(fd, bytes, &ram);
		break;
	}
	rt->ram = ram;
	return err;
}

int runtime_map_memory(struct runtime *rt, const Bulkhead__SetupDevice *m, const int *fds)
{
	int err = map_ram(rt, kind_rows[rt->shell->kind].memory, fds[0], m->machine->ram_bytes);
	const void *map = NULL;

	if (err || !control_has_code_map(m))
		return err;
	rt->code_map_bytes = code_map_bytes(display_memory_bytes(m->machine->ram_bytes, control_display(m->machine).kind) >>
						    CODE_MAP_PAGE_SHIFT,
					    m->machine->vcpus);
	err = shm_map_ro(fds[1], rt->code_map_bytes, &map);
	rt->code_map = map;
	return err;
}
