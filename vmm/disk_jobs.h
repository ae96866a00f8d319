/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slow work on disks, each job on its own thread.
 *
 * DOC: Theory of operation
 *
 * Opening and closing an image may start or end a storage daemon and take seconds, and the main
 * thread must not wait. A job's run() is called on the job's thread. When it returns, the main
 * thread calls done() or undo() and frees the job. A failure is answered here.
 */
#ifndef KVMB_DISK_JOBS_H
#define KVMB_DISK_JOBS_H

#include <pthread.h>

#include "vmm/config.h"
#include "vmm/reply.h"

struct disk_job;
struct vm;

struct disk_job_kind { /* const, one for each kind of change */
	void (*run)(struct disk_job *j);  /* its thread; sets err and why */
	/* main thread, when err is 0: finishes the change, and answers */
	void (*done)(struct disk_job *j);
	/* Main thread, instead: run() failed or could not start, or the VM ended. May be NULL. */
	void (*undo)(struct disk_job *j);
};

struct disk_job { /* belongs to the main thread; during run() to its own thread */
	struct disk_job *next, **list;
	const struct disk_job_kind *kind;
	struct kvmb_loop *loop;
	pthread_t thread;
	struct kvmb_work work;	/* posted when the thread has finished */
	struct ctl_reply reply;
	const char *what;	/* the disk, for the message of a failure */
	int err;
	char why[KVMB_DISK_WHY];

	struct vm *vm;		/* what the job is about: disks.c */
	char *text;		/* conf points into it; owned */
	struct disk_config conf;
	struct kvmb_disk_files files; /* of conf, until the disk is open */
	struct kvmb_disk *disk;	/* opened, resized, or to be closed */
	u32 controller, lun;
	u64 bytes;
};

/**
 * disk_job_create() - Make a job, not started
 * @list:  of running jobs
 * @loop:  of the main thread
 * @kind:  what to do
 * @reply: where the answer goes
 *
 * Return: never NULL; call disk_job_start() or disk_job_free(). Context: main thread.
 */
struct disk_job *disk_job_create(struct disk_job **list, struct kvmb_loop *loop,
				 const struct disk_job_kind *kind, struct ctl_reply reply);

/** disk_job_start() - Start it; without a thread it is refused, undone and freed. Main thread. */
void disk_job_start(struct disk_job *j);

/** disk_job_free() - Free a job that was not started. Context: main thread. */
void disk_job_free(struct disk_job *j);

/** disk_jobs_end() - Wait for all jobs of @list and undo them: the VM ends. Main thread. */
void disk_jobs_end(struct disk_job **list);

#endif
