/* Products of tiles that stay where they are. */
#include "amx/tiles.h"

#define TURNS 4096u

static void bursts(const void *context, size_t first, size_t end,
		   float *scratch)
{
	(void)context;
	tiles_configure();
	for (int i = 0; i < 16 * 64 / 4; i++)
		scratch[i] = 0;
	_tile_zero(0);
	_tile_zero(1);
	_tile_zero(2);
	_tile_zero(3);
	_tile_loadd(4, scratch, 64);
	_tile_loadd(5, scratch, 64);
	_tile_loadd(6, scratch, 64);
	_tile_loadd(7, scratch, 64);
	for (size_t turn = first * TURNS; turn < end * TURNS; turn++) {
		_tile_dpbf16ps(0, 4, 6);
		_tile_dpbf16ps(1, 4, 7);
		_tile_dpbf16ps(2, 5, 6);
		_tile_dpbf16ps(3, 5, 7);
	}
	_tile_release();
}

double amx_peak(void *queue)
{
	const size_t threads = cpu_threads(queue);

	cpu_each(queue, threads, 1, bursts, NULL);
	return 2.0 * TURNS * 4 * 16 * 16 * 32 * (double)threads;
}
