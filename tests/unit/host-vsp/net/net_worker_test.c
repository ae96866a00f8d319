// SPDX-License-Identifier: GPL-2.0-only
/* A NIC's workers stand still and go on, under traffic in both directions. */
#include "host-vsp/net/net_priv.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/harness/net_traffic.h"

#define PAUSES 1000u

/* ---- standing ---- */

struct marks {
	u32 read[QUEUES], written[QUEUES];
};

/* How far the host has come, as the guest sees it. */
static struct marks look_at_rings(void)
{
	struct marks m;
	u32 q;

	for (q = 0; q < QUEUES; q++) {
		m.read[q] = *(volatile u32 *)__unshare(&chan(q)->tx.ctrl->read_index);
		m.written[q] = *(volatile u32 *)__unshare(&chan(q)->rx.ctrl->write_index);
	}
	return m;
}

static void nothing_is_in_hand(void)
{
	const struct net_queue *q;
	u32 i;

	for (i = 0; i < QUEUES; i++) {
		q = nic->slots[i].q;
		assert_int_equal(q->pace, NET_STANDS);
		assert_int_equal(q->io->rx.index, q->io->rx.published);
		assert_int_equal(q->io->tx.index, q->io->tx.published);
		assert_int_equal(q->num_heads, 0);
		assert_int_equal(q->quiet, 0);
	}
}

static void net_pauses_lose_nothing(void **state)
{
	struct marks before, after;
	u32 i, was;

	(void)state;
	start(1);
	for (i = 0; i < PAUSES; i++) {
		some_traffic();
		pause_all();
		nothing_is_in_hand();
		before = look_at_rings();
		was = (u32)counts().backend_calls;
		some_traffic(); /* it waits */
		if (i % 4 == 0)
			usleep(300);
		after = look_at_rings();
		assert_memory_equal(&before, &after, sizeof(before));
		assert_int_equal(counts().backend_calls, was);
		kvmb_bus_resume(f.bus);
		if (i % 8 == 0)
			wait_for_all(); /* nobody has to knock */
	}
	wait_for_all();
	all_sections_come_back();
	there_was_traffic(PAUSES / 4);
}

/* Orders that follow each other faster than a worker can look. */
static void net_pauses_may_be_cancelled(void **state)
{
	u32 i;

	(void)state;
	start(2);
	for (i = 0; i < 4 * PAUSES; i++) {
		some_traffic();
		begin_pause();
		if (i % 3 == 0)
			wait_until_it_stands();
		if (done)
			nothing_is_in_hand();
		kvmb_bus_resume(f.bus);
	}
	wait_for_all();
	all_sections_come_back();
}

/* What finds no room in the ring before the pause finds it after. */
static void net_pause_with_full_rings_keeps_what_waits(void **state)
{
	u32 i, q;

	(void)state;
	start(3);
	for (i = 0; i < 40; i++) {
		for (q = 0; q < QUEUES; q++) {
			while (network_sends(q))
				;
			guest_sends(q);
		}
		usleep(1000);
		if (i % 4)
			continue;
		pause_all();
		nothing_is_in_hand();
		kvmb_bus_resume(f.bus);
	}
	wait_for_all();
	all_sections_come_back();
}

/* A backend that takes nothing for a second is given up; the second of a pause is not its own. */
static void net_pause_does_not_make_the_backend_deaf(void **state)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;
	bool full = false;

	(void)state;
	start(4);
	while (!full && kvmb_now_ms() < until) { /* nobody reads what leaves */
		guest_receives(0);
		guest_sends(0);
		net_slot_lock(&nic->slots[0]);
		full = nic->slots[0].q->full;
		net_slot_unlock(&nic->slots[0]);
	}
	assert_true(full);
	pause_all();
	usleep(1100000);
	kvmb_bus_resume(f.bus);
	usleep(10000);
	wait_for_all();
	assert_int_equal(counts().tx_dropped[KVMB_DROP_BACKEND], 0);
}

/* The VM is reset, or ends, while it stands. */
static void net_standing_worker_can_be_stopped(void **state)
{
	(void)state;
	start(5);
	some_traffic();
	pause_all();
	some_traffic();
	fake_rest(&f);
	assert_null(nic->slots[0].q);
	assert_null(nic->slots[1].q);
	kvmb_bus_resume(f.bus);
}

/* ---- memory that does not come: a post-copy whose link has broken ---- */

static int drop_receive_buffer(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MISSING_SHMEM };
	u8 *at = (u8 *)f.gm.regions[0].hva + (recv_gfn << 12) - f.gm.regions[0].base;
	struct uffdio_register r = { .range = { (u64)(uintptr_t)at, recv_pages * 4096ull },
				     .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api)) {
		print_message("no userfaultfd here\n");
		skip();
	}
	assert_int_equal(madvise(at, recv_pages * 4096ull, MADV_REMOVE), 0);
	assert_int_equal(ioctl(fd, UFFDIO_REGISTER, &r), 0);
	return fd;
}

static int asked; /* atomic */

static void *ask_nic(void *arg)
{
	struct kvmb_net_info i;

	kvmb_net_get_info(nic, &i);
	assert_memory_equal(i.mac, mac, 6);
	__atomic_store_n((int *)arg, 1, __ATOMIC_RELEASE);
	return NULL;
}

/*
 * `kvmbus info`, with which `kvmbus migrate --recover` begins, too. If the main thread waits for
 * the worker, nobody can bring what the worker waits for.
 */
static void net_worker_that_waits_for_memory_is_not_waited_for(void **state)
{
	struct uffd_msg msg;
	pthread_t t;
	int uffd, i;

	(void)state;
	start(6);
	wait_for_all();
	uffd = drop_receive_buffer();
	for (i = 0; i < 2000 && read(uffd, &msg, sizeof(msg)) != sizeof(msg); i++) {
		network_sends(0);
		usleep(1000);
	}
	assert_int_not_equal(i, 2000); /* the worker waits */
	asked = 0;
	pthread_create(&t, NULL, ask_nic, &asked);
	for (i = 0; i < 3000 && !__atomic_load_n(&asked, __ATOMIC_ACQUIRE); i++)
		usleep(1000);
	i = __atomic_load_n(&asked, __ATOMIC_ACQUIRE);
	close(uffd); /* all has come */
	pthread_join(t, NULL);
	assert_true(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(net_pauses_lose_nothing),
		T(net_pauses_may_be_cancelled),
		T(net_pause_with_full_rings_keeps_what_waits),
		T(net_pause_does_not_make_the_backend_deaf),
		T(net_standing_worker_can_be_stopped),
		T(net_worker_that_waits_for_memory_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
