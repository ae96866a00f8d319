// SPDX-License-Identifier: GPL-2.0-only
/* A bus stands still: who is waited for, what waits, and what goes on all the same. */
#include "host-vsp/bus/bus_state.h"

#include <unistd.h>

#include "tests/harness/bus_fixture.h"

static u32 dones;

static void on_done(void *arg)
{
	assert_ptr_equal(arg, &f);
	assert_true(kvmb_bus_stands(f.bus));
	dones++;
}

static void pause_bus(void)
{
	dones = 0;
	kvmb_bus_pause(f.bus, on_done, &f);
	fake_run(&f);
}

static void resume_bus(void)
{
	kvmb_bus_resume(f.bus);
	fake_run(&f);
}

static u32 gpadl(u32 r)
{
	u32 id;

	return fake_gpadl(&f, r, 100, 4, &id);
}

static void pause_waits_for_each_provider(void **state)
{
	struct fake_chan a, b;

	(void)state;
	connect_all();
	assert_int_equal(fake_open(&f, &a, relid(0), 4), 0);
	assert_int_equal(fake_open(&f, &b, relid(1), 4), 0);
	assert_false(dev[0].opened_paused);
	dev[0].slow = dev[1].slow = true;
	pause_bus();
	assert_true(kvmb_bus_paused(f.bus));
	assert_int_equal(dones, 0);
	kvmb_chan_paused(dev[1].ch);
	fake_run(&f);
	assert_int_equal(dones, 0);
	kvmb_chan_paused(dev[0].ch);
	fake_run(&f);
	assert_int_equal(dones, 1);
	kvmb_chan_paused(dev[0].ch); /* twice is once */
	fake_run(&f);
	assert_int_equal(dones, 1);
	resume_bus();
	assert_false(kvmb_bus_paused(f.bus));
	assert_int_equal(dev[0].pauses, 1);
	assert_int_equal(dev[0].resumes, 1);
	assert_int_equal(dev[1].resumes, 1);
	fake_close(&f, &a);
	fake_close(&f, &b);
}

/* A provider without a thread stands as soon as it is told, one that is closed was not asked. */
static void pause_without_threads_is_done_at_once(void **state)
{
	static const struct kvmb_vsp_ops ops = {
		.name = "idle", .open = echo_open, .close = echo_close, .resume = echo_resume
	};
	struct fake_chan c;

	(void)state;
	dones = 0;
	kvmb_bus_pause(f.bus, on_done, &f); /* no guest at all */
	assert_int_equal(dones, 1);
	kvmb_bus_resume(f.bus);
	add_dev_with(2, &ops);
	assert_int_equal(connect_all(), 3);
	assert_int_equal(fake_open(&f, &c, relid(2), 4), 0);
	dones = 0;
	kvmb_bus_pause(f.bus, on_done, &f);
	assert_int_equal(dones, 1);
	resume_bus();
	assert_int_equal(dev[2].resumes, 1);
	assert_int_equal(dev[0].pauses + dev[0].resumes, 0);
	fake_close(&f, &c);
}

static void paused_messages_wait_in_the_queue(void **state)
{
	u32 i;

	(void)state;
	connect_all();
	pause_bus();
	assert_int_equal(dones, 1);
	assert_int_equal(gpadl(relid(0)), ~0u);
	assert_int_equal(f.bus->rx_len, 1);
	for (i = 1; i < KVMB_RX_QUEUE; i++)
		assert_int_equal(fake_post_raw(&f, offers, 8), KVMB_HV_STATUS_SUCCESS);
	assert_int_equal(fake_post_raw(&f, offers, 8), KVMB_HV_STATUS_INSUFFICIENT_BUFFERS);
	kvmb_bus_message_acked(f.bus);
	fake_run(&f);
	assert_int_equal(f.bus->rx_len, KVMB_RX_QUEUE);
	resume_bus();
	assert_non_null(fake_next(&f, KVMB_MSG_GPADL_CREATED));
	assert_int_equal(f.bus->rx_len, 0);
}

/* Somebody changed his mind; the provider's answer to the first question comes after the second. */
static void resume_before_done_cancels(void **state)
{
	struct fake_chan c;

	(void)state;
	connect_all();
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	dev[0].slow = true;
	pause_bus();
	resume_bus();
	assert_int_equal(dev[0].resumes, 1);
	kvmb_chan_paused(dev[0].ch);
	fake_run(&f);
	assert_int_equal(dones, 0);
	assert_int_equal(gpadl(relid(0)), 0);
	pause_bus();
	assert_int_equal(dones, 0); /* what was said of the first does not count */
	kvmb_chan_paused(dev[0].ch);
	fake_run(&f);
	assert_int_equal(dones, 1);
	resume_bus();
	fake_close(&f, &c);
}

static void pause_waits_for_a_channel_that_closes(void **state)
{
	struct kvmb_wire_relid m;
	struct fake_chan c;

	(void)state;
	connect_all();
	m.relid = cpu_to_le32(relid(0));
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	dev[0].late = true;
	fake_post(&f, KVMB_MSG_CLOSE, &m, sizeof(m));
	pause_bus();
	assert_int_equal(dev[0].pauses, 0); /* it is ending, do not disturb */
	assert_int_equal(dones, 0);
	kvmb_chan_closed(dev[0].ch);
	fake_run(&f);
	assert_int_equal(dones, 1);
	resume_bus();
	assert_int_equal(dev[0].resumes, 0);
	fake_unmap(&c);
}

static void pause_waits_for_a_disconnect(void **state)
{
	struct fake_chan c;
	u8 m[8] = { 0 };

	(void)state;
	connect_all();
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	dev[0].late = true;
	fake_post(&f, KVMB_MSG_UNLOAD, m, sizeof(m));
	pause_bus();
	assert_int_equal(dones, 0);
	assert_null(fake_next(&f, KVMB_MSG_UNLOAD_RESPONSE));
	kvmb_chan_closed(dev[0].ch);
	fake_run(&f);
	assert_int_equal(dones, 1);
	/* it was answered before all stood */
	assert_non_null(fake_next(&f, KVMB_MSG_UNLOAD_RESPONSE));
	resume_bus();
	fake_unmap(&c);
}

static void paused_revoke_is_told_at_resume(void **state)
{
	struct kvmb_wire_relid m = { 0 };
	struct kvmb_chan *ch = add_dev(2);
	struct fake_chan c;

	(void)state;
	connect_all();
	m.relid = cpu_to_le32(relid(2));
	assert_int_equal(fake_open(&f, &c, relid(2), 4), 0);
	dev[2].late = true;
	pause_bus();
	assert_int_equal(dones, 1);
	kvmb_bus_revoke(ch);
	fake_run(&f);
	assert_int_equal(dev[2].closes, 1);
	assert_false(kvmb_bus_stands(f.bus)); /* it is on the rings */
	kvmb_chan_closed(dev[2].ch);
	fake_run(&f);
	assert_true(kvmb_bus_stands(f.bus));
	assert_null(fake_next(&f, KVMB_MSG_RESCIND));
	assert_int_equal(f.bus->tx_len, 1);
	assert_int_equal(dones, 1);
	resume_bus();
	assert_non_null(fake_next(&f, KVMB_MSG_RESCIND));
	fake_post(&f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m));
	assert_int_equal(dev[2].released, 1);
	fake_unmap(&c);
}

static void note_reset(void *arg)
{
	++*(u32 *)arg;
}

/* The VM ends or is reset while all stand, or while one does not yet. */
static void reset_works_at_any_time(void **state)
{
	u32 resets = 0, round;
	struct fake_chan c;

	(void)state;
	for (round = 0; round < 2; round++) {
		connect_all();
		assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
		dev[0].slow = round;
		dev[0].late = true;
		pause_bus();
		assert_int_equal(dones, !round);
		kvmb_bus_reset(f.bus, note_reset, &resets);
		fake_run(&f);
		assert_int_equal(resets, round);
		kvmb_chan_closed(dev[0].ch);
		fake_run(&f);
		assert_int_equal(resets, round + 1);
		assert_int_equal(dones, 1); /* there is nobody who could move */
		resume_bus();
		assert_int_equal(dev[0].resumes, 0);
		fake_unmap(&c);
	}
}

static void paused_subs_are_offered_at_resume(void **state)
{
	struct fake_chan c;

	(void)state;
	connect_all();
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	pause_bus();
	kvmb_chan_offer_subs(dev[0].ch, 1); /* on its way when the provider stood */
	fake_run(&f);
	assert_null(f.bus->chans->next->next);
	assert_int_equal(f.bus->tx_len, 0);
	resume_bus();
	assert_non_null(fake_next(&f, KVMB_MSG_OFFER));
	fake_close(&f, &c);
}

/* 0.13: the bus itself clears bits in the guest's page. */
static void paused_old_guest_is_heard_at_resume(void **state)
{
	struct kvmb_wire_initiate_contact m = { .version = cpu_to_le32(KVMB_VERSION_WS2008) };
	u64 gpa = fake_alloc(&f, 1) << 12, one = 1, n = 0;
	u32 *page = fake_ptr(&f, gpa), i;
	struct fake_chan c;
	u8 req[8] = { 0 };

	(void)state;
	m.interrupt_page = cpu_to_le64(gpa);
	fake_post(&f, KVMB_MSG_INITIATE_CONTACT, &m, sizeof(m));
	fake_post(&f, KVMB_MSG_REQUEST_OFFERS, req, sizeof(req));
	memcpy(offers, fake_next(&f, KVMB_MSG_OFFER), sizeof(offers[0]));
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	pause_bus();
	page[512] = 1u << relid(0);
	for (i = 0; i < FAKE_MAX_CONNS; i++)
		if (f.conns[i].used && f.conns[i].id == KVMB_CONN_EVENT_OLD)
			assert_int_equal(write(f.conns[i].fd, &one, 8), 8);
	fake_run(&f);
	assert_int_equal(page[512], 1u << relid(0));
	assert_int_equal(read(kvmb_chan_io(dev[0].ch)->signal_fd, &n, 8), -1);
	resume_bus();
	assert_int_equal(page[512], 0);
	assert_int_equal(read(kvmb_chan_io(dev[0].ch)->signal_fd, &n, 8), 8);
	fake_close(&f, &c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pause_waits_for_each_provider),	  T(pause_without_threads_is_done_at_once),
		T(paused_messages_wait_in_the_queue),	  T(resume_before_done_cancels),
		T(pause_waits_for_a_channel_that_closes), T(pause_waits_for_a_disconnect),
		T(paused_revoke_is_told_at_resume),	  T(reset_works_at_any_time),
		T(paused_subs_are_offered_at_resume),	  T(paused_old_guest_is_heard_at_resume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
