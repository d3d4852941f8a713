/* SPDX-License-Identifier: MIT */
/* The floor of an exit: a scratch machine in this process that writes to a port and is let go on at once. Prints nanoseconds, the
 * least and the median of many looks. */
#include "vmm/common/kvm_probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKS = 51 };

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int main(void)
{
	const int fd = kvm_open();
	uint64_t ns[LOOKS];
	struct kvm_probe p;

	for (unsigned n = 0; n < LOOKS; n++) {
		kvm_probe(fd, &p);
		if (p.kind == KVM_ABSENT || p.kind == KVM_UNFIT) {
			fprintf(stderr, "exit_bench: no KVM: %s\n", p.error ? strerror(p.error) : p.lacks);
			return 1;
		}
		ns[n] = p.ns_per_exit;
	}
	qsort(ns, LOOKS, sizeof(ns[0]), compare);
	printf("floor %llu %llu\n", (unsigned long long)ns[0], (unsigned long long)ns[LOOKS / 2]);
	return 0;
}
