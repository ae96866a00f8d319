// SPDX-License-Identifier: GPL-2.0-only
/*
 * VSS with a guest that answers well, badly, late, twice, or not at all: from the moment a FREEZE
 * was sent, every way out leads to a THAW.
 */
#include "ic-services/vss/vss_host.h"

#include <stdlib.h>

#include "host-vsp/bus/bus_state.h"
#include "ic-services/ic_state.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"
#include "vmbus-core/proto/vss.h"

#define OK KVMB_IC_STATUS_OK
#define FAIL KVMB_IC_STATUS_FAIL

static struct fake_vmm f;
static struct kvmb_vss v;
static struct kvmb_wire_offer offer;
static struct fake_chan c;
static int result; /* of freeze(): 1 = none came */
static u32 results;
static u8 buf[8192] __attribute__((aligned(8)));

static void on_done(void *arg, int err)
{
	assert_ptr_equal(arg, &result);
	results++;
	result = err;
}

/* ---- the guest ---- */

static bool take(struct kvmb_icmsg *m)
{
	struct kvmb_pkt pkt;

	fake_run(&f);
	if (kvmb_ring_peek(&c.rx, buf, sizeof(buf), &pkt))
		return false;
	kvmb_ring_skip(&c.rx, &pkt);
	kvmb_ring_release(&c.rx);
	assert_int_equal(kvmb_icmsg_parse(pkt.payload, pkt.payload_len, m), 0);
	return true;
}

static void send_answer(const struct kvmb_icmsg *m)
{
	u8 out[4096];
	u32 len = kvmb_icmsg_build(out, m);

	fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, out, len);
	fake_run(&f);
}

/* The next request is @op. */
static struct kvmb_icmsg expect_op(u8 op)
{
	struct kvmb_icmsg m;

	assert_true(take(&m));
	assert_int_equal(m.type, KVMB_IC_VSS);
	assert_int_equal(m.size, sizeof(struct kvmb_wire_vss));
	assert_int_equal(m.payload[0], op);
	m.flags = KVMB_IC_F_TRANSACTION | KVMB_IC_F_RESPONSE;
	return m;
}

static void answer_op(u8 op, u32 status)
{
	struct kvmb_icmsg m = expect_op(op);

	m.status = status;
	send_answer(&m);
}

static void says_nothing(void)
{
	struct kvmb_icmsg m;

	assert_false(take(&m));
}

static void fire(void)
{
	assert_true(v.timer.due_ms);
	kvmb_timer_cancel(&v.timer);
	v.timer.fn(v.timer.arg);
}

static void open_vss(void)
{
	struct {
		struct kvmb_wire_ic_negotiate n;
		struct kvmb_wire_ic_version v[2];
	} a = { { cpu_to_le16(1), cpu_to_le16(1), 0 },
		{ { cpu_to_le16(3), 0 }, { cpu_to_le16(5), 0 } } };
	struct kvmb_icmsg m;

	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 4), 0);
	assert_true(take(&m));
	assert_int_equal(m.type, KVMB_IC_NEGOTIATE);
	m.flags = KVMB_IC_F_TRANSACTION | KVMB_IC_F_RESPONSE;
	m.payload = (u8 *)&a;
	m.size = sizeof(a);
	send_answer(&m);
	assert_int_equal(v.ic.state, KVMB_IC_READY);
}

static void begin_process(void)
{
	fake_init(&f, KVMB_VERSION_NEWEST);
	kvmb_vss_init(&v, f.loop);
	kvmb_ic_offer(&v.ic, f.bus);
	result = 1;
	results = 0;
}

static int setup(void **state)
{
	(void)state;
	begin_process();
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_unmap(&c);
	kvmb_vss_fini(&v);
	fake_fini(&f);
	return 0;
}

static void ask_freeze(void)
{
	result = 1;
	results = 0;
	assert_int_equal(kvmb_vss_freeze(&v, on_done, &result), 0);
}

/* Up to here all is well. */
static void frozen(void)
{
	ask_freeze();
	answer_op(KVMB_VSS_HOT_BACKUP, OK);
	answer_op(KVMB_VSS_FREEZE, OK);
	assert_int_equal(result, 0);
	assert_true(kvmb_vss_frozen(&v));
}

static void thaws(void)
{
	answer_op(KVMB_VSS_THAW, OK);
	assert_int_equal(v.state, KVMB_VSS_IDLE);
	assert_false(v.timer.due_ms);
	says_nothing();
}

/* ---- tests ---- */

static void a_guest_freezes_and_thaws_again_and_again(void **state)
{
	int i;

	(void)state;
	assert_int_equal(kvmb_vss_freeze(&v, on_done, &result), -ENOTCONN);
	open_vss();
	assert_int_equal(v.ic.message, KVMB_IC_VERSION(5, 0));
	for (i = 0; i < 300; i++) { /* transactions are a byte */
		frozen();
		assert_int_equal(kvmb_vss_freeze(&v, on_done, &result), -EBUSY);
		says_nothing();
		kvmb_vss_thaw(&v);
		kvmb_vss_thaw(&v);
		thaws();
	}
	assert_int_equal(v.freezes, 300);
	assert_int_equal(v.thaws, 300);
	kvmb_vss_thaw(&v); /* nothing to thaw */
	says_nothing();
}

static void a_guest_without_a_daemon_is_not_frozen(void **state)
{
	(void)state;
	open_vss();
	ask_freeze();
	answer_op(KVMB_VSS_HOT_BACKUP, FAIL);
	assert_int_equal(result, -EOPNOTSUPP);
	assert_int_equal(v.state, KVMB_VSS_IDLE);
	says_nothing();
	frozen(); /* the daemon runs */
	kvmb_vss_thaw(&v);
	thaws();
}

static void a_guest_that_never_says_whether_it_can_is_left_alone(void **state)
{
	struct kvmb_icmsg late;

	(void)state;
	open_vss();
	ask_freeze();
	late = expect_op(KVMB_VSS_HOT_BACKUP);
	fire();
	assert_int_equal(result, -ETIMEDOUT);
	says_nothing();
	send_answer(&late); /* nobody asks any more */
	says_nothing();
	assert_int_equal(v.state, KVMB_VSS_IDLE);
	assert_int_equal(results, 1);
}

static void a_freeze_that_fails_is_thawed(void **state)
{
	(void)state;
	open_vss();
	ask_freeze();
	answer_op(KVMB_VSS_HOT_BACKUP, OK);
	answer_op(KVMB_VSS_FREEZE, FAIL);
	assert_int_equal(result, -EIO);
	thaws();
}

static void a_freeze_that_takes_too_long_is_thawed_whenever_it_comes(void **state)
{
	struct kvmb_icmsg late;

	(void)state;
	open_vss();
	ask_freeze();
	answer_op(KVMB_VSS_HOT_BACKUP, OK);
	late = expect_op(KVMB_VSS_FREEZE);
	fire();
	assert_int_equal(result, -ETIMEDOUT);
	assert_int_equal(kvmb_vss_freeze(&v, on_done, &result), -EBUSY);
	send_answer(&late); /* it is frozen now, and reads on */
	assert_int_equal(v.state, KVMB_VSS_THAWING);
	assert_int_equal(results, 1);
	thaws();
}

static void who_gives_up_while_it_freezes_is_thawed(void **state)
{
	(void)state;
	open_vss();
	ask_freeze();
	kvmb_vss_thaw(&v); /* it was only asked whether it can */
	expect_op(KVMB_VSS_HOT_BACKUP);
	says_nothing();
	assert_int_equal(v.state, KVMB_VSS_IDLE);
	ask_freeze();
	answer_op(KVMB_VSS_HOT_BACKUP, OK);
	kvmb_vss_thaw(&v);
	answer_op(KVMB_VSS_FREEZE, OK);
	assert_int_equal(result, 1); /* who gave up does not hear of it */
	thaws();
}

static void a_guest_that_nobody_thaws_is_thawed(void **state)
{
	(void)state;
	open_vss();
	frozen();
	fire();
	assert_false(kvmb_vss_frozen(&v));
	thaws();
	kvmb_vss_thaw(&v);
	says_nothing();
}

static void a_thaw_that_fails_is_asked_for_again_and_not_for_ever(void **state)
{
	int i;

	(void)state;
	open_vss();
	frozen();
	kvmb_vss_thaw(&v);
	for (i = 0; i < 10; i++) {
		answer_op(KVMB_VSS_THAW, FAIL);
		says_nothing();
		fire();
	}
	answer_op(KVMB_VSS_THAW, OK); /* the daemon is back */
	assert_int_equal(v.state, KVMB_VSS_IDLE);
	frozen();
	kvmb_vss_thaw(&v);
	v.thaw_since_ms -= (KVMB_VSS_THAW_S + 1) * 1000ull;
	answer_op(KVMB_VSS_THAW, FAIL);
	assert_int_equal(v.state, KVMB_VSS_IDLE);
	says_nothing();
}

static void answers_that_nobody_waits_for_do_nothing(void **state)
{
	struct kvmb_icmsg m, again;

	(void)state;
	open_vss();
	ask_freeze();
	m = expect_op(KVMB_VSS_HOT_BACKUP);
	again = m;
	again.transaction++; /* somebody else's */
	send_answer(&again);
	assert_int_equal(v.state, KVMB_VSS_CHECKING);
	send_answer(&m);
	assert_int_equal(v.state, KVMB_VSS_FREEZING);
	send_answer(&m); /* twice: no freeze */
	assert_int_equal(v.state, KVMB_VSS_FREEZING);
	m = expect_op(KVMB_VSS_FREEZE);
	m.size = 0; /* short: status is all that counts */
	send_answer(&m);
	assert_int_equal(v.state, KVMB_VSS_FROZEN);
	m.status = FAIL;
	send_answer(&m);
	assert_int_equal(v.state, KVMB_VSS_FROZEN);
	kvmb_vss_thaw(&v);
	send_answer(&m);
	assert_int_equal(v.state, KVMB_VSS_THAWING);
	thaws();
	assert_int_equal(results, 1);
}

/* At each step the driver goes, and comes back: what is owed is thawed. */
static void close_at(enum kvmb_vss_state at)
{
	ask_freeze();
	if (at >= KVMB_VSS_FREEZING)
		answer_op(KVMB_VSS_HOT_BACKUP, OK);
	if (at >= KVMB_VSS_FROZEN)
		answer_op(KVMB_VSS_FREEZE, OK);
	if (at == KVMB_VSS_THAWING)
		kvmb_vss_thaw(&v);
	assert_int_equal(v.state, at);
	fake_close(&f, &c);
	fake_run(&f);
	assert_false(kvmb_vss_frozen(&v));
	assert_int_equal(results, 1);
	assert_int_equal(result, at < KVMB_VSS_FROZEN ? -ECONNRESET : 0);
	open_vss();
	if (at >= KVMB_VSS_FREEZING)
		thaws();
	else
		says_nothing();
}

static void a_driver_that_goes_is_thawed_when_it_is_back(void **state)
{
	(void)state;
	open_vss();
	close_at(KVMB_VSS_CHECKING);
	close_at(KVMB_VSS_FREEZING);
	close_at(KVMB_VSS_FROZEN);
	close_at(KVMB_VSS_THAWING);
}

static void nonsense_ends_the_service_and_the_freeze(void **state)
{
	u8 junk[8] = { 0 };

	(void)state;
	open_vss();
	ask_freeze();
	answer_op(KVMB_VSS_HOT_BACKUP, OK);
	fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, junk, sizeof(junk));
	fake_run(&f);
	assert_int_equal(v.ic.state, KVMB_IC_REFUSED);
	fire();
	assert_int_equal(result, -ETIMEDOUT);
	assert_int_equal(kvmb_vss_freeze(&v, on_done, &result), -ENOTCONN);
	fake_close(&f, &c);
	fake_run(&f);
	open_vss();
	thaws();
}

static void stands(void *arg)
{
	(void)arg;
}

static void a_thaw_that_finds_the_bus_paused_comes_later(void **state)
{
	(void)state;
	open_vss();
	frozen();
	kvmb_bus_pause(f.bus, stands, NULL);
	kvmb_vss_thaw(&v);
	says_nothing();
	fire(); /* it tries, and stands */
	says_nothing();
	kvmb_bus_resume(f.bus);
	thaws();
}

/* ---- another process ---- */

static struct kvmb_heartbeat hb; /* closed, all three */
static struct kvmb_shutdown sd;
static struct kvmb_timesync ts;
static const struct kvmb_ic_services all = { &hb, &sd, &ts, .vss = &v };

static void begin_others(void)
{
	kvmb_heartbeat_init(&hb, f.loop);
	kvmb_shutdown_init(&sd, NULL, NULL);
	kvmb_timesync_init(&ts, f.loop, &f.vmm);
}

/* The guest's view of its rings, in the new memory. */
static void find_rings_again(void)
{
	u64 gfns[8];
	u32 i;

	fake_unmap(&c);
	for (i = 0; i < c.pages; i++)
		gfns[i] = c.first_gfn + i;
	assert_int_equal(kvmb_gm_map_ring(&f.gm, gfns, c.down, &c.map_tx), 0);
	assert_int_equal(kvmb_gm_map_ring(&f.gm, gfns + c.down, c.pages - c.down, &c.map_rx), 0);
	c.tx.ctrl = c.map_tx.ctrl;
	c.tx.data = c.map_tx.data;
	c.rx.ctrl = c.map_rx.ctrl;
	c.rx.data = c.map_rx.data;
}

static void move_process(void)
{
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv_error e = { 0 };
	u64 bytes = f.next_gfn << 12;
	struct kvmb_tlv t;
	size_t pos = 0;
	u8 *ram = malloc(bytes);

	begin_others();
	kvmb_bus_pause(f.bus, stands, NULL);
	kvmb_bus_save(f.bus, &o);
	kvmb_ic_save(&all, &o);
	assert_non_null(ram);
	memcpy(ram, f.view, bytes);
	kvmb_vss_fini(&v);
	fake_fini(&f);
	begin_process();
	begin_others();
	memcpy(f.view, ram, bytes);
	kvmb_bus_begin_load(f.bus);
	while (!e.err && !kvmb_tlv_next(o.buf, o.len, &pos, &t, &e)) {
		if (t.tag == KVMB_SEC_BUS)
			kvmb_bus_load(f.bus, &t);
		else
			kvmb_ic_load(&all, &t);
	}
	assert_int_equal(e.err, 0);
	find_rings_again();
	kvmb_tlv_out_fini(&o);
	free(ram);
}

static void who_is_saved_frozen_is_thawed_when_it_goes_on(void **state)
{
	(void)state;
	open_vss();
	frozen();
	move_process();
	assert_int_equal(v.state, KVMB_VSS_THAWING);
	says_nothing();
	kvmb_bus_resume(f.bus);
	thaws();
	frozen(); /* and all is as before */
	kvmb_vss_thaw(&v);
	thaws();
}

static void who_is_saved_while_it_freezes_is_thawed_too(void **state)
{
	struct kvmb_icmsg late;

	(void)state;
	open_vss();
	ask_freeze();
	answer_op(KVMB_VSS_HOT_BACKUP, OK);
	late = expect_op(KVMB_VSS_FREEZE);
	move_process();
	kvmb_bus_resume(f.bus);
	send_answer(&late);
	assert_int_equal(v.state, KVMB_VSS_THAWING);
	thaws();
}

static void who_is_saved_at_rest_is_asked_for_nothing(void **state)
{
	(void)state;
	open_vss();
	move_process();
	kvmb_bus_resume(f.bus);
	assert_int_equal(v.state, KVMB_VSS_IDLE);
	says_nothing();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_guest_freezes_and_thaws_again_and_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_guest_without_a_daemon_is_not_frozen, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			a_guest_that_never_says_whether_it_can_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(a_freeze_that_fails_is_thawed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_freeze_that_takes_too_long_is_thawed_whenever_it_comes, setup, teardown),
		cmocka_unit_test_setup_teardown(who_gives_up_while_it_freezes_is_thawed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_guest_that_nobody_thaws_is_thawed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			a_thaw_that_fails_is_asked_for_again_and_not_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_that_nobody_waits_for_do_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_driver_that_goes_is_thawed_when_it_is_back, setup,
						teardown),
		cmocka_unit_test_setup_teardown(nonsense_ends_the_service_and_the_freeze, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_thaw_that_finds_the_bus_paused_comes_later, setup,
						teardown),
		cmocka_unit_test_setup_teardown(who_is_saved_frozen_is_thawed_when_it_goes_on,
						setup, teardown),
		cmocka_unit_test_setup_teardown(who_is_saved_while_it_freezes_is_thawed_too, setup,
						teardown),
		cmocka_unit_test_setup_teardown(who_is_saved_at_rest_is_asked_for_nothing, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
