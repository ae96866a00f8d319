// SPDX-License-Identifier: GPL-2.0-only
/* File copy into a guest that writes it, and into one that lies. */
#include "ic-services/fcopy/fcopy_host.h"

#include "host-vsp/bus/bus_state.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"

static struct fake_vmm f;
static struct kvmb_fcopy fc;
static struct fake_chan c;
static u32 relid; /* 0: not connected */
static u8 buf[16384] __attribute__((aligned(8)));
static struct kvmb_icmsg asked;
static union {
	struct kvmb_wire_fcopy h;
	struct kvmb_wire_fcopy_start start;
	struct kvmb_wire_fcopy_write write;
} q;
static u8 file[20000];
static u32 fed, wants, dones, status;
static int err;
static bool kept;

static void want(void *arg)
{
	(void)arg;
	wants++;
}

static void done(void *arg, int e, u32 s, bool k)
{
	(void)arg;
	err = e;
	status = s;
	kept = k;
	dones++;
}

static const struct kvmb_fcopy_ops ops = { .wants = want, .done = done };

static int setup(void **state)
{
	(void)state;
	fake_init(&f, KVMB_VERSION_NEWEST);
	relid = 0;
	kvmb_fcopy_init(&fc, f.loop);
	kvmb_ic_offer(&fc.ic, f.bus);
	fed = wants = dones = status = 0;
	err = 0;
	kept = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_unmap(&c);
	kvmb_fcopy_fini(&fc);
	fake_fini(&f);
	return 0;
}

static void send_answer(const struct kvmb_icmsg *m)
{
	u8 out[8192];

	fake_send(&f, &c, KVMB_PKT_INBAND, 0, ~0ull, NULL, 0, out, kvmb_icmsg_build(out, m));
	fake_run(&f);
}

static bool next(void)
{
	struct kvmb_pkt pkt;

	if (fake_recv_within(&f, &c, buf, sizeof(buf), &pkt, 0))
		return false;
	assert_int_equal(kvmb_icmsg_parse(pkt.payload, pkt.payload_len, &asked), 0);
	if (asked.type == KVMB_IC_FCOPY)
		memcpy(&q, asked.payload, asked.size);
	return true;
}

static void answer(u32 s)
{
	struct kvmb_icmsg m = asked;

	m.flags = 5;
	m.status = s;
	send_answer(&m);
}

/* The newer daemon has a ring of 16 KiB with its control page, and knows 1.1 alone. */
static void open_it(void)
{
	struct {
		struct kvmb_wire_ic_negotiate n;
		struct kvmb_wire_ic_version v[2];
	} a = { { cpu_to_le16(1), cpu_to_le16(1), 0 },
		{ { cpu_to_le16(3), 0 }, { cpu_to_le16(1), cpu_to_le16(1) } } };
	struct kvmb_wire_offer offer;
	struct kvmb_icmsg m;

	if (!relid) {
		assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 1);
		relid = le32_to_cpu(offer.relid);
	}
	assert_int_equal(fake_open(&f, &c, relid, 4), 0);
	assert_true(next());
	m = asked;
	m.flags = 5;
	m.payload = (u8 *)&a;
	m.size = sizeof(a);
	send_answer(&m);
	assert_int_equal(fc.ic.state, KVMB_IC_READY);
}

static int start(u64 size, u32 flags)
{
	const struct kvmb_fcopy_file what = { "/tmp", "name", flags, size };

	return kvmb_fcopy_start(&fc, &what, &ops, NULL);
}

/* Feed @n bytes, and be the guest that takes them. */
static void feed(u32 n)
{
	u32 at = 0, size;

	kvmb_fcopy_feed(&fc, file + fed, n);
	while (at < n) {
		assert_true(next());
		assert_int_equal(le32_to_cpu(q.h.operation), KVMB_FCOPY_WRITE);
		assert_int_equal(asked.size, 6196);
		assert_int_equal(le64_to_cpu(q.write.offset), fed + at);
		size = le32_to_cpu(q.write.size);
		assert_true(size && size <= KVMB_FCOPY_DATA && size <= n - at);
		assert_memory_equal(q.write.data, file + fed + at, size);
		answer(KVMB_IC_STATUS_OK);
		at += size;
	}
	fed += n;
}

static void expect(enum kvmb_fcopy_operation op)
{
	assert_true(next());
	assert_int_equal(le32_to_cpu(q.h.operation), op);
}

static void fcopy_brings_every_byte(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i < sizeof(file); i++)
		file[i] = (u8)(i * 7 + (i >> 8));
	assert_int_equal(start(sizeof(file), 0), -ENOTCONN);
	open_it();
	assert_int_equal(start(sizeof(file), KVMB_FCOPY_OVERWRITE | KVMB_FCOPY_MAKE_PATH), 0);
	assert_int_equal(start(1, 0), -EBUSY);
	expect(KVMB_FCOPY_START);
	assert_int_equal(asked.size, 1088);
	assert_memory_equal(q.start.path, "/\0t\0m\0p\0/\0\0\0", 12);
	assert_memory_equal(q.start.file, "n\0a\0m\0e\0\0\0", 10);
	assert_int_equal(le32_to_cpu(q.start.flags), 3);
	assert_int_equal(le64_to_cpu(q.start.size), sizeof(file));
	answer(KVMB_IC_STATUS_OK);
	assert_int_equal(wants, 1);
	feed(13000);
	assert_int_equal(wants, 2);
	feed(1);
	feed(sizeof(file) - 13001);
	assert_int_equal(wants, 3);
	expect(KVMB_FCOPY_COMPLETE);
	answer(KVMB_IC_STATUS_OK);
	assert_int_equal(dones, 1);
	assert_int_equal(err, 0);
	assert_int_equal(status, 0);
	assert_int_equal(fc.state, KVMB_FCOPY_IS_IDLE);
	assert_int_equal(start(0, 0), 0); /* an empty file, and the next one works */
	expect(KVMB_FCOPY_START);
	answer(KVMB_IC_STATUS_OK);
	expect(KVMB_FCOPY_COMPLETE);
	answer(KVMB_IC_STATUS_OK);
	assert_int_equal(dones, 2);
}

static void fcopy_file_that_exists_is_no_part(void **state)
{
	(void)state;
	open_it();
	start(10, 0);
	expect(KVMB_FCOPY_START);
	answer(0x80070050);
	assert_int_equal(dones, 1);
	assert_int_equal(status, 0x80070050);
	assert_false(kept);
	assert_false(next()); /* nothing is cancelled that has not begun */
	assert_string_equal(kvmb_ic_status_text(status), "it exists already");
}

static void fcopy_full_disk_is_cancelled_first(void **state)
{
	(void)state;
	open_it();
	start(sizeof(file), 0);
	expect(KVMB_FCOPY_START);
	answer(KVMB_IC_STATUS_OK);
	kvmb_fcopy_feed(&fc, file, 10000);
	expect(KVMB_FCOPY_WRITE);
	answer(0x80070070);
	assert_int_equal(dones, 0);
	expect(KVMB_FCOPY_CANCEL);
	answer(KVMB_IC_STATUS_FAIL); /* the newer daemon of Linux cannot */
	assert_int_equal(dones, 1);
	assert_int_equal(err, 0);
	assert_int_equal(status, 0x80070070);
	assert_true(kept);
}

static void fcopy_silent_guest_is_given_up(void **state)
{
	(void)state;
	open_it();
	start(10, 0);
	expect(KVMB_FCOPY_START);
	fc.ask.until_ms = 1;
	fc.ask.timer.fn(fc.ask.timer.arg);
	expect(KVMB_FCOPY_CANCEL);
	fc.ask.until_ms = 1;
	fc.ask.timer.fn(fc.ask.timer.arg);
	assert_int_equal(dones, 1);
	assert_int_equal(err, -ETIMEDOUT);
	assert_true(kept);
	answer(KVMB_IC_STATUS_OK); /* too late, for anything */
	assert_int_equal(start(10, 0), 0);
	answer(KVMB_IC_STATUS_OK);
	assert_int_equal(fc.state, KVMB_FCOPY_IS_STARTING);
}

static void fcopy_cancel_at_any_time(void **state)
{
	int at;

	(void)state;
	open_it();
	kvmb_fcopy_cancel(&fc, -ECANCELED); /* nothing is copied */
	assert_int_equal(dones, 0);
	for (at = 0; at < 4; at++) {
		dones = 0;
		assert_int_equal(start(10, 0), 0);
		expect(KVMB_FCOPY_START);
		if (at > 0)
			answer(KVMB_IC_STATUS_OK);
		if (at > 1)
			kvmb_fcopy_feed(&fc, file, 10);
		if (at > 1)
			expect(KVMB_FCOPY_WRITE);
		if (at > 2) {
			answer(KVMB_IC_STATUS_OK);
			expect(KVMB_FCOPY_COMPLETE);
		}
		kvmb_fcopy_cancel(&fc, -ECANCELED);
		kvmb_fcopy_cancel(&fc, -EIO); /* once is enough */
		if (at != 1)
			answer(KVMB_IC_STATUS_OK); /* what the guest was at */
		assert_int_equal(dones, 0);
		expect(KVMB_FCOPY_CANCEL);
		answer(KVMB_IC_STATUS_OK);
		assert_int_equal(dones, 1);
		assert_int_equal(err, -ECANCELED);
		assert_false(kept);
	}
}

static void fcopy_guest_that_goes_ends_it(void **state)
{
	int at;

	(void)state;
	for (at = 0; at < 3; at++) {
		dones = 0;
		open_it();
		start(10, 0);
		expect(KVMB_FCOPY_START);
		if (at > 0)
			answer(KVMB_IC_STATUS_OK);
		if (at > 1)
			kvmb_fcopy_feed(&fc, file, 10);
		fake_close(&f, &c);
		assert_int_equal(dones, 1);
		assert_int_equal(err, -ENOTCONN);
		assert_int_equal(fc.state, KVMB_FCOPY_IS_IDLE);
	}
}

static void stands(void *arg)
{
	(void)arg;
}

static void fcopy_paused_bus_waits(void **state)
{
	(void)state;
	open_it();
	start(10, 0);
	expect(KVMB_FCOPY_START);
	answer(KVMB_IC_STATUS_OK);
	kvmb_bus_pause(f.bus, stands, NULL);
	kvmb_fcopy_feed(&fc, file, 10);
	fc.ask.timer.fn(fc.ask.timer.arg);
	assert_true(kvmb_ring_used(&c.rx, false) == 0);
	kvmb_bus_resume(f.bus);
	expect(KVMB_FCOPY_WRITE);
	answer(KVMB_IC_STATUS_OK);
	expect(KVMB_FCOPY_COMPLETE);
	answer(KVMB_IC_STATUS_OK);
	assert_int_equal(dones, 1);
	/* what another process began is forgotten by the guest */
	fc.owes_cancel = true;
	kvmb_bus_pause(f.bus, stands, NULL);
	kvmb_bus_resume(f.bus);
	expect(KVMB_FCOPY_CANCEL);
	assert_int_equal(start(10, 0), -EBUSY);
	answer(KVMB_IC_STATUS_OK);
	assert_int_equal(dones, 1);
	assert_int_equal(start(10, 0), 0);
}

static void fcopy_names_have_limits(void **state)
{
	char name[300];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[251] = 0;
	assert_null(kvmb_fcopy_check("/tmp", name));
	name[251] = 'n';
	name[252] = 0;
	assert_non_null(kvmb_fcopy_check("/tmp", name));
	assert_non_null(kvmb_fcopy_check("tmp", "a"));
	assert_non_null(kvmb_fcopy_check("/tmp", ""));
	assert_non_null(kvmb_fcopy_check("/tmp", ".."));
	assert_non_null(kvmb_fcopy_check("/tmp", "\xc3"));
	assert_null(kvmb_fcopy_check("C:\\tmp", "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(fcopy_brings_every_byte),
		T(fcopy_file_that_exists_is_no_part),
		T(fcopy_full_disk_is_cancelled_first),
		T(fcopy_silent_guest_is_given_up),
		T(fcopy_cancel_at_any_time),
		T(fcopy_guest_that_goes_ends_it),
		T(fcopy_paused_bus_waits),
		T(fcopy_names_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
