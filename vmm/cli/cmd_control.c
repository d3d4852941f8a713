/* SPDX-License-Identifier: MIT */
/* bulkhead stop, kill, wait. */
#include "cli.h"

#include "client.h"
#include "ended.h"
#include "../common/exit_codes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long the supervisor needs at most: to deliver what the guest printed last, or none of that. And some more. */
enum { DRAIN_MS = 12000, FORCED_MS = 1000, MARGIN_MS = 5000, FOREVER_MS = 0x7fffffff };

static int stop_ms(const struct cli_args *args)
{
	if (args->force)
		return FORCED_MS + MARGIN_MS;
	return args->timeout_ms < FOREVER_MS - DRAIN_MS - MARGIN_MS ? (int)args->timeout_ms + DRAIN_MS + MARGIN_MS : FOREVER_MS;
}

int cmd_stop(int argc, char **argv)
{
	Bulkhead__Stop m = BULKHEAD__STOP__INIT;
	struct machine_ref ref;
	struct cli_args args;
	int rc = cli_parse(COMMAND_STOP, &args, argc, argv);

	if (!rc)
		rc = client_find(args.words[0], &ref);
	if (rc)
		return rc;
	m.has_timeout_ms = m.has_force = true;
	m.timeout_ms = args.timeout_ms;
	m.force = args.force;
	rc = client_call(ref.path, BULKHEAD__MESSAGE_TYPE__MSG_STOP, &m.base, -1, stop_ms(&args), &client_frame);
	if (rc && rc != -ECONNRESET && rundir_is_alive(ref.path))
		return client_complain(ref.name, &client_frame, rc);
	client_wait_gone(&ref);
	return EXIT_OK;
}

/* Asks first, so that waiting clients hear of it; a supervisor that does not listen is ended with its keeper, which is
 * whoever listens at the socket that did not answer: a pid that is written down somewhere could be anybody's. */
int cmd_kill(int argc, char **argv)
{
	struct machine_ref ref;
	struct cli_args args;
	int rc = cli_parse(COMMAND_KILL, &args, argc, argv);

	if (!rc)
		rc = client_find(args.words[0], &ref);
	if (rc)
		return rc;
	rc = client_call(ref.path, BULKHEAD__MESSAGE_TYPE__MSG_KILL, NULL, -1, 2000, &client_frame);
	if (rc && rc != -ECONNRESET && rundir_is_alive(ref.path)) {
		rc = client_kill_keeper(ref.path);
		if (rc && rc != -ESRCH)
			return client_complain(ref.name, &client_frame, rc);
	}
	client_wait_gone(&ref);
	rundir_each(NULL, NULL, NULL);
	/* A directory can be made to look alive by anybody who can write there. */
	return rc == -ESRCH && rundir_is_alive(ref.path) ? client_complain(ref.name, &client_frame, rc) : EXIT_OK;
}

/* Of a machine that is no more: what its keeper has written down. */
static int hear_of_it(const struct machine_ref *ref)
{
	json_t *record = ended_load(ref);
	int code;

	if (!record)
		return client_not_found(ref->name);
	ended_tell(record);
	code = ended_code(record);
	json_decref(record);
	return code;
}

static int tell_end(const struct machine_ref *ref, const Bulkhead__ExitInfo *info)
{
	fprintf(stderr, "%s: %s%s%s\n", ref->name, info->reason ? info->reason : "ended", info->text && *info->text ? ": " : "",
		info->text ? info->text : "");
	return (int)(info->code & 0xff);
}

/* A machine may end before it is asked, while it is asked, or without an answer: then its record knows. */
int cmd_wait(int argc, char **argv)
{
	const Bulkhead__ExitInfo *info = NULL;
	struct machine_ref ref;
	struct cli_args args;
	int rc = cli_parse(COMMAND_WAIT, &args, argc, argv);

	if (!rc)
		rc = client_locate(args.words[0], &ref);
	if (rc)
		return rc;
	if (!rundir_is_alive(ref.path))
		return hear_of_it(&ref);
	rc = client_call(ref.path, BULKHEAD__MESSAGE_TYPE__MSG_WAIT, NULL, -1, FOREVER_MS, &client_frame);
	if (!rc)
		info = ((const Bulkhead__Ok *)client_frame.msg)->exit;
	if (client_is_over(&ref, rc))
		return info ? tell_end(&ref, info) : hear_of_it(&ref);
	if (info)
		return tell_end(&ref, info);
	rc = client_complain(ref.name, &client_frame, rc);
	return rc == EXIT_FAILED ? EXIT_INTERNAL : rc;
}

/* The guest stands still for some milliseconds; a supervisor that is busy with a slow one takes its time. */
enum { ENGINE_MS = 60000 };

int cmd_engine(int argc, char **argv)
{
	Bulkhead__Engine m = BULKHEAD__ENGINE__INIT;
	struct machine_ref ref;
	struct cli_args args;
	int rc = cli_parse(COMMAND_ENGINE, &args, argc, argv);

	if (!rc)
		rc = client_find(args.words[0], &ref);
	if (rc)
		return rc;
	m.engine = (char *)args.words[1];
	m.has_force = true;
	m.force = args.force;
	rc = client_call(ref.path, BULKHEAD__MESSAGE_TYPE__MSG_ENGINE, &m.base, -1, ENGINE_MS, &client_frame);
	if (rc && client_is_over(&ref, rc)) /* the guest has left in the middle of it */
		return client_find(args.words[0], &ref) ? EXIT_NOT_FOUND : EXIT_FAILED;
	return rc ? client_complain(ref.name, &client_frame, rc) : EXIT_OK;
}
