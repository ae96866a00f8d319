/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of a VM without synthetic keyboard, mouse and video. */
#ifndef KVMB_NO_SYNTH_H
#define KVMB_NO_SYNTH_H

#include <errno.h>

#include "lib/util.h"
#include "vmm/synth.h"

bool synth_shows(const struct vm *vm)
{
	kvmb_assert(!vm->synth);
	return false;
}

int synth_screen(const struct vm *vm, struct screen_image *out)
{
	(void)out;
	kvmb_assert(!vm->synth);
	return -ENODATA;
}

u64 synth_serial(struct vm *vm)
{
	(void)vm;
	kvmb_assert(false);
	return 0;
}

void synth_watch(struct vm *vm, bool watched)
{
	(void)vm, (void)watched;
}

bool synth_takes_keys(const struct vm *vm)
{
	(void)vm;
	return false;
}

bool synth_key(struct vm *vm, u32 code, bool down)
{
	(void)vm, (void)code, (void)down;
	kvmb_assert(false);
	return false;
}

bool synth_takes_points(const struct vm *vm)
{
	(void)vm;
	return false;
}

void synth_point(struct vm *vm, u32 x, u32 y, u32 width, u32 height, s32 notches, u32 buttons)
{
	(void)vm, (void)x, (void)y, (void)width, (void)height, (void)notches, (void)buttons;
	kvmb_assert(false);
}

void synth_save(const struct vm *vm, struct kvmb_tlv_out *o)
{
	(void)o;
	kvmb_assert(!vm->synth);
}

int synth_load(struct vm *vm, struct kvmb_tlv *t)
{
	(void)vm, (void)t;
	kvmb_assert(false);
	return 0;
}

#endif
