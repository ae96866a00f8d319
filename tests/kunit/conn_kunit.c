// SPDX-License-Identifier: GPL-2.0-only
/* The guest's connection against the scripted host: versions, silence, the farewell; threats class G01. */
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
		CHECK_ROW(kvmb_bus_start(KVMB_VERSION_NEWEST), 0, i);
		CHECK_EQ(kvmb_bus_protocol(), kvmb_versions[i]);
		kvmb_bus_stop();
		CHECK_EQ(kvmb_bus_protocol(), 0);
		CHECK_EQ(host_seen(KVMB_MSG_UNLOAD), 1);
	}
}

CASE(goes_no_higher_than_it_was_told)
{
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_WIN8_1), 0);
	CHECK_EQ(kvmb_bus_protocol(), KVMB_VERSION_WIN8_1);
	kvmb_bus_stop();
}

CASE(gives_up_when_every_version_is_refused)
{
	host_script.max_version = 0;
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST), -EOPNOTSUPP);
	CHECK_EQ(host_seen(KVMB_MSG_INITIATE_CONTACT), ARRAY_SIZE(kvmb_versions));
	CHECK_EQ(host_seen(KVMB_MSG_REQUEST_OFFERS), 0);
}

CASE(does_not_wait_for_a_silent_host_for_ever)
{
	unsigned long begin = jiffies;

	host_script.mute = BIT(KVMB_MSG_INITIATE_CONTACT);
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST), -ETIMEDOUT);
	CHECK(jiffies - begin >= KVMB_WAIT_S * HZ);
}

CASE(tries_again_when_the_hypercall_has_no_room)
{
	host_script.post_refused = 5;
	host_script.post_status = KVMB_HV_STATUS_INSUFFICIENT_BUFFERS;
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST), 0);
	CHECK_EQ(kvmb_bus_protocol(), KVMB_VERSION_NEWEST);
	kvmb_bus_stop();
}

CASE(speaks_an_older_version_where_the_connection_is_unknown)
{
	host_script.post_refused = 1;
	host_script.post_status = KVMB_HV_STATUS_INVALID_CONNECTION_ID;
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST), 0);
	CHECK_EQ(kvmb_bus_protocol(), kvmb_versions[ARRAY_SIZE(kvmb_versions) - 2]);
	kvmb_bus_stop();
}

CASE(gives_up_when_messages_are_refused)
{
	host_script.post_refused = 1;
	host_script.post_status = KVMB_HV_STATUS_INVALID_PARAMETER;
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST), -EINVAL);
}

static u32 short_len;
static bool answers_short(u32 type, const u8 *msg, u32 len)
{
	struct kvmb_wire_version_response r = { .h.type = cpu_to_le32(KVMB_MSG_VERSION_RESPONSE), .supported = 1 };

	if (type != KVMB_MSG_INITIATE_CONTACT)
		return false;
	host_say(&r, short_len);
	return true;
}

CASE(a_short_version_response_is_none)
{
	host_script.says = answers_short;
	short_len = sizeof(struct kvmb_wire_version_response) - 1;
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST), -ETIMEDOUT);
	short_len = 8;
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST), -ETIMEDOUT);
	short_len = sizeof(struct kvmb_wire_version_response);
	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST), 0);
	kvmb_bus_stop();
}

CASE(leaves_a_host_that_does_not_answer_the_farewell)
{
	unsigned long begin;

	CHECK_EQ(kvmb_bus_start(KVMB_VERSION_NEWEST), 0);
	host_script.mute = BIT(KVMB_MSG_UNLOAD);
	begin = jiffies;
	kvmb_bus_stop();
	CHECK(jiffies - begin < (KVMB_WAIT_S + 10) * HZ);
	CHECK_EQ(kvmb_bus_protocol(), 0);
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
	{}
};

struct kunit_suite kvmb_conn_suite = { .name = "kvmb_conn", .test_cases = conn_cases, .init = conn_init };
