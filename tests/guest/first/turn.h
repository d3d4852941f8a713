/* SPDX-License-Identifier: MIT */
/* Angles in 4096ths of a turn, and what there is to know of them without a mathematical library: the same to the bit everywhere. */
#ifndef BULKHEAD_TESTS_FIRST_TURN_H
#define BULKHEAD_TESTS_FIRST_TURN_H

enum { TURN = 4096 };

/* Taylor's series up to the 11th power, for at most an eighth of a turn: the next member is below 1e-11. */
static inline double turn_series(double x, int first_power)
{
	double term = first_power ? x : 1, sum = term;

	for (int n = first_power + 1; n <= 10; n += 2) {
		term = -term * x * x / (n * (n + 1));
		sum += term;
	}
	return sum;
}

static inline double turn_sin(int angle)
{
	unsigned a = (unsigned)angle & (TURN - 1), quarter = TURN / 4;
	unsigned in = a % quarter, eighth = quarter / 2;
	/* The second and fourth quarter run backwards. */
	unsigned up = a / quarter & 1 ? quarter - in : in;
	double radian = 6.283185307179586 / TURN;
	double sine = up <= eighth ? turn_series(up * radian, 1) : turn_series((quarter - up) * radian, 0);

	return a < TURN / 2 ? sine : -sine;
}

static inline double turn_cos(int angle)
{
	return turn_sin(angle + TURN / 4);
}

/* One instruction (-fno-math-errno), rounded as IEEE 754 defines. */
static inline double turn_root(double x)
{
	return __builtin_sqrt(x);
}

#endif
