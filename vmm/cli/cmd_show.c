/* SPDX-License-Identifier: MIT */
/* bulkhead list, status: for people, or as JSON (add-only, units in names). */
#include "cli.h"

#include "client.h"
#include "ended.h"
#include "output.h"
#include "picture.h"
#include "sample_json.h"
#include "../common/exit_codes.h"

#include "../../proto/clock.h"
#include "../../proto/control_check.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ANSWER_MS = 2000 };

/* NULL: the machine does not answer. */
static const Bulkhead__Status *ask(const char *dir, int *rc)
{
	*rc = client_call(dir, BULKHEAD__MESSAGE_TYPE__MSG_STATUS, NULL, -1, ANSWER_MS, &client_frame);
	return *rc ? NULL : ((const Bulkhead__Ok *)client_frame.msg)->status;
}

static json_t *text(const char *s)
{
	json_t *j = s ? json_string(s) : NULL;

	return j ? j : json_null();
}

static json_t *number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

/* Every number of Stats, by its name in control.proto. */
static json_t *stats_json(const Bulkhead__Stats *s)
{
	const ProtobufCMessageDescriptor *d = &bulkhead__stats__descriptor;
	json_t *j = json_object();

	for (unsigned i = 0; s && i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		const char *base = (const char *)s;

		if (f->type == PROTOBUF_C_TYPE_UINT64 && *(const protobuf_c_boolean *)(base + f->quantifier_offset))
			json_object_set_new(j, f->name, number(*(const uint64_t *)(base + f->offset)));
	}
	return j;
}

/* Times are null while nothing has died. */
static void add_recovery(json_t *j, const Bulkhead__ProcessStatus *p)
{
	json_t *poison = json_array();

	json_object_set_new(j, "deaths", number(p->deaths));
	json_object_set_new(j, "died_monotonic_ns", p->deaths ? number(p->died_monotonic_ns) : json_null());
	json_object_set_new(j, "died_realtime_ns", p->deaths ? number(p->died_realtime_ns) : json_null());
	json_object_set_new(j, "recovery_ns", p->recovery_ns ? number(p->recovery_ns) : json_null());
	json_object_set_new(j, "deaths_without_progress", number(p->fruitless));
	json_object_set_new(j, "restarts_held_back", number(p->held_back));
	json_object_set_new(j, "away_ns", number(p->away_ns));
	json_object_set_new(j, "restart_cpu_ns", number(p->restart_cpu_ns));
	for (size_t i = 0; i < p->n_poison; i++)
		json_array_append_new(poison, text(p->poison[i]));
	json_object_set_new(j, "skipped_requests", poison);
}

static const char *process_name(const Bulkhead__ProcessStatus *p)
{
	const char *role = control_role_name(p->role);

	return p->name ? p->name : role ? role : "?";
}

/* Processes that hold a machine together, and that no supervisor asks for numbers. */
static bool is_around(const struct usage_row *row)
{
	static const char *const names[] = { "keeper",		"logger",     "dialler", "exporter",
					     "qemu-storage-da", "supervisor", "spawner", "traced" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(row->name, names[i]))
			return true;
	return false;
}

static json_t *around_json(const struct usage_row *row)
{
	json_t *j = json_object();

	json_object_set_new(j, "role", text(row->name));
	json_object_set_new(j, "pid", number((uint64_t)row->pid));
	json_object_set_new(j, "incarnation", number(1));
	json_object_set_new(j, "state", text("running"));
	json_object_set_new(j, "last_reason", json_null());
	json_object_set_new(j, "stats", json_object());
	sample_add_usage(j, row);
	return j;
}

static json_t *process_json(const Bulkhead__ProcessStatus *p, const struct usage *usage)
{
	json_t *j = json_object();

	json_object_set_new(j, "role", text(process_name(p)));
	/* Not 0: to kill(2) that is the process group of whoever calls. */
	json_object_set_new(j, "pid", p->pid ? number(p->pid) : json_null());
	json_object_set_new(j, "incarnation", number(p->incarnation));
	json_object_set_new(j, "state", text(p->state));
	json_object_set_new(j, "version", p->version && *p->version ? text(p->version) : json_null());
	json_object_set_new(j, "capture", p->capture ? text(p->capture) : json_null());
	json_object_set_new(j, "external", p->external ? text(p->external) : json_null());
	json_object_set_new(j, "last_reason", text(p->last_reason));
	json_object_set_new(j, "stats", stats_json(p->stats));
	sample_add_usage(j, usage_find(usage, (pid_t)p->pid));
	if (p->has_deaths)
		add_recovery(j, p);
	return j;
}

static bool is_given_up(const Bulkhead__ProcessStatus *p)
{
	return p->state && !strcmp(p->state, "given up");
}

static json_t *given_up_json(const Bulkhead__Status *s)
{
	json_t *list = json_array();

	for (size_t i = 0; s && i < s->n_processes; i++)
		if (is_given_up(s->processes[i]))
			json_array_append_new(list, text(control_role_name(s->processes[i]->role)));
	return list;
}

/* "2:pty /run/bulkhead/vm1/com2", ... */
static json_t *serial_json(const Bulkhead__Status *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_serial; i++)
		json_array_append_new(list, text(s->serial[i]));
	return list;
}

static uint64_t uptime_ns(const Bulkhead__Status *s)
{
	struct timespec now;
	uint64_t ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
	return ns > s->started_ns ? ns - s->started_ns : 0;
}

static json_t *status_json(const char *name, const char *dir, const Bulkhead__Status *s)
{
	json_t *j = json_object(), *list = json_array(), *missing = json_array(), *features = json_array();

	const pid_t keeper = client_keeper_pid(dir);
	struct usage usage;

	usage_read(keeper, true, &usage);
	json_object_set_new(j, "schema", number(1));
	json_object_set_new(j, "name", text(name));
	json_object_set_new(j, "directory", text(dir));
	json_object_set_new(j, "keeper_pid", number((uint64_t)keeper));
	json_object_set_new(j, "state", text(s ? s->state : "not answering"));
	for (size_t i = 0; s && i < s->n_processes; i++)
		json_array_append_new(list, process_json(s->processes[i], &usage));
	for (unsigned i = 0; i < usage.count; i++)
		if (is_around(&usage.of[i]))
			json_array_append_new(list, around_json(&usage.of[i]));
	for (size_t i = 0; s && i < s->n_sandbox_missing; i++)
		json_array_append_new(missing, text(s->sandbox_missing[i]));
	for (size_t i = 0; s && i < s->n_cpu_features; i++)
		json_array_append_new(features, text(s->cpu_features[i]));
	if (s) {
		json_object_set_new(j, "cpu", text(s->cpu));
		json_object_set_new(j, "cpu_features", json_incref(features));
		json_object_set_new(j, "engine", text(s->engine));
		json_object_set_new(j, "engine_reason", text(s->engine_reason));
		if (s->has_fallbacks)
			json_object_set_new(j, "fallbacks", number(s->fallbacks));
		json_object_set_new(j, "sandbox", text(s->sandbox));
		json_object_set_new(j, "ram_bytes", number(s->ram_bytes));
		json_object_set_new(j, "cpus", number(s->vcpus));
		json_object_set_new(j, "sockets", number(s->sockets));
		json_object_set_new(j, "cores_per_socket", number(s->cores));
		json_object_set_new(j, "threads_per_core", number(s->threads));
		json_object_set_new(j, "started_ns", number(s->started_ns));
		json_object_set_new(j, "uptime_ns", number(uptime_ns(s)));
		json_object_set_new(j, "kernel", text(s->kernel));
		if (s->firmware_reason)
			json_object_set_new(j, "firmware_reason", text(s->firmware_reason));
		json_object_set_new(j, "reboots", number(s->reboots));
		json_object_set_new(j, "console", text(s->console));
		json_object_set_new(j, "serial", serial_json(s));
	}
	json_object_set_new(j, "given_up", given_up_json(s));
	json_object_set_new(j, "was_given_up", json_boolean(s && s->gave_up));
	json_object_set_new(j, "processes", list);
	json_object_set_new(j, "sandbox_missing", missing);
	json_decref(features);
	return j;
}

/* "running", "running without seriald (given up)". */
static const char *describe_state(const Bulkhead__Status *s)
{
	static char out[200];
	const char *separator = " without ";
	size_t len = (size_t)snprintf(out, sizeof(out), "%s", s->state ? s->state : "?");

	for (size_t i = 0; i < s->n_processes && len < sizeof(out); i++)
		if (is_given_up(s->processes[i])) {
			const char *name = control_role_name(s->processes[i]->role);

			len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s", separator, name ? name : "?");
			separator = ", ";
		}
	if (s->gave_up && len < sizeof(out))
		snprintf(out + len, sizeof(out) - len, *separator == ',' ? " (given up)" : " (a device was given up before)");
	return out;
}

/* Deaths that were answered, and what that has cost guest and host. */
static void print_restarts(const Bulkhead__Status *s)
{
	for (size_t i = 0; i < s->n_processes; i++) {
		const Bulkhead__ProcessStatus *p = s->processes[i];
		const char *role = control_role_name(p->role);

		if (!p->deaths)
			continue;
		printf("\n  %s has died %u times (%u in a row without progress); away for %.1f s, restarts took %.1f s of a "
		       "processor, %u were held back\n    the latest: %s\n",
		       role ? role : "?", p->deaths, p->fruitless, (double)p->away_ns / 1e9, (double)p->restart_cpu_ns / 1e9,
		       p->held_back, p->last_reason ? p->last_reason : "?");
		if (p->capture)
			printf("    what it was then: %s\n", p->capture);
	}
}

/* A guest that waits for a disk looks like one that hangs. */
static void print_disk_wait(const Bulkhead__ProcessStatus *p)
{
	const uint64_t seconds = p->stats ? p->stats->disk_waits_ns / CLOCK_NS_PER_S : 0;

	if (seconds)
		printf("\n  %s: the host's disk has not answered for %llu s, and the guest waits\n", process_name(p),
		       (unsigned long long)seconds);
}

/* Errors of the host that guests were told of. */
static void print_disk_errors(const Bulkhead__Status *s)
{
	for (size_t i = 0; i < s->n_processes; i++) {
		const Bulkhead__ProcessStatus *p = s->processes[i];

		print_disk_wait(p);
		if (p->stats && p->stats->disk_errors)
			printf("\n  %s: %llu requests of the guest's failed on the host, and the guest was told so: bulkhead log "
			       "says why\n",
			       process_name(p), (unsigned long long)p->stats->disk_errors);
	}
}

static void print_process(const char *name, uint64_t pid, const char *state, const struct usage_row *row,
			  const Bulkhead__Stats *stats)
{
	const Bulkhead__Stats none = BULKHEAD__STATS__INIT, *n = stats ? stats : &none;

	printf("  %-10s %8llu  %-10s ", name, (unsigned long long)pid, state ? state : "?");
	if (row)
		printf("%8.2f %8.1f ", (double)row->cpu_ns / 1e9, (double)row->rss_bytes / 1048576.0);
	else
		printf("%8s %8s ", "-", "-");
	if (row && row->has_pss)
		printf("%8.1f ", (double)row->pss_bytes / 1048576.0);
	else
		printf("%8s ", "-");
	printf("%10llu %10llu %8llu\n", (unsigned long long)n->requests, (unsigned long long)n->synchronous,
	       (unsigned long long)n->sleeps);
}

static void print_processes(const Bulkhead__Status *s, pid_t keeper)
{
	struct usage usage;

	usage_read(keeper, true, &usage);
	printf("\n  %-10s %8s  %-10s %8s %8s %8s %10s %10s %8s\n", "process", "pid", "state", "CPU s", "RSS MiB", "PSS MiB",
	       "requests", "waited for", "sleeps");
	for (unsigned i = 0; i < usage.count; i++)
		if (is_around(&usage.of[i]))
			print_process(usage.of[i].name, (uint64_t)usage.of[i].pid, "running", &usage.of[i], NULL);
	for (size_t i = 0; i < s->n_processes; i++) {
		const Bulkhead__ProcessStatus *p = s->processes[i];

		print_process(process_name(p), p->pid, p->state, usage_find(&usage, (pid_t)p->pid), p->stats);
	}
}

static void print_sandbox(const Bulkhead__Status *s)
{
	bool color = picture_has_color(stdout);

	printf("  sandbox   ");
	picture_sandbox(stdout, s->sandbox ? s->sandbox : "-", color);
	printf("\n");
	for (size_t i = 0; i < s->n_sandbox_missing; i++)
		printf("  %ssandbox without: %s%s\n", color ? "\033[31m" : "", s->sandbox_missing[i], color ? "\033[0m" : "");
}

/* Those that somebody else has started. */
static void print_externals(const Bulkhead__Status *s)
{
	const char *separator = "\n";

	for (size_t i = 0; i < s->n_processes; i++) {
		const Bulkhead__ProcessStatus *p = s->processes[i];

		if (!p->external)
			continue;
		printf("%s  %s is somebody else's process, version %s, at %s\n", separator, process_name(p),
		       p->version && *p->version ? p->version : "unknown", p->external);
		separator = "";
		if (p->state && strcmp(p->state, "running") && p->last_reason)
			printf("    %s\n", p->last_reason);
	}
}

static void print_status(const Bulkhead__Status *s, const char *dir)
{
	time_t started = (time_t)(s->started_ns / 1000000000ull);
	unsigned long long up = uptime_ns(s) / 1000000000ull;
	char when[64] = "?";
	struct tm tm;

	if (localtime_r(&started, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s: %s\n  engine    %s (%s)\n  cpu       %s\n  cpus      %u (%u of %u of %u: sockets, cores, threads)\n  memory  "
	       "  "
	       "%llu MiB\n  kernel    %s%s%s%s\n  started   %s\n"
	       "  uptime    %llu:%02llu:%02llu\n  reboots   %u\n  console   %s\n",
	       s->name, describe_state(s), s->engine, s->engine_reason ? s->engine_reason : "-", s->cpu ? s->cpu : "-", s->vcpus,
	       s->sockets, s->cores, s->threads, (unsigned long long)(s->ram_bytes >> 20), s->kernel ? s->kernel : "-",
	       s->firmware_reason ? " (" : "", s->firmware_reason ? s->firmware_reason : "", s->firmware_reason ? ")" : "", when,
	       up / 3600, up / 60 % 60, up % 60, s->reboots, s->console ? s->console : "-");
	if (s->fallbacks)
		printf("  fallback  KVM has left %llu instructions to the emulator\n", (unsigned long long)s->fallbacks);
	for (size_t i = 0; i < s->n_serial; i++)
		printf("  serial    %s\n", s->serial[i]);
	print_sandbox(s);
	print_processes(s, client_keeper_pid(dir));
	print_externals(s);
	print_restarts(s);
	print_disk_errors(s);
}

static int show_ended(const struct machine_ref *ref, bool as_json)
{
	json_t *record = ended_load(ref);

	if (!record)
		return client_not_found(ref->name);
	if (as_json)
		return output_json(record);
	ended_print(record);
	json_decref(record);
	return EXIT_OK;
}

int cmd_status(int argc, char **argv)
{
	const Bulkhead__Status *s;
	struct machine_ref ref;
	struct cli_args args;
	int rc = cli_parse(COMMAND_STATUS, &args, argc, argv), code;

	if (!rc)
		rc = client_locate(args.words[0], &ref);
	if (rc)
		return rc;
	if (!rundir_is_alive(ref.path))
		return show_ended(&ref, args.json);
	s = ask(ref.path, &rc);
	if (!s && client_is_over(&ref, rc))
		return show_ended(&ref, args.json);
	if (args.json) {
		code = output_json(status_json(ref.name, ref.path, s));
		return s ? code : client_complain(ref.name, &client_frame, rc);
	}
	if (!s)
		return client_complain(ref.name, &client_frame, rc);
	print_status(s, ref.path);
	return EXIT_OK;
}

struct listing {
	json_t *json; /* NULL: for people */
	unsigned count;
};

static void print_head(struct listing *l)
{
	if (!l->count++)
		printf("%-20s %-14s %-6s %-8s %10s  %s\n", "NAME", "STATE", "ENGINE", "SANDBOX", "MEMORY", "KERNEL");
}

static void list_one(void *ctx, const char *name, const char *path)
{
	struct listing *l = ctx;
	int rc;
	const Bulkhead__Status *s = ask(path, &rc);

	if (l->json) {
		json_array_append_new(l->json, status_json(name, path, s));
		return;
	}
	print_head(l);
	printf("%-20s %-14s %-6s %-8s %7llu MiB  %s\n", name, s ? describe_state(s) : "not answering", s ? s->engine : "-",
	       s && s->sandbox ? s->sandbox : "-", (unsigned long long)(s ? s->ram_bytes >> 20 : 0),
	       s && s->kernel ? s->kernel : "-");
}

static void list_ended(void *ctx, const json_t *record)
{
	struct listing *l = ctx;
	char state[60];

	if (l->json) {
		json_array_append_new(l->json, ended_summary(record));
		return;
	}
	print_head(l);
	snprintf(state, sizeof(state), "ended: %.30s, code %d", ended_text(record, "reason"), ended_code(record));
	printf("%-20s %s\n", ended_text(record, "name"), state);
}

int cmd_list(int argc, char **argv)
{
	struct listing l = { 0 };
	struct cli_args args;
	int rc = cli_parse(COMMAND_LIST, &args, argc, argv);

	if (rc)
		return rc;
	if (args.json)
		l.json = json_array();
	rundir_each(NULL, list_one, &l);
	if (args.all)
		ended_records(list_ended, &l);
	if (l.json)
		return output_json(l.json);
	if (!l.count)
		fprintf(stderr, args.all ? "no machine is running, and none has left a record\n"
					 : "no machine is running; bulkhead demo shows one\n");
	return EXIT_OK;
}
