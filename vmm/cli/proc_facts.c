/* SPDX-License-Identifier: MIT */
/* Reading /proc: proc_facts.h. */
#include "proc_facts.h"

#include "../../proto/text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

const char *const fact_ns_names[FACT_NAMESPACES] = { "user", "pid", "mnt", "net", "ipc", "uts", "cgroup" };
const char *const fact_fd_names[FACT_FDS] = { "null", "pipe", "socket", "memfd", "kvm", "anonymous", "file" };

static FILE *open_file(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return fopen(path, "re");
}

/* ---- status ---------------------------------------------------------------------------------- */

static void take_status_line(struct proc_facts *f, const char *key, const char *value)
{
	if (!strcmp(key, "Name")) {
		sscanf(value, "%16s", f->comm);
		text_clean(f->comm, TEXT_ONE_LINE); /* a process chooses it */
	} else if (!strcmp(key, "PPid"))
		f->parent = atoi(value);
	else if (!strcmp(key, "Uid"))
		f->uid = (uint32_t)strtoul(value, NULL, 10);
	else if (!strcmp(key, "Gid"))
		f->gid = (uint32_t)strtoul(value, NULL, 10);
	else if (!strcmp(key, "CapEff") || !strcmp(key, "CapPrm"))
		f->caps |= strtoull(value, NULL, 16);
	else if (!strcmp(key, "NoNewPrivs"))
		f->no_new_privs = atoi(value) == 1;
	else if (!strcmp(key, "Seccomp"))
		f->seccomp_mode = (unsigned)atoi(value);
	else if (!strcmp(key, "Seccomp_filters"))
		f->seccomp_filters = (unsigned)atoi(value);
	else if (!strcmp(key, "Threads"))
		f->threads = (unsigned)atoi(value);
	else if (!strcmp(key, "VmRSS"))
		f->rss_kib = strtoull(value, NULL, 10);
}

static int read_status(struct proc_facts *f)
{
	FILE *in = open_file(f->pid, "status");
	char line[256], *colon;

	if (!in)
		return -ESRCH;
	while (fgets(line, sizeof(line), in)) {
		colon = strchr(line, ':');
		if (!colon)
			continue;
		*colon = 0;
		take_status_line(f, line, colon + 1);
	}
	fclose(in);
	return 0;
}

/* ---- what only root and the owner of a dumpable process see ---------------------------------- */

static bool read_namespaces(struct proc_facts *f)
{
	char path[64], theirs[64], ours[64];

	for (unsigned i = 0; i < FACT_NAMESPACES; i++) {
		ssize_t n, m;

		snprintf(path, sizeof(path), "/proc/%d/ns/%s", f->pid, fact_ns_names[i]);
		n = readlink(path, theirs, sizeof(theirs));
		snprintf(path, sizeof(path), "/proc/self/ns/%s", fact_ns_names[i]);
		m = readlink(path, ours, sizeof(ours));
		if (n < 0)
			return false;
		f->ns_private[i] = n != m || memcmp(theirs, ours, (size_t)n) != 0;
	}
	return true;
}

static bool read_root(struct proc_facts *f)
{
	char path[64];
	struct statvfs st;
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/root/", f->pid);
	dir = opendir(path);
	if (!dir)
		return false;
	f->root_empty = true;
	while ((e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			f->root_empty = false;
	f->root_read_only = fstatvfs(dirfd(dir), &st) == 0 && (st.f_flag & ST_RDONLY);
	closedir(dir);
	return true;
}

static enum fact_fd fd_kind(const char *target)
{
	static const struct {
		const char *prefix;
		enum fact_fd kind;
	} kinds[] = {
		{ "/dev/null", FACT_FD_NULL },	 { "pipe:", FACT_FD_PIPE },   { "socket:", FACT_FD_SOCKET },
		{ "/memfd:", FACT_FD_MEMFD },	 { "/dev/kvm", FACT_FD_KVM }, { "anon_inode:kvm-", FACT_FD_KVM },
		{ "anon_inode:", FACT_FD_ANON },
	};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strncmp(target, kinds[i].prefix, strlen(kinds[i].prefix)))
			return kinds[i].kind;
	return FACT_FD_FILE;
}

static bool read_fds(struct proc_facts *f)
{
	char path[64], target[256];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", f->pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while ((e = readdir(dir))) {
		ssize_t n =
			isdigit((unsigned char)e->d_name[0]) ? readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1) : -1;

		if (n < 0)
			continue;
		target[n] = 0;
		f->fds[fd_kind(target)]++;
	}
	closedir(dir);
	return true;
}

static void take_mapping(struct proc_facts *f, const char *perms, const char *name)
{
	static const char prefix[] = "/memfd:bulkhead-";
	bool writable = perms[1] == 'w', shared = perms[3] == 's';

	f->has_wx_memory |= writable && perms[2] == 'x';
	if (strncmp(name, prefix, sizeof(prefix) - 1))
		return;
	name += sizeof(prefix) - 1;
	f->maps_guest_memory |= !strncmp(name, "ram", 3);
	if (writable && shared && f->writable_count < FACT_OBJECTS) {
		char *object = f->writable[f->writable_count++];

		snprintf(object, FACT_OBJECT_LEN, "%.*s", (int)strcspn(name, ". \n"), name);
		text_clean(object, TEXT_ONE_LINE);
	}
}

static bool read_maps(struct proc_facts *f)
{
	FILE *in = open_file(f->pid, "maps");
	char line[512], perms[5], name[256];

	if (!in)
		return false;
	while (fgets(line, sizeof(line), in)) {
		name[0] = 0;
		if (sscanf(line, "%*s %4s %*s %*s %*s %255s", perms, name) >= 1)
			take_mapping(f, perms, name);
	}
	fclose(in);
	return true;
}

static uint64_t limit_value(const char *line, const char *name)
{
	const char *at = line + strlen(name) + strspn(line + strlen(name), " ");

	return isdigit((unsigned char)*at) ? strtoull(at, NULL, 10) : UINT64_MAX;
}

static void read_limits(struct proc_facts *f)
{
	struct {
		const char *name;
		uint64_t *value;
	} limits[] = {
		{ "Max processes", &f->limit_nproc },
		{ "Max open files", &f->limit_nofile },
		{ "Max address space", &f->limit_as },
	};
	FILE *in = open_file(f->pid, "limits");
	char line[160];

	while (in && fgets(line, sizeof(line), in))
		for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
			if (!strncmp(line, limits[i].name, strlen(limits[i].name)))
				*limits[i].value = limit_value(line, limits[i].name);
	if (in)
		fclose(in);
}

/* The files of a process that is not dumpable belong to root, whoever it runs as. */
static void read_dumpable(struct proc_facts *f)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/maps", f->pid);
	f->is_dumpable = f->uid != 0 && stat(path, &st) == 0 && st.st_uid == f->uid;
}

int proc_facts_read(pid_t pid, struct proc_facts *f)
{
	int rc;

	*f = (struct proc_facts){ .pid = pid, .limit_nproc = UINT64_MAX, .limit_nofile = UINT64_MAX, .limit_as = UINT64_MAX };
	rc = read_status(f);
	if (rc)
		return rc;
	read_dumpable(f);
	read_limits(f);
	f->is_visible = read_namespaces(f) && read_root(f) && read_fds(f) && read_maps(f);
	return 0;
}

void proc_facts_children(pid_t parent, void (*visit)(void *ctx, pid_t pid), void *ctx)
{
	struct dirent *e;
	DIR *dir = opendir("/proc");

	while (dir && (e = readdir(dir))) {
		struct proc_facts f = { .pid = atoi(e->d_name) };

		if (f.pid > 0 && read_status(&f) == 0 && f.parent == parent)
			visit(ctx, f.pid);
	}
	if (dir)
		closedir(dir);
}
