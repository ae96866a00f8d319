/* SPDX-License-Identifier: GPL-2.0-only */
/* A picture of a guest's screen, whatever device shows it. */
#ifndef KVMB_SCREEN_H
#define KVMB_SCREEN_H

#include "vmbus-core/env.h"

#define SCREEN_MAX_WIDTH 2560u
#define SCREEN_MAX_HEIGHT 1600u

struct screen_image {
	u32 width, height; /* 1 to SCREEN_MAX_WIDTH, SCREEN_MAX_HEIGHT */
	u32 *pixels;	   /* pixels[height * width], red << 16 | green << 8 | blue; free() it */
};

#endif
