// SPDX-License-Identifier: GPL-2.0-only
/* Writing guest memory into a file: state_memory.h. */
#include "vmm/state_memory.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/crc32c.h"
#include "lib/io.h"
#include "lib/sparse.h"
#include "lib/thread.h"
#include "lib/util.h"
#include "vmm/state_pack.h"

#define PIECE (1u << 20) /* bytes between two reports, and of one write at most */

struct writer {
	int fd;
	const struct kvmb_gm *gm;
	const struct state_file_progress *p;
	bool packs;
	u64 size;
	pthread_mutex_t lock; /* guards the rest */
	u64 from, to;	      /* data that was found and not given out */
	int err;
	bool all; /* was given out */
	/* packed */
	struct state_pack_entry *entries; /* entries[num] */
	u64 num, end;			  /* of the chunks in the file */
};

/* ---- what all threads share ---- */

static void fail(struct writer *w, int err)
{
	pthread_mutex_lock(&w->lock);
	if (!w->err)
		w->err = err;
	pthread_mutex_unlock(&w->lock);
}

/* More data, if what there was is given out. A chunk is given out whole. */
static int find_data(struct writer *w)
{
	int err;

	if (w->from < w->to || w->all)
		return 0;
	err = kvmb_next_data(w->gm->memfd, w->to, w->size, &w->from, &w->to);
	if (err <= 0) {
		w->all = true;
		w->from = w->to = w->size;
		return err;
	}
	if (w->packs) {
		w->from -= w->from % STATE_PACK_CHUNK;
		w->to = KVMB_MIN(KVMB_ALIGN_UP(w->to, STATE_PACK_CHUNK), w->size);
	}
	return 0;
}

/* Return: bytes of the next piece at @at; 0: there is none, or somebody failed. */
static u64 take_piece(struct writer *w, u64 *at)
{
	u64 n = 0;

	pthread_mutex_lock(&w->lock);
	if (!w->err)
		w->err = find_data(w);
	if (!w->err && !w->p->fn(w->p->arg, w->from, w->size))
		w->err = -ECANCELED;
	if (!w->err)
		n = KVMB_MIN(w->to - w->from, w->packs ? STATE_PACK_CHUNK : PIECE);
	*at = w->from;
	w->from += n;
	pthread_mutex_unlock(&w->lock);
	return n;
}

/* Chunks lie in the file as their entries in the index. */
static void add_entry(struct writer *w, struct state_pack_entry *e)
{
	pthread_mutex_lock(&w->lock);
	e->offset = cpu_to_le64(w->end);
	w->end += le32_to_cpu(e->len);
	w->entries[w->num++] = *e;
	pthread_mutex_unlock(&w->lock);
}

/* ---- a thread ---- */

/* Pages at the front that are all zero, or all not. Return: bytes. */
static u64 alike(const u8 *p, u64 len, bool *zero)
{
	u64 n;

	*zero = kvmb_all_zero(p, KVMB_PAGE_SIZE);
	for (n = KVMB_PAGE_SIZE; n < len; n += KVMB_PAGE_SIZE) {
		if (kvmb_all_zero(p + n, KVMB_PAGE_SIZE) != *zero)
			break;
	}
	return n;
}

/* The regions follow each other in the file, and in this process (machine/mem.c). */
static int write_piece(struct writer *w, u64 at, u64 len)
{
	const u8 *p = w->gm->regions[0].hva + at;
	bool zero;
	u64 n;
	int err = 0;

	for (at += STATE_FILE_MEMORY_AT; len && !err; len -= n, p += n, at += n) {
		n = alike(p, len, &zero);
		if (!zero)
			err = kvmb_pwrite_all(w->fd, p, n, at);
	}
	return err;
}

static int pack_chunk(struct writer *w, struct state_packer *p, u64 at, u64 len)
{
	/* not by the mapping: that would make pages where there are none */
	int err = kvmb_pread_all(w->gm->memfd, p->pages, len, at);
	struct state_pack_entry e;
	const void *out;

	if (err)
		return err;
	out = state_pack(p, len, &e);
	if (!out)
		return 0;
	e.chunk = cpu_to_le64(at / STATE_PACK_CHUNK);
	add_entry(w, &e);
	return kvmb_pwrite_all(w->fd, out, le32_to_cpu(e.len), le64_to_cpu(e.offset));
}

static void *write_pieces(void *arg)
{
	struct writer *w = arg;
	struct state_packer packer = { 0 };
	int err = w->packs ? state_packer_init(&packer) : 0;
	u64 at, len;

	while (!err && (len = take_piece(w, &at)))
		err = w->packs ? pack_chunk(w, &packer, at, len) : write_piece(w, at, len);
	if (err)
		fail(w, err);
	if (w->packs)
		state_packer_fini(&packer);
	return NULL;
}

static void *enter_and_write(void *arg)
{
	kvmb_thread_enter(KVMB_THREAD_JOB, "save");
	return write_pieces(arg);
}

/* ---- all of them ---- */

/* With as many threads as can be had, of which this is one. */
static int run(struct writer *w, u32 threads)
{
	pthread_t others[STATE_FILE_THREADS_MAX];
	u32 num = 0;

	pthread_mutex_init(&w->lock, NULL);
	while (num + 1 < KVMB_MIN(threads, STATE_FILE_THREADS_MAX) &&
	       !pthread_create(&others[num], NULL, enter_and_write, w))
		num++;
	write_pieces(w);
	while (num)
		pthread_join(others[--num], NULL);
	pthread_mutex_destroy(&w->lock);
	return w->err;
}

static struct writer writer_of(int fd, const struct kvmb_gm *gm,
			       const struct state_file_progress *p)
{
	return (struct writer){ .fd = fd, .gm = gm, .p = p, .size = kvmb_gm_size(gm) };
}

int state_memory_write(int fd, const struct kvmb_gm *gm, const struct state_file_wish *wish,
		       const struct state_file_progress *p)
{
	struct writer w = writer_of(fd, gm, p);

	return run(&w, wish->threads);
}

int state_memory_pack(int fd, const struct kvmb_gm *gm, const struct state_file_wish *wish,
		      const struct state_file_progress *p, struct state_pack_index *index)
{
	struct writer w = writer_of(fd, gm, p);
	int err;

	w.packs = true;
	w.end = STATE_FILE_MEMORY_AT;
	w.entries = calloc(w.size / STATE_PACK_CHUNK + 1, sizeof(*w.entries));
	err = w.entries ? run(&w, wish->threads) : -ENOMEM;
	if (!err)
		err = kvmb_pwrite_all(fd, w.entries, w.num * sizeof(*w.entries), w.end);
	*index = (struct state_pack_index){ .begin = STATE_FILE_MEMORY_AT,
					    .at = w.end,
					    .num = w.num };
	if (!err)
		index->crc = ~kvmb_crc32c(~0u, w.entries, w.num * sizeof(*w.entries));
	free(w.entries);
	return err;
}
