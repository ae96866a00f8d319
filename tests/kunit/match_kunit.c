// SPDX-License-Identifier: GPL-2.0-only
/* Which driver a device gets, as the user sets it in sysfs, and what is there when it gets one. */
#include "guest-vsc/bus/bus_priv.h"
#include "tests/kunit/bus_kunit.h"
#include "tests/kunit/sysfs_kunit.h"

/* some_type and another, as lsvmbus and class_id show them */
#define SOME_ID "6b766d62-0001-0002-0304-05060708090a"
#define OTHER_ID "6b766d64-0001-0002-0304-05060708090a"
static const struct kvmb_guid other_type = KVMB_GUID(0x6b766d64, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);

#define NAME "00000001-0000-0000-0000-000000000000" /* instance 1 */
#define DEVICE SYSFS_BUS "devices/" NAME "/"
#define DRIVER(name) SYSFS_BUS "drivers/" name "/"

static u32 probes, removes;
static bool saw_channels;

static int match_probe(struct kvmb_device *dev)
{
	struct kobject *kobj = dev->chan->kobj;

	probes++;
	/* not read here, as a user would: the user's write to "bind" may be what calls us */
	saw_channels = kobj && kobj->parent == dev->chans_kobj && kobj->state_in_sysfs;
	return 0;
}

static void match_remove(struct kvmb_device *dev)
{
	removes++;
}

static struct kvmb_driver some_driver = {
	.name = "kvmb_some",
	.types = &some_type,
	.num_types = 1,
	.probe = match_probe,
	.remove = match_remove,
};
static struct kvmb_driver other_driver = {
	.name = "kvmb_other",
	.types = &other_type,
	.num_types = 1,
	.probe = match_probe,
	.remove = match_remove,
};

static int match_init(struct kunit *test)
{
	int err = bus_init(test);

	if (err)
		return err;
	probes = removes = 0;
	saw_channels = false;
	err = kvmb_driver_register(&some_driver, NULL);
	return err ? err : kvmb_driver_register(&other_driver, NULL);
}

static void match_exit(struct kunit *test)
{
	kvmb_driver_unregister(&other_driver);
	kvmb_driver_unregister(&some_driver);
	bus_exit(test);
}

static const char *driver_of(struct kvmb_chan *ch)
{
	return ch && ch->dev && ch->dev->dev.driver ? ch->dev->dev.driver->name : "";
}
#define CHECK_DRIVER(ch, name) KUNIT_EXPECT_STREQ(test, driver_of(ch), name)

CASE(device_has_its_channels_in_sysfs_when_a_driver_gets_it)
{
	char cpu[8];

	CHECK_DRIVER(offered(5, 1), "kvmb_some");
	CHECK_EQ(probes, 1);
	CHECK(saw_channels);
	CHECK_EQ(sysfs_read(DEVICE "channels/5/cpu", cpu, sizeof(cpu)), 0);
	KUNIT_EXPECT_STREQ(test, cpu, "0\n");
}

CASE(new_id_gives_a_driver_one_more_type)
{
	struct kvmb_chan *ch;

	other_driver.num_types = 0;
	host_offer(5, &other_type, 1, 0);
	host_settle();
	ch = chan_of(5);
	CHECK_DRIVER(ch, "");
	CHECK_EQ(sysfs_write(DRIVER("kvmb_some") "new_id", "no-guid"), -EINVAL);
	CHECK_EQ(sysfs_write(DRIVER("kvmb_some") "new_id", OTHER_ID "\n"), 0);
	CHECK_DRIVER(ch, "kvmb_some"); /* it waited for that */
	CHECK_EQ(sysfs_write(DRIVER("kvmb_some") "new_id", OTHER_ID), -EEXIST);
	CHECK_EQ(sysfs_write(DRIVER("kvmb_some") "remove_id", OTHER_ID), 0);
	CHECK_EQ(sysfs_write(DRIVER("kvmb_some") "remove_id", OTHER_ID), -ENODEV);
	CHECK_EQ(sysfs_write(DRIVER("kvmb_some") "remove_id", SOME_ID), -ENODEV); /* its own */
	CHECK_DRIVER(ch, "kvmb_some"); /* who has it keeps it */
	CHECK_EQ(sysfs_write(DRIVER("kvmb_some") "unbind", NAME), 0);
	CHECK_EQ(sysfs_write(DRIVER("kvmb_some") "bind", NAME), -ENODEV);
	CHECK_EQ(probes, 1);
	CHECK_EQ(removes, 1);
	/* freed with the driver */
	CHECK_EQ(sysfs_write(DRIVER("kvmb_some") "new_id", OTHER_ID), 0);
	other_driver.num_types = 1;
}

CASE(driver_override_names_the_only_driver)
{
	struct kvmb_chan *ch = offered(5, 1);
	char text[32];

	CHECK_EQ(sysfs_read(DEVICE "driver_override", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "(null)\n");
	CHECK_EQ(sysfs_write(DEVICE "driver_override", "kvmb_other\n"), 0);
	CHECK_EQ(sysfs_read(DEVICE "driver_override", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "kvmb_other\n");
	CHECK_DRIVER(ch, "kvmb_some"); /* who has it keeps it */
	CHECK_EQ(sysfs_write(DRIVER("kvmb_some") "unbind", NAME), 0);
	CHECK_EQ(sysfs_write(DRIVER("kvmb_some") "bind", NAME), -ENODEV);
	CHECK_EQ(sysfs_write(SYSFS_BUS "drivers_probe", NAME), 0);
	CHECK_DRIVER(ch, "kvmb_other"); /* whatever its table says */
	CHECK_EQ(sysfs_write(DEVICE "driver_override", "nobody"), 0);
	CHECK_EQ(sysfs_write(DRIVER("kvmb_other") "unbind", NAME), 0);
	sysfs_write(SYSFS_BUS "drivers_probe", NAME);
	CHECK_DRIVER(ch, "");
	CHECK_EQ(sysfs_write(DEVICE "driver_override", "\n"), 0);
	CHECK_EQ(sysfs_write(SYSFS_BUS "drivers_probe", NAME), 0);
	CHECK_DRIVER(ch, "kvmb_some");
	CHECK_EQ(sysfs_write(DEVICE "driver_override", "kvmb_some"), 0); /* freed with the device */
}

CASE(module_alias_of_a_device_is_its_type)
{
	char text[64];

	NEED(offered(5, 1));
	CHECK_EQ(sysfs_read(DEVICE "modalias", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "kvmbus:626d766b01000200030405060708090a\n");
}

static struct kunit_case match_cases[] = {
	KUNIT_CASE(device_has_its_channels_in_sysfs_when_a_driver_gets_it),
	KUNIT_CASE(new_id_gives_a_driver_one_more_type),
	KUNIT_CASE(driver_override_names_the_only_driver),
	KUNIT_CASE(module_alias_of_a_device_is_its_type),
	{}
};

struct kunit_suite kvmb_match_suite = {
	.name = "kvmb_match",
	.test_cases = match_cases,
	.init = match_init,
	.exit = match_exit,
};
