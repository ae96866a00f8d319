// SPDX-License-Identifier: GPL-2.0-only
/*
 * Servers that lie, and those that do not get through their handshake: each request is answered;
 * connections have an end.
 */
#include "tests/harness/nbd_cost.h"

/* ---- lies ---- */

static u32 lie; /* atomic */

static u32 tell_a_lie(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	u32 what = nbd_srv_count(&lie);

	(void)s;
	/* a write is repeated, and so is the lie */
	if (!poisoned(q) || (what == SRV_LONG && q->type != NBD_SRV_READ))
		return SRV_GOOD;
	return what;
}

static void lies_cost_the_request_alone(void **state)
{
	static const struct { const char *name; u32 what; int expect; } lies[] = {
		{ "another's handle", SRV_WRONG_HANDLE, -EIO },
		{ "a bad magic", SRV_BAD_MAGIC, -EIO },
		{ "half an answer", SRV_SHORT, -EIO },
		{ "more than an answer", SRV_LONG, 0 },
		{ "an error without a name", SRV_ERR + 9999, -EINVAL },
		{ "an error of its own", SRV_ERR + 28, -ENOSPC },
	};
	static struct io io[2];
	size_t i;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 3, 0), 0);
	nbd_srv_plan(&srv, tell_a_lie);
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		__atomic_store_n(&lie, lies[i].what, __ATOMIC_RELEASE);
		begin_cost();
		timed_start(&io[0], KVMB_IO_READ, POISON);
		cost.answers++;
		assert_int_equal(wait_io(&io[0]), lies[i].expect);
		d->ops->retry(d); /* without pauses */
		timed_start(&io[0], KVMB_IO_WRITE, POISON);
		cost.answers++;
		assert_int_equal(wait_io(&io[0]), lies[i].expect);
		/* what was written is not repeated, and so told, later */
		assert_int_equal(do_io(&io[1], KVMB_IO_FLUSH, 0), 0);
		assert_int_equal(do_io(&io[1], KVMB_IO_READ, 1), 0);
		end_cost(lies[i].name, 10);
		d->ops->retry(d);
	}
}

static void wild_sizes_are_refused(void **state)
{
	(void)state;
	assert_int_equal(open_srv(NORMAL, 0, 4096), -EINVAL); /* and our blocks have 512 bytes */
	assert_non_null(strstr(srv_why, "block=4096"));
	assert_null(d);
}

/* ---- handshakes ---- */

static u32 hold_reads(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	(void)s;
	return q->type == NBD_SRV_READ ? SRV_HOLD : SRV_GOOD;
}

/*
 * Three seconds of it, and then the server comes to its senses: who waited is answered, one way or
 * the other.
 */
static void broken_handshake(int hello, const char *name, u32 max_connects)
{
	static struct io io;
	int err;

	assert_int_equal(open_srv(NORMAL, 0, 0), 0);
	__atomic_store_n(&srv.hello, hello, __ATOMIC_RELEASE);
	begin_cost();
	nbd_srv_drop(&srv);
	timed_start(&io, KVMB_IO_WRITE, 1);
	usleep(3000000 / 5);
	assert_string_not_equal(kvmb_disk_health(d), "ok");
	end_cost(name, max_connects);
	__atomic_store_n(&srv.hello, HELLO_GOOD, __ATOMIC_RELEASE);
	err = wait_io(&io);
	assert_true(!err || err == -EIO); /* an error where it was alone at the server each time */
	goes_on_as_if_nothing_was();
}

static void a_handshake_that_never_ends(void **state)
{
	static struct io io;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 0, 0), 0);
	__atomic_store_n(&srv.hello, HELLO_SILENT, __ATOMIC_RELEASE);
	nbd_srv_drop(&srv);
	nbd_srv_wait(&srv.connects, 2);
	start_io(&io, KVMB_IO_WRITE, 1);
	assert_false(answered(&io, 100));
	set_clock(0);
	d->ops->cancel(
		d,
		&io.r); /* nobody need wait for the connection, whose ten seconds do not pass now */
	assert_int_equal(wait_io(&io), -ECANCELED);
	set_clock(5);
	begin_cost();
	insist(1000, -EIO);
	assert_string_equal(kvmb_disk_health(d), "failed");
	end_cost("never shakes hands", 4);
	goes_on_as_if_nothing_was();
}

/* The thread reads its kicks while it shakes hands; what they were for must not be forgotten. */
static void what_is_asked_during_a_handshake_is_seen_after_it(void **state)
{
	static struct io read, write;

	(void)state;
	assert_int_equal(open_srv(NORMAL, 0, 0), 0);
	__atomic_store_n(&srv.hello, HELLO_SLOW, __ATOMIC_RELEASE);
	nbd_srv_plan(&srv, hold_reads);
	start_io(&read, KVMB_IO_READ, 1);
	nbd_srv_wait(&srv.held, 1);
	nbd_srv_plan(&srv, NULL);
	nbd_srv_drop(&srv);
	nbd_srv_wait(&srv.connects, 2);
	usleep(100000);
	d->ops->cancel(d, &read.r);
	d->ops->retry(d);
	start_io(&write, KVMB_IO_WRITE, 2);
	assert_int_equal(wait_io(&read), -ECANCELED);
	assert_int_equal(wait_io(&write), 0);
}

static void a_handshake_of_garbage(void **state)
{
	(void)state;
	broken_handshake(HELLO_GARBAGE, "garbage for a handshake", 8);
}

static void a_handshake_and_then_goodbye(void **state)
{
	(void)state;
	broken_handshake(HELLO_HANGUP, "hangs up after the handshake", 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		C(lies_cost_the_request_alone),
		C(wild_sizes_are_refused),
		C(a_handshake_that_never_ends),
		C(what_is_asked_during_a_handshake_is_seen_after_it),
		C(a_handshake_of_garbage),
		C(a_handshake_and_then_goodbye),
	};

	if (!have_libnbd())
		return 77; /* meson's word for "skipped" */
	set_clock(5);
	kvmb_log_set_level(KVMB_LOG_INFO); /* all that there may be */
	start_keeper();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
