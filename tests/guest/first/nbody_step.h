/* SPDX-License-Identifier: MIT */
/* One kind of arithmetic of nbody.c: NAME(x) names its functions, REAL is its type. No guard: it is included for each. */
struct NAME(system) {
	REAL x[BODIES], y[BODIES], z[BODIES];
	REAL vx[BODIES], vy[BODIES], vz[BODIES];
	REAL mass[BODIES];
};

/* A heavy body in the middle, seven around it, each a little off the plane. All numbers are sums of few powers of two. */
static void NAME(begin)(struct NAME(system) *s)
{
	for (int i = 0; i < BODIES; i++) {
		int way = i & 1 ? 1 : -1, half = i & 2 ? 1 : -1;

		s->x[i] = (REAL)(i * way) * (REAL)0.5;
		s->y[i] = (REAL)(i * half) * (REAL)0.25;
		s->z[i] = (REAL)(i % 3) * (REAL)0.0625;
		s->vx[i] = (REAL)(i ? -half : 0) * (REAL)0.375;
		s->vy[i] = (REAL)(i ? way : 0) * (REAL)0.75;
		s->vz[i] = 0;
		s->mass[i] = i ? (REAL)i * (REAL)0.015625 : 1;
	}
}

/* What the others do to body i, one lane for each of them; then they are summed, always in the same order. */
static void NAME(draw)(struct NAME(system) *s, int i)
{
	REAL px[BODIES], py[BODIES], pz[BODIES];

	for (int j = 0; j < BODIES; j++) {
		REAL dx = s->x[j] - s->x[i], dy = s->y[j] - s->y[i], dz = s->z[j] - s->z[i];
		REAL square = dx * dx + dy * dy + dz * dz + (REAL)SOFTENING;
		REAL pull = s->mass[j] * (REAL)TIME_STEP / (square * ROOT(square));

		px[j] = dx * pull;
		py[j] = dy * pull;
		pz[j] = dz * pull;
	}
	for (int j = 0; j < BODIES; j++) {
		s->vx[i] += px[j];
		s->vy[i] += py[j];
		s->vz[i] += pz[j];
	}
}

static void NAME(step)(struct NAME(system) *s)
{
	for (int i = 0; i < BODIES; i++)
		NAME(draw)(s, i);
	for (int i = 0; i < BODIES; i++) {
		s->x[i] += s->vx[i] * (REAL)TIME_STEP;
		s->y[i] += s->vy[i] * (REAL)TIME_STEP;
		s->z[i] += s->vz[i] * (REAL)TIME_STEP;
	}
}

static REAL NAME(energy)(const struct NAME(system) *s)
{
	REAL e = 0;

	for (int i = 0; i < BODIES; i++) {
		e += s->mass[i] * (s->vx[i] * s->vx[i] + s->vy[i] * s->vy[i] + s->vz[i] * s->vz[i]) / 2;
		for (int j = i + 1; j < BODIES; j++) {
			REAL dx = s->x[j] - s->x[i], dy = s->y[j] - s->y[i], dz = s->z[j] - s->z[i];

			e -= s->mass[i] * s->mass[j] / ROOT(dx * dx + dy * dy + dz * dz + (REAL)SOFTENING);
		}
	}
	return e;
}

static REAL NAME(energy_after)(int steps)
{
	struct NAME(system) s;

	NAME(begin)(&s);
	for (int i = 0; i < steps; i++)
		NAME(step)(&s);
	return NAME(energy)(&s);
}
