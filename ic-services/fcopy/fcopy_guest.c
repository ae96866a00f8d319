// SPDX-License-Identifier: GPL-2.0-only
/*
 * File copy, guest half: the host's requests go to the daemon behind /dev/vmbus/hv_fcopy, which
 * writes the file, and its status back. vmbus-core/icdaemon.h checks the requests.
 */
#include "ic-services/ic_chardev.h"
#include "ic-services/ic_guest.h"
#include "vmbus-core/icdaemon.h"

static const u32 versions[] = { KVMB_IC_VERSION(1, 1) };

struct fcopy {
	union kvmb_fcopyd question;
};

static int hello(void *arg, const void *msg, u32 len, void *say, u32 *say_len)
{
	u32 version;

	if (len != sizeof(version))
		return -EINVAL;
	memcpy(&version, msg, sizeof(version));
	if (version > KVMB_FCOPYD_VERSION_1)
		return -EINVAL;
	if (version == KVMB_FCOPYD_VERSION_1) {
		memcpy(say, &version, sizeof(version));
		*say_len = sizeof(version);
	}
	return 0;
}

static const struct kvmb_ic_chardev_ops fcopy_dev = {
	.name = "vmbus/hv_fcopy",
	.max = sizeof(union kvmb_fcopyd),
	.hello = hello,
};

static s64 request(struct kvmb_ic *ic, u8 *p, u32 size)
{
	struct fcopy *f = ic->priv;
	int n = kvmb_fcopyd_request(p, size, &f->question);
	u32 status;

	if (n == -EPROTO)
		return n;
	if (n < 0)
		return KVMB_IC_STATUS_FAIL;
	n = kvmb_ic_chardev_ask(ic->daemon, &f->question, n, &status, sizeof(status),
				KVMB_IC_DAEMON_S);
	return n == sizeof(status) ? status : KVMB_IC_STATUS_FAIL;
}

const struct kvmb_ic_service kvmb_fcopy_service = {
	.name = "file copy",
	.type = KVMB_FCOPY_TYPE_GUID,
	.msg_type = KVMB_IC_FCOPY,
	.versions = versions,
	.num_versions = ARRAY_SIZE(versions),
	.state = sizeof(struct fcopy),
	.daemon = &fcopy_dev,
	.awaits = true,
	.request = request,
};
