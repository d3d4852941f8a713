/* SPDX-License-Identifier: MIT */
/* What went wrong, in a sentence: see kvm.h. */
#include "kvm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int kvm_fail(struct kvm_engine *k, const char *what)
{
	int err = errno;

	snprintf(k->error, sizeof(k->error), "%s: %s", what, strerror(err));
	return -err;
}
