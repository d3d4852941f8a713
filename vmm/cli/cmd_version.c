/* SPDX-License-Identifier: MIT */
/*
 * bulkhead version: of what build it is, and what it understands of others. Two builds go together if the protocol's
 * major number is the same (their processes), and take over from each other what has the same number of its state.
 */
#include "cli.h"

#include "output.h"
#include "../common/exit_codes.h"

#include "../../devices/model.h"
#include "../../emu/core/state.h"
#include "../../proto/control_check.h"
#include "../../proto/journal.h"
#include "../../proto/kind.h"
#include "../../proto/state.h"
#include "build_info.h"

#include <jansson.h>
#include <stdio.h>

static const struct {
	const char *what;
	unsigned version;
} states[] = {
	{ "machine", STATE_VERSION },
	{ "processor", ENGINE_STATE_VERSION },
	{ "journal", JOURNAL_FORMAT },
};

static const unsigned shell_versions[KIND_COUNT] = {
#define DEVICE(NAME, ...) [KIND_##NAME] = NAME##_SHELL_VERSION,
#include "../../proto/devices.def"
};

static const struct device_model *const models[KIND_COUNT] = {
#define DEVICE(NAME, name, model, ...) [KIND_##NAME] = &model##_model,
#include "../../proto/devices.def"
};

static json_t *states_json(void)
{
	json_t *all = json_object(), *devices = json_object();

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		json_object_set_new(all, states[i].what, json_integer(states[i].version));
	for (unsigned k = 0; k < KIND_COUNT; k++)
		json_object_set_new(devices, kind_rows[k].name,
				    json_pack("{s:i, s:i}", "model", models[k]->version, "shell", shell_versions[k]));
	json_object_set_new(all, "devices", devices);
	return all;
}

static json_t *version_json(void)
{
	return json_pack("{s:s, s:{s:s, s:s, s:s}, s:{s:i, s:i}, s:o}", "version", BULKHEAD_VERSION, "build", "commit",
			 BUILD_COMMIT, "compiler", BUILD_COMPILER, "type", BUILD_TYPE, "protocol", "major", CONTROL_MAJOR,
			 "minor", CONTROL_MINOR, "state", states_json());
}

static void print(void)
{
	printf("bulkhead %s\n", BULKHEAD_VERSION);
	printf("build     %s, %s, %s\n", BUILD_COMMIT, BUILD_COMPILER, BUILD_TYPE);
	printf("protocol  %d.%d\n", CONTROL_MAJOR, CONTROL_MINOR);
	printf("state    ");
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		printf(" %s %u,", states[i].what, states[i].version);
	for (unsigned k = 0; k < KIND_COUNT; k++)
		printf(" %s %u.%u%s", kind_rows[k].name, models[k]->version, shell_versions[k], k + 1 < KIND_COUNT ? "," : "\n");
}

int cmd_version(int argc, char **argv)
{
	struct cli_args args;
	int rc = cli_parse(COMMAND_VERSION, &args, argc, argv);

	if (rc)
		return rc;
	if (args.json)
		return output_json(version_json());
	print();
	return EXIT_OK;
}
