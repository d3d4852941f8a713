/* SPDX-License-Identifier: MIT */
/*
 * Filled triangles with a depth buffer, into the framebuffer. The same triangles make the same picture on every processor:
 * places are fixed-point integers, and the depth is in double arithmetic of one order, which IEEE 754 defines to the bit
 * (nothing is contracted: -ffp-contract=off).
 */
#ifndef BULKHEAD_TESTS_FIRST_RASTER_H
#define BULKHEAD_TESTS_FIRST_RASTER_H

#include <stdint.h>

enum { RASTER_SUBPIXELS = 16 };

struct raster_vertex {
	int32_t x, y; /* in 16ths of a pixel, from the upper left corner; at most 2^15 pixels away from it */
	double depth; /* above 0; what is larger is nearer: the inverse of the distance, which is linear on the screen */
};

/* An empty picture: a gradient, and nothing near. */
void raster_clear(uint32_t top, uint32_t bottom);

/* A triangle whose corners go round clockwise on the screen; one that goes round the other way is not seen. */
void raster_triangle(const struct raster_vertex v[3], uint32_t colour);

/* A colour, `of_256` 256ths as bright. */
uint32_t raster_shade(uint32_t colour, unsigned of_256);

#endif
