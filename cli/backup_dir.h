/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The directory that `kvmbus backup` makes: a file for each disk, and manifest.json.
 *
 * The directory must not exist, so nothing is ever overwritten. The manifest comes last, by a
 * rename: a directory without one is no backup. It holds what can be known: which disks, their
 * sizes, when and how. No checksums: what is on a disk that runs on has none to compare with, and
 * those of the files any tool computes.
 *
 * The files are raw and sparse, and each directory is a whole backup: that of changes begins with
 * a copy of the older one, by FICLONE where the file system can. Of the older one each file must be
 * as its manifest says, in size and time of its last change.
 */
#ifndef KVMB_BACKUP_DIR_H
#define KVMB_BACKUP_DIR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/fdpass.h"

#define BACKUP_DIR_FILES (KVMB_FDPASS_MAX - 1) /* a pipe goes with them */
#define BACKUP_DIR_ID 33u		       /* 32 digits and an end */

struct backup_file {
	uint32_t controller, lun;
	uint64_t bytes;
	char name[32]; /* "disk-0-1.raw" */
	int fd;	       /* owned */
};

struct backup_dir {	  /* zeroed to begin with */
	const char *path; /* borrowed; NULL: it is not made yet */
	int fd;		  /* owned */
	uint32_t num;
	struct backup_file files[BACKUP_DIR_FILES]; /* files[num] */
	bool whole;				    /* it has its manifest, and stays */
};

/* All return EXIT_OK, or EXIT_FAILED with one line printed. */

/** backup_dir_make() - Make it, mode 0700. */
int backup_dir_make(struct backup_dir *d, const char *path);

/** backup_dir_add() - Make the file of a disk, empty, mode 0600. */
int backup_dir_add(struct backup_dir *d, uint32_t controller, uint32_t lun, uint64_t bytes);

/**
 * backup_dir_fill() - Have all files begin as those of an older backup
 * @base: its directory
 * @id:   set to the id in its manifest
 *
 * It must have these disks, of these sizes.
 */
int backup_dir_fill(struct backup_dir *d, const char *base, char id[BACKUP_DIR_ID]);

/**
 * backup_dir_finish() - Write the manifest
 * @manifest: "disks" has an object for each file, in that order, to which name and time are added
 */
int backup_dir_finish(struct backup_dir *d, json_t *manifest);

/** backup_dir_undo() - Remove it with all that is in it, unless it is whole; fine if not made. */
void backup_dir_undo(const struct backup_dir *d);

/** backup_dir_close() - Close its files. */
void backup_dir_close(struct backup_dir *d);

#endif
