/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Work on disks that takes its time, each piece on a thread of its own.
 *
 * DOC: Theory of operation
 *
 * Opening and closing an image may start or end a storage daemon and take seconds, and the
 * main thread must not wait. A job's run() is called on its own thread; when it returns, the main
 * thread calls done() or undo() and frees the job. What cannot be done is answered here.
 */
#ifndef KVMB_DISK_JOBS_H
#define KVMB_DISK_JOBS_H

#include <pthread.h>

#include "vmm/config.h"
#include "vmm/reply.h"

struct disk_job;
struct vm;

struct disk_job_kind { /* const, one a kind of change */
	void (*run)(struct disk_job *j);  /* its thread; sets err and why */
	void (*done)(struct disk_job *j); /* main thread, when err is 0: finishes the change, and answers */
	/* Main thread, instead: it failed, could not begin, or the VM ended. NULL = nothing to be done. */
	void (*undo)(struct disk_job *j);
};

struct disk_job { /* the main thread's, and while run() runs its own thread's */
	struct disk_job *next, **list;
	const struct disk_job_kind *kind;
	struct kvmb_loop *loop;
	pthread_t thread;
	struct kvmb_work work;	/* posted when the thread is through */
	struct ctl_reply reply;
	const char *what;	/* the disk, for the message of a failure */
	int err;
	char why[KVMB_DISK_WHY];

	struct vm *vm;		/* what the job is about: disks.c */
	char *text;		/* what conf points into; owned */
	struct disk_config conf;
	struct kvmb_disk *disk;	/* opened, resized, or to be closed */
	u32 controller, lun;
	u64 bytes;
};

/**
 * disk_job_create() - A job that has not begun
 * @list: of those with a thread
 * Return: never NULL; disk_job_start() or disk_job_free() is due. Context: main thread.
 */
struct disk_job *disk_job_create(struct disk_job **list, struct kvmb_loop *loop, const struct disk_job_kind *kind,
				 struct ctl_reply reply);

/** disk_job_start() - Begin; refused, undone and freed when there is no thread. Context: main thread. */
void disk_job_start(struct disk_job *j);

/** disk_job_free() - One that was not started. Context: main thread. */
void disk_job_free(struct disk_job *j);

/** disk_jobs_end() - Wait for all of @list, and undo them: the VM ended. Context: main thread. */
void disk_jobs_end(struct disk_job **list);

#endif
