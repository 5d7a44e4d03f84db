/*
 * forms.h: what a device's matrix products read of a weight, which is kept in
 * fp32: it is packed as B of PFW_GEMM_NT (form 0) and of PFW_GEMM_NN (form 1), or
 * copied in act.
 */
#ifndef PFW_CORE_FORMS_H
#define PFW_CORE_FORMS_H

#include <pipefw/stage.h>

#define PFW_FORM_ACT 2u
#define PFW_FORMS 3u

/** Bytes of this form of what a layer uses so; 0: nobody reads it.  @p queue may
 *  be NULL: asked by who only plans. */
uint64_t pfw_form_bytes(const struct pfw_device *device, void *queue,
			const struct pfw_param *use, uint32_t form);
/** Of the weight as it is now; @p key is that of rounding at random, NULL: to
 *  nearest. */
void pfw_form_make(const struct pfw_device *device, void *queue,
		   const struct pfw_param *param, uint32_t form,
		   const float *weight, const uint32_t *key, void *to);

#endif
