/* The cuda device: is there a card, and what is it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda.h"

#define LEAST_CAPABILITY 8

static int no_driver(char *why, size_t len)
{
	snprintf(why, len, "no driver: install NVIDIA's for CUDA %d.%d or newer",
		 CUDART_VERSION / 1000, CUDART_VERSION % 100 / 10);
	return -ENODEV;
}

/* Toolkits of one major version share drivers. */
static int old_driver(int version, char *why, size_t len)
{
	snprintf(why, len, "the driver is for CUDA %d.%d, and this was built "
		 "with %d.%d: install a newer driver, or build with an older "
		 "toolkit", version / 1000, version % 100 / 10,
		 CUDART_VERSION / 1000, CUDART_VERSION % 100 / 10);
	return -ENODEV;
}

static int count_cards(int *cards, char *why, size_t len)
{
	int version = 0;
	cudaError_t e;

	if (cudaDriverGetVersion(&version) || !version)
		return no_driver(why, len);
	e = cudaGetDeviceCount(cards);
	cudaGetLastError();
	if (e == cudaErrorInsufficientDriver)
		return old_driver(version, why, len);
	if (e == cudaErrorNoDevice || (!e && !*cards)) {
		snprintf(why, len, "a driver, but no card");
		return -ENODEV;
	}
	if (e) {
		snprintf(why, len, "%s", cudaGetErrorString(e));
		return -ENODEV;
	}
	return 0;
}

static int probe(char *why, size_t len)
{
	struct cudaDeviceProp p;
	int cards, rc = count_cards(&cards, why, len);

	if (rc)
		return rc;
	if (cudaGetDeviceProperties(&p, 0)) {
		snprintf(why, len, "card 0 does not answer");
		return -ENODEV;
	}
	if (p.major < LEAST_CAPABILITY) {
		snprintf(why, len, "%s has compute capability %d.%d: 8.0 "
			 "(Ampere) is the least", p.name, p.major, p.minor);
		return -ENODEV;
	}
	snprintf(why, len, "%d x %s", cards, p.name);
	return 0;
}

/* Ranks of one host take its cards in turn. */
static int choose_card(const struct pfw_values *opt,
		       const struct pfw_device_info *info, int *card,
		       struct pfw_error *err)
{
	int64_t asked = opt && pfw_value_set(opt, "card") ?
				pfw_value_int(opt, "card") : -1;
	char why[256];
	int cards;

	if (count_cards(&cards, why, sizeof(why)))
		return pfw_error_set(err, ENODEV, "cuda: %s", why);
	if (asked >= cards)
		return pfw_error_set(err, EINVAL,
				     "cuda: card = %d, but this host has %d, "
				     "counted from 0", (int)asked, cards);
	*card = asked >= 0 ? (int)asked : (int)(info->index % (uint32_t)cards);
	return 0;
}

static int describe(const struct cuda_device *dev, const char *remark,
		    struct pfw_device_props *out, struct pfw_error *err)
{
	struct pfw_device_props p = { .size = sizeof(p) };
	struct cudaDeviceProp card;
	cudaError_t e = cudaGetDeviceProperties(&card, dev->card);
	int n;

	if (e)
		return cuda_result("cudaGetDeviceProperties", e, err);
	if (card.major < LEAST_CAPABILITY)
		return pfw_error_set(err, ENODEV,
				     "cuda: %s has compute capability %d.%d: "
				     "8.0 (Ampere) is the least", card.name,
				     card.major, card.minor);
	p.memory = PFW_MEM_CUDA;
	p.act_dtype = dev->act;
	p.graphs = dev->graphs;
	p.profiled = cuda_profiled();
	n = snprintf(p.path, sizeof(p.path), "%.64s, sm_%d%d, cublasLt %d.%d",
		     card.name, card.major, card.minor, CUBLAS_VER_MAJOR,
		     CUBLAS_VER_MINOR);
	if (dev->dnn)
		snprintf(p.path + n, sizeof(p.path) - (size_t)n,
			 ", attention by cuDNN %zu.%zu",
			 cuda_dnn_version(dev->dnn) / 10000,
			 cuda_dnn_version(dev->dnn) / 100 % 100);
	snprintf(p.remark, sizeof(p.remark), "%.255s", remark);
	*out = p;
	return 0;
}

static void device_close(void *device)
{
	struct cuda_device *dev = device;

	if (!dev)
		return;
	cuda_dnn_close(dev->dnn);
	if (dev->stream)
		cudaStreamDestroy(dev->stream);
	if (dev->handle)
		dev->lt.Destroy(dev->handle);
	cuda_free_all(dev);
	free(dev);
}

static int enter_thread(void *device, struct pfw_error *err)
{
	const struct cuda_device *dev = device;

	return cuda_result("cudaSetDevice", cudaSetDevice(dev->card), err);
}

static int start(struct cuda_device *dev, struct pfw_error *err)
{
	int rc = enter_thread(dev, err);

	if (!rc)
		rc = cuda_result("cudaStreamCreateWithFlags",
				 cudaStreamCreateWithFlags(
					 &dev->stream, cudaStreamNonBlocking),
				 err);
	if (!rc)
		rc = cuda_result("the kernels for this card",
				 (cudaError_t)pfw_cuda_prepare(), err);
	if (!rc)
		rc = cuda_lt_load(&dev->lt, err);
	if (!rc && dev->lt.Create(&dev->handle))
		rc = pfw_error_set(err, ENODEV, "cuda: cublasLt does not start "
				   "on card %d", dev->card);
	return rc;
}

static uint32_t read_graphs(const struct pfw_values *opt)
{
	const char *text = opt ? pfw_value_string(opt, "graphs") : "auto";

	return !strcmp(text, "auto") ? PFW_GRAPHS_AUTO :
	       !strcmp(text, "on")   ? PFW_GRAPHS_ALWAYS : 0;
}

static int try_cudnn(struct cuda_device *dev,
		     const struct pfw_device_info *info, struct pfw_error *err)
{
	if (dev->act != PFW_BF16)
		return pfw_error_set(err, EINVAL, "it is for device.dtype = "
				     "\"bf16\" alone");
	return cuda_dnn_open(dev, info->attention, &dev->dnn, err);
}

static int wants_cudnn(const struct pfw_values *opt,
		       const struct pfw_device_info *info)
{
	return opt && info->attention &&
	       strcmp(pfw_value_string(opt, "attention"), "own") != 0;
}

/* What was asked for by name is there, or the run is refused; what was left to the
 * device is told of. */
static int choose_attention(struct cuda_device *dev,
			    const struct pfw_values *opt,
			    const struct pfw_device_info *info,
			    struct pfw_error *remark, struct pfw_error *err)
{
	int rc = wants_cudnn(opt, info) ? try_cudnn(dev, info, remark) : 0;

	/* What of CUDA's it has failed with is no fault of the next kernel. */
	if (rc)
		cudaGetLastError();
	if (!rc || !strcmp(pfw_value_string(opt, "attention"), "auto"))
		return 0;
	return pfw_error_set(err, -rc, "cuda: attention = \"cudnn\": %s; or "
			     "leave the option out", remark->text);
}

/* Of a rank, which has a queue to compute and two to copy. */
#define RANK_QUEUES 3u

static uint64_t own_bytes(const struct pfw_values *opt,
			  const struct pfw_device_info *info)
{
	uint64_t bytes = RANK_QUEUES * (PFW_CUDA_WORKSPACE + CUDA_ASIDE);

	if (wants_cudnn(opt, info) && info->dtype == PFW_BF16 &&
	    (strcmp(pfw_value_string(opt, "attention"), "auto") != 0 ||
	     cuda_dnn_there()))
		bytes += cuda_dnn_bytes(info->attention);
	return bytes;
}

static int device_open(const struct pfw_values *opt,
		       const struct pfw_device_info *info, void **device,
		       struct pfw_device_props *props, struct pfw_error *err)
{
	struct cuda_device *dev = calloc(1, sizeof(*dev));
	struct pfw_error remark = { 0 };
	char text[256] = "";
	int rc;

	if (!dev)
		return pfw_error_set(err, ENOMEM, "out of memory");
	dev->act = info->dtype;
	dev->graphs = read_graphs(opt);
	rc = choose_card(opt, info, &dev->card, err);
	if (!rc)
		rc = start(dev, err);
	if (!rc)
		rc = choose_attention(dev, opt, info, &remark, err);
	if (!rc && remark.code)
		snprintf(text, sizeof(text), "attention by own kernels, not by "
			 "cuDNN: %.200s", remark.text);
	if (!rc)
		rc = describe(dev, text, props, err);
	if (rc) {
		device_close(dev);
		return rc;
	}
	*device = dev;
	return 0;
}

static const struct pfw_kernels *device_kernels(void *device)
{
	(void)device;
	return &cuda_kernels;
}

static const struct pfw_option options[] = {
	{ "card", PFW_OPT_INT, 0, NULL,
	  "the host's card that all ranks use, from 0; else they take turns",
	  NULL, 0, 1023 },
	{ .name = "attention", .type = PFW_OPT_CHOICE, .def = "own",
	  .choices = "own|cudnn|auto",
	  .help = "own kernels; cuDNN 9, which is loaded for it; or that where it "
		  "can" },
	{ .name = "graphs", .type = PFW_OPT_CHOICE, .def = "auto",
	  .choices = "auto|on|off",
	  .help = "each F, B, I and W as one CUDA graph; auto: where that is "
		  "faster, by the first steps" },
};

static const struct pfw_device_limits limits = {
	.size = sizeof(limits),
	.width = PFW_CUDA_MOST_C,
	.head_size = PFW_CUDA_MOST_HEAD,
	.seq = PFW_CUDA_MOST_SEQ,
	.rows = PFW_CUDA_MOST_ROWS,
	.head_rows = PFW_CUDA_MOST_HEAD_ROWS,
	.nearest = 1,
};

static const struct pfw_device_ops ops = {
	.size = sizeof(ops),
	.memory = PFW_MEM_CUDA,
	.limits = &limits,
	.probe = probe,
	.open = device_open,
	.close = device_close,
	.alloc = cuda_alloc,
	.free = cuda_free,
	.open_queue = cuda_open_queue,
	.close_queue = cuda_close_queue,
	.copy = cuda_copy,
	.zero = cuda_zero,
	.sync = cuda_sync,
	.open_event = cuda_open_event,
	.close_event = cuda_close_event,
	.record = cuda_record,
	.query = cuda_query,
	.kernels = device_kernels,
	.enter_thread = enter_thread,
	.follow = cuda_follow,
	.elapsed = cuda_elapsed,
	.native = cuda_native,
	.pin = cuda_pin,
	.unpin = cuda_unpin,
	.mark = cuda_mark,
	.share = cuda_share,
	.arrived = cuda_arrived,
	.lend = cuda_lend,
	.borrow = cuda_borrow,
	.give_back = cuda_give_back,
	.raise = cuda_raise,
	.hold = cuda_hold,
	.begin_graph = cuda_begin_graph,
	.end_graph = cuda_end_graph,
	.run_graph = cuda_run_graph,
	.close_graph = cuda_close_graph,
	.own_bytes = own_bytes,
};

PFW_PLUGIN(.kind = PFW_KIND_DEVICE, .thread_model = PFW_THREAD_OBJECT,
	   .name = "cuda", .summary = "an NVIDIA GPU: own kernels and cublasLt",
	   PFW_OPTIONS(options), .ops = &ops);
