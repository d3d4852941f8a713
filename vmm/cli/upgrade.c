/* SPDX-License-Identifier: MIT */
/* Other builds for machines that run: upgrade.h. */
#include "upgrade.h"

#include "../common/exit_codes.h"
#include "../common/programs.h"
#include "../common/rundir.h"

#include "../../proto/kind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* So long a new program has to serve, or the one before it is put back. */
enum { TRIAL_MS = 1000, ANSWER_MS = 15000 };

static struct frame frame;

struct device {
	char name[KIND_NAME_MAX], version[24];
	bool is_external;
	const struct kind_row *kind;
};

struct upgrade {
	const char *only, *older_than;
	bool found;
	int code;
};

static const char *shown(const char *version)
{
	return *version ? version : "unknown";
}

/* The devices of a machine, as it says. Their number, or -errno. */
static int read_devices(const char *path, struct device list[DEVICES_MAX])
{
	int rc = client_call(path, BULKHEAD__MESSAGE_TYPE__MSG_STATUS, NULL, -1, ANSWER_MS, &frame), n = 0;
	const Bulkhead__Status *s = rc ? NULL : ((const Bulkhead__Ok *)frame.msg)->status;

	if (!s)
		return rc ? rc : -EBADMSG;
	for (size_t i = 0; i < s->n_processes && n < DEVICES_MAX; i++) {
		const Bulkhead__ProcessStatus *p = s->processes[i];
		struct device *d = &list[n];

		d->kind = kind_of_role(p->role);
		if (!d->kind || !p->name)
			continue;
		snprintf(d->name, sizeof(d->name), "%s", p->name);
		snprintf(d->version, sizeof(d->version), "%s", p->version ? p->version : "");
		d->is_external = p->external != NULL;
		n++;
	}
	return n;
}

static int replace(const char *path, const struct device *d)
{
	Bulkhead__DeviceName m = BULKHEAD__DEVICE_NAME__INIT;
	char program[4200];
	int fd = program_open(d->kind->program, program, sizeof(program)), rc;

	if (fd < 0) {
		fprintf(stderr, "bulkhead: %s: %s\n", program, strerror(-fd));
		return fd;
	}
	m.device = (char *)d->name;
	m.has_trial_ms = true;
	m.trial_ms = TRIAL_MS;
	rc = client_call(path, BULKHEAD__MESSAGE_TYPE__MSG_DEVICE_REPLACE, &m.base, fd, ANSWER_MS, &frame);
	close(fd);
	return rc;
}

static void say_version(const char *path, const char *machine, const struct device *before)
{
	struct device now[DEVICES_MAX];
	int n = read_devices(path, now);

	for (int i = 0; i < n; i++)
		if (!strcmp(now[i].name, before->name))
			printf("%s %s: %s, was %s\n", machine, before->name, shown(now[i].version), shown(before->version));
}

static void upgrade_one(struct upgrade *u, const struct machine_ref *ref, const struct device *d)
{
	int rc;

	if (d->is_external) {
		printf("%s %s: left alone: somebody else serves it (--device)\n", ref->name, d->name);
		return;
	}
	if (u->older_than && strverscmp(d->version, u->older_than) >= 0) {
		printf("%s %s: left alone: %s is not older than %s\n", ref->name, d->name, shown(d->version), u->older_than);
		return;
	}
	rc = replace(ref->path, d);
	if (!rc) {
		say_version(ref->path, ref->name, d);
		return;
	}
	printf("%s %s: %s stays\n", ref->name, d->name, shown(d->version));
	fflush(stdout);
	u->code = client_complain(ref->name, &frame, rc);
}

static void upgrade(struct upgrade *u, const struct machine_ref *ref)
{
	struct device list[DEVICES_MAX];
	int n = read_devices(ref->path, list);

	if (n < 0)
		u->code = client_complain(ref->name, &frame, n);
	for (int i = 0; i < n; i++) {
		if (u->only && strcmp(u->only, list[i].name))
			continue;
		u->found = true;
		upgrade_one(u, ref, &list[i]);
	}
}

int upgrade_machine(const struct machine_ref *ref, const char *device, const char *older_than)
{
	struct upgrade u = { .only = device, .older_than = older_than };

	upgrade(&u, ref);
	if (u.found || u.code)
		return u.code;
	fprintf(stderr, "bulkhead: %s has no %s; bulkhead device list %s tells what it has\n", ref->name, device, ref->name);
	return EXIT_FAILED;
}

static void visit(void *ctx, const char *name, const char *path)
{
	struct machine_ref ref;

	if (!client_find(name, &ref) && !strcmp(ref.path, path))
		upgrade(ctx, &ref);
}

int upgrade_all(const char *older_than)
{
	struct upgrade u = { .older_than = older_than };

	rundir_each(NULL, visit, &u);
	if (!u.found && !u.code)
		printf("no machine is running\n");
	return u.code;
}
