/* SPDX-License-Identifier: MIT */
/* Floating point: n bodies with SSE2 scalars and on the x87, matrix products with vectors of three widths. */
#include "bench.h"

#include <stddef.h>


enum { BODIES = 5, N = 64 };

/* The classic planetary n-body step, for one floating-point type. */
#define NBODY(T, name, root)                                                                                           \
	struct name##_body {                                                                                           \
		T x[3], v[3], mass;                                                                                    \
	};                                                                                                             \
	static struct name##_body name##_bodies[BODIES];                                                               \
	static void name##_begin(void)                                                                                 \
	{                                                                                                              \
		for (int k = 0; k < BODIES; k++) {                                                                     \
			for (int d = 0; d < 3; d++) {                                                                  \
				name##_bodies[k].x[d] = (T)(k * 3 + d * d + 1);                                        \
				name##_bodies[k].v[d] = (T)(d - k) / 64;                                               \
			}                                                                                              \
			name##_bodies[k].mass = (T)(k + 1) / 8;                                                        \
		}                                                                                                      \
	}                                                                                                              \
	static void name##_pull(struct name##_body *a, struct name##_body *b, T dt)                                    \
	{                                                                                                              \
		T dx = a->x[0] - b->x[0], dy = a->x[1] - b->x[1], dz = a->x[2] - b->x[2];                              \
		T square = dx * dx + dy * dy + dz * dz, m = dt / (square * root(square));                              \
                                                                                                                       \
		a->v[0] -= dx * b->mass * m;                                                                           \
		a->v[1] -= dy * b->mass * m;                                                                           \
		a->v[2] -= dz * b->mass * m;                                                                           \
		b->v[0] += dx * a->mass * m;                                                                           \
		b->v[1] += dy * a->mass * m;                                                                           \
		b->v[2] += dz * a->mass * m;                                                                           \
	}                                                                                                              \
	static uint64_t name(uint64_t n)                                                                               \
	{                                                                                                              \
		name##_begin();                                                                                        \
		for (uint64_t k = 0; k < n; k++) {                                                                     \
			for (int i = 0; i < BODIES; i++)                                                               \
				for (int j = i + 1; j < BODIES; j++)                                                   \
					name##_pull(&name##_bodies[i], &name##_bodies[j], (T)1 / 128);                 \
			for (int i = 0; i < BODIES; i++)                                                               \
				for (int d = 0; d < 3; d++)                                                            \
					name##_bodies[i].x[d] += name##_bodies[i].v[d] / 128;                          \
		}                                                                                                      \
		return (uint64_t)(int64_t)(name##_bodies[0].x[0] * 1000);                                              \
	}
NBODY(double, nbody_sse2, __builtin_sqrt)
NBODY(long double, nbody_x87, __builtin_sqrtl)

static float a[N][N], b[N][N], c[N][N];

/* One 64 x 64 single-precision product a round; `fused` machines multiply and add in one instruction. */
#define MATMUL(name, bytes, isa)                                                                                       \
	typedef float name##_vector __attribute__((vector_size(bytes), aligned(4), may_alias));                        \
	static __attribute__((target(isa), noinline)) uint64_t name(uint64_t n)                                        \
	{                                                                                                              \
		for (uint64_t k = 0; k < n; k++) {                                                                     \
			a[k % N][3] += 1;                                                                              \
			for (int i = 0; i < N; i++) {                                                                  \
				for (int j = 0; j < N; j += (bytes) / 4) {                                             \
					name##_vector sum = { 0 };                                                     \
                                                                                                                       \
					for (int m = 0; m < N; m++)                                                    \
						sum += a[i][m] * *(const name##_vector *)&b[m][j];                     \
					*(name##_vector *)&c[i][j] = sum;                                              \
				}                                                                                      \
			}                                                                                              \
		}                                                                                                      \
		return (uint64_t)(int64_t)c[1][1];                                                                     \
	}
MATMUL(matmul_sse, 16, "sse2")
MATMUL(matmul_avx2, 32, "avx2,fma")
MATMUL(matmul_avx512, 64, "avx512f")

static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
	return __builtin_cpu_supports("avx512f");
}

static bool has_avx512bw(void)
{
	return __builtin_cpu_supports("avx512bw");
}

/* Bytes in vectors: compare, add, shuffle, as string and image code does. */
#define BYTES(name, bytes, isa)                                                                                        \
	typedef uint8_t name##_vector __attribute__((vector_size(bytes), aligned(1), may_alias));                      \
	static __attribute__((target(isa), noinline)) uint64_t name(uint64_t n)                                        \
	{                                                                                                              \
		name##_vector sum = { 1 };                                                                             \
                                                                                                                       \
		for (uint64_t k = 0; k < n; k++) {                                                                     \
			const uint8_t *p = (const uint8_t *)b;                                                         \
                                                                                                                       \
			for (unsigned at = 0; at < sizeof(b); at += (bytes)) {                                         \
				name##_vector v = *(const name##_vector *)(p + at);                                    \
                                                                                                                       \
				sum += (name##_vector)(v > sum) ^ (v & sum);                                           \
			}                                                                                              \
		}                                                                                                      \
		return sum[3];                                                                                         \
	}
BYTES(bytes_sse2, 16, "sse2")
BYTES(bytes_avx2, 32, "avx2")
BYTES(bytes_avx512, 64, "avx512f,avx512bw")

const struct workload simd_workloads[] = {
	{ "nbody-sse2", "ns", nbody_sse2, 0, NULL },
	{ "nbody-x87", "ns", nbody_x87, 0, NULL },
	{ "matmul-sse", "ns", matmul_sse, 0, NULL },
	{ "matmul-avx2-fma", "ns", matmul_avx2, 0, has_avx2 },
	{ "matmul-avx512", "ns", matmul_avx512, 0, has_avx512 },
	{ "bytes-sse2", "ns", bytes_sse2, 0, NULL },
	{ "bytes-avx2", "ns", bytes_avx2, 0, has_avx2 },
	{ "bytes-avx512", "ns", bytes_avx512, 0, has_avx512bw },
	{ NULL, NULL, NULL, 0, NULL },
};
