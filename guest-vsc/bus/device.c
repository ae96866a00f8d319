// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bus type "kvmbus": devices, drivers, sysfs.
 *
 * Names and attributes are those of /sys/bus/vmbus, so that scripts find them: id, state, class_id,
 * device_id, channels/<number>/{cpu,...}. The module alias is "kvmbus:<type GUID>" and never
 * "vmbus:", so that our devices do not load the in-tree drivers.
 */
#include <linux/cpu.h>
#include <linux/module.h>
#include <linux/pm.h>
#include <linux/slab.h>

#include "guest-vsc/bus/bus_priv.h"
#include "guest-vsc/compat/compat.h"

static int bus_match(struct device *d, KVMB_MATCH_DRIVER *driver)
{
	return kvmb_match(to_kvmb_device(d),
			  container_of((struct device_driver *)driver, struct kvmb_driver, driver));
}

static int bus_uevent(KVMB_UEVENT_DEVICE *d, struct kobj_uevent_env *env)
{
	const struct kvmb_device *dev = container_of(d, struct kvmb_device, dev);

	return add_uevent_var(env, "MODALIAS=kvmbus:%*phN", 16, dev->chan->type.b);
}

static int bus_probe(struct device *d)
{
	struct kvmb_driver *drv = container_of(d->driver, struct kvmb_driver, driver);

	return drv->probe(to_kvmb_device(d));
}

static KVMB_BUS_REMOVE_T bus_remove(struct device *d)
{
	struct kvmb_driver *drv = container_of(d->driver, struct kvmb_driver, driver);

	drv->remove(to_kvmb_device(d));
	KVMB_BUS_REMOVE_RETURN;
}

static void bus_shutdown(struct device *d)
{
	struct kvmb_driver *drv;

	if (!d->driver)
		return;
	drv = container_of(d->driver, struct kvmb_driver, driver);
	if (drv->shutdown)
		drv->shutdown(to_kvmb_device(d));
}

/* ---- attributes of a device ---- */

#define SHOW(name, fmt, ...)                                                                   \
	static ssize_t name##_show(struct device *d, struct device_attribute *attr, char *buf) \
	{                                                                                      \
		struct kvmb_chan *ch = to_kvmb_device(d)->chan;                                \
											       \
		return sysfs_emit(buf, fmt "\n", __VA_ARGS__);                                 \
	}                                                                                      \
	static DEVICE_ATTR_RO(name)

SHOW(id, "%u", ch->relid);
SHOW(state, "%u", ch->state == KVMB_CHAN_OPEN ? 3 : ch->state); /* vmbus_channel_state: 3 is open */
SHOW(state_name, "%s", kvmb_chan_state_name(ch));
SHOW(class_id, "{%pUl}", ch->type.b);
SHOW(device_id, "{%pUl}", ch->instance.b);
SHOW(modalias, "kvmbus:%*phN", 16, ch->type.b);

static ssize_t channel_vp_mapping_show(struct device *d, struct device_attribute *attr, char *buf)
{
	struct kvmb_chan *ch = to_kvmb_device(d)->chan, *sub;
	int n;

	mutex_lock(&kvmb.lock);
	n = sysfs_emit(buf, "%u:%u\n", ch->relid, ch->cpu);
	list_for_each_entry(sub, &ch->subs, sub_entry)
		n += sysfs_emit_at(buf, n, "%u:%u\n", sub->relid, sub->cpu);
	mutex_unlock(&kvmb.lock);
	return n;
}
static DEVICE_ATTR_RO(channel_vp_mapping);

static struct attribute *device_attrs[] = {
	&dev_attr_id.attr,	 &dev_attr_state.attr,	  &dev_attr_state_name.attr,
	&dev_attr_class_id.attr, &dev_attr_device_id.attr, &dev_attr_modalias.attr,
	&dev_attr_channel_vp_mapping.attr, NULL,
};
static const struct attribute_group device_group = { .attrs = device_attrs };
static const struct attribute_group *device_groups[] = { &device_group, &kvmb_override_group,
							 NULL };

/* ---- sleep ---- */

static int device_suspend(struct device *d)
{
	struct kvmb_driver *drv = d->driver ? container_of(d->driver, struct kvmb_driver, driver) :
					      NULL;

	return drv && drv->suspend ? drv->suspend(to_kvmb_device(d)) : 0;
}

static int device_resume(struct device *d)
{
	struct kvmb_driver *drv = d->driver ? container_of(d->driver, struct kvmb_driver, driver) :
					      NULL;

	if (kvmb_chan_gone(to_kvmb_device(d)->chan))
		return 0; /* not there any more: it is removed when tasks run again */
	return drv && drv->resume ? drv->resume(to_kvmb_device(d)) : 0;
}

/*
 * Hibernation only. While the system idles in suspend, VMBus stays connected: heartbeats go on,
 * and a request to shut down, a key or a frame must be able to wake it. In-tree has it the same
 * way.
 */
static const struct dev_pm_ops device_pm = {
	.freeze = device_suspend,
	.thaw = device_resume,
	.poweroff = device_suspend,
	.restore = device_resume,
};

/* The devices' parent goes to sleep after all of them, and wakes before. */
static int bus_suspend(struct device *d)
{
	return kvmb_bus_sleep();
}

static int bus_resume(struct device *d)
{
	return kvmb_bus_wake();
}

static const struct dev_pm_ops bus_pm = {
	.freeze_noirq = bus_suspend,
	.thaw_noirq = bus_resume,
	.poweroff_noirq = bus_suspend,
	.restore_noirq = bus_resume,
};

static void bus_device_release(struct device *d)
{
	kfree(d);
}

static const struct device_type bus_device_type = { .name = "kvmbus",
						    .pm = &bus_pm,
						    .release = bus_device_release };
static struct device *bus_device; /* /sys/devices/kvmbus */

static int add_bus_device(void)
{
	int err;

	bus_device = kzalloc(sizeof(*bus_device), GFP_KERNEL);
	if (!bus_device)
		return -ENOMEM;
	device_initialize(bus_device);
	bus_device->type = &bus_device_type;
	err = dev_set_name(bus_device, "kvmbus");
	if (!err)
		err = device_add(bus_device);
	if (err)
		put_device(bus_device);
	return err;
}

static struct bus_type kvmbus_type = {
	.name = "kvmbus",
	.match = bus_match,
	.uevent = bus_uevent,
	.probe = bus_probe,
	.remove = bus_remove,
	.shutdown = bus_shutdown,
	.pm = &device_pm,
	.dev_groups = device_groups,
	.drv_groups = kvmb_driver_groups,
};

static ssize_t protocol_version_show(KVMB_BUS_ATTR_BUS *bus, char *buf)
{
	return sysfs_emit(buf, "%u.%u\n", kvmb.version >> 16, kvmb.version & 0xffff);
}
static BUS_ATTR_RO(protocol_version);

/* ---- channels/<number> ---- */

struct chan_kobj {
	struct kobject kobj;
	struct kvmb_chan *ch; /* a reference */
};

struct chan_attr {
	struct attribute attr;
	ssize_t (*show)(struct kvmb_chan *ch, char *buf);
	ssize_t (*store)(struct kvmb_chan *ch, const char *buf, size_t len);
};

static ssize_t chan_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	struct chan_attr *a = container_of(attr, struct chan_attr, attr);

	return a->show ? a->show(container_of(kobj, struct chan_kobj, kobj)->ch, buf) : -EIO;
}

static ssize_t chan_store(struct kobject *kobj, struct attribute *attr, const char *buf, size_t len)
{
	struct chan_attr *a = container_of(attr, struct chan_attr, attr);

	return a->store ? a->store(container_of(kobj, struct chan_kobj, kobj)->ch, buf, len) : -EIO;
}

static void chan_kobj_release(struct kobject *kobj)
{
	struct chan_kobj *k = container_of(kobj, struct chan_kobj, kobj);

	kvmb_chan_put(k->ch);
	kfree(k);
}

static ssize_t cpu_show(struct kvmb_chan *ch, char *buf)
{
	return sysfs_emit(buf, "%u\n", ch->cpu);
}

static ssize_t cpu_store(struct kvmb_chan *ch, const char *buf, size_t len)
{
	unsigned int cpu;
	int err = kstrtouint(buf, 0, &cpu);

	if (err)
		return err;
	if (cpu >= nr_cpu_ids || !cpu_possible(cpu))
		return -EINVAL;
	cpus_read_lock(); /* it stays online until the channel is there */
	mutex_lock(&kvmb.cpu_lock);
	err = cpu_online(cpu) ? kvmb_chan_set_cpu(ch, cpu) : -EINVAL;
	if (!err)
		ch->home_cpu = cpu;
	mutex_unlock(&kvmb.cpu_lock);
	cpus_read_unlock();
	return err ? err : len;
}

static ssize_t interrupts_show(struct kvmb_chan *ch, char *buf)
{
	return sysfs_emit(buf, "%llu\n", ch->interrupts);
}

static ssize_t events_show(struct kvmb_chan *ch, char *buf)
{
	return sysfs_emit(buf, "%llu\n", ch->signals);
}

static ssize_t subchannel_id_show(struct kvmb_chan *ch, char *buf)
{
	return sysfs_emit(buf, "%u\n", ch->index);
}

static struct chan_attr attr_cpu = { { "cpu", 0644 }, cpu_show, cpu_store };
static struct chan_attr attr_interrupts = { { "interrupts", 0444 }, interrupts_show, NULL };
static struct chan_attr attr_events = { { "events", 0444 }, events_show, NULL };
static struct chan_attr attr_subchannel_id = { { "subchannel_id", 0444 },
					       subchannel_id_show,
					       NULL };
static struct attribute *chan_attrs[] = { &attr_cpu.attr, &attr_interrupts.attr, &attr_events.attr,
					  &attr_subchannel_id.attr, NULL };
ATTRIBUTE_GROUPS(chan);

static const struct sysfs_ops chan_sysfs_ops = { .show = chan_show, .store = chan_store };
static struct kobj_type chan_ktype = {
	.release = chan_kobj_release,
	.sysfs_ops = &chan_sysfs_ops,
	.default_groups = chan_groups,
};

int kvmb_sysfs_add_chan(struct kvmb_chan *ch)
{
	struct kobject *parent = ch->dev ? ch->dev->chans_kobj : NULL;
	struct chan_kobj *k;
	int err;

	if (!parent)
		return -ENODEV;
	k = kzalloc(sizeof(*k), GFP_KERNEL);
	if (!k)
		return -ENOMEM;
	kref_get(&ch->ref);
	k->ch = ch;
	err = kobject_init_and_add(&k->kobj, &chan_ktype, parent, "%u", ch->relid);
	if (err) {
		kobject_put(&k->kobj);
		return err;
	}
	ch->kobj = &k->kobj;
	return 0;
}

void kvmb_sysfs_del_chan(struct kvmb_chan *ch)
{
	struct kobject *kobj = ch->kobj;

	if (!kobj)
		return;
	ch->kobj = NULL;
	kobject_del(kobj);
	kobject_put(kobj);
}

/* ---- devices ---- */

static void device_release(struct device *d)
{
	struct kvmb_device *dev = to_kvmb_device(d);

	kvmb_chan_put(dev->chan);
	kfree(dev->override);
	kfree(dev);
}

/*
 * The device is in sysfs, and nobody was told yet: who is told (udev) finds "channels" there, and
 * so does the driver.
 */
static int on_device_added(struct notifier_block *nb, unsigned long action, void *data)
{
	struct kvmb_device *dev = to_kvmb_device((struct device *)data);

	if (action == BUS_NOTIFY_ADD_DEVICE) {
		dev->chans_kobj = kobject_create_and_add("channels", &dev->dev.kobj);
		kvmb_sysfs_add_chan(dev->chan);
	}
	return NOTIFY_OK;
}
static struct notifier_block device_added = { .notifier_call = on_device_added };

int kvmb_device_add(struct kvmb_chan *ch)
{
	struct kvmb_device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	int err;

	if (!dev)
		return -ENOMEM;
	kref_get(&ch->ref);
	dev->chan = ch;
	spin_lock_init(&dev->override_lock);
	dev->dev.bus = &kvmbus_type;
	dev->dev.parent = bus_device;
	dev->dev.release = device_release;
	dev_set_name(&dev->dev, "%pUl", ch->instance.b);
	/* only the device's own memory is shared with the host, page lists are made by hand */
	dev->dev.dma_mask = &dev->dev.coherent_dma_mask;
	dev->dev.coherent_dma_mask = DMA_BIT_MASK(64);
	device_initialize(&dev->dev);
	ch->dev = dev;
	err = device_add(&dev->dev); /* probes, if a driver is there */
	if (err) {
		pr_err("kvmbus: no device for channel %u: %d\n", ch->relid, err);
		ch->dev = NULL;
		put_device(&dev->dev);
		return err;
	}
	return 0;
}

void kvmb_device_del(struct kvmb_device *dev)
{
	struct kvmb_chan *ch = dev->chan, *sub;

	device_del(&dev->dev); /* calls remove() of its driver */
	mutex_lock(&kvmb.lock);
	list_for_each_entry(sub, &ch->subs, sub_entry)
		sub->dev = NULL;
	mutex_unlock(&kvmb.lock);
	kvmb_sysfs_del_chan(ch);
	kobject_put(dev->chans_kobj);
	ch->dev = NULL;
	put_device(&dev->dev);
}

/* ---- drivers ---- */

int kvmb_driver_register(struct kvmb_driver *drv, struct module *owner)
{
	drv->driver.name = drv->name;
	drv->driver.owner = owner;
	drv->driver.bus = &kvmbus_type;
	kvmb_match_init(drv);
	return driver_register(&drv->driver);
}
EXPORT_SYMBOL_GPL(kvmb_driver_register);

void kvmb_driver_unregister(struct kvmb_driver *drv)
{
	driver_unregister(&drv->driver);
	kvmb_match_fini(drv);
}
EXPORT_SYMBOL_GPL(kvmb_driver_unregister);

int kvmb_bus_type_register(void)
{
	int err = bus_register(&kvmbus_type);

	if (err)
		return err;
	err = bus_register_notifier(&kvmbus_type, &device_added);
	if (err)
		goto err_type;
	err = bus_create_file(&kvmbus_type, &bus_attr_protocol_version);
	if (err)
		goto err_notifier;
	err = add_bus_device();
	if (err)
		goto err_file;
	return 0;
err_file:
	bus_remove_file(&kvmbus_type, &bus_attr_protocol_version);
err_notifier:
	bus_unregister_notifier(&kvmbus_type, &device_added);
err_type:
	bus_unregister(&kvmbus_type);
	return err;
}

void kvmb_bus_type_unregister(void)
{
	device_unregister(bus_device);
	bus_remove_file(&kvmbus_type, &bus_attr_protocol_version);
	bus_unregister_notifier(&kvmbus_type, &device_added);
	bus_unregister(&kvmbus_type);
}
