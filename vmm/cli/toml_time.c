/* SPDX-License-Identifier: MIT */
/* "Offset Date-Time", "Local Date-Time", "Local Date", "Local Time": RFC 3339, with a T, a t or a space in the middle. */
#include "toml_reader.h"

#include <errno.h>

struct scan {
	const char *at, *end;
	bool ok;
};

/* So many digits, no more and no fewer. */
static int take_digits(struct scan *s, int count)
{
	int v = 0;

	for (; count; count--, s->at++) {
		if (s->at >= s->end || *s->at < '0' || *s->at > '9')
			return s->ok = false, 0;
		v = v * 10 + (*s->at - '0');
	}
	return v;
}

static bool take_one_of(struct scan *s, const char *set)
{
	for (; s->at < s->end && *set; set++)
		if (*s->at == *set) {
			s->at++;
			return true;
		}
	return false;
}

static void want(struct scan *s, bool condition)
{
	s->ok = s->ok && condition;
}

static int days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month == 2 && leap ? 29 : days[month - 1];
}

static void take_date(struct scan *s, struct toml_time *t)
{
	t->year = take_digits(s, 4);
	want(s, take_one_of(s, "-"));
	t->month = take_digits(s, 2);
	want(s, take_one_of(s, "-"));
	t->day = take_digits(s, 2);
	want(s, s->ok && t->month >= 1 && t->month <= 12 && t->day >= 1 && t->day <= days_in(t->year, t->month));
}

/* What is finer than nanoseconds is cut off, not rounded. */
static void take_fraction(struct scan *s, struct toml_time *t)
{
	int weight = 100000000;

	want(s, s->at < s->end && *s->at >= '0' && *s->at <= '9');
	for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++, weight /= 10)
		t->nanosecond += (*s->at - '0') * weight;
}

/* RFC 3339 knows a 60th second, for leap seconds. */
static void take_time(struct scan *s, struct toml_time *t)
{
	t->hour = take_digits(s, 2);
	want(s, take_one_of(s, ":"));
	t->minute = take_digits(s, 2);
	want(s, take_one_of(s, ":"));
	t->second = take_digits(s, 2);
	want(s, t->hour < 24 && t->minute < 60 && t->second <= 60);
	if (take_one_of(s, "."))
		take_fraction(s, t);
}

static bool take_offset(struct scan *s, struct toml_time *t)
{
	bool is_negative;
	int hours, minutes;

	if (take_one_of(s, "Zz"))
		return true;
	is_negative = s->at < s->end && *s->at == '-';
	if (!take_one_of(s, "+-"))
		return false;
	hours = take_digits(s, 2);
	want(s, take_one_of(s, ":"));
	minutes = take_digits(s, 2);
	want(s, hours < 24 && minutes < 60);
	t->offset_minutes = (hours * 60 + minutes) * (is_negative ? -1 : 1);
	return true;
}

static bool is_digit_at(const char *text, size_t len, size_t i)
{
	return i < len && text[i] >= '0' && text[i] <= '9';
}

int toml_time(struct toml_reader *r, const char *text, size_t len, struct toml_value *v)
{
	struct scan s = { text, text + len, true };
	bool is_time = len > 2 && is_digit_at(text, len, 0) && text[2] == ':';

	if (!is_time && !(len > 4 && is_digit_at(text, len, 0) && is_digit_at(text, len, 3) && text[4] == '-'))
		return -ENOENT;
	v->time = (struct toml_time){ 0 };
	v->type = is_time ? TOML_LOCAL_TIME : TOML_LOCAL_DATE;
	if (!is_time)
		take_date(&s, &v->time);
	if (!is_time && take_one_of(&s, "Tt ")) {
		v->type = TOML_LOCAL_DATE_TIME;
		is_time = true;
	}
	if (is_time)
		take_time(&s, &v->time);
	if (v->type == TOML_LOCAL_DATE_TIME && take_offset(&s, &v->time))
		v->type = TOML_OFFSET_DATE_TIME;
	if (!s.ok || s.at != s.end)
		return toml_fail(r, text, "%.*s is no date or time", (int)(len < 60 ? len : 60), text);
	return 0;
}
