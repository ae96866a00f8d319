// SPDX-License-Identifier: GPL-2.0-only
/* kvmb_utils: the guest's integration services. Theory of operation: ic_guest.h. */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "ic-services/ic_chardev.h"
#include "ic-services/ic_guest.h"
#include "vmbus-core/proto/fcopy.h"
#include "vmbus-core/proto/kvp.h"
#include "vmbus-core/proto/vss.h"

#define RING_PAGES 5 /* control page and 16 KiB */
#define BUDGET 64u   /* requests of one turn of the work */

static const u32 frameworks[] = { KVMB_IC_FW_3, KVMB_IC_FW_1 };

static const struct kvmb_ic_service *const services[] = {
	&kvmb_fcopy_service,	&kvmb_heartbeat_service, &kvmb_kvp_service,
	&kvmb_shutdown_service, &kvmb_timesync_service,	 &kvmb_vss_service,
};

static void negotiate(struct kvmb_ic *ic, struct kvmb_icmsg *msg, u8 *payload)
{
	u32 fw = 0, ver = 0;

	if (!kvmb_icmsg_choose(msg, frameworks, ARRAY_SIZE(frameworks), ic->svc->versions,
			       ic->svc->num_versions, &fw, &ver)) {
		ic->framework = fw;
		ic->version = ver;
		pr_info_ratelimited("kvmbus: %s version %u.%u\n", ic->svc->name, ver >> 16,
				    ver & 0xffff);
	}
	kvmb_icmsg_reply_negotiate(payload, fw, ver);
}

/* Return: true when @payload now holds an answer */
static bool handle(struct kvmb_ic *ic, u8 *payload, u32 len)
{
	struct kvmb_icmsg msg;
	s64 status;

	if (kvmb_icmsg_parse(payload, len, &msg))
		goto malformed;
	if (msg.type == KVMB_IC_NEGOTIATE) {
		if (msg.size < 16)
			goto malformed;
		if (ic->svc->awaits)
			kvmb_ic_chardev_await(ic->daemon, KVMB_IC_REGISTER_S);
		negotiate(ic, &msg, payload);
		return true;
	}
	if (msg.type != ic->svc->msg_type) {
		kvmb_icmsg_reply(payload, KVMB_IC_STATUS_FAIL);
		return true;
	}
	/* all that the packet holds: some hosts count their payload without its end */
	status = ic->svc->request(ic, payload + sizeof(struct kvmb_wire_icmsg),
				  len - sizeof(struct kvmb_wire_icmsg));
	if (status < 0)
		goto malformed;
	kvmb_icmsg_reply(payload, (u32)status);
	return true;
malformed:
	ic->malformed++;
	pr_warn_ratelimited("kvmbus: a request for %s is malformed\n", ic->svc->name);
	return false;
}

static void ic_work(struct work_struct *work)
{
	struct kvmb_ic *ic = container_of(work, struct kvmb_ic, work);
	struct kvmb_pkt pkt;
	u32 off, n = 0;

	while (!kvmb_recv(ic->ch, ic->buf, sizeof(ic->buf), &pkt)) {
		/* a host that never stops asking does not keep who waits for this work to end */
		if (++n > BUDGET) {
			schedule_work(work);
			return;
		}
		if (pkt.type != KVMB_PKT_INBAND)
			continue;
		off = pkt.payload - ic->buf;
		if (!handle(ic, ic->buf + off, pkt.payload_len))
			continue;
		if (kvmb_send(ic->ch, KVMB_PKT_INBAND, 0, pkt.trans_id, NULL, 0, ic->buf + off,
			      pkt.payload_len))
			pr_warn_ratelimited("kvmbus: an answer of %s is lost\n", ic->svc->name);
		else if (ic->svc->answered)
			ic->svc->answered(ic);
	}
}

static void ic_callback(void *ctx)
{
	struct kvmb_ic *ic = ctx;

	schedule_work(&ic->work);
}

/* Undoes what has succeeded of begin(); nothing asks any more. */
static void end(struct kvmb_ic *ic)
{
	if (ic->daemon)
		kvmb_ic_chardev_destroy(ic->daemon);
	if (ic->svc->stop)
		ic->svc->stop(ic);
	if (ic->svc->state)
		kfree(ic->priv);
}

static int begin(struct kvmb_ic *ic)
{
	const struct kvmb_ic_service *svc = ic->svc;
	int err = 0;

	if (svc->state) {
		ic->priv = kzalloc(svc->state, GFP_KERNEL);
		if (!ic->priv)
			return -ENOMEM;
	}
	if (svc->start)
		err = svc->start(ic);
	if (err) {
		if (svc->state)
			kfree(ic->priv);
		return err;
	}
	if (!svc->daemon)
		return 0;
	ic->daemon = kvmb_ic_chardev_create(svc->daemon, ic->priv);
	if (!IS_ERR(ic->daemon))
		return 0;
	err = PTR_ERR(ic->daemon);
	ic->daemon = NULL;
	end(ic);
	return err;
}

static int ic_probe(struct kvmb_device *dev)
{
	struct kvmb_ic *ic;
	unsigned int i;
	int err;

	ic = kzalloc(sizeof(*ic), GFP_KERNEL);
	if (!ic)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(services); i++) {
		if (kvmb_guid_equal(&services[i]->type, &dev->chan->type))
			ic->svc = services[i];
	}
	if (!ic->svc) { /* new_id, driver_override: the user's mistake */
		kfree(ic);
		return -ENODEV;
	}
	ic->ch = dev->chan;
	INIT_WORK(&ic->work, ic_work);
	dev_set_drvdata(&dev->dev, ic);
	err = begin(ic);
	if (err)
		goto err_free;
	err = kvmb_chan_open(ic->ch, RING_PAGES, NULL, 0, ic_callback, ic);
	if (err)
		goto err_end;
	return 0;
err_end:
	end(ic);
err_free:
	kfree(ic);
	return err;
}

/* Nothing comes any more, and nothing is done. */
static void quiet(struct kvmb_ic *ic)
{
	kvmb_chan_stop(ic->ch);
	if (ic->daemon)
		kvmb_ic_chardev_interrupt(ic->daemon, true);
	cancel_work_sync(&ic->work);
}

static void ic_remove(struct kvmb_device *dev)
{
	struct kvmb_ic *ic = dev_get_drvdata(&dev->dev);

	quiet(ic);
	end(ic);
	kvmb_chan_close(ic->ch);
	kfree(ic);
}

static int ic_suspend(struct kvmb_device *dev)
{
	struct kvmb_ic *ic = dev_get_drvdata(&dev->dev);

	quiet(ic);
	kvmb_chan_close(ic->ch);
	return 0;
}

static int ic_resume(struct kvmb_device *dev)
{
	struct kvmb_ic *ic = dev_get_drvdata(&dev->dev);

	if (ic->daemon)
		kvmb_ic_chardev_interrupt(ic->daemon, false);
	return kvmb_chan_open(ic->ch, RING_PAGES, NULL, 0, ic_callback, ic);
}

static const struct kvmb_guid ic_types[] = {
	KVMB_FCOPY_TYPE_GUID,	 KVMB_HEARTBEAT_TYPE_GUID, KVMB_KVP_TYPE_GUID,
	KVMB_SHUTDOWN_TYPE_GUID, KVMB_TIMESYNC_TYPE_GUID,  KVMB_VSS_TYPE_GUID,
};

static struct kvmb_driver ic_driver = {
	.name = "kvmb_utils",
	.types = ic_types,
	.num_types = ARRAY_SIZE(ic_types),
	.probe = ic_probe,
	.remove = ic_remove,
	.suspend = ic_suspend,
	.resume = ic_resume,
};

static int __init ic_init(void)
{
	return kvmb_driver_register(&ic_driver, THIS_MODULE);
}

static void __exit ic_exit(void)
{
	kvmb_driver_unregister(&ic_driver);
}

module_init(ic_init);
module_exit(ic_exit);
/* the type GUIDs of proto/ic.h in wire order */
MODULE_ALIAS("kvmbus:394f16571591784eab55382f3bd5422d"); /* heartbeat */
MODULE_ALIAS("kvmbus:e7f4a0a9455a964db8278a841e8c03e6"); /* data exchange */
MODULE_ALIAS("kvmbus:e34bd134e4dec8419ae76b174977c192"); /* file copy */
MODULE_ALIAS("kvmbus:31600b0e13523449818b38d90ced39db"); /* shutdown */
MODULE_ALIAS("kvmbus:30e62795aed07b49adcee80ab0175caf"); /* time sync */
MODULE_ALIAS("kvmbus:292efa3523ea364296ae3a6ebacba440"); /* backup */
MODULE_DESCRIPTION("kvmbus: integration services of a guest");
MODULE_LICENSE("GPL");
