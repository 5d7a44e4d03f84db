#include "runtime/forms.h"

#include "base/size.h"

static uint64_t packed_bytes(const struct pfw_device *device, void *queue,
			     const struct pfw_param *use, uint32_t kind)
{
	const struct pfw_kernels *k = device->kernels;

	return k->pack_bytes ? k->pack_bytes(queue, kind,
					     (uint32_t)use->dims[0],
					     (uint32_t)use->dims[1])
			     : 0;
}

uint64_t pfw_form_bytes(const struct pfw_device *device, void *queue,
			const struct pfw_param *use, uint32_t form)
{
	const uint32_t act = device->props.act_dtype;

	if (!(use->flags & PFW_PARAM_MATRIX) || use->n_dims != 2)
		return 0;
	if (form != PFW_FORM_ACT)
		return packed_bytes(device, queue, use, form);
	if (act == PFW_F32 ||
	    (packed_bytes(device, queue, use, PFW_GEMM_NT) &&
	     packed_bytes(device, queue, use, PFW_GEMM_NN)))
		return 0;
	return pfw_size_mul(use->dims[0] * pfw_dtype_bytes(act), use->dims[1]);
}

void pfw_form_make(const struct pfw_device *device, void *queue,
		   const struct pfw_param *param, uint32_t form,
		   const float *weight, const uint32_t *key, void *to)
{
	const struct pfw_kernels *k = device->kernels;
	const uint32_t rows = (uint32_t)param->dims[0];
	const uint32_t cols = (uint32_t)param->dims[1];

	if (form != PFW_FORM_ACT && key)
		k->pack_at_random(queue, form, rows, cols, weight, to, *key);
	else if (form != PFW_FORM_ACT)
		k->pack(queue, form, rows, cols, weight, to);
	else if (key)
		k->copy_at_random(queue, to, rows, cols, weight, *key);
	else
		k->convert(queue, to, device->props.act_dtype, weight,
			   (uint64_t)rows * cols);
}
