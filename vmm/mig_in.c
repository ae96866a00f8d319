// SPDX-License-Identifier: GPL-2.0-only
/* A VM that comes from elsewhere: mig_in.h. */
#include "vmm/mig_in.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/keeper.h"
#include "lib/log.h"
#include "lib/util.h"
#include "machine/machine_match.h"
#include "machine/mem_post.h"
#include "vmm/disk_locks.h"
#include "vmm/handed.h"
#include "vmm/mig_disks_in.h"
#include "vmm/mig_post.h"
#include "vmm/mig_stream.h"
#include "vmm/vm.h"
#include "vmm/vm_sections.h"

#define STAY_MS 10000u	  /* for the keeper to hear that files are to stay */
#define FLUSH_MS 1800000u /* the source flushes its disks before it sends the last sections */

struct incoming {
	struct vm *vm;
	struct mig_stream stream;
	struct mig_section sec;
	struct mig_disks_in disks;
	u8 *rest; /* rest[len]: sections that are not memory */
	size_t len;
	bool begun;   /* a page has come */
	bool expects; /* the source has said LATER */
	u8 secret[MIG_SECRET];
	char why[MIG_WHY];
};

static u64 ram_pages(const struct vm *vm)
{
	return kvmb_gm_size(&vm->machine.gm) / KVMB_PAGE_SIZE;
}

static int wrong(struct incoming *in, const char *what)
{
	snprintf(in->why, sizeof(in->why), "%.*s", (int)sizeof(in->why) - 1, what);
	return -EPROTO;
}

/* Regions follow each other in this process as in the memory file (machine/mem.c). */
static int take_memory(struct incoming *in)
{
	u8 *ram = in->vm->machine.gm.regions[0].hva;
	struct mig_pages p;

	if (mig_take_pages(&in->sec.t, &p))
		return wrong(in, in->sec.error.text);
	if (p.len % KVMB_PAGE_SIZE || !p.num || p.num > ram_pages(in->vm) ||
	    p.first > ram_pages(in->vm) - p.num)
		return wrong(in, "section memory: pages that the VM does not have");
	ram += p.first * KVMB_PAGE_SIZE;
	if (p.bytes)
		memcpy(ram, p.bytes, p.len);
	else if (madvise(ram, p.num * KVMB_PAGE_SIZE, MADV_REMOVE))
		memset(ram, 0, p.num * KVMB_PAGE_SIZE);
	return 0;
}

/* The source may move the VM before all of its memory has come: vmm/mig_post.h. */
static int take_later(struct incoming *in)
{
	int err = mig_take_word(&in->stream, &in->sec, MIG_LATER, in->why);

	if (err)
		return err;
	if (in->begun || in->expects || in->stream.heard.secret_len != MIG_SECRET)
		return wrong(in, "the source says LATER out of turn");
	err = mem_post_expect(&in->vm->machine);
	if (err)
		snprintf(in->why, sizeof(in->why), "its memory cannot come later: %s",
			 strerror(-err));
	in->expects = !err;
	memcpy(in->secret, in->stream.heard.secret, MIG_SECRET);
	return err;
}

/* What pages these are is the machine's to check. */
static int take_list(struct incoming *in)
{
	struct kvmb_tlv *t = &in->sec.t;
	u64 first = kvmb_tlv_get(t, MIG_LATER_FIRST, UINT64_MAX);
	const u8 *bits;
	size_t len;

	bits = kvmb_tlv_get_bytes(t, MIG_LATER_BITS, &len);
	if (kvmb_tlv_done(t))
		return wrong(in, in->sec.error.text);
	if (mem_post_list(&in->vm->machine, first, bits, len))
		return wrong(in, "section later: a list of pages that cannot come later");
	return 0;
}

static int keep_section(struct incoming *in)
{
	u8 *more;

	if (in->sec.len > KVMB_TLV_MAX_SECTION - in->len) {
		snprintf(in->why, sizeof(in->why), "its sections are too long");
		return -EFBIG;
	}
	more = realloc(in->rest, in->len + in->sec.len);
	if (!more) {
		snprintf(in->why, sizeof(in->why), "no memory for its sections");
		return -ENOMEM;
	}
	memcpy(more + in->len, in->sec.buf, in->sec.len);
	in->rest = more;
	in->len += in->sec.len;
	return 0;
}

static int recv_next(struct incoming *in)
{
	int err = mig_recv_section(&in->stream, &in->sec);

	if (err)
		snprintf(in->why, sizeof(in->why), "%.*s", (int)sizeof(in->why) - 1,
			 in->sec.error.text[0] ? in->sec.error.text : mig_why(err));
	return err;
}

/* Before a page comes. */
static int check_host(struct incoming *in)
{
	struct mig_word_more more = { 0 };
	int err = recv_next(in);

	if (err)
		return err;
	if (in->sec.t.tag != KVMB_SEC_HOST)
		return wrong(in, "section host is missing");
	if (machine_match_load(&in->vm->machine, &in->sec.t))
		return wrong(in, in->sec.error.text);
	more.can = mem_post_can(&in->vm->machine) ? MIG_CAN_LATER : 0;
	err = mig_tell(&in->stream, MIG_FITS, NULL, &more);
	if (err)
		snprintf(in->why, sizeof(in->why), "%s", mig_why(err));
	return err;
}

/* Memory that was handed over is not ours to write to yet. */
static int take_handed(struct incoming *in)
{
	if (in->sec.t.tag == KVMB_SEC_MEMORY)
		return wrong(in, "section memory: the VM's memory was handed over");
	if (in->sec.t.tag == KVMB_SEC_DISK)
		return wrong(in, "section disk: the VM's disks were handed over");
	if (in->sec.t.tag == KVMB_SEC_HANDED && handed_take_stopped(in->vm->cfg.handed, &in->sec.t))
		return wrong(in, in->sec.error.text);
	return keep_section(in);
}

static int take_disk_section(struct incoming *in)
{
	int err = mig_disks_in_take(&in->disks, in->vm, &in->sec.t, in->why);

	if (err && !in->why[0])
		wrong(in, in->sec.error.text[0] ? in->sec.error.text : mig_why(err));
	return err;
}

static int take_section(struct incoming *in)
{
	if (in->vm->cfg.handed)
		return take_handed(in);
	switch (in->sec.t.tag) {
	case KVMB_SEC_MEMORY:
		in->begun = true;
		if (mem_post_has_list(&in->vm->machine))
			return wrong(in, "section memory: after the list of what comes later");
		return take_memory(in);
	case KVMB_SEC_DISK:
		return take_disk_section(in);
	case KVMB_SEC_WORD:
		return take_later(in);
	case KVMB_SEC_LATER:
		return take_list(in);
	}
	return keep_section(in);
}

static int receive_all(struct incoming *in)
{
	int err;

	do {
		err = recv_next(in);
		if (!err)
			err = take_section(in);
	} while (!err && in->sec.t.tag != KVMB_SEC_END);
	if (in->vm->cfg.handed)
		in->vm->cfg.handed->bytes += in->stream.received;
	return err;
}

/* Nothing has run, and no disk is ours: the source may go on as soon as it hears that. */
static int tell_and_end(struct incoming *in, int err)
{
	kvmb_err(in->vm->cfg.name, "the VM does not come here: %s", in->why);
	/* if it is still there */
	if (in->vm->post) {
		mig_post_fail(in->vm);
		mig_post_say(in->vm, MIG_REFUSED, in->why);
		return err;
	}
	mig_say(&in->stream, MIG_REFUSED, in->why);
	close(in->stream.fd);
	return err;
}

static int load_stream(struct vm *vm)
{
	struct incoming in = { .vm = vm,
			       .stream = { .fd = vm->cfg.incoming, .patience_ms = FLUSH_MS } };
	int err = mig_say(&in.stream, MIG_READY, NULL);

	if (err)
		snprintf(in.why, sizeof(in.why), "%s", mig_why(err));
	else
		err = check_host(&in);
	if (!err)
		err = receive_all(&in);
	if (!err && mem_post_has_list(&vm->machine))
		err = mig_post_begin(vm, in.stream.fd, in.secret, in.why);
	else if (!err)
		mem_post_end(&vm->machine); /* all of it is here */
	if (!err)
		err = mig_disks_in_finish(&in.disks, vm, in.why);
	if (!err)
		err = vm_sections_load(vm, in.rest, in.len, in.why, sizeof(in.why));
	free(in.rest);
	mig_disks_in_fini(&in.disks);
	mig_section_fini(&in.sec);
	return err ? tell_and_end(&in, err) : 0;
}

/* What we have loaded must be what the disks go with: GO may be old when we come to run. */
static int check_go(struct incoming *in)
{
	struct pollfd p = { .fd = in->stream.fd, .events = POLLIN };
	int err = disk_locks_tell(in->vm);
	bool gone;

	if (err == -ESTALE) {
		snprintf(in->why, sizeof(in->why), "its disks were written since: it is too late");
		return err;
	}
	/* no disk tells: the source hangs up when it has waited long enough */
	gone = in->vm->post ? mig_post_is_broken(in->vm) : err == -ENODATA && poll(&p, 1, 0);
	if (gone) {
		snprintf(in->why, sizeof(in->why), "the source has gone: it is too late");
		return -EPIPE;
	}
	return 0;
}

static int take_locks(struct incoming *in)
{
	int err = disk_locks_take(in->vm, in->why, sizeof(in->why));

	if (err)
		return err;
	err = check_go(in);
	if (err)
		disk_locks_give_up(in->vm);
	return err;
}

/* Images first: who has the locks can run. */
static int take_disks(struct incoming *in)
{
	int err = disk_locks_fetch(in->vm, in->why, sizeof(in->why));

	if (err)
		return err;
	err = take_locks(in);
	if (err)
		disk_locks_let_go(in->vm);
	return err;
}

static int say(struct incoming *in, enum mig_word word)
{
	return in->vm->post ? mig_post_say(in->vm, word, NULL) : mig_say(&in->stream, word, NULL);
}

static int hear_go(struct incoming *in)
{
	return in->vm->post ? mig_post_hear(in->vm, MIG_GO, in->why) :
			      mig_hear(&in->stream, MIG_GO, in->why);
}

/* From here on it runs here, whatever becomes of the link. */
static int run_without_rest(struct incoming *in)
{
	int err = mig_post_run(in->vm);

	if (!err)
		return 0;
	disk_locks_give_up(in->vm);
	disk_locks_let_go(in->vm);
	snprintf(in->why, sizeof(in->why), "memory that it needs to begin has not come");
	return err;
}

/* From here on what becomes of this process says nothing of who has the VM. */
static int keep_files(struct incoming *in)
{
	int err = in->vm->cfg.copies ? kvmb_keeper_stay(STAY_MS) : 0;

	if (err) {
		snprintf(in->why, sizeof(in->why), "its keeper does not answer: %s",
			 strerror(-err));
		disk_locks_give_up(in->vm);
	} else {
		mig_disks_in_settle(in->vm);
	}
	return err;
}

/* From the moment when it has the locks, the VM is here, whatever becomes of the other side. */
static int take_over(struct vm *vm)
{
	struct incoming in = { .vm = vm, .stream.fd = vm->cfg.incoming };
	int err;

	disk_locks_note(vm); /* the source has flushed, and its guest stands */
	err = say(&in, MIG_LOADED);
	if (err)
		snprintf(in.why, sizeof(in.why), "%s", mig_why(err));
	else
		err = hear_go(&in);
	if (!err)
		err = take_disks(&in);
	if (!err)
		err = keep_files(&in);
	if (!err && vm->post)
		err = run_without_rest(&in);
	if (err)
		return tell_and_end(&in, err);
	disk_locks_forget_caches(vm);
	say(&in, MIG_RUNNING);
	if (!vm->post)
		close(in.stream.fd);
	return 0;
}

static void refuse(struct vm *vm, const char *why)
{
	struct incoming in = { .vm = vm, .stream.fd = vm->cfg.incoming };

	wrong(&in, why);
	tell_and_end(&in, 0);
}

const struct vm_loader mig_in_loader = { load_stream, take_over, refuse };
