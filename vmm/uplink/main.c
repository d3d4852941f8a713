/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-uplinkd: started by whoever opens what is behind a network card (proto/net_open.h), with frames and report open.
 * Arguments: the value of --net, whose card it is, and how much of a fence (enum sandbox_mode).
 */
#include "uplink.h"
#include "fence.h"

#include "../common/title.h"

#include "../../proto/net_open.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_WRONG = 2, ARGUMENTS = 4 };

static bool has_reported;

/* Once, by the first that works: who comes after it has nobody to tell. */
static void report(const char *why)
{
	if (has_reported)
		return;
	has_reported = true;
	if (write(UPLINK_REPORT, why ? why : "", why ? strlen(why) : 1) < 0)
		return; /* who wanted to know is gone, and so will we be */
	close(UPLINK_REPORT);
}

static int work(const struct net_spec *spec, enum sandbox_mode mode)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (sandbox_enter_run(SANDBOX_UPLINKD, mode)) {
		report("the sandbox cannot be entered");
		return EXIT_WRONG;
	}
	return spec->way == NET_USER ? user_serve(spec, report) : pair_serve(spec, report);
}

/* stdio asks for more calls than are left. */
static void tell_death(int number)
{
	char line[128];
	int n = snprintf(line, sizeof(line),
			 "bulkhead-uplinkd: signal %d: the guest's connections are lost; it can make new ones\n", number);

	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nobody reads it */
}

/* What a guest can do to the one that works, costs it its connections, and no more. Not more often than once in a while. */
static int keep_working(const struct net_spec *spec, enum sandbox_mode mode)
{
	for (;;) {
		int status = 0;
		pid_t pid = fork();

		if (!pid)
			_exit(work(spec, mode));
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			return EXIT_WRONG;
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		if (!has_reported)
			close(UPLINK_REPORT);
		has_reported = true;
		tell_death(WTERMSIG(status));
		usleep(100 * 1000);
	}
}

int main(int argc, char **argv)
{
	struct net_spec spec;
	const char *why = "started by hand";
	enum sandbox_mode mode;

	argv = title_init(argc, argv);
	if (!argv || argc != ARGUMENTS || net_parse(argv[1], &spec, &why)) {
		fprintf(stderr, "bulkhead-uplinkd: %s; a machine with --net, and bulkhead-netd, start it\n", why);
		return EXIT_WRONG;
	}
	mode = (enum sandbox_mode)atoi(argv[3]);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	title_set(argv[2], "uplinkd");
	why = uplink_fence(spec.way == NET_USER, mode);
	if (why) {
		report(why);
		return EXIT_WRONG;
	}
	return keep_working(&spec, mode);
}
