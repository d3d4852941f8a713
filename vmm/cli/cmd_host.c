/* SPDX-License-Identifier: MIT */
/* bulkhead host: what this host offers to machines, what is missing, and what to do about it. */
#include "cli.h"

#include "output.h"
#include "../common/exit_codes.h"
#include "../host/host.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const verdict_names[] = {
	[HOST_OK] = "ok", [HOST_SAY] = "note", [HOST_WORSE] = "worse", [HOST_MISSING] = "missing",
};
static const char *const kvm_names[] = {
	[HOST_KVM_NONE] = "none", [HOST_KVM_SOFTWARE] = "software", [HOST_KVM_NESTED] = "nested", [HOST_KVM_HARDWARE] = "hardware",
};

static json_t *finding_json(const struct host_finding *f)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "area", f->area, "name", f->name, "verdict", verdict_names[f->verdict],
			 "value", f->value, "advice", f->advice);
}

static json_t *capabilities_json(const struct host_facts *f)
{
	json_t *all = json_object();

	for (unsigned c = 0; !f->kvm.err && c < HOST_CAPABILITIES; c++)
		json_object_set_new(all, host_capability_rows[c].name, json_integer(f->kvm.capability[c]));
	return all;
}

static json_t *report_json(const struct host_facts *f, const struct host_report *r)
{
	json_t *findings = json_array();

	for (unsigned i = 0; i < r->count; i++)
		json_array_append_new(findings, finding_json(&r->list[i]));
	return json_pack("{s:i, s:s, s:s, s:i, s:b, s:b, s:o, s:o}", "schema", 1, "vendor", f->vendor, "kvm",
			 kvm_names[host_kvm_kind(f)], "processors", (int)f->processors, "vmx", f->has_vmx, "svm", f->has_svm,
			 "capabilities", capabilities_json(f), "findings", findings);
}

/* Words of the first column, with colour where somebody looks. */
static void print_verdict(enum host_verdict verdict, bool has_colour)
{
	static const char *const colours[] = { [HOST_OK] = "32", [HOST_SAY] = "0", [HOST_WORSE] = "33", [HOST_MISSING] = "31" };

	if (has_colour)
		printf("  \033[%sm%-7s\033[0m ", colours[verdict], verdict_names[verdict]);
	else
		printf("  %-7s ", verdict_names[verdict]);
}

static void print_report(const struct host_report *r)
{
	const char *no_colour = getenv("NO_COLOR"), *area = "";
	const bool has_colour = isatty(STDOUT_FILENO) && !(no_colour && no_colour[0]);

	for (unsigned i = 0; i < r->count; i++) {
		const struct host_finding *f = &r->list[i];

		if (strcmp(area, f->area))
			printf("%s%s\n", i ? "\n" : "", f->area);
		area = f->area;
		print_verdict(f->verdict, has_colour);
		printf("%-26s %s\n", f->name, f->value);
		if (f->advice[0])
			printf("  %-34s -> %s\n", "", f->advice);
	}
}

int cmd_host(int argc, char **argv)
{
	struct cli_args args;
	struct host_facts facts;
	struct host_report report;
	int rc = cli_parse(COMMAND_HOST, &args, argc, argv);

	if (rc)
		return rc;
	host_read(&facts);
	host_judge(&facts, &report);
	if (args.json)
		return output_json(report_json(&facts, &report));
	print_report(&report);
	return EXIT_OK;
}
