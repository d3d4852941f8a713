/* SPDX-License-Identifier: MIT */
/* Prints what makes a shell complete the command line, from the table of options. Usage: gen_completion bash|zsh|fish */
#include "../common/options.h"

#include "../../emu/model/features.h"
#include "../../proto/kind.h"

#include <stdio.h>
#include <string.h>

/* What a shell offers for a value. */
enum offer { OFFER_NOTHING, OFFER_FILES, OFFER_WORDS };

static enum offer offer_of(const struct option_row *row)
{
	if (row->kind == VALUE_FILE || row->kind == VALUE_INITRD)
		return OFFER_FILES;
	return value_is_choice(row->kind) || row->kind == VALUE_CPU ? OFFER_WORDS : OFFER_NOTHING;
}

static bool is_offered(const struct option_row *row, unsigned command)
{
	return row->help && option_is_of(row, (enum command)command);
}

/* "auto|emu|kvm" with another separator. */
static void put_words(const char *list, char separator)
{
	for (; *list; list++)
		putchar(*list == '|' ? separator : *list);
}

/* The words of a value that has some. */
static void put_value_words(const struct option_row *row)
{
	if (row->kind != VALUE_CPU) {
		put_words(row->arg, ' ');
		return;
	}
	for (unsigned b = 0; b < CPU_BASES; b++)
		printf("%s ", cpu_bases[b].name);
	printf("help");
}

/* For single quotes of a shell. zsh takes brackets and colons in a description for its own. */
static void put_quoted(const char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", stdout);
		else if (strchr("[]:", *text))
			printf("\\%c", *text);
		else
			putchar(*text);
}

static void put_plain(const char *text)
{
	for (; *text; text++)
		if (*text == '\'' || *text == '\\')
			printf("\\%c", *text);
		else
			putchar(*text);
}

static void put_devices(void)
{
	char name[KIND_NAME_MAX];

	for (unsigned i = 0; i < KIND_COUNT; i++)
		for (unsigned n = 0; n < kind_rows[i].most; n++) {
			kind_process_name(&kind_rows[i], n, name);
			printf("%s%s", i || n ? " " : "", name);
		}
}

/* What may stand at a place of a command's words. */
static const char *words_at(unsigned command, unsigned place)
{
	const char *operands = command_rows[command].operands;

	for (; place && operands; place--)
		operands = strchr(operands, ' ') ? strchr(operands, ' ') + 1 : NULL;
	return operands && *operands ? operands : NULL;
}

static bool is_word(const char *operand, const char *word)
{
	return operand && !strncmp(operand + (*operand == '['), word, strlen(word));
}

static void put_commands(void)
{
	for (unsigned c = 0; c < COMMANDS; c++)
		printf("%s%s", c ? " " : "", command_rows[c].name);
}

/* compgen's words of a bash case, for an operand. */
static void bash_operand(unsigned command, unsigned place)
{
	const char *operand = words_at(command, place);

	if (!operand)
		return;
	printf("\t%s/%u) ", command_rows[command].name, place);
	if (is_word(operand, "NAME"))
		printf("words=$(_bulkhead_machines)");
	else if (is_word(operand, "DEVICE"))
		printf("words='"), put_devices(), printf("'");
	else if (is_word(operand, "COMMAND"))
		printf("words='"), put_commands(), printf("'");
	else if (is_word(operand, "FILE"))
		printf("files=1");
	else {
		char list[64];

		snprintf(list, sizeof(list), "%.*s", (int)strcspn(operand, " "), operand);
		printf("words='"), put_words(list, ' '), printf("'");
	}
	printf(" ;;\n");
}

static const char bash_head[] =
	"# bash completion for bulkhead; made from its table of options\n"
	"_bulkhead_machines()\n"
	"{\n"
	"\tbulkhead list 2>/dev/null | sed -n '2,$s/ .*//p'\n"
	"}\n\n"
	"_bulkhead()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words= files= place=0 i\n"
	"\tlocal valued=' ";

static const char bash_start[] =
	"'\n"
	"\tCOMPREPLY=()\n"
	"\t[[ $cur == = ]] && cur=\n"
	"\t[[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
	"\tif ((COMP_CWORD == 1)); then\n"
	"\t\tCOMPREPLY=($(compgen -W '";

static const char bash_middle[] =
	"' -- \"$cur\"))\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
	"\t\t[[ ${COMP_WORDS[i]} == [-=]* || ${COMP_WORDS[i-1]} == = || $valued == *\" ${COMP_WORDS[i-1]} \"* ]] || ((place++))\n"
	"\tdone\n"
	"\tcase $command/$prev in\n";

static const char bash_tail[] =
	"\tesac fi\n"
	"\t[[ -z $words ]] || COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	"\t[[ -z $files ]] || COMPREPLY=($(compgen -f -- \"$cur\"))\n"
	"}\n"
	"complete -o filenames -F _bulkhead bulkhead\n";

/* Behind an option: its value. */
static void bash_values(unsigned command)
{
	for (unsigned i = 0; i < option_count; i++) {
		const struct option_row *row = &option_rows[i];

		if (!is_offered(row, command) || !value_is_taken(row->kind))
			continue;
		printf("\t%s/--%s) ", command_rows[command].name, row->name);
		if (offer_of(row) == OFFER_FILES)
			printf("files=1");
		else if (offer_of(row) == OFFER_WORDS)
			printf("words='"), put_value_words(row), printf("'");
		else
			printf("return");
		printf(" ;;\n");
	}
}

static void bash_options(unsigned command)
{
	printf("\t%s) words='", command_rows[command].name);
	for (unsigned i = 0; i < option_count; i++)
		if (is_offered(&option_rows[i], command))
			printf("--%s ", option_rows[i].name);
	printf("' ;;\n");
}

/* A word behind one of these is its value and no operand. */
static void bash_valued(void)
{
	for (unsigned i = 0; i < option_count; i++)
		if (option_rows[i].help && value_is_taken(option_rows[i].kind))
			printf("--%s ", option_rows[i].name);
}

static void bash(void)
{
	printf("%s", bash_head), bash_valued(), printf("%s", bash_start), put_commands(), printf("%s", bash_middle);
	for (unsigned c = 0; c < COMMANDS; c++)
		bash_values(c);
	printf("\tesac\n\tif [[ $cur == -* && -z $words$files ]]; then case $command in\n");
	for (unsigned c = 0; c < COMMANDS; c++)
		bash_options(c);
	printf("\tesac elif [[ -z $words$files ]]; then case $command/$place in\n");
	for (unsigned c = 0; c < COMMANDS; c++)
		for (unsigned place = 0; place < CLI_WORDS; place++)
			bash_operand(c, place);
	printf("%s", bash_tail);
}

/* What zsh's _arguments and fish's -a take for an operand: what makes the list of it. */
static void zsh_operand(const char *operand)
{
	if (is_word(operand, "NAME"))
		printf(" ':machine:_bulkhead_machines'");
	else if (is_word(operand, "DEVICE"))
		printf(" '::device:("), put_devices(), printf(")'");
	else if (is_word(operand, "COMMAND"))
		printf(" '::command:("), put_commands(), printf(")'");
	else if (is_word(operand, "FILE"))
		printf(" ':file:_files'");
	else {
		char list[64];

		snprintf(list, sizeof(list), "%.*s", (int)strcspn(operand, " "), operand);
		printf(" ':what:("), put_words(list, ' '), printf(")'");
	}
}

static void zsh_option(const struct option_row *row)
{
	printf(" '--%s%s[", row->name, value_is_taken(row->kind) ? "=" : "");
	put_quoted(row->help);
	printf("]");
	if (offer_of(row) == OFFER_FILES)
		printf(":file:_files");
	else if (offer_of(row) == OFFER_WORDS)
		printf(":%s:(", row->name), put_value_words(row), printf(")");
	else if (value_is_taken(row->kind))
		printf(":%s: ", row->name);
	printf("'");
}

static void zsh(void)
{
	printf("#compdef bulkhead\n# zsh completion for bulkhead; made from its table of options\n"
	       "_bulkhead_machines()\n{\n\tlocal -a machines\n"
	       "\tmachines=(${(f)\"$(bulkhead list 2>/dev/null | sed -n '2,$s/ .*//p')\"})\n"
	       "\tcompadd -a machines\n}\n\n_bulkhead()\n{\n\tlocal -a commands\n\tcommands=(\n");
	for (unsigned c = 0; c < COMMANDS; c++)
		printf("\t\t'%s:", command_rows[c].name), put_quoted(command_rows[c].summary), printf("'\n");
	printf("\t)\n\tif ((CURRENT == 2)); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n"
	       "\tlocal command=$words[2]\n\tshift words\n\t((CURRENT--))\n\tcase $command in\n");
	for (unsigned c = 0; c < COMMANDS; c++) {
		printf("\t%s) _arguments", command_rows[c].name);
		for (unsigned i = 0; i < option_count; i++)
			if (is_offered(&option_rows[i], c))
				zsh_option(&option_rows[i]);
		for (unsigned place = 0; words_at(c, place); place++)
			zsh_operand(words_at(c, place));
		printf(" ;;\n");
	}
	printf("\tesac\n}\n\n_bulkhead \"$@\"\n");
}

static void fish_option(unsigned command, const struct option_row *row)
{
	printf("complete -c bulkhead -n '__fish_seen_subcommand_from %s' -l %s -d '", command_rows[command].name, row->name);
	put_plain(row->help);
	printf("'");
	if (value_is_taken(row->kind))
		printf(offer_of(row) == OFFER_FILES ? " -r -F" : " -x");
	if (offer_of(row) == OFFER_WORDS)
		printf(" -a '"), put_value_words(row), printf("'");
	printf("\n");
}

static void fish_operand(unsigned command, const char *operand)
{
	printf("complete -c bulkhead -n '__fish_seen_subcommand_from %s' ", command_rows[command].name);
	if (is_word(operand, "NAME"))
		printf("-a '(__bulkhead_machines)'\n");
	else if (is_word(operand, "DEVICE"))
		printf("-a '"), put_devices(), printf("'\n");
	else if (is_word(operand, "COMMAND"))
		printf("-a '"), put_commands(), printf("'\n");
	else if (is_word(operand, "FILE"))
		printf("-F\n");
	else {
		char list[64];

		snprintf(list, sizeof(list), "%.*s", (int)strcspn(operand, " "), operand);
		printf("-a '"), put_words(list, ' '), printf("'\n");
	}
}

static void fish(void)
{
	printf("# fish completion for bulkhead; made from its table of options\n"
	       "function __bulkhead_machines\n\tbulkhead list 2>/dev/null | sed -n '2,$s/ .*//p'\nend\n"
	       "complete -c bulkhead -f\n");
	for (unsigned c = 0; c < COMMANDS; c++) {
		printf("complete -c bulkhead -n __fish_use_subcommand -a %s -d '", command_rows[c].name);
		put_plain(command_rows[c].summary);
		printf("'\n");
		for (unsigned i = 0; i < option_count; i++)
			if (is_offered(&option_rows[i], c))
				fish_option(c, &option_rows[i]);
		for (unsigned place = 0; words_at(c, place); place++)
			fish_operand(c, words_at(c, place));
	}
}

int main(int argc, char **argv)
{
	const char *shell = argc > 1 ? argv[1] : "";

	if (!strcmp(shell, "bash"))
		bash();
	else if (!strcmp(shell, "zsh"))
		zsh();
	else if (!strcmp(shell, "fish"))
		fish();
	else
		return 2;
	return 0;
}
