/* SPDX-License-Identifier: MIT */
/*
 * Build-time program: compiles sandbox_table.c with libseccomp into BPF and writes it as C, one filter per role and
 * phase, and the names of all system calls for the SIGSYS handler.
 */
#include "sandbox_table.h"

#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LAST_CALL = 470 };

static int die(const char *what, const char *name, int rc)
{
	fprintf(stderr, "sandbox_gen: %s %s: %s\n", what, name, strerror(-rc));
	exit(1);
}

/* An unconditional refusal would swallow the conditional rows of the same call that a filter also holds. */
static bool is_overruled(const struct sandbox_rule *rule, enum sandbox_role role, enum sandbox_phase phase)
{
	if (!rule->deny_errno)
		return false;
	for (unsigned i = 0; i < sandbox_rule_count; i++) {
		const struct sandbox_rule *other = &sandbox_rules[i];

		if (!other->deny_errno && !strcmp(other->call, rule->call) && sandbox_rule_applies(other, role, phase))
			return !rule->conds[0].mask;
	}
	return false;
}

static void add_rule(scmp_filter_ctx ctx, const struct sandbox_rule *rule)
{
	struct scmp_arg_cmp cmp[SANDBOX_MAX_CONDS];
	unsigned n = 0;
	int call = seccomp_syscall_resolve_name(rule->call), rc;

	/*
	 * Calls newer than the library have no name there, and old ones no number on new architectures (negative ones
	 * stand for them); they are refused like every unknown one.
	 */
	if (call < 0) {
		fprintf(stderr, "sandbox_gen: libseccomp does not know %s here, left out\n", rule->call);
		return;
	}
	for (; n < SANDBOX_MAX_CONDS && rule->conds[n].mask; n++)
		cmp[n] = SCMP_CMP(rule->conds[n].arg, SCMP_CMP_MASKED_EQ, rule->conds[n].mask, rule->conds[n].value);
	rc = seccomp_rule_add_exact_array(ctx, rule->deny_errno ? SCMP_ACT_ERRNO((uint32_t)rule->deny_errno) : SCMP_ACT_ALLOW,
					  call, n, cmp);
	if (rc < 0 && rc != -EEXIST)
		die("rule", rule->call, rc);
}

static void write_filter(FILE *out, enum sandbox_role role, enum sandbox_phase phase)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int fd = memfd_create("bpf", 0), rc;
	struct sock_filter insn;

	if (!ctx || fd < 0)
		die("init", sandbox_role_name(role), -errno);
	seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (unsigned i = 0; i < sandbox_rule_count; i++)
		if (sandbox_rule_applies(&sandbox_rules[i], role, phase) && !is_overruled(&sandbox_rules[i], role, phase))
			add_rule(ctx, &sandbox_rules[i]);
	rc = seccomp_export_bpf(ctx, fd);
	if (rc < 0)
		die("export", sandbox_role_name(role), rc);
	lseek(fd, 0, SEEK_SET);
	fprintf(out, "static const struct sock_filter filter_%d_%d[] = {\n", (int)role, (int)phase);
	while (read(fd, &insn, sizeof(insn)) == sizeof(insn))
		fprintf(out, "\t{ 0x%04x, %u, %u, 0x%08x },\n", insn.code, insn.jt, insn.jf, insn.k);
	fprintf(out, "};\n");
	close(fd);
	seccomp_release(ctx);
}

static void write_index(FILE *out)
{
	fprintf(out, "const struct sandbox_filter sandbox_filters[SANDBOX_ROLES][%d] = {\n", SANDBOX_PHASES);
	for (int r = 0; r < SANDBOX_ROLES; r++) {
		fprintf(out, "\t{");
		for (int p = 0; p < SANDBOX_PHASES; p++)
			fprintf(out, " { filter_%d_%d, sizeof(filter_%d_%d) / sizeof(struct sock_filter) },", r, p, r, p);
		fprintf(out, " },\n");
	}
	fprintf(out, "};\n");
}

static void write_names(FILE *out)
{
	fprintf(out, "const char *const sandbox_call_names[%d] = {\n", LAST_CALL);
	for (int i = 0; i < LAST_CALL; i++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);

		if (name)
			fprintf(out, "\t[%d] = \"%s\",\n", i, name);
		free(name);
	}
	fprintf(out, "};\nconst long sandbox_call_count = %d;\n", LAST_CALL);
}

int main(int argc, char **argv)
{
	FILE *out = argc == 2 ? fopen(argv[1], "w") : NULL;

	if (!out) {
		fprintf(stderr, "usage: sandbox_gen OUTPUT.c\n");
		return 2;
	}
	fprintf(out, "/* Written by sandbox_gen from sandbox_table.c. */\n#include \"proto/sandbox_filters.h\"\n");
	for (int r = 0; r < SANDBOX_ROLES; r++)
		for (int p = 0; p < SANDBOX_PHASES; p++)
			write_filter(out, (enum sandbox_role)r, (enum sandbox_phase)p);
	write_index(out);
	write_names(out);
	return fclose(out) ? 1 : 0;
}
