/* SPDX-License-Identifier: MIT */
/* Asking the host: host.h. */
#include "read.h"

#include <unistd.h>

void host_read(struct host_facts *f)
{
	*f = (struct host_facts){ .uid = geteuid() };
	host_read_processor(f);
	host_read_kvm(f);
	host_read_fence(f);
	host_read_resources(f);
}
