// SPDX-License-Identifier: GPL-2.0-only
/* Crashes that the guest's kernel reports; crash.h says what they carry. */
#include "machine/crash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/tlv.h"

#define HEX_SIZE 19 /* "0x" and 16 digits */
#define YEAR_10000 253402300800ull /* seconds */

/* Fields in a saved VM. Numbers are never used again. */
enum {
	CRASH_COUNT = 1,
	CRASH_LAST = 2,	   /* list: CRASH_PARAMS parameters */
	CRASH_WHEN_S = 3,  /* since 1970 */
	CRASH_WHEN_NS = 4, /* and so much */
	CRASH_BOOT = 5,
};

void crash_init(struct crash_log *c)
{
	memset(c, 0, sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
}

void crash_fini(struct crash_log *c)
{
	pthread_mutex_destroy(&c->lock);
}

void crash_report(struct crash_log *c, const char *who, u32 boot, const u64 *params)
{
	const unsigned long long *p = (const unsigned long long *)params;

	pthread_mutex_lock(&c->lock);
	c->count++;
	memcpy(c->params, params, sizeof(c->params));
	clock_gettime(CLOCK_REALTIME, &c->when);
	c->boot = boot;
	pthread_mutex_unlock(&c->lock);
	kvmb_warn_ratelimited(who,
			      "the guest crashed in boot %u: 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx",
			      boot, p[0], p[1], p[2], p[3], p[4]);
}

static json_t *hex(u64 v)
{
	char s[HEX_SIZE];

	snprintf(s, sizeof(s), "0x%llx", (unsigned long long)v);
	return json_string(s);
}

json_t *crash_json(struct crash_log *c)
{
	json_t *params = json_array(), *o = NULL;
	char when[32];
	struct tm tm;
	u32 i;

	pthread_mutex_lock(&c->lock);
	for (i = 0; i < CRASH_PARAMS; i++)
		json_array_append_new(params, hex(c->params[i]));
	gmtime_r(&c->when.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (c->count)
		o = json_pack("{s:O, s:s, s:i, s:i}", "parameters", params, "time", when, "boot",
			      c->boot, "count", c->count);
	pthread_mutex_unlock(&c->lock);
	json_decref(params);
	return o ? o : json_null();
}

void crash_save(struct crash_log *c, struct kvmb_tlv_out *o)
{
	pthread_mutex_lock(&c->lock);
	kvmb_tlv_put(o, CRASH_COUNT, c->count);
	kvmb_tlv_put_list(o, CRASH_LAST, c->params, CRASH_PARAMS);
	kvmb_tlv_put(o, CRASH_WHEN_S, (u64)c->when.tv_sec);
	kvmb_tlv_put(o, CRASH_WHEN_NS, (u64)c->when.tv_nsec);
	kvmb_tlv_put(o, CRASH_BOOT, c->boot);
	pthread_mutex_unlock(&c->lock);
}

int crash_load(struct crash_log *c, struct kvmb_tlv *group)
{
	u32 count = (u32)kvmb_tlv_get(group, CRASH_COUNT, UINT32_MAX);
	u32 boot = (u32)kvmb_tlv_get(group, CRASH_BOOT, INT32_MAX);
	struct timespec when = {
		.tv_sec = (time_t)kvmb_tlv_get(group, CRASH_WHEN_S, YEAR_10000),
		.tv_nsec = (long)kvmb_tlv_get(group, CRASH_WHEN_NS, 999999999),
	};
	size_t num;
	u64 *params = kvmb_tlv_get_list(group, CRASH_LAST, CRASH_PARAMS, &num);
	int err;

	if (num != CRASH_PARAMS)
		kvmb_tlv_refuse(group, CRASH_LAST, "these are not five parameters");
	err = kvmb_tlv_done(group);
	if (!err) {
		pthread_mutex_lock(&c->lock);
		c->count = count;
		c->boot = boot;
		c->when = when;
		memcpy(c->params, params, sizeof(c->params));
		pthread_mutex_unlock(&c->lock);
	}
	free(params);
	return err;
}
