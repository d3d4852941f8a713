/* SPDX-License-Identifier: MIT */
/* Which kind of daemon runs which model. */
#include "devices/model.h"

const struct device_model *const device_models[KIND_COUNT] = {
#define DEVICE(NAME, name, model, ...) [KIND_##NAME] = &model##_model,
#include "proto/devices.def"
};
