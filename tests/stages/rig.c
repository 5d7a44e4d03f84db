#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plain.h"
#include "settings/config.h"

/* It serves programs without CUnit too. */
static void must(int rc, const struct pfw_error *err)
{
	if (!rc)
		return;
	fprintf(stderr, "%s\n", err->text);
	abort();
}

uint32_t subjects_open(struct pfw_registry *reg, uint32_t threads,
		       struct pfw_rig_device out[MAX_SUBJECTS])
{
	struct pfw_error err = { 0 };
	int rc;

	memset(out, 0, MAX_SUBJECTS * sizeof(out[0]));
	out[0].name = "plain";
	out[0].device = plain_device;
	rc = pfw_rig_device_open(reg, "cpu", PFW_F32, threads, &out[1], &err);
	if (rc == -ENOENT) {
		printf("\n  without the cpu device: %s\n", err.text);
		return 1;
	}
	must(rc, &err);
	must(pfw_rig_device_open(reg, "cpu bf16", PFW_BF16, threads, &out[2],
				 &err), &err);
	return MAX_SUBJECTS;
}

void subjects_close(struct pfw_rig_device *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		pfw_rig_device_close(&s[i]);
}

void rig_open(struct pfw_rig *r, const struct pfw_loaded *stage,
	      const struct pfw_rig_device *on, const struct rig_setup *setup)
{
	const struct pfw_rig_setup plain = {
		.batch = setup->batch, .seq = setup->seq, .split = setup->split,
		.stages = setup->stages, .layout = setup->layout };
	struct pfw_error err = { 0 };
	struct pfw_values *values;
	uint32_t n = 0;

	while (n < 5 && setup->options[n])
		n++;
	must(pfw_values_from_texts(stage->info.options, stage->info.n_options,
				   "gpt2", setup->options, n, &values, &err),
	     &err);
	must(pfw_rig_open(r, stage, values, on, &plain, &err), &err);
	pfw_values_free(values);
}
