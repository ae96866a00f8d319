// SPDX-License-Identifier: GPL-2.0-only
/* Slow work on disks; theory of operation: disk_jobs.h. */
#include "vmm/disk_jobs.h"

#include <string.h>

#include "lib/loop.h"
#include "lib/thread.h"
#include "lib/util.h"

static void *job_thread(void *arg)
{
	struct disk_job *j = arg;

	kvmb_thread_enter(KVMB_THREAD_JOB, "disk-job");
	j->kind->run(j);
	kvmb_loop_post(j->loop, &j->work);
	return NULL;
}

static void undo_job(struct disk_job *j)
{
	if (j->kind->undo)
		j->kind->undo(j);
}

/* Main thread: the job's own thread has done its part. */
static void job_finished(void *arg)
{
	struct disk_job *j = arg, **p;

	pthread_join(j->thread, NULL);
	for (p = j->list; *p != j; p = &(*p)->next)
		;
	*p = j->next;
	if (j->err) {
		undo_job(j);
		reply_refused(j->reply, "failed", "disk %s: %s", j->what, j->why);
	} else {
		j->kind->done(j);
	}
	disk_job_free(j);
}

struct disk_job *disk_job_create(struct disk_job **list, struct kvmb_loop *loop,
				 const struct disk_job_kind *kind, struct ctl_reply reply)
{
	struct disk_job *j = kvmb_xzalloc(sizeof(*j));

	j->list = list;
	j->loop = loop;
	j->kind = kind;
	j->reply = reply;
	kvmb_work_init(&j->work, job_finished, j);
	return j;
}

void disk_job_free(struct disk_job *j)
{
	kvmb_disk_files_close(&j->files);
	free(j->text);
	free(j);
}

void disk_job_start(struct disk_job *j)
{
	int err = pthread_create(&j->thread, NULL, job_thread, j);

	if (err) {
		undo_job(j);
		reply_refused(j->reply, "failed", "no thread: %s", strerror(err));
		disk_job_free(j);
		return;
	}
	j->next = *j->list;
	*j->list = j;
}

void disk_jobs_end(struct disk_job **list)
{
	struct disk_job *j;

	while ((j = *list)) {
		pthread_join(j->thread, NULL);
		*list = j->next;
		kvmb_loop_unpost(j->loop, &j->work);
		undo_job(j);
		reply_refused(j->reply, "state", "the VM ended");
		disk_job_free(j);
	}
}
