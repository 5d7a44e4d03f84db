/* Products of tiles that stay where they are. */
#include "amx/tiles.h"

#define TURNS 4096u

double amx_peak(void *queue)
{
	struct cpu_queue *q = queue;

	tiles_configure();
	for (int i = 0; i < 16 * 64 / 4; i++)
		q->scratch[i] = 0;
	_tile_zero(0);
	_tile_zero(1);
	_tile_zero(2);
	_tile_zero(3);
	_tile_loadd(4, q->scratch, 64);
	_tile_loadd(5, q->scratch, 64);
	_tile_loadd(6, q->scratch, 64);
	_tile_loadd(7, q->scratch, 64);
	for (uint32_t turn = 0; turn < TURNS; turn++) {
		_tile_dpbf16ps(0, 4, 6);
		_tile_dpbf16ps(1, 4, 7);
		_tile_dpbf16ps(2, 5, 6);
		_tile_dpbf16ps(3, 5, 7);
	}
	_tile_release();
	return 2.0 * TURNS * 4 * 16 * 16 * 32;
}
