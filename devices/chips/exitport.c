/* SPDX-License-Identifier: MIT */
/* Exit ports: stateless. */
#include "exitport.h"

const struct reg_desc exitport_regs[3] = {
	{.name = "EXIT", .offset = 0, .size = 1, .writable = true, .post = REG_LAST},
	{.name = "EXIT word", .offset = 0, .size = 2, .writable = true, .post = REG_LAST},
	{.name = "EXIT dword", .offset = 0, .size = 4, .writable = true, .post = REG_LAST},
};

const struct reg_desc exitport_plain_reg = {
	.name = "EXIT_PLAIN",
	.offset = 0,
	.size = 1,
	.writable = true,
	.post = REG_LAST,
};

const struct reg_desc ready_reg = {
	.name = "READY",
	.offset = 0,
	.size = 1,
	.writable = true,
	.post = REG_SYNC,
};

/* Odd, so never a success: test suites tell 1 ("passed", value 0) from a machine that powered off. What a
 * process can report is 8 bits wide. */
uint8_t exitport_code(uint64_t value)
{
	return (uint8_t)(value << 1 | 1);
}

uint8_t exitport_plain_code(uint64_t value)
{
	return (uint8_t)value;
}
