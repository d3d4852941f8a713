/* SPDX-License-Identifier: MIT */
/*
 * bulkhead security: what each process of a machine could still do if it were taken over, read from
 * /proc, with a rating from 0 (nothing) to 10 (everything that its user may do), as systemd-analyze
 * security does it for services.
 */
#include "cli.h"

#include "client.h"
#include "../common/exit_codes.h"
#include "output.h"
#include "proc_facts.h"

#include "../../proto/sandbox_table.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PROCESSES_MAX = 32, STATUS_MS = 5000 };

struct subject {
	struct proc_facts facts;
	enum sandbox_role role;
	bool has_role;
	unsigned calls; /* at run time, by the table */
	char external[108]; /* the socket where it listens: somebody else has started it; empty: the machine */
	double exposure;
};

struct machine {
	struct subject list[PROCESSES_MAX];
	unsigned count;
};

/* ---- who is who ------------------------------------------------------------------------------ */

static const struct {
	const char *comm;
	enum sandbox_role role;
} comms[] = {
	{ "bh-logger", SANDBOX_LOGGER },
	{ "bh-dialler", SANDBOX_DIALLER },
	{ "bh-traced", SANDBOX_TRACED },
	{ "bh-supervisor", SANDBOX_SUPERVISOR },
	{ "bh-spawner", SANDBOX_SPAWNER },
	{ "bh-boot", SANDBOX_BOOT },
	{ "bh-vcpu", SANDBOX_VCPU_EMU },
	{ "bh-gdbd", SANDBOX_GDBD },
	{ "bh-vnc", SANDBOX_VNC },
#define DEVICE(NAME, name, ...) { "bh-" #name, SANDBOX_##NAME },
#include "../../proto/devices.def"
};

static bool role_of(const struct proc_facts *f, enum sandbox_role *role)
{
	size_t len = strcspn(f->comm, "0123456789"); /* of several instances each has its number */

	for (unsigned i = 0; i < sizeof(comms) / sizeof(comms[0]); i++) {
		if (strlen(comms[i].comm) != len || strncmp(comms[i].comm, f->comm, len))
			continue;
		*role = comms[i].role;
		if (*role == SANDBOX_VCPU_EMU && f->fds[FACT_FD_KVM])
			*role = SANDBOX_VCPU_KVM;
		return true;
	}
	return false;
}

static bool is_allowed(const struct sandbox_rule *rule, enum sandbox_role role)
{
	return !rule->deny_errno && sandbox_rule_applies(rule, role, SANDBOX_PHASE_RUN);
}

static unsigned calls_of(enum sandbox_role role)
{
	unsigned n = 0;

	for (unsigned i = 0; i < sandbox_rule_count; i++) {
		bool seen = !is_allowed(&sandbox_rules[i], role);

		for (unsigned j = 0; !seen && j < i; j++)
			seen = is_allowed(&sandbox_rules[j], role) && !strcmp(sandbox_rules[i].call, sandbox_rules[j].call);
		n += !seen;
	}
	return n;
}

/* ---- rating ---------------------------------------------------------------------------------- */

/* Shares of what a check stands for: 0 closed, 1 open. */
static double open_filter(const struct subject *s)
{
	return s->facts.seccomp_mode != 2;
}

static double open_calls(const struct subject *s)
{
	if (s->facts.seccomp_mode != 2 || !s->has_role)
		return 1;
	return s->calls <= 20 ? 0 : s->calls <= 40 ? 0.3 : 0.7;
}

static double open_privs(const struct subject *s)
{
	return !s->facts.no_new_privs;
}

/* Inside a user namespace of its own a capability reaches only what that namespace owns. */
static double open_caps(const struct subject *s)
{
	return !s->facts.caps ? 0 : s->facts.ns_private[FACT_USER] ? 0.3 : 1;
}

static double open_user(const struct subject *s)
{
	return !s->facts.uid ? 1 : s->facts.uid == geteuid() ? 0.5 : 0;
}

static double open_dump(const struct subject *s)
{
	return s->facts.is_dumpable;
}

static double open_ns_user(const struct subject *s)
{
	return !s->facts.ns_private[FACT_USER];
}

static double open_ns_pid(const struct subject *s)
{
	return !s->facts.ns_private[FACT_PID];
}

static double open_ns_mnt(const struct subject *s)
{
	return !s->facts.ns_private[FACT_MNT];
}

static double open_ns_net(const struct subject *s)
{
	return !s->facts.ns_private[FACT_NET];
}

static double open_ns_ipc(const struct subject *s)
{
	return !s->facts.ns_private[FACT_IPC];
}

static double open_ns_uts(const struct subject *s)
{
	return !s->facts.ns_private[FACT_UTS];
}

static double open_root(const struct subject *s)
{
	return s->facts.root_empty ? (s->facts.root_read_only ? 0 : 0.2) : 1;
}

static double open_files(const struct subject *s)
{
	return s->facts.fds[FACT_FD_FILE] != 0;
}

static double open_memory(const struct subject *s)
{
	return s->facts.maps_guest_memory;
}

static double open_wx(const struct subject *s)
{
	return s->facts.has_wx_memory;
}

static double open_kvm(const struct subject *s)
{
	return s->facts.fds[FACT_FD_KVM] != 0;
}

static double open_fork(const struct subject *s)
{
	return s->facts.limit_nproc != 0;
}

static double open_limit(const struct subject *s)
{
	return s->facts.limit_as == UINT64_MAX;
}

/* `all`: can be told from /proc/PID/status alone. */
static const struct check {
	const char *name, *open_text;
	double weight;
	bool all;
	double (*open)(const struct subject *s);
} checks[] = {
	{ "seccomp", "makes any system call: no filter", 20, true, open_filter },
	{ "calls", "makes many different system calls", 10, true, open_calls },
	{ "no-new-privs", "may gain privileges by executing a file", 10, true, open_privs },
	{ "capabilities", "has capabilities", 15, true, open_caps },
	{ "user", "shares its user id with other processes", 8, true, open_user },
	{ "dumpable", "can be inspected by processes of its user", 5, true, open_dump },
	{ "user-namespace", "knows the host's user ids", 6, false, open_ns_user },
	{ "pid-namespace", "sees the host's processes", 8, false, open_ns_pid },
	{ "mount-namespace", "shares the host's mounts", 6, false, open_ns_mnt },
	{ "net-namespace", "shares the host's network", 10, false, open_ns_net },
	{ "ipc-namespace", "shares System V objects and message queues", 3, false, open_ns_ipc },
	{ "uts-namespace", "shares the host's name", 1, false, open_ns_uts },
	{ "root", "has files below its root directory", 10, false, open_root },
	{ "files", "holds descriptors of files that have a name", 5, false, open_files },
	{ "guest-memory", "reads and writes the guest's memory", 5, false, open_memory },
	{ "kvm", "speaks to the kernel's KVM", 5, false, open_kvm },
	{ "wx-memory", "has memory both writable and executable", 5, false, open_wx },
	{ "processes", "may start processes, as far as its filter lets it", 3, true, open_fork },
	{ "memory-limit", "has no limit on its address space", 3, true, open_limit },
};
enum { CHECKS = sizeof(checks) / sizeof(checks[0]) };

static bool is_known(const struct check *c, const struct subject *s)
{
	return c->all || s->facts.is_visible;
}

static double rate(const struct subject *s)
{
	double open = 0, total = 0;

	for (unsigned i = 0; i < CHECKS; i++) {
		if (!is_known(&checks[i], s))
			continue;
		open += checks[i].weight * checks[i].open(s);
		total += checks[i].weight;
	}
	return total > 0 ? 10 * open / total : 10;
}

static const char *level(double exposure)
{
	return exposure < 1 ? "sealed" : exposure < 3 ? "ok" : exposure < 6 ? "medium" : "exposed";
}

/* ---- gathering ------------------------------------------------------------------------------- */

static void add(struct machine *m, pid_t pid, bool has_role, enum sandbox_role role)
{
	struct subject *s = &m->list[m->count];

	if (m->count == PROCESSES_MAX || proc_facts_read(pid, &s->facts))
		return;
	s->role = role;
	s->has_role = has_role || role_of(&s->facts, &s->role);
	s->calls = s->has_role ? calls_of(s->role) : 0;
	s->exposure = rate(s);
	m->count++;
}

/* The keeper's children are logger, dialler, exporters and supervisor; the supervisor's are everything else. */
static void add_family(void *ctx, pid_t pid)
{
	add(ctx, pid, false, SANDBOX_SUPERVISOR);
	proc_facts_children(pid, add_family, ctx);
}

static void gather(struct machine *m, pid_t keeper)
{
	add(m, keeper, true, SANDBOX_KEEPER);
	proc_facts_children(keeper, add_family, m);
}

/* Devices that somebody else serves are found by what they say themselves: their pid is as they see it. */
static void gather_external(struct machine *m, const char *path)
{
	int rc = client_call(path, BULKHEAD__MESSAGE_TYPE__MSG_STATUS, NULL, -1, STATUS_MS, &client_frame);
	const Bulkhead__Status *s = rc ? NULL : ((const Bulkhead__Ok *)client_frame.msg)->status;

	for (size_t i = 0; s && i < s->n_processes; i++) {
		const Bulkhead__ProcessStatus *p = s->processes[i];
		unsigned before = m->count;

		if (p->external && p->pid)
			add(m, (pid_t)p->pid, false, SANDBOX_SUPERVISOR);
		if (m->count > before)
			snprintf(m->list[before].external, sizeof(m->list[before].external), "%.107s", p->external);
	}
}

static const char *name_of(const struct subject *s)
{
	if (s->has_role && s->role >= SANDBOX_DEVICE)
		return s->facts.comm + strlen("bh-");
	return s->has_role ? sandbox_role_name(s->role) : s->facts.comm;
}

/* ---- for people ------------------------------------------------------------------------------ */

static void print_namespaces(const struct subject *s)
{
	unsigned shared = 0;

	for (unsigned i = 0; i < FACT_NAMESPACES; i++)
		shared += !s->facts.ns_private[i];
	if (!s->facts.is_visible) {
		printf("not visible");
		return;
	}
	printf("%s", shared == 0 ? "all its own" : shared == FACT_NAMESPACES ? "all shared" : "shared:");
	for (unsigned i = 0; shared && shared < FACT_NAMESPACES && i < FACT_NAMESPACES; i++)
		if (!s->facts.ns_private[i])
			printf(" %s", fact_ns_names[i]);
}

static void print_row(const struct subject *s)
{
	const struct proc_facts *f = &s->facts;
	char caps[24] = "none", calls[16] = "any";
	unsigned fds = 0;

	if (f->caps)
		snprintf(caps, sizeof(caps), "%d", __builtin_popcountll(f->caps));
	if (f->seccomp_mode == 2)
		snprintf(calls, sizeof(calls), "%u", s->calls);
	for (unsigned i = 0; i < FACT_FDS; i++)
		fds += f->fds[i];
	printf("  %-11s %8d  %4.1f %-8s %5s %5s %11u  %-9s ", name_of(s), f->pid, s->exposure, level(s->exposure), calls, caps,
	       f->uid,
	       !f->is_visible  ? "?"
	       : f->root_empty ? "empty"
			       : "has files");
	if (f->is_visible)
		printf("%4u  ", fds);
	else
		printf("%4s  ", "?");
	print_namespaces(s);
	printf("\n");
}

static void print_open(const struct subject *s)
{
	const struct proc_facts *f = &s->facts;

	printf("\n%s\n", name_of(s));
	for (unsigned i = 0; i < CHECKS; i++)
		if (is_known(&checks[i], s) && checks[i].open(s) > 0)
			printf("  %4.1f  %s\n", checks[i].weight * checks[i].open(s) / 10, checks[i].open_text);
	if (s->external[0])
		printf("        started by somebody else; listens at %s; pid as it says itself\n", s->external);
	if (f->writable_count)
		printf("        writes shared memory:");
	for (unsigned i = 0; i < f->writable_count; i++)
		printf(" %s", f->writable[i]);
	if (f->writable_count)
		printf("\n");
	if (!f->is_visible)
		printf("        the rest is visible to root only\n");
}

static int print_people(const struct machine *m, const char *name)
{
	printf("%s: what its processes could do if they were taken over, from /proc\n\n", name);
	printf("  %-11s %8s  %-13s %5s %5s %11s  %-9s %4s  %s\n", "process", "pid", "exposure", "calls", "caps", "user", "root",
	       "fds", "namespaces");
	for (unsigned i = 0; i < m->count; i++)
		print_row(&m->list[i]);
	for (unsigned i = 0; i < m->count; i++)
		print_open(&m->list[i]);
	return EXIT_OK;
}

/* ---- for programs ---------------------------------------------------------------------------- */

static json_t *limit_json(uint64_t v)
{
	return v == UINT64_MAX ? json_null() : json_integer((json_int_t)v);
}

static void add_hidden(json_t *j, const struct proc_facts *f)
{
	json_t *ns = json_object(), *fds = json_object(), *writable = json_array();

	for (unsigned i = 0; i < FACT_NAMESPACES; i++)
		json_object_set_new(ns, fact_ns_names[i], json_string(f->ns_private[i] ? "private" : "shared"));
	for (unsigned i = 0; i < FACT_FDS; i++)
		json_object_set_new(fds, fact_fd_names[i], json_integer(f->fds[i]));
	for (unsigned i = 0; i < f->writable_count; i++)
		json_array_append_new(writable, json_string(f->writable[i]));
	json_object_set_new(j, "namespaces", ns);
	json_object_set_new(j, "fds", fds);
	json_object_set_new(j, "writable_objects", writable);
	json_object_set_new(j, "root_empty", json_boolean(f->root_empty));
	json_object_set_new(j, "root_read_only", json_boolean(f->root_read_only));
	json_object_set_new(j, "guest_memory_mapped", json_boolean(f->maps_guest_memory));
	json_object_set_new(j, "writable_executable_memory", json_boolean(f->has_wx_memory));
}

static json_t *open_json(const struct subject *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < CHECKS; i++)
		if (is_known(&checks[i], s) && checks[i].open(s) > 0)
			json_array_append_new(list, json_string(checks[i].name));
	return list;
}

static json_t *subject_json(const struct subject *s)
{
	const struct proc_facts *f = &s->facts;
	json_t *j = json_object();
	char caps[20];

	snprintf(caps, sizeof(caps), "%016llx", (unsigned long long)f->caps);
	json_object_set_new(j, "process", json_string(name_of(s)));
	json_object_set_new(j, "pid", json_integer(f->pid));
	json_object_set_new(j, "external", s->external[0] ? json_string(s->external) : json_null());
	json_object_set_new(j, "exposure", json_real((int)(s->exposure * 10 + 0.5) / 10.0));
	json_object_set_new(j, "level", json_string(level(s->exposure)));
	json_object_set_new(j, "open", open_json(s));
	json_object_set_new(j, "uid", json_integer(f->uid));
	json_object_set_new(j, "gid", json_integer(f->gid));
	json_object_set_new(j, "capabilities", json_string(caps));
	json_object_set_new(j, "no_new_privs", json_boolean(f->no_new_privs));
	json_object_set_new(j, "seccomp_mode", json_integer(f->seccomp_mode));
	json_object_set_new(j, "seccomp_filters", json_integer(f->seccomp_filters));
	json_object_set_new(j, "calls_allowed", f->seccomp_mode == 2 && s->has_role ? json_integer(s->calls) : json_null());
	json_object_set_new(j, "threads", json_integer(f->threads));
	json_object_set_new(j, "dumpable", json_boolean(f->is_dumpable));
	json_object_set_new(j, "rss_kib", json_integer((json_int_t)f->rss_kib));
	json_object_set_new(j, "limit_processes", limit_json(f->limit_nproc));
	json_object_set_new(j, "limit_files", limit_json(f->limit_nofile));
	json_object_set_new(j, "limit_address_space_bytes", limit_json(f->limit_as));
	json_object_set_new(j, "visible", json_boolean(f->is_visible));
	if (f->is_visible)
		add_hidden(j, f);
	return j;
}

static int print_json(const struct machine *m, const char *name)
{
	json_t *j = json_object(), *list = json_array();

	for (unsigned i = 0; i < m->count; i++)
		json_array_append_new(list, subject_json(&m->list[i]));
	json_object_set_new(j, "schema", json_integer(1));
	json_object_set_new(j, "name", json_string(name));
	json_object_set_new(j, "processes", list);
	return output_json(j);
}

int cmd_security(int argc, char **argv)
{
	static struct machine m;
	struct machine_ref ref;
	struct cli_args args;
	int rc = cli_parse(COMMAND_SECURITY, &args, argc, argv), keeper;

	if (!rc)
		rc = client_find(args.words[0], &ref);
	if (rc)
		return rc;
	keeper = client_keeper_pid(ref.path);
	if (keeper > 0)
		gather(&m, keeper);
	gather_external(&m, ref.path);
	if (!m.count) {
		fprintf(stderr, "bulkhead: the processes of %s cannot be found in /proc\n", ref.name);
		return EXIT_FAILED;
	}
	return args.json ? print_json(&m, ref.name) : print_people(&m, ref.name);
}
