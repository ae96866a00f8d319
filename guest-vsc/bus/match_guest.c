// SPDX-License-Identifier: GPL-2.0-only
/*
 * Matching devices and drivers.
 *
 * A driver has a table of types. The user may add types to it (new_id) and take his own back
 * (remove_id), and may reserve a device for one driver (driver_override). Names, formats
 * and errors are those of the in-tree bus, for the scripts that bind devices to uio or to nothing.
 *
 * Sources: Linux 6.1 drivers/hv/vmbus_drv.c, Documentation/ABI/stable/sysfs-bus-vmbus.
 */
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uuid.h>

#include "guest-vsc/bus/bus_priv.h"

/* A type that the user added */
struct added_id {
	struct list_head entry; /* in drv->added, under drv->added_lock */
	struct kvmb_guid type;
};

static struct added_id *find_added(const struct kvmb_driver *drv, const struct kvmb_guid *type)
{
	struct added_id *id;

	list_for_each_entry(id, &drv->added, entry) {
		if (kvmb_guid_equal(&id->type, type))
			return id;
	}
	return NULL;
}

static bool drives_type(struct kvmb_driver *drv, const struct kvmb_guid *type)
{
	unsigned int i;
	bool found;

	for (i = 0; i < drv->num_types; i++) {
		if (kvmb_guid_equal(&drv->types[i], type))
			return true;
	}
	spin_lock(&drv->added_lock);
	found = find_added(drv, type);
	spin_unlock(&drv->added_lock);
	return found;
}

bool kvmb_match(struct kvmb_device *dev, struct kvmb_driver *drv)
{
	bool named, same = false;

	/* the caller need not have the device's lock: who binds a driver asks every device */
	spin_lock(&dev->override_lock);
	named = dev->override;
	if (named)
		same = !strcmp(dev->override, drv->name);
	spin_unlock(&dev->override_lock);
	return named ? same : drives_type(drv, &dev->chan->type);
}

/* ---- types of a driver ---- */

#define to_kvmb_driver(d) container_of(d, struct kvmb_driver, driver)

static int parse_type(const char *buf, struct kvmb_guid *type)
{
	guid_t guid;
	int err = guid_parse(buf, &guid);

	static_assert(sizeof(guid) == sizeof(*type), "both are in the order of the wire");
	if (!err)
		memcpy(type, &guid, sizeof(*type));
	return err;
}

static int add_type(struct kvmb_driver *drv, const struct kvmb_guid *type)
{
	struct added_id *id = kzalloc(sizeof(*id), GFP_KERNEL);
	bool there;

	if (!id)
		return -ENOMEM;
	id->type = *type;
	spin_lock(&drv->added_lock);
	there = find_added(drv, type);
	if (!there)
		list_add_tail(&id->entry, &drv->added);
	spin_unlock(&drv->added_lock);
	if (there)
		kfree(id);
	return there ? -EEXIST : 0;
}

static ssize_t new_id_store(struct device_driver *d, const char *buf, size_t len)
{
	struct kvmb_guid type;
	int err = parse_type(buf, &type);

	if (!err)
		err = add_type(to_kvmb_driver(d), &type);
	if (!err)
		err = driver_attach(d); /* devices that wait for it */
	return err ? err : len;
}
static DRIVER_ATTR_WO(new_id);

static ssize_t remove_id_store(struct device_driver *d, const char *buf, size_t len)
{
	struct kvmb_driver *drv = to_kvmb_driver(d);
	struct kvmb_guid type;
	struct added_id *id;
	int err = parse_type(buf, &type);

	if (err)
		return err;
	spin_lock(&drv->added_lock);
	id = find_added(drv, &type);
	if (id)
		list_del(&id->entry);
	spin_unlock(&drv->added_lock);
	kfree(id);
	return id ? len : -ENODEV;
}
static DRIVER_ATTR_WO(remove_id);

static struct attribute *driver_attrs[] = {
	&driver_attr_new_id.attr,
	&driver_attr_remove_id.attr,
	NULL,
};
static const struct attribute_group driver_group = { .attrs = driver_attrs };
const struct attribute_group *kvmb_driver_groups[] = { &driver_group, NULL };

void kvmb_match_init(struct kvmb_driver *drv)
{
	spin_lock_init(&drv->added_lock);
	INIT_LIST_HEAD(&drv->added);
}

/* The driver is unregistered: nobody looks any more */
void kvmb_match_fini(struct kvmb_driver *drv)
{
	struct added_id *id, *next;

	list_for_each_entry_safe(id, next, &drv->added, entry)
		kfree(id);
}

/* ---- the driver of a device ---- */

static ssize_t driver_override_show(struct device *d, struct device_attribute *attr, char *buf)
{
	struct kvmb_device *dev = to_kvmb_device(d);
	ssize_t len;

	spin_lock(&dev->override_lock);
	len = sysfs_emit(buf, "%s\n", dev->override ? dev->override : "(null)");
	spin_unlock(&dev->override_lock);
	return len;
}

/* A name; nothing, or an empty line: any driver again */
static ssize_t driver_override_store(struct device *d, struct device_attribute *attr,
				     const char *buf, size_t len)
{
	struct kvmb_device *dev = to_kvmb_device(d);
	char *name;

	if (len >= PAGE_SIZE - 1) /* it is shown with a newline */
		return -EINVAL;
	name = kstrndup(buf, strcspn(buf, "\n"), GFP_KERNEL);
	if (!name)
		return -ENOMEM;
	if (!*name) {
		kfree(name);
		name = NULL;
	}
	spin_lock(&dev->override_lock);
	swap(dev->override, name);
	spin_unlock(&dev->override_lock);
	kfree(name);
	return len;
}
static DEVICE_ATTR_RW(driver_override);

static struct attribute *override_attrs[] = { &dev_attr_driver_override.attr, NULL };
const struct attribute_group kvmb_override_group = { .attrs = override_attrs };
