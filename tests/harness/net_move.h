/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest with a NIC moves: its state is saved, the process is gone, another one loads it.
 *
 * Guest memory is copied as a file would carry it. The network stays: the same sockets.
 */
#ifndef KVMB_NET_MOVE_H
#define KVMB_NET_MOVE_H

#include <stdlib.h>

#include "host-vsp/net/net_state.h"
#include "lib/tlv.h"
#include "tests/harness/net_traffic.h"

static struct moved { /* what is left of the old process */
	struct kvmb_tlv_out o;
	u8 *ram; /* ram[next_gfn pages] */
	u64 next_gfn;
	u32 next_gpadl;
	struct kvmb_net_spec spec;
	int near[QUEUES];
} file;

static inline void forget_file(void)
{
	u32 i;

	for (i = 0; file.ram && i < QUEUES; i++)
		close(file.near[i]);
	kvmb_tlv_out_fini(&file.o);
	free(file.ram);
	memset(&file, 0, sizeof(file));
}

/* The bus stands. */
static inline void save_to_file(void)
{
	u32 i;

	forget_file();
	kvmb_net_save(nic, &file.o);
	kvmb_bus_save(f.bus, &file.o);
	file.next_gfn = f.next_gfn;
	file.next_gpadl = f.next_gpadl;
	file.ram = malloc(f.next_gfn << 12);
	assert_non_null(file.ram);
	memcpy(file.ram, f.view, f.next_gfn << 12);
	file.spec = nic->spec;
	for (i = 0; i < QUEUES; i++)
		file.near[i] = dup(nic->backend->fd[i]);
}

static inline void end_process(void)
{
	fake_rest(&f);
	kvmb_net_destroy(nic);
	fake_fini(&f);
}

/* Return: 0, or what was the error of the first section that was refused. */
static inline int load_from(const u8 *p, size_t len)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;

	while (!e.err && !kvmb_tlv_next(p, len, &pos, &t, &e)) {
		if (t.tag == KVMB_SEC_NET)
			kvmb_net_load(nic, &t);
		else
			kvmb_bus_load(f.bus, &t);
	}
	return e.err;
}

/* With the file's memory and network, and the sections p[len]. Return: as load_from(). */
static inline int begin_process(const u8 *p, size_t len)
{
	int near[QUEUES];
	u32 i;

	fake_init(&f, KVMB_VERSION_NEWEST);
	f.next_gfn = file.next_gfn;
	f.next_gpadl = file.next_gpadl;
	memcpy(f.view, file.ram, file.next_gfn << 12);
	for (i = 0; i < QUEUES; i++)
		near[i] = dup(file.near[i]);
	nic = kvmb_net_create(&file.spec, kvmb_net_tap_fds(near, QUEUES), f.loop);
	kvmb_net_offer(nic, f.bus);
	kvmb_bus_begin_load(f.bus);
	return load_from(p, len);
}

/* The guest's view of its rings, in the new memory. */
static inline void find_rings_again(struct fake_chan *ch)
{
	u64 gfns[64];
	u32 i;

	fake_unmap(ch);
	assert_true(ch->pages <= ARRAY_SIZE(gfns));
	for (i = 0; i < ch->pages; i++)
		gfns[i] = ch->first_gfn + i;
	assert_int_equal(kvmb_gm_map_ring(&f.gm, gfns, ch->down, &ch->map_tx), 0);
	assert_int_equal(
		kvmb_gm_map_ring(&f.gm, gfns + ch->down, ch->pages - ch->down, &ch->map_rx), 0);
	ch->tx.ctrl = ch->map_tx.ctrl;
	ch->tx.data = ch->map_tx.data;
	ch->rx.ctrl = ch->map_rx.ctrl;
	ch->rx.data = ch->map_rx.data;
}

static inline void find_all_rings_again(void)
{
	u32 i;

	find_rings_again(&c);
	for (i = 1; i < QUEUES; i++) {
		if (sub[i].pages)
			find_rings_again(&sub[i]);
	}
}

static inline void move(void)
{
	pause_all();
	save_to_file();
	end_process();
	assert_int_equal(begin_process(file.o.buf, file.o.len), 0);
	find_all_rings_again();
	kvmb_bus_resume(f.bus);
}

#endif
