/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Data exchange (KVP): what a guest says of itself, items for it, and addresses of its NICs.
 *
 * DOC: Theory of operation
 *
 * A guest has pools of items, a key and a value each. The host asks one thing at a time: jobs wait
 * in a list. A reading asks for each item of three pools by number until the guest says that there
 * is none; what was read last is kept with its age. It begins when the service is ready, and
 * whenever somebody asks; nothing is polled.
 *
 * Items of pool EXTERNAL are the administrator's. We keep them, and owe them to each guest that
 * starts: it is told when its service is ready, and again after each reading if it had no daemon
 * yet.
 *
 * Strings of the guest are hostile. An item that makes no sense is left out and counted.
 */
#ifndef KVMB_KVP_HOST_H
#define KVMB_KVP_HOST_H

#include "ic-services/ic_ask.h"
#include "vmbus-core/proto/kvp.h"

#define KVMB_KVP_LIMIT_MS 35000u /* a question; Linux itself gives its daemon 30 s */
#define KVMB_KVP_READ_MS 60000u	 /* a reading, or all items that are owed */
#define KVMB_KVP_MAX_READ 256u	 /* items of a pool that we look at */
#define KVMB_KVP_MAX_WANTED 256u /* items that an administrator may set */
#define KVMB_KVP_TEXT_MAX 3072u	 /* bytes that 2048 of UTF-16 may become */

struct kvmb_kvp_item {
	struct kvmb_kvp_item *next;
	enum kvmb_kvp_pool pool;
	bool owed;	   /* EXTERNAL, of ours: the guest has not got it yet */
	bool tried;	   /* ... by the job that is under way */
	char *key, *value; /* UTF-8, owned */
};

/* Of one NIC; lists are separated by ";". What the guest says is hostile. */
struct kvmb_kvp_ip {
	char adapter[128];
	u32 family; /* KVMB_KVP_IPV4 | KVMB_KVP_IPV6 */
	bool dhcp;
	char addresses[KVMB_KVP_TEXT_MAX], subnets[KVMB_KVP_TEXT_MAX];
	char gateways[KVMB_KVP_TEXT_MAX], dns[KVMB_KVP_TEXT_MAX];
};

struct kvmb_kvp_result {
	/*
	 * 0: the guest has answered, see @status; -ENOTCONN: it has no service, or has closed it;
	 * -ETIMEDOUT; -EPROTO: its answer makes no sense; -EOPNOTSUPP: not in its version
	 */
	int err;
	u32 status;		      /* KVMB_IC_STATUS_*, or another HRESULT */
	const struct kvmb_kvp_ip *ip; /* of kvmb_kvp_get_ip(), if all is well */
};

typedef void (*kvmb_kvp_fn)(void *arg, const struct kvmb_kvp_result *r);
struct kvmb_kvp_job;

struct kvmb_kvp { /* bus thread */
	struct kvmb_ic ic;
	struct kvmb_ic_ask ask;
	struct kvmb_kvp_job *jobs;    /* the first is under way */
	struct kvmb_kvp_item *read;   /* what the guest said last */
	struct kvmb_kvp_item *wanted; /* of the administrator */
	u32 num_wanted;
	u64 read_ms;   /* kvmb_now_ms() of that, 0 = nothing read of this guest */
	u64 malformed; /* items and answers that made no sense */
	bool loaded;   /* from another process: nothing is read yet */
};

/** kvmb_kvp_init() - Prepare, not offered; @loop is the bus thread's. */
void kvmb_kvp_init(struct kvmb_kvp *k, struct kvmb_loop *loop);

/** kvmb_kvp_fini() - Free it; jobs end as of a guest that has gone. Its channel is closed. */
void kvmb_kvp_fini(struct kvmb_kvp *k);

/*
 * All of these call @fn once, maybe before they return; it may be NULL. Bus thread.
 */

/** kvmb_kvp_read() - Read pools AUTO, GUEST and EXTERNAL; then @k has them. */
void kvmb_kvp_read(struct kvmb_kvp *k, kvmb_kvp_fn fn, void *arg);

/**
 * kvmb_kvp_set() - Keep an item of pool EXTERNAL, and give it to the guest
 * @key, @value: copied; kvmb_kvp_check() has taken them
 * @fn: -ENOTCONN: the guest gets it when its service starts
 *
 * Return: 0; -ENOSPC: there are KVMB_KVP_MAX_WANTED already, and @fn is not called.
 */
int kvmb_kvp_set(struct kvmb_kvp *k, const char *key, const char *value, kvmb_kvp_fn fn, void *arg);

/** kvmb_kvp_delete() - Forget an item of pool EXTERNAL, and have the guest forget it. */
void kvmb_kvp_delete(struct kvmb_kvp *k, const char *key, kvmb_kvp_fn fn, void *arg);

/** kvmb_kvp_get_ip() - Addresses of the NIC ip->adapter, as the guest's service names it. */
void kvmb_kvp_get_ip(struct kvmb_kvp *k, const struct kvmb_kvp_ip *ip, kvmb_kvp_fn fn, void *arg);

/** kvmb_kvp_set_ip() - Have the guest configure a NIC; *ip is copied. */
void kvmb_kvp_set_ip(struct kvmb_kvp *k, const struct kvmb_kvp_ip *ip, kvmb_kvp_fn fn, void *arg);

/** kvmb_kvp_check() - Can a guest keep this? Return: NULL; else why not, one phrase. */
const char *kvmb_kvp_check(const char *key, const char *value);

/** kvmb_kvp_value() - What was read last. Return: NULL: there is no such item. Hostile. */
const char *kvmb_kvp_value(const struct kvmb_kvp *k, enum kvmb_kvp_pool pool, const char *key);

/** kvmb_kvp_busy() - Is anything asked, or about to be? */
bool kvmb_kvp_busy(const struct kvmb_kvp *k);

/** kvmb_kvp_want() - As kvmb_kvp_set(), when loading: nobody is asked yet. */
int kvmb_kvp_want(struct kvmb_kvp *k, const char *key, const char *value, bool owed);

#endif
