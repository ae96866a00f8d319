// SPDX-License-Identifier: GPL-2.0-only
/*
 * VSS, guest half: the host asks whether it may, and then to freeze and to thaw; hv_vss_daemon
 * behind /dev/vmbus/hv_vss does it.
 *
 * A freeze may take as long as there is to write; the host gives up earlier, and sends a THAW,
 * which waits in the ring until the daemon has answered. A daemon that goes away leaves what it has
 * frozen: the host hears a failure, and asks again until one is there that thaws.
 */
#include "ic-services/ic_chardev.h"
#include "ic-services/ic_guest.h"
#include "vmbus-core/proto/vss.h"

#define FREEZE_S (15 * 60) /* as the in-tree driver: Linux 6.12 VSS_FREEZE_TIMEOUT */

static const u32 versions[] = { KVMB_IC_VERSION(5, 0) };

static int hello(void *arg, const void *msg, u32 len, void *say, u32 *say_len)
{
	const struct kvmb_wire_vss *m = msg;
	__le32 ours = cpu_to_le32(KVMB_VSS_REGISTER1);

	if (len != sizeof(*m))
		return -EINVAL;
	if (m->operation == KVMB_VSS_REGISTER) /* an old daemon, which expects nothing */
		return 0;
	if (m->operation != KVMB_VSS_REGISTER1)
		return -EINVAL;
	memcpy(say, &ours, sizeof(ours));
	*say_len = sizeof(ours);
	return 0;
}

static const struct kvmb_ic_chardev_ops vss_dev = {
	.name = "vmbus/hv_vss",
	.max = sizeof(struct kvmb_wire_vss),
	.hello = hello,
};

/* Return: KVMB_IC_STATUS_*, in the daemon's words or ours. */
static u32 ask_daemon(struct kvmb_ic *ic, u8 operation)
{
	struct kvmb_wire_vss question = { .operation = operation }, answer;
	unsigned int seconds = operation == KVMB_VSS_FREEZE ? FREEZE_S : KVMB_IC_DAEMON_S;
	__le32 status;

	if (kvmb_ic_chardev_ask(ic->daemon, &question, sizeof(question), &answer, sizeof(answer),
				seconds) != sizeof(answer))
		return KVMB_IC_STATUS_FAIL;
	memcpy(&status, &answer, sizeof(status));
	return le32_to_cpu(status);
}

static s64 request(struct kvmb_ic *ic, u8 *p, u32 size)
{
	struct kvmb_wire_vss m;
	u32 status = KVMB_IC_STATUS_OK;

	if (size < sizeof(m))
		return -EPROTO;
	memcpy(&m, p, sizeof(m));
	switch (m.operation) {
	case KVMB_VSS_HOT_BACKUP:
	case KVMB_VSS_FREEZE:
	case KVMB_VSS_THAW:
		status = ask_daemon(ic, m.operation);
		break;
	case KVMB_VSS_GET_DM_INFO:
		m.flags = 0;
		break;
	}
	if (m.operation == KVMB_VSS_HOT_BACKUP && status == KVMB_IC_STATUS_OK)
		m.flags = cpu_to_le32(KVMB_VSS_NO_AUTO_RECOVERY);
	memcpy(p, &m, sizeof(m));
	return status;
}

const struct kvmb_ic_service kvmb_vss_service = {
	.name = "backup",
	.type = KVMB_VSS_TYPE_GUID,
	.msg_type = KVMB_IC_VSS,
	.versions = versions,
	.num_versions = ARRAY_SIZE(versions),
	.daemon = &vss_dev,
	.request = request,
};
