// SPDX-License-Identifier: GPL-2.0-only
/* One question with a time limit: ic_ask.h. */
#include "ic-services/ic_ask.h"

#include "lib/util.h"

#define RETRY_MS 200u /* when a ring has no room, or the bus stands */

static void end_ask(struct kvmb_ic_ask *a, int err, const struct kvmb_icmsg *msg)
{
	kvmb_ic_ask_fn done = a->done;

	kvmb_ic_ask_drop(a);
	done(a, err, msg);
}

static u64 left_ms(const struct kvmb_ic_ask *a)
{
	u64 now = kvmb_now_ms();

	return a->until_ms > now ? a->until_ms - now : 0;
}

/* Send it, or find out that it has taken too long. */
static void go_on_asking(void *arg)
{
	struct kvmb_ic_ask *a = arg;
	u64 left = left_ms(a);
	int err = -EAGAIN;

	if (!left) {
		end_ask(a, -ETIMEDOUT, NULL);
		return;
	}
	if (!a->sent)
		err = kvmb_ic_request(a->ic, a->payload, a->len, false);
	if (!err) {
		a->sent = true;
		a->transaction = a->ic->transaction;
		free(a->payload);
		a->payload = NULL;
	} else if (!a->sent && err != -EAGAIN) {
		end_ask(a, -ENOTCONN, NULL);
		return;
	}
	kvmb_timer_set(&a->timer, a->sent ? left : KVMB_MIN(left, (u64)RETRY_MS));
}

void kvmb_ic_ask_init(struct kvmb_ic_ask *a, struct kvmb_ic *ic, struct kvmb_loop *loop)
{
	*a = (struct kvmb_ic_ask){ .ic = ic };
	kvmb_timer_init(&a->timer, loop, go_on_asking, a);
}

int kvmb_ic_ask(struct kvmb_ic_ask *a, const void *payload, u32 len, u32 ms, kvmb_ic_ask_fn done)
{
	if (a->done)
		return -EBUSY;
	if (a->ic->state != KVMB_IC_READY)
		return -ENOTCONN;
	a->payload = kvmb_xzalloc(len);
	memcpy(a->payload, payload, len);
	a->len = len;
	a->until_ms = kvmb_now_ms() + ms;
	a->sent = false;
	a->done = done;
	/*
	 * not at once: who asks may be in the middle of something that done() would change. The
	 * first try is made here, and only its failure is told later.
	 */
	if (kvmb_ic_request(a->ic, a->payload, a->len, false)) {
		kvmb_timer_set(&a->timer, 1);
		return 0;
	}
	a->sent = true;
	a->transaction = a->ic->transaction;
	free(a->payload);
	a->payload = NULL;
	kvmb_timer_set(&a->timer, ms);
	return 0;
}

void kvmb_ic_ask_replied(struct kvmb_ic_ask *a, const struct kvmb_icmsg *msg)
{
	if (a->done && a->sent && msg->transaction == a->transaction)
		end_ask(a, 0, msg);
	else
		a->stray++;
}

void kvmb_ic_ask_stopped(struct kvmb_ic_ask *a)
{
	if (a->done)
		end_ask(a, -ENOTCONN, NULL);
}

void kvmb_ic_ask_resumed(struct kvmb_ic_ask *a)
{
	if (a->done && !a->sent)
		go_on_asking(a);
}

void kvmb_ic_ask_drop(struct kvmb_ic_ask *a)
{
	kvmb_timer_cancel(&a->timer);
	free(a->payload);
	a->payload = NULL;
	a->sent = false;
	a->done = NULL;
}

const char *kvmb_ic_status_text(u32 status)
{
	static const struct {
		u32 status;
		const char *text;
	} texts[] = {
		{ KVMB_IC_STATUS_FAIL, "it failed, or the guest's daemon does not run" },
		{ 0x80070003, "no such path" },
		{ 0x80070005, "access denied" },
		{ 0x80070032, "the guest does not support it" },
		{ 0x80070050, "it exists already" },
		{ 0x80070057, "an argument is invalid" },
		{ 0x80070070, "the disk is full" },
		{ 0x80070103, "no such item" },
		{ 0x8007048f, "a device is not connected" },
		{ 0x800704f7, "the guest is locked" },
		{ 0x80041002, "the guest has no such adapter" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		if (texts[i].status == status)
			return texts[i].text;
	}
	return NULL;
}
