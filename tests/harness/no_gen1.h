/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of a machine that is no gen1 machine: what is never called. */
#ifndef KVMB_NO_GEN1_H
#define KVMB_NO_GEN1_H

#include "lib/util.h"
#include "machine/gen1.h"

void gen1_save(struct gen1 *g, struct kvmb_tlv_out *o)
{
	(void)g, (void)o;
	kvmb_assert(false);
}

int gen1_load(struct gen1 *g, struct kvmb_tlv *group)
{
	(void)g, (void)group;
	kvmb_assert(false);
	return 0;
}

void gen1_loaded(struct gen1 *g)
{
	(void)g;
	kvmb_assert(false);
}

void gen1_dirty(struct gen1 *g)
{
	(void)g;
	kvmb_assert(false);
}

void gen1_match_put(const struct gen1 *g, struct kvmb_tlv_out *o)
{
	(void)g, (void)o;
	kvmb_assert(false);
}

void gen1_match_check(const struct gen1 *g, struct kvmb_tlv *group)
{
	(void)g, (void)group;
	kvmb_assert(false);
}

#endif
