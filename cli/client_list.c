// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvmbus list` asks all VMs at the same time, because each one that hangs costs a full timeout.
 * Root also asks the sockets of other users, who may have any number that hang. So there is a
 * limit for the whole, and VMs that have not been asked by then are listed as busy.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/loop.h"
#include "lib/util.h"

#define PATIENCE_S 3
#define TOTAL_MS 9000u
#define MAX_THREADS 16u

struct asked {
	char *path, *name;
	json_t *info; /* NULL: it did not say, because of err */
	int err;
};

struct survey {
	struct asked *all; /* all[num] */
	size_t num, next;
	pthread_mutex_t lock; /* guards next */
	uint64_t end;
};

static void note_socket(void *arg, const char *path, const char *name)
{
	struct survey *s = arg;
	struct asked *more = reallocarray(s->all, s->num + 1, sizeof(*more)), *a;

	if (!more)
		abort();
	s->all = more;
	a = &more[s->num++];
	*a = (struct asked){ .path = strdup(path), .name = strdup(name) };
	if (!a->path || !a->name)
		abort();
}

static void *ask_vms(void *arg)
{
	struct survey *s = arg;
	struct asked *a;

	for (;;) {
		pthread_mutex_lock(&s->lock);
		a = s->next < s->num ? &s->all[s->next++] : NULL;
		pthread_mutex_unlock(&s->lock);
		if (!a)
			return NULL;
		a->err = EAGAIN;
		if (kvmb_now_ms() >= s->end)
			continue;
		a->info = client_try(a->path, "info", PATIENCE_S);
		a->err = errno;
	}
}

static void ask_all(struct survey *s)
{
	pthread_t threads[MAX_THREADS];
	size_t n = 0;

	s->end = kvmb_now_ms() + TOTAL_MS - PATIENCE_S * 1000u;
	while (n + 1 < s->num && n < MAX_THREADS && !pthread_create(&threads[n], NULL, ask_vms, s))
		n++;
	ask_vms(s);
	while (n)
		pthread_join(threads[--n], NULL);
}

/* Those that answered or are busy to @vms. Return: EXIT_*: were there any of other users? */
static int sort(struct survey *s, json_t *vms)
{
	const char *foreign = NULL;
	int num_foreign = 0;
	size_t i;

	for (i = 0; i < s->num; i++) {
		struct asked *a = &s->all[i];

		if (a->info) {
			json_array_append_new(vms, a->info);
		} else if (a->err == EAGAIN) {
			json_array_append_new(
				vms, json_pack("{s:s, s:s}", "name", a->name, "state", "busy"));
		} else if (a->err == EACCES && !num_foreign++) {
			foreign = a->name;
		}
	}
	if (!num_foreign)
		return EXIT_OK;
	cli_error("not shown: %d of other users (%.60s%s)", num_foreign, foreign,
		  num_foreign > 1 ? ", ..." : "");
	return EXIT_FAILED;
}

int cmd_list(struct cli_args *a)
{
	struct survey s = { .lock = PTHREAD_MUTEX_INITIALIZER };
	json_t *vms = json_array();
	int code = client_each(note_socket, &s), other;
	size_t i;

	ask_all(&s);
	other = code ? EXIT_OK : sort(&s, vms);
	client_show(vms, cli_flag(a, "json"), client_print_list);
	json_decref(vms);
	for (i = 0; i < s.num; i++) {
		free(s.all[i].path);
		free(s.all[i].name);
	}
	free(s.all);
	return code ? code : other;
}
