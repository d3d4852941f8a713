/* SPDX-License-Identifier: MIT */
/* The table of kinds (proto/devices.def): what its rows promise each other. */
#include <criterion/criterion.h>
#include <string.h>

#include "devices/model.h"
#include "proto/control_check.h"
#include "proto/frame.h"
#include "proto/kind.h"

Test(kind, roles_are_the_protocol_s)
{
	cr_assert_eq(kind_rows[KIND_IRQD].role, BULKHEAD__ROLE__ROLE_IRQD);
	cr_assert_eq(kind_rows[KIND_TIMERD].role, BULKHEAD__ROLE__ROLE_TIMERD);
	cr_assert_eq(kind_rows[KIND_SERIALD].role, BULKHEAD__ROLE__ROLE_SERIALD);
	cr_assert_eq(kind_rows[KIND_PLATFORMD].role, BULKHEAD__ROLE__ROLE_PLATFORMD);
	cr_assert_null(kind_of_role(BULKHEAD__ROLE__ROLE_VCPU));
	cr_assert_null(kind_of_role(UINT32_MAX));
	for (unsigned k = 0; k < KIND_COUNT; k++) {
		cr_assert_eq(kind_of_role(kind_rows[k].role), &kind_rows[k], "%s has a role of its own", kind_rows[k].name);
		cr_assert_str_eq(control_role_name((Bulkhead__Role)kind_rows[k].role), kind_rows[k].name);
	}
}

/* Whether every machine has it. */
#define ALWAYS true
#define OPTION false
#define FRAME false
#define FIRMWARE false
#define DISPLAY false
#define BOARD false
#define BACKEND false
#define BARE false
#define IMPLIED false
static const bool is_always[KIND_COUNT] = {
#define DEVICE(NAME, name, model, role, presence, ...) [KIND_##NAME] = presence,
#include "proto/devices.def"
};

/*
 * irqd believes a device only its own lines: what a model drives must be in its row. Devices that every machine has share
 * none: their drivers have an interrupt of their own.
 */
Test(kind, lines)
{
	uint32_t taken = 0;
	unsigned collectors = 0;

	for (unsigned k = 0; k < KIND_COUNT; k++) {
		if (is_always[k])
			cr_assert_eq(kind_rows[k].lines & taken, 0, "%s", kind_rows[k].name);
		cr_assert_eq(kind_rows[k].lines >> MODEL_LINES, 0);
		cr_assert_eq(device_models[k]->lines, kind_rows[k].lines, "%s", kind_rows[k].name);
		taken |= is_always[k] ? kind_rows[k].lines : 0;
		collectors += kind_rows[k].collects;
	}
	cr_assert_eq(collectors, 1, "irqd");
	/* IA-PC HPET 1.0a, 2.3.8: Tn_INT_ROUTE_CAP; here pins 20 to 23. */
	cr_assert_eq(kind_rows[KIND_TIMERD].lines & 0xf00000, 0xf00000);
}

/* Two messages carry descriptors of all devices at once. */
Test(kind, messages_have_room)
{
	cr_assert_leq(3 + 4 * DEVICES_MAX + 1, FRAME_FDS_MAX, "SETUP_VCPU");
	cr_assert_leq(control_device_fds((Bulkhead__Role)kind_rows[KIND_IRQD].role, DEVICES_MAX - 1), FRAME_FDS_MAX);
}

/* comm has 15 characters (proc(5)), "bh-" among them. */
Test(kind, names)
{
	for (unsigned k = 0; k < KIND_COUNT; k++) {
		const struct kind_row *r = &kind_rows[k];

		cr_assert_leq(strlen(r->name), 12);
		cr_assert_eq(r->name[strlen(r->name) - 1], 'd', "%s", r->name);
		cr_assert_eq(strncmp(r->program, "bulkhead-", 9), 0);
		cr_assert_str_eq(r->program + 9, r->name);
	}
}
