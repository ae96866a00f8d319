// SPDX-License-Identifier: GPL-2.0-only
/*
 * All sections of a stock guest's VM (tests/data/state-1.bin), changed; or a migration's stream of
 * any sections, each well sealed. What is taken goes on; whatever is refused is refused by a line.
 * Link it with --wrap=ioctl,--wrap=kvmb_log.
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vsp/bus/bus_state.h"
#include "lib/log.h"
#include "machine/mem_post.h"
#include "machine/mem_uffd.h"
#include "tests/harness/no_dynmem.h"
#include "tests/harness/no_input.h"
#include "tests/harness/no_synth.h"
#include "tests/fuzz/fuzz_change.h"
#include "tests/harness/sample_vm.h"
#include "tests/harness/tlv_edit.h"
#include "vmm/disk_locks.h"
#include "vmm/disks_priv.h"
#include "vmm/mig_in.h"
#include "vmm/mig_post.h"
#include "vmm/mig_stream.h"
#include "vmm/vm_sections.h"

#define MAX_STREAM (128u << 10) /* bytes: a socket takes them without a reader */

/* ---- a file ---- */

struct choice {
	u8 section;
	struct change c;
};

/* The @n-th section. Return: its header, and *@end. */
static size_t find_section(const u8 *buf, size_t len, u32 n, size_t *end)
{
	size_t at = 0, next;

	for (;;) {
		next = at + HEADER + tlv_u64(buf + at + 16);
		if (!n-- || next >= len)
			break;
		at = next;
	}
	*end = next;
	return at;
}

static void change(u8 **buf, size_t *len, const struct choice *c)
{
	size_t end, at = find_section(*buf, *len, c->section % 16u, &end), rest = *len - end;
	struct section sec = { .len = end - at - HEADER, .room = end - at + 4096 };
	u64 body;
	u8 *all;

	if (!sec.len)
		return;
	sec.buf = malloc(sec.room);
	memcpy(sec.buf, *buf + at + HEADER, sec.len);
	apply(&sec, &c->c);
	all = malloc(at + HEADER + sec.len + rest);
	memcpy(all, *buf, at + HEADER);
	memcpy(all + at + HEADER, sec.buf, sec.len);
	memcpy(all + at + HEADER + sec.len, *buf + end, rest);
	body = sec.len;
	memcpy(all + at + 16, &body, sizeof(body));
	tlv_seal(all, at);
	free(sec.buf);
	free(*buf);
	*buf = all;
	*len = at + HEADER + sec.len + rest;
}

static void load_changed(const u8 *in, size_t left)
{
	char why[200] = "";
	size_t len = sample.len;
	u8 *buf = malloc(len);
	bool changed = left >= sizeof(struct choice);
	struct choice c;
	int err;

	memcpy(buf, sample.sections, len);
	for (; left >= sizeof(c); in += sizeof(c), left -= sizeof(c)) {
		memcpy(&c, in, sizeof(c));
		change(&buf, &len, &c);
	}
	err = vm_sections_load(&sample.vm, buf, len, why, sizeof(why));
	free(buf);
	if (!err != !why[0] || (err && !changed))
		abort(); /* whoever refuses says why; the sample itself is good */
	if (err)
		return;
	kvmb_bus_resume(sample.f.bus);
	fake_run(&sample.f);
}

/* ---- a migration ---- */

static int source;
static struct kvmb_disk copied; /* of a MiB, at 0:0 */

bool disks_each_unit(struct vm *vm, u32 *c, u32 *lun, struct kvmb_unit_info *i)
{
	(void)vm;
	if (*c || *lun || !copied.ops)
		return false;
	*i = (struct kvmb_unit_info){ .disk = &copied };
	return true;
}

/* What a stream has written into it is the next one's to find. */
static void make_copied(void)
{
	static const struct kvmb_disk_ops raw;

	if (!copied.ops)
		copied = (struct kvmb_disk){ .fd = memfd_create("disk", MFD_CLOEXEC),
					     .lock_fd = -1,
					     .ops = &raw,
					     .can_zero = true,
					     .block = 512,
					     .blocks = 2048 };
	if (ftruncate(copied.fd, 1 << 20))
		abort();
}

static void send_section(u32 tag, u32 instance, u32 flags, const u8 *body, size_t len)
{
	u8 buf[HEADER + 65536] = { 0 };
	u64 n = len;

	memcpy(buf, &tag, sizeof(tag));
	memcpy(buf + 4, &instance, sizeof(instance));
	memcpy(buf + 8, &flags, sizeof(flags));
	memcpy(buf + 16, &n, sizeof(n));
	memcpy(buf + HEADER, body, len);
	tlv_seal(buf, 0);
	if (write(source, buf, HEADER + len) < 0)
		return; /* as much as fits */
}

/* With a secret that nobody guesses. */
static void say_later(void)
{
	const struct mig_word_more more = { .secret_len = MIG_SECRET };
	struct mig_stream s = { .fd = source };

	mig_tell(&s, MIG_LATER, NULL, &more);
}

/* A byte of tag, one of instance and flags, two of length, the body; what is left goes as it is. */
static void receive_stream(const u8 *in, size_t left)
{
	struct kvmb_tlv_out host = { 0 };
	int sv[2];
	u16 len;

	if (left > MAX_STREAM || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv))
		return;
	source = sv[0];
	sample.vm.cfg.incoming = sv[1];
	sample.vm.machine.uffd = mem_uffd_open();
	mem_post_prepare(&sample.vm.machine);
	machine_match_save(&sample.vm.machine, &host);
	if (write(source, host.buf, host.len) != (ssize_t)host.len)
		abort();
	kvmb_tlv_out_fini(&host);
	if (left && in[0] & 32)
		say_later();
	while (left >= 4) {
		memcpy(&len, in + 2, sizeof(len));
		if (len > left - 4)
			break;
		send_section(in[0] % 20u, in[1] & 15, in[1] >> 7, in + 4, len);
		in += 4 + len;
		left -= 4u + len;
	}
	if (left && write(source, in, left) < 0)
		abort();
	shutdown(source, SHUT_WR);
	if (!mig_in_loader.load(&sample.vm))
		close(sv[1]);
	if (lseek(copied.fd, 0, SEEK_END) != 1 << 20)
		abort(); /* nothing is written beyond the end */
	close(source);
	mem_post_end(&sample.vm.machine);
}

/* ---- the rooms around ---- */

void __wrap_kvmb_log(enum kvmb_log_level level, const char *who, const char *fmt, ...);

/* What is refused is told of, again and again. */
void __wrap_kvmb_log(enum kvmb_log_level level, const char *who, const char *fmt, ...)
{
	(void)level, (void)who, (void)fmt;
}

/* vmm/mig_post.c has threads: tests/unit/vmm/mig_post_test.c. */
int mig_post_begin(struct vm *vm, int fd, const u8 *secret, char *why)
{
	(void)vm, (void)fd, (void)secret;
	snprintf(why, MIG_WHY, "none of it comes");
	return -EIO;
}

int mig_post_say(struct vm *vm, enum mig_word word, const char *why)
{
	(void)vm, (void)word, (void)why;
	return 0;
}

int mig_post_hear(struct vm *vm, enum mig_word word, char *why)
{
	(void)vm, (void)word, (void)why;
	return 0;
}

void mig_post_fail(struct vm *vm)
{
	(void)vm;
}

int mig_post_run(struct vm *vm)
{
	(void)vm;
	return 0;
}

bool mig_post_is_broken(const struct vm *vm)
{
	(void)vm;
	return false;
}

int disk_locks_fetch(struct vm *vm, char *why, size_t size)
{
	(void)vm, (void)why, (void)size;
	return 0;
}

void disk_locks_let_go(struct vm *vm)
{
	(void)vm;
}

int disk_locks_take(struct vm *vm, char *why, size_t size)
{
	(void)vm, (void)why, (void)size;
	return 0;
}

void disk_locks_give_up(struct vm *vm)
{
	(void)vm;
}

int disk_locks_tell(struct vm *vm)
{
	(void)vm;
	return 0;
}

void disk_locks_note(struct vm *vm)
{
	(void)vm;
}

void disk_locks_forget_caches(struct vm *vm)
{
	(void)vm;
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	if (!sample.len) {
		signal(SIGPIPE, SIG_IGN);
		sample_read("tests/data/state-1.bin");
	}
	if (!left)
		return 0;
	sample_begin();
	make_copied();
	copied.copied = in[0] & 2;
	if (in[0] & 1)
		receive_stream(in + 1, left - 1);
	else
		load_changed(in + 1, left - 1);
	sample_end();
	return 0;
}
