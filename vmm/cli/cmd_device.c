/* SPDX-License-Identifier: MIT */
/* bulkhead device list, restart, replace: a machine's device processes, one by one. */
#include "cli.h"

#include "client.h"
#include "../common/exit_codes.h"
#include "../common/programs.h"

#include "../../proto/control_check.h"
#include "../../proto/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MS = 15000 };

static const char usage[] = "Usage: bulkhead device list NAME\n"
			    "       bulkhead device restart NAME DEVICE                  a fresh process; also for one that was given up\n"
			    "       bulkhead device replace NAME DEVICE [--binary FILE]  another program, while the guest runs;\n"
			    "                                                             for the machine's owner and root\n"
			    "DEVICE is one of those that the list shows, with or without its d.\n";

static struct frame frame;

struct device_args {
	const char *verb, *machine, *device, *binary;
};

/* What is not an option goes to the next free place. */
static bool place(struct device_args *a, const char *arg)
{
	const char **places[] = { &a->verb, &a->machine, &a->device };

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (*places[i])
			continue;
		*places[i] = arg;
		return true;
	}
	return false;
}

static bool parse(struct device_args *a, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--binary") && i + 1 < argc)
			a->binary = argv[++i];
		else if (!strncmp(argv[i], "--binary=", 9))
			a->binary = argv[i] + 9;
		else if (argv[i][0] == '-' || !place(a, argv[i]))
			return false;
	}
	return a->machine != NULL;
}

/* "serial" and "seriald" are the same, and so are "test1" and "testd1". */
static bool is_called(const char *text, const char *name)
{
	size_t stem = strcspn(name, "0123456789") - 1;

	return !strcmp(text, name) || (!strncmp(text, name, stem) && !strcmp(text + stem, name + stem + 1));
}

/* NULL: no machine has such a device. */
static const struct kind_row *parse_device(const char *text, char name[KIND_NAME_MAX])
{
	for (unsigned i = 0; i < KIND_COUNT; i++)
		for (unsigned n = 0; n < kind_rows[i].most; n++) {
			kind_process_name(&kind_rows[i], n, name);
			if (is_called(text, name))
				return &kind_rows[i];
		}
	return NULL;
}

static void print_device(const Bulkhead__ProcessStatus *p)
{
	const char *role = control_role_name(p->role);

	printf("%-10s %8u  %-18s %6u %8u  %s\n", p->name ? p->name : role ? role : "?", p->pid, p->state ? p->state : "?",
	       p->incarnation, p->deaths, p->last_reason ? p->last_reason : "");
	for (size_t i = 0; i < p->n_poison; i++)
		printf("%-10s   skipped %s\n", "", p->poison[i]);
}

static int list(const struct machine_ref *ref)
{
	int rc = client_call(ref->path, BULKHEAD__MESSAGE_TYPE__MSG_STATUS, NULL, -1, ANSWER_MS, &frame);
	const Bulkhead__Status *s = rc ? NULL : ((const Bulkhead__Ok *)frame.msg)->status;

	if (!s)
		return client_complain(ref->name, &frame, rc ? rc : -EBADMSG);
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
	rc = client_call(ref->path, type, &m.base, fd, ANSWER_MS, &frame);
	return rc ? client_complain(ref->name, &frame, rc) : EXIT_OK;
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

int cmd_device(int argc, char **argv)
{
	struct device_args a = { 0 };
	struct machine_ref ref;
	const struct kind_row *kind;
	char device[KIND_NAME_MAX];
	int rc;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(usage, stdout);
		return EXIT_OK;
	}
	if (!parse(&a, argc, argv)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	rc = client_find(a.machine, &ref);
	if (rc)
		return rc;
	if (!strcmp(a.verb, "list") && !a.device)
		return list(&ref);
	kind = a.device ? parse_device(a.device, device) : NULL;
	if (kind && !strcmp(a.verb, "restart"))
		return ask(&ref, device, BULKHEAD__MESSAGE_TYPE__MSG_DEVICE_RESTART, -1);
	if (kind && !strcmp(a.verb, "replace"))
		return replace(&ref, kind, device, a.binary);
	fputs(usage, stderr);
	return EXIT_USAGE;
}
