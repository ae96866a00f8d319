// SPDX-License-Identifier: GPL-2.0-only
/* The target of a migration before a hostile source: pages in place, locks only after GO. */
#include "vmm/mig_in.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "backend/block/disk.h"
#include "lib/log.h"
#include "lib/util.h"
#include "tests/unit/test.h"
#include "vmm/disk_copies.h"
#include "vmm/disk_locks.h"
#include "vmm/disks_priv.h"
#include "vmm/mig_disks.h"
#include "vmm/mig_stream.h"
#include "vmm/vm.h"
#include "vmm/vm_sections.h"

#define PAGES 8u
#define RAM (PAGES * KVMB_PAGE_SIZE)

static struct vm vm;
static struct mig_stream source;
static char why[MIG_WHY];
static size_t loaded; /* bytes of sections */
static int load_err, lock_err;
static u32 locks;

int vm_sections_load(struct vm *v, const void *sections, size_t len, char *text, size_t size)
{
	(void)v, (void)sections;
	loaded = len;
	if (load_err)
		snprintf(text, size, "section bus: no good");
	return load_err;
}

static bool other_host;

int machine_match_load(const struct machine *m, struct kvmb_tlv *t)
{
	(void)m;
	if (other_host)
		kvmb_tlv_refuse(t, 3, "another clock");
	return kvmb_tlv_done(t);
}

static int fetch_err;
static bool fetched; /* images are open here */

int disk_locks_fetch(struct vm *v, char *text, size_t size)
{
	(void)v;
	assert_int_equal(locks, 0); /* who has them can run */
	if (fetch_err)
		snprintf(text, size, "disk d: not this one");
	fetched = !fetch_err;
	return fetch_err;
}

void disk_locks_let_go(struct vm *v)
{
	(void)v;
	assert_int_equal(locks, 0);
	fetched = false;
}

static struct kvmb_disk *image; /* real, of one disk; else NULL */
static void (*sleeps)(void);	/* the target stands here for long */

int disk_locks_take(struct vm *v, char *text, size_t size)
{
	(void)v;
	assert_true(fetched);
	if (sleeps)
		sleeps();
	if (image)
		lock_err = kvmb_disk_take(image);
	if (lock_err)
		snprintf(text, size, "disk d: locked");
	locks += !lock_err;
	return lock_err;
}

void disk_locks_note(struct vm *v)
{
	(void)v;
	if (image)
		kvmb_disk_note(image);
}

void disk_locks_give_up(struct vm *v)
{
	(void)v;
	locks = 0;
}

int disk_locks_tell(struct vm *v)
{
	int written = image ? kvmb_disk_was_written(image) : -ENODATA;

	(void)v;
	return written > 0 ? -ESTALE : written;
}

void disk_locks_forget_caches(struct vm *v)
{
	(void)v;
}

/* ---- memory that comes later: machine/mem_post.c and vmm/mig_post.c have their own tests ---- */

static bool can_later, expected, has_list, post_ended;
static int list_err, begin_err, run_err;
static u32 lists;
static char post_said[64];

bool mem_post_can(const struct machine *m)
{
	(void)m;
	return can_later;
}

int mem_post_expect(struct machine *m)
{
	(void)m;
	expected = can_later;
	return can_later ? 0 : -EOPNOTSUPP;
}

int mem_post_list(struct machine *m, u64 first, const u8 *bits, size_t len)
{
	(void)m, (void)first, (void)bits, (void)len;
	if (!expected || list_err)
		return -EINVAL;
	has_list = true;
	lists++;
	return 0;
}

bool mem_post_has_list(const struct machine *m)
{
	(void)m;
	return has_list;
}

void mem_post_end(struct machine *m)
{
	(void)m;
	assert_false(has_list);
	post_ended = true;
}

int mig_post_begin(struct vm *v, int fd, const u8 *secret, char *text)
{
	assert_int_equal(fd, v->cfg.incoming);
	assert_int_equal(secret[MIG_SECRET - 1], 5);
	snprintf(text, MIG_WHY, "no threads");
	if (!begin_err)
		v->post = (struct mig_post *)&lists;
	return begin_err;
}

int mig_post_say(struct vm *v, enum mig_word word, const char *text)
{
	(void)v, (void)text;
	snprintf(post_said + strlen(post_said), sizeof(post_said) - strlen(post_said), "%d ", word);
	return 0;
}

int mig_post_hear(struct vm *v, enum mig_word word, char *text)
{
	(void)v, (void)text;
	assert_int_equal(word, MIG_GO);
	return 0;
}

static bool gave_up;

void mig_post_fail(struct vm *v)
{
	(void)v;
	gave_up = true;
}

int mig_post_run(struct vm *v)
{
	(void)v;
	assert_int_equal(locks, 1); /* who has them has the VM */
	return run_err;
}

bool mig_post_is_broken(const struct vm *v)
{
	(void)v;
	return false;
}

static struct kvmb_disk *copied; /* NULL = no disk is */

bool disks_each_unit(struct vm *v, u32 *c, u32 *lun, struct kvmb_unit_info *i)
{
	(void)v;
	if (!copied || *c || *lun)
		return false;
	*i = (struct kvmb_unit_info){ .disk = copied };
	return true;
}

static int setup(void **state)
{
	int sv[2];

	(void)state;
	kvmb_log_set_level(KVMB_LOG_ERR);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	source = (struct mig_stream){ .fd = sv[0] };
	memset(&vm, 0, sizeof(vm));
	vm.cfg.name = "t";
	vm.cfg.incoming = sv[1];
	vm.machine.gm.num_regions = 1;
	vm.machine.gm.memfd = memfd_create("ram", 0);
	assert_int_equal(ftruncate(vm.machine.gm.memfd, RAM), 0);
	vm.machine.gm.regions[0] = (struct kvmb_gm_region){
		.size = RAM,
		.hva = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, vm.machine.gm.memfd, 0)
	};
	loaded = locks = 0;
	load_err = lock_err = fetch_err = 0;
	fetched = false;
	other_host = false;
	can_later = true;
	expected = has_list = gave_up = post_ended = false;
	list_err = begin_err = run_err = 0;
	lists = 0;
	post_said[0] = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	munmap(vm.machine.gm.regions[0].hva, RAM);
	close(vm.machine.gm.memfd);
	close(source.fd);
	return 0;
}

static void send_pages(u64 first, const void *bytes, size_t len, u64 zero)
{
	struct kvmb_tlv_out o = { 0 };

	kvmb_tlv_begin(&o, KVMB_SEC_MEMORY, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&o, MIG_MEM_FIRST, first);
	if (bytes)
		kvmb_tlv_put_bytes(&o, MIG_MEM_PAGES, bytes, len);
	else
		kvmb_tlv_put(&o, MIG_MEM_ZERO, zero);
	kvmb_tlv_end(&o);
	assert_int_equal(mig_send(&source, o.buf, o.len), 0);
	kvmb_tlv_out_fini(&o);
}

static void send_section(enum kvmb_section tag)
{
	struct kvmb_tlv_out o = { 0 };

	kvmb_tlv_begin(&o, tag, 0, 0);
	kvmb_tlv_end(&o);
	assert_int_equal(mig_send(&source, o.buf, o.len), 0);
	kvmb_tlv_out_fini(&o);
}

static int load(void)
{
	int err = mig_in_loader.load(&vm);

	assert_int_equal(mig_hear(&source, MIG_READY, why), 0);
	assert_int_equal(mig_hear(&source, MIG_FITS, why), 0);
	return err;
}

static void pages_and_sections_arrive(void **state)
{
	u8 two[2 * KVMB_PAGE_SIZE], *ram = vm.machine.gm.regions[0].hva;

	(void)state;
	memset(two, 7, sizeof(two));
	send_section(KVMB_SEC_HOST);
	send_pages(0, two, sizeof(two), 0);
	send_pages(PAGES - 2, two, sizeof(two), 0);
	send_section(KVMB_SEC_VM);
	send_pages(PAGES - 1, NULL, 0, 1);
	send_section(KVMB_SEC_END);
	assert_int_equal(load(), 0);
	assert_int_equal(loaded, 2 * KVMB_TLV_HEADER);
	assert_memory_equal(ram, two, sizeof(two));
	assert_memory_equal(ram + (PAGES - 2) * KVMB_PAGE_SIZE, two, KVMB_PAGE_SIZE);
	assert_int_equal(ram[(PAGES - 1) * KVMB_PAGE_SIZE], 0);
	assert_int_equal(ram[2 * KVMB_PAGE_SIZE], 0);
	assert_int_equal(locks, 0); /* they are the source's */
	assert_int_equal(mig_say(&source, MIG_GO, NULL), 0);
	assert_int_equal(mig_in_loader.commit(&vm), 0);
	assert_int_equal(locks, 1);
	assert_int_equal(mig_hear(&source, MIG_LOADED, why), 0);
	assert_int_equal(mig_hear(&source, MIG_RUNNING, why), 0);
}

static void pages_that_the_vm_does_not_have_are_refused(void **state)
{
	static const struct {
		u64 first;
		size_t len;
		u64 zero;
	} rows[] = {
		{ PAGES, KVMB_PAGE_SIZE, 0 },
		{ PAGES - 1, 2 * KVMB_PAGE_SIZE, 0 },
		{ UINT64_MAX, KVMB_PAGE_SIZE, 0 },
		{ 1ull << 52, KVMB_PAGE_SIZE, 0 },
		{ 0, KVMB_PAGE_SIZE - 1, 0 },
		{ 0, 0, 0 },
		{ 0, 0, PAGES + 1 },
		{ 1, 0, PAGES },
		{ 0, 0, UINT64_MAX },
		{ UINT64_MAX, 0, 2 },
	};
	static u8 bytes[2 * KVMB_PAGE_SIZE];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		send_section(KVMB_SEC_HOST);
		send_pages(rows[i].first, rows[i].len ? bytes : NULL, rows[i].len, rows[i].zero);
		send_section(KVMB_SEC_END);
		assert_int_equal(load(), -EPROTO);
		assert_int_equal(mig_hear(&source, MIG_LOADED, why), -ECONNREFUSED);
		assert_non_null(strstr(why, "section memory"));
		assert_int_equal(loaded, 0);
		teardown(state);
		setup(state);
	}
}

/* ---- disks that are copied ---- */

static void send_disk(u32 lun, u64 offset, const void *bytes, size_t len, u64 all)
{
	struct kvmb_tlv_out o = { 0 };

	kvmb_tlv_begin(&o, KVMB_SEC_DISK, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&o, MIG_DISK_CONTROLLER, 0);
	kvmb_tlv_put(&o, MIG_DISK_LUN, lun);
	if (all) {
		kvmb_tlv_put(&o, MIG_DISK_ALL, all);
	} else {
		kvmb_tlv_put(&o, MIG_DISK_OFFSET, offset);
		kvmb_tlv_put_bytes(&o, MIG_DISK_DATA, bytes, len);
	}
	kvmb_tlv_end(&o);
	assert_int_equal(mig_send_out(&source, &o), 0);
}

static void load_copy(bool complete, u32 lun, int expect, const char *says)
{
	static struct kvmb_disk d;
	u8 block[512];

	d = (struct kvmb_disk){ .fd = memfd_create("d", 0),
				.lock_fd = -1,
				.block = 512,
				.blocks = 8,
				.copied = true,
				.path = "/d" };
	assert_int_equal(ftruncate(d.fd, 4096), 0);
	copied = &d;
	memset(block, 7, sizeof(block));
	send_section(KVMB_SEC_HOST);
	send_disk(lun, 1024, block, sizeof(block), 0);
	if (complete)
		send_disk(0, 0, NULL, 0, 4096);
	send_section(KVMB_SEC_END);
	assert_int_equal(load(), expect);
	if (expect) {
		assert_int_equal(mig_hear(&source, MIG_LOADED, why), -ECONNREFUSED);
		assert_non_null(strstr(why, says));
	} else {
		memset(block, 0, sizeof(block));
		assert_int_equal(pread(d.fd, block, sizeof(block), 1024), sizeof(block));
		assert_int_equal(block[511], 7);
	}
	close(d.fd);
	copied = NULL;
}

static void disk_that_is_copied_must_come_whole(void **state)
{
	load_copy(true, 0, 0, NULL);
	teardown(state);
	setup(state);
	load_copy(false, 0, -EPROTO, "did not come"); /* a source that does not know of copies */
	teardown(state);
	setup(state);
	load_copy(true, 1, -EPROTO, "section disk");
}

/* Its files would be removed when this process ends, and with them the guest's disks. */
static void vm_whose_files_may_be_removed_does_not_run(void **state)
{
	static const struct disk_copies some = { .num = 1 };

	(void)state;
	vm.cfg.copies = &some; /* there is no keeper here */
	assert_int_equal(mig_say(&source, MIG_GO, NULL), 0);
	assert_int_not_equal(mig_in_loader.commit(&vm), 0);
	assert_int_equal(mig_hear(&source, MIG_LOADED, why), 0);
	assert_int_equal(mig_hear(&source, MIG_RUNNING, why), -ECONNREFUSED);
	assert_non_null(strstr(why, "keeper"));
}

static void state_that_is_refused_is_told_of(void **state)
{
	(void)state;
	load_err = -EPROTO;
	send_section(KVMB_SEC_HOST);
	send_section(KVMB_SEC_END);
	assert_int_equal(load(), -EPROTO);
	assert_int_equal(mig_hear(&source, MIG_LOADED, why), -ECONNREFUSED);
	assert_string_equal(why, "section bus: no good");
}

/* Nothing that follows is even read. */
static void host_where_it_cannot_go_on_says_so_before_a_page_comes(void **state)
{
	static u8 page[KVMB_PAGE_SIZE] = { 7 };
	char left;

	(void)state;
	other_host = true;
	send_section(KVMB_SEC_HOST);
	send_pages(0, page, sizeof(page), 0);
	assert_int_equal(mig_in_loader.load(&vm), -EPROTO);
	assert_int_equal(mig_hear(&source, MIG_READY, why), 0);
	assert_int_equal(mig_hear(&source, MIG_FITS, why), -ECONNREFUSED);
	assert_string_equal(why, "section host 0: field 3: another clock");
	assert_int_equal(*(u8 *)vm.machine.gm.regions[0].hva, 0);
	assert_int_equal(recv(source.fd, &left, 1, 0), -1); /* unread bytes: a reset */
	teardown(state);
	setup(state);
	send_pages(0, page, sizeof(page), 0);
	assert_int_equal(mig_in_loader.load(&vm), -EPROTO);
	assert_int_equal(mig_hear(&source, MIG_READY, why), 0);
	assert_int_equal(mig_hear(&source, MIG_FITS, why), -ECONNREFUSED);
	assert_string_equal(why, "section host is missing");
}

static void source_that_goes_before_go_leaves_its_locks_alone(void **state)
{
	(void)state;
	shutdown(source.fd, SHUT_WR);
	assert_int_equal(mig_in_loader.commit(&vm), -EPIPE);
	assert_int_equal(locks, 0);
}

static void disk_that_somebody_else_has_ends_it(void **state)
{
	(void)state;
	lock_err = -EBUSY;
	assert_int_equal(mig_say(&source, MIG_GO, NULL), 0);
	assert_int_equal(mig_in_loader.commit(&vm), -EBUSY);
	assert_int_equal(mig_hear(&source, MIG_LOADED, why), 0);
	assert_int_equal(mig_hear(&source, MIG_RUNNING, why), -ECONNREFUSED);
	assert_string_equal(why, "disk d: locked");
	assert_false(fetched); /* or the source could not open it */
}

/* It was told before it had a lock, so the source goes on. */
static void image_that_does_not_open_ends_it(void **state)
{
	(void)state;
	fetch_err = -EIO;
	assert_int_equal(mig_say(&source, MIG_GO, NULL), 0);
	assert_int_equal(mig_in_loader.commit(&vm), -EIO);
	assert_int_equal(mig_hear(&source, MIG_LOADED, why), 0);
	assert_int_equal(mig_hear(&source, MIG_RUNNING, why), -ECONNREFUSED);
	assert_string_equal(why, "disk d: not this one");
	assert_int_equal(locks, 0);
}

/* Whatever the error: one of a daemon's is not the source's. */
static void daemon_that_is_gone_is_told_of(void **state)
{
	(void)state;
	fetch_err = -EPIPE;
	assert_int_equal(mig_say(&source, MIG_GO, NULL), 0);
	assert_int_equal(mig_in_loader.commit(&vm), -EPIPE);
	assert_int_equal(mig_hear(&source, MIG_LOADED, why), 0);
	assert_int_equal(mig_hear(&source, MIG_RUNNING, why), -ECONNREFUSED);
	assert_string_equal(why, "disk d: not this one");
}

static void vm_that_cannot_start_is_told_of(void **state)
{
	(void)state;
	send_section(KVMB_SEC_HOST);
	send_section(KVMB_SEC_END);
	assert_int_equal(load(), 0);
	mig_in_loader.abort(&vm, "no vCPUs");
	assert_int_equal(mig_hear(&source, MIG_LOADED, why), -ECONNREFUSED);
	assert_string_equal(why, "no vCPUs");
	assert_int_equal(mig_hear(&source, MIG_LOADED, why), -EPIPE); /* it has hung up */
}

/* Only GO says that the source has closed them. */
static void images_are_not_opened_before_go(void **state)
{
	(void)state;
	shutdown(source.fd, SHUT_WR);
	assert_int_equal(mig_in_loader.commit(&vm), -EPIPE);
	assert_false(fetched);
}

/*
 * GO lies in the socket while the target does not run (SIGSTOP, a suspended host, swap). The
 * source hears nothing for a minute, takes its locks back, finds nothing written, and goes on, as
 * mig_stream.h says. Later it ends, and gives its locks up. Then the target wakes.
 */
static struct kvmb_disk here;

/* A minute later at the source: ask_for_locks(), give_up(), free_migration(). */
static void source_goes_on_and_ends(void)
{
	char byte = 'x';

	usleep(20000); /* more than a tick of mtime */
	assert_int_equal(kvmb_disk_take(&here), 0);
	assert_false(kvmb_disk_was_written(&here));
	shutdown(source.fd, SHUT_RDWR);
	assert_int_equal(pwrite(here.fd, &byte, 1, 0), 1); /* its guest goes on */
	close(here.fd);					   /* and is shut down */
}

static void stale_go_is_none(void **state)
{
	char path[] = "/tmp/kvmbus-go-XXXXXX";
	struct kvmb_disk there;
	int err;

	(void)state;
	here = (struct kvmb_disk){ .fd = mkstemp(path) };
	there = (struct kvmb_disk){ .fd = open(path, O_RDWR | O_CLOEXEC) };
	assert_int_equal(kvmb_disk_take(&here), 0);
	kvmb_disk_note(&here);
	kvmb_disk_give_up(&here); /* the source: on_loaded(), run_decide() */
	assert_int_equal(mig_say(&source, MIG_GO, NULL), 0);
	image = &there;
	sleeps = source_goes_on_and_ends;
	err = mig_in_loader.commit(&vm); /* the target wakes, with memory of before */
	image = NULL;
	sleeps = NULL;
	close(there.fd);
	unlink(path);
	assert_int_not_equal(err, 0); /* or a VM runs a second time from an old point on */
}

/*
 * The same without a disk. The source stays paused (mig_out.c: stay_paused()), has hung up,
 * and the administrator, who finds nobody running there, has it go on. Then the target wakes.
 */
static void source_has_hung_up(void)
{
	shutdown(source.fd, SHUT_RDWR);
}

static void stale_go_without_disks_is_none(void **state)
{
	int err;

	(void)state;
	assert_int_equal(mig_say(&source, MIG_GO, NULL), 0);
	sleeps = source_has_hung_up;
	err = mig_in_loader.commit(&vm);
	sleeps = NULL;
	assert_int_not_equal(err, 0); /* or both run */
}

static void say_later(void)
{
	struct mig_word_more more = { .secret = { [MIG_SECRET - 1] = 5 },
				      .secret_len = MIG_SECRET };

	assert_int_equal(mig_tell(&source, MIG_LATER, NULL, &more), 0);
}

static void send_list(void)
{
	struct kvmb_tlv_out o = { 0 };
	u8 bits = 6;

	kvmb_tlv_begin(&o, KVMB_SEC_LATER, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&o, MIG_LATER_FIRST, 0);
	kvmb_tlv_put_bytes(&o, MIG_LATER_BITS, &bits, 1);
	kvmb_tlv_end(&o);
	assert_int_equal(mig_send(&source, o.buf, o.len), 0);
	kvmb_tlv_out_fini(&o);
}

static void memory_may_come_later(void **state)
{
	u8 page[KVMB_PAGE_SIZE] = { 1 };

	(void)state;
	send_section(KVMB_SEC_HOST);
	say_later();
	send_pages(0, page, sizeof(page), 0);
	send_list();
	send_list();
	send_section(KVMB_SEC_END);
	assert_int_equal(mig_in_loader.load(&vm), 0);
	assert_int_equal(mig_hear(&source, MIG_READY, why), 0);
	assert_int_equal(mig_hear(&source, MIG_FITS, why), 0);
	assert_int_equal(source.heard.can, MIG_CAN_LATER);
	assert_int_equal(lists, 2);
	assert_non_null(vm.post);
	assert_int_equal(mig_in_loader.commit(&vm), 0);
	assert_int_equal(locks, 1);
	assert_string_equal(post_said, "2 4 "); /* LOADED, RUNNING */
	close(vm.cfg.incoming);
}

/* The guest has become quiet, and all was sent before: then memory is an ordinary one. */
static void memory_that_does_not_come_later_is_ordinary(void **state)
{
	(void)state;
	send_section(KVMB_SEC_HOST);
	say_later();
	send_section(KVMB_SEC_END);
	assert_int_equal(mig_in_loader.load(&vm), 0);
	assert_true(expected && post_ended);
	assert_null(vm.post);
	close(vm.cfg.incoming);
}

/* Before or after its time, or of a target that cannot. */
static void what_is_later_out_of_turn_is_refused(void **state)
{
	static u8 page[KVMB_PAGE_SIZE] = { 1 };
	int i;

	for (i = 0; i < 6; i++) {
		send_section(KVMB_SEC_HOST);
		if (i == 0) { /* huge pages may have been made */
			send_pages(0, page, sizeof(page), 0);
			say_later();
		} else if (i == 1) {
			say_later();
			say_later();
		} else if (i == 2) {
			say_later();
			send_list();
			send_pages(0, page, sizeof(page), 0);
		} else if (i == 3) { /* nobody has said LATER */
			send_list();
		} else if (i == 4) { /* without a secret it can never be mended */
			mig_say(&source, MIG_LATER, NULL);
		} else {
			can_later = false;
			say_later();
		}
		send_section(KVMB_SEC_END);
		assert_int_equal(load(), i == 5 ? -EOPNOTSUPP : -EPROTO);
		assert_int_equal(source.heard.can, i == 5 ? 0 : MIG_CAN_LATER);
		assert_int_equal(mig_hear(&source, MIG_LOADED, why), -ECONNREFUSED);
		assert_null(vm.post);
		teardown(state);
		setup(state);
	}
}

/* It has the locks already, and gives them back: nothing has run. */
static void link_that_broke_before_the_vm_runs_ends_it(void **state)
{
	(void)state;
	vm.post = (struct mig_post *)&lists;
	run_err = -EPIPE;
	assert_int_equal(mig_in_loader.commit(&vm), -EPIPE);
	assert_int_equal(locks, 0);
	assert_false(fetched);
	assert_true(gave_up);
	assert_string_equal(post_said, "2 5 "); /* LOADED, REFUSED */
	close(vm.cfg.incoming);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(memory_may_come_later),
		T(memory_that_does_not_come_later_is_ordinary),
		T(what_is_later_out_of_turn_is_refused),
		T(link_that_broke_before_the_vm_runs_ends_it),
		T(disk_that_is_copied_must_come_whole),
		T(vm_whose_files_may_be_removed_does_not_run),
		T(stale_go_without_disks_is_none),
		T(stale_go_is_none),
		T(pages_and_sections_arrive),
		T(pages_that_the_vm_does_not_have_are_refused),
		T(state_that_is_refused_is_told_of),
		T(host_where_it_cannot_go_on_says_so_before_a_page_comes),
		T(source_that_goes_before_go_leaves_its_locks_alone),
		T(disk_that_somebody_else_has_ends_it),
		T(daemon_that_is_gone_is_told_of),
		T(vm_that_cannot_start_is_told_of),
		T(image_that_does_not_open_ends_it),
		T(images_are_not_opened_before_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
