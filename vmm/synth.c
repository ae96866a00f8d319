// SPDX-License-Identifier: GPL-2.0-only
/* Synthetic keyboard, mouse and video of a VM: synth.h. */
#include "vmm/synth.h"

#include "host-vsp/input/keyboard.h"
#include "host-vsp/input/mouse.h"
#include "host-vsp/video/video.h"
#include "lib/log.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/boot/boot.h"
#include "machine/dev/ps2.h"
#include "machine/dev/screen.h"
#include "machine/dev/vga.h"
#include "machine/gen1.h"
#include "machine/mem.h"
#include "vmbus-core/proto/input.h"

static_assert(KVMB_VIDEO_MAX_WIDTH == SCREEN_MAX_WIDTH, "for who looks");
static_assert(KVMB_VIDEO_MAX_HEIGHT == SCREEN_MAX_HEIGHT, "for who looks");
static_assert(KVMB_MOUSE_LEFT == PS2_LEFT && KVMB_MOUSE_RIGHT == PS2_RIGHT &&
		      KVMB_MOUSE_MIDDLE == PS2_MIDDLE,
	      "one set of buttons");

struct vm_synth {
	struct kvmb_keyboard keyboard;
	struct kvmb_mouse mouse;
	struct kvmb_video video;
};

/* ---- video memory ---- */

static int map_synth(void *arg, u64 gpa, void *hva, u64 size)
{
	struct vm *vm = arg;

	if (!acpi_has_mmio(&vm->machine, gpa, size))
		return -EADDRNOTAVAIL;
	return mem_show(&vm->machine, MEM_SLOT_SYNTH, gpa, hva, size);
}

static void unmap_synth(void *arg)
{
	struct vm *vm = arg;
	int err = mem_show(&vm->machine, MEM_SLOT_SYNTH, 0, NULL, 0);

	if (err)
		kvmb_warn_ratelimited(vm->cfg.name, "synthetic video memory stays: %s",
				      strerror(-err));
}

static const u8 *find_vga(void *arg, u64 gpa, u64 len)
{
	struct vm *vm = arg;

	return vm->machine.gen1 ? vga_memory_at(gen1_vga(vm->machine.gen1), gpa, len) : NULL;
}

/* ---- life ---- */

int synth_create(struct vm *vm)
{
	const struct kvmb_video_ops ops = {
		.map = map_synth, .unmap = unmap_synth, .find = find_vga, .arg = vm
	};
	struct vm_synth *s;
	int err;

	if (vm->cfg.video != VIDEO_ON && (vm->cfg.video != VIDEO_AUTO || !vm->cfg.machine.gen1))
		return 0;
	s = vm->synth = kvmb_xzalloc(sizeof(*s));
	kvmb_keyboard_init(&s->keyboard);
	kvmb_mouse_init(&s->mouse);
	err = kvmb_video_create(&s->video, &ops);
	if (err) {
		kvmb_err(vm->cfg.name, "synthetic video memory: %s", strerror(-err));
		return err;
	}
	kvmb_synth_offer(&s->video.synth, vm->bus);
	kvmb_synth_offer(&s->keyboard.synth, vm->bus);
	kvmb_synth_offer(&s->mouse.synth, vm->bus);
	return 0;
}

void synth_destroy(struct vm *vm)
{
	if (!vm->synth)
		return;
	kvmb_video_fini(&vm->synth->video);
	free(vm->synth);
	vm->synth = NULL;
}

/* ---- who looks and types ---- */

bool synth_shows(const struct vm *vm)
{
	return vm->synth && kvmb_video_live(&vm->synth->video);
}

int synth_screen(const struct vm *vm, struct screen_image *out)
{
	return vm->synth ?
		       kvmb_video_draw(&vm->synth->video, &out->width, &out->height, &out->pixels) :
		       -ENODATA;
}

u64 synth_serial(struct vm *vm)
{
	return vm->synth ? kvmb_video_serial(&vm->synth->video) : 0;
}

void synth_watch(struct vm *vm, bool watched)
{
	if (vm->synth)
		kvmb_video_watch(&vm->synth->video, watched);
}

bool synth_takes_keys(const struct vm *vm)
{
	return vm->synth && kvmb_keyboard_ready(&vm->synth->keyboard);
}

bool synth_key(struct vm *vm, u32 code, bool down)
{
	return kvmb_keyboard_key(&vm->synth->keyboard, code, down);
}

bool synth_takes_points(const struct vm *vm)
{
	return vm->synth && kvmb_mouse_ready(&vm->synth->mouse);
}

/* From edge to edge. */
static u16 scale(u32 at, u32 size)
{
	return (u16)(size > 1 ? at * KVMB_MOUSE_MAX / (size - 1) : 0);
}

void synth_point(struct vm *vm, u32 x, u32 y, u32 width, u32 height, s32 notches, u32 buttons)
{
	const struct kvmb_mouse_report r = { .x = scale(x, width),
					     .y = scale(y, height),
					     .buttons = (u8)buttons,
					     .wheel = notches };

	kvmb_mouse_point(&vm->synth->mouse, &r);
}

/* ---- saving ---- */

enum { /* groups of section SYNTH; never used again */
       SYNTH_KEYBOARD = 1,
       SYNTH_MOUSE = 2,
       SYNTH_VIDEO = 3,
};

void synth_save(const struct vm *vm, struct kvmb_tlv_out *o)
{
	const struct vm_synth *s = vm->synth;

	if (!s)
		return;
	kvmb_tlv_begin(o, KVMB_SEC_SYNTH, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_group(o, SYNTH_KEYBOARD);
	kvmb_keyboard_save(&s->keyboard, o);
	kvmb_tlv_group_end(o);
	kvmb_tlv_group(o, SYNTH_MOUSE);
	kvmb_mouse_save(&s->mouse, o);
	kvmb_tlv_group_end(o);
	kvmb_tlv_group(o, SYNTH_VIDEO);
	kvmb_video_save(&s->video, o);
	kvmb_tlv_group_end(o);
	kvmb_tlv_end(o);
}

static bool find_group(struct kvmb_tlv *t, unsigned int field, struct kvmb_tlv *g)
{
	size_t pos = 0;

	if (t->error->err)
		return false;
	if (kvmb_tlv_each(t, field, &pos, g))
		return true;
	kvmb_tlv_refuse(t, field, "it is missing");
	return false;
}

int synth_load(struct vm *vm, struct kvmb_tlv *t)
{
	struct vm_synth *s = vm->synth;
	struct kvmb_tlv g;

	if (!s) {
		kvmb_tlv_refuse(t, SYNTH_VIDEO, "the VM has none: --video off");
		return t->error->err;
	}
	if (find_group(t, SYNTH_KEYBOARD, &g))
		kvmb_keyboard_load(&s->keyboard, &g);
	if (find_group(t, SYNTH_MOUSE, &g))
		kvmb_mouse_load(&s->mouse, &g);
	if (find_group(t, SYNTH_VIDEO, &g))
		kvmb_video_load(&s->video, &g);
	return kvmb_tlv_done(t);
}
