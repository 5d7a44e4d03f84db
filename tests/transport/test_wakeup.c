/*
 * test_wakeup.c: does a sleeper of the shm transport always wake?
 *
 * A model of wait.h: a waker that changes words and wakes, a sleeper that waits
 * for them, each behind a store buffer (as x86 has, and more than enough of
 * what others do): a plain store lies in its buffer until any later time, a
 * sequentially consistent one does not.  Every interleaving is visited.  A
 * state from which nothing can go on with the sleeper not done is a lost
 * wake-up.  The protocol as written has none; each way of leaving something
 * out has one, which shows that the model can see it.
 */
#include "../unit/unit.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What is left out. */
enum fault {
	NONE,
	PLAIN_PUBLISH,  /* no fence between the word and the look at `sleeps` */
	PLAIN_MARK,     /* no fence between `sleeps` and the second look */
	NO_RECHECK,     /* no second look */
	NO_COMPARE,     /* futex_wait without its comparison */
	CLEAR_LATE,     /* wakes, and then clears `sleeps` */
	WRONG_MARK,     /* the sleeper marks another slot than it waits for */
};

#define STEPS 4u
#define BUFFER 3u
#define SLEEPS 2u /* address; 0 and 1 are the words */

/* Slots: what the waker changes, and what the sleeper waits for, in order. */
struct script {
	uint8_t changes[STEPS], awaits[STEPS];
};

struct side {
	uint8_t pc, step, seen;
	uint8_t n; /* stores in the buffer, oldest first */
	uint8_t address[BUFFER], value[BUFFER];
};

struct state {
	uint8_t memory[3];
	uint8_t asleep;
	uint8_t spurious; /* wake-ups for nothing that are left */
	struct side waker, sleeper;
};

enum { W_PUBLISH, W_LOOK, W_CLEAR, W_WAKE, W_DONE };
enum { S_LOOK, S_MARK, S_RECHECK, S_SLEEP, S_ASLEEP, S_CLEAR, S_DONE };

struct model {
	enum fault fault;
	const struct script *script;
	struct state *seen; /* a hash table; memory[0] == 0xff: free */
	size_t size, n;
	struct state *todo;
	size_t n_todo;
	size_t lost;
};

static uint8_t load(const struct state *s, const struct side *me, uint8_t address)
{
	for (uint8_t i = me->n; i-- > 0;)
		if (me->address[i] == address)
			return me->value[i];
	return s->memory[address];
}

/* false: not now, the buffer has to drain first. */
static bool store(struct state *s, struct side *me, uint8_t address,
		  uint8_t value, bool plain)
{
	if (plain) {
		if (me->n == BUFFER)
			return false;
		me->address[me->n] = address;
		me->value[me->n++] = value;
		return true;
	}
	if (me->n)
		return false;
	s->memory[address] = value;
	return true;
}

static bool drain(struct state *s, struct side *me)
{
	if (!me->n)
		return false;
	s->memory[me->address[0]] = me->value[0];
	me->n--;
	memmove(me->address, me->address + 1, BUFFER - 1);
	memmove(me->value, me->value + 1, BUFFER - 1);
	me->address[me->n] = me->value[me->n] = 0;
	return true;
}

/* How often the word of step @p k has changed by then. */
static uint8_t count(const uint8_t *slots, uint8_t k)
{
	uint8_t n = 0;

	for (uint8_t i = 0; i <= k; i++)
		n += slots[i] == slots[k];
	return n;
}

static void next_change(struct side *w)
{
	w->seen = 0;
	w->pc = ++w->step < STEPS ? W_PUBLISH : W_DONE;
}

static bool waker_moves(const struct model *m, struct state *s)
{
	struct side *w = &s->waker;
	uint8_t slot = m->script->changes[w->step % STEPS];
	bool late = m->fault == CLEAR_LATE;

	switch (w->pc) {
	case W_PUBLISH:
		if (!store(s, w, slot, count(m->script->changes, w->step),
			   m->fault == PLAIN_PUBLISH))
			return false;
		w->pc = W_LOOK;
		return true;
	case W_LOOK:
		if (load(s, w, SLEEPS) != slot + 1)
			next_change(w);
		else
			w->pc = late ? W_WAKE : W_CLEAR;
		return true;
	case W_CLEAR:
		if (!store(s, w, SLEEPS, 0, false))
			return false;
		if (late)
			next_change(w);
		else
			w->pc = W_WAKE;
		return true;
	case W_WAKE:
		if (w->n) /* the system call is a fence */
			return false;
		if (s->asleep) {
			s->asleep = 0;
			s->sleeper.pc = S_CLEAR;
		}
		if (late)
			w->pc = W_CLEAR;
		else
			next_change(w);
		return true;
	}
	return false;
}

static bool sleeper_moves(const struct model *m, struct state *s)
{
	struct side *me = &s->sleeper;
	uint8_t slot = m->script->awaits[me->step % STEPS];
	uint8_t mark = (m->fault == WRONG_MARK ? !slot : slot) + 1;
	bool there = me->step < STEPS &&
		     load(s, me, slot) >= count(m->script->awaits, me->step);

	switch (me->pc) {
	case S_LOOK:
		if (there)
			me->pc = ++me->step < STEPS ? S_LOOK : S_DONE;
		else
			me->pc = S_MARK;
		return true;
	case S_MARK:
		if (!store(s, me, SLEEPS, mark, m->fault == PLAIN_MARK))
			return false;
		me->pc = m->fault == NO_RECHECK ? S_SLEEP : S_RECHECK;
		return true;
	case S_RECHECK:
		me->pc = there ? S_CLEAR : S_SLEEP;
		return true;
	case S_SLEEP:
		if (me->n)
			return false;
		if (s->memory[SLEEPS] == mark || m->fault == NO_COMPARE) {
			me->pc = S_ASLEEP;
			s->asleep = 1;
		} else {
			me->pc = S_CLEAR;
		}
		return true;
	case S_ASLEEP:
		if (!s->spurious)
			return false;
		s->spurious--;
		s->asleep = 0;
		me->pc = S_CLEAR;
		return true;
	case S_CLEAR:
		if (!store(s, me, SLEEPS, 0, true))
			return false;
		me->pc = S_LOOK;
		return true;
	}
	return false;
}

static size_t place(const struct model *m, const struct state *s)
{
	const unsigned char *b = (const void *)s;
	uint64_t h = 0xcbf29ce484222325u;
	size_t i;

	for (i = 0; i < sizeof(*s); i++)
		h = (h ^ b[i]) * 0x100000001b3u;
	i = h & (m->size - 1);
	while (m->seen[i].memory[0] != 0xff && memcmp(&m->seen[i], s, sizeof(*s)))
		i = (i + 1) & (m->size - 1);
	return i;
}

static void visit(struct model *m, const struct state *s)
{
	size_t i = place(m, s);

	if (m->seen[i].memory[0] != 0xff)
		return;
	CU_ASSERT_FATAL(++m->n < m->size / 2);
	m->seen[i] = *s;
	m->todo[m->n_todo++] = *s;
}

/* All that can happen next; nothing: is that the end, or a lost wake-up? */
static void expand(struct model *m, const struct state *from)
{
	bool moved = false;

	for (int i = 0; i < 4; i++) {
		struct state s = *from;

		if (i == 0 ? waker_moves(m, &s) : i == 1 ? sleeper_moves(m, &s) :
		    drain(&s, i == 2 ? &s.waker : &s.sleeper)) {
			visit(m, &s);
			moved = true;
		}
	}
	if (!moved && from->sleeper.pc != S_DONE)
		m->lost++;
}

static size_t lost_wakeups(const struct script *script, enum fault fault)
{
	struct model m = { .fault = fault, .script = script, .size = 1 << 17 };
	struct state start = { .spurious = 2 };

	m.seen = malloc(m.size * sizeof(*m.seen));
	m.todo = malloc(m.size * sizeof(*m.todo));
	CU_ASSERT_FATAL(m.seen && m.todo);
	memset(m.seen, 0xff, m.size * sizeof(*m.seen));
	visit(&m, &start);
	while (m.n_todo) {
		struct state s = m.todo[--m.n_todo];

		expand(&m, &s);
	}
	CU_ASSERT(m.n > 100);
	free(m.seen);
	free(m.todo);
	return m.lost;
}

static const struct script messages = { { 0, 0, 0, 0 }, { 0, 0, 0, 0 } };
static const struct script in_turn = { { 0, 1, 0, 1 }, { 0, 1, 0, 1 } };
static const struct script crossed = { { 0, 1, 1, 0 }, { 1, 0, 0, 1 } };

static void test_as_written(void)
{
	CU_ASSERT_EQUAL(lost_wakeups(&messages, NONE), 0);
	CU_ASSERT_EQUAL(lost_wakeups(&in_turn, NONE), 0);
	CU_ASSERT_EQUAL(lost_wakeups(&crossed, NONE), 0);
}

static void test_left_out(void)
{
	for (enum fault f = PLAIN_PUBLISH; f <= CLEAR_LATE; f++) {
		CU_ASSERT_NOT_EQUAL(lost_wakeups(&messages, f), 0);
		CU_ASSERT_NOT_EQUAL(lost_wakeups(&crossed, f), 0);
	}
	CU_ASSERT_NOT_EQUAL(lost_wakeups(&in_turn, WRONG_MARK), 0);
}

static const struct unit_test tests[] = {
	{ "as written, no wake-up is lost", test_as_written },
	{ "with anything left out, one is", test_left_out },
};

UNIT_MAIN("shm wake-up", tests)
