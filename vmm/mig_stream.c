// SPDX-License-Identifier: GPL-2.0-only
/* The conversation of a migration; theory of operation: mig_stream.h. */
#include "vmm/mig_stream.h"

#include <ctype.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/loop.h"
#include "lib/util.h"

#define LOOK_MS 200 /* how soon a cancellation is seen */

/* ---- bytes ---- */

/* Return: 0: try again; -ETIMEDOUT, -ECANCELED. */
static int wait_for(struct mig_stream *s, short events)
{
	u64 until = kvmb_now_ms() + (s->patience_ms ? s->patience_ms : MIG_PATIENCE_MS);
	struct pollfd p = { .fd = s->fd, .events = events };

	if (s->deadline_ms && s->deadline_ms < until)
		until = s->deadline_ms;
	for (;;) {
		if (s->cancelled && __atomic_load_n(s->cancelled, __ATOMIC_RELAXED))
			return -ECANCELED;
		if (kvmb_now_ms() >= until)
			return -ETIMEDOUT;
		if (poll(&p, 1, LOOK_MS) > 0)
			return 0;
	}
}

int mig_pause(struct mig_stream *s, u64 until_ms)
{
	struct pollfd p = { .fd = s->fd };
	u64 now;

	for (;;) {
		now = kvmb_now_ms();
		if (s->cancelled && __atomic_load_n(s->cancelled, __ATOMIC_RELAXED))
			return -ECANCELED;
		if (s->deadline_ms && now >= s->deadline_ms)
			return -ETIMEDOUT;
		if (now >= until_ms)
			return 0;
		if (poll(&p, 1, (int)KVMB_MIN(until_ms - now, (u64)LOOK_MS)) > 0)
			return 0; /* who sends next learns that nobody is there */
	}
}

static int gone(void)
{
	return errno == ECONNRESET || errno == EPIPE ? -EPIPE : -errno;
}

int mig_send(struct mig_stream *s, const void *bytes, size_t len)
{
	const u8 *p = bytes;
	ssize_t n;
	int err;

	while (len) {
		err = wait_for(s, POLLOUT);
		if (err)
			return err;
		n = write(s->fd, p, len);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return gone();
		p += n;
		len -= (size_t)n;
		__atomic_fetch_add(&s->sent, (u64)n, __ATOMIC_RELAXED);
	}
	return 0;
}

int mig_recv(struct mig_stream *s, void *bytes, size_t len)
{
	u8 *p = bytes;
	ssize_t n;
	int err;

	while (len) {
		err = wait_for(s, POLLIN);
		if (err)
			return err;
		n = read(s->fd, p, len);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return n ? gone() : -EPIPE;
		p += n;
		len -= (size_t)n;
		s->received += (u64)n;
	}
	return 0;
}

const char *mig_why(int err)
{
	switch (err) {
	case -EPIPE:
		return "the other side has gone";
	case -ETIMEDOUT:
		return "the other side takes or says nothing any more";
	case -ECANCELED:
		return "it was given up";
	}
	return strerror(-err);
}

/* ---- sections ---- */

static size_t longest(u32 tag)
{
	switch (tag) {
	case KVMB_SEC_MEMORY:
		return MIG_CHUNK + 64;
	case KVMB_SEC_LATER:
		return MIG_CHUNK + 64;
	case KVMB_SEC_DISK:
		return MIG_CHUNK + 128;
	case KVMB_SEC_WORD:
		return MIG_WHY + 128;
	case KVMB_SEC_WANTED:
		return 64;
	case KVMB_SEC_COPY:
		return 64u << 10;
	}
	return KVMB_TLV_MAX_SECTION;
}

static int make_room(struct mig_section *sec, size_t len)
{
	u8 *buf;

	if (len <= sec->room)
		return 0;
	buf = realloc(sec->buf, len);
	if (!buf)
		return -ENOMEM;
	sec->buf = buf;
	sec->room = len;
	return 0;
}

/* A long section takes memory as it comes, not as its header promises. */
static int recv_fields(struct mig_stream *s, struct mig_section *sec, size_t len)
{
	size_t n;
	int err = 0;

	for (; len && !err; len -= n) {
		n = KVMB_MIN(len, (size_t)(1u << 20));
		err = make_room(sec, sec->len + n);
		if (!err)
			err = mig_recv(s, sec->buf + sec->len, n);
		sec->len += n;
	}
	return err;
}

int mig_recv_section(struct mig_stream *s, struct mig_section *sec)
{
	size_t pos = 0;
	u64 len;
	u32 tag;
	int err = make_room(sec, KVMB_TLV_HEADER);

	if (!err)
		err = mig_recv(s, sec->buf, KVMB_TLV_HEADER);
	if (err)
		return err;
	kvmb_tlv_head(sec->buf, &tag, &len);
	sec->error = (struct kvmb_tlv_error){ 0 };
	if (len > longest(tag)) {
		snprintf(sec->error.text, sizeof(sec->error.text), "section %s: it is too long",
			 kvmb_tlv_section_name(tag));
		return -EPROTO;
	}
	sec->len = KVMB_TLV_HEADER;
	err = recv_fields(s, sec, len);
	return err ? err : kvmb_tlv_next(sec->buf, sec->len, &pos, &sec->t, &sec->error);
}

void mig_section_fini(struct mig_section *sec)
{
	free(sec->buf);
	*sec = (struct mig_section){ 0 };
}

int mig_send_out(struct mig_stream *s, struct kvmb_tlv_out *o)
{
	int err = o->failed ? -ENOMEM : mig_send(s, o->buf, o->len);

	kvmb_tlv_out_fini(o);
	return err;
}

/* ---- words ---- */

int mig_tell(struct mig_stream *s, enum mig_word word, const char *why,
	     const struct mig_word_more *more)
{
	struct kvmb_tlv_out o = { 0 };
	char text[MIG_WHY];
	int err;

	snprintf(text, sizeof(text), "%s", why ? why : "");
	kvmb_tlv_begin(&o, KVMB_SEC_WORD, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&o, MIG_WORD_WORD, word);
	if (why)
		kvmb_tlv_put_str(&o, MIG_WORD_WHY, text);
	if (more && more->can)
		kvmb_tlv_put(&o, MIG_WORD_CAN, more->can);
	if (more && more->secret_len)
		kvmb_tlv_put_bytes(&o, MIG_WORD_SECRET, more->secret, more->secret_len);
	kvmb_tlv_end(&o);
	s->deadline_ms = kvmb_now_ms() + MIG_PATIENCE_MS;
	err = mig_send_out(s, &o);
	s->deadline_ms = 0;
	return err;
}

int mig_take_pages(struct kvmb_tlv *t, struct mig_pages *p)
{
	*p = (struct mig_pages){ .first = kvmb_tlv_get(t, MIG_MEM_FIRST, UINT64_MAX) };
	if (kvmb_tlv_has(t, MIG_MEM_ZERO)) {
		p->num = kvmb_tlv_get(t, MIG_MEM_ZERO, UINT64_MAX);
	} else {
		p->bytes = kvmb_tlv_get_bytes(t, MIG_MEM_PAGES, &p->len);
		p->num = p->len / KVMB_PAGE_SIZE;
	}
	return kvmb_tlv_done(t);
}

int mig_say(struct mig_stream *s, enum mig_word word, const char *why)
{
	return mig_tell(s, word, why, NULL);
}

/* It goes to a terminal. */
static void take_phrase(const char *text, char *why)
{
	size_t i;

	snprintf(why, MIG_WHY, "%s", text && *text ? text : "it does not say why");
	for (i = 0; why[i]; i++) {
		if (!isprint((unsigned char)why[i]))
			why[i] = '?';
	}
}

static void take_more(struct kvmb_tlv *t, struct mig_word_more *more)
{
	const u8 *secret;
	size_t len;

	*more = (struct mig_word_more){ .can = kvmb_tlv_get_or(t, MIG_WORD_CAN, UINT64_MAX, 0) };
	if (!kvmb_tlv_has(t, MIG_WORD_SECRET))
		return;
	secret = kvmb_tlv_get_bytes(t, MIG_WORD_SECRET, &len);
	if (secret && (len == MIG_SECRET || len == MIG_SECRET / 2)) {
		memcpy(more->secret, secret, len);
		more->secret_len = len;
	}
}

int mig_take_word(struct mig_stream *s, struct mig_section *sec, enum mig_word want, char *why)
{
	enum mig_word word;
	char *text = NULL;

	if (sec->t.tag != KVMB_SEC_WORD) {
		snprintf(why, MIG_WHY, "the other side sends a section %s out of turn",
			 kvmb_tlv_section_name(sec->t.tag));
		return -EPROTO;
	}
	word = (enum mig_word)kvmb_tlv_get(&sec->t, MIG_WORD_WORD, MIG_NUM_WORDS - 1);
	if (kvmb_tlv_has(&sec->t, MIG_WORD_WHY))
		text = kvmb_tlv_get_str(&sec->t, MIG_WORD_WHY, MIG_WHY);
	take_more(&sec->t, &s->heard);
	if (kvmb_tlv_done(&sec->t)) {
		free(text);
		snprintf(why, MIG_WHY, "%.*s", MIG_WHY - 1, sec->error.text);
		return -EPROTO;
	}
	if (word == MIG_REFUSED)
		take_phrase(text, why);
	else if (word != want)
		snprintf(why, MIG_WHY, "the other side says word %d in place of %d", word, want);
	free(text);
	return word == want ? 0 : word == MIG_REFUSED ? -ECONNREFUSED : -EPROTO;
}

int mig_hear(struct mig_stream *s, enum mig_word word, char *why)
{
	struct mig_section sec = { 0 };
	int err;

	s->deadline_ms = kvmb_now_ms() + MIG_PATIENCE_MS;
	err = mig_recv_section(s, &sec);
	s->deadline_ms = 0;
	if (!err)
		err = mig_take_word(s, &sec, word, why);
	else if (sec.error.text[0])
		snprintf(why, MIG_WHY, "%.*s", MIG_WHY - 1, sec.error.text);
	else
		snprintf(why, MIG_WHY, "%s", mig_why(err));
	mig_section_fini(&sec);
	return err;
}
