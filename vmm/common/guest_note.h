/* SPDX-License-Identifier: MIT */
/*
 * What a Linux guest is told of the terminal that its console is shown on, which a 16550A cannot tell: its size, its kind,
 * and whether keys and output are a terminal's at all. And of --exec: the command.
 *
 * From the command line to the keeper it travels as one word, "ROWSxCOLUMNS,in,out,TERM": `in` and `out` where standard
 * input and output are a terminal, 0x0 if neither. bulkhead-init (vmm/init) finds the same word as the first line of
 * GUEST_NOTE_FILE, and behind it the command.
 */
#ifndef BULKHEAD_VMM_GUEST_NOTE_H
#define BULKHEAD_VMM_GUEST_NOTE_H

#include <stdbool.h>
#include <stddef.h>

#define GUEST_NOTE_INIT "bulkhead-init"
#define GUEST_NOTE_FILE "bulkhead-exec"
/* bulkhead-init prints it when the command begins; what came before is the kernel's. Terminals skip it: an OSC of nobody's. */
#define GUEST_NOTE_BEGIN "\033]9999;bulkhead-exec\007"

enum { GUEST_TERM_MAX = 48, GUEST_NOTE_MAX = 96, GUEST_WORDS = 5 };

struct guest_note {
	unsigned rows, columns; /* 0: unknown */
	bool in, out;
	char term[GUEST_TERM_MAX]; /* letters, digits and "-._+"; may be empty */
};

/* `len` bytes of text. 0 or -EINVAL. */
int guest_note_parse(const char *text, size_t len, struct guest_note *note);
/* A `term` with other characters is left out. */
void guest_note_format(const struct guest_note *note, char out[GUEST_NOTE_MAX]);

/*
 * Words for the command line of a Linux kernel: how it finds bulkhead-init, if `exec`, and what the terminal is like, if
 * `note` is not NULL. TERM becomes a variable of the first process's, those with a dot the kernel keeps for who reads
 * /proc/cmdline. Returns how many; they lie in `room`.
 */
unsigned guest_words(bool exec, const struct guest_note *note, char *words[GUEST_WORDS], char room[GUEST_NOTE_MAX * 2]);

#endif
