/*
 * draw.h: a simulated step as people and programs read it.
 */
#ifndef PFW_CORE_DRAW_H
#define PFW_CORE_DRAW_H

#include <stdio.h>

#include "schedule/simulate.h"

struct pfw_draw_style {
	uint32_t width; /**< columns that fit */
	int colour;     /**< escape sequences may be used */
	int utf8;       /**< box drawing may be used */
	double unit;    /**< ns that the time axis counts as one */
};

/**
 * The timeline, a row for each rank: all actions by name, in blocks below each
 * other, or, where those would be too many, one picture scaled to the width.
 */
int pfw_draw_text(const struct pfw_simulation *sim,
		  const struct pfw_draw_style *style, FILE *to,
		  struct pfw_error *err);

struct pfw_picture {
	const char *title;
	const char *unit_name; /**< of the time axis: "F", "ms" */
	double unit;           /**< ns that it counts as one */
	double pixels;         /**< of such a unit; 0: as many as names need */
};

/**
 * The timeline as a picture by itself, for light and dark pages: boxes to scale,
 * with their names, and their times to hover for.
 */
int pfw_draw_svg(const struct pfw_simulation *sim,
		 const struct pfw_picture *how, FILE *to, struct pfw_error *err);

/**
 * Trace events (the JSON that Perfetto and Chrome read): a track for each rank,
 * an arrow for each message that its receiver waited for.
 */
int pfw_write_trace(const struct pfw_simulation *sim, FILE *to,
		    struct pfw_error *err);

#endif
