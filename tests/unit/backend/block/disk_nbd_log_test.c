// SPDX-License-Identifier: GPL-2.0-only
/* What is sent, kept, repeated and given up, at a scripted server. */
#include "tests/harness/nbd_disk.h"

static u32 hold_letter_a(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	(void)s;
	return q->type == NBD_SRV_WRITE && q->data[0] == 'A' ? SRV_HOLD : SRV_GOOD;
}

static u32 hold_reads(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	(void)s;
	return q->type == NBD_SRV_READ ? SRV_HOLD : SRV_GOOD;
}

static u32 hold_flushes(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	(void)s;
	return q->type == NBD_SRV_FLUSH ? SRV_HOLD : SRV_GOOD;
}

static u32 fail_flushes(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	(void)s;
	return q->type == NBD_SRV_FLUSH ? SRV_ERR + 5 : SRV_GOOD;
}

static u32 hang_up_at_flushes(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	(void)s;
	return q->type == NBD_SRV_FLUSH ? SRV_HANGUP : SRV_GOOD;
}

/*
 * A is cancelled while the server has it, B is acknowledged: whatever becomes of the server, the
 * disk holds B.
 */
static void an_aborted_write_is_not_repeated_over_a_later_one(void **state)
{
	static struct io a, b;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 4, 0), 0);
	nbd_srv_plan(&srv, hold_letter_a);
	letter(&a, KVMB_IO_WRITE, 5, 'A');
	nbd_srv_wait(&srv.held, 1);
	d->ops->cancel(d, &a.r);
	assert_int_equal(wait_io(&a),
			 -ECANCELED); /* the server is silent: the connection's end at the latest */
	nbd_srv_plan(&srv, NULL);
	assert_int_equal(write_letter(&b, 5, 'B'), 0);
	assert_int_equal(read_letter(&b, 5), 'B');
	nbd_srv_drop(&srv);
	assert_int_equal(read_letter(&b, 5), 'B');
	assert_int_equal(landed('A'), 0);
}

static void a_write_at_the_server_is_aborted_when_it_cannot_land_any_more(void **state)
{
	static struct io a, b;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 0, 0), 0);
	nbd_srv_plan(&srv, hold_letter_a);
	letter(&a, KVMB_IO_WRITE, 5, 'A');
	nbd_srv_wait(&srv.held, 1);
	d->ops->cancel(d, &a.r);
	assert_false(answered(&a, 200));
	nbd_srv_release(&srv);
	assert_int_equal(wait_io(&a), -ECANCELED);
	assert_int_equal(landed('A'), 1);
	nbd_srv_plan(&srv, NULL);
	assert_int_equal(write_letter(&b, 5, 'B'), 0);
	nbd_srv_drop(&srv);
	assert_int_equal(read_letter(&b, 5), 'B');
}

/*
 * Others are answered all the time, this one is not: what is cancelled does not wait for ever all
 * the same.
 */
static void an_aborted_write_comes_back_though_the_server_is_busy(void **state)
{
	static struct io a, b;
	u64 begin;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 4, 0), 0);
	nbd_srv_plan(&srv, hold_letter_a);
	letter(&a, KVMB_IO_WRITE, 5, 'A');
	nbd_srv_wait(&srv.held, 1);
	begin = kvmb_now_ms();
	d->ops->cancel(d, &a.r);
	while (!answered(&a, 0) && kvmb_now_ms() - begin < 5 * PATIENCE_MS)
		assert_int_equal(write_letter(&b, 6, 'B'), 0);
	assert_int_equal(wait_io(&a), -ECANCELED);
	assert_true(kvmb_now_ms() - begin >= 3900);
	nbd_srv_plan(&srv, NULL);
	assert_int_equal(read_letter(&b, 6), 'B');
	assert_int_equal(landed('A'), 0);
}

static void a_write_that_is_aborted_before_it_was_sent_is_not_sent(void **state)
{
	static struct io reads[64], a, b;
	u32 i;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 0, 0), 0);
	nbd_srv_plan(&srv, hold_reads);
	for (i = 0; i < 64; i++) /* so many may be at the server */
		start_io(&reads[i], KVMB_IO_READ, i);
	nbd_srv_wait(&srv.held, 64);
	letter(&a, KVMB_IO_WRITE, 5, 'A');
	letter(&b, KVMB_IO_WRITE, 5, 'B');
	assert_false(answered(&a, 100));
	d->ops->cancel(d, &a.r);
	assert_int_equal(wait_io(&a), -ECANCELED);
	nbd_srv_release(&srv);
	for (i = 0; i < 64; i++)
		assert_int_equal(wait_io(&reads[i]), 0);
	assert_int_equal(wait_io(&b), 0);
	assert_int_equal(landed('A'), 0);
	assert_int_equal(landed('B'), 1);
	assert_int_equal(d->ops->restarts(d), 0);
}

/* What a flush has made safe is not repeated; what was acknowledged after it is. */
static void the_log_is_what_no_flush_has_covered(void **state)
{
	static struct io io;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 0, 0), 0);
	assert_int_equal(write_letter(&io, 5, 'A'), 0);
	assert_int_equal(do_io(&io, KVMB_IO_FLUSH, 0), 0);
	assert_int_equal(write_letter(&io, 6, 'B'), 0);
	nbd_srv_drop(&srv);
	assert_int_equal(read_letter(&io, 6), 'B');
	assert_int_equal(landed('A'), 1);
	assert_int_equal(landed('B'), 2);
}

#define LARGE (512u << 10)

/* Write @n times 512 KiB at one place. Return: how many were answered well; all were answered. */
static u32 write_much(struct io *io, u8 *buf, u32 n)
{
	u32 i, good = 0;

	for (i = 0; i < n; i++) {
		io->iov = (struct iovec){ buf, LARGE };
		io->r = (struct kvmb_disk_req){ .io = KVMB_IO_WRITE,
						.length = LARGE,
						.iov = &io->iov,
						.num_iov = 1,
						.done = on_done };
		sem_init(&io->done, 0, 0);
		d->ops->submit(d, &io->r);
		good += !wait_io(io);
	}
	return good;
}

static void without_flushes_nothing_is_kept(void **state)
{
	static u8 buf[LARGE];
	static struct io io;
	u64 before;

	(void)state;
	assert_int_equal(open_srv(0, 0, 0), 0);
	assert_int_equal(write_much(&io, buf, 4), 4);
	before = resident();
	memset(buf, 'A', sizeof(buf));
	assert_int_equal(write_much(&io, buf, 1000), 1000);
	before = resident() - before;
	print_message("500 MiB without a flush: %llu KiB more\n", (unsigned long long)before >> 10);
/* they keep books of their own */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_true(before < 40u << 20);
#endif
	assert_int_equal(do_io(&io, KVMB_IO_FLUSH, 0), 0);
	nbd_srv_drop(&srv);
	assert_int_equal(read_letter(&io, 5), 'A');
	assert_int_equal(landed('A'), 1000); /* none of them again */
}

static u32 writes_without_fua;

static u32 look_for_fua(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	(void)s;
	if (q->type != NBD_SRV_READ && !(q->flags & 1)) /* NBD_CMD_FLAG_FUA */
		__atomic_fetch_add(&writes_without_fua, 1, __ATOMIC_RELEASE);
	return SRV_GOOD;
}

static void without_flushes_each_write_is_made_safe_if_that_can_be_had(void **state)
{
	static struct io io;

	(void)state;
	assert_int_equal(open_srv(NBD_SRV_HAS_FUA | NBD_SRV_HAS_ZERO, 0, 0), 0);
	nbd_srv_plan(&srv, look_for_fua);
	assert_int_equal(write_letter(&io, 5, 'A'), 0);
	assert_int_equal(do_io(&io, KVMB_IO_ZERO, 6), 0);
	assert_int_equal(do_io(&io, KVMB_IO_FLUSH, 0), 0);
	assert_int_equal(nbd_srv_count(&srv.requests), 2);
	assert_int_equal(nbd_srv_count(&writes_without_fua), 0);
}

static void a_server_with_nothing_takes_fua_as_well_as_it_can(void **state)
{
	static struct io io;

	(void)state;
	assert_int_equal(open_srv(0, 0, 0), 0);
	memset(io.buf, 'A', BLOCK);
	io.iov = (struct iovec){ io.buf, BLOCK };
	io.r = (struct kvmb_disk_req){ .io = KVMB_IO_WRITE,
				       .fua = true,
				       .length = BLOCK,
				       .iov = &io.iov,
				       .num_iov = 1,
				       .done = on_done };
	sem_init(&io.done, 0, 0);
	d->ops->submit(d, &io.r);
	assert_int_equal(wait_io(&io), 0);
	/* nor this; but it costs no connection */
	assert_int_equal(do_io(&io, KVMB_IO_ZERO, 5), -EINVAL);
	assert_int_equal(d->ops->restarts(d), 0);
}

/* A server that is replaced by one that can do less. */
static void a_flush_that_waits_for_a_server_without_one_is_done(void **state)
{
	static struct io io;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 0, 0), 0);
	assert_int_equal(write_letter(&io, 5, 'A'), 0);
	nbd_srv_plan(&srv, hold_flushes);
	start_io(&io, KVMB_IO_FLUSH, 0);
	nbd_srv_wait(&srv.held, 1);
	__atomic_store_n(&srv.flags, 0, __ATOMIC_RELEASE);
	nbd_srv_drop(&srv);
	assert_int_equal(wait_io(&io), 0);
	assert_int_equal(landed('A'), 2); /* what the old one may have lost */
	assert_int_equal(d->ops->restarts(d), 1);
}

static void a_flush_may_take_longer_than_the_rest(void **state)
{
	static struct io io, read;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 4, 0), 0);
	nbd_srv_plan(&srv, hold_flushes);
	start_io(&io, KVMB_IO_FLUSH, 0);
	nbd_srv_wait(&srv.held, 1);
	/* ten seconds by the disk's clock, and its limit is four */
	assert_false(answered(&io, 2000));
	assert_int_equal(do_io(&read, KVMB_IO_READ, 1), 0);
	nbd_srv_release(&srv);
	assert_int_equal(wait_io(&io), 0);
	assert_int_equal(d->ops->restarts(d), 0);
}

/* Our own flush fails: the log stays full, and writes fail; neither they nor we go on for ever. */
static void when_flushes_fail_writes_do_and_reads_go_on(void **state)
{
	static u8 buf[LARGE];
	static struct io io, read;
	u32 good;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 0, 0), 0);
	nbd_srv_plan(&srv, fail_flushes);
	good = write_much(&io, buf, 70);
	assert_in_range(good, 60, 66); /* 32 MiB */
	assert_int_equal(io.r.result, -EIO);
	assert_int_equal(do_io(&read, KVMB_IO_READ, 1), 0);
	assert_int_equal(do_io(&read, KVMB_IO_FLUSH, 0), -EIO); /* as the server says */
	assert_in_range(nbd_srv_count(&srv.flushes), 3, 100);
	assert_int_equal(d->ops->restarts(d), 0);
	nbd_srv_plan(&srv, NULL);
	d->ops->retry(d);
	assert_int_equal(write_much(&io, buf, 70), 70);
}

static void when_flushes_kill_the_server_writes_fail_at_last(void **state)
{
	static u8 buf[LARGE];
	static struct io io;
	u32 good;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 0, 0), 0);
	nbd_srv_plan(&srv, hang_up_at_flushes);
	good = write_much(&io, buf, 70);
	assert_in_range(good, 60, 66);
	assert_in_range(nbd_srv_count(&srv.connects), 3, 100); /* a storm is thousands */
	nbd_srv_plan(&srv, NULL);
	d->ops->retry(d);
	assert_int_equal(write_much(&io, buf, 70), 70);
}

static u32 hold_all_but_the_first_flush(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	if (q->type != NBD_SRV_FLUSH)
		return SRV_GOOD;
	return nbd_srv_count(&s->flushes) == 1 ? SRV_HANGUP : SRV_HOLD;
}

static void *release_after_a_while(void *arg)
{
	nbd_srv_wait(&srv.held, 1);
	usleep(13000000 / 5); /* more than ten seconds by the clock of the disk */
	nbd_srv_plan(&srv, NULL);
	nbd_srv_release(&srv);
	return arg;
}

/*
 * A daemon that was killed once, in a flush, and then a disk on which one takes long: nothing has
 * failed.
 */
static void a_slow_flush_after_one_that_failed_is_waited_for(void **state)
{
	static u8 buf[LARGE];
	static struct io io;
	pthread_t t;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 0, 0), 0);
	nbd_srv_plan(&srv, hold_all_but_the_first_flush);
	pthread_create(&t, NULL, release_after_a_while, NULL);
	assert_int_equal(write_much(&io, buf, 80), 80);
	pthread_join(t, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		S(an_aborted_write_is_not_repeated_over_a_later_one),
		S(a_write_at_the_server_is_aborted_when_it_cannot_land_any_more),
		S(an_aborted_write_comes_back_though_the_server_is_busy),
		S(a_write_that_is_aborted_before_it_was_sent_is_not_sent),
		S(the_log_is_what_no_flush_has_covered),
		S(without_flushes_nothing_is_kept),
		S(without_flushes_each_write_is_made_safe_if_that_can_be_had),
		S(a_server_with_nothing_takes_fua_as_well_as_it_can),
		S(a_flush_that_waits_for_a_server_without_one_is_done),
		S(a_flush_may_take_longer_than_the_rest),
		S(when_flushes_fail_writes_do_and_reads_go_on),
		S(when_flushes_kill_the_server_writes_fail_at_last),
		S(a_slow_flush_after_one_that_failed_is_waited_for),
	};

	if (!have_libnbd())
		return 77; /* meson's word for "skipped" */
	set_clock(5);
	kvmb_log_set_level(KVMB_LOG_ERR);
	start_keeper();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
