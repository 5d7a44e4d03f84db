/*
 * fake_stream.h: what the stand-in's streams, events and graphs know of each other.
 */
#ifndef PFW_TESTS_FAKE_STREAM_H
#define PFW_TESTS_FAKE_STREAM_H

#include "cuda/fake_impl.h"

enum { RUN, COPY, SET, RECORD, WAIT, WRITE_WORD, WAIT_WORD, REPLAY };

struct CUevent_st {
	uint64_t asked, done; /* records */
	uint64_t time_ns;     /* of the last that is done */
	int timed;            /* elapsed time may be asked */
	unsigned users;       /* who holds it: the caller, and work in queues */
};

struct work {
	struct work *next;
	int type, value;
	cudaHostFn_t run;
	void *dst;
	const void *src;
	size_t bytes;
	struct CUevent_st *event;
	uint64_t nth; /* of the event's records; of a word its value */
	void *staged; /* what was pageable: copied when it was asked for; or
			 what run() is given */
	struct CUgraphExec_st *graph;
};

/* Captured work, in its order. */
struct CUgraph_st {
	struct work *first, **last;
};

/* The same graph: what is captured is not changed afterwards. */
struct CUgraphExec_st {
	struct CUgraph_st *graph;
};

struct CUstream_st {
	struct CUstream_st *next;
	pthread_t thread;
	struct work *first, **last;
	int busy, closing;
	unsigned watchers; /* so many wait for it */
	int blocking; /* the stream of number 0 waits for it, and it for that */
	uint64_t random;
	struct CUgraph_st *capture; /* NULL: work is done */
	int invalid;                /* the capture */
	pthread_t captor;
};

/** A copy of @p what. */
cudaError_t fake_enqueue(struct CUstream_st *stream, const struct work *what);
void fake_perform(struct work *work);
void fake_discard(struct work *work);

/* fake_event.c */
void fake_record_or_wait(struct work *work);

/* fake_graph.c */
void fake_replay(const struct CUgraphExec_st *exec);
/** An error where the stream is captured. */
cudaError_t fake_not_captured(struct CUstream_st *stream);

#endif
