// SPDX-License-Identifier: GPL-2.0-only
/* How far a VM is: progress.h. */
#include "cli/progress.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "lib/loop.h"
#include "lib/util.h"

#define ASK_MS 500u
#define MAX_NUMBER (1ll << 60) /* that a VM may say */
#define BAR 24u		       /* characters */
#define COLUMNS 78u	       /* at most, and of a terminal that does not say how many it has */

struct progress {
	char path[PATH_MAX];
	const char *what;
	bool as_json;
	struct progress_rate rate;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows, and the terminal's line */
	pthread_cond_t wake;
	bool ended;
	unsigned int drawn; /* columns that are not empty */
	bool here;	    /* nobody is asked: progress_tell() */
	uint64_t told_ms;
};

static long long number(json_t *o, const char *name)
{
	long long n = json_integer_value(json_object_get(o, name));

	return KVMB_MIN(KVMB_MAX(n, 0ll), MAX_NUMBER);
}

static void note_rate(struct progress_rate *r, long long sent, long long ms)
{
	double now;

	if (r->ms && ms > r->ms && sent >= r->sent) {
		now = (double)(sent - r->sent) * 1000 / (double)(ms - r->ms);
		r->bytes = r->bytes ? (r->bytes + now) / 2 : now;
	}
	r->sent = sent;
	r->ms = ms;
}

static void draw_bar(char bar[BAR + 1], long long done, long long total)
{
	size_t n = total ? (size_t)((double)KVMB_MIN(done, total) * BAR / (double)total) : 0;

	memset(bar, '#', n);
	memset(bar + n, '.', BAR - n);
	bar[BAR] = 0;
}

static const char *about(double bytes, char *buf, size_t size)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	size_t i;

	bytes /= 1024;
	for (i = 0; bytes >= 1000 && i < ARRAY_SIZE(units) - 1; i++)
		bytes /= 1024;
	snprintf(buf, size, "%.*f %s", bytes < 10 ? 1 : 0, bytes, units[i]);
	return buf;
}

/* The first round looks at all memory, the others at what has changed. */
const char *progress_line(json_t *o, struct progress_rate *r, long long ms, char *buf, size_t size)
{
	long long total = number(o, "total") + number(o, "disk_total");
	long long done = number(o, "done") + number(o, "disk_done"), dirty = number(o, "dirty");
	bool moves = json_object_get(o, "sent"); /* or is saved */
	long long sent = moves ? number(o, "sent") : done, round = number(o, "round");
	const char *step = json_string_value(json_object_get(o, "step"));
	char bar[BAR + 1], a[32], b[32];
	double left;

	note_rate(r, sent, ms);
	about(r->bytes, a, sizeof(a));
	if (moves && step && !strcmp(step, "serving")) {
		snprintf(buf, size, "it runs there; %s of its memory to come, %s/s",
			 about((double)number(o, "later"), b, sizeof(b)), a);
	} else if (moves && step && strcmp(step, "live")) {
		snprintf(buf, size, "the guest stands; %s sent", about((double)sent, b, sizeof(b)));
	} else if (!round) {
		draw_bar(bar, done, total);
		snprintf(buf, size, "[%s] %3.0f %%  %s/s", bar,
			 total ? (double)done * 100 / (double)total : 0, a);
	} else {
		left = r->bytes > 0 ? (double)dirty / r->bytes : 0;
		snprintf(buf, size, "round %lld: %s changed meanwhile, %s/s, %.0f s", round + 1,
			 about((double)dirty, b, sizeof(b)), a, left);
	}
	return buf;
}

void progress_event(json_t *o, const char *event)
{
	char *line;

	json_object_set_new(o, "event", json_string(event));
	line = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
	if (line) {
		puts(line);
		fflush(stdout);
	}
	free(line);
}

/* In a terminal's last column some begin the next line. */
static unsigned int columns(void)
{
	struct winsize w;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) || !w.ws_col)
		return COLUMNS;
	return KVMB_MIN(w.ws_col - 1u, COLUMNS);
}

/* Under the lock. */
static void draw(struct progress *p, const char *line)
{
	p->drawn = columns();
	fprintf(stderr, "\r%-*.*s", (int)p->drawn, (int)p->drawn, line);
}

static void clear(struct progress *p)
{
	if (!p->drawn)
		return;
	draw(p, "");
	fputc('\r', stderr);
	p->drawn = 0;
}

static void tell(struct progress *p, json_t *o)
{
	char line[160];

	pthread_mutex_lock(&p->lock);
	if (!p->ended && p->as_json)
		progress_event(o, "progress");
	else if (!p->ended)
		draw(p, progress_line(o, &p->rate, (long long)kvmb_now_ms(), line, sizeof(line)));
	pthread_mutex_unlock(&p->lock);
}

static void ask(struct progress *p)
{
	json_t *info = client_try(p->path, "info", 1), *o = json_object_get(info, p->what);

	if (json_is_object(o))
		tell(p, o);
	json_decref(info);
}

/* Return: false: there is no more to ask. */
static bool wait_a_little(struct progress *p)
{
	struct timespec until;
	bool ended;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ASK_MS * 1000000l;
	until.tv_sec += until.tv_nsec / 1000000000l;
	until.tv_nsec %= 1000000000l;
	pthread_mutex_lock(&p->lock);
	if (!p->ended)
		pthread_cond_timedwait(&p->wake, &p->lock, &until);
	ended = p->ended;
	pthread_mutex_unlock(&p->lock);
	return !ended;
}

static void *run(void *arg)
{
	struct progress *p = arg;

	while (wait_a_little(p))
		ask(p);
	return NULL;
}

/* What an error says must stand alone. */
static void stop_telling(void *arg)
{
	struct progress *p = arg;

	pthread_mutex_lock(&p->lock);
	p->ended = true;
	clear(p);
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

struct progress *progress_begin(const char *vm, const char *what, bool as_json)
{
	struct progress *p;

	if (!as_json && !isatty(STDERR_FILENO))
		return NULL;
	p = kvmb_xzalloc(sizeof(*p));
	p->what = what;
	p->as_json = as_json;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	if (client_find(vm, p->path, sizeof(p->path)) &&
	    !pthread_create(&p->thread, NULL, run, p)) {
		cli_before_error(stop_telling, p);
		return p;
	}
	free(p);
	return NULL;
}

struct progress *progress_begin_here(bool as_json)
{
	struct progress *p;

	if (!as_json && !isatty(STDERR_FILENO))
		return NULL;
	p = kvmb_xzalloc(sizeof(*p));
	p->as_json = as_json;
	p->here = true;
	pthread_mutex_init(&p->lock, NULL);
	cli_before_error(stop_telling, p);
	return p;
}

void progress_tell(struct progress *p, const char *what, long long done, long long total)
{
	uint64_t now = kvmb_now_ms();
	char line[160], bar[120];
	json_t *o;

	if (!p || p->ended || now - p->told_ms < ASK_MS)
		return;
	p->told_ms = now;
	o = json_pack("{s:s, s:I, s:I}", "step", what, "done", (json_int_t)done, "total",
		      (json_int_t)total);
	if (p->as_json) {
		progress_event(o, "progress");
	} else {
		progress_line(o, &p->rate, (long long)now, bar, sizeof(bar));
		snprintf(line, sizeof(line), "%s  %.30s", bar, what);
		draw(p, line);
	}
	json_decref(o);
}

void progress_end(struct progress *p)
{
	if (!p)
		return;
	cli_before_error(NULL, NULL);
	stop_telling(p);
	if (!p->here)
		pthread_join(p->thread, NULL);
	free(p);
}
