/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by script_host.c and script_chan.c alone. */
#ifndef KVMB_SCRIPT_PRIV_H
#define KVMB_SCRIPT_PRIV_H

#include <linux/workqueue.h>

#include "guest-vsc/bus/bus_priv.h"
#include "tests/kunit/script_host.h"

struct host_gpadl {
	struct list_head entry;
	u32 handle, num, got;
	struct page **pages; /* pages[num] */
	u8 *map;
};

struct host_state {
	bool up;
	bool heard; /* the bus listens: between synic start and stop */
	int hp_state;
	struct workqueue_struct *wq, *say_wq;
	struct work_struct post_work, signal_work, say_work;
	spinlock_t lock; /* lists, signalled */
	struct list_head posted, said;
	struct list_head held_posted, held_said;
	DECLARE_BITMAP(signalled, HOST_RELIDS);
	struct mutex state; /* channels and page lists */
	struct list_head gpadls;
	struct host_chan chans[HOST_RELIDS];
	u32 seen[KVMB_MSG_NUM], signals;
	void *int_page;
	struct kvmb_guid type[HOST_RELIDS];
	u8 buf[16384] __aligned(8); /* the host's worker */
};
extern struct host_state host;

/* script_chan.c; all under host.state but signal_work() */
void host_on_gpadl_header(const u8 *msg, u32 len);
void host_on_gpadl_body(const u8 *msg, u32 len);
void host_on_open(const struct kvmb_wire_open *m);
void host_on_teardown(const struct kvmb_wire_gpadl_teardown *m);
void host_let_go(struct host_chan *c);
void host_forget_chans(void);
void host_signal_work(struct work_struct *work);

#endif
