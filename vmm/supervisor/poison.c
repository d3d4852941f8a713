/* SPDX-License-Identifier: MIT */
/* The request that a device died of: poison.h. */
#include "poison.h"
#include "news.h"
#include "proc.h"
#include "tell.h"
#include "vm.h"

#include <stdio.h>
#include <string.h>

enum { POISON_DEATHS = 2 };

/* From REQ, which only the vcpu process can write; false: it is not in the ring (any more). */
static bool copy_slot(const struct recovery *r, uint32_t seq, struct io_slot *out)
{
	uint32_t tail = atomic_load_explicit(&r->req->tail, memory_order_acquire);

	if (tail - seq - 1 >= RING_SLOTS)
		return false;
	memcpy(out, &r->req->slots[seq % RING_SLOTS], sizeof(*out));
	return out->seq == seq;
}

static void condemn(struct proc *p, uint32_t seq)
{
	struct recovery *r = &p->recovery;
	char *words = r->poison[r->poison_count % RECOVERY_POISON];
	struct io_slot slot;

	r->poison_count++;
	if (copy_slot(r, seq, &slot))
		ring_describe(&slot, words, RECOVERY_WORDS);
	else
		snprintf(words, RECOVERY_WORDS, "request %u, which is not in the ring any more", seq);
	news_add(p->vm, "request-skipped", p, words);
	vm_log(p->vm, 0, "%s was killed %u times by the same request, which will be skipped: %s", proc_name(p), r->suspect_deaths,
	       words);
}

/* Was it applying a request when it died, and is it the one of last time? Who is killed from outside says nothing. */
void poison_blame(struct proc *p, bool foreign)
{
	struct recovery *r = &p->recovery;
	bool known = r->suspected;
	uint32_t before = r->suspect_seq, seq;

	/* Told to skip one, but died before that? */
	r->skips = r->skips && r->skip_seq == atomic_load_explicit(&r->rsp->head, memory_order_relaxed);
	if (foreign)
		return;
	r->suspected = journal_attempted(r->journal, &seq);
	if (!r->suspected)
		return;
	r->suspect_seq = seq;
	r->suspect_deaths = known && before == seq ? r->suspect_deaths + 1 : 1;
	if (r->suspect_deaths == POISON_DEATHS)
		condemn(p, seq);
	r->skips = r->suspect_deaths >= POISON_DEATHS;
	r->skip_seq = seq;
}
