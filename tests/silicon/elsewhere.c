/* SPDX-License-Identifier: MIT */
/* Rows that this processor is not asked about: each with its reason, and the test that has it instead. */
#include "elsewhere.h"

#include "emu/isa/isa.h"

#include <stddef.h>

static const struct {
	uint16_t row;
	const char *why;
} elsewhere[] = {
	{ ISA_SYSCALL, "would be a system call of the host: sys_event_test" },
	{ ISA_SYSENTER, "would be a system call of the host: sys_event_test" },
	{ ISA_INT_Ib, "80h is a system call of the host, the rest is up to its IDT: sys_event_test" },
	{ ISA_INT3, "up to the host's IDT: sys_event_test" },
	{ ISA_INTO, "up to the host's IDT: sys_event_test" },
	{ ISA_INT1, "up to the host's IDT: sys_event_test" },
	{ ISA_RDTSC, "time: sys_model_test" },
	{ ISA_RDTSCP, "time: sys_model_test" },
	{ ISA_RDPMC, "up to the host's CR4.PCE: sys_model_test" },
	{ ISA_CPUID, "another model: sys_model_test" },
	{ ISA_RDRAND, "random: sys_model_test" },
	{ ISA_RDSEED, "random: sys_model_test" },
	{ ISA_RDPID, "the host's CPU number: sys_model_test" },
	{ ISA_XGETBV, "the host's XCR0: sys_control_test" },
	{ ISA_SGDT, "UMIP, or the host's tables: sys_segment_test" },
	{ ISA_SIDT, "UMIP, or the host's tables: sys_segment_test" },
	{ ISA_SLDT, "UMIP, or the host's tables: sys_segment_test" },
	{ ISA_STR, "UMIP, or the host's tables: sys_segment_test" },
	{ ISA_SMSW, "UMIP, or the host's CR0: sys_control_test" },
	{ ISA_RDPKRU, "CR4.PKE is up to the host: sys_control_test" },
	{ ISA_E_VRCPPH, "within the bound of the SDM, not the processor's bits: avx512fp16_test" },
	{ ISA_E_VRCPSH, "within the bound of the SDM, not the processor's bits: avx512fp16_test" },
	{ ISA_E_VRSQRTPH, "within the bound of the SDM, not the processor's bits: avx512fp16_test" },
	{ ISA_E_VRSQRTSH, "within the bound of the SDM, not the processor's bits: avx512fp16_test" },
	{ ISA_WRPKRU, "CR4.PKE is up to the host: sys_control_test" },
};

const char *not_run(unsigned row)
{
	for (unsigned n = 0; n < sizeof(elsewhere) / sizeof(elsewhere[0]); n++) {
		if (elsewhere[n].row == row)
			return elsewhere[n].why;
	}
	return NULL;
}
