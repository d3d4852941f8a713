/* SPDX-License-Identifier: MIT */
/* For tests and debugging tools: the inside of an emulator engine. */
#ifndef BULKHEAD_EMU_ENGINE_EMU_H
#define BULKHEAD_EMU_ENGINE_EMU_H

#include "emu/core/emu.h"
#include "emu/core/engine.h"

struct emu *engine_emu_vcpu(struct engine *e, unsigned vcpu);

#endif
