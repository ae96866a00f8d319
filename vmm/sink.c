// SPDX-License-Identifier: GPL-2.0-only
/* Serial output to a file; theory of operation: sink.h. */
#include "vmm/sink.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/thread.h"
#include "lib/util.h"
#include "machine/dev/serial.h"

enum sink_state {
	SINK_IDLE,    /* all was written; sink_wake() moves on */
	SINK_PENDING, /* there may be output */
	SINK_WRITING, /* the thread writes it; sink_wake() moves to PENDING */
	/* there may be output, then it is DONE; for good but for DONE and ABANDONED */
	SINK_ENDING,
	SINK_DONE,	/* the thread does nothing any more */
	SINK_ABANDONED, /* nobody waits for the thread, which frees the sink */
};

struct sink {
	struct serial *serial; /* not touched when ABANDONED */
	int fd;
	u64 limit;
	u64 cursor; /* thread */
	pthread_t thread;
	pthread_mutex_t lock; /* guards state */
	pthread_cond_t moved; /* state has changed */
	enum sink_state state;
};

static void set_sink_state(struct sink *s, enum sink_state to)
{
	s->state = to;
	pthread_cond_broadcast(&s->moved);
}

static void free_sink(struct sink *s)
{
	close(s->fd);
	pthread_cond_destroy(&s->moved);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- the thread ---- */

/* Copy the last @keep bytes of @size to the front. Not atomic: it is a log. */
static void drop_older(struct sink *s, off_t size, off_t keep)
{
	static const char note[] =
		"\n[kvmbus: older output was removed here: the file had reached its limit]\n";
	char buf[65536];
	off_t from = size - keep, to = 0;
	ssize_t n;

	while (from < size && (n = pread(s->fd, buf, sizeof(buf), from)) > 0 &&
	       pwrite(s->fd, buf, (size_t)n, to) == n) {
		from += n;
		to += n;
	}
	if (pwrite(s->fd, note, sizeof(note) - 1, 0) < 0 || ftruncate(s->fd, to))
		return; /* it stays as long as it is, and the next write tries again */
}

/* Return: bytes written, all of them unless the disk is full or the like. */
static size_t write_all(struct sink *s, const u8 *buf, size_t len)
{
	size_t done = 0;
	ssize_t n = 0;
	off_t size = lseek(s->fd, 0, SEEK_END); /* somebody may have truncated it */

	if (s->limit && size >= 0 && (u64)size + len > s->limit) {
		drop_older(s, size, KVMB_MIN(size, (off_t)(s->limit / 2)));
		lseek(s->fd, 0, SEEK_END);
	}
	while (done < len && (n >= 0 || errno == EINTR)) {
		n = write(s->fd, buf + done, len - done);
		done += (size_t)KVMB_MAX(n, 0);
	}
	return done;
}

static void write_output(struct sink *s)
{
	u8 buf[4096];
	size_t n, done;

	do {
		pthread_mutex_lock(&s->lock);
		n = s->state == SINK_ABANDONED ?
			    0 :
			    serial_read(s->serial, &s->cursor, buf, sizeof(buf));
		pthread_mutex_unlock(&s->lock);
		done = n ? write_all(s, buf, n) : 0;
		s->cursor -= n - done; /* it is tried again when there is more */
	} while (n && done == n);
}

static void *sink_main(void *arg)
{
	struct sink *s = arg;
	bool last = false, abandoned;

	kvmb_thread_enter(KVMB_THREAD_SINK, "serial-file");
	while (!last) {
		pthread_mutex_lock(&s->lock);
		if (s->state == SINK_WRITING) /* it was written */
			set_sink_state(s, SINK_IDLE);
		while (s->state == SINK_IDLE)
			pthread_cond_wait(&s->moved, &s->lock);
		last = s->state == SINK_ENDING || s->state == SINK_ABANDONED;
		if (s->state == SINK_PENDING)
			set_sink_state(s, SINK_WRITING);
		pthread_mutex_unlock(&s->lock);
		write_output(s);
	}
	pthread_mutex_lock(&s->lock);
	abandoned = s->state == SINK_ABANDONED;
	if (!abandoned)
		set_sink_state(s, SINK_DONE);
	pthread_mutex_unlock(&s->lock);
	if (abandoned)
		free_sink(s);
	return NULL;
}

/* ---- its owner ---- */

struct sink *sink_create(struct serial *serial, int fd, u64 limit)
{
	struct sink *s = kvmb_xzalloc(sizeof(*s));
	pthread_condattr_t attr;

	s->serial = serial;
	s->fd = fd;
	s->limit = limit;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->moved, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&s->thread, NULL, sink_main, s)) {
		free_sink(s);
		return NULL;
	}
	return s;
}

void sink_wake(struct sink *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->state == SINK_IDLE || s->state == SINK_WRITING)
		set_sink_state(s, SINK_PENDING);
	pthread_mutex_unlock(&s->lock);
}

static struct timespec in_ms(u32 ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return until;
}

bool sink_drain(struct sink *s, u32 ms)
{
	struct timespec until = in_ms(ms);
	bool done;

	sink_wake(s);
	pthread_mutex_lock(&s->lock);
	while (s->state != SINK_IDLE && !pthread_cond_timedwait(&s->moved, &s->lock, &until))
		;
	done = s->state == SINK_IDLE;
	pthread_mutex_unlock(&s->lock);
	return done;
}

bool sink_destroy(struct sink *s, u32 ms)
{
	struct timespec until = in_ms(ms);
	bool done;

	pthread_mutex_lock(&s->lock);
	set_sink_state(s, SINK_ENDING);
	while (s->state != SINK_DONE && !pthread_cond_timedwait(&s->moved, &s->lock, &until))
		;
	done = s->state == SINK_DONE;
	if (!done) {
		set_sink_state(s, SINK_ABANDONED);
		pthread_detach(s->thread);
	}
	pthread_mutex_unlock(&s->lock);
	if (done) {
		pthread_join(s->thread, NULL);
		free_sink(s);
	}
	return done;
}
