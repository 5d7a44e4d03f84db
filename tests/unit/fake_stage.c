#include "fake_stage.h"

#include <stdio.h>
#include <string.h>

#define TIED 8

struct fake_stage fake;

static struct pfw_param params[FAKE_MAX][2];
static char names[FAKE_MAX][2][16];

void fake_set(const char *letters)
{
	memset(&fake, 0, sizeof(fake));
	snprintf(fake.letters, sizeof(fake.letters), "%s", letters);
	fake.tied_rows_last = TIED;
	fake.n_whole = 2;
	for (uint32_t i = 0; i < FAKE_MAX; i++)
		fake.cost[i] = 1;
}

static int fake_open(const struct pfw_values *opt, void **model,
		     struct pfw_error *err)
{
	(void)opt;
	(void)err;
	fake.open++;
	*model = &fake;
	return 0;
}

static void fake_close(void *model)
{
	(void)model;
	fake.open--;
}

static uint32_t fake_n_layers(void *model)
{
	(void)model;
	return (uint32_t)strlen(fake.letters);
}

/* Layer i has a parameter "pI" [i + 1]; first and last share "tied" too. */
static void fake_layer(void *model, uint32_t i,
		       const struct pfw_call_shape *shape, struct pfw_layer *out)
{
	struct pfw_param *p = params[i];
	int last = i + 1 == fake_n_layers(model);

	snprintf(names[i][0], sizeof(names[i][0]), "p%u", i);
	p[0] = (struct pfw_param){ .name = names[i][0],
				   .n_dims = fake.n_dims ? fake.n_dims : 1,
				   .dims = { fake.rows ? fake.rows : i + 1,
					     fake.rows } };
	p[1] = (struct pfw_param){ .name = "tied", .n_dims = 2,
				   .dims = { TIED, 2 } };
	if (last)
		p[1].dims[0] = fake.tied_rows_last;
	out->name = names[i][0];
	out->letter = fake.letters[i];
	if (out->letter == 'a') {
		out->whole = 't';
		out->n_whole = fake.n_whole;
	}
	out->n_params = fake.n_params ? fake.n_params :
			i == 0 || last ? 2 : 1;
	out->params = p;
	out->saved_bytes = fake.saved ? fake.saved : 10 * (i + 1) * shape->batch;
	out->work_bytes = fake.work ? fake.work : 100 * (i + 1);
	out->flops_forward = (double)fake.cost[i];
}

/* Two tensors, of 3 and 65 bytes or so: alignment counts. */
static uint32_t fake_boundary(void *model, uint32_t i,
			      const struct pfw_call_shape *shape,
			      struct pfw_tensor *out, uint32_t max)
{
	(void)model;
	(void)i;
	for (uint32_t t = 0; t < 2 && t < max; t++)
		out[t] = (struct pfw_tensor){
			.name = "x", .dtype = t ? PFW_F32 : PFW_BF16,
			.n_dims = fake.boundary_dims ? fake.boundary_dims : 1,
			.dims = { fake.boundary ? fake.boundary :
						  17 * shape->batch } };
	return fake.boundary_tensors ? fake.boundary_tensors : 2;
}

static void fake_limits(void *model, uint32_t *vocab, uint32_t *context)
{
	(void)model;
	*vocab = TIED;
	*context = 32;
}

const struct pfw_loaded fake_loaded = {
	.info = { .name = "fake" },
	.ops.stage = {
		.size = sizeof(struct pfw_stage_ops),
		.open = fake_open,
		.close = fake_close,
		.n_layers = fake_n_layers,
		.layer = fake_layer,
		.boundary = fake_boundary,
		.limits = fake_limits,
	},
};
