/* SPDX-License-Identifier: MIT */
/* bulkhead run --cpu help: the models and features that --cpu takes, for people or as JSON (add-only). */
#include "cli.h"
#include "output.h"

#include "../common/exit_codes.h"

#include "../../emu/model/features.h"

#include <jansson.h>
#include <stdio.h>

/* What a model comes to under the emulator; what it then lacks, if it cannot be had there. */
static struct cpu_feature_set features_of(enum cpu_base base, struct cpu_feature_set *missing)
{
	const struct cpu_feature_set emulated = cpu_emulated();
	char error[CPU_MODEL_ERROR_MAX];
	struct cpu_feature_set out = { { 0 } };
	struct cpu_model model;

	*missing = (struct cpu_feature_set){ { 0 } };
	if (cpu_model_parse(&model, cpu_bases[base].name, error))
		return out;
	cpu_model_resolve(&model, &emulated, "the emulator", &out, error);
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if (cpu_has(&model.wanted, f) && !cpu_has(&out, f))
			cpu_add(missing, f);
	return out;
}

static json_t *names(const struct cpu_feature_set *s)
{
	json_t *list = json_array();

	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if (cpu_has(s, f))
			json_array_append_new(list, json_string(cpu_features[f].name));
	return list;
}

static json_t *model_json(enum cpu_base base)
{
	struct cpu_feature_set missing, features = features_of(base, &missing);

	return json_pack("{s:s, s:s, s:o, s:o}", "name", cpu_bases[base].name, "help", cpu_bases[base].help, "features",
			 names(&features), "missing", names(&missing));
}

static const char *const status_names[] = { [CPUF_OFFERED] = "offered", [CPUF_HIDDEN] = "hidden", [CPUF_ABSENT] = "absent" };
static const char *const level_names[] = {
	[CPUF_BASELINE] = "baseline", [CPUF_KERNEL] = "kernel", [CPUF_V2] = "x86-64-v2",
	[CPUF_V3] = "x86-64-v3", [CPUF_V4] = "x86-64-v4", [CPUF_MAX] = "max",
};

static json_t *feature_json(const struct cpu_feature_row *row)
{
	static const char *const registers[] = { "eax", "ebx", "ecx", "edx" };
	json_t *needs = json_array();

	for (unsigned n = 0; n < 2; n++)
		if (row->needs[n] != CPUF_NONE)
			json_array_append_new(needs, json_string(cpu_features[row->needs[n]].name));
	return json_pack("{s:s, s:s, s:I, s:i, s:s, s:i, s:s, s:s, s:b, s:o, s:I, s:I}", "name", row->name, "help", row->help,
			 "leaf", (json_int_t)row->leaf, "subleaf", row->subleaf, "register", registers[row->reg], "bit", row->bit,
			 "level", level_names[row->level], "emulator", status_names[row->status & CPUF_STATUS], "cpuinfo",
			 !(row->status & CPUF_SILENT), "needs", needs, "cr4", (json_int_t)row->cr4, "xcr0",
			 (json_int_t)row->xcr0);
}

static int print_json(void)
{
	json_t *models = json_array(), *features = json_array(), *all;

	for (unsigned b = 0; b < CPU_BASES; b++)
		json_array_append_new(models, model_json((enum cpu_base)b));
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		json_array_append_new(features, feature_json(&cpu_features[f]));
	all = json_pack("{s:i, s:o, s:o}", "schema", 1, "models", models, "features", features);
	return output_json(all);
}

static const char *remark(const struct cpu_feature_row *row)
{
	switch (row->status & CPUF_STATUS) {
	case CPUF_HIDDEN:
		return " (off unless turned on)";
	case CPUF_ABSENT:
		return " (not in the emulator)";
	default:
		return row->level == CPUF_BASELINE ? " (always on)" : "";
	}
}

int cpu_help(bool json)
{
	if (json)
		return print_json();
	printf("Models, for --cpu MODEL[,+FEATURE|,-FEATURE|,FEATURE=on|,FEATURE=off...]:\n");
	for (unsigned b = 0; b < CPU_BASES; b++) {
		struct cpu_feature_set missing;

		features_of((enum cpu_base)b, &missing);
		printf("  %-20s %s%s\n", cpu_bases[b].name, cpu_bases[b].help,
		       missing.bits[0] | missing.bits[1] | missing.bits[2] ? " (not in the emulator)" : "");
	}
	printf("\nFeatures. What is turned on brings what it needs; what is turned off takes away what needs it:\n");
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		printf("  %-20s %s%s\n", cpu_features[f].name, cpu_features[f].help, remark(&cpu_features[f]));
	return EXIT_OK;
}
