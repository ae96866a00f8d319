// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data exchange, guest half: the host's questions go to the daemon behind /dev/vmbus/hv_kvp, and
 * its answers back. vmbus-core/icdaemon.h checks both. What one of them may take long for, the host
 * hears as a failure.
 */
#include "ic-services/ic_chardev.h"
#include "ic-services/ic_guest.h"
#include "vmbus-core/icdaemon.h"

static const u32 versions[] = { KVMB_IC_VERSION(4, 0), KVMB_IC_VERSION(3, 0),
				KVMB_IC_VERSION(1, 0) };

struct kvp {
	bool legacy; /* set before it is registered; read by who asks, after that */
	struct kvmb_kvpd question, answer;
};

/* What the daemon reports to hosts as version of the guest's services; it means nothing else. */
static const char services_version[] = "3.1";

static int hello(void *arg, const void *msg, u32 len, void *say, u32 *say_len)
{
	const struct kvmb_kvpd *m = msg;
	struct kvmb_kvpd *out = say;
	struct kvp *k = arg;

	if (len < sizeof(*m) ||
	    (m->operation != KVMB_KVPD_REGISTER && m->operation != KVMB_KVPD_REGISTER1))
		return -EINVAL;
	WRITE_ONCE(k->legacy, m->operation == KVMB_KVPD_REGISTER);
	memset(out, 0, sizeof(*out));
	out->operation = m->operation;
	memcpy(out->version, services_version, sizeof(services_version));
	*say_len = sizeof(*out);
	return 0;
}

static const struct kvmb_ic_chardev_ops kvp_dev = {
	.name = "vmbus/hv_kvp",
	.max = sizeof(struct kvmb_kvpd),
	.hello = hello,
};

static s64 request(struct kvmb_ic *ic, u8 *p, u32 size)
{
	struct kvp *k = ic->priv;
	int n = kvmb_kvpd_request(p, size, &k->question);

	if (n == -EPROTO)
		return n;
	if (!n)
		n = kvmb_ic_chardev_ask(ic->daemon, &k->question, sizeof(k->question), &k->answer,
					sizeof(k->answer), KVMB_IC_DAEMON_S);
	if (n < (int)sizeof(k->answer))
		return KVMB_IC_STATUS_FAIL;
	return kvmb_kvpd_reply(&k->answer, READ_ONCE(k->legacy), p, size);
}

const struct kvmb_ic_service kvmb_kvp_service = {
	.name = "data exchange",
	.type = KVMB_KVP_TYPE_GUID,
	.msg_type = KVMB_IC_KVP,
	.versions = versions,
	.num_versions = ARRAY_SIZE(versions),
	.state = sizeof(struct kvp),
	.daemon = &kvp_dev,
	.awaits = true,
	.request = request,
};
