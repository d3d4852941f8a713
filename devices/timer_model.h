/* SPDX-License-Identifier: MIT */
/* State of the timer model; its functions are those of model.h. */
#ifndef BULKHEAD_DEVICES_TIMER_MODEL_H
#define BULKHEAD_DEVICES_TIMER_MODEL_H

#include "devices/chips/hpet.h"
#include "devices/chips/pit.h"
#include "devices/chips/pmtimer.h"
#include "devices/chips/rtc.h"
#include "devices/model.h"

struct timer_state {
	uint64_t now_ns;
	struct pit pit;
	struct rtc rtc;
	struct hpet hpet;
	struct pmtimer pmtimer;
	/* How many of the chips' edges have gone to the line words. */
	uint64_t pit_rises;
	uint64_t hpet_fires[HPET_TIMERS];
	uint32_t lines[MODEL_LINES]; /* words; only those in timer_model.lines are used */
};

#endif
