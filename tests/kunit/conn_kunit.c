// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's connection against the scripted host: versions, silence, UNLOAD
 * (docs/threat-model.md#G01).
 */
#include "guest-vsc/bus/bus_priv.h"
#include "tests/kunit/kunit_case.h"
#include "tests/kunit/script_host.h"

static int conn_init(struct kunit *test)
{
	host_prepare();
	return 0;
}

CASE(takes_the_newest_version_of_the_host)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kvmb_versions); i++) {
		host_prepare();
		host_script.max_version = kvmb_versions[i];
		/* there is nothing to stop else */
		NEED(!kvmb_bus_start(KVMB_VERSION_NEWEST, false));
		CHECK_EQ(kvmb_bus_protocol(), kvmb_versions[i]);
		kvmb_bus_stop();
		CHECK_EQ(kvmb_bus_protocol(), 0);
		CHECK_EQ(host_seen(KVMB_MSG_UNLOAD), 1);
	}
}

CASE(goes_no_higher_than_it_was_told)
{
	NEED(!kvmb_bus_start(KVMB_VERSION_WIN8_1, false));
	CHECK_EQ(kvmb_bus_protocol(), KVMB_VERSION_WIN8_1);
	kvmb_bus_stop();
}

CASE(gives_up_when_every_version_is_refused)
{
	host_script.max_version = 0;
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST, false), -EOPNOTSUPP);
	CHECK_EQ(host_seen(KVMB_MSG_INITIATE_CONTACT), ARRAY_SIZE(kvmb_versions));
	CHECK_EQ(host_seen(KVMB_MSG_REQUEST_OFFERS), 0);
}

CASE(does_not_wait_for_a_silent_host_for_ever)
{
	unsigned long begin = jiffies;

	host_script.mute = BIT(KVMB_MSG_INITIATE_CONTACT);
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST, false), -ETIMEDOUT);
	CHECK(jiffies - begin >= KVMB_WAIT_S * HZ);
}

CASE(tries_again_when_the_hypercall_has_no_room)
{
	host_script.post_refused = 5;
	host_script.post_status = KVMB_HV_STATUS_INSUFFICIENT_BUFFERS;
	NEED(!kvmb_bus_start(KVMB_VERSION_NEWEST, false));
	CHECK_EQ(kvmb_bus_protocol(), KVMB_VERSION_NEWEST);
	kvmb_bus_stop();
}

CASE(speaks_an_older_version_where_the_connection_is_unknown)
{
	host_script.post_refused = 1;
	host_script.post_status = KVMB_HV_STATUS_INVALID_CONNECTION_ID;
	NEED(!kvmb_bus_start(KVMB_VERSION_NEWEST, false));
	CHECK_EQ(kvmb_bus_protocol(), kvmb_versions[ARRAY_SIZE(kvmb_versions) - 2]);
	kvmb_bus_stop();
}

CASE(gives_up_when_messages_are_refused)
{
	host_script.post_refused = 1;
	host_script.post_status = KVMB_HV_STATUS_INVALID_PARAMETER;
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST, false), -EINVAL);
}

static u32 short_len;
static bool answers_short(u32 type, const u8 *msg, u32 len)
{
	struct kvmb_wire_version_response r = { .h.type = cpu_to_le32(KVMB_MSG_VERSION_RESPONSE),
						.supported = 1 };

	if (type != KVMB_MSG_INITIATE_CONTACT)
		return false;
	host_say(&r, short_len);
	return true;
}

CASE(a_short_version_response_is_none)
{
	host_script.says = answers_short;
	short_len = sizeof(struct kvmb_wire_version_response) - 1;
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST, false), -ETIMEDOUT);
	short_len = 8;
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST, false), -ETIMEDOUT);
	short_len = sizeof(struct kvmb_wire_version_response);
	NEED(!kvmb_bus_start(KVMB_VERSION_NEWEST, false));
	kvmb_bus_stop();
}

CASE(leaves_a_host_that_does_not_answer_the_farewell)
{
	NEED(!kvmb_bus_start(KVMB_VERSION_NEWEST, false));
	host_script.mute = BIT(KVMB_MSG_UNLOAD);
	kvmb_bus_stop();
	CHECK_EQ(kvmb_bus_protocol(), 0);
}

static const struct kvmb_guid own_type = KVMB_GUID(0x6b766d62, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);

static void ignore(void *ctx)
{
}

CASE(signal_sets_the_flag_that_an_old_host_looks_at)
{
	struct kvmb_chan *ch;
	u64 w = 1;

	host_script.max_version = KVMB_VERSION_WS2008;
	NEED(!kvmb_bus_start(KVMB_VERSION_NEWEST, false));
	host_offer(44, &own_type, 1, 0);
	host_settle();
	ch = list_first_entry_or_null(&kvmb.chans, struct kvmb_chan, entry);
	NEED(ch && !kvmb_chan_open(ch, 3, NULL, 0, ignore, NULL));
	CHECK(!test_bit(44, host_int_page() + KVMB_PAGE_SIZE / 2));
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &w, sizeof(w)), 0);
	CHECK(test_bit(44, host_int_page() + KVMB_PAGE_SIZE / 2));
	kvmb_chan_close(ch);
	CHECK_EQ(kvmb_bus_sleep(), 0);
	kvmb_chan_signal(ch); /* the page is gone */
	kvmb_bus_stop();
}

/* ---- what the host offers before we stay ---- */

static const struct kvmb_guid keyboard_type =
	KVMB_GUID(0xf912ad6d, 0x2b17, 0x48ea, 0xbd, 0x65, 0xf9, 0x27, 0xa6, 0x1c, 0x76, 0x84);

static bool has_keyboard(u32 type, const u8 *msg, u32 len)
{
	if (type == KVMB_MSG_REQUEST_OFFERS) {
		host_offer(4, &own_type, 1, 0);
		host_offer(5, &keyboard_type, 9, 0);
		host_offer(6, &own_type, 2, 0);
	}
	return false;
}

static u32 num_devices(void)
{
	struct kvmb_chan *ch;
	u32 n = 0;

	mutex_lock(&kvmb.lock);
	list_for_each_entry(ch, &kvmb.chans, entry)
		n += !!ch->dev;
	mutex_unlock(&kvmb.lock);
	return n;
}

CASE(leaves_a_bus_with_a_class_it_does_not_drive)
{
	host_script.says = has_keyboard;
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST, false), -ENODEV);
	/* so that hv_vmbus finds a host that has forgotten us */
	CHECK_EQ(host_seen(KVMB_MSG_UNLOAD), 1);
	CHECK(list_empty(&kvmb.chans));
	CHECK_EQ(kvmb_bus_protocol(), 0);
	/* the user knows better */
	NEED(!kvmb_bus_start(KVMB_VERSION_NEWEST, true));
	host_settle();
	CHECK_EQ(num_devices(), 3);
	kvmb_bus_stop();
}

CASE(stays_where_all_offers_are_ours)
{
	NEED(!kvmb_bus_start(KVMB_VERSION_NEWEST, false));
	host_offer(4, &own_type, 1, 0);
	host_settle();
	CHECK_EQ(num_devices(), 1);
	host_offer(5, &keyboard_type, 9, 0); /* later: a device that nobody drives, and we stay */
	host_settle();
	CHECK_EQ(num_devices(), 2);
	kvmb_bus_stop();
}

static bool offers_before_contact(u32 type, const u8 *msg, u32 len)
{
	if (type == KVMB_MSG_INITIATE_CONTACT)
		host_offer(4, &own_type, 1, 0);
	return false;
}

CASE(takes_no_offer_before_there_is_a_connection)
{
	host_script.says = offers_before_contact;
	host_script.max_version = 0;
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST, false), -EOPNOTSUPP);
	/* none of them became a device on a bus type that is gone */
	CHECK(list_empty(&kvmb.chans));
}

static struct kunit_case conn_cases[] = {
	KUNIT_CASE(takes_the_newest_version_of_the_host),
	KUNIT_CASE(goes_no_higher_than_it_was_told),
	KUNIT_CASE(gives_up_when_every_version_is_refused),
	KUNIT_CASE(does_not_wait_for_a_silent_host_for_ever),
	KUNIT_CASE(tries_again_when_the_hypercall_has_no_room),
	KUNIT_CASE(speaks_an_older_version_where_the_connection_is_unknown),
	KUNIT_CASE(gives_up_when_messages_are_refused),
	KUNIT_CASE(a_short_version_response_is_none),
	KUNIT_CASE(leaves_a_host_that_does_not_answer_the_farewell),
	KUNIT_CASE(signal_sets_the_flag_that_an_old_host_looks_at),
	KUNIT_CASE(leaves_a_bus_with_a_class_it_does_not_drive),
	KUNIT_CASE(stays_where_all_offers_are_ours),
	KUNIT_CASE(takes_no_offer_before_there_is_a_connection),
	{}
};

struct kunit_suite kvmb_conn_suite = { .name = "kvmb_conn",
				       .test_cases = conn_cases,
				       .init = conn_init };
