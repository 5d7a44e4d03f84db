/*
 * unit.h: runs a table of CUnit tests and gives the exit status.
 */
#ifndef PFW_TESTS_UNIT_H
#define PFW_TESTS_UNIT_H

#include <CUnit/Basic.h>
#include <stddef.h>

struct unit_test {
	const char *name;
	CU_TestFunc run;
};

static inline int unit_run(const char *suite, const struct unit_test *tests,
			   size_t n)
{
	CU_pSuite s;
	unsigned failures;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 99;
	s = CU_add_suite(suite, NULL, NULL);
	for (size_t i = 0; s && i < n; i++)
		if (!CU_add_test(s, tests[i].name, tests[i].run))
			s = NULL;
	if (!s) {
		CU_cleanup_registry();
		return 99;
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	/* The count is gone after clean-up, and CU_get_error() never has it. */
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures ? 1 : 0;
}

#define UNIT_MAIN(suite, tests)                                                \
	int main(void)                                                         \
	{                                                                      \
		return unit_run(suite, tests, sizeof(tests) / sizeof((tests)[0])); \
	}

#endif
