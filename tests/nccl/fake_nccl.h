/*
 * fake_nccl.h: a stand-in for libnccl, over the stand-in for libcudart, so that
 * what is sent between ranks by NCCL can be tested where there is no GPU.
 *
 * A communicator of two ranks is a socket between them; of more, one from each to
 * the first.  An operation is a piece of work of its stream that does not end before
 * the peer has taken part, or the communicator is aborted: nothing is buffered.
 * Communicators are made without blocking, and calls are still "in progress" when
 * they return.
 *
 * What NCCL leaves undefined ends the process with a sentence (test_rules.c):
 * counts that differ at the two ends, two that send or two that receive, members that
 * call different things; a call while one is in progress, or after an abort, or an
 * abort that would wait for ever; a group that is ended twice, is looked at before it
 * is ended, or has more than 256 operations; an id that is used twice; memory that is
 * not the device's, or is freed while a communicator has it registered.
 *
 * A group of operations of one communicator is one kernel: what comes after it waits
 * for all of them.  The transport makes none.
 *
 * Built with FAKE_NCCL_OLD it is 2.18, without what came later.
 *
 * Environment: FAKE_NCCL_FAIL=CALL:NTH:RESULT is fake_nccl_fail();
 * FAKE_NCCL_VERSION=N is what ncclGetVersion() gives; with FAKE_NCCL_APART the ranks
 * of a communicator must be processes of their own; to FAKE_NCCL_CALLS=FILE a line is
 * appended for each id, communicator and operation: process, call, id, rank, and
 * bytes (of a communicator: the most CTAs).
 */
#ifndef PFW_TESTS_FAKE_NCCL_H
#define PFW_TESTS_FAKE_NCCL_H

#include <nccl.h>

/** The @p nth call (from 1) from now on of this name, "ncclSend", fails; the name
 *  "async" is for a failure that a communicator finds by itself, "async0" and
 *  "async1" for one of its end of that rank. */
void fake_nccl_fail(const char *call, unsigned nth, ncclResult_t result);
/** Communicators and blocks of memory that were made and not freed. */
unsigned fake_nccl_alive(void);
/** How many communicators were aborted so far. */
unsigned fake_nccl_aborted(void);
/** While it is set, aborts do not end. */
void fake_nccl_hold_aborts(int held);
/** How many blocks of memory were registered so far. */
unsigned fake_nccl_listed(void);

#endif
