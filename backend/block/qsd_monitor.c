// SPDX-License-Identifier: GPL-2.0-only
/* Lines of JSON to a storage daemon and back. Source: qemu-storage-daemon-qmp-ref(7). */
#include "backend/block/qsd_monitor.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/loop.h"
#include "lib/util.h"

#define ANSWER_MS 10000u
#define IN_MIN (64u << 10)
#define IN_MAX \
	(4u << 20) /* a line; of an image it lists the snapshots and bitmaps: many thousand */

static int make_room(struct kvmb_qsd_monitor *m)
{
	size_t size = m->in_size ? 2 * m->in_size : IN_MIN;
	char *in;

	if (m->in_len < m->in_size)
		return 0;
	in = size <= IN_MAX ? realloc(m->in, size) : NULL;
	if (!in)
		return size <= IN_MAX ? -ENOMEM : -EMSGSIZE;
	m->in = in;
	m->in_size = size;
	return 0;
}

/*
 * One line of JSON before @until. Return: new reference; NULL with -ETIMEDOUT, -EPIPE or of
 * make_room() in @err.
 */
static json_t *read_line(struct kvmb_qsd_monitor *m, u64 until, int *err)
{
	u64 now;
	struct pollfd p = { .fd = m->fd, .events = POLLIN };
	json_t *o;
	char *nl;
	ssize_t n;

	while (!(nl = m->in_len ? memchr(m->in, '\n', m->in_len) : NULL)) {
		*err = make_room(m);
		if (*err)
			return NULL;
		now = kvmb_now_ms();
		*err = -ETIMEDOUT;
		if (now >= until || poll(&p, 1, (int)(until - now)) <= 0)
			return NULL;
		n = read(m->fd, m->in + m->in_len, m->in_size - m->in_len);
		*err = -EPIPE;
		if (n <= 0)
			return NULL;
		m->in_len += (size_t)n;
	}
	o = json_loadb(m->in, (size_t)(nl - m->in), 0, NULL);
	m->in_len -= (size_t)(nl + 1 - m->in);
	memmove(m->in, nl + 1, m->in_len);
	return o;
}

/* All at once: after its last command the daemon ends before it has read the end of the line. */
int kvmb_qsd_say(struct kvmb_qsd_monitor *m, const char *name, json_t *args)
{
	json_t *o =
		json_pack("{s:s, s:o}", "execute", name, "arguments", args ? args : json_object());
	char *s = json_dumps(o, JSON_COMPACT);
	size_t len = s ? strlen(s) : 0;
	bool sent;

	if (s)
		s[len] = '\n'; /* in place of the 0 */
	sent = s && send(m->fd, s, len + 1, MSG_NOSIGNAL) == (ssize_t)len + 1;
	free(s);
	json_decref(o);
	return sent ? 0 : -EPIPE;
}

json_t *kvmb_qsd_command(struct kvmb_qsd_monitor *m, const char *name, json_t *args, char *why,
			 size_t size)
{
	bool sent = !kvmb_qsd_say(m, name, args);
	json_t *answer, *result, *o;
	/* of all lines: it may talk of other things without end */
	u64 until = kvmb_now_ms() + ANSWER_MS;
	int err = 0;

	while (sent && kvmb_now_ms() < until && (answer = read_line(m, until, &err))) {
		result = json_incref(json_object_get(answer, "return"));
		o = json_object_get(answer, "error");
		if (o)
			snprintf(why, size, "%s", json_string_value(json_object_get(o, "desc")));
		json_decref(answer);
		if (result || o)
			return result;
	}
	if (err == -EMSGSIZE)
		snprintf(
			why, size,
			"it has too many snapshots or bitmaps for its storage daemon; remove some");
	else
		snprintf(why, size, "its storage daemon does not answer");
	return NULL;
}

int kvmb_qsd_simple(struct kvmb_qsd_monitor *m, const char *name, json_t *args, char *why,
		    size_t size)
{
	json_t *r = kvmb_qsd_command(m, name, args, why, size);

	json_decref(r);
	return r ? 0 : -EIO;
}

int kvmb_qsd_greeting(struct kvmb_qsd_monitor *m, u32 ms, char *why, size_t size)
{
	int err = 0;
	json_t *greeting = read_line(m, kvmb_now_ms() + ms, &err);

	if (!greeting)
		return err ? err : -EPIPE;
	json_decref(greeting);
	return kvmb_qsd_simple(m, "qmp_capabilities", NULL, why, size);
}
