// SPDX-License-Identifier: GPL-2.0-only
/* Heartbeat, shutdown and time sync through the fake VMM, with a guest that lies. */
#include "ic-services/ic_host.h"

#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include "ic-services/heartbeat/heartbeat_host.h"
#include "ic-services/shutdown/shutdown_host.h"
#include "ic-services/timesync/timesync_host.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"
#include "vmbus-core/proto/ic.h"

static struct fake_vmm f;
static struct kvmb_heartbeat hb;
static struct kvmb_shutdown sd;
static struct kvmb_timesync ts;
static struct kvmb_wire_offer offers[3];
static struct fake_chan c;
static u32 answered;
static u8 buf[8192] __attribute__((aligned(8)));

static void on_answer(void *arg, u32 status)
{
	(void)arg;
	answered = status + 1;
}

static int setup(void **state)
{
	(void)state;
	fake_init(&f, KVMB_VERSION_NEWEST);
	kvmb_heartbeat_init(&hb, f.loop);
	kvmb_shutdown_init(&sd, on_answer, NULL);
	kvmb_timesync_init(&ts, f.loop, &f.vmm);
	kvmb_ic_offer(&hb.ic, f.bus);
	kvmb_ic_offer(&sd.ic, f.bus);
	kvmb_ic_offer(&ts.ic, f.bus);
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, offers, 3), 3);
	answered = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_unmap(&c);
	fake_fini(&f);
	return 0;
}

static u32 next(struct kvmb_icmsg *m, u64 *id)
{
	struct kvmb_pkt pkt;

	assert_int_equal(fake_recv(&f, &c, buf, sizeof(buf), &pkt), 0);
	assert_int_equal(kvmb_icmsg_parse(pkt.payload, pkt.payload_len, m), 0);
	*id = pkt.trans_id;
	return pkt.payload_len;
}

static void reply(const struct kvmb_icmsg *m)
{
	u8 out[4096];
	u32 len = kvmb_icmsg_build(out, m);

	fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, out, len);
	fake_run(&f);
}

/* Open channel @i; @m becomes the answer to its first question, but for the payload. */
static void asked_for_versions(int i, struct kvmb_icmsg *m)
{
	u64 id;

	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offers[i].relid), 4), 0);
	next(m, &id);
	assert_int_equal(m->type, KVMB_IC_NEGOTIATE);
	assert_int_equal(m->flags, 3);
	m->flags = 5;
}

static void reply_version(struct kvmb_icmsg *m, u32 version)
{
	struct { struct kvmb_wire_ic_negotiate n; struct kvmb_wire_ic_version v[2];
	} a = { { cpu_to_le16(1), cpu_to_le16(1), 0 },
		{ { cpu_to_le16(3), 0 },
		  { cpu_to_le16((u16)(version >> 16)), cpu_to_le16((u16)version) } } };

	m->payload = (u8 *)&a;
	m->size = sizeof(a);
	reply(m);
}

static void negotiate(int i, u32 version)
{
	struct kvmb_icmsg m;

	asked_for_versions(i, &m);
	reply_version(&m, version);
}

static void heartbeat_counts_right_answers_only(void **state)
{
	struct kvmb_icmsg m;
	u64 id, seq, events;

	(void)state;
	assert_string_equal(kvmb_heartbeat_status(&hb), "no-contact");
	negotiate(0, KVMB_IC_VERSION(3, 0));
	events = f.num_events;
	next(&m, &id);
	assert_int_equal(m.type, KVMB_IC_HEARTBEAT);
	assert_int_equal(m.size, 40);
	assert_true(events >= 2); /* every packet is signalled */
	memcpy(&seq, m.payload, 8);
	m.flags = 5;
	reply(&m); /* the same number back: no sign of life */
	assert_int_equal(hb.beats, 0);
	assert_string_equal(kvmb_heartbeat_status(&hb), "ok");
	hb.last_ms -= 2 * KVMB_HEARTBEAT_LOST_MS;
	assert_string_equal(kvmb_heartbeat_status(&hb), "lost-communication");
	seq++;
	m.payload = (u8 *)&seq;
	m.size = 8; /* the least a guest may send */
	reply(&m);
	assert_int_equal(hb.beats, 1);
	assert_string_equal(kvmb_heartbeat_status(&hb), "ok");
	m.size = 4;
	reply(&m);
	assert_int_equal(hb.beats, 1);
}

static void shutdown_sends_the_whole_message_and_hears_the_answer(void **state)
{
	struct kvmb_wire_shutdown w;
	struct kvmb_icmsg m;
	u64 id;

	(void)state;
	assert_int_equal(kvmb_shutdown_request(&sd, false, 5), -ENOTCONN);
	negotiate(1, KVMB_IC_VERSION(3, 2));
	m = (struct kvmb_icmsg){ .type = KVMB_IC_SHUTDOWN, .flags = 5,
				 .status = KVMB_IC_STATUS_FAIL };
	reply(&m);
	assert_int_equal(answered, 0); /* nobody asked */
	assert_int_equal(kvmb_shutdown_request(&sd, true, 5), 0);
	assert_int_equal(kvmb_shutdown_request(&sd, true, 5), -EAGAIN);
	next(&m, &id);
	assert_int_equal(m.size, 2060);
	memcpy(&w, m.payload, sizeof(w));
	assert_int_equal(le32_to_cpu(w.flags), KVMB_SHUTDOWN_RESTART);
	m.flags = 5;
	m.status = KVMB_IC_STATUS_FAIL;
	reply(&m);
	assert_int_equal(answered, KVMB_IC_STATUS_FAIL + 1);
	answered = 0;
	reply(&m);
	assert_int_equal(answered, 0); /* one answer a request */
	assert_int_equal(kvmb_shutdown_request(&sd, false, 5), 0);
}

static void timesync_sends_host_time_with_the_reference(void **state)
{
	struct kvmb_wire_timesync_v4 w;
	struct kvmb_icmsg m;
	struct timespec now;
	u64 id, want;

	(void)state;
	f.ref_time = 123456;
	negotiate(2, KVMB_IC_VERSION(4, 0));
	next(&m, &id);
	assert_int_equal(m.type, KVMB_IC_TIMESYNC);
	memcpy(&w, m.payload, sizeof(w));
	assert_int_equal(w.flags, KVMB_TIMESYNC_SYNC);
	assert_int_equal(le64_to_cpu(w.ref_time), 123456);
	clock_gettime(CLOCK_REALTIME, &now);
	want = (u64)now.tv_sec * 10000000 + (u64)now.tv_nsec / 100 + 116444736000000000ull;
	assert_true(want - le64_to_cpu(w.parent_time) < 20000000); /* within two seconds */
	kvmb_timesync_pause(&ts, true);
	kvmb_timesync_pause(&ts, false); /* a resume steps the clock again */
	next(&m, &id);
	memcpy(&w, m.payload, sizeof(w));
	assert_int_equal(w.flags, KVMB_TIMESYNC_SYNC);
}

static void timesync_without_room_is_made_up_for(void **state)
{
	struct kvmb_wire_timesync_v4 w;
	struct kvmb_icmsg m;
	struct kvmb_pkt pkt;
	u64 syncs;
	u32 i;

	(void)state;
	negotiate(2, KVMB_IC_VERSION(4, 0));
	for (i = 0; i < 1000 && !ts.owed; i++) {
		/* a guest that reads nothing is paused and resumed */
		kvmb_timesync_pause(&ts, true);
		kvmb_timesync_pause(&ts, false);
	}
	assert_true(ts.owed);
	syncs = ts.syncs;
	while (!fake_recv_within(&f, &c, buf, sizeof(buf), &pkt, 0))
		;
	ts.timer.fn(ts.timer.arg);
	assert_false(ts.owed);
	assert_int_equal(ts.syncs, syncs + 1);
	next(&m, &(u64){ 0 });
	memcpy(&w, m.payload, sizeof(w));
	assert_int_equal(w.flags, KVMB_TIMESYNC_SYNC);
}

static void timesync_of_old_guests_uses_the_old_layout(void **state)
{
	struct kvmb_icmsg m;
	u64 id;

	(void)state;
	negotiate(2, KVMB_IC_VERSION(1, 0));
	next(&m, &id);
	assert_int_equal(m.size, 28);
	assert_int_equal(m.payload[24], KVMB_TIMESYNC_SYNC);
}

static void ic_malformed_answer_stops_the_service_alone(void **state)
{
	u8 junk[40] = { 9 };

	(void)state;
	negotiate(0, KVMB_IC_VERSION(3, 0));
	fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, junk, sizeof(junk));
	fake_run(&f);
	assert_int_equal(hb.ic.state, KVMB_IC_REFUSED);
	fake_close(&f, &c);
	negotiate(1, KVMB_IC_VERSION(3, 0)); /* the others go on */
	assert_int_equal(sd.ic.state, KVMB_IC_READY);
}

static void ic_without_common_version_is_refused(void **state)
{
	struct kvmb_wire_ic_negotiate none = { 0 };
	struct kvmb_icmsg m;

	(void)state;
	asked_for_versions(0, &m);
	m.payload = (u8 *)&none;
	m.size = sizeof(none);
	reply(&m);
	assert_int_equal(hb.ic.state, KVMB_IC_REFUSED);
	assert_string_equal(kvmb_heartbeat_status(&hb), "no-contact");
}

/*
 * The guest's answer falls between our last look at the ring and our telling it how far we have
 * read.
 */
static void answer_in_between(int sig)
{
	struct kvmb_icmsg m;
	u8 out[4096];
	u64 id, seq;

	(void)sig;
	assert_int_equal(mprotect(__unshare(kvmb_chan_io(hb.ic.chan.ch)->rx.ctrl), KVMB_PAGE_SIZE,
				  PROT_READ | PROT_WRITE),
			 0);
	next(&m, &id);
	memcpy(&seq, m.payload, sizeof(seq));
	seq++;
	m.flags = 5;
	m.payload = (u8 *)&seq;
	m.size = sizeof(seq);
	fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, out, kvmb_icmsg_build(out, &m));
}

/*
 * A guest that answers just then believes us awake and does not signal. The page that the host
 * writes its read index to is write-protected, so that the guest's turn comes at exactly that
 * moment.
 */
static void ic_answer_while_falling_asleep_is_seen(void **state)
{
	struct sigaction act = { .sa_handler = answer_in_between }, old;
	struct kvmb_icmsg m;

	(void)state;
	asked_for_versions(0, &m);
	sigaction(SIGSEGV, &act, &old);
	assert_int_equal(mprotect(__unshare(kvmb_chan_io(hb.ic.chan.ch)->rx.ctrl), KVMB_PAGE_SIZE,
				  PROT_READ),
			 0);
	reply_version(&m, KVMB_IC_VERSION(3, 0));
	sigaction(SIGSEGV, &old, NULL);
	assert_int_equal(hb.beats, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(heartbeat_counts_right_answers_only),
		T(shutdown_sends_the_whole_message_and_hears_the_answer),
		T(timesync_sends_host_time_with_the_reference),
		T(timesync_without_room_is_made_up_for),
		T(timesync_of_old_guests_uses_the_old_layout),
		T(ic_malformed_answer_stops_the_service_alone),
		T(ic_without_common_version_is_refused),
		T(ic_answer_while_falling_asleep_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
