/* SPDX-License-Identifier: MIT */
/* A processor's registers as text: dump.h. */
#include "dump.h"

#include <stdio.h>

/* snprintf at an offset that never passes the end. */
#define append(text, len, at, ...)                                                                                     \
	do {                                                                                                           \
		int n_ = (at) < (len) ? snprintf((text) + (at), (len) - (at), __VA_ARGS__) : 0;                        \
		(at) += n_ > 0 ? (size_t)n_ : 0;                                                                       \
	} while (0)

void entry_dump(const struct cpu *c, char *text, size_t len)
{
	static const char *const gpr[GPR_COUNT] = { "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
						    "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15" };
	static const char *const seg[SEG_COUNT] = { "ES", "CS", "SS", "DS", "FS", "GS" };
	size_t at = 0;

	append(text, len, at, "RIP=%016llx RFLAGS=%08llx CPL=%u\n", (unsigned long long)c->rip, (unsigned long long)c->rflags,
	       cpu_cpl(c));
	for (unsigned i = 0; i < GPR_COUNT; i++)
		append(text, len, at, "%-3s=%016llx%c", gpr[i], (unsigned long long)c->gpr[i], i % 4 == 3 ? '\n' : ' ');
	append(text, len, at, "CR0=%08llx CR2=%016llx CR3=%016llx CR4=%08llx EFER=%04llx\n", (unsigned long long)c->cr0,
	       (unsigned long long)c->cr2, (unsigned long long)c->cr3, (unsigned long long)c->cr4,
	       (unsigned long long)c->msr.efer);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		append(text, len, at, "%s=%04x base=%016llx limit=%08x attr=%05x\n", seg[i], c->seg[i].selector,
		       (unsigned long long)c->seg[i].base, c->seg[i].limit, c->seg[i].attr);
	append(text, len, at, "TR=%04x base=%016llx GDT=%016llx+%04x IDT=%016llx+%04x", c->tr.selector,
	       (unsigned long long)c->tr.base, (unsigned long long)c->gdtr.base, c->gdtr.limit, (unsigned long long)c->idtr.base,
	       c->idtr.limit);
}
