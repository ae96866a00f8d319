// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmb_utils against a host that asks well and badly. Wire facts: vmbus-core/icmsg.h, proto/ic.h.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/timekeeping.h>
#include <asm/mshyperv.h>

#include "tests/kunit/kunit_case.h"
#include "tests/kunit/script_host.h"
#include "tests/kunit/sysfs_kunit.h"
#include "vmbus-core/hvdef.h"
#include "vmbus-core/icmsg.h"
#include "vmbus-core/proto/fcopy.h"
#include "vmbus-core/proto/ic.h"
#include "vmbus-core/proto/kvp.h"
#include "vmbus-core/proto/vss.h"

#define RELID 4
#define NAME "00000001-0000-0000-0000-000000000000" /* of its device */

static struct {
	u32 answers, len;
	u8 buf[8192] __aligned(8); /* the last answer */
} got;

static void on_packet(struct host_chan *c, const struct kvmb_pkt *pkt, void *ctx)
{
	got.len = min_t(u32, pkt->payload_len, sizeof(got.buf));
	memcpy(got.buf, pkt->payload, got.len);
	got.answers++;
}

static void plug_in(const struct kvmb_guid *type)
{
	memset(&got, 0, sizeof(got));
	host_reset();
	host_chan_of(RELID)->on_packet = on_packet;
	host_offer(RELID, type, 1, 0);
	host_settle();
}

/* Send a request. Return: whether an answer came */
static bool request(const void *msg, u32 len)
{
	u32 before = got.answers;
	int i;

	host_put(host_chan_of(RELID), KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, 1, NULL, 0, msg,
		 len);
	for (i = 0; i < 50 && got.answers == before; i++) {
		msleep(2);
		host_settle();
	}
	return got.answers != before;
}

static u32 negotiate(u32 version)
{
	static const u32 fw[] = { KVMB_IC_FW_1, KVMB_IC_FW_3 };
	struct kvmb_icmsg m;
	u8 buf[128];
	u32 f = 0, v = 0;

	if (!request(buf, kvmb_icmsg_build_negotiate(buf, fw, 2, &version, 1)) ||
	    kvmb_icmsg_parse(got.buf, got.len, &m) || kvmb_icmsg_parse_negotiated(&m, &f, &v))
		return 0;
	return v;
}

static void ic_exit_case(struct kunit *test)
{
	host_reset();
}

static const struct kvmb_guid heartbeat = KVMB_HEARTBEAT_TYPE_GUID,
			      shutdown_type = KVMB_SHUTDOWN_TYPE_GUID,
			      timesync = KVMB_TIMESYNC_TYPE_GUID, kvp = KVMB_KVP_TYPE_GUID,
			      fcopy = KVMB_FCOPY_TYPE_GUID, vss = KVMB_VSS_TYPE_GUID;

CASE(a_beat_comes_back_one_higher)
{
	struct kvmb_icmsg m = { .type = KVMB_IC_HEARTBEAT,
				.framework = KVMB_IC_FW_3,
				.message = KVMB_IC_VERSION(3, 0),
				.flags = 3,
				.size = 40 },
			  a;
	u8 buf[128] __aligned(8), beat[40] = { 41 };
	__le64 seq;
	u32 i;

	plug_in(&heartbeat);
	CHECK_EQ(negotiate(KVMB_IC_VERSION(3, 0)), KVMB_IC_VERSION(3, 0));
	m.payload = beat;
	for (i = 0; i < 5; i++) {
		beat[0] = 41 + i;
		NEED(request(buf, kvmb_icmsg_build(buf, &m)));
		CHECK_EQ(kvmb_icmsg_parse(got.buf, got.len, &a), 0);
		memcpy(&seq, a.payload, sizeof(seq));
		CHECK_EQ(le64_to_cpu(seq), 42 + i);
		CHECK_EQ(a.status, KVMB_IC_STATUS_OK);
	}
	m.size = 4; /* no room for a number */
	CHECK(!request(buf, kvmb_icmsg_build(buf, &m)));
	m.size = 40;
	CHECK(request(buf, kvmb_icmsg_build(buf, &m))); /* the next one counts again */
}

CASE(versions_that_nobody_speaks_are_said_so)
{
	plug_in(&heartbeat);
	CHECK_EQ(negotiate(KVMB_IC_VERSION(77, 1)), 0);
	CHECK_EQ(negotiate(KVMB_IC_VERSION(1, 0)), KVMB_IC_VERSION(1, 0));
}

CASE(what_breaks_the_framing_has_no_answer)
{
	struct kvmb_icmsg m = { .type = KVMB_IC_HEARTBEAT,
				.framework = KVMB_IC_FW_3,
				.message = KVMB_IC_VERSION(3, 0),
				.flags = 3,
				.size = 40 };
	static u8 buf[9000] __aligned(8);
	u32 i;

	plug_in(&heartbeat);
	for (i = 0; i < 28; i++) { /* each byte of the header, with all bits set */
		u32 n = kvmb_icmsg_build(buf, &m);

		buf[i] = 0xff;
		request(buf, n);
	}
	for (i = 0; i < 64; i += 8)
		request(buf, i);
	m.payload = NULL;
	CHECK(request(buf, kvmb_icmsg_build(buf, &m)));
	m.type = KVMB_IC_KVP; /* another service's */
	CHECK(request(buf, kvmb_icmsg_build(buf, &m)));
	CHECK_EQ(le32_to_cpu(((struct kvmb_wire_icmsg *)got.buf)->status), KVMB_IC_STATUS_FAIL);
	/* longer than any request: the channel stops */
	CHECK(!request(buf, sizeof(buf)));
}

CASE(a_shutdown_that_is_none_is_refused)
{
	struct kvmb_icmsg m = { .type = KVMB_IC_SHUTDOWN,
				.framework = KVMB_IC_FW_3,
				.message = KVMB_IC_VERSION(3, 2),
				.flags = 3 },
			  a;
	static struct kvmb_wire_shutdown s = { .flags = cpu_to_le32(0xfffffff0) };
	u8 buf[128] __aligned(8);

	plug_in(&shutdown_type);
	CHECK_EQ(negotiate(KVMB_IC_VERSION(3, 2)), KVMB_IC_VERSION(3, 2));
	m.payload = (u8 *)&s;
	m.size = offsetof(struct kvmb_wire_shutdown, message);
	CHECK(request(buf, kvmb_icmsg_build(buf, &m)));
	CHECK_EQ(kvmb_icmsg_parse(got.buf, got.len, &a), 0);
	CHECK_EQ(a.status, KVMB_IC_STATUS_FAIL);
	m.size = 4;
	CHECK(!request(buf, kvmb_icmsg_build(buf, &m)));
}

CASE(hibernation_is_promised_where_it_can_be)
{
	struct kvmb_icmsg m = { .type = KVMB_IC_SHUTDOWN,
				.framework = KVMB_IC_FW_3,
				.message = KVMB_IC_VERSION(3, 2),
				.flags = 3 },
			  a;
	static struct kvmb_wire_shutdown s;
	u8 buf[128] __aligned(8);
	u32 flags;

	plug_in(&shutdown_type);
	CHECK_EQ(negotiate(KVMB_IC_VERSION(3, 2)), KVMB_IC_VERSION(3, 2));
	m.payload = (u8 *)&s;
	m.size = offsetof(struct kvmb_wire_shutdown, message);
	for (flags = KVMB_SHUTDOWN_HIBERNATE; flags < 8; flags++) {
		bool may = flags < 6 && hv_is_hibernation_supported(); /* and not with a restart */

		s.flags = cpu_to_le32(flags);
		CHECK(request(buf, kvmb_icmsg_build(buf, &m)));
		CHECK_EQ(kvmb_icmsg_parse(got.buf, got.len, &a), 0);
		CHECK_ROW(a.status, may ? KVMB_IC_STATUS_OK : KVMB_IC_STATUS_FAIL, flags);
	}
}

CASE(the_clock_is_set_when_the_host_says_so_and_only_then)
{
	struct kvmb_icmsg m = { .type = KVMB_IC_TIMESYNC,
				.framework = KVMB_IC_FW_3,
				.message = KVMB_IC_VERSION(4, 0),
				.flags = 3 };
	struct kvmb_wire_timesync_v4 t = { 0 };
	time64_t before = ktime_get_real_seconds();
	u8 buf[128] __aligned(8);
	u64 host;

	plug_in(&timesync);
	CHECK_EQ(negotiate(KVMB_IC_VERSION(4, 0)), KVMB_IC_VERSION(4, 0));
	host = (u64)(before + 5000) * 10000000 + HV_EPOCH_OFFSET_100NS;
	t.parent_time = cpu_to_le64(host);
	t.ref_time = cpu_to_le64(host_script.ref_time);
	m.payload = (u8 *)&t;
	m.size = sizeof(t);
	t.flags = KVMB_TIMESYNC_SAMPLE;
	CHECK(request(buf, kvmb_icmsg_build(buf, &m)));
	CHECK(ktime_get_real_seconds() < before + 1000);
	t.flags = KVMB_TIMESYNC_SYNC;
	CHECK(request(buf, kvmb_icmsg_build(buf, &m)));
	CHECK(ktime_get_real_seconds() >= before + 5000 &&
	      ktime_get_real_seconds() < before + 5060);
	/*
	 * a sample that is older than ten minutes by the counter, a time before 1970, a counter
	 * from the future
	 */
	host_script.ref_time += 700ull * 10000000;
	t.parent_time = cpu_to_le64(host + 90000ull * 10000000);
	CHECK(request(buf, kvmb_icmsg_build(buf, &m)));
	CHECK(ktime_get_real_seconds() < before + 6000);
	t.parent_time = cpu_to_le64(5);
	t.ref_time = cpu_to_le64(~0ull);
	CHECK(request(buf, kvmb_icmsg_build(buf, &m)));
	CHECK(ktime_get_real_seconds() > before);
	m.size = 8;
	CHECK(!request(buf, kvmb_icmsg_build(buf, &m)));
}

/* Its daemon has not registered: the host's versions are not answered, and nobody waits for it. */
static void goes_without_a_daemon(struct kunit *test, const struct kvmb_guid *type, u32 version)
{
	static const u32 fw[] = { KVMB_IC_FW_1, KVMB_IC_FW_3 };
	unsigned long began;
	u8 buf[128];

	plug_in(type);
	CHECK(host_chan_of(RELID)->open);
	host_put(host_chan_of(RELID), KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, 1, NULL, 0, buf,
		 kvmb_icmsg_build_negotiate(buf, fw, 2, &version, 1));
	msleep(100);
	host_settle();
	CHECK_EQ(got.answers, 0);
	began = jiffies;
	host_reset();
	CHECK(time_before(jiffies, began + 20 * HZ));
}

CASE(service_that_waits_for_its_daemon_can_go)
{
	goes_without_a_daemon(test, &kvp, KVMB_IC_VERSION(4, 0));
	goes_without_a_daemon(test, &fcopy, KVMB_IC_VERSION(1, 1));
}

/* What needs the daemon fails, at once; and who freezes nothing has nothing to thaw. */
CASE(a_guest_without_a_daemon_says_that_it_cannot_freeze)
{
	static const u8 needs[] = { KVMB_VSS_HOT_BACKUP, KVMB_VSS_FREEZE, KVMB_VSS_THAW },
			others[] = { KVMB_VSS_GET_DM_INFO, KVMB_VSS_BU_COMPLETE, 99 };
	struct kvmb_wire_vss w = { .flags = cpu_to_le32(7) };
	struct kvmb_icmsg m = { .type = KVMB_IC_VSS,
				.framework = KVMB_IC_FW_3,
				.message = KVMB_IC_VERSION(5, 0),
				.flags = 3,
				.payload = (const u8 *)&w,
				.size = sizeof(w) },
			  a;
	u8 buf[128] __aligned(8);
	u32 i;

	plug_in(&vss);
	CHECK_EQ(negotiate(KVMB_IC_VERSION(5, 0)), KVMB_IC_VERSION(5, 0));
	for (i = 0; i < ARRAY_SIZE(needs); i++) {
		w.operation = needs[i];
		NEED(request(buf, kvmb_icmsg_build(buf, &m)));
		CHECK_EQ(kvmb_icmsg_parse(got.buf, got.len, &a), 0);
		CHECK_EQ(a.status, KVMB_IC_STATUS_FAIL);
	}
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		w.operation = others[i];
		NEED(request(buf, kvmb_icmsg_build(buf, &m)));
		CHECK_EQ(kvmb_icmsg_parse(got.buf, got.len, &a), 0);
		CHECK_EQ(a.status, KVMB_IC_STATUS_OK);
	}
	m.size = 8; /* no room for flags */
	CHECK(!request(buf, kvmb_icmsg_build(buf, &m)));
}

CASE(device_of_another_type_is_refused)
{
	static const struct kvmb_guid no_service =
		KVMB_GUID(0x6b766d65, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);

	plug_in(&no_service);
	/* the user may name any driver */
	CHECK_EQ(sysfs_write(SYSFS_BUS "devices/" NAME "/driver_override", "kvmb_utils"), 0);
	CHECK_EQ(sysfs_write(SYSFS_BUS "drivers/kvmb_utils/bind", NAME), -ENODEV);
	CHECK(!host_chan_of(RELID)->open);
}

static struct kunit_case ic_cases[] = {
	KUNIT_CASE(a_beat_comes_back_one_higher),
	KUNIT_CASE(versions_that_nobody_speaks_are_said_so),
	KUNIT_CASE(what_breaks_the_framing_has_no_answer),
	KUNIT_CASE(a_shutdown_that_is_none_is_refused),
	KUNIT_CASE(hibernation_is_promised_where_it_can_be),
	KUNIT_CASE(the_clock_is_set_when_the_host_says_so_and_only_then),
	KUNIT_CASE(service_that_waits_for_its_daemon_can_go),
	KUNIT_CASE(a_guest_without_a_daemon_says_that_it_cannot_freeze),
	KUNIT_CASE(device_of_another_type_is_refused),
	{}
};

static struct kunit_suite ic_suite = { .name = "kvmb_ic",
				       .test_cases = ic_cases,
				       .exit = ic_exit_case };
kunit_test_suite(ic_suite);

MODULE_DESCRIPTION("kvmbus: KUnit suite of kvmb_utils");
MODULE_LICENSE("GPL");
