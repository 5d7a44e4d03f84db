/*
 * dice.h: chance by seed, the same in every run: a function of the seed, the
 * channel and the number of the message.
 *
 * The mixing step is SplitMix64's (Steele, Lea and Flood, OOPSLA'14, doi
 * 10.1145/2660193.2660195).
 */
#ifndef FILTER_DICE_H
#define FILTER_DICE_H

#include <pipefw/transport.h>

static inline uint64_t dice_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/** Start of a channel's row of throws. */
static inline uint64_t dice_row(uint64_t seed, const struct pfw_channel_info *info)
{
	uint64_t row = dice_mix(seed);

	row = dice_mix(row ^ info->from);
	row = dice_mix(row ^ info->to);
	return dice_mix(row ^ info->kind);
}

/** The m-th throw of a row, in [0, 1). */
static inline double dice_throw(uint64_t row, uint64_t m)
{
	return (double)(dice_mix(row ^ dice_mix(m)) >> 11) * 0x1p-53;
}

#endif
