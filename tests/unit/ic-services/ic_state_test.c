// SPDX-License-Identifier: GPL-2.0-only
/* The integration services keep off a paused bus, and go on in another process. */
#include "ic-services/ic_state.h"

#include <stdlib.h>

#include "host-vsp/bus/bus_state.h"
#include "tests/harness/fake_vmm.h"
#include "tests/harness/tlv_edit.h"
#include "tests/unit/test.h"
#include "vmbus-core/proto/ic.h"

enum { HEARTBEAT, SHUTDOWN, TIMESYNC, NUM };

static struct fake_vmm f;
static struct kvmb_heartbeat hb;
static struct kvmb_shutdown sd;
static struct kvmb_timesync ts;
static const struct kvmb_ic_services all = { &hb, &sd, &ts };
static struct fake_chan c[NUM];
static u32 answered;
static u8 buf[8192] __attribute__((aligned(8)));

/* ---- the host ---- */

static void on_answer(void *arg, u32 status)
{
	(void)arg;
	answered = status + 1;
}

static void begin_process(void)
{
	fake_init(&f, KVMB_VERSION_NEWEST);
	kvmb_heartbeat_init(&hb, f.loop);
	kvmb_shutdown_init(&sd, on_answer, NULL);
	kvmb_timesync_init(&ts, f.loop, &f.vmm);
	kvmb_ic_offer(&hb.ic, f.bus);
	kvmb_ic_offer(&sd.ic, f.bus);
	kvmb_ic_offer(&ts.ic, f.bus);
	answered = 0;
}

static void stands(void *arg)
{
	(void)arg; /* there is no thread to wait for: at once */
}

/* A paused VM, and its bus after it. */
static void pause_all(void)
{
	kvmb_heartbeat_pause(&hb, true);
	kvmb_timesync_pause(&ts, true);
	kvmb_bus_pause(f.bus, stands, NULL);
	assert_true(kvmb_bus_stands(f.bus));
}

static void resume_all(void)
{
	kvmb_bus_resume(f.bus);
	kvmb_heartbeat_pause(&hb, false);
	kvmb_timesync_pause(&ts, false);
}

/* ---- the guest ---- */

static void next(int i, struct kvmb_icmsg *m)
{
	struct kvmb_pkt pkt;

	assert_int_equal(fake_recv(&f, &c[i], buf, sizeof(buf), &pkt), 0);
	assert_int_equal(kvmb_icmsg_parse(pkt.payload, pkt.payload_len, m), 0);
}

static bool anything_for_guest(int i)
{
	struct kvmb_pkt pkt;

	return !kvmb_ring_peek(&c[i].rx, buf, sizeof(buf), &pkt);
}

static void reply(int i, const struct kvmb_icmsg *m)
{
	u8 out[4096];
	u32 len = kvmb_icmsg_build(out, m);

	fake_send(&f, &c[i], KVMB_PKT_INBAND, 0, 0, NULL, 0, out, len);
	fake_run(&f);
}

static void reply_version(int i, u32 version)
{
	struct {
		struct kvmb_wire_ic_negotiate n;
		struct kvmb_wire_ic_version v[2];
	} a = { { cpu_to_le16(1), cpu_to_le16(1), 0 },
		{ { cpu_to_le16(3), 0 },
		  { cpu_to_le16((u16)(version >> 16)), cpu_to_le16((u16)version) } } };
	struct kvmb_icmsg m;

	next(i, &m);
	assert_int_equal(m.type, KVMB_IC_NEGOTIATE);
	m.flags = 5;
	m.payload = (u8 *)&a;
	m.size = sizeof(a);
	reply(i, &m);
}

static void reply_beat(const struct kvmb_icmsg *asked)
{
	struct kvmb_icmsg m = *asked;
	u64 seq;

	assert_int_equal(m.type, KVMB_IC_HEARTBEAT);
	memcpy(&seq, m.payload, sizeof(seq));
	seq++;
	m.flags = 5;
	m.payload = (u8 *)&seq;
	m.size = sizeof(seq);
	reply(HEARTBEAT, &m);
}

static u32 flags_of_time(void)
{
	struct kvmb_wire_timesync_v4 w;
	struct kvmb_icmsg m;

	next(TIMESYNC, &m);
	assert_int_equal(m.type, KVMB_IC_TIMESYNC);
	memcpy(&w, m.payload, sizeof(w));
	return w.flags;
}

static int setup(void **state)
{
	struct kvmb_wire_offer offers[NUM];
	int i;

	(void)state;
	begin_process();
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, offers, NUM), NUM);
	for (i = 0; i < NUM; i++)
		assert_int_equal(fake_open(&f, &c[i], le32_to_cpu(offers[i].relid), 4), 0);
	return 0;
}

static int teardown(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < NUM; i++)
		fake_unmap(&c[i]);
	fake_fini(&f);
	return 0;
}

static void bring_up(void)
{
	reply_version(HEARTBEAT, KVMB_IC_VERSION(3, 0));
	reply_version(SHUTDOWN, KVMB_IC_VERSION(3, 2));
	reply_version(TIMESYNC, KVMB_IC_VERSION(4, 0));
	assert_int_equal(flags_of_time(), KVMB_TIMESYNC_SYNC);
}

/* ---- a paused bus ---- */

static void ic_paused_bus_is_not_touched(void **state)
{
	struct kvmb_icmsg m;
	u64 beats;

	(void)state;
	bring_up();
	next(HEARTBEAT, &m);
	beats = hb.beats;
	pause_all();
	reply_beat(&m); /* the guest's last word */
	assert_int_equal(hb.beats, beats);
	kvmb_heartbeat_pause(&hb, false); /* whatever else goes on */
	kvmb_timesync_pause(&ts, false);
	hb.timer.fn(hb.timer.arg);
	ts.timer.fn(ts.timer.arg);
	assert_int_equal(kvmb_shutdown_request(&sd, false, 5), -EAGAIN);
	assert_false(anything_for_guest(HEARTBEAT));
	assert_false(anything_for_guest(SHUTDOWN));
	assert_false(anything_for_guest(TIMESYNC));
	kvmb_bus_resume(f.bus);
	assert_int_equal(hb.beats, beats + 1);
	assert_int_equal(flags_of_time(), KVMB_TIMESYNC_SYNC);
	hb.timer.fn(hb.timer.arg);
	next(HEARTBEAT, &m);
	reply_beat(&m);
	hb.timer.fn(hb.timer.arg); /* it is read with the next question */
	assert_int_equal(hb.beats, beats + 2);
}

/* ---- another process ---- */

static struct {
	struct kvmb_tlv_out o;
	u8 *ram;
	u64 next_gfn;
} file;

static void save_to_file(void)
{
	kvmb_bus_save(f.bus, &file.o);
	kvmb_ic_save(&all, &file.o);
	file.next_gfn = f.next_gfn;
	file.ram = malloc(f.next_gfn << 12);
	assert_non_null(file.ram);
	memcpy(file.ram, f.view, f.next_gfn << 12);
}

static int forget_file(void **state)
{
	kvmb_tlv_out_fini(&file.o);
	free(file.ram);
	file.ram = NULL;
	return teardown(state);
}

static int load_from(const u8 *p, size_t len, char *why)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;

	begin_process();
	memcpy(f.view, file.ram, file.next_gfn << 12);
	kvmb_bus_begin_load(f.bus);
	while (!e.err && !kvmb_tlv_next(p, len, &pos, &t, &e)) {
		if (t.tag == KVMB_SEC_BUS)
			kvmb_bus_load(f.bus, &t);
		else
			kvmb_ic_load(&all, &t);
	}
	if (why)
		memcpy(why, e.text, sizeof(e.text));
	return e.err;
}

/* The guest's view of its rings, in the new memory. */
static void find_rings_again(void)
{
	struct fake_chan *ch;
	u64 gfns[8];
	u32 i;

	for (ch = c; ch < c + NUM; ch++) {
		fake_unmap(ch);
		for (i = 0; i < ch->pages; i++)
			gfns[i] = ch->first_gfn + i;
		assert_int_equal(kvmb_gm_map_ring(&f.gm, gfns, ch->down, &ch->map_tx), 0);
		assert_int_equal(kvmb_gm_map_ring(&f.gm, gfns + ch->down, ch->pages - ch->down,
						  &ch->map_rx),
				 0);
		ch->tx.ctrl = ch->map_tx.ctrl;
		ch->tx.data = ch->map_tx.data;
		ch->rx.ctrl = ch->map_rx.ctrl;
		ch->rx.data = ch->map_rx.data;
	}
}

static void move_bus(void)
{
	kvmb_bus_pause(f.bus, stands, NULL);
	save_to_file();
	fake_fini(&f);
	assert_int_equal(load_from(file.o.buf, file.o.len, NULL), 0);
	find_rings_again();
}

static void move(void)
{
	kvmb_heartbeat_pause(&hb, true);
	kvmb_timesync_pause(&ts, true);
	move_bus();
}

static void ic_conversations_go_on(void **state)
{
	struct kvmb_icmsg beat, down;
	u64 beats, number;
	u8 transaction;

	(void)state;
	bring_up();
	next(HEARTBEAT, &beat);
	reply_beat(&beat);
	hb.timer.fn(hb.timer.arg);
	next(HEARTBEAT, &beat); /* the guest takes the question along */
	memcpy(&number, beat.payload, sizeof(number));
	beat.payload = (u8 *)&number;
	beats = hb.beats;
	assert_int_equal(kvmb_shutdown_request(&sd, false, 5), 0);
	next(SHUTDOWN, &down);
	transaction = sd.ic.transaction;
	move();
	assert_string_equal(kvmb_heartbeat_status(&hb), "paused");
	assert_int_equal(sd.ic.transaction, transaction);
	resume_all();
	assert_string_equal(kvmb_heartbeat_status(&hb), "ok");
	assert_int_equal(flags_of_time(), KVMB_TIMESYNC_SYNC); /* the clock's step, at once */
	assert_false(anything_for_guest(TIMESYNC));
	assert_false(anything_for_guest(HEARTBEAT)); /* no second question, no new versions */
	reply_beat(&beat);
	assert_int_equal(hb.beats, beats + 1);
	assert_true(hb.timer.due_ms && ts.timer.due_ms);
	assert_int_equal(kvmb_shutdown_request(&sd, false, 5), -EAGAIN);
	down.flags = 5;
	down.status = KVMB_IC_STATUS_FAIL;
	reply(SHUTDOWN, &down);
	assert_int_equal(answered, KVMB_IC_STATUS_FAIL + 1);
	assert_int_equal(kvmb_shutdown_request(&sd, false, 5), 0);
}

static void ic_resumed_before_its_bus_steps_the_clock(void **state)
{
	(void)state;
	bring_up();
	move();
	kvmb_heartbeat_pause(&hb, false);
	kvmb_timesync_pause(&ts, false);
	assert_false(anything_for_guest(TIMESYNC));
	kvmb_bus_resume(f.bus);
	assert_int_equal(flags_of_time(), KVMB_TIMESYNC_SYNC);
	assert_false(anything_for_guest(TIMESYNC));
}

/* Nobody says that the VM goes on, but its bus does. */
static void ic_unpaused_guest_steps_its_clock(void **state)
{
	(void)state;
	bring_up();
	move_bus();
	kvmb_bus_resume(f.bus);
	assert_int_equal(flags_of_time(), KVMB_TIMESYNC_SYNC);
	assert_false(anything_for_guest(TIMESYNC));
}

static void ic_negotiation_goes_on(void **state)
{
	(void)state;
	fake_send(&f, &c[SHUTDOWN], KVMB_PKT_INBAND, 0, 0, NULL, 0, "junk", 5);
	fake_run(&f);
	assert_int_equal(sd.ic.state, KVMB_IC_REFUSED);
	move();
	resume_all();
	assert_int_equal(sd.ic.state, KVMB_IC_REFUSED);
	assert_int_equal(ts.ic.state, KVMB_IC_NEGOTIATING);
	reply_version(TIMESYNC, KVMB_IC_VERSION(4, 0)); /* of the question from before */
	assert_int_equal(ts.ic.state, KVMB_IC_READY);
	assert_int_equal(flags_of_time(), KVMB_TIMESYNC_SYNC);
}

/* A guest without its drivers has none afterwards. */
static void ic_closed_stays_closed(void **state)
{
	int i;

	(void)state;
	bring_up();
	for (i = 0; i < NUM; i++)
		fake_close(&f, &c[i]);
	pause_all();
	save_to_file();
	fake_fini(&f);
	assert_int_equal(load_from(file.o.buf, file.o.len, NULL), 0);
	resume_all();
	assert_string_equal(kvmb_heartbeat_status(&hb), "no-contact");
	for (i = 0; i < NUM; i++)
		memset(&c[i], 0, sizeof(c[i]));
}

static void ic_hostile_sections_are_refused(void **state)
{
	static const struct {
		u32 instance;
		unsigned int path[2];
		u64 value;
	} fields[] = {
		{ 1, { 1 }, KVMB_IC_NUM_STATES },
		{ 1, { 1 }, KVMB_IC_CLOSED }, /* it is open */
		{ 1, { 2 }, 1ull << 32 },
		{ 1, { 3 }, 0 },
		{ 3, { 3 }, KVMB_IC_VERSION(5, 0) },
		{ 1, { 4 }, 256 },
		{ 2, { 5 }, 2 },
		{ 1, { 18 }, 2 },
		{ 3, { 18 }, 2 },
		{ 2, { 19 }, 2 },
	};
	struct tlv_at at;
	size_t len;
	u32 i, k;
	u8 *p;

	(void)state;
	bring_up();
	pause_all();
	save_to_file();
	fake_fini(&f);
	for (i = 0; i < 2 * ARRAY_SIZE(fields); i++) { /* wrong, and missing */
		k = i / 2;
		len = file.o.len;
		p = malloc(len);
		assert_non_null(p);
		memcpy(p, file.o.buf, len);
		at = tlv_path(p, len, KVMB_SEC_IC, fields[k].instance, fields[k].path);
		tlv_replace(&p, &len, &at, i & 1 ? NULL : &fields[k].value, 8);
		if (!load_from(p, len, NULL))
			fail_msg("%u of the table, %s", k, i & 1 ? "missing" : "wrong");
		fake_fini(&f);
		free(p);
	}
	assert_int_equal(load_from(file.o.buf, file.o.len, NULL), 0);
}

static void ic_second_section_is_refused(void **state)
{
	char why[200];
	size_t ic, len;
	u8 *p;

	(void)state;
	bring_up();
	pause_all();
	save_to_file();
	fake_fini(&f);
	ic = tlv_section(file.o.buf, file.o.len, KVMB_SEC_IC, KVMB_IC_IS_HEARTBEAT);
	len = 2 * file.o.len - ic;
	p = malloc(len);
	assert_non_null(p);
	memcpy(p, file.o.buf, file.o.len);
	memcpy(p + file.o.len, file.o.buf + ic, file.o.len - ic);
	assert_int_not_equal(load_from(p, len, why), 0);
	assert_string_equal(why, "section ic 1: field 1: it comes too late, or twice");
	fake_fini(&f);
	memcpy(p, file.o.buf, file.o.len);
	memcpy(p + ic + 4, &(u32){ 4 }, 4); /* a service that there is not */
	tlv_seal(p, ic);
	assert_int_not_equal(load_from(p, file.o.len, why), 0);
	assert_string_equal(why, "section ic 4: field 1: no such service");
	free(p);
}

/* A service is one channel's: a second one of it would be an assertion, when the guest opens it. */
static void ic_sub_channels_are_refused(void **state)
{
	static const unsigned int subs[] = { 8, 9, 0 }; /* channel, sub-channels: bus_state.c */
	const u64 one = 1;
	struct tlv_at at;
	char why[200];
	size_t len;
	u8 *p;

	(void)state;
	bring_up();
	pause_all();
	save_to_file();
	fake_fini(&f);
	len = file.o.len;
	p = malloc(len);
	assert_non_null(p);
	memcpy(p, file.o.buf, len);
	at = tlv_path(p, len, KVMB_SEC_BUS, 0, subs);
	tlv_replace(&p, &len, &at, &one, sizeof(one));
	assert_int_not_equal(load_from(p, len, why), 0);
	assert_string_equal(why, "section bus 0: field 9: such a device has no sub-channels");
	free(p);
}

#define MOVED(name) cmocka_unit_test_setup_teardown(name, setup, forget_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ic_paused_bus_is_not_touched),
		MOVED(ic_conversations_go_on),
		MOVED(ic_resumed_before_its_bus_steps_the_clock),
		MOVED(ic_unpaused_guest_steps_its_clock),
		MOVED(ic_negotiation_goes_on),
		MOVED(ic_closed_stays_closed),
		MOVED(ic_hostile_sections_are_refused),
		MOVED(ic_second_section_is_refused),
		MOVED(ic_sub_channels_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
