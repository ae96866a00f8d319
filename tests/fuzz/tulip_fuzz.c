// SPDX-License-Identifier: GPL-2.0-only
/*
 * The legacy NIC: a list of accesses to its registers and to memory that it may use, of frames that
 * come, and of looks that its thread takes. Rings and buffers lie close together, so that they hit
 * each other and the end of memory. At its end it is saved and loaded again.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/tlv.h"
#include "tests/harness/tulip_driver.h"

#define MAX_INPUT 8192u
#define MAX_WORK \
	4096u /* calls that say that there is more: each sends frames, of which there are few */

static const u8 *in;
static size_t left;
static u32 send_says, sent;
static u64 clock_ns;

static u32 take(u32 bytes)
{
	u32 v = 0;

	if (bytes > left)
		bytes = (u32)left;
	memcpy(&v, in, bytes);
	in += bytes;
	left -= bytes;
	return v;
}

static void set_irq(void *arg, int level)
{
	(void)arg;
	pci_set_irq(board.m.pci, tulip_func(board.t), level);
}

static bool may_master(void *arg)
{
	(void)arg;
	return pci_may_master(board.m.pci, tulip_func(board.t));
}

static void poke_register(void)
{
	u32 port = BOARD_PORT + (take(1) & 0x7f), how = take(1), v = take(4);

	if (how & 1) { /* mostly as a driver does */
		port_in(port, 1u << (how >> 1 & 3) % 3);
		return;
	}
	if (how & 2)
		port &= ~7u;
	if (how & 4)
		v &= 0xfffff; /* an address in memory, likely */
	port_out(port, how & 8 ? 1u << (how >> 4 & 3) % 3 : 4, v);
}

/* Return: as send() does; a guest may do anything meanwhile. */
static int send_out(void *arg, const void *frame, size_t len)
{
	static u8 copy[TULIP_MAX_FRAME];

	(void)arg;
	if (len < TULIP_MIN_FRAME || len > TULIP_MAX_FRAME)
		abort();
	memcpy(copy, frame, len);
	sent++;
	if (send_says & 1 && left)
		poke_register();
	return send_says & 2 ? -EAGAIN : send_says & 4 ? -EPIPE : 0;
}

static void nothing(void *arg)
{
	(void)arg;
}

static u64 now(void *arg)
{
	(void)arg;
	return clock_ns;
}

static void poke_memory(void)
{
	u32 at = take(1) * 16 + (take(1) & 3) * 4, num = take(1) & 31, i, v;

	for (i = 0; i < num && left; i++) {
		v = take(4);
		memcpy(ram_at(at + i * 4), &v, 4);
	}
}

static void run_thread(void)
{
	u32 i;

	for (i = 0; !tulip_work(board.t); i++) {
		if (i > MAX_WORK)
			abort(); /* a list is longer than all memory */
	}
}

static void frame_comes(void)
{
	static u8 frame[2048];
	u32 len = take(2) & 2047, i;

	for (i = 0; i < 14; i++)
		frame[i] = (u8)take(1);
	if (tulip_receive(board.t, frame, len) == -EAGAIN && take(1) & 1)
		tulip_missed(board.t);
}

static void save_and_load(bool spoil)
{
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0, at;
	u8 *body;

	kvmb_tlv_begin(&o, KVMB_SEC_MACHINE, 0, 0);
	tulip_save(board.t, &o);
	kvmb_tlv_end(&o);
	if (kvmb_tlv_next(o.buf, o.len, &pos, &t, &e))
		abort();
	body = o.buf + KVMB_TLV_HEADER; /* the sum has been looked at */
	while (spoil && left) {
		at = take(2) % (o.len - KVMB_TLV_HEADER);
		body[at] = (u8)take(1);
	}
	if (!tulip_load(board.t, &t))
		tulip_loaded(board.t);
	else if (!spoil)
		abort();
	kvmb_tlv_out_fini(&o);
}

static void act(u32 what)
{
	switch (what & 7) {
	case 0:
	case 1:
		poke_register();
		break;
	case 2:
		poke_memory();
		break;
	case 3:
		send_says = what >> 3;
		run_thread();
		break;
	case 4:
		frame_comes();
		break;
	case 5:
		clock_ns += (u64)take(2) << 12;
		tulip_set_link(board.t, what & 0xf8);
		break;
	case 6:
		conf_out(take(1), 4, take(4));
		conf_out(0x10, 4, BOARD_PORT);
		conf_out(4, 2, what & 0xf0 ? 7 : 3);
		break;
	default:
		if (what & 0x80)
			driver_up();
		else if (what & 0x40)
			tulip_reset(board.t);
		else if (what & 0x20)
			driver_send(take(2) & 2047, (u8)what, what & 0x10 ? take(4) : 0);
		else
			save_and_load(false);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct tulip_ops ops = { .set_irq = set_irq,
					      .may_master = may_master,
					      .send = send_out,
					      .kick = nothing,
					      .room = nothing,
					      .now = now };
	struct tulip_spec spec = {
		.slot = BOARD_SLOT, .gm = &board.m.gm, .rom = "\x55\xaa\1", .rom_len = 3
	};

	if (size > MAX_INPUT)
		return 0;
	in = data;
	left = size;
	clock_ns = 1000000000;
	if (!board.m.gm.num_regions)
		board_begin();
	memset(ram_at(0), 0, 0x10000);
	pci_destroy(board.m.pci);
	memset(&board.m.pio, 0, sizeof(board.m.pio));
	board.m.pci = pci_create(&board.m);
	board_plug(tulip_create(&spec, &ops));
	driver_up();
	while (left > 4)
		act(take(1));
	save_and_load(true);
	send_says = 0;
	run_thread();
	tulip_destroy(board.t);
	return 0;
}
