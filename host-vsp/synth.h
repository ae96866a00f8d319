/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Synthetic keyboard, mouse and video: what the three share.
 *
 * DOC: Theory of operation
 *
 * Each is one channel, served on the bus thread (loop_chan.h). The guest asks for a version, is
 * answered, and may ask for another one if ours is none that it knows. From READY on the device is
 * of use. A guest that says anything else than its turn is, or of another size, has broken the
 * protocol: its channel fails, and the screen, keyboard and mouse that every PC has are there as
 * before (vmm/screen.h, vmm/input.h).
 */
#ifndef KVMB_SYNTH_H
#define KVMB_SYNTH_H

#include "host-vsp/bus/bus.h"
#include "host-vsp/loop_chan.h"

enum kvmb_synth_state {
	KVMB_SYNTH_CLOSED,	/* no guest driver */
	KVMB_SYNTH_NEGOTIATING, /* the guest's word: a version */
	KVMB_SYNTH_DESCRIBED,	/* mouse: it has the description, and has not acknowledged it */
	KVMB_SYNTH_READY,
	KVMB_SYNTH_FAILED, /* the guest broke the protocol; until it closes the channel */
	KVMB_SYNTH_NUM_STATES
};

struct kvmb_synth;

struct kvmb_synth_ops {	  /* const, one per kind of device */
	const char *name; /* "keyboard" */
	struct kvmb_guid type, instance;
	u16 mmio_megabytes;
	struct kvmb_loop_chan_ops chan;
	bool describes; /* it is DESCRIBED before it is READY */
	/* The channel has failed, or is closed: forget what was agreed. */
	void (*stopped)(struct kvmb_synth *s);
};

struct kvmb_synth { /* embed it; bus thread only */
	const struct kvmb_synth_ops *ops;
	struct kvmb_loop_chan chan;
	enum kvmb_synth_state state; /* kvmb_synth_move() */
	u32 version;		     /* agreed, as on the wire; 0 = none yet */
	bool fresh;		     /* opened while the bus was paused, and nothing was loaded */
};

struct kvmb_synth_msg { /* of mouse and video, from a packet: its private copy */
	u32 type;
	const u8 *body; /* body[len] */
	u32 len;
};

/** kvmb_synth_init() - Prepare @s; @ops must outlive it. Nothing is offered yet. */
void kvmb_synth_init(struct kvmb_synth *s, const struct kvmb_synth_ops *ops);

/** kvmb_synth_offer() - Offer the device on @bus. Return: as kvmb_bus_offer(). */
int kvmb_synth_offer(struct kvmb_synth *s, struct kvmb_bus *bus);

/** kvmb_synth_move() - The one writer of @s->state; also to the state that it is in. */
void kvmb_synth_move(struct kvmb_synth *s, enum kvmb_synth_state to);

/** kvmb_synth_failed() - What failed() of a device is in its ops. */
void kvmb_synth_failed(struct kvmb_loop_chan *c);

/** kvmb_synth_state_name() - "no guest driver", "negotiating", "ready", "failed". */
const char *kvmb_synth_state_name(const struct kvmb_synth *s);

/**
 * kvmb_synth_parse() - The message in a packet, and the completion that it may want
 * @pkt: of the guest
 *
 * Return: NULL; or why the channel fails.
 */
const char *kvmb_synth_parse(struct kvmb_synth *s, const struct kvmb_pkt *pkt,
			     struct kvmb_synth_msg *m);

/** kvmb_synth_complete() - Send the completion that @pkt may want. Return: as above. */
const char *kvmb_synth_complete(struct kvmb_synth *s, const struct kvmb_pkt *pkt);

/**
 * kvmb_synth_say() - Send a message of mouse or video
 * @type: of proto/input.h, proto/video.h
 * @body: body[len]
 * @len:  bytes
 * @size: what its header says: of proto/video.h, struct kvmb_wire_pipe_msg
 *
 * Return: as kvmb_loop_chan_send().
 */
int kvmb_synth_say(struct kvmb_synth *s, u32 type, const void *body, u32 len, u32 size);

/** kvmb_synth_save() - State and version, into the open group. The bus stands. */
void kvmb_synth_save(const struct kvmb_synth *s, struct kvmb_tlv_out *o);

/**
 * kvmb_synth_load() - What kvmb_synth_save() wrote
 * @known: is it a version that is agreed to?
 *
 * Comes after the bus is loaded and before it goes on. The device's fields are loaded first, for
 * the state follows: a channel that had failed stops here. Errors stick to @t.
 */
void kvmb_synth_load(struct kvmb_synth *s, struct kvmb_tlv *t, bool (*known)(u32 version));

/* Fields of the group of a device; its own begin at KVMB_SYNTH_OWN. Never used again. */
enum { KVMB_SYNTH_STATE = 1, KVMB_SYNTH_VERSION = 2, KVMB_SYNTH_OWN = 16 };

#endif
