// SPDX-License-Identifier: GPL-2.0-only
/* Synthetic video: the protocol, and where memory lies. Theory: video.h. */
#include "host-vsp/video/video.h"

#include <sys/mman.h>
#include <unistd.h>

#include "host-vsp/video/video_priv.h"
#include "lib/log.h"
#include "lib/util.h"
#include "vmbus-core/proto/video.h"

#define PACKET_MAX 0x4000u
#define MAX_GPA (1ull << 52)

/* Which 3.x is what: docs/protocol.md#9.8 */
#define LAST_MINOR 5u
#define MINOR_BIOS 3u
#define MINOR_RESOLUTIONS 4u
#define MINOR_CAPABILITY 5u

/* ---- where memory is ---- */

void video_nowhere(struct kvmb_video *v)
{
	if (v->place == KVMB_VIDEO_OWN)
		v->ops.unmap(v->ops.arg);
	v->place = KVMB_VIDEO_NOWHERE;
	v->changed = true;
}

/* Memory that the guest has there already. */
static bool has_memory(const struct kvmb_video *v, u64 gpa)
{
	const struct kvmb_gm *gm = kvmb_bus_vmm(kvmb_chan_bus(v->synth.chan.ch))->gm;

	return kvmb_gm_ptr(gm, gpa, KVMB_VIDEO_MEMORY) ||
	       v->ops.find(v->ops.arg, gpa, KVMB_VIDEO_MEMORY);
}

int video_put(struct kvmb_video *v, u64 gpa, enum kvmb_video_place place)
{
	int err = 0;

	video_nowhere(v);
	if (gpa & (KVMB_PAGE_SIZE - 1) || gpa > MAX_GPA)
		return -EINVAL;
	if (place == KVMB_VIDEO_OWN)
		err = v->ops.map(v->ops.arg, gpa, v->memory, KVMB_VIDEO_MEMORY);
	if (!err)
		v->place = place;
	v->gpa = gpa;
	return err;
}

static int put_where_said(struct kvmb_video *v, u64 gpa)
{
	return video_put(v, gpa, has_memory(v, gpa) ? KVMB_VIDEO_THEIRS : KVMB_VIDEO_OWN);
}

/* ---- what we say ---- */

static int say(struct kvmb_video *v, u32 type, const void *body, u32 len)
{
	return kvmb_synth_say(&v->synth, type, body, len, len + 8);
}

/* That it may have no room now is no fault of the guest. */
static void tell_features(struct kvmb_video *v)
{
	const struct kvmb_wire_video_features f = {
		.dirt = v->watched, .pointer_position = 0, .pointer_shape = 0, .situation = 1
	};
	int err;

	if (!v->owes || v->synth.state != KVMB_SYNTH_READY || v->place == KVMB_VIDEO_NOWHERE ||
	    !kvmb_loop_chan_runs(&v->synth.chan))
		return;
	err = say(v, KVMB_VIDEO_FEATURES, &f, sizeof(f));
	if (!err)
		v->owes = false;
	else if (err != -EAGAIN)
		kvmb_loop_chan_fail(&v->synth.chan, "its ring is corrupt", err);
}

static void video_room(struct kvmb_loop_chan *c)
{
	tell_features(container_of(c, struct kvmb_video, synth.chan));
}

void kvmb_video_watch(struct kvmb_video *v, bool watched)
{
	if (v->watched == watched)
		return;
	v->watched = watched;
	v->owes = true;
	tell_features(v);
}

/* ---- what the guest says ---- */

bool video_version_known(u32 version)
{
	return KVMB_VIDEO_MAJOR(version) == 3 && KVMB_VIDEO_MINOR(version) <= LAST_MINOR;
}

static const char *take_version(struct kvmb_video *v, const struct kvmb_synth_msg *m)
{
	struct kvmb_wire_video_version_response r = { .outputs = 1 };
	struct kvmb_wire_video_version req;
	bool known;
	u32 version;

	memcpy(&req, m->body, sizeof(req));
	version = le32_to_cpu(req.version);
	known = video_version_known(version);
	/* a driver may begin anew: docs/protocol.md#9.8 */
	video_nowhere(v);
	v->situation = (struct kvmb_video_situation){ 0 };
	v->synth.version = known ? version : 0;
	kvmb_synth_move(&v->synth, known ? KVMB_SYNTH_READY : KVMB_SYNTH_NEGOTIATING);
	r.version = cpu_to_le32(known ? version : KVMB_VIDEO_VERSION(3, LAST_MINOR));
	r.accepted = known ? KVMB_VIDEO_ACCEPTED : 0;
	return say(v, KVMB_VIDEO_VERSION_RESPONSE, &r, sizeof(r)) ? "its ring is corrupt" : NULL;
}

static const char *take_location(struct kvmb_video *v, const struct kvmb_synth_msg *m)
{
	struct kvmb_wire_video_location w;
	struct kvmb_wire_video_ack ack;
	int err = 0;

	memcpy(&w, m->body, sizeof(w));
	if (!w.specified)
		video_nowhere(v);
	else if (v->place == KVMB_VIDEO_NOWHERE || v->gpa != le64_to_cpu(w.gpa))
		err = v->moves++ < KVMB_VIDEO_MOVES ? put_where_said(v, le64_to_cpu(w.gpa)) :
						      -EBUSY;
	if (err)
		return err == -EBUSY ? "its memory moves without end" :
				       "its memory cannot be where it says";
	ack.context = w.context;
	if (say(v, KVMB_VIDEO_VRAM_ACK, &ack, sizeof(ack)))
		return "its ring is corrupt";
	v->owes = true;
	tell_features(v);
	return NULL;
}

u64 video_picture_bytes(const struct kvmb_video_situation *s)
{
	return (u64)s->pitch * (s->height - 1) + (u64)s->width * s->depth / 8;
}

bool video_situation_valid(const struct kvmb_video_situation *s)
{
	if (!s->active)
		return true;
	return (s->depth == 16 || s->depth == 24 || s->depth == 32) && s->width && s->height &&
	       s->width <= KVMB_VIDEO_MAX_WIDTH && s->height <= KVMB_VIDEO_MAX_HEIGHT &&
	       s->pitch >= s->width * s->depth / 8 && s->pitch <= KVMB_VIDEO_MEMORY &&
	       s->offset <= KVMB_VIDEO_MEMORY &&
	       video_picture_bytes(s) <= KVMB_VIDEO_MEMORY - s->offset;
}

static const char *take_situation(struct kvmb_video *v, const struct kvmb_synth_msg *m)
{
	struct kvmb_wire_video_situation w;
	struct kvmb_video_situation s;
	struct kvmb_wire_video_ack ack;

	memcpy(&w, m->body, sizeof(w));
	s = (struct kvmb_video_situation){ .active = w.active,
					   .offset = le32_to_cpu(w.offset),
					   .depth = w.depth,
					   .width = le32_to_cpu(w.width),
					   .height = le32_to_cpu(w.height),
					   .pitch = le32_to_cpu(w.pitch) };
	if (w.outputs != 1 || !video_situation_valid(&s))
		return "a picture that cannot be";
	v->situation = s;
	v->changed = true;
	ack.context = w.context;
	return say(v, KVMB_VIDEO_SITUATION_ACK, &ack, sizeof(ack)) ? "its ring is corrupt" : NULL;
}

static const char *take_position(struct kvmb_video *v, const struct kvmb_synth_msg *m)
{
	struct kvmb_wire_video_position w;

	(void)v;
	memcpy(&w, m->body, sizeof(w));
	return w.output ? "there is one output" : NULL;
}

static const char *take_shape(struct kvmb_video *v, const struct kvmb_synth_msg *m)
{
	struct kvmb_wire_video_shape w;

	(void)v;
	memcpy(&w, m->body, sizeof(w));
	if (le32_to_cpu(w.width) > KVMB_VIDEO_POINTER_MAX ||
	    le32_to_cpu(w.height) > KVMB_VIDEO_POINTER_MAX)
		return "a pointer that is too large";
	return NULL;
}

static const char *take_dirt(struct kvmb_video *v, const struct kvmb_synth_msg *m)
{
	struct kvmb_wire_video_dirt w;

	memcpy(&w, m->body, sizeof(w));
	if (w.output || m->len - sizeof(w) < (u32)w.num * KVMB_VIDEO_RECTANGLE)
		return "rectangles that are not there";
	v->changed |= w.num != 0;
	return NULL;
}

static const char *take_bios(struct kvmb_video *v, const struct kvmb_synth_msg *m)
{
	const struct kvmb_wire_video_bios r = { .stop_device = cpu_to_le32(1) };

	(void)m;
	return say(v, KVMB_VIDEO_BIOS_RESPONSE, &r, sizeof(r)) ? "its ring is corrupt" : NULL;
}

static const char *take_capability(struct kvmb_video *v, const struct kvmb_synth_msg *m)
{
	const struct kvmb_wire_video_capability r = { 0 };

	(void)m;
	return say(v, KVMB_VIDEO_CAPABILITY_RESPONSE, &r, sizeof(r)) ? "its ring is corrupt" : NULL;
}

/* What fits into KVMB_VIDEO_MEMORY with 32 bits. The preferred one comes first. */
static const struct {
	u16 width, height;
} resolutions[] = {
	{ 1024, 768 }, { 640, 480 },   { 800, 600 },  { 1152, 864 },  { 1280, 720 },
	{ 1280, 800 }, { 1280, 1024 }, { 1440, 900 }, { 1600, 1200 }, { 1920, 1080 },
};

/*
 * A monitor that says nothing but its name and 1024x768.
 * Source: VESA, "Enhanced Extended Display Identification Data Standard" 1.3, chapter 3.
 */
static void fill_edid(u8 edid[128])
{
	static const u8 head[] = { 0,	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, /* header */
				   0x2e, 0xc2, /* KVB, five bits a letter */
				   1,	 0,    0,    0,	   0,	 0,    1,    35, /* week, year */
				   1,	 3,					 /* EDID 1.3 */
				   0x80, 0,    0,    0x78, 0x0a }; /* digital; no size; RGB */
	/* 65 MHz, 1024 + 320, 768 + 38: VESA's timing */
	static const u8 timing[] = { 0x64, 0x19, 0x00, 0x40, 0x41, 0x00, 0x26, 0x30, 0x18,
				     0x88, 0x36, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x18 };
	static const u8 name[] = { 0,	0,   0,	  0xfc, 0,   'k', 'v', 'm', 'b',
				   'u', 's', ' ', 's',	'c', 'r', 'e', 'e', 'n' };
	u8 sum = 0;
	u32 i;

	memset(edid, 0, 128);
	memcpy(edid, head, sizeof(head));
	memset(edid + 38, 1, 16); /* no standard timings */
	memcpy(edid + 54, timing, sizeof(timing));
	memcpy(edid + 72, name, sizeof(name));
	edid[90 + 3] = edid[108 + 3] = 0x10; /* two descriptors without a meaning */
	for (i = 0; i < 127; i++)
		sum = (u8)(sum + edid[i]);
	edid[127] = (u8)-sum;
}

static const char *take_resolutions(struct kvmb_video *v, const struct kvmb_synth_msg *m)
{
	struct {
		struct kvmb_wire_video_resolutions head;
		__le16 list[ARRAY_SIZE(resolutions)][2];
	} __attribute__((packed)) r = { 0 };
	u32 i, num = KVMB_MIN(m->body[0], (u32)ARRAY_SIZE(resolutions));

	fill_edid(r.head.edid);
	r.head.num = (u8)num;
	for (i = 0; i < num; i++) {
		r.list[i][0] = cpu_to_le16(resolutions[i].width);
		r.list[i][1] = cpu_to_le16(resolutions[i].height);
	}
	return say(v, KVMB_VIDEO_RESOLUTION_RESPONSE, &r,
		   (u32)(sizeof(r.head) + num * sizeof(r.list[0]))) ?
		       "its ring is corrupt" :
		       NULL;
}

static const struct {
	u16 size;   /* of the shortest body */
	u8 minor;   /* first 3.x that has it */
	bool early; /* before a version is agreed */
	const char *(*take)(struct kvmb_video *v, const struct kvmb_synth_msg *m);
} messages[] = {
	[KVMB_VIDEO_VERSION_REQUEST] = { sizeof(struct kvmb_wire_video_version), 0, true,
					 take_version },
	[KVMB_VIDEO_VRAM_LOCATION] = { sizeof(struct kvmb_wire_video_location), 0, false,
				       take_location },
	[KVMB_VIDEO_SITUATION] = { sizeof(struct kvmb_wire_video_situation), 0, false,
				   take_situation },
	[KVMB_VIDEO_POINTER_POSITION] = { sizeof(struct kvmb_wire_video_position), 0, false,
					  take_position },
	[KVMB_VIDEO_POINTER_SHAPE] = { sizeof(struct kvmb_wire_video_shape), 0, false, take_shape },
	[KVMB_VIDEO_DIRT] = { sizeof(struct kvmb_wire_video_dirt), 0, false, take_dirt },
	[KVMB_VIDEO_BIOS_REQUEST] = { 0, MINOR_BIOS, false, take_bios },
	[KVMB_VIDEO_RESOLUTION_REQUEST] = { 1, MINOR_RESOLUTIONS, false, take_resolutions },
	[KVMB_VIDEO_CAPABILITY_REQUEST] = { 0, MINOR_CAPABILITY, false, take_capability },
};

static const char *video_packet(struct kvmb_loop_chan *c, const struct kvmb_pkt *pkt)
{
	struct kvmb_video *v = container_of(c, struct kvmb_video, synth.chan);
	struct kvmb_synth_msg m;
	const char *why = kvmb_synth_parse(&v->synth, pkt, &m);

	if (why)
		return why;
	if (m.type >= ARRAY_SIZE(messages) || !messages[m.type].take)
		return "there is no such message";
	if (m.len < messages[m.type].size)
		return "a message is too short";
	if (!messages[m.type].early && v->synth.state != KVMB_SYNTH_READY)
		return "no version was agreed";
	if (KVMB_VIDEO_MINOR(v->synth.version) < messages[m.type].minor)
		return "a message of a later version";
	return messages[m.type].take(v, &m);
}

/* ---- life ---- */

static void video_stopped(struct kvmb_synth *s)
{
	struct kvmb_video *v = container_of(s, struct kvmb_video, synth);

	video_nowhere(v);
	v->situation = (struct kvmb_video_situation){ 0 };
	v->owes = false;
	v->moves = 0;
}

static const struct kvmb_synth_ops video_ops = {
	.name = "video",
	.type = KVMB_VIDEO_TYPE_GUID,
	.instance = KVMB_VIDEO_INSTANCE_GUID,
	.mmio_megabytes = KVMB_VIDEO_MEGABYTES,
	.chan = { .packet_max = PACKET_MAX,
		  .answer_room = 512,
		  .packet = video_packet,
		  .failed = kvmb_synth_failed,
		  .room = video_room },
	.stopped = video_stopped,
};

int kvmb_video_create(struct kvmb_video *v, const struct kvmb_video_ops *ops)
{
	void *p;

	*v = (struct kvmb_video){ .ops = *ops };
	kvmb_synth_init(&v->synth, &video_ops);
	v->fd = memfd_create("kvmbus-synthvideo", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (v->fd < 0 || ftruncate(v->fd, KVMB_VIDEO_MEMORY))
		return -errno;
	p = mmap(NULL, KVMB_VIDEO_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	v->memory = p;
	return 0;
}

void kvmb_video_fini(struct kvmb_video *v)
{
	if (v->memory)
		munmap(v->memory, KVMB_VIDEO_MEMORY);
	if (v->fd > 0)
		close(v->fd);
	v->memory = NULL;
	v->fd = 0;
}
