/* SPDX-License-Identifier: MIT */
/* What of a guest's output reaches the user's terminal. Sequences are those of xterm's ctlseqs.txt, unless another source is named. */
#include "vmm/cli/screen.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct screen s;
static char out[4 * ESCAPE_MAX];

/* All of it is history, and comes in pieces of that size. */
static const char *replay(const char *text, size_t len, size_t piece)
{
	size_t n = 0;

	screen_begin(&s, len);
	for (size_t at = 0; at < len; at += piece)
		n += screen_pass(&s, text + at, len - at < piece ? len - at : piece, out + n);
	out[n] = 0;
	return out;
}

#define Q(text) { text, sizeof(text) - 1 }
static const struct {
	const char *text;
	size_t len;
} questions[] = {
	Q("\005"),			/* ENQ */
	Q("\033[c"), Q("\033[0c"), Q("\033[>c"), Q("\033[>0c"), Q("\033[=c"), /* DA1, DA2, DA3 */
	Q("\033Z"),			/* DECID */
	Q("\033[5n"), Q("\033[6n"), Q("\033[?6n"), Q("\033[?15n"), Q("\033[?996n"),
	Q("\033[x"), Q("\033[1x"),	/* DECREQTPARM */
	Q("\033[4$p"), Q("\033[?2026$p"), /* DECRQM */
	Q("\033[>q"), Q("\033[>0q"),	/* XTVERSION */
	Q("\033[1$u"), Q("\033[&u"), Q("\033[1$w"), Q("\033[1;1;1;1;5;5*y"), Q("\033['|"), Q("\033[\"v"),
	Q("\033[11t"), Q("\033[13t"), Q("\033[14t"), Q("\033[14;2t"), Q("\033[18t"), Q("\033[19t"), Q("\033[20t"), Q("\033[21t"),
	Q("\033[?1;1;0S"),		/* XTSMGRAPHICS */
	Q("\033[?4m"),			/* XTQMODKEYS */
	Q("\033[?u"),			/* kitty, keyboard protocol */
	Q("\033[?2048h"), Q("\033[?25;2048h"), /* size reports in band: the first one comes at once */
	Q("\033]10;?\007"), Q("\033]11;?\033\\"), Q("\033]4;1;?\007"), Q("\033]4;1;?;2;?\007"), Q("\033]52;c;?\007"), Q("\033]50;?\007"),
	Q("\033]1337;ReportCellSize\007"), /* iTerm2 */
	Q("\033]99;i=1:p=?;\033\\"),	/* kitty, desktop notifications */
	Q("\033P$qm\033\\"), Q("\033P$q\"p\033\\"), /* DECRQSS */
	Q("\033P+q544e\033\\"),		/* XTGETTCAP */
	Q("\033_Gi=31,s=1,v=1,a=q;AAAA\033\\"), /* kitty, graphics protocol */
	Q("\033Ptmux;\033\033[6n\033\\"), /* tmux(1), "passthrough" */
	Q("\2336n"), Q("\302\2336n"), Q("\232"), Q("\302\232"), Q("\220$qm\234"), Q("\302\220$qm\302\234"), Q("\235" "11;?\234"), /* C1 */
};

Test(screen, questions_are_left_out_of_history)
{
	char text[128];

	for (unsigned i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		size_t len = questions[i].len + 6;

		memcpy(text, "abc", 3);
		memcpy(text + 3, questions[i].text, questions[i].len);
		memcpy(text + 3 + questions[i].len, "def", 3);
		for (size_t piece = 1; piece <= len; piece++)
			cr_expect_str_eq(replay(text, len, piece), "abcdef", "question %u, in pieces of %zu", i, piece);
	}
}

static const char *const harmless[] = {
	"plain text\r\n\ttab\a", "\303\266\342\202\254\360\237\230\200\302\240\302\265", /* UTF-8, some of it like C1 controls */
	"\033[31mred\033[0m\033[2J\033[H\033[10;20H\033[K\033[?25l\033[?1049h\033[?2004h\033[?1000h\033[1;20r\033[4h\033[8;24;80t",
	"\033[22;0t\033[23;0t\033[>4;1m\033[>1u\033[<u\033[=5u\033[2 q\033[!p\033[1;2;3$x\033[>4n",
	"\033]0;title\007\033]2;is it?really\007\033]8;;http://host/a?b=c\033\\link\033]8;;\033\\\033]4;1;rgb:00/00/00\007\033]104\007",
	"\033P0;0;0q#0;2;0;0;0~~-\033\\\033(B\033)0\0337\0338\033=\033>\033D\033M\033E\033#8\033c", "\033[5\n;1H",
};

Test(screen, everything_else_stays)
{
	for (unsigned i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		for (size_t piece = 1; piece <= strlen(harmless[i]); piece += 3) {
			char sorted[256];

			snprintf(sorted, sizeof(sorted), "%s", harmless[i]);
			if (i == 6) /* a control within a sequence is executed first */
				snprintf(sorted, sizeof(sorted), "\n\033[5;1H");
			/* the sequence that it interrupts keeps its own bytes */
			cr_expect_str_eq(replay(harmless[i], strlen(harmless[i]), piece), sorted, "text %u, in pieces of %zu", i,
					 piece);
		}
}

/* Live, a question passes as it is; one that history began is not completed. */
Test(screen, only_history)
{
	static const char live[] = "\033[6n\005\033]11;?\007";
	size_t n;

	screen_begin(&s, 0);
	n = screen_pass(&s, live, strlen(live), out);
	cr_assert_eq(n, strlen(live));
	cr_assert_eq(memcmp(out, live, n), 0);
	screen_begin(&s, 3);
	n = screen_pass(&s, "a\033[6n\033[6n", 9, out);
	out[n] = 0;
	cr_assert_str_eq(out, "a\033[6n");
}

/* ECMA-48, 8.3.6 (CAN); and an ESC that begins another sequence. */
Test(screen, sequences_cut_short)
{
	cr_expect_str_eq(replay("\033[6\030n", 5, 5), "\030n");
	cr_expect_str_eq(replay("\033[6\033[31m", 8, 8), "\033[31m");
	cr_expect_str_eq(replay("\033]11;\033[6nX", 10, 10), "X");
	cr_expect_str_eq(replay("\033]11;?", 6, 6), "");
	cr_expect(escape_is_open(&s.escape));
}

/* What is longer than is kept is left out as a whole, and what follows is there. */
Test(screen, long_strings)
{
	static char text[3 * ESCAPE_MAX];

	memset(text, 'x', sizeof(text));
	memcpy(text, "\033]52;c;", 7);
	memcpy(text + sizeof(text) - 5, "\007tail", 5);
	cr_expect_str_eq(replay(text, sizeof(text), 1000), "tail");
}

static bool restores(const char *guest, const char *by)
{
	size_t n;

	screen_begin(&s, 0);
	screen_pass(&s, guest, strlen(guest), out);
	n = screen_restore(&s, out);
	cr_assert_leq(n, SCREEN_RESTORE_MAX);
	out[n] = 0;
	return strstr(out, by) != NULL;
}

Test(screen, whole_again)
{
	cr_expect(restores("", "\033[?25h"), "a cursor");
	cr_expect(restores("", "\033[0m"));
	cr_expect(restores("", "\033[?1000l") && restores("", "\033[?1003l") && restores("", "\033[?1006l"), "no mouse");
	cr_expect(restores("", "\033[?2004l"), "no bracketed paste");
	cr_expect(restores("\033[?1049h", "\033[?1049l"));
	cr_expect(restores("\033[?12;1049h", "\033[?1049l"));
	cr_expect(restores("\033[5;10r", "\0337\033[r\0338"));
	cr_expect(restores("\033[>1u", "\033[<99u"));
	cr_expect(restores("\033[>4;2m", "\033[>4m"));
	cr_expect(restores("\033[5 q", "\033[0 q"));
	cr_expect(restores("text\033]0;ti", "\030"), "ends what is not complete");
}

/* Each of these would move the cursor, or asks for what few terminals have. */
Test(screen, nothing_unasked)
{
	cr_expect_not(restores("", "1049"));
	cr_expect_not(restores("\033[?1049h\033[?1049l", "1049"));
	cr_expect_not(restores("\033[?1049h\033c", "1049"), "RIS");
	cr_expect_not(restores("\033[5;10r\033[r", "\033[r"));
	cr_expect_not(restores("", "\030") || restores("", "\033[<") || restores("", "\033[0 q"));
}
