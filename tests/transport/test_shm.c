/*
 * test_shm.c: what is the shm transport's own: strangers on its socket, memory
 * that cannot be had, pages that cannot be written, kernels without pidfd.
 */
#include "harness.h"

#include "../unit/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A musl system may be without the kernel's headers. */
#if __has_include(<linux/seccomp.h>) && __has_include(<linux/filter.h>)
#include <linux/filter.h>
#include <linux/seccomp.h>
#define HAVE_SECCOMP 1
#else
#define HAVE_SECCOMP 0
#endif

static struct pfw_registry *registry;
static struct pfw_subject shm;

/* The address blob has the socket's name behind 12 bytes of magic and version. */
static int call(const struct pfw_end *e)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	const char *text = (const char *)e->self.bytes + 12;
	size_t len = strlen(text);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);

	memcpy(name.sun_path + 1, text, len);
	if (connect(fd, (struct sockaddr *)&name,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len))) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool hung_up(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

static unsigned open_files(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Garbage is hung up on; the silent ones make room; who belongs here gets in. */
static void test_strangers(void)
{
	enum { SILENT = 200 };
	struct pfw_channel_info info = pfw_end_channel_info(0, 0, 2, 64);
	int silent[SILENT], garbage, empty, rc[2] = { -EAGAIN, -EAGAIN };
	void *channel[2] = { NULL, NULL };
	char noise[4096];
	struct pfw_end e[2];
	unsigned files;

	memset(noise, 0xa5, sizeof(noise));
	for (uint32_t r = 0; r < 2; r++)
		CU_ASSERT_EQUAL_FATAL(pfw_end_open(&e[r], &shm, r, 9, 0), 0);
	garbage = call(&e[1]);
	empty = call(&e[1]);
	CU_ASSERT_FATAL(garbage >= 0 && empty >= 0);
	CU_ASSERT_EQUAL(send(garbage, noise, sizeof(noise), 0), sizeof(noise));
	CU_ASSERT_EQUAL(send(empty, noise, 0, 0), 0);
	CU_ASSERT_EQUAL(pfw_end_try(&e[1], &info, &e[0].self, &channel[1]), -EAGAIN);
	CU_ASSERT(hung_up(garbage));
	CU_ASSERT(hung_up(empty));
	for (int i = 0; i < SILENT; i++)
		silent[i] = call(&e[1]);
	files = open_files();
	for (int i = 0; i < 20 && (rc[0] == -EAGAIN || rc[1] == -EAGAIN); i++)
		for (uint32_t r = 0; r < 2; r++)
			if (rc[r] == -EAGAIN)
				rc[r] = pfw_end_try(&e[r], &info, &e[!r].self,
						&channel[r]);
	CU_ASSERT_EQUAL(rc[0], 0);
	CU_ASSERT_EQUAL(rc[1], 0);
	CU_ASSERT(open_files() < files + 80);
	for (int i = 0; i < SILENT; i++)
		close(silent[i]);
	close(garbage);
	close(empty);
	shm.ops->close_channel(channel[0]);
	shm.ops->close_channel(channel[1]);
	pfw_end_close(&e[0]);
	pfw_end_close(&e[1]);
}

/* Nothing stays open when all is closed. */
static void test_nothing_left(void)
{
	unsigned files = open_files();
	struct pfw_pair p;

	CU_ASSERT_EQUAL(pfw_pair_open(&p, &shm, 0, 3, 64), 0);
	pfw_pair_close(&p);
	CU_ASSERT_EQUAL(open_files(), files);
}

/* The receiver's stage cannot write what the sender's owns: SIGSEGV. */
static void test_read_only(void)
{
	struct pfw_pair p;
	pid_t pid;
	int status = 0;

	CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &shm, 0, 1, 64), 0);
	pid = fork();
	if (pid == 0) {
		struct rlimit no_core = { 0, 0 };

		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGSEGV, SIG_DFL);
		*(volatile char *)shm.ops->slot(p.rx, 0) = 1;
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	pfw_pair_close(&p);
}

/* Both ends see the same bytes: the slot is one place, mapped twice. */
static void test_in_place(void)
{
	struct pfw_pair p;
	volatile unsigned char *tx, *rx;

	CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &shm, 1, 2, 8192), 0);
	tx = shm.ops->slot(p.tx, 1);
	rx = shm.ops->slot(p.rx, 1);
	CU_ASSERT_PTR_NOT_EQUAL(tx, rx);
	tx[8191] = 42;
	CU_ASSERT_EQUAL(rx[8191], 42);
	tx[8191] = 43;
	CU_ASSERT_EQUAL(rx[8191], 43);
	pfw_pair_close(&p);
}

/* More than there is: a sentence before anything is taken. */
static void test_too_large(void)
{
	struct pfw_channel_info info = pfw_end_channel_info(0, 0, 1, 1ull << 39);
	void *c = NULL;
	struct pfw_end e;

	CU_ASSERT_EQUAL_FATAL(pfw_end_open(&e, &shm, 1, 9, 0), 0);
	CU_ASSERT_EQUAL(pfw_end_try(&e, &info, &e.self, &c), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.err.text, "524288 MiB"));
	shm.ops->close_channel(c);
	pfw_end_close(&e);
}

/* A large channel is given its memory in pieces: no call takes long, and who
 * opens it can look up between them. */
static void test_pieces(void)
{
	const uint64_t bytes = 160ull << 20;
	struct pfw_channel_info info = pfw_end_channel_info(0, 0, 1, bytes);
	void *c[2] = { NULL, NULL };
	uint64_t end = pfw_now() + PFW_PATIENCE;
	unsigned pieces = 0;
	struct pfw_end e[2];
	int rc = -EAGAIN;

	for (uint32_t r = 0; r < 2; r++)
		CU_ASSERT_EQUAL_FATAL(pfw_end_open(&e[r], &shm, r, 9, 0), 0);
	CU_ASSERT_EQUAL(pfw_end_try(&e[0], &info, &e[1].self, &c[0]), -EAGAIN);
	while (rc == -EAGAIN && pfw_now() < end)
		rc = pfw_end_try(&e[1], &info, &e[0].self, &c[1]);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	do {
		rc = pfw_end_try(&e[0], &info, &e[1].self, &c[0]);
		pieces++;
	} while (rc == -EAGAIN && pfw_now() < end);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT(pieces >= 3);
	((volatile char *)shm.ops->slot(c[0], 0))[bytes - 1] = 42;
	CU_ASSERT_EQUAL(((volatile char *)shm.ops->slot(c[1], 0))[bytes - 1], 42);
	for (uint32_t r = 0; r < 2; r++) {
		shm.ops->close_channel(c[r]);
		pfw_end_close(&e[r]);
	}
}

static void test_other_host(void)
{
	struct pfw_channel_info info = pfw_end_channel_info(0, 0, 1, 64);
	struct pfw_transport_info there = {
		.size = sizeof(there), .rank = 1, .ranks = 2, .job = 9, .host = "there",
	};
	struct pfw_address self;
	void *t, *c = NULL;
	struct pfw_end e;

	CU_ASSERT_EQUAL_FATAL(pfw_end_open(&e, &shm, 0, 9, 0), 0);
	CU_ASSERT_EQUAL_FATAL(shm.ops->open(NULL, &there, NULL, &t, &self, NULL), 0);
	CU_ASSERT_EQUAL(pfw_end_try(&e, &info, &self, &c), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.err.text, "'there'"));
	shm.ops->close(t);
	CU_ASSERT_EQUAL(pfw_end_try(&e, &info, &e.self, &c), -EAGAIN);
	shm.ops->close_channel(c);
	pfw_end_close(&e);
}

/* A rank that is gone before it was reached. */
static void test_gone_before_open(void)
{
	struct pfw_channel_info info = pfw_end_channel_info(0, 0, 1, 64);
	struct pfw_end e[2];
	void *c = NULL;
	int rc;

	for (uint32_t r = 0; r < 2; r++)
		CU_ASSERT_EQUAL_FATAL(pfw_end_open(&e[r], &shm, r, 9, 0), 0);
	CU_ASSERT_EQUAL(pfw_end_try(&e[0], &info, &e[1].self, &c), -EAGAIN);
	pfw_end_close(&e[1]);
	for (int i = 0; i < 10; i++) {
		rc = pfw_end_try(&e[0], &info, &e[1].self, &c);
		if (rc != -EAGAIN)
			break;
	}
	CU_ASSERT(rc < 0 && rc != -EAGAIN);
	CU_ASSERT_PTR_NOT_NULL(strstr(e[0].err.text, "rank 1"));
	shm.ops->close_channel(c);
	pfw_end_close(&e[0]);
}

#if HAVE_SECCOMP
static int refuse_pidfd(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 434, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
		.len = sizeof(filter) / sizeof(filter[0]),
		.filter = filter,
	};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
#else
static int refuse_pidfd(void)
{
	return -1;
}
#endif

static int hang(struct pfw_end *e, const struct pfw_address *peer)
{
	struct pfw_channel_info info = pfw_end_channel_info(1, 0, 1, 64);
	void *c;
	int rc = pfw_end_channel(e, &info, peer, &c);

	while (!rc)
		pause();
	return rc;
}

/* The socket alone tells of a death; in a process that gives pidfd up. */
static int outlive(void)
{
	struct pfw_channel_info info = pfw_end_channel_info(1, 0, 1, 64);
	struct pfw_error err = { 0 };
	struct pfw_child child;
	struct pfw_end e;
	void *c;
	int rc;

	if (pfw_child_start(&child, &e, &shm, 0, NULL, hang) ||
	    pfw_end_channel(&e, &info, &child.address, &c) || shm.ops->check(c, &err))
		return 1;
	pfw_child_kill(&child);
	do
		rc = shm.ops->wait(c, PFW_NONE, pfw_now() + PFW_PATIENCE);
	while (!rc && !shm.ops->check(c, &err));
	waitpid(child.pid, NULL, 0);
	if (rc || !strstr(err.text, "is gone or has closed"))
		return 2;
	shm.ops->close_channel(c);
	pfw_end_close(&e);
	return 0;
}

static void test_without_pidfd(void)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0)
		_exit(refuse_pidfd() ? 77 : outlive());
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		printf("(skipped: no seccomp here) ");
	else
		CU_ASSERT_EQUAL(status, 0);
}

/* A child of the dead rank holds its sockets: only the pidfd tells. */
static int hang_with_child(struct pfw_end *e, const struct pfw_address *peer)
{
	struct pfw_channel_info info = pfw_end_channel_info(1, 0, 1, 64);
	struct pfw_message_id id = { 0 };
	void *c;
	int rc = pfw_end_channel(e, &info, peer, &c);
	pid_t pid;

	if (rc)
		return rc;
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	memcpy(shm.ops->slot(c, 0), &pid, sizeof(pid));
	if (shm.ops->acquire(c, 0, NULL) ||
	    shm.ops->send(c, 0, sizeof(pid), &id, NULL))
		return -EIO;
	for (;;)
		pause();
}

static void test_sockets_inherited(void)
{
	struct pfw_channel_info info = pfw_end_channel_info(1, 0, 1, 64);
	int probe = (int)syscall(434, getpid(), 0);
	struct pfw_message_id id;
	struct pfw_child child;
	uint64_t bytes;
	uint32_t slot;
	struct pfw_end e;
	pid_t heir;
	void *c;

	if (probe < 0) {
		printf("(skipped: no pidfd here) ");
		return;
	}
	close(probe);
	CU_ASSERT_EQUAL_FATAL(pfw_child_start(&child, &e, &shm, 0, NULL,
					      hang_with_child), 0);
	CU_ASSERT_EQUAL_FATAL(pfw_end_channel(&e, &info, &child.address, &c), 0);
	CU_ASSERT_EQUAL_FATAL(pfw_must_recv(&shm, c, &slot, &bytes, &id), 0);
	memcpy(&heir, shm.ops->slot(c, slot), sizeof(heir));
	pfw_child_kill(&child);
	waitpid(child.pid, NULL, 0);
	CU_ASSERT_EQUAL(shm.ops->check(c, &e.err), -EPIPE);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.err.text, "is gone"));
	kill(heir, SIGKILL);
	shm.ops->close_channel(c);
	pfw_end_close(&e);
}

static const struct unit_test tests[] = {
	{ "strangers on the socket", test_strangers },
	{ "no file is left open", test_nothing_left },
	{ "slots are read-only for the receiver", test_read_only },
	{ "both ends see the same bytes", test_in_place },
	{ "more memory than there is", test_too_large },
	{ "a large channel, piece by piece", test_pieces },
	{ "a rank of another host", test_other_host },
	{ "a rank that is gone", test_gone_before_open },
	{ "a dead peer without pidfd", test_without_pidfd },
	{ "a dead peer whose child lives", test_sockets_inherited },
};

int main(void)
{
	struct pfw_error err;
	int rc;

	if (pfw_registry_open(NULL, &registry, &err) ||
	    subject_load(registry, "shm", "", NULL, &shm, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	rc = unit_run("shm", tests, sizeof(tests) / sizeof(tests[0]));
	subject_free(&shm);
	pfw_registry_close(registry);
	return rc;
}
