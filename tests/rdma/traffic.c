/*
 * Messages between two processes, which may be on two hosts: addresses go through
 * a folder that both see.
 *
 *    traffic [-o NAME=VALUE]... [-t TRANSPORT] RANK FOLDER soak MESSAGES
 *    traffic ... RANK FOLDER bandwidth BYTES MESSAGES
 *    traffic ... RANK FOLDER latency BYTES MESSAGES
 *
 * soak: sizes log-uniform from 1 byte to 256 KiB, every message checked, memory
 * flat.  The others print one figure at rank 0: MB/s; half a round trip in us,
 * the median.
 */
#include <pipefw/transport.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "plugin/registry.h"
#include "settings/config.h"

#define PATIENCE (60 * PFW_S)
#define SLOTS 8u /* as many as a pipeline of eight has in flight */
#define LARGEST (256u << 10)
#define MAX_OPTIONS 8
#define SPIN_NS PFW_S /* where time is measured: perftest never sleeps */

struct traffic {
	const struct pfw_transport_ops *ops;
	const char *folder;
	uint32_t rank;
	void *transport;
	void *out, *in; /* the channels from and to this rank */
	struct pfw_error err;
};

static void die(const struct traffic *t, const char *what, int rc)
{
	fprintf(stderr, "rank %u: %s: %s%s%s\n", t->rank, what, strerror(-rc),
		t->err.code ? ": " : "", t->err.code ? t->err.text : "");
	exit(rc == -EPIPE ? 3 : 1);
}

static void put_address(const struct traffic *t, const struct pfw_address *a)
{
	char name[256], final[256];
	FILE *f;

	snprintf(name, sizeof(name), "%s/.address.%u", t->folder, t->rank);
	snprintf(final, sizeof(final), "%s/address.%u", t->folder, t->rank);
	f = fopen(name, "w");
	if (!f || fwrite(a, sizeof(*a), 1, f) != 1 || fclose(f) ||
	    rename(name, final))
		die(t, name, -errno);
}

static void get_address(const struct traffic *t, struct pfw_address *a)
{
	uint64_t end = pfw_now() + PATIENCE;
	char name[256];
	FILE *f;

	snprintf(name, sizeof(name), "%s/address.%u", t->folder, !t->rank);
	while (!(f = fopen(name, "r")) && pfw_now() < end)
		usleep(20000);
	if (!f || fread(a, sizeof(*a), 1, f) != 1)
		die(t, name, -ENOENT);
	fclose(f);
}

static void open_channels(struct traffic *t, const struct pfw_address *peer,
			  uint64_t slot_bytes)
{
	uint64_t end = pfw_now() + PATIENCE;
	void **channel[2] = { &t->out, &t->in };
	int rc[2] = { -EAGAIN, -EAGAIN };

	while ((rc[0] || rc[1]) && pfw_now() < end) {
		for (uint32_t i = 0; i < 2; i++) {
			struct pfw_channel_info info = {
				.size = sizeof(info),
				.from = i ? !t->rank : t->rank,
				.to = i ? t->rank : !t->rank,
				.n_slots = SLOTS,
				.slot_bytes = slot_bytes,
				.memory = PFW_MEM_HOST,
				.sending = !i,
			};

			if (rc[i] == -EAGAIN)
				rc[i] = t->ops->open_channel(t->transport, &info,
							     peer, channel[i],
							     &t->err);
			if (rc[i] && rc[i] != -EAGAIN)
				die(t, "open_channel", rc[i]);
		}
		usleep(1000);
	}
	if (rc[0] || rc[1])
		die(t, "open_channel", -ETIMEDOUT);
}

static void open_all(struct traffic *t, const char *transport, const char **options,
		     size_t n_options, uint64_t spin_ns, uint64_t slot_bytes)
{
	struct pfw_transport_info info = {
		.size = sizeof(info), .rank = t->rank, .ranks = 2, .job = 4711,
		.spin_ns = spin_ns, .host = getenv("host"),
		.address = getenv("address"),
	};
	const struct pfw_loaded *plugin = NULL;
	struct pfw_address self, peer;
	struct pfw_registry *registry;
	struct pfw_values *opt;
	int rc = pfw_registry_open(NULL, &registry, &t->err);

	if (!rc)
		rc = pfw_registry_get(registry, PFW_KIND_TRANSPORT, transport,
				      &plugin, &t->err);
	if (!rc)
		rc = pfw_values_from_texts(plugin->info.options,
					   plugin->info.n_options, transport,
					   options, n_options, &opt, &t->err);
	if (rc)
		die(t, transport, rc);
	t->ops = &plugin->ops.transport;
	rc = t->ops->open(opt, &info, NULL, &t->transport, &self, &t->err);
	if (rc)
		die(t, "open", rc);
	put_address(t, &self);
	get_address(t, &peer);
	open_channels(t, &peer, slot_bytes);
}

static void close_all(struct traffic *t)
{
	t->ops->close_channel(t->out);
	t->ops->close_channel(t->in);
	t->ops->close(t->transport);
}

/* Waits in slices, as the core does.  @p end is 0 before the first; no clock is read
 * between what was waited for and the caller. */
static void wait_for(struct traffic *t, void *channel, uint32_t slot, uint64_t *end)
{
	uint64_t now = pfw_now();
	int rc;

	if (!*end)
		*end = now + PATIENCE;
	if (now > *end)
		die(t, "wait", -ETIMEDOUT);
	rc = t->ops->wait(channel, slot, now + 100 * PFW_MS);
	if (rc == -ETIMEDOUT)
		rc = t->ops->check(channel, &t->err);
	if (rc)
		die(t, "wait", rc);
}

static unsigned char *acquire(struct traffic *t, uint32_t slot)
{
	uint64_t end = 0;
	int rc;

	while ((rc = t->ops->acquire(t->out, slot, &t->err)) == -EAGAIN)
		wait_for(t, t->out, slot, &end);
	if (rc)
		die(t, "acquire", rc);
	return t->ops->slot(t->out, slot);
}

static void send_message(struct traffic *t, uint64_t m, uint32_t slot,
			 uint64_t bytes)
{
	struct pfw_message_id id = { .sequence = m, .microbatch = (uint32_t)m };
	int rc = t->ops->send(t->out, slot, bytes, &id, &t->err);

	if (rc)
		die(t, "send", rc);
}

static unsigned char *receive(struct traffic *t, uint64_t m, uint64_t bytes,
			      uint32_t *slot)
{
	uint64_t end = 0, came;
	struct pfw_message_id id;
	int rc;

	while ((rc = t->ops->recv(t->in, slot, &came, &id, &t->err)) == -EAGAIN)
		wait_for(t, t->in, PFW_NONE, &end);
	if (rc)
		die(t, "recv", rc);
	if (id.sequence != m || came != bytes) {
		fprintf(stderr, "message %llu of %llu bytes came as %llu of %llu\n",
			(unsigned long long)m, (unsigned long long)bytes,
			(unsigned long long)id.sequence, (unsigned long long)came);
		exit(4);
	}
	return t->ops->slot(t->in, *slot);
}

static void release(struct traffic *t, uint32_t slot)
{
	int rc = t->ops->release(t->in, slot, &t->err);

	if (rc)
		die(t, "release", rc);
}

static uint64_t mix(uint64_t m)
{
	m = (m + 1) * 0x9e3779b97f4a7c15u;
	m = (m ^ m >> 30) * 0xbf58476d1ce4e5b9u;
	return m ^ m >> 31;
}

/* 2 to the power of 0 to 18, any number of bits: log-uniform but for steps. */
static uint64_t size_of(uint64_t m)
{
	uint64_t r = mix(m), top = 1ull << r % 18;

	return top + (r >> 8) % top + (r % 18 == 17 && r >> 40 & 1);
}

#define STEP 61 /* looked at: the first, the last, and each so many bytes */

static void fill(unsigned char *at, uint64_t bytes, uint64_t m)
{
	for (uint64_t i = 0; i < bytes; i += STEP)
		at[i] = (unsigned char)(m + i);
	at[bytes - 1] = (unsigned char)~m;
}

static bool filled(const unsigned char *at, uint64_t bytes, uint64_t m)
{
	for (uint64_t i = 0; i + 1 < bytes; i += STEP)
		if (at[i] != (unsigned char)(m + i))
			return false;
	return at[bytes - 1] == (unsigned char)~m;
}

static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = 0, resident = 0;

	if (f) {
		if (fscanf(f, "%ld %ld", &pages, &resident) != 2)
			resident = 0;
		fclose(f);
	}
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Rank 0 sends, rank 1 checks. */
static void soak(struct traffic *t, uint64_t messages)
{
	long early = 0;

	for (uint64_t m = 0; m < messages; m++) {
		uint32_t slot = (uint32_t)(m % SLOTS);
		uint64_t bytes = size_of(m);

		if (!t->rank) {
			fill(acquire(t, slot), bytes, m);
			send_message(t, m, slot, bytes);
		} else {
			if (!filled(receive(t, m, bytes, &slot), bytes, m)) {
				fprintf(stderr, "message %llu came damaged\n",
					(unsigned long long)m);
				exit(4);
			}
			release(t, slot);
		}
		if (m == messages / 10)
			early = resident_kib();
	}
	for (uint32_t s = 0; !t->rank && s < SLOTS; s++)
		acquire(t, s);
	printf("rank %u: %llu messages, memory %+ld KiB\n", t->rank,
	       (unsigned long long)messages, resident_kib() - early);
	if (resident_kib() - early > 1024)
		exit(5);
}

/* Messages of one way, until the last slot has come back. */
static void stream(struct traffic *t, uint64_t from, uint64_t to, uint64_t bytes)
{
	uint32_t slot;

	for (uint64_t m = from; m < to; m++)
		if (!t->rank) {
			slot = (uint32_t)(m % SLOTS);
			acquire(t, slot);
			send_message(t, m, slot, bytes);
		} else {
			receive(t, m, bytes, &slot);
			release(t, slot);
		}
	for (uint32_t s = 0; !t->rank && s < SLOTS; s++)
		acquire(t, s);
}

/* Each slot is used once before: the core warms channels up when it opens them, and
 * perftest does not begin before both ends are ready. */
static void bandwidth(struct traffic *t, uint64_t bytes, uint64_t messages)
{
	uint64_t start;

	stream(t, 0, SLOTS, bytes);
	start = pfw_now();
	stream(t, SLOTS, SLOTS + messages, bytes);
	if (!t->rank)
		printf("%.2f\n", (double)(bytes * messages) * 1e3 /
					 (double)(pfw_now() - start));
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void pass_on(struct traffic *t, uint64_t m, uint64_t bytes)
{
	acquire(t, (uint32_t)(m % SLOTS));
	send_message(t, m, (uint32_t)(m % SLOTS), bytes);
}

static void latency(struct traffic *t, uint64_t bytes, uint64_t messages)
{
	uint64_t *took = calloc(messages, sizeof(*took));
	uint32_t slot;

	for (uint64_t m = 0; took && m < messages; m++) {
		took[m] = pfw_now();
		if (!t->rank)
			pass_on(t, m, bytes);
		receive(t, m, bytes, &slot);
		if (t->rank)
			pass_on(t, m, bytes);
		took[m] = pfw_now() - took[m];
		release(t, slot);
	}
	if (took && !t->rank) {
		qsort(took, messages, sizeof(*took), by_size);
		printf("%.2f\n", (double)took[messages / 2] / 2e3);
	}
	free(took);
}

static void usage(void)
{
	fputs("usage: traffic [-o NAME=VALUE]... [-t TRANSPORT] RANK FOLDER "
	      "soak MESSAGES | bandwidth BYTES MESSAGES | latency BYTES MESSAGES\n",
	      stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	struct traffic t = { 0 };
	const char *transport = "verbs", *options[MAX_OPTIONS];
	uint64_t bytes = LARGEST, messages;
	size_t n = 0;
	int c;

	while ((c = getopt(argc, argv, "o:t:")) != -1)
		if (c == 'o' && n < MAX_OPTIONS)
			options[n++] = optarg;
		else if (c == 't')
			transport = optarg;
		else
			usage();
	argv += optind;
	argc -= optind;
	if (argc != 4 && argc != 5)
		usage();
	t.rank = *argv[0] == '1';
	t.folder = argv[1];
	messages = strtoull(argv[argc - 1], NULL, 10);
	if (argc == 5)
		bytes = strtoull(argv[3], NULL, 10);
	open_all(&t, transport, options, n,
		 strcmp(argv[2], "soak") ? SPIN_NS : 0, pfw_align_up(bytes));
	if (!strcmp(argv[2], "soak"))
		soak(&t, messages);
	else if (!strcmp(argv[2], "bandwidth"))
		bandwidth(&t, bytes, messages);
	else if (!strcmp(argv[2], "latency"))
		latency(&t, bytes, messages);
	else
		usage();
	close_all(&t);
	return 0;
}
