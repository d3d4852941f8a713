/* SPDX-License-Identifier: MIT */
/* bulkhead device list, restart, replace, capture, upgrade: a machine's device processes, one by one. */
#include "cli.h"

#include "client.h"
#include "device_file.h"
#include "upgrade.h"
#include "../common/exit_codes.h"
#include "../common/nearest.h"
#include "../common/programs.h"

#include "../../proto/control_check.h"
#include "../../proto/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MS = 15000 };

/* NULL: no machine has such a device. */
static const struct kind_row *parse_device(const char *text, char name[KIND_NAME_MAX])
{
	int number = kind_find(text);
	const struct kind_row *kind;
	unsigned instance;

	if (number < 0)
		return NULL;
	kind = kind_of_number((unsigned)number, &instance);
	kind_process_name(kind, instance, name);
	return kind;
}

static void print_device(const Bulkhead__ProcessStatus *p)
{
	const char *role = control_role_name(p->role);

	printf("%-10s %8u  %-18s %6u %8u  %s\n",
	       p->name ? p->name
	       : role  ? role
		       : "?",
	       p->pid, p->state ? p->state : "?", p->incarnation, p->deaths, p->last_reason ? p->last_reason : "");
	if (p->capture)
		printf("%-10s   what it was then: %s\n", "", p->capture);
	for (size_t i = 0; i < p->n_poison; i++)
		printf("%-10s   skipped %s\n", "", p->poison[i]);
}

static int list(const struct machine_ref *ref)
{
	int rc = client_call(ref->path, BULKHEAD__MESSAGE_TYPE__MSG_STATUS, NULL, -1, ANSWER_MS, &client_frame);
	const Bulkhead__Status *s = rc ? NULL : ((const Bulkhead__Ok *)client_frame.msg)->status;

	if (!s)
		return client_complain(ref->name, &client_frame, rc ? rc : -EBADMSG);
	printf("%-10s %8s  %-18s %6s %8s  %s\n", "DEVICE", "PID", "STATE", "LIFE", "DEATHS", "LAST DEATH");
	for (size_t i = 0; i < s->n_processes; i++)
		if (s->processes[i]->has_deaths)
			print_device(s->processes[i]);
	return EXIT_OK;
}

static int ask(const struct machine_ref *ref, const char *device, uint16_t type, int fd)
{
	Bulkhead__DeviceName m = BULKHEAD__DEVICE_NAME__INIT;
	int rc;

	m.device = (char *)device;
	rc = client_call(ref->path, type, &m.base, fd, ANSWER_MS, &client_frame);
	return rc ? client_complain(ref->name, &client_frame, rc) : EXIT_OK;
}

static int replace(const struct machine_ref *ref, const struct kind_row *kind, const char *device, const char *binary)
{
	char path[4200];
	int fd, rc;

	snprintf(path, sizeof(path), "%s", binary ? binary : "");
	fd = binary ? open(binary, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : program_open(kind->program, path, sizeof(path));
	if (binary && fd < 0)
		fd = -errno;
	if (fd < 0) {
		fprintf(stderr, "bulkhead: %s: %s\n", path, strerror(-fd));
		return EXIT_USAGE;
	}
	rc = ask(ref, device, BULKHEAD__MESSAGE_TYPE__MSG_DEVICE_REPLACE, fd);
	close(fd);
	return rc;
}

/* The name without its d, as people write it. */
static const char *short_name(const char *name)
{
	static char out[KIND_NAME_MAX];
	size_t stem = strcspn(name, "0123456789") - 1;

	snprintf(out, sizeof(out), "%.*s%s", (int)stem, name, name + stem + 1);
	return out;
}

/* What was meant, and what there is. */
static int unknown_device(const char *text)
{
	struct nearest near = { .typed = text };
	char name[KIND_NAME_MAX], all[DEVICES_MAX * KIND_NAME_MAX + 1] = "", room[32];

	for (unsigned i = 0; i < KIND_COUNT; i++)
		for (unsigned n = 0; n < kind_rows[i].most; n++) {
			kind_process_name(&kind_rows[i], n, name);
			snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", *all ? "|" : "", short_name(name));
		}
	nearest_try_list(&near, all, room, sizeof(room));
	fprintf(stderr, "bulkhead: no device is called %.60s; ", text);
	if (near.best)
		fprintf(stderr, "did you mean %s? ", near.best);
	fprintf(stderr, "There may be %s\n", all);
	return EXIT_USAGE;
}

enum verb { LIST, RESTART, REPLACE, CAPTURE, UPGRADE, VERBS };

static const struct {
	const char *name;
	bool wants_device, may_have_device;
} verbs[VERBS] = {
	[LIST] = { "list", false, false },
	[RESTART] = { "restart", true, true },
	[REPLACE] = { "replace", true, true },
	[CAPTURE] = { "capture", true, true },
	[UPGRADE] = { "upgrade", false, true },
};

static enum verb find_verb(const char *word)
{
	enum verb v = LIST;

	while (v < VERBS && strcmp(verbs[v].name, word))
		v++;
	return v;
}

static int unknown_verb(const char *verb)
{
	struct nearest near = { .typed = verb };
	char all[80] = "", room[32];

	for (unsigned i = 0; i < VERBS; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? "|" : "", verbs[i].name);
	nearest_try_list(&near, all, room, sizeof(room));
	fprintf(stderr, "bulkhead: device %.60s: must be one of %s%s%s%s\n", verb, all, near.best ? "; did you mean " : "",
		near.best ? near.best : "", near.best ? "?" : "");
	return EXIT_USAGE;
}

/* Options that do not go with it. */
static const char *misplaced(const struct cli_args *a, enum verb verb)
{
	if (a->binary && verb != REPLACE)
		return "--binary goes with device replace only";
	if ((a->all || a->older_than) && verb != UPGRADE)
		return a->all ? "--all goes with device upgrade only" : "--older-than goes with device upgrade only";
	return a->all && a->count > 1 ? "either --all or the name of a machine" : NULL;
}

/* Words that do not go together, before any machine is looked for. */
static int check_words(const struct cli_args *a, enum verb verb)
{
	const char *why = misplaced(a, verb);

	if (why)
		fprintf(stderr, "bulkhead: %s\n", why);
	else if (a->count < 2 && !a->all)
		fprintf(stderr, "bulkhead: the name of a machine is missing; see bulkhead list\n");
	else if (a->count > 2 && !verbs[verb].may_have_device)
		fprintf(stderr, "bulkhead: unexpected argument %.60s: device list shows all of them\n", a->words[2]);
	else if (a->count < 3 && verbs[verb].wants_device)
		fprintf(stderr, "bulkhead: the device is missing; see bulkhead device list %.60s\n", a->words[1]);
	else
		return 0;
	return EXIT_USAGE;
}

static int carry_out(enum verb verb, const struct cli_args *a, const struct machine_ref *ref, const char *device,
		     const struct kind_row *kind)
{
	switch (verb) {
	case LIST:
		return list(ref);
	case RESTART:
		return ask(ref, device, BULKHEAD__MESSAGE_TYPE__MSG_DEVICE_RESTART, -1);
	case REPLACE:
		return replace(ref, kind, device, a->binary);
	case CAPTURE:
		return device_capture(ref, device);
	case UPGRADE:
		return upgrade_machine(ref, kind ? device : NULL, a->older_than);
	case VERBS:
		break;
	}
	return EXIT_USAGE;
}

int cmd_device(int argc, char **argv)
{
	struct cli_args a;
	struct machine_ref ref;
	const struct kind_row *kind = NULL;
	char device[KIND_NAME_MAX];
	int rc = cli_parse(COMMAND_DEVICE, &a, argc, argv);
	enum verb verb = rc ? VERBS : find_verb(a.words[0]);

	if (rc)
		return rc;
	if (verb == VERBS)
		return unknown_verb(a.words[0]);
	rc = check_words(&a, verb);
	if (!rc && a.all)
		return upgrade_all(a.older_than);
	if (!rc && a.count > 2 && !(kind = parse_device(a.words[2], device)))
		rc = unknown_device(a.words[2]);
	if (!rc)
		rc = client_find(a.words[1], &ref);
	return rc ? rc : carry_out(verb, &a, &ref, device, kind);
}
