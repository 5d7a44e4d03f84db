/* What transport.h promises of opening channels, and of who must not get one. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "conform/transport_kit.h"

static void open_both(struct pfw_trial *t, struct pfw_end e[2], uint64_t job)
{
	const struct pfw_subject *s = pfw_trial_subject(t);

	for (uint32_t r = 0; r < 2; r++)
		pfw_trial_gives(t, "open()",
				pfw_end_open(&e[r], s, r, job, 0), 0, &e[r].err);
}

/* Half-open ends close, and nothing is where it was not opened. */
static void close_half_open(struct pfw_trial *t)
{
	const struct pfw_transport_ops *ops = &t->plugin->ops.transport;
	struct pfw_channel_info info = pfw_end_channel_info(0, 0, 2, 64);
	struct pfw_end e[2];
	void *rx = NULL, *tx = NULL;

	open_both(t, e, 5);
	pfw_trial_doing(t, "opening one end alone, and closing it");
	pfw_trial_gives(t, "open_channel() while the other side has not come",
			pfw_end_try(&e[1], &info, &e[0].self, &rx), -EAGAIN,
			&e[1].err);
	ops->close_channel(rx);
	pfw_trial_gives(t, "open_channel() when the other side has gone again",
			pfw_end_try(&e[0], &info, &e[1].self, &tx), -EAGAIN,
			&e[0].err);
	ops->close_channel(tx);
	ops->close_channel(NULL);
	pfw_end_close(&e[0]);
	pfw_end_close(&e[1]);
	ops->close(NULL);
}

const struct pfw_check pfw_check_half_open = {
	"closed half-open",
	"pipefw/transport.h, open_channel(): never blocks, -EAGAIN until the other "
	"side has come; close_channel() takes what is half-open, and NULL, as "
	"close() does",
	"give a half-open object through *channel, and free it in close_channel()",
	30, close_half_open,
};

/* Four channels, each end opening them in an order of its own. */
static void any_order(struct pfw_trial *t)
{
	static const uint32_t order[2][4] = { { 0, 1, 2, 3 }, { 2, 3, 1, 0 } };
	struct pfw_channel_info info[4];
	struct pfw_end e[2];
	void *channel[2][4] = { { 0 } };
	int rc[2][4], left = 8;

	for (uint32_t c = 0; c < 4; c++) {
		info[c] = pfw_end_channel_info(c & 1, c / 2, 1 + c, 64 + 64 * c);
		rc[0][c] = rc[1][c] = -EAGAIN;
	}
	open_both(t, e, 5);
	pfw_trial_doing(t, "opening four channels in turn");
	for (uint64_t end = pfw_now() + 10 * PFW_S; left && pfw_now() < end;)
		for (uint32_t i = 0; i < 8; i++) {
			uint32_t r = i / 4, c = order[r][i % 4];

			if (rc[r][c] != -EAGAIN)
				continue;
			rc[r][c] = pfw_end_try(&e[r], &info[c], &e[!r].self,
					       &channel[r][c]);
			left -= rc[r][c] == 0;
			if (rc[r][c] != -EAGAIN)
				pfw_trial_gives(t, "open_channel()", rc[r][c], 0,
						&e[r].err);
		}
	if (left)
		pfw_trial_refuse(t, "%d of 8 ends still say -EAGAIN after 10 s of "
				 "open_channel() in turn", left);
	for (uint32_t c = 0; c < 4; c++) {
		struct pfw_pair p = {
			.end = { e[0], e[1] },
			.tx = channel[info[c].from][c],
			.rx = channel[info[c].to][c],
		};

		pfw_trial_pass(t, &p, c, c, 64 + 64 * c);
		p.end[0].subject->ops->close_channel(p.tx);
		p.end[0].subject->ops->close_channel(p.rx);
	}
	pfw_end_close(&e[0]);
	pfw_end_close(&e[1]);
}

const struct pfw_check pfw_check_any_order = {
	"channels opened in any order",
	"pipefw/transport.h, open_channel(): the core opens all channels of a rank "
	"in turn until none says -EAGAIN; ranks do so in different orders",
	"tell channels apart by from, to and kind, not by when they come",
	30, any_order,
};

/* Who does not belong here is refused, and does not keep out who does. */
static void wrong_job(struct pfw_trial *t)
{
	const struct pfw_subject *s = pfw_trial_subject(t);
	struct pfw_channel_info info = pfw_end_channel_info(0, 0, 2, 64);
	struct pfw_end good, bad, rx;
	void *tx = NULL, *stranger = NULL, *c = NULL;
	int refused = -EAGAIN, a = -EAGAIN, b = -EAGAIN;

	pfw_trial_gives(t, "open()", pfw_end_open(&good, s, 0, 5, 0), 0, NULL);
	pfw_trial_gives(t, "open()", pfw_end_open(&bad, s, 0, 6, 0), 0, NULL);
	pfw_trial_gives(t, "open()", pfw_end_open(&rx, s, 1, 5, 0), 0, NULL);
	pfw_trial_doing(t, "opening a channel with a rank of another run");
	for (int i = 0; i < 100 && refused == -EAGAIN; i++) {
		refused = pfw_end_try(&bad, &info, &rx.self, &stranger);
		pfw_trial_gives(t, "open_channel() while only a rank of another "
				"run has come",
				pfw_end_try(&rx, &info, &good.self, &c),
				-EAGAIN, &rx.err);
	}
	if (!refused)
		pfw_trial_refuse(t, "open_channel() takes a rank of another run");
	if (refused != -EAGAIN && !bad.err.text[0])
		pfw_trial_refuse(t, "a rank of another run is refused without a "
				 "sentence");
	for (int i = 0; i < 100 && (a == -EAGAIN || b == -EAGAIN); i++) {
		if (a == -EAGAIN)
			a = pfw_end_try(&good, &info, &rx.self, &tx);
		if (b == -EAGAIN)
			b = pfw_end_try(&rx, &info, &good.self, &c);
	}
	pfw_trial_gives(t, "open_channel() of the right rank, after one of another "
			"run,", a, 0, &good.err);
	pfw_trial_gives(t, "open_channel() of the receiver, after one of another "
			"run,", b, 0, &rx.err);
	s->ops->close_channel(stranger);
	s->ops->close_channel(tx);
	s->ops->close_channel(c);
	pfw_end_close(&good);
	pfw_end_close(&bad);
	pfw_end_close(&rx);
}

const struct pfw_check pfw_check_wrong_job = {
	"another run's rank is refused",
	"pipefw/transport.h, struct pfw_transport_info: job is the same on all ranks "
	"of a run, and random",
	"put the job into the address and the first message, and compare it",
	30, wrong_job,
};

/* Two plans: both ends say so, and neither opens. */
static void two_plans(struct pfw_trial *t)
{
	const struct pfw_channel_info plan[2] = {
		pfw_end_channel_info(0, 0, 2, 64),
		pfw_end_channel_info(0, 0, 3, 64),
	};
	struct pfw_end e[2];
	void *channel[2] = { NULL, NULL };
	int rc[2] = { -EAGAIN, -EAGAIN };

	open_both(t, e, 5);
	pfw_trial_doing(t, "opening a channel of 2 slots at one end, of 3 at the "
			"other");
	for (int i = 0; i < 100; i++)
		for (uint32_t r = 0; r < 2; r++)
			if (rc[r] == -EAGAIN)
				rc[r] = pfw_end_try(&e[r], &plan[r], &e[!r].self,
						    &channel[r]);
	for (uint32_t r = 0; r < 2; r++) {
		if (!rc[r] || rc[r] == -EAGAIN)
			pfw_trial_refuse(t, "with 2 slots at one end and 3 at the "
					 "other open_channel() gives %s at the %s",
					 pfw_trial_code(rc[r]),
					 r ? "receiver" : "sender");
		if (!e[r].err.text[0])
			pfw_trial_refuse(t, "the %s refuses without a sentence",
					 r ? "receiver" : "sender");
		e[r].subject->ops->close_channel(channel[r]);
	}
	pfw_end_close(&e[0]);
	pfw_end_close(&e[1]);
}

const struct pfw_check pfw_check_two_plans = {
	"two plans are refused",
	"pipefw/transport.h, struct pfw_channel_info: both ends are told the same "
	"n_slots and slot_bytes",
	"exchange both when a channel opens; refuse at both ends, with both figures "
	"in the sentence",
	30, two_plans,
};

static void bad_address(struct pfw_trial *t)
{
	const struct pfw_subject *s = pfw_trial_subject(t);
	struct pfw_channel_info info = pfw_end_channel_info(0, 0, 2, 64);
	struct pfw_address bad = { .len = 508 };
	struct pfw_end e;
	void *c = NULL;

	memset(bad.bytes, 0xff, sizeof(bad.bytes));
	pfw_trial_gives(t, "open()", pfw_end_open(&e, s, 0, 5, 0), 0, &e.err);
	pfw_trial_gives(t, "open_channel() to an address of 508 bytes 0xff",
			pfw_end_try(&e, &info, &bad, &c), -EINVAL, NULL);
	bad.len = UINT32_MAX;
	pfw_trial_gives(t, "open_channel() to an address of 4294967295 bytes",
			pfw_end_try(&e, &info, &bad, &c), -EINVAL, NULL);
	bad.len = 0;
	pfw_trial_gives(t, "open_channel() to an address of 0 bytes",
			pfw_end_try(&e, &info, &bad, &c), -EINVAL, NULL);
	s->ops->close_channel(c);
	pfw_end_close(&e);
}

const struct pfw_check pfw_check_bad_address = {
	"a bad address is refused",
	"pipefw/transport.h, struct pfw_address: len of bytes, carried by others",
	"check len, and what you wrote into it in open(), before you use it: -EINVAL",
	20, bad_address,
};
