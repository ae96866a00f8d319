// SPDX-License-Identifier: GPL-2.0-only
/* Heartbeat, shutdown and time sync through the fake VMM, with a guest that lies. */
#include "ic-services/ic_host.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

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

/* ---- a clock that is set: reading its descriptor is wrapped ---- */

static bool clock_was_set;
static void (*ts_clock_fn)(void *arg, uint32_t events);
static void *ts_clock_arg;

ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n)
{
	if (!clock_was_set || fd != ts.clock_fd)
		return __real_read(fd, p, n);
	clock_was_set = false;
	errno = ECANCELED;
	return -1;
}

struct kvmb_watch *__real_kvmb_loop_add(struct kvmb_loop *l, int fd, uint32_t events,
					void (*fn)(void *arg, uint32_t events), void *arg);
struct kvmb_watch *__wrap_kvmb_loop_add(struct kvmb_loop *l, int fd, uint32_t events,
					void (*fn)(void *arg, uint32_t events), void *arg);
struct kvmb_watch *__wrap_kvmb_loop_add(struct kvmb_loop *l, int fd, uint32_t events,
					void (*fn)(void *arg, uint32_t events), void *arg)
{
	if (fd == ts.clock_fd) {
		ts_clock_fn = fn;
		ts_clock_arg = arg;
	}
	return __real_kvmb_loop_add(l, fd, events, fn, arg);
}

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
	hb.timer.fn(hb.timer.arg);
	assert_string_equal(kvmb_heartbeat_status(&hb), "lost-communication");
	seq++;
	m.payload = (u8 *)&seq;
	m.size = 8; /* the least a guest may send */
	reply(&m);
	assert_int_equal(hb.beats, 1);
	assert_int_equal(hb.app_state, 0);
	assert_string_equal(kvmb_heartbeat_status(&hb), "ok");
	m.size = 4;
	reply(&m);
	assert_int_equal(hb.beats, 1);
}

/* ---- heartbeat: when it is lost, and when it is not ---- */

static u32 told;
static enum kvmb_heartbeat_state told_from;
static bool waits_for_memory;

static void on_changed(void *arg, enum kvmb_heartbeat_state from)
{
	(void)arg;
	told++;
	told_from = from;
}

static bool is_excused(void *arg)
{
	(void)arg;
	return waits_for_memory;
}

/* The guest has been silent for @ms, and we have asked all the time. */
static void silence(u64 ms)
{
	hb.last_ms -= ms;
	hb.timer.fn(hb.timer.arg);
}

static void answer_beat(void)
{
	struct kvmb_icmsg m;
	u64 seq;

	next(&m, &(u64){ 0 });
	assert_int_equal(m.type, KVMB_IC_HEARTBEAT);
	memcpy(&seq, m.payload, sizeof(seq));
	seq++;
	m.flags = 5;
	m.payload = (u8 *)&seq;
	m.size = sizeof(seq);
	reply(&m);
}

static void listen_to_heartbeat(void)
{
	told = 0;
	waits_for_memory = false;
	hb.changed = on_changed;
	hb.excused = is_excused;
	negotiate(0, KVMB_IC_VERSION(3, 0));
	assert_int_equal(told, 1); /* it is there */
	told = 0;
}

static void heartbeat_loss_and_return_are_told_once(void **state)
{
	(void)state;
	listen_to_heartbeat();
	silence(KVMB_HEARTBEAT_LOST_MS - 1000);
	assert_int_equal(told, 0);
	silence(2000);
	silence(2000);
	assert_int_equal(told, 1);
	assert_int_equal(told_from, KVMB_HEARTBEAT_OK);
	assert_int_equal(hb.losses, 1);
	answer_beat();
	assert_int_equal(told, 2);
	assert_string_equal(kvmb_heartbeat_status(&hb), "ok");
	fake_close(&f, &c);
	assert_int_equal(told, 3);
	assert_string_equal(kvmb_heartbeat_status(&hb), "no-contact");
	hb.timer.fn(hb.timer.arg); /* nobody is there to be lost */
	assert_int_equal(told, 3);
}

/* All that keeps a guest from answering, or us from asking, is no fault of the guest. */
static void heartbeat_gets_its_whole_time_after_a_stop(void **state)
{
	(void)state;
	listen_to_heartbeat();
	kvmb_heartbeat_pause(&hb, true);
	silence(5 * KVMB_HEARTBEAT_LOST_MS);
	assert_string_equal(kvmb_heartbeat_status(&hb), "paused");
	kvmb_heartbeat_pause(&hb, false);
	silence(KVMB_HEARTBEAT_LOST_MS - 1000);
	hb.tick_ms -= 60000; /* this process was stopped */
	silence(60000);
	silence(KVMB_HEARTBEAT_LOST_MS - 1000);
	waits_for_memory = true;
	silence(5 * KVMB_HEARTBEAT_LOST_MS);
	waits_for_memory = false;
	silence(KVMB_HEARTBEAT_LOST_MS - 1000);
	assert_int_equal(told, 0);
	silence(2000);
	assert_int_equal(told, 1);
}

static void heartbeat_of_a_liar_is_no_contact(void **state)
{
	(void)state;
	listen_to_heartbeat();
	fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, "junk", 5);
	fake_run(&f);
	assert_string_equal(kvmb_heartbeat_status(&hb), "no-contact");
	silence(5 * KVMB_HEARTBEAT_LOST_MS);
	assert_int_equal(told, 1);
	assert_int_equal(hb.state, KVMB_HEARTBEAT_NO_CONTACT);
	fake_close(&f, &c);
	assert_int_equal(told, 1);
}

/* The answers of a guest that is well are read when we are awake anyway. */
static void heartbeat_that_is_well_wakes_nobody(void **state)
{
	const struct kvmb_chan_io *io;
	u64 wakes;
	int i;

	(void)state;
	listen_to_heartbeat();
	answer_beat(); /* the first one is news */
	assert_int_equal(hb.beats, 1);
	io = kvmb_chan_io(hb.ic.chan.ch);
	hb.timer.fn(hb.timer.arg);
	wakes = io->stats.wakes;
	for (i = 0; i < 20; i++) {
		answer_beat();
		assert_int_equal(hb.beats, (u64)i + 1);
		hb.timer.fn(hb.timer.arg);
		assert_int_equal(hb.beats, (u64)i + 2);
	}
	assert_int_equal(io->stats.wakes, wakes);
	silence(2 * KVMB_HEARTBEAT_LOST_MS);
	assert_string_equal(kvmb_heartbeat_status(&hb), "lost-communication");
	answer_beat(); /* and so is that it is back */
	assert_string_equal(kvmb_heartbeat_status(&hb), "ok");
	assert_int_equal(io->stats.wakes, wakes + 1);
}

/* What it sends unasked meanwhile is met by the next look, which it may not survive. */
static void heartbeat_liar_is_met_by_the_next_look(void **state)
{
	(void)state;
	listen_to_heartbeat();
	answer_beat();
	hb.timer.fn(hb.timer.arg);
	fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, "junk", 5);
	fake_run(&f);
	assert_int_equal(hb.ic.state, KVMB_IC_READY);
	kvmb_timer_cancel(&hb.timer); /* as one that fires */
	hb.timer.fn(hb.timer.arg);
	assert_int_equal(hb.ic.state, KVMB_IC_REFUSED);
	assert_string_equal(kvmb_heartbeat_status(&hb), "no-contact");
	assert_int_equal(hb.timer.due_ms, 0);
	fake_close(&f, &c);
}

/* ---- versions ---- */

static void ic_limit_is_the_newest_version_offered(void **state)
{
	struct kvmb_wire_ic_version v;
	struct kvmb_icmsg m;
	u16 counts[2];

	(void)state;
	assert_int_equal(kvmb_ic_limit(&ts.ic, KVMB_IC_VERSION(0, 9)), -EINVAL);
	assert_int_equal(kvmb_ic_limit(&ts.ic, KVMB_IC_VERSION(3, 5)), 0);
	assert_false(kvmb_ic_knows(&ts.ic, KVMB_IC_VERSION(4, 0)));
	asked_for_versions(2, &m);
	memcpy(counts, m.payload, sizeof(counts));
	assert_int_equal(counts[0], 2);
	assert_int_equal(counts[1], 2);
	memcpy(&v, m.payload + 8 + 3 * sizeof(v), sizeof(v));
	assert_int_equal(v.major, 3);
	reply_version(&m, KVMB_IC_VERSION(3, 0));
	assert_int_equal(ts.ic.state, KVMB_IC_READY);
}

static void ic_version_that_was_not_offered_is_refused(void **state)
{
	static const u32 versions[] = { KVMB_IC_VERSION(4, 0), KVMB_IC_VERSION(2, 0),
					KVMB_IC_VERSION(0xffff, 0xffff) };
	size_t i;

	(void)state;
	kvmb_ic_limit(&ts.ic, KVMB_IC_VERSION(3, 0));
	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		negotiate(2, versions[i]);
		assert_int_equal(ts.ic.state, KVMB_IC_REFUSED);
		fake_close(&f, &c);
	}
	negotiate(2, KVMB_IC_VERSION(1, 0)); /* the next guest is better */
	assert_int_equal(ts.ic.state, KVMB_IC_READY);
}

/* ---- on and off ---- */

static u32 lefts;

static void on_left(void *arg)
{
	assert_ptr_equal(arg, &hb);
	lefts++;
}

static void ic_off_and_on_again_while_others_work(void **state)
{
	const struct kvmb_wire_offer *o;
	struct kvmb_wire_relid m;
	int i;

	(void)state;
	lefts = 0;
	hb.ic.left = on_left;
	hb.ic.left_arg = &hb;
	m.relid = offers[0].relid;
	for (i = 0; i < 100; i++) {
		assert_int_equal(fake_open(&f, &c, le32_to_cpu(m.relid), 4), 0);
		kvmb_ic_revoke(&hb.ic);
		kvmb_ic_revoke(&hb.ic); /* twice is once */
		assert_string_equal(kvmb_heartbeat_status(&hb), "disabled");
		if (i & 1)
			kvmb_ic_offer(&hb.ic, f.bus); /* before it has left */
		fake_run(&f);
		assert_string_equal(kvmb_ic_state_name(&hb.ic), "leaving");
		assert_int_equal(lefts, i);
		assert_true(fake_teardown(&f, le32_to_cpu(m.relid), c.gpadl));
		fake_unmap(&c);
		fake_post(&f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m));
		assert_int_equal(lefts, i + 1);
		assert_string_equal(kvmb_ic_state_name(&hb.ic), "no guest driver");
		assert_int_equal(kvmb_ic_offer(&hb.ic, f.bus), 0);
		assert_int_equal(kvmb_ic_offer(&hb.ic, f.bus), 0);
		o = fake_next(&f, KVMB_MSG_OFFER);
		assert_non_null(o);
		m.relid = o->relid;
	}
	negotiate(1, KVMB_IC_VERSION(3, 2));
	assert_int_equal(sd.ic.state, KVMB_IC_READY);
}

static void ic_that_leaves_is_forgotten_with_its_guest(void **state)
{
	(void)state;
	negotiate(0, KVMB_IC_VERSION(3, 0));
	kvmb_ic_revoke(&hb.ic);
	kvmb_ic_offer(&hb.ic, f.bus);
	kvmb_ic_revoke(&hb.ic);
	kvmb_ic_offer(&hb.ic, f.bus);
	fake_run(&f);
	fake_unmap(&c);
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, offers, 3), 3); /* a new kernel */
	assert_int_equal(hb.ic.leaving, 0);
}

/* ---- shutdown ---- */

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

static void shutdown_text_and_hibernation(void **state)
{
	struct kvmb_wire_shutdown w;
	char text[4096];
	struct kvmb_icmsg m;
	u64 id;

	(void)state;
	negotiate(1, KVMB_IC_VERSION(3, 2));
	assert_int_equal(kvmb_shutdown_ask(&sd, 0, 5, "a\x80"), -EILSEQ);
	assert_int_equal(kvmb_shutdown_ask(&sd, 0, 5, "\xc0\x80"), -EILSEQ);
	assert_int_equal(kvmb_shutdown_ask(&sd, 0, 5, "\xed\xa0\x80"), -EILSEQ);
	assert_int_equal(kvmb_shutdown_ask(&sd, 0, 5, "\xf4\x90\x80\x80"), -EILSEQ);
	assert_int_equal(kvmb_shutdown_ask(&sd, 0, 5, "\xe2\x82"), -EILSEQ);
	memset(text, 'x', sizeof(text));
	text[1024] = 0;
	assert_int_equal(kvmb_shutdown_ask(&sd, 0, 5, text), -E2BIG);
	text[1023] = 0;
	assert_int_equal(kvmb_shutdown_ask(&sd, KVMB_SHUTDOWN_HIBERNATE, 5, text), 0);
	next(&m, &id);
	memcpy(&w, m.payload, sizeof(w));
	assert_int_equal(le32_to_cpu(w.flags), KVMB_SHUTDOWN_HIBERNATE);
	assert_int_equal(w.message[2044], 'x');
	assert_int_equal(w.message[2046], 0);
	m.flags = 5;
	m.status = 0;
	reply(&m);
	assert_int_equal(answered, 1);
	assert_int_equal(kvmb_shutdown_ask(&sd, 0, 5, "\xe2\x82\xac \xf0\x9f\x98\x80"), 0);
	next(&m, &id);
	memcpy(&w, m.payload, sizeof(w));
	assert_memory_equal(w.message, "\xac\x20 \0\x3d\xd8\x00\xde\0\0", 10);
}

static void shutdown_of_old_guests_has_no_hibernation(void **state)
{
	(void)state;
	negotiate(1, KVMB_IC_VERSION(3, 1));
	assert_int_equal(kvmb_shutdown_ask(&sd, KVMB_SHUTDOWN_HIBERNATE, 5, NULL), -EOPNOTSUPP);
	assert_int_equal(kvmb_shutdown_ask(&sd, KVMB_SHUTDOWN_RESTART, 5, NULL), 0);
}

/* Of a guest that never answers, or late, the next one is asked, and the late answer is none. */
static void shutdown_without_answer_can_be_asked_again(void **state)
{
	struct kvmb_icmsg m;
	u64 id;

	(void)state;
	negotiate(1, KVMB_IC_VERSION(3, 2));
	assert_int_equal(kvmb_shutdown_ask(&sd, 0, 5, NULL), 0);
	next(&m, &id);
	assert_int_equal(kvmb_shutdown_ask(&sd, 0, 5, NULL), -EAGAIN);
	sd.asked_ms -= KVMB_SHUTDOWN_ANSWER_MS;
	assert_int_equal(kvmb_shutdown_ask(&sd, KVMB_SHUTDOWN_RESTART, 5, NULL), 0);
	m.flags = 5;
	m.status = KVMB_IC_STATUS_FAIL;
	m.size = 0;
	reply(&m); /* late */
	assert_int_equal(answered, 0);
	assert_int_equal(kvmb_shutdown_ask(&sd, 0, 5, NULL), -EAGAIN);
	next(&m, &id);
	m.flags = 5;
	m.status = KVMB_IC_STATUS_FAIL;
	reply(&m);
	assert_int_equal(answered, KVMB_IC_STATUS_FAIL + 1);
	assert_int_equal(sd.status, KVMB_IC_STATUS_FAIL);
	assert_int_equal(sd.flags, KVMB_SHUTDOWN_RESTART);
}

/* ---- time sync ---- */

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

/* The host's clock is set: here the kernel's part is a descriptor that cannot be read. */
static void timesync_step_of_the_host_is_passed_on(void **state)
{
	struct kvmb_wire_timesync_v4 w;
	struct kvmb_icmsg m;
	u64 syncs;

	(void)state;
	assert_int_equal(kvmb_timesync_watch(&ts), 0);
	negotiate(2, KVMB_IC_VERSION(4, 0));
	next(&m, &(u64){ 0 });
	m.flags = 5;
	assert_true(ts.sync_due);
	reply(&m);
	assert_false(ts.sync_due);
	assert_true(ts.answer_ms < 60000);
	syncs = ts.syncs;
	fake_run(&f);
	assert_int_equal(ts.steps, 0);
	clock_was_set = true;
	ts_clock_fn(ts_clock_arg, EPOLLIN);
	assert_int_equal(ts.steps, 1);
	assert_int_equal(ts.syncs, syncs + 1);
	next(&m, &(u64){ 0 });
	memcpy(&w, m.payload, sizeof(w));
	assert_int_equal(w.flags, KVMB_TIMESYNC_SYNC);
	kvmb_timesync_pause(&ts, true);
	clock_was_set = true;
	ts_clock_fn(ts_clock_arg, EPOLLIN); /* the SYNC of the resume has it */
	assert_int_equal(ts.syncs, syncs + 1);
	kvmb_timesync_pause(&ts, false);
	assert_int_equal(ts.syncs, syncs + 2);
	kvmb_timesync_unwatch(&ts);
	kvmb_timesync_unwatch(&ts);
}

/* Before 4.0 a guest may say what its clock is. */
static void timesync_offset_is_what_the_guest_says(void **state)
{
	struct kvmb_wire_timesync_v1 v1;
	struct kvmb_icmsg m;

	(void)state;
	negotiate(2, KVMB_IC_VERSION(3, 0));
	next(&m, &(u64){ 0 });
	m.flags = 5;
	reply(&m); /* as Linux: nothing */
	assert_false(ts.has_offset);
	ts.timer.fn(ts.timer.arg);
	next(&m, &(u64){ 0 });
	memcpy(&v1, m.payload, sizeof(v1));
	v1.child_time = cpu_to_le64(le64_to_cpu(v1.parent_time) - 50000);
	m.flags = 5;
	m.payload = (u8 *)&v1;
	m.size = 8;
	reply(&m); /* too short to say it */
	assert_false(ts.has_offset);
	m.size = sizeof(v1);
	reply(&m);
	ts.timer.fn(ts.timer.arg); /* the answer to a sample is read with the next one */
	assert_true(ts.has_offset);
	assert_int_equal(ts.offset_100ns, -50000);
	fake_close(&f, &c);
	assert_false(ts.has_offset);
}

/* Two packets in one interrupt: Linux would stay one behind. */
static void timesync_sends_nothing_behind_an_unread_packet(void **state)
{
	struct kvmb_wire_timesync_v1 v1;
	struct kvmb_icmsg m;
	u64 events, syncs;

	(void)state;
	negotiate(2, KVMB_IC_VERSION(3, 0)); /* and a SYNC */
	syncs = ts.syncs;
	events = f.num_events;
	ts.timer.fn(ts.timer.arg);
	assert_int_equal(ts.samples, 0);
	assert_int_equal(f.num_events, events + 1); /* it is told again */
	kvmb_timesync_pause(&ts, true);
	kvmb_timesync_pause(&ts, false);
	assert_true(ts.owed);
	assert_int_equal(ts.syncs, syncs);
	assert_true(ts.timer.due_ms <= kvmb_now_ms() + KVMB_TIMESYNC_RETRY_MS);
	next(&m, &(u64){ 0 });
	ts.timer.fn(ts.timer.arg);
	assert_false(ts.owed);
	next(&m, &(u64){ 0 });
	memcpy(&v1, m.payload, sizeof(v1));
	assert_int_equal(v1.flags, KVMB_TIMESYNC_SYNC);
	assert_int_equal(ts.syncs, syncs + 1);
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
		T(heartbeat_loss_and_return_are_told_once),
		T(heartbeat_gets_its_whole_time_after_a_stop),
		T(heartbeat_of_a_liar_is_no_contact),
		T(heartbeat_that_is_well_wakes_nobody),
		T(heartbeat_liar_is_met_by_the_next_look),
		T(ic_limit_is_the_newest_version_offered),
		T(ic_version_that_was_not_offered_is_refused),
		T(ic_off_and_on_again_while_others_work),
		T(ic_that_leaves_is_forgotten_with_its_guest),
		T(shutdown_text_and_hibernation),
		T(shutdown_of_old_guests_has_no_hibernation),
		T(shutdown_without_answer_can_be_asked_again),
		T(timesync_step_of_the_host_is_passed_on),
		T(timesync_offset_is_what_the_guest_says),
		T(timesync_sends_nothing_behind_an_unread_packet),
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
