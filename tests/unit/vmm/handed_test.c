// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors that are handed over, and what a hostile sender makes of that. */
#include "vmm/handed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fdpass.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "tests/unit/test.h"

static struct mig_stream from, to;
static char why[MIG_WHY];

static int setup(void **state)
{
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	from = (struct mig_stream){ .fd = sv[0] };
	to = (struct mig_stream){ .fd = sv[1] };
	why[0] = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(from.fd);
	close(to.fd);
	return 0;
}

static int num_open(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static bool same(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

static void what_is_sent_arrives_in_its_place(void **state)
{
	struct vm_handed out = { .process = -1 }, in = { .process = -1 };
	int fds[3], i, open_before;

	(void)state;
	for (i = 0; i < 3; i++)
		fds[i] = memfd_create("x", MFD_CLOEXEC);
	out.memory = fds[0];
	out.disks[7] = fds[1];
	out.nics[1].num = KVMB_NET_MAX_QUEUES; /* the most that one message carries */
	for (i = 0; i < (int)KVMB_NET_MAX_QUEUES; i++)
		out.nics[1].fd[i] = fds[2];
	open_before = num_open();
	assert_int_equal(handed_send(&from, &out), 0);
	assert_int_equal(handed_receive(&to, &in, why), 0);
	assert_true(same(in.memory, fds[0]) && same(in.disks[7], fds[1]));
	assert_int_equal(in.nics[1].num, KVMB_NET_MAX_QUEUES);
	assert_true(same(in.nics[1].fd[63], fds[2]));
	assert_int_equal(in.disks[0] + in.nics[0].num, 0);
	assert_true(handed_has(&in, in.nics[1].fd[63]) && handed_has(&in, in.memory));
	assert_false(handed_has(&in, 0) || handed_has(&in, fds[0]));
	assert_int_equal(in.bytes, from.sent);
	handed_close(&in);
	assert_int_equal(num_open(), open_before);
	for (i = 0; i < 3; i++)
		close(fds[i]);
}

static void put(u32 tag, u64 kind, u64 index, u64 num, int fds)
{
	int fd[4] = { 0, 0, 0, 0 };
	struct kvmb_tlv_out o = { 0 };

	kvmb_tlv_begin(&o, tag, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&o, HANDED_KIND, kind);
	kvmb_tlv_put(&o, HANDED_INDEX, index);
	kvmb_tlv_put(&o, HANDED_NUM, num);
	kvmb_tlv_end(&o);
	assert_int_equal(kvmb_send_fds(from.fd, "d", 1, fd, fds), 1);
	assert_int_equal(mig_send(&from, o.buf, o.len), 0);
	kvmb_tlv_out_fini(&o);
}

static void what_is_not_asked_for_is_refused_and_closed(void **state)
{
	static const struct {
		u32 tag;
		u64 kind, index, num;
		int fds;
	} rows[] = {
		{ KVMB_SEC_HANDED, HANDED_MEMORY, 0, 2, 2 }, /* two memories */
		{ KVMB_SEC_HANDED, HANDED_MEMORY, 0, 1, 0 }, /* fewer than it says */
		{ KVMB_SEC_HANDED, HANDED_MEMORY, 0, 1, 3 }, /* more */
		{ KVMB_SEC_HANDED, HANDED_DISK, HANDED_DISKS, 1, 1 },
		{ KVMB_SEC_HANDED, HANDED_DISK, 0, 0, 0 },
		{ KVMB_SEC_HANDED, HANDED_NIC, KVMB_MAX_NICS, 1, 1 },
		{ KVMB_SEC_HANDED, HANDED_NIC, UINT32_MAX, 1, 1 },
		{ KVMB_SEC_HANDED, HANDED_NIC, 0, 0, 0 },
		{ KVMB_SEC_HANDED, HANDED_ALL, 0, 0, 0 }, /* and no memory */
		{ KVMB_SEC_HANDED, HANDED_STOPPED, 0, 1, 1 },
		{ KVMB_SEC_HANDED, HANDED_KINDS, 0, 1, 1 },
		{ KVMB_SEC_VM, HANDED_MEMORY, 0, 1, 1 },
	};
	struct vm_handed in;
	int open_before;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		in = (struct vm_handed){ .process = -1 };
		open_before = num_open();
		put(rows[i].tag, rows[i].kind, rows[i].index, rows[i].num, rows[i].fds);
		assert_int_equal(handed_receive(&to, &in, why), -EPROTO);
		assert_non_null(strstr(why, "section"));
		handed_close(&in);
		assert_int_equal(num_open(), open_before);
		teardown(state);
		setup(state);
	}
}

static void twice_is_refused(void **state)
{
	struct vm_handed in = { .process = -1 };
	int open_before = num_open();

	(void)state;
	put(KVMB_SEC_HANDED, HANDED_MEMORY, 0, 1, 1);
	put(KVMB_SEC_HANDED, HANDED_NIC, 2, 3, 3);
	put(KVMB_SEC_HANDED, HANDED_NIC, 2, 1, 1);
	assert_int_equal(handed_receive(&to, &in, why), -EPROTO);
	handed_close(&in);
	assert_int_equal(num_open(), open_before);
}

static void sender_that_gives_up_says_why(void **state)
{
	struct vm_handed in = { .process = -1 };

	(void)state;
	put(KVMB_SEC_HANDED, HANDED_MEMORY, 0, 1, 1);
	shutdown(from.fd, SHUT_RDWR);
	assert_int_equal(handed_receive(&to, &in, why), -EPIPE);
	assert_non_null(strstr(why, "has gone"));
	handed_close(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_sent_arrives_in_its_place),
		T(what_is_not_asked_for_is_refused_and_closed),
		T(twice_is_refused),
		T(sender_that_gives_up_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
