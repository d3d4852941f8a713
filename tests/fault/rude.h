/* SPDX-License-Identifier: MIT */
/* Words that are meant for the terminal, log or JSON of whoever listens; hostile.py looks for what must not come through. */
#ifndef BULKHEAD_TESTS_RUDE_H
#define BULKHEAD_TESTS_RUDE_H

/* ECMA-48 in 7 bits, in UTF-8 and in 8 bits; a forged line, a priority of journald's; what is not UTF-8; reordered text. */
#define RUDE_WORDS \
	"rude\x1b]0;owned\a\x1b[2J\xc2\x9b" "31m\x9b" "31m\rbulkhead: forged\nbulkhead: forged\n<0>forged\xff\xc0\x80 \xe2\x80\xae forged"

#endif
