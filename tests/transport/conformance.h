/*
 * conformance.h: what the parts of the conformance tests share.
 */
#ifndef PFW_TESTS_CONFORMANCE_H
#define PFW_TESTS_CONFORMANCE_H

#include "harness.h"

/* What is being tested: CUnit's tests take no argument. */
extern const struct subject *subject;
extern const struct pfw_transport_ops *ops;

void test_threads(void);
void test_processes(void);
void test_one_core(void);
void test_killed_sender(void);
void test_killed_receiver(void);

#endif
