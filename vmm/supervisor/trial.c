/* SPDX-License-Identifier: MIT */
/* What a program on trial may have to give back: trial.h. */
#include "trial.h"
#include "proc.h"
#include "tell.h"
#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static uint32_t head(const struct proc *p)
{
	return atomic_load_explicit(&p->recovery.rsp->head, memory_order_acquire);
}

void trial_keep(struct proc *p)
{
	struct recovery *r = &p->recovery;
	const char *why;
	int64_t bytes;

	trial_forget(p);
	r->kept = malloc(JOURNAL_IMAGE_MAX);
	bytes = r->kept ? journal_save(r->journal, proc_role(p), r->kept, &why) : -1;
	r->kept_bytes = bytes > 0 ? (size_t)bytes : 0;
	r->kept_head = head(p);
}

void trial_forget(struct proc *p)
{
	free(p->recovery.kept);
	p->recovery.kept = NULL;
	p->recovery.kept_bytes = 0;
}

static bool is_same_kind(const struct journal_header *h, const struct journal_image *i)
{
	return h->magic == JOURNAL_MAGIC && h->format == i->format && h->role == i->role && h->version == i->version &&
	       h->part_version == i->part_version && !memcmp(h->part_size, i->part_size, sizeof(h->part_size));
}

/* Its one writer is dead, and the next one not there yet. It is our own object: what shm_map_rw() would look at is known, and
 * our fence does not let us look. */
static bool write_back(struct proc *p)
{
	const struct device_objects *d = &p->vm->devices[p->id - PROC_FIRST_DEVICE];
	struct recovery *r = &p->recovery;
	const char *why = "no memory";
	void *object = mmap(NULL, sizeof(struct journal_object), PROT_READ | PROT_WRITE, MAP_SHARED, d->journal.rw, 0);
	int rc = object == MAP_FAILED ? -errno : 0;

	if (!rc) {
		memset(object, 0, sizeof(struct journal_header));
		rc = journal_restore(object, proc_role(p), r->kept, r->kept_bytes, &why);
		munmap(object, sizeof(struct journal_object));
	}
	if (rc)
		vm_log(p->vm, 0, "%s: its state before the new program cannot be put back: %s", proc_name(p), why);
	return !rc;
}

bool trial_can_go_back(struct proc *p)
{
	struct recovery *r = &p->recovery;
	struct journal_image image;

	if (!r->kept_bytes)
		return true; /* there was none, or it never came to that */
	memcpy(&image, r->kept, sizeof(image));
	if (is_same_kind(&r->journal->header, &image))
		return true;
	return head(p) == r->kept_head && write_back(p);
}
