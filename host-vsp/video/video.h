/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Synthetic video: a guest says where its picture lies, and what it is like.
 *
 * DOC: Theory of operation
 *
 * The guest chooses where video memory is in its address space. That may be
 *  - a free place of the MMIO windows that ACPI gives to VMBus (hyperv_drm; on a machine without
 *    PCI nothing else): we put memory of our own there, KVMB_VIDEO_MEMORY bytes;
 *  - memory that is there already: BAR 0 of the graphics card, which is how Hyper-V's first
 *    generation has it (hyperv_drm and hyperv_fb on a machine with firmware), or plain RAM
 *    (hyperv_fb with room in CMA). Then we look at what lies there, and put nothing.
 * So one rule serves all: memory that the guest has wins, ours fills what is free, and any other
 * place costs the channel. Nobody has to know which driver it is, or which machine. Memory of our
 * own is apart from the card's, whose text is there again when the guest lets go of it; in BAR 0 a
 * driver draws over it. Mapping costs the bus thread time, so a guest may move its memory
 * KVMB_VIDEO_MOVES times while the channel is open; drivers do so once.
 *
 * A situation update has size, depth, distance of lines and offset of the picture. From then on,
 * while the location is known and the picture active, it is what the screen shows: live. Each
 * drawing finds the memory anew and checks that the picture is in it, for the guest may have moved
 * the card's BAR meanwhile. Closing the channel, a lie, a reset: not live.
 *
 * Whether a picture has changed is found by a hash of it, because a guest may say nothing. Dirty
 * rectangles, which are asked for while somebody looks, only save that work: where one came, the
 * picture counts as changed. Shape and position of the pointer are checked and not drawn: who looks
 * has a pointer of his own, and a mouse that is absolute puts the guest's below it.
 *
 * Limits: one output, at most KVMB_VIDEO_MAX_WIDTH x KVMB_VIDEO_MAX_HEIGHT, 16, 24 or 32 bits.
 */
#ifndef KVMB_VIDEO_H
#define KVMB_VIDEO_H

#include "host-vsp/synth.h"

#define KVMB_VIDEO_MEGABYTES 8u /* as Hyper-V offers them: docs/protocol.md#9.9 */
#define KVMB_VIDEO_MEMORY (KVMB_VIDEO_MEGABYTES << 20)
#define KVMB_VIDEO_MOVES 64u
#define KVMB_VIDEO_MAX_WIDTH 2560u
#define KVMB_VIDEO_MAX_HEIGHT 1600u

/* What a VMM does for it. Bus thread; none may be NULL. */
struct kvmb_video_ops {
	/*
	 * Show @hva[@size] to the guest at @gpa, hostile. Return: 0; -EEXIST: something else is
	 * there; -errno: it may not be there.
	 */
	int (*map)(void *arg, u64 gpa, void *hva, u64 size);
	/* Take it away from where it was shown. */
	void (*unmap)(void *arg);
	/*
	 * Memory of another device that the guest has at @gpa, hostile. Return: @len bytes that it
	 * may rewrite at any time; NULL: not all of them are such.
	 */
	const u8 *(*find)(void *arg, u64 gpa, u64 len);
	void *arg;
};

enum kvmb_video_place {
	KVMB_VIDEO_NOWHERE,
	KVMB_VIDEO_OWN,	  /* our memory is mapped there */
	KVMB_VIDEO_THEIRS /* RAM, or memory of another device */
};

struct kvmb_video_situation { /* checked as far as it can be without knowing the place */
	bool active;
	u32 offset, depth, width, height, pitch; /* bytes, bits, pixels, pixels, bytes */
};

struct kvmb_video { /* bus thread */
	struct kvmb_synth synth;
	struct kvmb_video_ops ops;
	int fd;	    /* of the memory */
	u8 *memory; /* memory[KVMB_VIDEO_MEMORY]; shared with the guest while it is OWN */
	enum kvmb_video_place place;
	u64 gpa;   /* of place */
	u32 moves; /* since the channel was opened */
	struct kvmb_video_situation situation;
	bool watched; /* somebody looks all the time */
	bool owes;    /* the guest is to be told what we want to hear */
	bool changed; /* since the last look: it has said so */
	bool hashed;  /* hash is the last look's */
	u64 hash;
	u64 serial;
};

/** kvmb_video_create() - Make it; @ops is copied. Return: 0; -errno: no memory for it. */
int kvmb_video_create(struct kvmb_video *v, const struct kvmb_video_ops *ops);

/** kvmb_video_fini() - Its memory is in no guest any more. Also after a zeroed or failed create. */
void kvmb_video_fini(struct kvmb_video *v);

/** kvmb_video_live() - Does the guest show a picture, and can it be seen? */
bool kvmb_video_live(const struct kvmb_video *v);

/** kvmb_video_watch() - Somebody looks all the time from now on, or nobody does. */
void kvmb_video_watch(struct kvmb_video *v, bool watched);

/**
 * kvmb_video_draw() - The picture
 * @width:  set on success, 1 to KVMB_VIDEO_MAX_WIDTH
 * @height: set on success, 1 to KVMB_VIDEO_MAX_HEIGHT
 * @pixels: set on success: pixels[@height * @width], red << 16 | green << 8 | blue; free() it
 *
 * Return: 0; -ENODATA: not live; -ENOMEM. Trust: the memory is the guest's, and may change
 * meanwhile; whatever it is, it ends, and reads nothing else.
 */
int kvmb_video_draw(const struct kvmb_video *v, u32 *width, u32 *height, u32 **pixels);

/**
 * kvmb_video_serial() - Has what kvmb_video_draw() would draw changed?
 *
 * Return: the same number as before, if nothing has; another one, if it may have. 0: not live.
 */
u64 kvmb_video_serial(struct kvmb_video *v);

/** kvmb_video_save() - Into the open group, with its own memory if the guest has it. */
void kvmb_video_save(const struct kvmb_video *v, struct kvmb_tlv_out *o);

/**
 * kvmb_video_load() - What that wrote, hostile
 * Return: 0; -errno, and @t->error says why. Memory is mapped as if the guest had said so; the
 * device whose memory it may be is loaded.
 */
int kvmb_video_load(struct kvmb_video *v, struct kvmb_tlv *t);

#endif
