/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM from elsewhere: what it has, as its source says, and making its disks and its file here.
 *
 * DOC: Theory of operation
 *
 * A source is read into a struct import_vm by one of the readers: hyperv_export.h (a folder, or its
 * XML or .vmcx), ovf.h (an OVF, or an OVA around one), or it is one disk image. What the source has
 * and we do not becomes a line of `lacks`; nothing is left out without one.
 *
 * Then each disk's image is found and looked at (probe.h), and import_make() copies, converts or
 * unpacks it into the target directory, and writes the VM's file (vm_file.h) last: a VM is there
 * as a whole or not at all. Whatever fails before, or ^C, removes what was made.
 *
 * Trust: everything in a source is hostile. Names in it are looked for in its folder, by their last
 * part only, and symbolic links are not followed there. Numbers and lists have limits.
 */
#ifndef KVMB_IMPORT_H
#define KVMB_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "manage/probe.h"

#define IMPORT_MAX_DISKS 64u
#define IMPORT_MAX_NICS 8u
#define IMPORT_MAX_LACKS 200u
#define IMPORT_WHY 1024u
#define IMPORT_TEXT (1u << 20) /* bytes of a description: XML, .vmcx, OVF */
#define IMPORT_IDE 4	       /* --disk's controller=4 to 7 are the IDE drives */

struct import_disk {
	char *source; /* what the source calls it */
	bool dvd;
	int controller; /* of --disk; -1 = nobody said */
	int lun;
	struct probe_chain chain; /* num 0: an empty drive, or not found yet */
	char *found;		  /* absolute name of the image, NULL = in an archive */
	bool packed;		  /* in an archive */
	char *target;		  /* name in the target directory; NULL = it stays where it is */
	const char *format;	  /* of the target */
};

struct import_nic {
	char mac[18];  /* "" = the source says none */
	char *network; /* name of its switch; NULL = not connected */
	bool mac_spoof;
};

enum import_mode { IMPORT_COPY, IMPORT_CONVERT, IMPORT_IN_PLACE };

/* What the user wants. */
struct import_wish {
	const char *source, *dir; /* @dir: of the VM's file and of disks that are made */
	const char *name;	  /* NULL = the source's */
	bool mode_said;
	enum import_mode mode;
	const char *format;	   /* of IMPORT_CONVERT */
	const char *source_format; /* of a disk image alone; NULL = by its content */
	bool dry_run, verify;
	/* Called often. @what: what is being done. Return: false: stop. */
	bool (*tell)(void *arg, const char *what, uint64_t done, uint64_t total);
	void *arg;
};

struct import_vm {
	char *name, *uuid; /* @uuid: NULL = none */
	char *origin;	   /* a phrase for people: what it was made from */
	bool bare;	   /* a disk alone: nobody expects it to say more */
	int generation;	   /* Hyper-V's 1 or 2; 0 = nobody said */
	uint32_t cpus;	   /* 0 = nobody said */
	uint64_t memory_mib;
	char boot[40];				    /* for --boot; "" = nobody said */
	bool ic_off[3];				    /* heartbeat, timesync, shutdown */
	struct import_disk disks[IMPORT_MAX_DISKS]; /* disks[num_disks] */
	unsigned int num_disks;
	struct import_nic nics[IMPORT_MAX_NICS]; /* nics[num_nics] */
	unsigned int num_nics;
	char *lacks[IMPORT_MAX_LACKS]; /* lacks[num_lacks]: a line each */
	unsigned int num_lacks;
	char *archive; /* the OVA that disks are packed in; NULL = none */
	char *file;    /* out: absolute name of the VM's file */
	char *text;    /* out: what is in it */
};

/**
 * import_read() - Read what the source is, find its disks, look at them
 * @vm:  filled; import_free(), also after a failure
 * @why: why[size], on failure one line
 *
 * Return: 0 or -errno. Context: a process without threads; blocks; starts programs.
 */
int import_read(const struct import_wish *w, struct import_vm *vm, char *why, size_t size);

/**
 * import_make() - Make its disks and its file, or with dry_run only its text
 *
 * Return: 0; -EINTR: told to stop; -errno: nothing is left of it. As import_read().
 */
int import_make(const struct import_wish *w, struct import_vm *vm, char *why, size_t size);

/** import_free() - Free all of it. */
void import_free(struct import_vm *vm);

/* ---- for the readers ---- */

/** import_lack() - Add a line about what is not taken over. */
void import_lack(struct import_vm *vm, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** import_text() - asprintf() that does not fail; control characters become "?". */
char *import_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** import_path() - "@dir/@name", exactly: what it names is opened. Return: to be freed. */
char *import_path(const char *dir, const char *name);

/**
 * import_add_disk() - One more
 * @source: what the source calls it; NULL = an empty drive
 *
 * Return: NULL when there are too many: a line says so.
 */
struct import_disk *import_add_disk(struct import_vm *vm, const char *source, bool dvd);

/** import_add_nic() - One more. @mac: any notation, or NULL. Return: as import_add_disk(). */
struct import_nic *import_add_nic(struct import_vm *vm, const char *mac);

/**
 * import_legacy_nic() - The NIC that was added last is an emulated one there
 *
 * run makes the first NICs legacy NICs, too; a later one gets a line.
 */
void import_legacy_nic(struct import_vm *vm);

/** import_set_cpus() - @text is a number of CPUs; one that we cannot have gets a line. */
void import_set_cpus(struct import_vm *vm, const char *text);

/** import_number() - Parse a decimal number. Return: false: it is none, or above @most. */
bool import_number(const char *text, uint64_t most, uint64_t *out);

/** import_take_text() - Read a small file. Return: 0 with *text to free, text[len] 0; -errno. */
int import_take_text(int fd, char **text, size_t *len);

/** import_place_ide() - Where an IDE drive is: controller 0 or 1, drive 0 or 1. */
void import_place_ide(struct import_disk *d, unsigned int controller, unsigned int drive);

/** import_place_scsi() - The same of a SCSI disk; what does not fit gets a line. */
void import_place_scsi(struct import_vm *vm, struct import_disk *d, unsigned int controller,
		       unsigned int lun);

#endif
