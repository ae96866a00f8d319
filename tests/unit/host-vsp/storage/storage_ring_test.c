// SPDX-License-Identifier: GPL-2.0-only
/* What the io_urings of channels can do, and that they are used again. */
#include "host-vsp/storage/storage_ring.h"

#include <liburing.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/harness/storage_guest.h"

static bool no_uring(void)
{
	if (kvmb_rings_error(rings))
		print_message("no io_uring here\n");
	return kvmb_rings_error(rings);
}

static int result_of(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int res;

	assert_int_equal(io_uring_submit_and_wait(ring, 1), 1);
	assert_int_equal(io_uring_peek_cqe(ring, &cqe), 0);
	res = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

static void rings_do_a_disks_work_and_nothing_else(void **state)
{
	struct kvmb_rings *r = kvmb_rings_create(1, true);
	struct sockaddr a = { .sa_family = AF_UNIX };
	struct io_uring_probe *probe;
	struct iovec iov = { path, 4 };
	struct io_uring ring, other;
	bool slots;
	int fd = open(path, O_RDWR);

	(void)state;
	if (no_uring()) {
		kvmb_rings_destroy(r);
		close(fd);
		return;
	}
	assert_true(kvmb_rings_restricted(r));
	assert_true(kvmb_rings_take(r, &ring, &slots));
	assert_true(slots);
	assert_false(kvmb_rings_take(r, &other, &slots)); /* there was one */

	io_uring_prep_readv(io_uring_get_sqe(&ring), fd, &iov, 1, 0);
	assert_int_equal(result_of(&ring), 4);
	io_uring_prep_fsync(io_uring_get_sqe(&ring), fd, IORING_FSYNC_DATASYNC);
	assert_int_equal(result_of(&ring), 0);
	assert_int_equal(io_uring_register_files_update(&ring, 3, &fd, 1), 1);
	close(fd);
	fd = -1;
	assert_int_equal(io_uring_register_files_update(&ring, 3, &fd, 1), 1);

	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, "/", O_RDONLY, 0);
	assert_int_equal(result_of(&ring), -EACCES);
	io_uring_prep_connect(io_uring_get_sqe(&ring), 0, &a, sizeof(a));
	assert_int_equal(result_of(&ring), -EACCES);
	io_uring_prep_socket(io_uring_get_sqe(&ring), AF_UNIX, SOCK_STREAM, 0, 0);
	assert_int_equal(result_of(&ring), -EACCES);
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	assert_int_equal(result_of(&ring), -EACCES);
	probe = calloc(1, sizeof(*probe) + 8 * sizeof(probe->ops[0]));
	assert_int_equal(io_uring_register_probe(&ring, probe, 8), -EACCES);
	free(probe);

	kvmb_rings_give(r, &ring);
	assert_true(kvmb_rings_take(r, &other, &slots));
	assert_int_equal(other.ring_fd, ring.ring_fd);
	kvmb_rings_give(r, &other);
	kvmb_rings_destroy(r);
}

/* From now on as a kernel before 5.10. */
static bool forget_restrictions(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_register, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IORING_REGISTER_RESTRICTIONS, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

static int try_old_kernel(void)
{
	struct kvmb_rings *r;
	struct io_uring ring;
	bool slots;

	if (!forget_restrictions())
		return 77;
	r = kvmb_rings_create(1, true);
	if (kvmb_rings_restricted(r) || kvmb_rings_error(r) != -EOPNOTSUPP ||
	    kvmb_rings_take(r, &ring, &slots))
		return 1;
	kvmb_rings_destroy(r);
	r = kvmb_rings_create(1, false);
	return kvmb_rings_restricted(r) || kvmb_rings_error(r) ||
			       !kvmb_rings_take(r, &ring, &slots) ?
		       2 :
		       0;
}

static void a_ring_that_cannot_be_restricted_is_not_used(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (no_uring())
		return;
	pid = fork();
	if (!pid)
		_exit(try_old_kernel());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* How many polls the kernel holds in the ring of the one channel. */
static unsigned int polls_in_ring(void)
{
	char name[64], line[256];
	struct io_uring ring;
	unsigned int n = 0;
	bool slots, list = false;
	FILE *file;

	assert_true(kvmb_rings_take(rings, &ring, &slots));
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", ring.ring_fd);
	file = fopen(name, "re");
	while (fgets(line, sizeof(line), file)) {
		list = list || !strncmp(line, "PollList", 8);
		n += list && strstr(line, "op=") != NULL;
	}
	fclose(file);
	kvmb_rings_give(rings, &ring);
	return n;
}

static void a_channel_leaves_its_ring_as_it_was(void **state)
{
	struct io_uring in_use[3], ring;
	struct kvmb_wire_stor a;
	bool slots;
	u64 gpfn = fake_alloc(&f, 1);
	u32 i;

	(void)state;
	for (i = 0; i < 3 && !no_uring(); i++) /* it has one, these are the others */
		assert_true(kvmb_rings_take(rings, &in_use[i], &slots));
	for (i = 0; i < 20; i++) {
		init();
		assert_int_equal(srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 10, KVMB_SRB_DATA_IN,
				     gpfn << 12, 512, &a),
				 1);
		assert_true(no_uring() || !kvmb_rings_take(rings, &ring, &slots));
		fake_close(&f, &c);
		if (!no_uring())
			assert_int_equal(polls_in_ring(), 0);
		assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	}
	for (i = 0; i < 3 && !no_uring(); i++)
		kvmb_rings_give(rings, &in_use[i]);
}

static void a_channel_without_a_ring_works(void **state)
{
	struct io_uring in_use[4];
	struct kvmb_wire_stor a;
	unsigned int n = 0, i;
	u64 gpfn = fake_alloc(&f, 1);
	bool slots;

	(void)state;
	fake_close(&f, &c);
	while (n < 4 && kvmb_rings_take(rings, &in_use[n], &slots))
		n++;
	assert_true(n == 4 || no_uring());
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	init();
	assert_int_equal(srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 10, KVMB_SRB_DATA_IN, gpfn << 12,
			     512, &a),
			 1);
	for (i = 0; i < n; i++)
		kvmb_rings_give(rings, &in_use[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rings_do_a_disks_work_and_nothing_else),
		T(a_ring_that_cannot_be_restricted_is_not_used),
		T(a_channel_leaves_its_ring_as_it_was),
		T(a_channel_without_a_ring_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
