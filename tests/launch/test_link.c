/* What launchers of several hosts say to each other: the secret they share, where
 * they meet, and frames that nobody else can make. */
#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch/endpoint.h"
#include "launch/link.h"
#include "launch/secret.h"
#include "words.h"

static char dir[64];

static void secrets(void)
{
	struct pfw_secret s;
	struct pfw_error err = { 0 };
	char path[96];

	snprintf(path, sizeof(path), "%s/s", dir);
	CU_ASSERT_EQUAL(pfw_secret_load(path, &s, &err), -ENOENT);
	CU_ASSERT(contains(err.text, "/dev/urandom"));
	write_secret(path, "0123456789012345678901234567890123456789\n", 0600);
	CU_ASSERT_EQUAL(pfw_secret_load(path, &s, &err), 0);
	CU_ASSERT_EQUAL(s.len, 40);
	setenv("PIPEFW_SECRET_FILE", path, 1);
	CU_ASSERT_EQUAL(pfw_secret_load(NULL, &s, &err), 0);
	unsetenv("PIPEFW_SECRET_FILE");
	chmod(path, 0640);
	CU_ASSERT_EQUAL(pfw_secret_load(path, &s, &err), -EACCES);
	CU_ASSERT(contains(err.text, "chmod 600"));
	write_secret(path, "0123456789012345678901234567890\n\n\n", 0600);
	CU_ASSERT_EQUAL(pfw_secret_load(path, &s, &err), -EINVAL);
	CU_ASSERT(contains(err.text, "at least 32"));
	unlink(path);
}

static void endpoints(void)
{
	static const char *const wrong[] = {
		"", "localhost:1", "tcp://", "tcp://:1", "tcp://a", "tcp://a:",
		"tcp://a:0", "tcp://a:65536", "tcp://a:1x", "tcp://::1:4711",
		"tcp://[::1]", "tcp://[::1", "tcp://[]:1", "udp://a:1",
	};
	struct pfw_endpoint e;
	struct pfw_error err = { 0 };

	CU_ASSERT_EQUAL(pfw_endpoint_parse("tcp://a.b:4711", &e, &err), 0);
	CU_ASSERT_STRING_EQUAL(e.host, "a.b");
	CU_ASSERT_STRING_EQUAL(e.port, "4711");
	CU_ASSERT_EQUAL(pfw_endpoint_parse("tcp://[fe80::1%lo]:1", &e, &err), 0);
	CU_ASSERT_STRING_EQUAL(e.host, "fe80::1%lo");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		err.text[0] = 0;
		CU_ASSERT_EQUAL(pfw_endpoint_parse(wrong[i], &e, &err),
				-EINVAL);
		CU_ASSERT(contains(err.text, "tcp://HOST:PORT"));
	}
}

/* Two links over two sockets, so that the test is in the middle. */
struct middle {
	struct pfw_link *from, *to;
	int in, out;
};

static void open_middle(struct middle *m)
{
	const uint8_t key[PFW_MAC_BYTES] = "a key", other[PFW_MAC_BYTES] = "b";
	int a[2], b[2];

	CU_ASSERT_FATAL(!socketpair(AF_UNIX, SOCK_STREAM, 0, a) &&
			!socketpair(AF_UNIX, SOCK_STREAM, 0, b));
	CU_ASSERT_EQUAL_FATAL(pfw_link_open(a[0], key, other, &m->from, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pfw_link_open(b[0], other, key, &m->to, NULL), 0);
	m->in = a[1];
	m->out = b[1];
}

static void close_middle(struct middle *m)
{
	pfw_link_close(m->from);
	pfw_link_close(m->to);
	close(m->in);
	close(m->out);
}

static ssize_t take(const struct middle *m, char *buf, size_t len)
{
	return recv(m->in, buf, len, 0);
}

static void give(const struct middle *m, const char *buf, ssize_t len)
{
	CU_ASSERT_EQUAL(send(m->out, buf, (size_t)len, 0), len);
}

static void meddling(void)
{
	static struct pfw_frame f;
	struct middle m;
	char one[200], two[200];
	ssize_t n, k;

	for (int byte = 0; byte < 49; byte++) {
		open_middle(&m);
		CU_ASSERT_EQUAL(pfw_link_send(m.from, 3, 2, "hello", 5, NULL), 0);
		n = take(&m, one, sizeof(one));
		CU_ASSERT_EQUAL(n, 49);
		one[byte] ^= 0x10;
		give(&m, one, n);
		/* Of a length that is not there the rest is waited for. */
		k = pfw_link_receive(m.to, &f, NULL);
		CU_ASSERT(k == -EBADMSG || (k == -EAGAIN && byte < 4));
		close_middle(&m);
	}
	open_middle(&m);
	CU_ASSERT_EQUAL(pfw_link_send(m.from, 3, 2, "hello", 5, NULL), 0);
	n = take(&m, one, sizeof(one));
	CU_ASSERT_EQUAL(pfw_link_send(m.from, 4, 1, "again", 5, NULL), 0);
	k = take(&m, two, sizeof(two));
	give(&m, one, n);
	CU_ASSERT_EQUAL(pfw_link_receive(m.to, &f, NULL), 0);
	CU_ASSERT(f.type == 3 && f.rank == 2 && f.len == 5 &&
		  !memcmp(f.body, "hello", 5));
	/* Said twice. */
	give(&m, one, n);
	CU_ASSERT_EQUAL(pfw_link_receive(m.to, &f, NULL), -EBADMSG);
	close_middle(&m);
	open_middle(&m);
	/* One left out. */
	CU_ASSERT_EQUAL(pfw_link_send(m.from, 3, 2, "hello", 5, NULL), 0);
	take(&m, one, sizeof(one));
	CU_ASSERT_EQUAL(pfw_link_send(m.from, 4, 1, "again", 5, NULL), 0);
	k = take(&m, two, sizeof(two));
	give(&m, two, k);
	CU_ASSERT_EQUAL(pfw_link_receive(m.to, &f, NULL), -EBADMSG);
	close_middle(&m);
}

static const struct unit_test tests[] = {
	{ "what a secret may be", secrets },
	{ "where to meet", endpoints },
	{ "frames that were meddled with", meddling },
};

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	int failed;

	snprintf(dir, sizeof(dir), "%.40s/pipefw-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return 99;
	failed = unit_run("link", tests, sizeof(tests) / sizeof(tests[0]));
	rmdir(dir);
	return failed;
}
