// SPDX-License-Identifier: GPL-2.0-only
/* Memory that is sent when the guest runs elsewhere: mig_give.h. */
#include "vmm/mig_give.h"

#include <poll.h>
#include <stdlib.h>

#include "lib/loop.h"
#include "lib/util.h"

#define LOOK_MS 200

static int serve_failed(const struct mig_section *sec, int err, char *why)
{
	snprintf(why, MIG_WHY, "%.*s", MIG_WHY - 1,
		 sec->error.text[0] ? sec->error.text : mig_why(err));
	return err;
}

static int serve_wrong(char *why, const char *what)
{
	snprintf(why, MIG_WHY, "%s", what);
	return -EPROTO;
}

/* Return: 0; -EPROTO; as mig_send(). */
static int give_wanted(struct mig_memory *m, struct mig_stream *s, struct mig_section *sec,
		       char *why)
{
	u64 page = kvmb_tlv_get(&sec->t, MIG_WANTED_PAGE, UINT64_MAX);
	int err;

	if (kvmb_tlv_done(&sec->t))
		return serve_failed(sec, -EPROTO, why);
	err = mig_memory_give(m, s, page);
	if (err == -EINVAL)
		return serve_wrong(why,
				   "the other side asks for a page that was never to come later");
	return err ? serve_failed(sec, err, why) : 0;
}

/* Return: 1: the word has come; 0: something else; -errno. */
static int hear_next(struct mig_memory *m, struct mig_stream *s, enum mig_word word, char *why)
{
	struct mig_section sec = { 0 };
	int err = mig_recv_section(s, &sec);

	if (err)
		serve_failed(&sec, err, why);
	else if (sec.t.tag == KVMB_SEC_WANTED)
		err = give_wanted(m, s, &sec, why);
	else
		err = mig_take_word(s, &sec, word, why) ?: 1;
	mig_section_fini(&sec);
	return err;
}

static bool serve_cancelled(const struct mig_stream *s)
{
	return s->cancelled && __atomic_load_n(s->cancelled, __ATOMIC_RELAXED);
}

/* Nothing has come. Return: 0 or -errno. */
static int push_on(struct mig_memory *m, struct mig_stream *s, bool push, u64 until_ms, char *why)
{
	int err = push ? mig_memory_give_next(m, s) : 0;

	if (err > 0)
		return 0;
	if (!err && serve_cancelled(s))
		err = -ECANCELED;
	if (!err && kvmb_now_ms() >= until_ms)
		err = -ETIMEDOUT;
	if (err)
		snprintf(why, MIG_WHY, "%s", mig_why(err));
	return err;
}

/*
 * Who sends learns first that the other side has gone, even if its last word is here: a VM that was
 * ended there reads no more. Return: as hear_next().
 */
static int hear_last_word(struct mig_stream *s, enum mig_word word, char *why)
{
	struct mig_section sec = { 0 };
	char text[MIG_WHY];
	int err;

	do
		err = mig_recv_section(s, &sec);
	while (!err && sec.t.tag == KVMB_SEC_WANTED);
	if (!err)
		err = mig_take_word(s, &sec, word, text) ?: 1;
	mig_section_fini(&sec);
	if (err != 1 && err != -ECONNREFUSED)
		err = -EPIPE;
	snprintf(why, MIG_WHY, "%s", err == -ECONNREFUSED ? text : mig_why(-EPIPE));
	return err;
}

int mig_give(struct mig_memory *m, struct mig_stream *s, enum mig_word word, bool push, char *why)
{
	u64 until_ms = kvmb_now_ms() + MIG_PATIENCE_MS;
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	u64 left = mig_memory_left(m);
	bool idle;
	int err = 0;

	while (!err) {
		if (push && mig_memory_left(m) != left) /* who takes pages is not silent */
			until_ms = kvmb_now_ms() + MIG_PATIENCE_MS;
		left = mig_memory_left(m);
		idle = !push || !mig_memory_left(m);
		/* one who sends a byte now and then is no reason to wait longer */
		s->deadline_ms = push ? kvmb_now_ms() + MIG_PATIENCE_MS : until_ms;
		if (poll(&p, 1, idle ? LOOK_MS : 0) > 0)
			err = hear_next(m, s, word, why);
		else
			err = push_on(m, s, push, until_ms, why);
		/* who only asks must not keep the guest standing */
		if (!err && !push && kvmb_now_ms() >= until_ms) {
			snprintf(why, MIG_WHY, "%s", mig_why(-ETIMEDOUT));
			err = -ETIMEDOUT;
		}
	}
	if (err == -EPIPE)
		err = hear_last_word(s, word, why);
	s->deadline_ms = 0;
	return err > 0 ? 0 : err;
}

/* ---- another link ---- */

static int say_who_we_are(struct mig_stream *s, const u8 *secret)
{
	struct mig_word_more more = { .secret_len = MIG_SECRET / 2 };

	memcpy(more.secret, secret, MIG_SECRET / 2);
	return mig_tell(s, MIG_MEND, NULL, &more);
}

static bool knows_the_rest(const struct mig_word_more *heard, const u8 *secret)
{
	return heard->secret_len == MIG_SECRET / 2 &&
	       !memcmp(heard->secret, secret + MIG_SECRET / 2, MIG_SECRET / 2);
}

/* Return: 1: one more may come; 0: that was the list; -errno. */
static int take_missing(struct mig_memory *m, struct mig_section *sec, u64 *want, char *why)
{
	const u8 *bits;
	u64 first;
	size_t len;

	if (sec->t.tag == KVMB_SEC_END)
		return 0;
	if (sec->t.tag != KVMB_SEC_LATER)
		return serve_wrong(why, "the other side does not say what has not come");
	first = kvmb_tlv_get(&sec->t, MIG_LATER_FIRST, UINT64_MAX);
	bits = kvmb_tlv_get_bytes(&sec->t, MIG_LATER_BITS, &len);
	if (kvmb_tlv_done(&sec->t))
		return serve_failed(sec, -EPROTO, why);
	if (mig_memory_note(m, want, first, bits, len))
		return serve_wrong(why,
				   "the other side misses pages that were never to come later");
	return 1;
}

static int hear_list(struct mig_memory *m, struct mig_stream *s, u64 *want, char *why)
{
	struct mig_section sec = { 0 };
	int err;

	do {
		err = mig_recv_section(s, &sec);
		err = err ? serve_failed(&sec, err, why) : take_missing(m, &sec, want, why);
	} while (err > 0);
	mig_section_fini(&sec);
	return err;
}

int mig_give_mend(struct mig_memory *m, struct mig_stream *s, const u8 *secret, char *why)
{
	u64 *want = NULL;
	int err = say_who_we_are(s, secret);

	if (err) {
		snprintf(why, MIG_WHY, "%s", mig_why(err));
		return err;
	}
	err = mig_hear(s, MIG_MEND, why);
	if (!err && !knows_the_rest(&s->heard, secret))
		err = serve_wrong(why, "the other side is not where this VM runs");
	if (err)
		return err;
	want = calloc((m->pages + 63) / 64, sizeof(*want));
	if (!want) {
		snprintf(why, MIG_WHY, "no memory for the list of pages");
		return -ENOMEM;
	}
	s->deadline_ms = kvmb_now_ms() + MIG_PATIENCE_MS;
	err = hear_list(m, s, want, why);
	s->deadline_ms = 0;
	if (!err)
		mig_memory_want(m, want);
	free(want);
	return err;
}
