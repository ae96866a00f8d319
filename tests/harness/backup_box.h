/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM, its guest, its disks and a client as backup.c sees them, played: for backup_test.c. Only
 * the copying is real.
 */
#ifndef KVMB_BACKUP_BOX_H
#define KVMB_BACKUP_BOX_H

#include "vmm/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/block/disk_point.h"
#include "lib/dirty_log.h"
#include "lib/util.h"
#include "tests/harness/patience.h"
#include "tests/unit/test.h"
#include "vmm/disks.h"
#include "vmm/disks_priv.h"
#include "vmm/vm_rest.h"

#define CHUNK KVMB_DISK_CHUNK
#define BYTES (40ull * CHUNK + 512) /* its last chunk is one block */
#define ID_A "00112233445566778899aabbccddeeff"
#define ID_B "10112233445566778899aabbccddeeff"

static struct vm vm;
static struct kvmb_disk disks[3]; /* raw, a server's, a medium */
static int files[2];		  /* the client's: what is copied into them */
static int word;		  /* its end of the pipe */
static char answer[400];	  /* "ok", or why not; "" = none came */
static json_t *result;
static bool disks_are_busy, request_waits;

/* ---- the VM ---- */

static void (*rest_done)(void *arg);
static void *rest_arg;
static bool rests, never_rests;
static const char *happens_at_rest; /* stop_reason */

int vm_pause(struct vm *v)
{
	if (v->state != VM_RUNNING)
		return -EINVAL;
	v->state = VM_PAUSED;
	return 0;
}

int vm_resume(struct vm *v)
{
	if (v->state != VM_PAUSED)
		return -EINVAL;
	assert_false(rests);
	v->state = VM_RUNNING;
	return 0;
}

bool vm_request_waits(const struct vm *v)
{
	(void)v;
	return request_waits;
}

void vm_rest(struct vm *v, void (*done)(void *arg), void *arg)
{
	assert_int_equal(v->state, VM_PAUSED);
	rests = true;
	rest_done = done;
	rest_arg = arg;
	if (happens_at_rest)
		snprintf(v->stop_reason, sizeof(v->stop_reason), "%s", happens_at_rest);
	if (!never_rests)
		done(arg);
}

void vm_rest_end(struct vm *v)
{
	(void)v;
	assert_true(rests);
	rests = false;
}

bool disks_busy(const struct vm *v)
{
	(void)v;
	return disks_are_busy;
}

bool disks_each_unit(struct vm *v, u32 *c, u32 *lun, struct kvmb_unit_info *i)
{
	(void)v;
	for (; *c == 0 && *lun < 3; ++*lun) {
		*i = (struct kvmb_unit_info){ .disk = &disks[*lun], .dvd = *lun == 2 };
		return true;
	}
	return false;
}

void handover_close(struct handover_fds *fds)
{
	while (fds->num) {
		if (fds->fd[--fds->num] >= 0)
			close(fds->fd[fds->num]);
	}
}

/* ---- VSS ---- */

static int freeze_err;		/* at once */
static bool freezes, is_frozen; /* asked for and not thawed; it says */
static void (*freeze_done)(void *arg, int err);
static void *freeze_arg;
static u32 thaws;

int kvmb_vss_freeze(struct kvmb_vss *v, void (*done)(void *arg, int err), void *arg)
{
	assert_ptr_equal(v, &vm.vss);
	assert_false(freezes);
	if (freeze_err)
		return freeze_err;
	freezes = true;
	freeze_done = done;
	freeze_arg = arg;
	return 0;
}

bool kvmb_vss_frozen(const struct kvmb_vss *v)
{
	(void)v;
	return is_frozen;
}

void kvmb_vss_thaw(struct kvmb_vss *v)
{
	(void)v;
	assert_false(rests); /* it would not hear it */
	thaws += freezes;
	freezes = is_frozen = false;
}

void kvmb_vss_fini(struct kvmb_vss *v)
{
	(void)v;
	freezes = is_frozen = false;
}

/* ---- a disk that is not raw: its file is in lock_fd ---- */

static int read_err;

static void played_submit(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	ssize_t n = preadv(d->lock_fd, r->iov, r->num_iov, (off_t)r->offset);

	assert_int_equal(r->io, KVMB_IO_READ);
	r->result = n == (ssize_t)r->length ? __atomic_load_n(&read_err, __ATOMIC_ACQUIRE) : -EIO;
	r->done(r);
}

static const struct kvmb_disk_ops played = { .submit = played_submit };

static int file_of(const struct kvmb_disk *d)
{
	return kvmb_disk_is_raw(d) ? d->fd : d->lock_fd;
}

static struct kvmb_disk make_disk(bool raw)
{
	int fd = memfd_create("disk", 0);

	assert_int_equal(ftruncate(fd, BYTES), 0);
	return (struct kvmb_disk){ .fd = raw ? fd : -1,
				   .lock_fd = raw ? -1 : fd,
				   .ops = &played,
				   .block = 512,
				   .blocks = BYTES / 512,
				   .path = "/d" };
}

/* ---- the guest ---- */

/* As a channel does it: ask, wait, write, note. */
static void guest_writes(int i, u64 at, u8 v, size_t len)
{
	u8 bytes[4096];
	u64 end = kvmb_now_ms() + PATIENCE_MS;

	memset(bytes, v, sizeof(bytes));
	while (!kvmb_disk_may_write(&disks[i], at, len)) {
		assert_true(kvmb_now_ms() < end);
		usleep(500);
	}
	assert_int_equal(pwrite(file_of(&disks[i]), bytes, len, (off_t)at), len);
	kvmb_disk_dirty(&disks[i], at, len);
}

/* Data, zeroes and holes. */
static void fill_disks(u8 v)
{
	int i;

	for (i = 0; i < 2; i++) {
		guest_writes(i, 0, v, 4096);
		guest_writes(i, 7 * CHUNK - 512, v, 1024);
		guest_writes(i, 20 * CHUNK, 0, 4096);
		guest_writes(i, BYTES - 512, v, 512);
	}
}

/* ---- the client ---- */

static void on_reply(void *arg, json_t *o, const char *class, const char *why)
{
	(void)arg, (void)class;
	assert_string_equal(answer, ""); /* one answer */
	snprintf(answer, sizeof(answer), "%s", o ? "ok" : why);
	json_decref(result);
	result = o;
}

static json_t *wishes_of(const char *id, const char *base, bool freeze, u64 rate)
{
	json_t *o = json_pack("{s:s, s:b, s:I, s:[{s:i, s:i, s:I}, {s:i, s:i, s:I}]}", "id", id,
			      "freeze", freeze, "rate", (json_int_t)rate, "disks", "controller", 0,
			      "lun", 0, "bytes", (json_int_t)kvmb_disk_bytes(&disks[0]),
			      "controller", 0, "lun", 1, "bytes",
			      (json_int_t)kvmb_disk_bytes(&disks[1]));

	if (base)
		json_object_set_new(o, "base", json_string(base));
	return o;
}

static void ask_with(json_t *args)
{
	struct handover_fds fds = { .num = 3 };
	int p[2];

	assert_int_equal(pipe(p), 0);
	word = p[1];
	fds.fd[0] = p[0];
	fds.fd[1] = dup(files[0]);
	fds.fd[2] = dup(files[1]);
	answer[0] = 0;
	backup_begin(&vm, args, &fds, (struct ctl_reply){ on_reply, NULL });
	json_decref(args);
}

static void serve_until(bool (*done)(void))
{
	u64 end = kvmb_now_ms() + PATIENCE_MS;

	while (!done() && kvmb_now_ms() < end)
		kvmb_loop_once(vm.loop, 10);
	assert_true(done());
}

static bool answered(void)
{
	return answer[0];
}
static bool freezing(void)
{
	return freezes || answer[0];
}

static void guest_freezes(int err)
{
	serve_until(freezing);
	assert_true(freezes);
	is_frozen = !err;
	if (err)
		freezes = false; /* the service sees to the thaw itself */
	freeze_done(freeze_arg, err);
}

static void hang_up(void)
{
	if (word >= 0)
		close(word);
	word = -1;
}

static void new_files(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (files[i] >= 0)
			close(files[i]);
		files[i] = memfd_create("copy", MFD_ALLOW_SEALING);
	}
}

/* Nothing is left of it. */
static void all_is_as_before(void)
{
	int i;

	assert_null(vm.backup);
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(rests || freezes);
	for (i = 0; i < 2; i++)
		assert_false(disks[i].pointed);
	hang_up();
}

static int setup(void **state)
{
	int i;

	(void)state;
	memset(&vm, 0, sizeof(vm));
	vm.cfg.name = "t";
	vm.loop = kvmb_loop_create();
	vm.state = VM_RUNNING;
	assert_int_equal(kvmb_dirty_log_prepare(), 0);
	for (i = 0; i < 3; i++)
		disks[i] = make_disk(i != 1);
	files[0] = files[1] = word = -1;
	new_files();
	rests = never_rests = freezes = is_frozen = disks_are_busy = request_waits = false;
	happens_at_rest = NULL;
	freeze_err = read_err = 0;
	thaws = 0;
	answer[0] = 0;
	return 0;
}

static int teardown(void **state)
{
	int i;

	(void)state;
	backup_destroy(&vm);
	hang_up();
	for (i = 0; i < 3; i++) {
		kvmb_disk_point_free(&disks[i]);
		kvmb_disk_dirty_free(&disks[i]);
		close(file_of(&disks[i]));
	}
	close(files[0]);
	close(files[1]);
	json_decref(result);
	result = NULL;
	kvmb_loop_destroy(vm.loop);
	return 0;
}

static u8 *contents(int fd)
{
	u8 *p = calloc(1, BYTES);

	assert_non_null(p);
	assert_int_equal(lseek(fd, 0, SEEK_END), BYTES);
	assert_int_equal(pread(fd, p, BYTES, 0), BYTES);
	return p;
}

static u8 *before[2];

static void remember(void)
{
	int i;

	for (i = 0; i < 2; i++)
		before[i] = contents(file_of(&disks[i]));
}

static void copies_are_what_was(void)
{
	u8 *p;
	int i;

	for (i = 0; i < 2; i++) {
		p = contents(files[i]);
		assert_memory_equal(p, before[i], BYTES);
		free(p);
		free(before[i]);
	}
}

#endif
