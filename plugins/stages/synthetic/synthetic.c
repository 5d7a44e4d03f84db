/*
 * synthetic: layers that take a set time and compute nothing, with real
 * messages of a set size between them.  A rank that sleeps leaves its core to
 * others, so a laptop runs 64 of them; with times of 0 what remains is the
 * engine and the transport.
 *
 * Every message carries, in each of its pages, a mark made of the boundary it
 * crosses and the bytes' place; the receiver looks at all of them, and where one
 * is wrong the loss is not a number, which nobody can overlook.
 */
#include <pipefw/stage.h>

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#define PAGE 4096u
#define MAX_LAYERS 65536u
/* A timer is up to 50 us late on an idle core of a virtual machine, a few us on
 * others, and as much again where ranks that share a core wake at once: what is
 * left is waited for awake, or each action would take so much longer. */
#define LATE_NS 100000u

static const struct pfw_option options[] = {
	{ .name = "layers", .type = PFW_OPT_INT, .def = "8",
	  .help = "layers, each takes the times below", .min = 1,
	  .max = MAX_LAYERS },
	{ .name = "forward_us", .type = PFW_OPT_FLOATS, .def = "1000",
	  .help = "time of F of each layer, microseconds; the last of a shorter "
		  "list holds for the rest", .min = 0, .max = 1e9 },
	{ .name = "input_us", .type = PFW_OPT_FLOATS, .def = "1000",
	  .help = "time of I of each layer", .min = 0, .max = 1e9 },
	{ .name = "weight_us", .type = PFW_OPT_FLOATS, .def = "1000",
	  .help = "time of W of each layer; B takes input_us + weight_us",
	  .min = 0, .max = 1e9 },
	{ .name = "bytes", .type = PFW_OPT_INT, .def = "65536",
	  .help = "size of an activation and of a gradient between two layers",
	  .min = 64, .max = 4294967296.0 },
};

/* Times of one layer, nanoseconds. */
struct layer {
	uint64_t forward, input, weight;
};

struct synthetic {
	uint32_t n_layers;
	uint64_t bytes;
	struct layer layers[];
};

static uint64_t time_of(const struct pfw_values *opt, const char *name,
			uint32_t layer)
{
	uint32_t n;

	pfw_value_floats(opt, name, 0, &n);
	if (!n)
		return 0;
	return (uint64_t)(1e3 * pfw_value_floats(opt, name,
						 layer < n ? layer : n - 1,
						 NULL));
}

static int synthetic_open(const struct pfw_values *opt, void **model,
			  struct pfw_error *err)
{
	uint32_t n = (uint32_t)pfw_value_int(opt, "layers");
	struct synthetic *m = malloc(sizeof(*m) + n * sizeof(m->layers[0]));

	if (!m)
		return pfw_error_set(err, ENOMEM, "no memory for the model");
	/* The usual 50 us are as long as a short action; ranks inherit this. */
	prctl(PR_SET_TIMERSLACK, 1ul);
	m->n_layers = n;
	m->bytes = (uint64_t)pfw_value_int(opt, "bytes") / 8 * 8;
	for (uint32_t i = 0; i < n; i++)
		m->layers[i] = (struct layer){
			time_of(opt, "forward_us", i),
			time_of(opt, "input_us", i),
			time_of(opt, "weight_us", i),
		};
	*model = m;
	return 0;
}

static void synthetic_close(void *model)
{
	free(model);
}

static uint32_t synthetic_n_layers(void *model)
{
	const struct synthetic *m = model;

	return m->n_layers;
}

/* Work is time here: a layer of 1 us counts as much as one of 1000 flops. */
static void synthetic_layer(void *model, uint32_t index,
			    const struct pfw_call_shape *shape,
			    struct pfw_layer *out)
{
	const struct synthetic *m = model;
	size_t size = out->size;

	(void)shape;
	*out = (struct pfw_layer){
		.size = size,
		.name = "sleep",
		.letter = 't',
		.flops_forward = (double)m->layers[index].forward,
		.flops_input = (double)m->layers[index].input,
		.flops_weight = (double)m->layers[index].weight,
	};
}

static uint32_t synthetic_boundary(void *model, uint32_t index,
				   const struct pfw_call_shape *shape,
				   struct pfw_tensor *out, uint32_t max)
{
	const struct synthetic *m = model;

	(void)index;
	(void)shape;
	if (max)
		out[0] = (struct pfw_tensor){
			.name = "bytes",
			.dtype = PFW_F32,
			.n_dims = 1,
			.dims = { (m->bytes + 3) / 4 },
		};
	return 1;
}

/* It reads no tokens. */
static void synthetic_limits(void *model, uint32_t *vocab, uint32_t *context)
{
	(void)model;
	*vocab = 0;
	*context = 1;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	const struct timespec t = {
		.tv_sec = (time_t)(ns / 1000000000u),
		.tv_nsec = (long)(ns % 1000000000u),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) ==
	       EINTR)
		;
}

/* What the marks take is within the action's time, not on top of it.  Ranks that
 * share the core and whose time has come have it meanwhile. */
static void pause_until(uint64_t start, uint64_t ns)
{
	uint64_t end = start + ns;

	if (ns > LATE_NS)
		sleep_until(end - LATE_NS);
	while (now() < end)
		sched_yield();
}

static uint64_t mark(uint32_t boundary, uint64_t at)
{
	return ((uint64_t)boundary + 1) * 0x9E3779B97F4A7C15ull ^ at;
}

static void put_marks(const struct synthetic *m, void *to, uint32_t boundary)
{
	for (uint64_t at = 0; to && at + 8 <= m->bytes; at += PAGE)
		*(uint64_t *)(void *)((char *)to + at) = mark(boundary, at);
}

static int marks_are_good(const struct synthetic *m, const void *from,
			  uint32_t boundary)
{
	for (uint64_t at = 0; from && at + 8 <= m->bytes; at += PAGE)
		if (*(const uint64_t *)(const void *)((const char *)from + at) !=
		    mark(boundary, at))
			return 0;
	return 1;
}

static void check_marks(const struct synthetic *m, const struct pfw_call *call,
			const void *from, uint32_t boundary)
{
	if (!marks_are_good(m, from, boundary))
		*call->loss = NAN;
}

static uint64_t total(const struct synthetic *m, const struct pfw_call *call,
		      int forward, int input, int weight)
{
	uint64_t ns = 0;

	for (uint32_t i = 0; i < call->n_layers; i++) {
		const struct layer *l = &m->layers[call->first_layer + i];

		ns += forward ? l->forward : 0;
		ns += input ? l->input : 0;
		ns += weight ? l->weight : 0;
	}
	return ns;
}

/* A boundary is numbered by the layer behind it, going either way. */
static void synthetic_forward(void *model, const struct pfw_call *call)
{
	const struct synthetic *m = model;
	uint64_t start = now();

	check_marks(m, call, call->input, call->first_layer);
	put_marks(m, call->output, call->first_layer + call->n_layers);
	pause_until(start, total(m, call, 1, 0, 0));
}

static void backward_input(void *model, const struct pfw_call *call, int weight)
{
	const struct synthetic *m = model;
	uint32_t end = call->first_layer + call->n_layers;
	uint64_t start = now();

	check_marks(m, call, call->input, call->first_layer);
	check_marks(m, call, call->grad_output, ~end);
	put_marks(m, call->grad_input, ~call->first_layer);
	pause_until(start, total(m, call, 0, 1, weight));
}

static void synthetic_backward(void *model, const struct pfw_call *call)
{
	backward_input(model, call, 1);
}

static void synthetic_backward_input(void *model, const struct pfw_call *call)
{
	backward_input(model, call, 0);
}

static void synthetic_backward_weight(void *model, const struct pfw_call *call)
{
	const struct synthetic *m = model;
	uint64_t start = now();

	check_marks(m, call, call->input, call->first_layer);
	check_marks(m, call, call->grad_output,
		    ~(call->first_layer + call->n_layers));
	pause_until(start, total(m, call, 0, 0, 1));
}

static const struct pfw_stage_ops ops = {
	.size = sizeof(ops),
	.flags = PFW_STAGE_SPLITS | PFW_STAGE_SLEEPS,
	.open = synthetic_open,
	.close = synthetic_close,
	.n_layers = synthetic_n_layers,
	.layer = synthetic_layer,
	.boundary = synthetic_boundary,
	.limits = synthetic_limits,
	.forward = synthetic_forward,
	.backward = synthetic_backward,
	.backward_input = synthetic_backward_input,
	.backward_weight = synthetic_backward_weight,
};

PFW_PLUGIN(
	.kind = PFW_KIND_STAGE,
	.thread_model = PFW_THREAD_PARALLEL,
	.name = "synthetic",
	.summary = "takes a set time for F, I and W, moves real bytes",
	PFW_OPTIONS(options),
	.ops = &ops,
);
