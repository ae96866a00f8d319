// SPDX-License-Identifier: GPL-2.0-only
/* Data exchange, host half: kvp_host.h. */
#include "ic-services/kvp/kvp_host.h"

#include "ic-services/kvp/kvp_wire.h"
#include "lib/util.h"
#include "vmbus-core/ictext.h"

#define STATUS_NO_MORE 0x80070103u
#define KEY_BYTES 511u /* of UTF-8 that Linux' daemon keeps, without the end */
#define VALUE_BYTES 2047u

enum job_kind { JOB_READ, JOB_PUSH, JOB_DELETE, JOB_GET_IP, JOB_SET_IP };

struct kvmb_kvp_job {
	struct kvmb_kvp_job *next;
	enum job_kind kind;
	kvmb_kvp_fn fn;
	void *arg;
	u64 until_ms;		     /* once it is begun, else 0 */
	u32 status;		     /* so far */
	char *key;		     /* PUSH: whose result is wanted, NULL = nobody's; DELETE */
	char *sent;		     /* PUSH: key of the item that the guest is asked to take */
	struct kvmb_kvp_ip *ip;	     /* GET_IP, SET_IP; owned */
	struct kvmb_kvp_item *items; /* READ: so far, the newest first */
	u32 pool, index;	     /* READ: of read_pools[], in it */
};

static const enum kvmb_kvp_pool read_pools[] = { KVMB_KVP_AUTO, KVMB_KVP_GUEST, KVMB_KVP_EXTERNAL };

/* ---- lists of items ---- */

static void free_item(struct kvmb_kvp_item *i)
{
	free(i->key);
	free(i->value);
	free(i);
}

static void free_items(struct kvmb_kvp_item **list)
{
	struct kvmb_kvp_item *i;

	while ((i = *list)) {
		*list = i->next;
		free_item(i);
	}
}

static char *copy_text(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = kvmb_xzalloc(n);

	memcpy(copy, s, n);
	return copy;
}

/* In front of what @list points to. */
static struct kvmb_kvp_item *add_item(struct kvmb_kvp_item **list, enum kvmb_kvp_pool pool,
				      const char *key, const char *value)
{
	struct kvmb_kvp_item *i = kvmb_xzalloc(sizeof(*i));

	i->pool = pool;
	i->key = copy_text(key);
	i->value = copy_text(value);
	i->next = *list;
	*list = i;
	return i;
}

static struct kvmb_kvp_item **find_item(struct kvmb_kvp_item **list, enum kvmb_kvp_pool pool,
					const char *key)
{
	while (*list && ((*list)->pool != pool || strcmp((*list)->key, key)))
		list = &(*list)->next;
	return list;
}

static void remove_item(struct kvmb_kvp_item **at)
{
	struct kvmb_kvp_item *i = *at;

	if (!i)
		return;
	*at = i->next;
	free_item(i);
}

static void reverse_items(struct kvmb_kvp_item **list)
{
	struct kvmb_kvp_item *from = *list, *i;

	*list = NULL;
	while ((i = from)) {
		from = i->next;
		i->next = *list;
		*list = i;
	}
}

/* ---- jobs ---- */

static void run_jobs(struct kvmb_kvp *k);

static void free_job(struct kvmb_kvp_job *j)
{
	free_items(&j->items);
	free(j->key);
	free(j->sent);
	free(j->ip);
	free(j);
}

static struct kvmb_kvp_job *add_job(struct kvmb_kvp *k, enum job_kind kind, kvmb_kvp_fn fn,
				    void *arg)
{
	struct kvmb_kvp_job *j = kvmb_xzalloc(sizeof(*j)), **p;

	j->kind = kind;
	j->fn = fn;
	j->arg = arg;
	for (p = &k->jobs; *p; p = &(*p)->next)
		;
	*p = j;
	return j;
}

/* The first one has ended. */
static void end_job(struct kvmb_kvp *k, int err, const struct kvmb_kvp_ip *ip)
{
	struct kvmb_kvp_job *j = k->jobs;
	const struct kvmb_kvp_result r = { .err = err, .status = j->status, .ip = ip };

	if (err == -EPROTO)
		k->malformed++;
	k->jobs = j->next;
	if (j->fn)
		j->fn(j->arg, &r);
	free_job(j);
}

static u32 limit_of(const struct kvmb_kvp_job *j)
{
	u64 now = kvmb_now_ms();

	return j->until_ms > now ? (u32)KVMB_MIN(j->until_ms - now, (u64)KVMB_KVP_LIMIT_MS) : 0;
}

/* ---- reading ---- */

static void push_owed(struct kvmb_kvp *k);

static void end_reading(struct kvmb_kvp *k)
{
	struct kvmb_kvp_job *j = k->jobs;

	reverse_items(&j->items);
	free_items(&k->read);
	k->read = j->items;
	j->items = NULL;
	j->status = KVMB_IC_STATUS_OK;
	k->read_ms = kvmb_now_ms();
	push_owed(k); /* a guest that answers has its daemon by now */
	end_job(k, 0, NULL);
}

static void next_pool(struct kvmb_kvp *k)
{
	struct kvmb_kvp_job *j = k->jobs;

	j->index = 0;
	if (++j->pool == ARRAY_SIZE(read_pools))
		end_reading(k);
}

static void read_reply(struct kvmb_kvp *k, const struct kvmb_icmsg *msg)
{
	char key[KVMB_KVP_TEXT_MAX], value[KVMB_KVP_TEXT_MAX];
	struct kvmb_kvp_job *j = k->jobs;
	int err;

	if (msg->status != KVMB_IC_STATUS_OK) {
		if (!j->pool && !j->index && msg->status != STATUS_NO_MORE) {
			j->status = msg->status; /* it says nothing at all */
			end_job(k, 0, NULL);
		} else {
			next_pool(k);
		}
		return;
	}
	err = kvmb_kvp_get_item(msg, key, value);
	if (err == -EPROTO) {
		end_job(k, err, NULL);
		return;
	}
	if (err)
		k->malformed++;
	else if (*key)
		add_item(&j->items, read_pools[j->pool], key, value);
	if (++j->index == KVMB_KVP_MAX_READ || (!err && !*key))
		next_pool(k);
}

/* ---- items for the guest ---- */

static struct kvmb_kvp_item *next_owed(struct kvmb_kvp *k)
{
	struct kvmb_kvp_item *i;

	for (i = k->wanted; i && (!i->owed || i->tried); i = i->next)
		;
	return i;
}

static void owe_all(struct kvmb_kvp *k)
{
	struct kvmb_kvp_item *i;

	for (i = k->wanted; i; i = i->next)
		i->owed = true;
}

static void push_owed(struct kvmb_kvp *k)
{
	struct kvmb_kvp_job *j;
	struct kvmb_kvp_item *i;

	for (j = k->jobs; j && j->kind != JOB_PUSH; j = j->next)
		;
	for (i = k->wanted; i && !i->owed; i = i->next)
		;
	if (i && !j)
		add_job(k, JOB_PUSH, NULL, NULL);
}

static int push_question(struct kvmb_kvp *k, union kvmb_kvp_message *m)
{
	struct kvmb_kvp_item *i = next_owed(k);
	struct kvmb_kvp_job *j = k->jobs;

	free(j->sent);
	j->sent = NULL;
	if (!i)
		return 0;
	i->tried = true;
	j->sent = copy_text(i->key);
	return (int)kvmb_kvp_put_set(m, i->key, i->value);
}

/* The item may have been deleted meanwhile, or have a new value, which is not tried. */
static void push_reply(struct kvmb_kvp *k, const struct kvmb_icmsg *msg)
{
	struct kvmb_kvp_job *j = k->jobs;
	struct kvmb_kvp_item *i = *find_item(&k->wanted, KVMB_KVP_EXTERNAL, j->sent);

	if (i && i->tried)
		i->owed = msg->status != KVMB_IC_STATUS_OK;
	if (j->key && !strcmp(j->key, j->sent))
		j->status = msg->status;
}

/* ---- asking ---- */

static void answered(struct kvmb_ic_ask *a, int err, const struct kvmb_icmsg *msg);

static int ask_ip(struct kvmb_kvp *k, union kvmb_kvp_message *m)
{
	struct kvmb_kvp_job *j = k->jobs;

	return kvmb_kvp_put_ip(m, k->ic.message, j->kind == JOB_SET_IP, j->ip);
}

/* Return: bytes of the next question; 0: there is none; -errno: there cannot be one. */
static int next_question(struct kvmb_kvp *k, union kvmb_kvp_message *m)
{
	struct kvmb_kvp_job *j = k->jobs;

	switch (j->kind) {
	case JOB_READ:
		return (int)kvmb_kvp_put_enumerate(m, read_pools[j->pool], j->index);
	case JOB_PUSH:
		return push_question(k, m);
	case JOB_DELETE:
		return (int)kvmb_kvp_put_delete(m, j->key);
	case JOB_GET_IP:
	case JOB_SET_IP:
		return ask_ip(k, m);
	}
	return -EINVAL;
}

static void begin_job(struct kvmb_kvp *k)
{
	struct kvmb_kvp_item *i;

	k->jobs->until_ms = kvmb_now_ms() + KVMB_KVP_READ_MS;
	for (i = k->wanted; i; i = i->next)
		i->tried = false;
}

/* Ask what the first job wants to know, or end it. */
static void run_jobs(struct kvmb_kvp *k)
{
	union kvmb_kvp_message m;
	int len;

	while (k->jobs && !k->ask.done) {
		if (!k->jobs->until_ms)
			begin_job(k);
		len = k->ic.state == KVMB_IC_READY ? next_question(k, &m) : -ENOTCONN;
		if (len > 0 && !limit_of(k->jobs))
			len = -ETIMEDOUT;
		if (len > 0)
			len = kvmb_ic_ask(&k->ask, &m, (u32)len, limit_of(k->jobs), answered);
		if (!k->ask.done)
			end_job(k, len, NULL);
	}
}

static void ip_reply(struct kvmb_kvp *k, const struct kvmb_icmsg *msg)
{
	struct kvmb_kvp_job *j = k->jobs;
	int err = 0;

	j->status = msg->status;
	if (j->kind == JOB_GET_IP && msg->status == KVMB_IC_STATUS_OK)
		err = kvmb_kvp_read_ip(msg, k->ic.message, j->ip);
	end_job(k, err, err || j->kind != JOB_GET_IP ? NULL : j->ip);
}

static void answered(struct kvmb_ic_ask *a, int err, const struct kvmb_icmsg *msg)
{
	struct kvmb_kvp *k = container_of(a, struct kvmb_kvp, ask);
	struct kvmb_kvp_job *j = k->jobs;

	if (err) {
		end_job(k, err, NULL);
	} else if (j->kind == JOB_READ) {
		read_reply(k, msg);
	} else if (j->kind == JOB_PUSH) {
		push_reply(k, msg);
	} else if (j->kind == JOB_DELETE) {
		j->status = msg->status;
		end_job(k, 0, NULL);
	} else {
		ip_reply(k, msg);
	}
	run_jobs(k);
}

/* ---- life ---- */

static void forget_guest(struct kvmb_kvp *k)
{
	free_items(&k->read);
	k->read_ms = 0;
}

static void ready(struct kvmb_ic *ic)
{
	struct kvmb_kvp *k = container_of(ic, struct kvmb_kvp, ic);

	forget_guest(k);
	owe_all(k);
	kvmb_kvp_read(k, NULL, NULL);
}

static void reply(struct kvmb_ic *ic, const struct kvmb_icmsg *msg)
{
	kvmb_ic_ask_replied(&container_of(ic, struct kvmb_kvp, ic)->ask, msg);
}

static void stopped(struct kvmb_ic *ic)
{
	struct kvmb_kvp *k = container_of(ic, struct kvmb_kvp, ic);

	kvmb_ic_ask_stopped(&k->ask);
	forget_guest(k);
}

static void resumed(struct kvmb_ic *ic)
{
	struct kvmb_kvp *k = container_of(ic, struct kvmb_kvp, ic);

	kvmb_ic_ask_resumed(&k->ask);
	if (!k->loaded)
		return;
	k->loaded = false;
	kvmb_kvp_read(k, NULL, NULL);
}

static const u32 versions[] = { KVMB_IC_VERSION(1, 0), KVMB_IC_VERSION(3, 0), KVMB_IC_VERSION(4, 0),
				KVMB_IC_VERSION(5, 0) };

static const struct kvmb_ic_ops kvp_ops = {
	.name = "kvp",
	.type = KVMB_KVP_TYPE_GUID,
	.instance = KVMB_KVP_INSTANCE_GUID,
	.message_type = KVMB_IC_KVP,
	.versions = versions,
	.num_versions = ARRAY_SIZE(versions),
	.ready = ready,
	.reply = reply,
	.stopped = stopped,
	.resumed = resumed,
};

void kvmb_kvp_init(struct kvmb_kvp *k, struct kvmb_loop *loop)
{
	memset(k, 0, sizeof(*k));
	kvmb_ic_init(&k->ic, &kvp_ops);
	kvmb_ic_ask_init(&k->ask, &k->ic, loop);
}

void kvmb_kvp_fini(struct kvmb_kvp *k)
{
	kvmb_ic_ask_drop(&k->ask);
	while (k->jobs)
		end_job(k, -ENOTCONN, NULL);
	forget_guest(k);
	free_items(&k->wanted);
}

/* ---- what others ask for ---- */

/* Only when there is somebody to ask. Return: NULL: there is nobody, and @fn knows. */
static struct kvmb_kvp_job *new_job(struct kvmb_kvp *k, enum job_kind kind, kvmb_kvp_fn fn,
				    void *arg)
{
	const struct kvmb_kvp_result nobody = { .err = -ENOTCONN };

	if (k->ic.state == KVMB_IC_READY)
		return add_job(k, kind, fn, arg);
	if (fn)
		fn(arg, &nobody);
	return NULL;
}

void kvmb_kvp_read(struct kvmb_kvp *k, kvmb_kvp_fn fn, void *arg)
{
	if (new_job(k, JOB_READ, fn, arg))
		run_jobs(k);
}

int kvmb_kvp_want(struct kvmb_kvp *k, const char *key, const char *value, bool owed)
{
	struct kvmb_kvp_item **at = find_item(&k->wanted, KVMB_KVP_EXTERNAL, key), *i = *at;

	if (!i && k->num_wanted == KVMB_KVP_MAX_WANTED)
		return -ENOSPC;
	if (i) {
		free(i->value);
		i->value = copy_text(value);
	} else {
		i = add_item(at, KVMB_KVP_EXTERNAL, key, value);
		k->num_wanted++;
	}
	i->owed = owed;
	i->tried = false;
	return 0;
}

int kvmb_kvp_set(struct kvmb_kvp *k, const char *key, const char *value, kvmb_kvp_fn fn, void *arg)
{
	int err = kvmb_kvp_want(k, key, value, true);
	struct kvmb_kvp_job *j;

	if (err)
		return err;
	j = new_job(k, JOB_PUSH, fn, arg);
	if (!j)
		return 0;
	j->key = copy_text(key);
	j->status = KVMB_IC_STATUS_OK;
	run_jobs(k);
	return 0;
}

void kvmb_kvp_delete(struct kvmb_kvp *k, const char *key, kvmb_kvp_fn fn, void *arg)
{
	struct kvmb_kvp_item **at = find_item(&k->wanted, KVMB_KVP_EXTERNAL, key);
	struct kvmb_kvp_job *j;

	if (*at)
		k->num_wanted--;
	remove_item(at);
	j = new_job(k, JOB_DELETE, fn, arg);
	if (!j)
		return;
	j->key = copy_text(key);
	run_jobs(k);
}

static void ask_for_ip(struct kvmb_kvp *k, enum job_kind kind, const struct kvmb_kvp_ip *ip,
		       kvmb_kvp_fn fn, void *arg)
{
	struct kvmb_kvp_job *j = new_job(k, kind, fn, arg);

	if (!j)
		return;
	j->ip = kvmb_xzalloc(sizeof(*ip));
	*j->ip = *ip;
	run_jobs(k);
}

void kvmb_kvp_get_ip(struct kvmb_kvp *k, const struct kvmb_kvp_ip *ip, kvmb_kvp_fn fn, void *arg)
{
	ask_for_ip(k, JOB_GET_IP, ip, fn, arg);
}

void kvmb_kvp_set_ip(struct kvmb_kvp *k, const struct kvmb_kvp_ip *ip, kvmb_kvp_fn fn, void *arg)
{
	ask_for_ip(k, JOB_SET_IP, ip, fn, arg);
}

static bool fits(const char *s, u32 bytes, u32 wire)
{
	u8 buf[KVMB_KVP_VALUE_MAX];
	size_t n = strlen(s);

	/* Linux' kernel converts answers into two units less than there is room for */
	return n <= bytes && kvmb_ictext_put(s, (u32)n, buf, wire - 4) > 0;
}

const char *kvmb_kvp_check(const char *key, const char *value)
{
	if (!*key)
		return "a key has at least one character";
	if (!fits(key, KEY_BYTES, KVMB_KVP_KEY_MAX))
		return "a key is UTF-8, 253 characters and 511 bytes at most";
	if (value && !fits(value, VALUE_BYTES, KVMB_KVP_VALUE_MAX))
		return "a value is UTF-8, 1021 characters and 2047 bytes at most";
	return NULL;
}

const char *kvmb_kvp_value(const struct kvmb_kvp *k, enum kvmb_kvp_pool pool, const char *key)
{
	struct kvmb_kvp_item *first = k->read, *i = *find_item(&first, pool, key);

	return i ? i->value : NULL;
}

bool kvmb_kvp_busy(const struct kvmb_kvp *k)
{
	return k->jobs;
}
