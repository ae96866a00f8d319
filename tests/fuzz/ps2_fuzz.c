// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keyboard and mouse: any writes and reads of the two ports, keys and movements between them. The
 * interrupt lines are what the status says. What is saved is loaded and is the same; what is
 * changed before is loaded or refused.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/ps2.h"
#include "tests/fuzz/fuzz_change.h"

static struct ps2 *p;
static int lines[16];

static void set_irq(void *arg, u32 irq, int level)
{
	(void)arg;
	if ((irq != 1 && irq != 12) || lines[irq] == level)
		abort();
	lines[irq] = level;
}

static void reset(void *arg)
{
	(void)arg;
	ps2_reset(p);
}

static void make(void)
{
	struct ps2_ops ops = { .set_irq = set_irq, .reset = reset };

	memset(lines, 0, sizeof(lines));
	p = ps2_create(&ops);
}

/* No line is up without a byte, and the byte is the line's. */
static void check_lines(void)
{
	u32 status = 0;

	ps2_command_access(p, 0, 1, false, &status);
	if ((lines[1] && (status & 0x21) != 1) || (lines[12] && (status & 0x21) != 0x21))
		abort();
}

static void save(struct kvmb_tlv_out *o)
{
	memset(o, 0, sizeof(*o));
	kvmb_tlv_begin(o, KVMB_SEC_MACHINE, 0, 0);
	ps2_save(p, o);
	kvmb_tlv_end(o);
}

static void restore(const struct change *c)
{
	struct kvmb_tlv_error error = { 0 };
	struct kvmb_tlv_out o, again;
	u8 buf[8192];
	struct section s = { buf, 0, sizeof(buf) };
	struct kvmb_tlv t = { .p = buf, .error = &error };

	save(&o);
	s.len = o.len - HEADER;
	memcpy(buf, o.buf + HEADER, s.len);
	ps2_destroy(p);
	make();
	if (c)
		apply(&s, c);
	t.len = s.len;
	if (ps2_load(p, &t) && !c)
		abort();
	save(&again);
	if (!c && (again.len != o.len || memcmp(again.buf, o.buf, o.len)))
		abort();
	ps2_loaded(p);
	kvmb_tlv_out_fini(&o);
	kvmb_tlv_out_fini(&again);
}

static void act(const u8 *in)
{
	u32 val = in[1] | (u32)in[2] << 8, i;

	switch (in[0] & 7) {
	case 0:
		ps2_data_access(p, 0, 1, true, &val);
		break;
	case 1:
		ps2_command_access(p, 0, 1, true, &val);
		break;
	case 2:
		for (i = 0; i < in[1]; i++)
			ps2_data_access(p, 0, 1, false, &val);
		break;
	case 3:
		ps2_key(p, val & 0x1ff, in[0] >> 7);
		break;
	case 4:
		ps2_mouse(p, (signed char)in[1] * (in[0] & 8 ? 1 << 24 : 1), (signed char)in[2],
			  in[0] >> 5, in[0]);
		break;
	case 5: /* to the mouse */
		val = 0xd4;
		ps2_command_access(p, 0, 1, true, &val);
		val = in[1];
		ps2_data_access(p, 0, 1, true, &val);
		break;
	case 6:
		restore(NULL);
		break;
	default:
		for (i = 0; i < in[2]; i++)
			ps2_key(p, in[1], true);
	}
	check_lines();
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	struct change c;

	make();
	for (; left >= 3 && in[0] != 0xff; in += 3, left -= 3)
		act(in);
	for (; left > sizeof(c); in += sizeof(c), left -= sizeof(c)) {
		memcpy(&c, in, sizeof(c));
		restore(&c);
		check_lines();
	}
	ps2_destroy(p);
	return 0;
}
