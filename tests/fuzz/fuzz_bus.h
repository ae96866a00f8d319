/* SPDX-License-Identifier: GPL-2.0-only */
/* A bus with two trivial devices in a fake VMM, for the fuzz targets of the control path. */
#ifndef KVMB_FUZZ_BUS_H
#define KVMB_FUZZ_BUS_H

#include <stdlib.h>

#include "lib/log.h"
#include "tests/harness/fake_vmm.h"

static struct kvmb_chan *fuzz_open_chan[8];
static int fuzz_num_late;
static bool fuzz_ending; /* the input is over: every close is quick from now on */

static int fuzz_dev_open(struct kvmb_chan *ch)
{
	(void)ch;
	return 0;
}

/* Every third close is a slow provider's: it stays on the rings until fuzz_finish_late(). */
static void fuzz_dev_close(struct kvmb_chan *ch)
{
	static int n;

	if (++n % 3 == 0 && fuzz_num_late < 8 && !fuzz_ending)
		fuzz_open_chan[fuzz_num_late++] = ch;
	else
		kvmb_chan_closed(ch);
}

static inline void fuzz_finish_late(void)
{
	while (fuzz_num_late)
		kvmb_chan_closed(fuzz_open_chan[--fuzz_num_late]);
}

static const struct kvmb_vsp_ops fuzz_ops = { .name = "fuzz",
					      .open = fuzz_dev_open,
					      .close = fuzz_dev_close };

static inline struct kvmb_chan *fuzz_add(struct fake_vmm *f, u8 i)
{
	struct kvmb_offer o = {
		.type = { { 1 } }, .instance = { { i } }, .name = "fuzz", .ops = &fuzz_ops
	};
	struct kvmb_chan *ch = NULL;

	kvmb_bus_offer(f->bus, &o, &ch);
	return ch;
}

static inline void fuzz_quiet(void)
{
	kvmb_log_set_level(KVMB_LOG_ERR);
}

#endif
