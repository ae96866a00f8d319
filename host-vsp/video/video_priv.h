/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of synthetic video share. */
#ifndef KVMB_VIDEO_PRIV_H
#define KVMB_VIDEO_PRIV_H

#include "host-vsp/video/video.h"

/**
 * video_put() - Video memory is at @gpa from now on, hostile
 * @v:     open
 * @place: OWN: ours is mapped there; THEIRS: what is there is looked at, if there is something
 *
 * Return: 0; -EINVAL, or what map() says: it cannot be there, and is nowhere.
 */
int video_put(struct kvmb_video *v, u64 gpa, enum kvmb_video_place place);

/** video_nowhere() - Video memory is nowhere from now on. */
void video_nowhere(struct kvmb_video *v);

/** video_situation_valid() - Can it be, whatever the place is? */
bool video_situation_valid(const struct kvmb_video_situation *s);

/** video_version_known() - Is it a version that is agreed to? */
bool video_version_known(u32 version);

/** video_picture_bytes() - Bytes from the first to behind the last of a picture's. */
u64 video_picture_bytes(const struct kvmb_video_situation *s);

#endif
