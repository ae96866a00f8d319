/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sections of tagged fields: how the state of a VM is written and read (docs/migration.md).
 *
 * DOC: Theory of operation
 *
 * A section has a tag that says which part of a VM it is of, an instance (which vCPU, which
 * controller), a length and a CRC. It is a list of fields: a tag, a length, bytes. Integers are
 * little-endian, of 8 bytes, whatever their C type is, so that one may grow. A field may be a list
 * of fields itself (a group), and one tag may come several times (each channel of a bus).
 *
 * A reader asks for the fields that it knows, by tag, in any order. One that it does not ask for
 * is skipped, unless its writer has marked it critical: a reader that does not know it would go
 * wrong. The same for sections.
 *
 * Everything read is hostile: lengths are checked before use, integers against a limit that the
 * reader states. An error sticks: getters return zeroes from then on, and the caller looks once,
 * at kvmb_tlv_done(), which has one line that names section and field. Nothing that was read may
 * be used before that.
 */
#ifndef KVMB_TLV_H
#define KVMB_TLV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The registry of sections: docs/migration.md. Numbers are never used again. */
enum kvmb_section {
	KVMB_SEC_END = 1,     /* nothing follows */
	KVMB_SEC_CONFIG = 2,  /* how the VM was started; before all but COPY */
	KVMB_SEC_VM = 3,      /* clocks, what vmm/ knows */
	KVMB_SEC_MACHINE = 4, /* interrupt controllers, timers, emulated devices */
	KVMB_SEC_VCPU = 5,    /* instance: its index */
	KVMB_SEC_BUS = 6,     /* connection, page lists, channels */
	KVMB_SEC_STORAGE = 7, /* instance: the controller */
	KVMB_SEC_NET = 8,     /* instance: the NIC */
	KVMB_SEC_IC = 9,      /* instance: enum in ic-services/ic_state.h */
	KVMB_SEC_MEMORY = 10, /* pages of guest memory, in a migration */
	KVMB_SEC_WORD = 11,   /* of a migration's conversation: vmm/mig_stream.h */
	KVMB_SEC_HOST = 12,   /* what must be the same on the target: machine/machine_match.h */
	KVMB_SEC_HANDED = 13, /* of an upgrade: vmm/handed.h */
	KVMB_SEC_COPY = 16,   /* disks whose content comes along: vmm/disk_copies.h */
	KVMB_SEC_DISK = 17,   /* of their content: vmm/mig_disks.h */
	KVMB_SEC_LATER = 18,  /* of a migration: which pages come later; vmm/mig_stream.h */
	KVMB_SEC_WANTED = 19, /* of a migration: a page that is needed now */
	KVMB_SEC_LEGACY = 20, /* instance: the NIC; its legacy twin, and which of the two is live */
	KVMB_SEC_SYNTH = 21,  /* synthetic keyboard, mouse and video: vmm/synth.c; may be missing */
	KVMB_SEC_MEM_SERVICE = 22, /* dynamic memory: vmm/dynmem.c; may be missing */
	KVMB_SEC_HVSOCK = 23,	   /* sockets; may be missing */
	KVMB_SEC_SERVICES = 24,	   /* which services are on: vmm/services.c; may be missing */
	KVMB_SEC_INPUT = 25,	   /* keys that somebody holds: vmm/input.c; may be missing */
};

#define KVMB_TLV_CRITICAL 1u /* flag of sections and fields */
#define KVMB_TLV_MAX_FIELD 255u
#define KVMB_TLV_MAX_DEPTH 4u
#define KVMB_TLV_MAX_SECTION (64u << 20) /* bytes */
#define KVMB_TLV_HEADER 24u		     /* bytes in front of a section's fields */

/* ---- writing ---- */

struct kvmb_tlv_out { /* zeroed to begin with; kvmb_tlv_out_fini() */
	uint8_t *buf; /* buf[len], what has been written */
	size_t len, room;
	size_t section;			  /* offset of the open one's header */
	size_t last;			  /* offset of the last field's header */
	size_t group[KVMB_TLV_MAX_DEPTH]; /* offsets of open groups' headers */
	unsigned int depth;		  /* groups that are open */
	bool open;
	bool failed; /* no memory: checked once, at the end */
};

/** kvmb_tlv_begin() - Open a section; @flags: KVMB_TLV_CRITICAL or 0 */
void kvmb_tlv_begin(struct kvmb_tlv_out *o, enum kvmb_section tag, uint32_t instance,
		    unsigned int flags);

/** kvmb_tlv_end() - Close the open section: its length and CRC are written */
void kvmb_tlv_end(struct kvmb_tlv_out *o);

/** kvmb_tlv_put() - An integer; @field: 1 to KVMB_TLV_MAX_FIELD */
void kvmb_tlv_put(struct kvmb_tlv_out *o, unsigned int field, uint64_t v);

/** kvmb_tlv_put_bytes() - bytes[len] */
void kvmb_tlv_put_bytes(struct kvmb_tlv_out *o, unsigned int field, const void *bytes, size_t len);

/** kvmb_tlv_put_str() - A string, without its final zero */
void kvmb_tlv_put_str(struct kvmb_tlv_out *o, unsigned int field, const char *s);

/** kvmb_tlv_put_list() - list[num] of 64-bit integers */
void kvmb_tlv_put_list(struct kvmb_tlv_out *o, unsigned int field, const uint64_t *list,
		       size_t num);

/** kvmb_tlv_critical() - The field that was put last is critical */
void kvmb_tlv_critical(struct kvmb_tlv_out *o);

/** kvmb_tlv_group() - Open a group: the next fields are in it, until kvmb_tlv_group_end() */
void kvmb_tlv_group(struct kvmb_tlv_out *o, unsigned int field);

/** kvmb_tlv_group_end() - Close the group that was opened last */
void kvmb_tlv_group_end(struct kvmb_tlv_out *o);

/** kvmb_tlv_out_fini() - Free what was written; @o may be used again */
void kvmb_tlv_out_fini(struct kvmb_tlv_out *o);

/* ---- reading ---- */

struct kvmb_tlv_error { /* one of a stream; the first error is kept */
	int err;	/* 0 = none yet; -EPROTO, -EOPNOTSUPP */
	char text[200]; /* one line, names the section */
};

struct kvmb_tlv { /* a section, or a group in one; borrows the bytes */
	const uint8_t *p;
	size_t len;
	uint32_t tag, instance; /* of the section */
	unsigned int flags;
	uint8_t asked[KVMB_TLV_MAX_FIELD / 8 + 1]; /* bit n: field n was asked for */
	struct kvmb_tlv_error *error;
};

/**
 * kvmb_tlv_next() - The next section of a stream
 * @p:     stream[len], hostile
 * @len:   bytes
 * @pos:   where to look; advanced behind the section. 0 to begin with
 * @t:     result
 * @error: takes what is wrong, and is used by all getters of @t
 *
 * Return: 0; -ENODATA: the stream ends here; -EPROTO: it is cut off, or the CRC is wrong.
 */
int kvmb_tlv_next(const uint8_t *p, size_t len, size_t *pos, struct kvmb_tlv *t,
		  struct kvmb_tlv_error *error);

/** kvmb_tlv_get() - An integer of at most @max. Return: 0 after an error, also if it is missing. */
uint64_t kvmb_tlv_get(struct kvmb_tlv *t, unsigned int field, uint64_t max);

/** kvmb_tlv_get_or() - The same of a field that may be missing: @missing then */
uint64_t kvmb_tlv_get_or(struct kvmb_tlv *t, unsigned int field, uint64_t max, uint64_t missing);

/** kvmb_tlv_get_bytes() - The bytes of a field. Return: bytes[*len]; NULL and 0 after an error. */
const uint8_t *kvmb_tlv_get_bytes(struct kvmb_tlv *t, unsigned int field, size_t *len);

/** kvmb_tlv_copy() - A field of exactly @len bytes; zeroes after an error */
void kvmb_tlv_copy(struct kvmb_tlv *t, unsigned int field, void *buf, size_t len);

/** kvmb_tlv_get_str() - A string without zeroes inside. Return: malloc()ed; NULL after an error. */
char *kvmb_tlv_get_str(struct kvmb_tlv *t, unsigned int field, size_t max);

/**
 * kvmb_tlv_get_list() - 64-bit integers
 * @max: most that there may be
 * @num: set to how many
 * Return: list[*num], malloc()ed; NULL after an error and when there are none.
 */
uint64_t *kvmb_tlv_get_list(struct kvmb_tlv *t, unsigned int field, size_t max, size_t *num);

/** kvmb_tlv_has() - Is there such a field? It counts as asked for. */
bool kvmb_tlv_has(struct kvmb_tlv *t, unsigned int field);

/**
 * kvmb_tlv_each() - The next group of this tag
 * @t:     section or group
 * @field: tag
 * @pos:   0 to begin with
 * @group: result; its fields are asked for, and kvmb_tlv_done() is called, as of a section
 *
 * Return: false when there is no further one, or after an error.
 */
bool kvmb_tlv_each(struct kvmb_tlv *t, unsigned int field, size_t *pos, struct kvmb_tlv *group);

/** kvmb_tlv_refuse() - The reader does not take this value: "field 3: @why". Sticks. */
void kvmb_tlv_refuse(struct kvmb_tlv *t, unsigned int field, const char *why);

/**
 * kvmb_tlv_done() - All fields that are known have been asked for
 *
 * Return: 0; -EPROTO, or -EOPNOTSUPP if there is a critical field that nobody asked for:
 * @t->error has one line.
 */
int kvmb_tlv_done(struct kvmb_tlv *t);

/** kvmb_tlv_section_name() - "bus", "vcpu", ...; "unknown" */
const char *kvmb_tlv_section_name(uint32_t tag);

/** kvmb_tlv_head() - From header[KVMB_TLV_HEADER]: tag, and length of the fields; hostile */
void kvmb_tlv_head(const void *header, uint32_t *tag, uint64_t *len);

#endif
