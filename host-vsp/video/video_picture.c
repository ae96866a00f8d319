// SPDX-License-Identifier: GPL-2.0-only
/* Synthetic video: pictures. Theory: video.h. */
#include <stdlib.h>

#include "host-vsp/video/video_priv.h"
#include "lib/pixels.h"
#include "lib/util.h"

/*
 * Guest memory that has not come yet would make who touches it wait (kvmb_gm.lazy), and this is the
 * bus thread: until then there is no picture.
 */
static const u8 *their_memory(const struct kvmb_video *v, u64 gpa, u64 len)
{
	const struct kvmb_gm *gm = kvmb_bus_vmm(kvmb_chan_bus(v->synth.chan.ch))->gm;
	const u8 *p = __unshare(kvmb_gm_ptr(gm, gpa, len));

	if (p)
		return __atomic_load_n(&gm->lazy, __ATOMIC_ACQUIRE) ? NULL : p;
	return v->ops.find(v->ops.arg, gpa, len);
}

/* Return: the first pixel's, of video_picture_bytes() that the guest may rewrite; NULL: none. */
static const u8 *find_picture(const struct kvmb_video *v)
{
	const struct kvmb_video_situation *s = &v->situation;
	u64 len;

	if (!s->active || v->place == KVMB_VIDEO_NOWHERE)
		return NULL;
	len = video_picture_bytes(s);
	if (v->place == KVMB_VIDEO_THEIRS)
		return their_memory(v, v->gpa + s->offset, len);
	kvmb_assert(len <= KVMB_VIDEO_MEMORY - s->offset);
	return v->memory + s->offset;
}

bool kvmb_video_live(const struct kvmb_video *v)
{
	return find_picture(v) != NULL;
}

/* ---- drawing ---- */

static void draw_line(const u8 *p, u32 depth, u32 *out, u32 width)
{
	u32 i;

	if (depth == 32) {
		memcpy(out, p, width * 4u);
		for (i = 0; i < width; i++)
			out[i] = le32_to_cpu((__le32)out[i]) & 0xffffff;
	} else if (depth == 24) {
		for (i = 0; i < width; i++, p += 3)
			out[i] = (u32)p[2] << 16 | (u32)p[1] << 8 | p[0];
	} else {
		for (i = 0; i < width; i++, p += 2)
			out[i] = kvmb_rgb_of_565((u32)p[1] << 8 | p[0]);
	}
}

int kvmb_video_draw(const struct kvmb_video *v, u32 *width, u32 *height, u32 **pixels)
{
	const struct kvmb_video_situation *s = &v->situation;
	const u8 *p = find_picture(v);
	u32 *out, y;

	if (!p)
		return -ENODATA;
	out = malloc((size_t)s->width * s->height * sizeof(*out));
	if (!out)
		return -ENOMEM;
	for (y = 0; y < s->height; y++)
		draw_line(p + (u64)y * s->pitch, s->depth, out + (size_t)y * s->width, s->width);
	*width = s->width;
	*height = s->height;
	*pixels = out;
	return 0;
}

/* ---- has it changed? ---- */

static u64 hash_picture(const struct kvmb_video_situation *s, const u8 *p)
{
	u64 h = 1;
	u32 y;

	for (y = 0; y < s->height; y++)
		h = kvmb_pixels_hash(h, p + (u64)y * s->pitch, (size_t)s->width * s->depth / 8);
	return h;
}

/*
 * After a rectangle there is nothing to compare the next hash with: what changed between the two
 * looks may have been drawn or not. So the first hash after one counts as a change, too.
 */
u64 kvmb_video_serial(struct kvmb_video *v)
{
	const u8 *p = find_picture(v);
	u64 h;

	if (!p)
		return 0;
	if (v->changed) {
		v->changed = v->hashed = false;
		return ++v->serial;
	}
	h = hash_picture(&v->situation, p);
	if (!v->hashed || h != v->hash)
		v->serial++;
	v->hashed = true;
	v->hash = h;
	return v->serial;
}
