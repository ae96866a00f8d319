// SPDX-License-Identifier: GPL-2.0-only
/* Synthetic video in saved VMs: docs/migration.md. Which memory it is follows from its place. */
#include "host-vsp/video/video_priv.h"
#include "lib/tlv_memory.h"
#include "lib/util.h"

/* Numbers are never used again. */
enum {
	VIDEO_GPA = KVMB_SYNTH_OWN, /* where memory is; missing: nowhere */
	VIDEO_ACTIVE,		    /* 1: there is a picture, and these: */
	VIDEO_OFFSET,
	VIDEO_DEPTH,
	VIDEO_WIDTH,
	VIDEO_HEIGHT,
	VIDEO_PITCH,
	VIDEO_OWES,   /* 1: the guest is to be told what we want to hear */
	VIDEO_RUN,    /* groups: of our own memory, while the guest has it */
	VIDEO_THEIRS, /* 1: memory is the guest's or another device's; missing: our own */
};

void kvmb_video_save(const struct kvmb_video *v, struct kvmb_tlv_out *o)
{
	const struct kvmb_video_situation *s = &v->situation;

	kvmb_synth_save(&v->synth, o);
	if (v->place != KVMB_VIDEO_NOWHERE)
		kvmb_tlv_put(o, VIDEO_GPA, v->gpa);
	kvmb_tlv_put(o, VIDEO_ACTIVE, s->active);
	if (s->active) {
		kvmb_tlv_put(o, VIDEO_OFFSET, s->offset);
		kvmb_tlv_put(o, VIDEO_DEPTH, s->depth);
		kvmb_tlv_put(o, VIDEO_WIDTH, s->width);
		kvmb_tlv_put(o, VIDEO_HEIGHT, s->height);
		kvmb_tlv_put(o, VIDEO_PITCH, s->pitch);
	}
	kvmb_tlv_put(o, VIDEO_OWES, v->owes);
	if (v->place == KVMB_VIDEO_THEIRS)
		kvmb_tlv_put(o, VIDEO_THEIRS, 1);
	if (v->place == KVMB_VIDEO_OWN)
		kvmb_tlv_put_memory(o, VIDEO_RUN, v->fd, v->memory, KVMB_VIDEO_MEMORY);
}

static void load_situation(struct kvmb_video_situation *s, struct kvmb_tlv *t)
{
	s->active = kvmb_tlv_get(t, VIDEO_ACTIVE, 1);
	if (!s->active)
		return;
	s->offset = (u32)kvmb_tlv_get(t, VIDEO_OFFSET, KVMB_VIDEO_MEMORY);
	s->depth = (u32)kvmb_tlv_get(t, VIDEO_DEPTH, 32);
	s->width = (u32)kvmb_tlv_get(t, VIDEO_WIDTH, KVMB_VIDEO_MAX_WIDTH);
	s->height = (u32)kvmb_tlv_get(t, VIDEO_HEIGHT, KVMB_VIDEO_MAX_HEIGHT);
	s->pitch = (u32)kvmb_tlv_get(t, VIDEO_PITCH, KVMB_VIDEO_MEMORY);
	if (!t->error->err && !video_situation_valid(s))
		kvmb_tlv_refuse(t, VIDEO_WIDTH, "a picture that cannot be");
}

/*
 * As it was there, whatever else the guest has there now: it may have moved or switched off the
 * card's BAR since. One that it moved over memory of ours was not to be seen; here the card is
 * first, and the guest has no picture until it says again where that is.
 */
static bool load_place(struct kvmb_video *v, struct kvmb_video_situation *s, struct kvmb_tlv *t)
{
	u64 gpa = kvmb_tlv_get(t, VIDEO_GPA, UINT64_MAX);
	bool theirs = kvmb_tlv_get_or(t, VIDEO_THEIRS, 1, 0);
	int err;

	if (t->error->err)
		return false;
	err = video_put(v, gpa, theirs ? KVMB_VIDEO_THEIRS : KVMB_VIDEO_OWN);
	if (err == -EEXIST)
		*s = (struct kvmb_video_situation){ 0 };
	return !err || err == -EEXIST;
}

int kvmb_video_load(struct kvmb_video *v, struct kvmb_tlv *t)
{
	struct kvmb_video_situation s = { 0 };
	bool placed = kvmb_tlv_has(t, VIDEO_GPA), owes = kvmb_tlv_get(t, VIDEO_OWES, 1);

	load_situation(&s, t);
	kvmb_tlv_get_memory(t, VIDEO_RUN, NULL, KVMB_VIDEO_MEMORY);
	kvmb_synth_load(&v->synth, t, video_version_known);
	if (!t->error->err && (placed || s.active) && v->synth.state != KVMB_SYNTH_READY)
		kvmb_tlv_refuse(t, VIDEO_GPA, "nobody has said where it is");
	if (!placed && kvmb_tlv_has(t, VIDEO_THEIRS))
		kvmb_tlv_refuse(t, VIDEO_THEIRS, "nobody has said where it is");
	if (!t->error->err && placed && !load_place(v, &s, t))
		kvmb_tlv_refuse(t, VIDEO_GPA, "its memory cannot be there");
	if (kvmb_tlv_done(t))
		return t->error->err;
	v->situation = s;
	v->owes = owes || v->watched;
	v->changed = true;
	if (v->place == KVMB_VIDEO_OWN)
		kvmb_tlv_get_memory(t, VIDEO_RUN, v->memory, KVMB_VIDEO_MEMORY);
	return 0;
}
