// SPDX-License-Identifier: GPL-2.0-only
/*
 * The serial port as drivers use it: Linux 6.1 drivers/tty/serial/8250/8250_port.c, and the
 * PC16550D data sheet.
 */
#include "machine/dev/serial.h"

#include <errno.h>
#include <string.h>

#include "lib/tlv.h"
#include "tests/unit/test.h"

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct serial *s;
static int line;
static u32 outputs, rooms;

static void set_irq(void *arg, int level)
{
	(void)arg;
	line = level;
}

static void output(void *arg)
{
	(void)arg;
	outputs++;
}

static void room(void *arg)
{
	(void)arg;
	rooms++;
}

static int setup(void **state)
{
	struct serial_ops ops = { .set_irq = set_irq, .output = output, .room = room };

	(void)state;
	line = 0;
	outputs = rooms = 0;
	s = serial_create(&ops);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	serial_destroy(s);
	return 0;
}

static u8 in(u16 reg)
{
	u32 v = 0;

	serial_access(s, reg, 1, false, &v);
	return (u8)v;
}

static void out(u16 reg, u8 v)
{
	u32 w = v;

	serial_access(s, reg, 1, true, &w);
}

/* autoconfig(): what a chip must do to be taken for a 16550A */
static void serial_is_found_as_16550a(void **state)
{
	(void)state;
	out(IER, 0);
	assert_int_equal(in(IER) & 0x0f, 0);
	out(IER, 0x0f);
	assert_int_equal(in(IER) & 0x0f, 0x0f);
	out(IER, 0);
	out(MCR, 0x10 | 0x0a); /* loop-back: RTS shows as CTS, OUT2 as DCD */
	assert_int_equal(in(MSR) & 0xf0, 0x90);
	out(MCR, 0);
	out(IIR, 1); /* FIFO on */
	assert_int_equal(in(IIR) >> 6, 3);
	out(SCR, 0xa5);
	assert_int_equal(in(SCR), 0xa5);
	out(LCR, 0x83); /* divisor latch */
	out(RBR, 0x01);
	out(IER, 0x02);
	assert_int_equal(in(RBR), 0x01);
	assert_int_equal(in(IER), 0x02);
	out(LCR, 0x03);
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(outputs, 0);
}

static void serial_output_goes_out_and_is_kept(void **state)
{
	static u8 buf[SERIAL_BACKLOG + 1];
	u64 cursor = 0;
	u32 i;

	(void)state;
	for (i = 0; i < 10; i++)
		out(RBR, (u8)i);
	assert_int_equal(outputs, 10);
	assert_int_equal(serial_read(s, &cursor, buf, 4), 4);
	assert_int_equal(serial_read(s, &cursor, buf + 4, sizeof(buf)), 6);
	assert_int_equal(serial_read(s, &cursor, buf, sizeof(buf)), 0);
	for (i = 0; i < 10; i++)
		assert_int_equal(buf[i], i);
	for (i = 10; i < SERIAL_BACKLOG + 100; i++) /* who is late gets the last of it */
		out(RBR, (u8)(i % 251));
	assert_int_equal(serial_read(s, &cursor, buf, sizeof(buf)), SERIAL_BACKLOG);
	assert_int_equal(cursor, SERIAL_BACKLOG + 100);
	assert_int_equal(buf[0], 100);
}

static void serial_loopback_stays_inside(void **state)
{
	u64 cursor = 0;
	u8 c;

	(void)state;
	out(MCR, 0x10);
	out(RBR, 'x');
	assert_int_equal(in(LSR) & 1, 1);
	assert_int_equal(in(RBR), 'x');
	assert_int_equal(in(LSR) & 1, 0);
	assert_int_equal(serial_read(s, &cursor, &c, 1), 0);
	assert_int_equal(outputs, 0);
}

static void serial_interrupts_are_raised_and_named(void **state)
{
	(void)state;
	out(IER, 0x02);
	assert_int_equal(line, 0); /* OUT2 gates the line */
	out(MCR, 0x08);
	assert_int_equal(line, 1); /* an empty transmitter that is asked about says so */
	assert_int_equal(in(IIR) & 0x0f, 0x02);
	assert_int_equal(line, 0);
	assert_int_equal(in(IIR) & 0x0f, 0x01);
	out(RBR, 'a');
	assert_int_equal(line, 1);
	out(IER, 0x03);
	assert_int_equal(serial_input(s, (const u8 *)"b", 1), 1);
	assert_int_equal(in(IIR) & 0x0f, 0x04); /* input comes before output */
	assert_int_equal(in(RBR), 'b');
	assert_int_equal(in(IIR) & 0x0f, 0x02);
	assert_int_equal(line, 0);
	serial_input(s, (const u8 *)"c", 1);
	assert_int_equal(line, 1);
	serial_reset(s);
	assert_int_equal(line, 0);
	assert_int_equal(in(LSR) & 1, 0);
}

static void serial_input_is_not_lost(void **state)
{
	u8 data[5000], got[5000];
	size_t i, sent = 0, n;

	(void)state;
	for (i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i * 7 + i / 256);
	sent = serial_input(s, data, sizeof(data));
	assert_true(sent >= 16 && sent < sizeof(data));
	for (i = 0; i < sizeof(data); i++) {
		assert_int_equal(in(LSR) & 1, 1);
		got[i] = in(RBR);
		if (!rooms)
			continue;
		assert_int_equal(rooms, 1); /* told once, not for each byte */
		n = sent < sizeof(data) ? serial_input(s, data + sent, sizeof(data) - sent) : 0;
		assert_true(n >= 16 || sent + n == sizeof(data));
		sent += n;
		rooms = 0;
	}
	assert_memory_equal(got, data, sizeof(data));
	assert_int_equal(in(LSR) & 1, 0);
	serial_input(s, data, sizeof(data));
	out(IIR, 0x02); /* what the guest throws away makes room as well */
	assert_int_equal(rooms, 1);
	assert_int_equal(in(LSR) & 1, 0);
	serial_input(s, data, sizeof(data));
	serial_input(s, data, 0); /* somebody else's, all of it taken */
	serial_reset(s);
	assert_int_equal(rooms, 2);
}

/* A port in @o's only section as a saved VM has it, and into another one. */
static int load_into(struct serial *other, const struct kvmb_tlv_out *o)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;

	assert_int_equal(kvmb_tlv_next(o->buf, o->len, &pos, &t, &e), 0);
	return serial_load(other, &t);
}

static void serial_goes_on_after_it_was_saved(void **state)
{
	struct serial_ops ops = { .set_irq = set_irq, .output = output, .room = room };
	struct serial *first = s;
	struct kvmb_tlv_out o = { 0 };
	u8 data[300];
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i * 3);
	out(LCR, 0x83);
	out(RBR, 0x34);
	out(IER, 0x12);
	out(LCR, 0x03);
	serial_input(s, data, 200);
	for (i = 0; i < 200; i++) /* its ring is not at its beginning any more */
		in(RBR);
	n = serial_input(s, data, sizeof(data)); /* full */
	out(IER, 0x01);
	out(MCR, 0x08);
	assert_int_equal(line, 1);
	kvmb_tlv_begin(&o, KVMB_SEC_MACHINE, 0, 0);
	serial_save(s, &o);
	kvmb_tlv_end(&o);
	s = serial_create(&ops);
	line = 0;
	assert_int_equal(load_into(s, &o), 0);
	assert_int_equal(line, 0); /* not before there is somebody who listens */
	serial_loaded(s);
	assert_int_equal(line, 1);
	assert_int_equal(serial_input(s, data, 1), 0);
	for (i = 0; i < n; i++)
		assert_int_equal(in(RBR), data[i]);
	assert_int_equal(in(LSR)&1, 0);
	assert_int_equal(line, 0);
	out(LCR, 0x83);
	assert_int_equal(in(RBR), 0x34);
	assert_int_equal(in(IER), 0x12);
	serial_destroy(first);
	kvmb_tlv_out_fini(&o);
}

static void serial_refuses_more_input_than_fits(void **state)
{
	struct kvmb_tlv_out o = { 0 };
	u8 data[257] = { 0 };
	unsigned int field;

	(void)state;
	kvmb_tlv_begin(&o, KVMB_SEC_MACHINE, 0, 0);
	for (field = 1; field <= 7; field++)
		kvmb_tlv_put(&o, field, 1);
	kvmb_tlv_put_bytes(&o, 8, data, sizeof(data));
	kvmb_tlv_end(&o);
	assert_int_equal(load_into(s, &o), -EPROTO);
	assert_int_equal(in(LSR)&1, 0);
	assert_int_equal(in(IER), 0);
	kvmb_tlv_out_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(serial_is_found_as_16550a),
		T(serial_output_goes_out_and_is_kept),
		T(serial_loopback_stays_inside),
		T(serial_interrupts_are_raised_and_named),
		T(serial_input_is_not_lost),
		T(serial_goes_on_after_it_was_saved),
		T(serial_refuses_more_input_than_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
