/* Fibers, barriers and warp operations: see simt.h. */
#include "simt.h"

#include <cstdio>
#include <cstdlib>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMT_ASAN 1
#endif
#endif
#ifdef SIMT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

enum { MOST_THREADS = 1024 };
static const size_t stack_bytes = (size_t)64 << 10;
/* What every card since sm_80 has (CUDA C++ Programming Guide, "Compute
 * Capabilities"): sm_86, sm_89 and sm_120 have the least. */
static const size_t most_shared = (size_t)99 << 10;
static const size_t all_may_have = (size_t)48 << 10;

simt_order simt_order_now = SIMT_FORWARD;
uint64_t simt_last_blocks;
int (*simt_submit)(struct CUstream_st *, void (*)(void *), void *);
thread_local simt_index simt_here;

/*
 * simt_switch(&from, to): pushes what a call must preserve, leaves the stack
 * pointer in *from and goes on where `to` had left.
 */
extern "C" void simt_switch(void **from, void *to);
#if defined(__x86_64__)
asm(".text\n.globl simt_switch\n.type simt_switch,@function\nsimt_switch:\n"
    "	pushq %rbp\n	pushq %rbx\n	pushq %r12\n	pushq %r13\n"
    "	pushq %r14\n	pushq %r15\n"
    "	movq %rsp, (%rdi)\n	movq %rsi, %rsp\n"
    "	popq %r15\n	popq %r14\n	popq %r13\n	popq %r12\n"
    "	popq %rbx\n	popq %rbp\n	ret\n"
    ".size simt_switch, .-simt_switch\n");
enum { SAVED_WORDS = 6, RETURN_WORD = 6, FRAME_WORDS = 8 };
#elif defined(__aarch64__)
asm(".text\n.globl simt_switch\n.type simt_switch,%function\nsimt_switch:\n"
    "	sub sp, sp, #160\n"
    "	stp x19, x20, [sp]\n	stp x21, x22, [sp, #16]\n"
    "	stp x23, x24, [sp, #32]\n	stp x25, x26, [sp, #48]\n"
    "	stp x27, x28, [sp, #64]\n	stp x29, x30, [sp, #80]\n"
    "	stp d8, d9, [sp, #96]\n	stp d10, d11, [sp, #112]\n"
    "	stp d12, d13, [sp, #128]\n	stp d14, d15, [sp, #144]\n"
    "	mov x2, sp\n	str x2, [x0]\n	mov sp, x1\n"
    "	ldp x19, x20, [sp]\n	ldp x21, x22, [sp, #16]\n"
    "	ldp x23, x24, [sp, #32]\n	ldp x25, x26, [sp, #48]\n"
    "	ldp x27, x28, [sp, #64]\n	ldp x29, x30, [sp, #80]\n"
    "	ldp d8, d9, [sp, #96]\n	ldp d10, d11, [sp, #112]\n"
    "	ldp d12, d13, [sp, #128]\n	ldp d14, d15, [sp, #144]\n"
    "	add sp, sp, #160\n	ret\n"
    ".size simt_switch, .-simt_switch\n");
enum { SAVED_WORDS = 20, RETURN_WORD = 11, FRAME_WORDS = 20 };
#else
#error "fibers of this machine are not written: x86-64 and aarch64 are"
#endif

enum state { READY, AT_WARP, AT_BARRIER, DONE };

struct copy {
	void *dst;
	const void *src;
	unsigned bytes, group;
};

struct fiber {
	void *sp;
	void *fake_stack; /* the sanitizer's */
	enum state state;
	simt_dim index;
	unsigned group; /* of copies, that is being filled */
	std::vector<copy> copies;
};

struct warp {
	void (*op)(simt_lanes *l);
	unsigned arrived;
	simt_lanes lanes;
};

struct named_shared {
	const void *key;
	void *memory;
};

/* What runs a grid; one for each thread that launches. */
struct machine {
	void *sp, *fake_stack;
	char *stacks;
	const void *own_stack;
	size_t own_stack_bytes;
	const std::function<void()> *kernel;
	unsigned n, current;
	std::vector<fiber> fibers;
	std::vector<warp> warps;
	std::vector<named_shared> statics;
	void *dynamic;
	uint64_t chance;

	~machine()
	{
		if (stacks)
			munmap(stacks, MOST_THREADS * stack_bytes);
	}
};
static thread_local std::unique_ptr<machine> the_machine;

static machine *mine(void)
{
	machine *m = the_machine.get();

	if (m)
		return m;
	the_machine.reset(m = new machine());
	m->fibers.resize(MOST_THREADS);
	m->warps.resize(MOST_THREADS / SIMT_LANES);
	m->stacks = (char *)mmap(NULL, MOST_THREADS * stack_bytes,
				 PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				 -1, 0);
	m->chance = 0x9e3779b97f4a7c15u;
	return m;
}

[[noreturn]] static void refuse(const char *what)
{
	fprintf(stderr,
		"simt: block (%u %u %u) thread %u: %s\n",
		simt_here.block.x, simt_here.block.y, simt_here.block.z,
		simt_here.thread.x, what);
	abort();
}

static void before_switch(void **fake, const void *stack, size_t bytes)
{
#ifdef SIMT_ASAN
	__sanitizer_start_switch_fiber(fake, stack, bytes);
#else
	(void)fake;
	(void)stack;
	(void)bytes;
#endif
}

static void after_switch(void *fake, const void **stack, size_t *bytes)
{
#ifdef SIMT_ASAN
	__sanitizer_finish_switch_fiber(fake, stack, bytes);
#else
	(void)fake;
	(void)stack;
	(void)bytes;
#endif
}

/* Out of the running fiber, which is never resumed if it is DONE. */
static void leave(machine *m, enum state state)
{
	fiber *f = &m->fibers[m->current];

	f->state = state;
	before_switch(state == DONE ? NULL : &f->fake_stack, m->own_stack,
		      m->own_stack_bytes);
	simt_switch(&f->sp, m->sp);
	after_switch(f->fake_stack, NULL, NULL);
}

static void enter(machine *m, unsigned i)
{
	m->current = i;
	simt_here.thread = m->fibers[i].index;
	before_switch(&m->fake_stack, m->stacks + i * stack_bytes, stack_bytes);
	simt_switch(&m->sp, m->fibers[i].sp);
	after_switch(m->fake_stack, NULL, NULL);
}

static void fiber_main(void)
{
	machine *m = the_machine.get();

	after_switch(NULL, &m->own_stack, &m->own_stack_bytes);
	(*m->kernel)();
	if (!m->fibers[m->current].copies.empty())
		refuse("ends with a cp.async that nobody waited for");
	leave(m, DONE);
	abort();
}

static void fiber_start(machine *m, unsigned i)
{
	uintptr_t *top = (uintptr_t *)(m->stacks + (i + 1) * stack_bytes);
	fiber *f = &m->fibers[i];

#ifdef SIMT_ASAN
	/* Who had the stack before has left his red zones in it. */
	__asan_unpoison_memory_region(m->stacks + i * stack_bytes, stack_bytes);
#endif
	/* As a call would find it: 16 bytes aligned before the return address. */
	memset(top - FRAME_WORDS, 0, FRAME_WORDS * sizeof(*top));
	top -= FRAME_WORDS;
	top[RETURN_WORD] = (uintptr_t)fiber_main;
	f->sp = top;
	f->fake_stack = NULL;
	f->state = READY;
	f->group = 0;
	f->copies.clear();
}

static unsigned chance(machine *m, unsigned n)
{
	m->chance ^= m->chance << 13;
	m->chance ^= m->chance >> 7;
	m->chance ^= m->chance << 17;
	return (unsigned)(m->chance % n);
}

/* 0..n-1 in today's order. */
static void in_order(machine *m, unsigned *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		list[i] = simt_order_now == SIMT_BACKWARD ? n - 1 - i : i;
	for (unsigned i = n; simt_order_now == SIMT_MIXED && i > 1; i--) {
		unsigned j = chance(m, i), k = list[j];

		list[j] = list[i - 1];
		list[i - 1] = k;
	}
}

/* Each lane to its next stop, once or (not mixed) as far as the warp gets. */
static bool run_warp(machine *m, unsigned w)
{
	unsigned lanes[SIMT_LANES];
	bool ran = false, again = true;

	in_order(m, lanes, SIMT_LANES);
	while (again) {
		again = false;
		for (unsigned l = 0; l < SIMT_LANES; l++) {
			unsigned i = w * SIMT_LANES + lanes[l];

			if (m->fibers[i].state != READY)
				continue;
			enter(m, i);
			again = ran = true;
		}
		if (simt_order_now == SIMT_MIXED)
			break;
	}
	return ran;
}

static unsigned count(const machine *m, enum state state)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n; i++)
		n += m->fibers[i].state == state;
	return n;
}

static void run_block(machine *m)
{
	unsigned list[MOST_THREADS / SIMT_LANES], n = m->n / SIMT_LANES;
	bool ran;

	for (unsigned i = 0; i < m->n; i++)
		fiber_start(m, i);
	while (count(m, DONE) < m->n) {
		ran = false;
		in_order(m, list, n);
		for (unsigned w = 0; w < n; w++)
			ran |= run_warp(m, list[w]);
		if (ran)
			continue;
		if (count(m, AT_WARP))
			refuse("a warp operation was not met by all lanes");
		if (count(m, AT_BARRIER) != m->n)
			refuse("a barrier was not met by all threads");
		for (unsigned i = 0; i < m->n; i++)
			m->fibers[i].state = READY;
	}
}

static void *fresh_shared(size_t bytes)
{
	void *p = NULL;

	if (posix_memalign(&p, 128, bytes ? bytes : 1))
		refuse("out of memory");
	memset(p, 0xff, bytes);
	return p;
}

/* Kernels that may have more shared memory than all may; under a lock. */
static std::mutex allowing;
static std::map<const void *, size_t> allowed;

int simt_allow(const void *name, size_t bytes)
{
	std::lock_guard<std::mutex> held(allowing);

	if (bytes > most_shared)
		return 1; /* cudaErrorInvalidValue */
	allowed[name] = bytes;
	return 0;
}

static void check_shared(const void *name, size_t bytes)
{
	std::lock_guard<std::mutex> held(allowing);

	if (bytes > all_may_have &&
	    (!allowed.count(name) || bytes > allowed[name]))
		refuse("more shared memory than the kernel is allowed");
}

void simt_check_vector(const void *p)
{
	if ((uintptr_t)p % 16)
		refuse("a vector that is not aligned");
}

static void check_launch(simt_dim grid, simt_dim block)
{
	if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffffu ||
	    grid.y > 65535 || grid.z > 65535)
		refuse("a grid that no card takes");
	if (!block.x || block.x > MOST_THREADS || block.x % SIMT_LANES ||
	    block.y != 1 || block.z != 1)
		refuse("a block that is not of whole warps, or too large");
}

/* A launch, kept until the program ends: a graph may run it again. */
struct launch {
	simt_dim grid, block;
	size_t shared;
	std::function<void()> kernel;
};

static simt_dim place(simt_dim grid, uint64_t b)
{
	return simt_dim((unsigned)(b % grid.x), (unsigned)(b / grid.x % grid.y),
			(unsigned)(b / grid.x / grid.y));
}

static void run_grid(void *arg)
{
	const launch *l = (const launch *)arg;
	const uint64_t n = (uint64_t)l->grid.x * l->grid.y * l->grid.z;
	uint64_t first = 0;
	machine *m = mine();

	m->kernel = &l->kernel;
	m->n = l->block.x;
	simt_here.block_dim = l->block;
	simt_here.grid_dim = l->grid;
	for (unsigned i = 0; i < m->n; i++)
		m->fibers[i].index = simt_dim(i, 0, 0);
	if (simt_last_blocks && simt_last_blocks < n)
		first = n - simt_last_blocks;
	for (uint64_t i = first; i < n; i++) {
		simt_here.block = place(l->grid, simt_order_now == SIMT_FORWARD
							 ? i
							 : n - 1 - (i - first));
		m->dynamic = fresh_shared(l->shared);
		run_block(m);
		free(m->dynamic);
		for (const named_shared &s : m->statics)
			free(s.memory);
		m->statics.clear();
	}
}

int simt_launch(const void *name, struct CUstream_st *stream, simt_dim grid,
		simt_dim block, size_t shared,
		const std::function<void()> &kernel)
{
	static std::mutex lock;
	static std::list<launch> all;
	launch l = { grid, block, shared, kernel };

	check_launch(grid, block);
	check_shared(name, shared);
	if (!simt_submit) {
		run_grid(&l);
		return 0;
	}
	std::lock_guard<std::mutex> held(lock);
	all.push_back(l);
	return simt_submit(stream, run_grid, &all.back());
}

void __syncthreads(void)
{
	leave(the_machine.get(), AT_BARRIER);
}

void *simt_dynamic_shared(void)
{
	return the_machine->dynamic;
}

void *simt_static_shared(const void *key, size_t bytes)
{
	machine *m = the_machine.get();

	for (const named_shared &s : m->statics)
		if (s.key == key)
			return s.memory;
	m->statics.push_back({ key, fresh_shared(bytes) });
	return m->statics.back().memory;
}

void simt_warp(void (*op)(simt_lanes *l), const void *in, size_t in_bytes,
	       void *out, size_t out_bytes)
{
	machine *m = the_machine.get();
	unsigned lane = m->current % SIMT_LANES, first = m->current - lane;
	warp *w = &m->warps[m->current / SIMT_LANES];

	if (!w->arrived)
		w->op = op;
	if (w->op != op)
		refuse("lanes of a warp are at different warp operations");
	if (in_bytes)
		memcpy(w->lanes.in[lane], in, in_bytes);
	if (++w->arrived < SIMT_LANES) {
		leave(m, AT_WARP);
	} else {
		op(&w->lanes);
		w->arrived = 0;
		for (unsigned l = 0; l < SIMT_LANES; l++)
			m->fibers[first + l].state = READY;
	}
	if (out_bytes)
		memcpy(out, w->lanes.out[lane], out_bytes);
}

static void do_copy(const copy *c)
{
	unsigned char data[16] = { 0 };

	memcpy(data, c->src, c->bytes);
	memcpy(c->dst, data, sizeof(data));
}

void simt_cp_async(void *dst, const void *src, unsigned bytes)
{
	machine *m = the_machine.get();
	fiber *f = &m->fibers[m->current];
	const copy c = { dst, src, bytes, f->group };

	if ((uintptr_t)dst % 16 || (bytes && (uintptr_t)src % 16))
		refuse("a cp.async of 16 bytes that is not aligned");
	if (simt_order_now != SIMT_BACKWARD)
		do_copy(&c);
	else
		memset(dst, 0xff, 16);
	f->copies.push_back(c);
}

void simt_cp_async_commit(void)
{
	the_machine->fibers[the_machine->current].group++;
}

void simt_cp_async_wait(unsigned groups_left)
{
	machine *m = the_machine.get();
	fiber *f = &m->fibers[m->current];
	size_t n = 0;

	for (; n < f->copies.size(); n++) {
		if (f->copies[n].group + groups_left >= f->group)
			break;
		if (simt_order_now == SIMT_BACKWARD)
			do_copy(&f->copies[n]);
	}
	f->copies.erase(f->copies.begin(), f->copies.begin() + (ptrdiff_t)n);
}

void simt_nothing_op(simt_lanes *l)
{
	(void)l;
}

void simt_shuffle_op(simt_lanes *l)
{
	for (unsigned i = 0; i < SIMT_LANES; i++) {
		simt_shuffle s;

		memcpy(&s, l->in[i], sizeof(s));
		memcpy(l->out[i], l->in[s.from & 31], sizeof(s.value));
	}
}

/* PTX ISA 9.7.14.5.8, "mma.m16n8k16 with floating point type", .bf16:
 * groupID = lane / 4, t = lane % 4.
 *  a[i]: row groupID (i = 0, 2) or + 8, columns 2 t + {0, 1}, + 8 for i >= 2
 *  b[i]: row (k) 2 t + {0, 1} + 8 i, column (n) groupID
 *  d[i]: row groupID + 8 (i / 2), column 2 t + i % 2. */
struct mma_in {
	uint32_t a[4], b[2];
	float d[4];
};

static float half_of(uint32_t pair, unsigned high)
{
	uint32_t u = high ? pair & 0xffff0000u : pair << 16;
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

static void mma_op(simt_lanes *l)
{
	float a[16][16], b[16][8], d[16][8];
	mma_in in[SIMT_LANES];

	for (unsigned lane = 0; lane < SIMT_LANES; lane++) {
		unsigned g = lane / 4, t = lane % 4;

		memcpy(&in[lane], l->in[lane], sizeof(in[lane]));
		for (unsigned h = 0; h < 2; h++) {
			for (unsigned i = 0; i < 4; i++)
				a[g + i % 2 * 8][2 * t + h + i / 2 * 8] =
					half_of(in[lane].a[i], h);
			for (unsigned i = 0; i < 2; i++)
				b[2 * t + h + 8 * i][g] =
					half_of(in[lane].b[i], h);
			for (unsigned i = 0; i < 2; i++)
				d[g + 8 * i][2 * t + h] = in[lane].d[2 * i + h];
		}
	}
	for (unsigned r = 0; r < 16; r++)
		for (unsigned k = 0; k < 16; k++)
			for (unsigned c = 0; c < 8; c++)
				d[r][c] += a[r][k] * b[k][c];
	for (unsigned lane = 0; lane < SIMT_LANES; lane++) {
		float out[4];

		for (unsigned i = 0; i < 4; i++)
			out[i] = d[lane / 4 + 8 * (i / 2)]
				  [2 * (lane % 4) + i % 2];
		memcpy(l->out[lane], out, sizeof(out));
	}
}

void simt_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
	mma_in in;

	memcpy(in.a, a, sizeof(in.a));
	memcpy(in.b, b, sizeof(in.b));
	memcpy(in.d, d, sizeof(in.d));
	simt_warp(mma_op, &in, sizeof(in), d, sizeof(in.d));
}

/* PTX ISA 9.7.14.5.15: lane l gets of each matrix i, in r[i], the elements
 * 2 (l % 4) and the next of row l / 4; transposed, of column l / 4. */
static void fill_ldmatrix(simt_lanes *l, bool transposed)
{
	const unsigned char *row[SIMT_LANES];

	for (unsigned i = 0; i < SIMT_LANES; i++) {
		memcpy(&row[i], l->in[i], sizeof(row[i]));
		if ((uintptr_t)row[i] % 16)
			refuse("an ldmatrix row that is not aligned");
	}
	for (unsigned lane = 0; lane < SIMT_LANES; lane++)
		for (unsigned i = 0; i < 4; i++)
			for (unsigned h = 0; h < 2; h++) {
				unsigned r = lane / 4, c = 2 * (lane % 4) + h;

				memcpy(l->out[lane] + 4 * i + 2 * h,
				       row[8 * i + (transposed ? c : r)] +
					       2 * (transposed ? r : c),
				       2);
			}
}

static void ldmatrix_op(simt_lanes *l)
{
	fill_ldmatrix(l, false);
}

static void ldmatrix_trans_op(simt_lanes *l)
{
	fill_ldmatrix(l, true);
}

void simt_ldmatrix_x4(uint32_t r[4], const void *row, bool transposed)
{
	simt_warp(transposed ? ldmatrix_trans_op : ldmatrix_op, &row,
		  sizeof(row), r, 4 * sizeof(*r));
}
