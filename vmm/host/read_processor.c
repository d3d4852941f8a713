/* SPDX-License-Identifier: MIT */
/* Asking the processor, by CPUID and its model-specific registers: host.h. */
#include "read.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void read_name(uint32_t leaf, unsigned leaves, char *out)
{
	for (unsigned n = 0; n < leaves; n++) {
		uint32_t r[4] = { 0 };

		__cpuid(leaf + n, r[0], r[1], r[2], r[3]);
		memcpy(out + 16 * n, r, 16);
	}
	out[16 * leaves] = 0;
}

/* SDM vol. 2, CPUID, leaf 1: the extended parts count for families 6 and 15 alone. */
static void read_signature(struct host_facts *f)
{
	uint32_t eax, ebx, ecx = 0, edx, family;

	__cpuid(1, eax, ebx, ecx, edx);
	family = eax >> 8 & 15;
	f->family = family == 15 ? family + (eax >> 20 & 0xff) : family;
	f->model = (eax >> 4 & 15) | (family == 15 || family == 6 ? (eax >> 16 & 15) << 4 : 0);
	f->stepping = eax & 15;
	f->has_vmx = ecx >> 5 & 1;
	f->has_hypervisor = ecx >> 31;
}

/* The twelve letters of a vendor, as CPUID has them: of leaf 0 in EBX, EDX, ECX, of leaf 40000000h in EBX, ECX, EDX. */
static void read_vendors(struct host_facts *f)
{
	uint32_t eax, r[3];

	__cpuid(0, eax, r[0], r[2], r[1]);
	memcpy(f->vendor, r, 12);
	if (!f->has_hypervisor)
		return;
	__cpuid(0x40000000, eax, r[0], r[1], r[2]);
	memcpy(f->hypervisor, r, 12);
}

static void read_extended(struct host_facts *f)
{
	uint32_t max, eax, ebx, ecx = 0, edx;
	char brand[49];

	__cpuid(0x80000000, max, ebx, ecx, edx);
	if (max < 0x80000004 || max > 0x8000ffff)
		return;
	__cpuid(0x80000001, eax, ebx, ecx, edx);
	f->has_svm = ecx >> 2 & 1;
	read_name(0x80000002, 3, brand);
	snprintf(f->brand, sizeof(f->brand), "%s", brand + strspn(brand, " "));
	for (size_t n = strlen(f->brand); n && f->brand[n - 1] == ' '; n--)
		f->brand[n - 1] = 0;
}

static const uint32_t msr_numbers[HOST_MSRS] = {
	[HOST_MSR_FEATURE_CONTROL] = 0x3a,
	[HOST_MSR_CR0_FIXED0] = 0x486,
	[HOST_MSR_CR0_FIXED1] = 0x487,
	[HOST_MSR_CR4_FIXED0] = 0x488,
	[HOST_MSR_CR4_FIXED1] = 0x489,
	[HOST_MSR_PROCBASED_CTLS] = 0x482,
	[HOST_MSR_PROCBASED_CTLS2] = 0x48b,
	[HOST_MSR_VM_CR] = 0xc0010114,
};

/* The kernel's msr(4): the offset is the number, and EIO says that the processor raised #GP. */
static void read_msrs(struct host_facts *f)
{
	const int fd = open("/dev/cpu/0/msr", O_RDONLY | O_CLOEXEC), err = errno;

	for (unsigned i = 0; i < HOST_MSRS; i++) {
		f->msr[i].err = fd < 0 ? err : 0;
		if (fd >= 0 && pread(fd, &f->msr[i].value, 8, msr_numbers[i]) != 8)
			f->msr[i].err = EIO;
	}
	if (fd >= 0)
		close(fd);
}

void host_read_processor(struct host_facts *f)
{
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);

	f->processors = processors > 0 ? (unsigned)processors : 1;
	read_signature(f);
	read_vendors(f);
	read_extended(f);
	read_msrs(f);
}
