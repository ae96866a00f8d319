// SPDX-License-Identifier: GPL-2.0-only
/*
 * Servers that hang up, poison and stall: each request is answered, and others go on; connections
 * have an end.
 */
#include "tests/harness/nbd_cost.h"

#define ESHUTDOWN_OF_NBD 108u

static u32 hang_up(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	(void)s;
	(void)q;
	return SRV_HANGUP;
}

static u32 shut_down(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	(void)s;
	(void)q;
	return SRV_ERR + ESHUTDOWN_OF_NBD;
}

static u32 hold_all(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	(void)q;
	return nbd_srv_count(&s->held) < 64 ? SRV_HOLD : SRV_GOOD;
}

static u32 one_a_connection(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	static u32 served; /* the number of the connection */

	if (q->type != NBD_SRV_READ) /* the log alone would use it up */
		return SRV_GOOD;
	if (served == nbd_srv_count(&s->connects))
		return SRV_HANGUP;
	served = nbd_srv_count(&s->connects);
	return SRV_GOOD;
}

static u32 poison_kills(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	(void)s;
	return poisoned(q) ? SRV_HANGUP : SRV_GOOD;
}

static u32 poison_stalls(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	(void)s;
	return poisoned(q) ? SRV_HOLD : SRV_GOOD;
}

/* ---- hanging up ---- */

static void a_server_that_hangs_up_at_each_request(void **state)
{
	(void)state;
	assert_int_equal(open_srv(NORMAL, 0, 0), 0);
	nbd_srv_plan(&srv, hang_up);
	begin_cost();
	insist(10000, -EIO);
	assert_string_equal(kvmb_disk_health(d), "failed");
	end_cost("hangs up at each request", 25);
	goes_on_as_if_nothing_was();
}

static void a_server_that_shuts_down_at_each_request(void **state)
{
	static struct io io;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 0, 0), 0);
	nbd_srv_plan(&srv, shut_down);
	begin_cost();
	assert_int_equal(do_io(&io, KVMB_IO_WRITE, 5), -EIO);
	end_cost("answers ESHUTDOWN", 5);
	goes_on_as_if_nothing_was();
}

static void a_server_that_serves_one_request_a_connection(void **state)
{
	(void)state;
	assert_int_equal(open_srv(NORMAL, 0, 0), 0);
	nbd_srv_plan(&srv, one_a_connection);
	begin_cost();
	insist(1000, 0); /* slowly, but served */
	end_cost("one request a connection", 15);
	goes_on_as_if_nothing_was();
}

/* What it acknowledged is gone through again at each connection: no sign of life. */
static void a_server_that_hangs_up_while_the_log_is_repeated(void **state)
{
	static struct io io[20];
	u32 i;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 0, 0), 0);
	for (i = 0; i < ARRAY_SIZE(io); i++)
		assert_int_equal(write_letter(&io[i], i, (u8)('a' + i)), 0);
	nbd_srv_plan(&srv, poison_kills); /* block 7, after seven good ones */
	nbd_srv_drop(&srv);
	begin_cost();
	insist(1000, -EIO);
	end_cost("hangs up at the log", 25);
	goes_on_as_if_nothing_was();
	for (i = 4; i < ARRAY_SIZE(io); i++) { /* nothing that was acknowledged is missing */
		assert_int_equal(read_letter(&io[i], i), 'a' + i);
	}
}

/* ---- one request that kills ---- */

static void kills_with(enum kvmb_io what, u32 (*plan)(struct nbd_srv *, const struct nbd_srv_req *),
		       u32 timeout_s, const char *name)
{
	static struct io io[16];
	u32 i;

	assert_int_equal(open_srv(NORMAL, timeout_s, 0), 0);
	nbd_srv_plan(&srv, plan);
	begin_cost();
	for (i = 0; i < ARRAY_SIZE(io); i++)
		timed_start(&io[i], i == POISON ? what : i & 1 ? KVMB_IO_WRITE : KVMB_IO_READ, i);
	for (i = 0; i < ARRAY_SIZE(io); i++, cost.answers++)
		assert_int_equal(wait_io(&io[i]), i == POISON ? -EIO : 0);
	assert_int_equal(do_io(&io[0], KVMB_IO_READ, 1), 0);
	assert_string_equal(kvmb_disk_health(d), "ok");
	end_cost(name, 6);
	goes_on_as_if_nothing_was();
	assert_int_equal(do_io(&io[0], what, POISON), 0); /* nothing is held against the place */
}

static void a_read_that_kills_its_server_is_given_up(void **state)
{
	(void)state;
	kills_with(KVMB_IO_READ, poison_kills, 0, "a read kills");
}

static void a_write_that_kills_its_server_is_given_up(void **state)
{
	(void)state;
	kills_with(KVMB_IO_WRITE, poison_kills, 0, "a write kills");
	assert_int_equal(landed('A') >= 7, 1);
}

static void a_request_that_stalls_its_server_is_given_up(void **state)
{
	(void)state;
	kills_with(KVMB_IO_WRITE, poison_stalls, 3, "a write stalls");
}

/* Others come and are answered all the time, so that the server never is silent. */
static void a_request_that_is_passed_over_is_given_up(void **state)
{
	static struct io io, other;
	u64 until = real_ms() + PATIENCE_MS;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 2, 0), 0);
	nbd_srv_plan(&srv, poison_stalls);
	begin_cost();
	start_io(&io, KVMB_IO_READ, POISON);
	for (; !answered(&io, 0) && real_ms() < until; usleep(2000), cost.answers++)
		assert_int_equal(do_io(&other, KVMB_IO_READ, 1), 0);
	assert_int_equal(wait_io(&io), -EIO);
	end_cost("a read is passed over", 6);
}

static void a_server_that_never_answers(void **state)
{
	(void)state;
	assert_int_equal(open_srv(NORMAL, 3, 0), 0);
	nbd_srv_plan(&srv, hold_all);
	begin_cost();
	insist(1000, -EIO);
	end_cost("never answers", 8);
	goes_on_as_if_nothing_was();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		C(a_server_that_hangs_up_at_each_request),
		C(a_server_that_shuts_down_at_each_request),
		C(a_server_that_serves_one_request_a_connection),
		C(a_server_that_hangs_up_while_the_log_is_repeated),
		C(a_read_that_kills_its_server_is_given_up),
		C(a_write_that_kills_its_server_is_given_up),
		C(a_request_that_stalls_its_server_is_given_up),
		C(a_request_that_is_passed_over_is_given_up),
		C(a_server_that_never_answers),
	};

	if (!have_libnbd())
		return 77; /* meson's word for "skipped" */
	set_clock(5);
	kvmb_log_set_level(KVMB_LOG_INFO); /* all that there may be */
	start_keeper();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
