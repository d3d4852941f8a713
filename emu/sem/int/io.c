/* SPDX-License-Identifier: MIT */
/* Semantics: IN and OUT. Each ends the block: what a port write raises is seen at the next boundary. */
#include "operand.h"
#include "emu/core/machine.h"
#include "emu/sem/sys/sys.h"

static unsigned io_size(const struct insn *i, unsigned n)
{
	unsigned size = operand_bytes(i, n);

	return size > 4 ? 4 : size; /* REX.W does not widen a port */
}

int sem_int_in(struct emu *e, const struct insn *i)
{
	const struct engine_bus *bus = &e->machine->bus;
	unsigned size = io_size(i, 0);
	uint64_t port, v = UINT64_MAX;

	operand_read(e, i, 1, &port);
	if (sys_check_port(e, (uint16_t)port, size))
		return EMU_STOP;
	if (bus->read)
		v = bus->read(bus->ctx, e->cpu.vcpu, IO_PORT, port, size);
	reg_write(e, RAX, size, truncate_to(v, size));
	emu_attention(e);
	return 0;
}

int sem_int_out(struct emu *e, const struct insn *i)
{
	const struct engine_bus *bus = &e->machine->bus;
	unsigned size = io_size(i, 1);
	uint64_t port;

	operand_read(e, i, 0, &port);
	if (sys_check_port(e, (uint16_t)port, size))
		return EMU_STOP;
	if (bus->write)
		bus->write(bus->ctx, e->cpu.vcpu, IO_PORT, port, truncate_to(e->cpu.gpr[RAX], size), size);
	emu_attention(e);
	return 0;
}
