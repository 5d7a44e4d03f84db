/*
 * saved.h: the tiny model saved in the test's folder, and what is read there.
 */
#ifndef PFW_TESTS_SAVED_H
#define PFW_TESTS_SAVED_H

#include "tiny_model.h"
#include "tmpdir.h"

static char note[2048];
static struct pfw_error err;

/** The step that a run's folder gives, all of it; 0: none. */
static inline uint64_t step_in(const char *dir)
{
	struct pfw_train_state state = { 0 };

	note[0] = err.text[0] = '\0';
	return tiny_is_whole(dir, &state, note, sizeof(note), &err) ? state.step :
								      0;
}

/** The folder is taken off where the sentence begins with it. */
static inline const char *sentence(void)
{
	size_t n = strlen(tmp_dir);

	return strncmp(err.text, tmp_dir, n) ? err.text : err.text + n + 1;
}

static inline void save(uint64_t step)
{
	CU_ASSERT_EQUAL_FATAL(tiny_save(tmp_dir, step, &err), 0);
}

#endif
