// SPDX-License-Identifier: GPL-2.0-only
/* Sockets: both ways, both ends of each way, guests that lie, peers that do not read, moves. */
#include "host-vsp/hvsock/hvsock.h"

#include <dirent.h>

#include "lib/log.h"
#include "tests/harness/socket_guest.h"
#include "tests/unit/test.h"

#define REFUSED 0xc0000236u
#define SHORT_MS 60u /* for what must not come */

/* ---- time ---- */

static u64 skew_ms;
static struct kvmb_timer *limits; /* the one that is set from outside of the loop */

uint64_t __real_kvmb_now_ms(void);
uint64_t __wrap_kvmb_now_ms(void);
void __real_kvmb_timer_set(struct kvmb_timer *t, uint64_t ms);
void __wrap_kvmb_timer_set(struct kvmb_timer *t, uint64_t ms);

uint64_t __wrap_kvmb_now_ms(void)
{
	return __real_kvmb_now_ms() + __atomic_load_n(&skew_ms, __ATOMIC_RELAXED);
}

void __wrap_kvmb_timer_set(struct kvmb_timer *t, uint64_t ms)
{
	limits = t;
	__real_kvmb_timer_set(t, ms);
}

static void let_time_pass(u64 ms)
{
	__atomic_fetch_add(&skew_ms, ms, __ATOMIC_RELAXED);
	if (limits)
		__real_kvmb_timer_set(limits, 0);
	fake_run(&box.f);
}

/* ---- a host, and a guest that knows sockets ---- */

static int begin_with(u32 version)
{
	struct kvmb_wire_offer o[1];

	limits = NULL;
	sock_host_begin();
	assert_int_equal(fake_connect(&box.f, version, o, 1), 0);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	kvmb_log_set_level(KVMB_LOG_ERR);
	return begin_with(KVMB_VERSION_NEWEST);
}

static int teardown(void **state)
{
	(void)state;
	sock_host_end();
	return 0;
}

struct count {
	u32 all, open, from_host;
	u64 to_guest, to_host;
};

static void count_one(void *arg, const struct kvmb_hvsock_info *i)
{
	struct count *n = arg;

	n->all++;
	n->open += !strcmp(i->state, "open");
	n->from_host += i->from_host;
	n->to_guest += i->to_guest;
	n->to_host += i->to_host;
}

static struct count counted(void)
{
	struct count n = { 0 };

	kvmb_hvsock_for_each(box.h, count_one, &n);
	return n;
}

/* ---- steps ---- */

static struct kvmb_wire_offer next_offer(void)
{
	const struct kvmb_wire_offer *o = fake_wait(&box.f, KVMB_MSG_OFFER);

	assert_non_null(o);
	return *o;
}

static u32 port_of(const struct kvmb_guid *g)
{
	u32 port;

	assert_true(kvmb_hvsock_port(g, &port));
	return port;
}

static u32 ring_pages = SOCK_PAGES;

static void guest_opens(struct sock_conn *s, const struct kvmb_wire_offer *o)
{
	s->relid = le32_to_cpu(o->relid);
	assert_int_equal(fake_open(&box.f, &s->c, s->relid, ring_pages), 0);
	s->is_open = true;
}

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void expect_host(int fd, const char *text)
{
	char buf[64] = "";
	size_t n = 0;
	ssize_t k;

	while (n < strlen(text)) {
		k = host_hears(fd, buf + n, strlen(text) - n);
		assert_true(k > 0);
		n += (size_t)k;
	}
	assert_string_equal(buf, text);
}

static void expect_host_end(int fd)
{
	char b;

	assert_int_equal(host_hears(fd, &b, 1), 0);
}

static void expect_guest(struct sock_conn *s, const char *text)
{
	const u8 *data = NULL;
	size_t n = 0;
	int k;

	while (n < strlen(text)) {
		k = guest_hears(s, &data, PATIENCE_MS);
		assert_true(k > 0 && n + (size_t)k <= strlen(text));
		assert_memory_equal(data, text + n, k);
		n += (size_t)k;
	}
}

static void expect_guest_end(struct sock_conn *s)
{
	const u8 *data = NULL;

	assert_int_equal(guest_hears(s, &data, PATIENCE_MS), 0);
}

static void expect_rescind(struct sock_conn *s)
{
	const struct kvmb_wire_relid *m = fake_wait(&box.f, KVMB_MSG_RESCIND);

	assert_non_null(m);
	assert_int_equal(le32_to_cpu(m->relid), s->relid);
	guest_releases(s);
}

static void hang_up(struct sock_conn *s)
{
	close(s->host);
	s->host = -1;
}

/* The host connects to @port. */
static void host_connects(struct sock_conn *s, u32 port)
{
	struct kvmb_wire_offer o;
	char line[40];
	int theirs;

	memset(s, 0, sizeof(*s));
	sock_pair(&s->host, &theirs);
	snprintf(line, sizeof(line), "CONNECT %u\n", port);
	say(s->host, line);
	kvmb_hvsock_take(box.h, theirs);
	fake_run(&box.f);
	o = next_offer();
	assert_int_equal(port_of(&o.type), port);
	guest_opens(s, &o);
	snprintf(line, sizeof(line), "OK %u\n", port_of(&o.instance));
	expect_host(s->host, line);
}

/* The guest connects from @from to @port of the host. */
static void guest_connects(struct sock_conn *s, u32 from, u32 port)
{
	u32 dialled = box.num_dialled;
	struct kvmb_wire_offer o;
	int theirs;

	memset(s, 0, sizeof(*s));
	guest_asks(from, port);
	assert_int_equal(box.num_dialled, dialled + 1);
	assert_int_equal(box.dialled[dialled], port);
	sock_pair(&s->host, &theirs);
	assert_true(kvmb_hvsock_dialled(box.h, 0, theirs));
	o = next_offer();
	assert_int_equal(port_of(&o.type), port);
	assert_int_equal(port_of(&o.instance), from);
	assert_int_equal(o.u.pipe.user[0], 0);
	guest_opens(s, &o);
}

/* The host ends it, the guest agrees. */
static void finish(struct sock_conn *s)
{
	hang_up(s);
	expect_guest_end(s);
	expect_rescind(s);
}

static void expect_refusal(u32 from, u32 port)
{
	const struct kvmb_wire_tl_connect_result *r = fake_next(&box.f, KVMB_MSG_TL_CONNECT_RESULT);

	assert_non_null(r);
	assert_int_equal(port_of(&r->endpoint), from);
	assert_int_equal(port_of(&r->service), port);
	assert_int_equal(le32_to_cpu(r->status), REFUSED);
}

/* ---- both ways ---- */

static void host_connects_and_both_talk(void **state)
{
	struct kvmb_wire_offer o;
	struct sock_conn s = { 0 };
	int theirs;

	(void)state;
	sock_pair(&s.host, &theirs);
	say(s.host, "CONNE");
	kvmb_hvsock_take(box.h, theirs);
	fake_run(&box.f);
	say(s.host, "CT 5000\nhello"); /* what is behind the line is the guest's */
	fake_run(&box.f);
	o = next_offer();
	assert_int_equal(port_of(&o.type), 5000);
	assert_true(port_of(&o.instance) > KVMB_HVSOCK_MAX_LISTEN);
	assert_int_equal(le16_to_cpu(o.flags), 0x2011);
	assert_int_equal(le32_to_cpu(o.u.pipe.mode), KVMB_PIPE_MODE_BYTE);
	assert_int_equal(o.u.pipe.user[0], 1);
	assert_int_equal(counted().all, 1);
	assert_int_equal(counted().open, 0);
	guest_opens(&s, &o);
	expect_host(s.host, "OK 2147483648\n");
	expect_guest(&s, "hello");
	assert_int_equal(guest_sends(&s, "world", 5), 0);
	expect_host(s.host, "world");
	assert_int_equal(counted().open, 1);
	assert_int_equal(counted().to_guest, 5);
	assert_int_equal(counted().to_host, 5);
	finish(&s);
	assert_int_equal(counted().all, 0);
}

static void guest_connects_and_both_talk(void **state)
{
	struct sock_conn s;

	(void)state;
	guest_connects(&s, 70000, 1234);
	assert_int_equal(guest_sends(&s, "hello", 5), 0);
	expect_host(s.host, "hello");
	say(s.host, "world");
	expect_guest(&s, "world");
	assert_int_equal(counted().from_host, 0);
	finish(&s);
}

static void greeting_that_is_none_is_hung_up_on(void **state)
{
	static const char *const lines[] = { "\n",
					     "CONNECT\n",
					     "CONNECT \n",
					     "CONNECT x\n",
					     "CONNECT 12 \n",
					     "CONNECT -1\n",
					     "CONNECT 2147483648\n",
					     "CONNECT 99999999999999999999\n",
					     "connect 5\n",
					     "OK 5\n",
					     "CONNECT 0000000000000000000000000000000005\n" };
	int ours, theirs;
	size_t i;
	char b;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		sock_pair(&ours, &theirs);
		say(ours, lines[i]);
		kvmb_hvsock_take(box.h, theirs);
		expect_host_end(ours);
		close(ours);
	}
	assert_null(fake_next(&box.f, KVMB_MSG_OFFER));
	/* one who says nothing, one who goes */
	sock_pair(&ours, &theirs);
	kvmb_hvsock_take(box.h, theirs);
	let_time_pass(4000);
	assert_int_equal(read(ours, &b, 1), -1);
	let_time_pass(2000);
	expect_host_end(ours);
	close(ours);
	sock_pair(&ours, &theirs);
	kvmb_hvsock_take(box.h, theirs);
	close(ours);
	fake_run(&box.f);
}

static void guest_where_nobody_listens_has_5_s(void **state)
{
	struct sock_conn s = { 0 };
	struct kvmb_wire_offer o;
	int theirs;

	(void)state;
	sock_pair(&s.host, &theirs);
	say(s.host, "CONNECT 1\n");
	kvmb_hvsock_take(box.h, theirs);
	fake_run(&box.f);
	o = next_offer();
	s.relid = le32_to_cpu(o.relid);
	let_time_pass(4000);
	assert_null(fake_next(&box.f, KVMB_MSG_RESCIND));
	let_time_pass(2000);
	expect_host_end(s.host);
	expect_rescind(&s);
	hang_up(&s);
	/* the client loses its patience first */
	sock_pair(&s.host, &theirs);
	say(s.host, "CONNECT 1\n");
	kvmb_hvsock_take(box.h, theirs);
	fake_run(&box.f);
	o = next_offer();
	s.relid = le32_to_cpu(o.relid);
	hang_up(&s);
	fake_run(&box.f);
	expect_rescind(&s);
}

static void host_where_nobody_listens_refuses(void **state)
{
	const struct kvmb_guid other = KVMB_GUID(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
			       fine = KVMB_HVSOCK_GUID(5);

	(void)state;
	guest_asks(70000, 1);
	guest_asks(70001, 2);
	assert_null(fake_next(&box.f, KVMB_MSG_TL_CONNECT_RESULT));
	assert_true(kvmb_hvsock_dialled(box.h, -ENOENT, -1));
	expect_refusal(70000, 1);
	assert_true(kvmb_hvsock_dialled(box.h, -ECONNREFUSED, -1));
	expect_refusal(70001, 2);
	assert_false(kvmb_hvsock_dialled(box.h, -ENOENT, -1));
	guest_asks(70002, 0x80000000u); /* nobody can listen there */
	expect_refusal(70002, 0x80000000u);
	box.dial_err = -ENOTCONN;
	guest_asks(70003, 3);
	expect_refusal(70003, 3);
	guest_asks_guid(&other, &fine);
	guest_asks_guid(&fine, &other);
	assert_non_null(fake_next(&box.f, KVMB_MSG_TL_CONNECT_RESULT));
	assert_non_null(fake_next(&box.f, KVMB_MSG_TL_CONNECT_RESULT));
	assert_int_equal(box.num_dialled, 2);
	assert_null(fake_next(&box.f, KVMB_MSG_OFFER));
	assert_int_equal(counted().all, 0);
}

static void silo_of_a_guest_is_ignored(void **state)
{
	struct {
		struct kvmb_wire_tl_connect m;
		struct kvmb_guid silo;
	} m = { .m = { .endpoint = KVMB_HVSOCK_GUID(70000), .service = KVMB_HVSOCK_GUID(5) },
		.silo = { { 1, 2, 3 } } };

	(void)state;
	fake_post(&box.f, KVMB_MSG_TL_CONNECT, &m, sizeof(m));
	assert_int_equal(box.num_dialled, 1);
	assert_int_equal(box.dialled[0], 5);
	assert_true(kvmb_hvsock_dialled(box.h, -ENOENT, -1));
	expect_refusal(70000, 5);
}

static void old_guest_has_no_sockets(void **state)
{
	int ours, theirs;

	(void)state;
	sock_host_end();
	begin_with(KVMB_VERSION_WIN8_1);
	sock_pair(&ours, &theirs);
	say(ours, "CONNECT 1\n");
	kvmb_hvsock_take(box.h, theirs);
	expect_host_end(ours);
	close(ours);
	assert_null(fake_next(&box.f, KVMB_MSG_OFFER));
}

static void guest_that_asks_twice_has_one(void **state)
{
	struct sock_conn s;
	int ours, theirs;

	(void)state;
	guest_connects(&s, 70000, 1);
	guest_asks(70000, 1);
	sock_pair(&ours, &theirs);
	assert_true(kvmb_hvsock_dialled(box.h, 0, theirs));
	expect_host_end(ours);
	close(ours);
	expect_refusal(70000, 1);
	assert_int_equal(guest_sends(&s, "x", 1), 0);
	expect_host(s.host, "x");
	finish(&s);
}

/* Linux takes a second offer of the same two ends for a mistake, and warns. */
static void ends_are_used_again_when_released(void **state)
{
	struct sock_conn s, again = { 0 };
	const struct kvmb_wire_relid *m;
	struct kvmb_wire_offer o;
	int theirs;

	(void)state;
	guest_connects(&s, 70000, 1);
	hang_up(&s);
	m = fake_wait(&box.f, KVMB_MSG_RESCIND);
	assert_non_null(m);
	guest_asks(70000, 1);
	sock_pair(&again.host, &theirs);
	assert_true(kvmb_hvsock_dialled(box.h, 0, theirs));
	fake_run(&box.f);
	assert_null(fake_next(&box.f, KVMB_MSG_OFFER));
	guest_releases(&s);
	o = next_offer();
	assert_int_equal(port_of(&o.instance), 70000);
	guest_opens(&again, &o);
	finish(&again);
	/* one that is never released */
	guest_connects(&s, 70000, 1);
	hang_up(&s);
	assert_non_null(fake_wait(&box.f, KVMB_MSG_RESCIND));
	guest_asks(70000, 1);
	sock_pair(&again.host, &theirs);
	assert_true(kvmb_hvsock_dialled(box.h, 0, theirs));
	let_time_pass(6000);
	expect_host_end(again.host);
	close(again.host);
	guest_releases(&s);
	assert_null(fake_next(&box.f, KVMB_MSG_OFFER));
	assert_int_equal(counted().all, 0);
}

/* ---- ends ---- */

static void each_way_has_its_own_end(void **state)
{
	struct sock_conn s;

	(void)state;
	host_connects(&s, 9);
	say(s.host, "last");
	shutdown(s.host, SHUT_WR);
	expect_guest(&s, "last");
	expect_guest_end(&s);
	assert_int_equal(guest_sends(&s, "answer", 6), 0);
	expect_host(s.host, "answer");
	assert_null(fake_next(&box.f, KVMB_MSG_RESCIND));
	assert_int_equal(guest_sends(&s, NULL, 0), 0);
	expect_host_end(s.host);
	expect_rescind(&s);
	hang_up(&s);

	guest_connects(&s, 70000, 1);
	assert_int_equal(guest_sends(&s, "last", 4), 0);
	assert_int_equal(guest_sends(&s, NULL, 0), 0);
	expect_host(s.host, "last");
	expect_host_end(s.host);
	say(s.host, "answer");
	expect_guest(&s, "answer");
	assert_null(fake_next(&box.f, KVMB_MSG_RESCIND));
	finish(&s);
}

static void guest_that_closes_ends_it(void **state)
{
	struct kvmb_wire_relid m = { 0 };
	struct sock_conn s;

	(void)state;
	host_connects(&s, 9);
	assert_int_equal(guest_sends(&s, "x", 1), 0);
	expect_host(s.host, "x");
	m.relid = cpu_to_le32(s.relid);
	fake_post(&box.f, KVMB_MSG_CLOSE, &m, sizeof(m));
	expect_host_end(s.host);
	expect_rescind(&s);
	hang_up(&s);
	assert_int_equal(counted().all, 0);
}

static void guest_that_is_reset_loses_all(void **state)
{
	struct kvmb_wire_offer o[1];
	struct sock_conn a, b, c;
	int ours, theirs;

	(void)state;
	host_connects(&a, 9);
	guest_connects(&b, 70000, 1);
	guest_asks(70001, 2); /* not answered yet */
	sock_pair(&ours, &theirs);
	say(ours, "CONNECT 7\n"); /* not opened yet */
	kvmb_hvsock_take(box.h, theirs);
	fake_run(&box.f);
	next_offer();
	fake_unmap(&a.c);
	fake_unmap(&b.c);
	assert_int_equal(fake_connect(&box.f, KVMB_VERSION_NEWEST, o, 1), 0);
	expect_host_end(a.host);
	expect_host_end(b.host);
	expect_host_end(ours);
	hang_up(&a);
	hang_up(&b);
	close(ours);
	assert_null(fake_next(&box.f, KVMB_MSG_RESCIND)); /* it knows of none */
	assert_true(kvmb_hvsock_dialled(box.h, -ENOENT, -1));
	host_connects(&c, 9);
	finish(&c);
}

/* ---- lies ---- */

static void guest_that_lies_loses_that_connection(void **state)
{
	static const struct {
		u16 type;
		u32 pipe, size, len; /* of the header, and of the payload behind it */
	} lies[] = {
		{ KVMB_PKT_COMPLETION, 1, 8, 8 },
		{ KVMB_PKT_INBAND, 0, 8, 8 },
		{ KVMB_PKT_INBAND, 2, 8, 8 },
		{ KVMB_PKT_INBAND, 1, 9, 8 },
		{ KVMB_PKT_INBAND, 1, 0, 8 },
		{ KVMB_PKT_INBAND, 1, 8, 16 },
		{ KVMB_PKT_INBAND, 1, 8, 0 },
		{ KVMB_PKT_INBAND, 1, ~0u, 64 },
		{ KVMB_PKT_INBAND, 1, KVMB_HVSOCK_MTU + 8, KVMB_HVSOCK_MTU + 8 },
	};
	u8 buf[KVMB_HVSOCK_MTU + 64] = { 0 };
	struct kvmb_wire_hvsock w;
	struct sock_conn good, s;
	size_t i;

	(void)state;
	host_connects(&good, 1);
	for (i = 0; i < ARRAY_SIZE(lies) + 3; i++) {
		guest_connects(&s, 70000, 2);
		assert_int_equal(guest_sends(&s, "true", 4), 0);
		expect_host(s.host, "true");
		if (i < ARRAY_SIZE(lies)) {
			w.type = cpu_to_le32(lies[i].pipe);
			w.size = cpu_to_le32(lies[i].size);
			memcpy(buf, &w, sizeof(w));
			assert_int_equal(guest_sends_raw(&s, lies[i].type, buf,
							 (u32)sizeof(w) + lies[i].len),
					 0);
		} else if (i == ARRAY_SIZE(lies)) { /* no header at all */
			assert_int_equal(guest_sends_raw(&s, KVMB_PKT_INBAND, NULL, 0), 0);
		} else if (i == ARRAY_SIZE(lies) + 1) { /* goes on behind its end */
			assert_int_equal(guest_sends(&s, NULL, 0), 0);
			assert_int_equal(guest_sends(&s, "more", 4), 0);
		} else { /* its ring */
			WRITE_ONCE(s.c.tx.ctrl->write_index, 0xfffffff0u);
			fake_signal(&box.f, &s.c);
		}
		expect_host_end(s.host);
		expect_rescind(&s);
		hang_up(&s);
	}
	assert_int_equal(guest_sends(&good, "fine", 4), 0);
	expect_host(good.host, "fine");
	finish(&good);
}

/* ---- those who do not read ---- */

static u8 pattern(u64 at)
{
	return (u8)(at ^ at >> 8 ^ at >> 16);
}

static void host_that_does_not_read_stalls_itself_alone(void **state)
{
	u8 block[4088], got[65536];
	u64 sent = 0, seen = 0;
	struct sock_conn s, other;
	u32 i, full = 0;
	ssize_t n;

	(void)state;
	guest_connects(&s, 70000, 1);
	host_connects(&other, 2);
	while (full < 50) {
		for (i = 0; i < sizeof(block); i++)
			block[i] = pattern(sent + i);
		if (guest_sends(&s, block, sizeof(block))) {
			full++;
			usleep(1000);
			continue;
		}
		full = 0;
		sent += sizeof(block);
	}
	assert_true(sent > 100000); /* a socket's buffer, and the ring */
	assert_int_equal(guest_sends(&other, "fine", 4), 0);
	expect_host(other.host, "fine");
	say(s.host, "and back"); /* the other way is free */
	expect_guest(&s, "and back");
	while (seen < sent) {
		n = host_hears(s.host, got, sizeof(got));
		assert_true(n > 0);
		for (i = 0; i < (u32)n; i++) {
			if (got[i] != pattern(seen + i))
				fail_msg("byte %llu", (unsigned long long)seen + i);
		}
		seen += (u64)n;
	}
	finish(&s);
	finish(&other);
}

static void guest_that_does_not_read_stalls_itself_alone(void **state)
{
	u64 sent = 0, seen = 0, i;
	struct sock_conn s, other;
	u8 block[8192];
	const u8 *data = NULL;
	u32 full = 0;
	ssize_t n;
	int k;

	(void)state;
	guest_connects(&s, 70000, 1);
	host_connects(&other, 2);
	while (full < 50) {
		for (i = 0; i < sizeof(block); i++)
			block[i] = pattern(sent + i);
		n = write(s.host, block, sizeof(block));
		full = n < 0 ? full + 1 : 0;
		sent += n < 0 ? 0 : (u64)n;
		if (n < 0)
			usleep(1000);
	}
	say(other.host, "fine");
	expect_guest(&other, "fine");
	assert_int_equal(guest_sends(&s, "and back", 8), 0);
	expect_host(s.host, "and back");
	hang_up(&s); /* what it has said is delivered all the same */
	while ((k = guest_hears(&s, &data, PATIENCE_MS)) > 0) {
		for (i = 0; i < (u64)k; i++) {
			if (data[i] != pattern(seen + i))
				fail_msg("byte %llu", (unsigned long long)seen + i);
		}
		seen += (u64)k;
	}
	assert_int_equal(k, 0);
	assert_int_equal(seen, sent);
	expect_rescind(&s);
	finish(&other);
}

static void guest_that_never_reads_keeps_nothing_for_ever(void **state)
{
	u8 block[8192] = { 0 };
	struct sock_conn s;
	u32 full = 0;

	(void)state;
	guest_connects(&s, 70000, 1);
	while (full < 50) {
		full = write(s.host, block, sizeof(block)) < 0 ? full + 1 : 0;
		if (full)
			usleep(1000);
	}
	hang_up(&s);
	usleep(50000);
	fake_run(&box.f);
	assert_null(fake_next(&box.f, KVMB_MSG_RESCIND));
	while (counted().all) {
		let_time_pass(301000);
		fake_signal(&box.f, &s.c); /* wakes the worker, which sleeps five minutes */
		usleep(1000);
		fake_run(&box.f);
	}
	expect_rescind(&s);
}

/* ---- many ---- */

static u32 count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	u32 n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void hundred_at_once(void **state)
{
	static struct sock_conn s[100];
	char text[16];
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(s); i++) {
		if (i % 2)
			host_connects(&s[i], i);
		else
			guest_connects(&s[i], 70000 + i, i);
	}
	assert_int_equal(counted().open, ARRAY_SIZE(s));
	for (i = 0; i < ARRAY_SIZE(s); i++) {
		snprintf(text, sizeof(text), "guest %u.", i);
		assert_int_equal(guest_sends(&s[i], text, (u32)strlen(text)), 0);
		snprintf(text, sizeof(text), "host %u.", i);
		say(s[i].host, text);
	}
	for (i = 0; i < ARRAY_SIZE(s); i++) {
		snprintf(text, sizeof(text), "guest %u.", i);
		expect_host(s[i].host, text);
		snprintf(text, sizeof(text), "host %u.", i);
		expect_guest(&s[i], text);
	}
	for (i = 0; i < ARRAY_SIZE(s); i++)
		finish(&s[i]);
	assert_int_equal(counted().all, 0);
}

static void hundreds_one_after_the_other_leave_nothing(void **state)
{
	u64 gfn = box.f.next_gfn;
	struct sock_conn s;
	u32 i, fds = 0;

	(void)state;
	for (i = 0; i < 400; i++) {
		if (i == 1)
			fds = count_fds();
		box.f.next_gfn = gfn; /* nobody has them any more */
		host_connects(&s, 5);
		finish(&s);
		assert_int_equal(s.relid, 1);
	}
	assert_int_equal(count_fds(), fds);
}

static void more_than_the_limit_are_refused(void **state)
{
	int ours[KVMB_HVSOCK_MAX + 1], theirs;
	u32 i;

	(void)state;
	for (i = 0; i <= KVMB_HVSOCK_MAX; i++) {
		sock_pair(&ours[i], &theirs);
		kvmb_hvsock_take(box.h, theirs);
	}
	expect_host_end(ours[KVMB_HVSOCK_MAX]);
	guest_asks(70000, 1);
	expect_refusal(70000, 1);
	for (i = 0; i <= KVMB_HVSOCK_MAX; i++)
		close(ours[i]);
	fake_run(&box.f);
	for (i = 0; i < 40; i++) /* a guest that asks and asks */
		guest_asks(70000 + i, 1);
	assert_int_equal(box.num_dialled, 32);
	while (kvmb_hvsock_dialled(box.h, -ENOENT, -1))
		;
}

/* ---- bulk ---- */

static u64 take_back(struct sock_conn *s, u64 back)
{
	const u8 *data = NULL;
	u64 i;
	int k;

	while ((k = guest_hears(s, &data, 0)) > 0) {
		for (i = 0; i < (u64)k; i++) {
			if (data[i] != pattern(back + i))
				fail_msg("byte %llu", (unsigned long long)(back + i));
		}
		back += (u64)k;
	}
	return back;
}

/* The host sends back what it hears: nothing is kept but in rings and sockets. */
static void bounce(struct sock_conn *s, u64 all)
{
	u64 out = 0, back = 0, i, most;
	u8 block[4088], got[65536];
	size_t held = 0;
	ssize_t n;

	while (back < all) {
		most = KVMB_MIN(sizeof(block), KVMB_MIN(all - out, s->c.tx.size / 4));
		for (i = 0; i < most; i++)
			block[i] = pattern(out + i);
		if (most && !guest_sends(s, block, (u32)most))
			out += most;
		n = read(s->host, got + held, sizeof(got) - held);
		held += n > 0 ? (size_t)n : 0;
		n = held ? write(s->host, got, held) : 0;
		if (n > 0) {
			held -= (size_t)n;
			memmove(got, got + n, held);
		}
		back = take_back(s, back);
	}
	assert_int_equal(back, all);
}

/* HVSOCK_MB=256: so much, to see how long it takes. */
static void much_arrives_as_it_was(void **state)
{
	static const u32 pages[] = { 2, 3, SOCK_PAGES, 64 };
	const char *mb = getenv("HVSOCK_MB");
	struct sock_conn s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		u64 all = (mb ? (u64)atoi(mb) : 2) << 20, t = kvmb_now_ms();

		ring_pages = pages[i];
		guest_connects(&s, 70000, 1);
		bounce(&s, all);
		if (mb)
			print_message("%s MiB there and back, rings of %u pages: %llu ms\n", mb,
				      pages[i], (unsigned long long)(kvmb_now_ms() - t));
		finish(&s);
	}
	ring_pages = SOCK_PAGES;
}

/* ---- standing, saving ---- */

static bool stands;

static void on_stands(void *arg)
{
	(void)arg;
	stands = true;
}

static void rest_bus(void)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	stands = false;
	kvmb_bus_pause(box.f.bus, on_stands, NULL);
	while (!stands && kvmb_now_ms() < until)
		kvmb_loop_once(box.f.loop, 5);
	assert_true(stands);
}

static void bus_that_stands_moves_nothing(void **state)
{
	struct sock_conn s, later;
	struct kvmb_wire_offer o;
	const u8 *data = NULL;
	int theirs;
	char b;

	(void)state;
	host_connects(&s, 9);
	rest_bus();
	assert_int_equal(guest_sends(&s, "x", 1), 0);
	say(s.host, "y");
	assert_int_equal(guest_hears(&s, &data, SHORT_MS), -EAGAIN);
	assert_int_equal(read(s.host, &b, 1), -1);
	memset(&later, 0, sizeof(later));
	sock_pair(&later.host, &theirs);
	say(later.host, "CONNECT 10\n");
	kvmb_hvsock_take(box.h, theirs);
	fake_run(&box.f);
	assert_null(fake_next(&box.f, KVMB_MSG_OFFER));
	let_time_pass(10000);
	kvmb_bus_resume(box.f.bus);
	fake_run(&box.f);
	expect_guest(&s, "y");
	expect_host(s.host, "x");
	o = next_offer();
	guest_opens(&later, &o);
	finish(&s);
	expect_host(later.host, "OK 2147483649\n");
	finish(&later);
}

#define USED_RAM (4u << 20)

/* The old process ends; a new one has the guest's memory and goes on. */
static void move_guest(struct kvmb_tlv_out *saved)
{
	u64 next_gfn = box.f.next_gfn;
	u32 next_gpadl = box.f.next_gpadl;
	u8 *ram = malloc(USED_RAM);
	struct kvmb_tlv_error error = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;

	assert_true(ram && next_gfn << 12 <= USED_RAM);
	memcpy(ram, box.f.view, USED_RAM);
	sock_host_end();
	sock_host_begin();
	memcpy(box.f.view, ram, USED_RAM);
	free(ram);
	box.f.next_gfn = next_gfn;
	box.f.next_gpadl = next_gpadl;
	kvmb_bus_begin_load(box.f.bus);
	assert_int_equal(kvmb_tlv_next(saved->buf, saved->len, &pos, &t, &error), 0);
	if (kvmb_bus_load(box.f.bus, &t))
		fail_msg("%s", error.text);
	kvmb_bus_resume(box.f.bus);
	fake_run(&box.f);
}

static void guest_that_moves_hears_of_the_end(void **state)
{
	struct kvmb_tlv_out saved = { 0 };
	struct sock_conn a, b, c = { 0 }, d;
	const struct kvmb_wire_relid *m;
	struct kvmb_wire_offer o;
	int theirs, num = 0;

	(void)state;
	host_connects(&a, 9);
	guest_connects(&b, 70000, 1);
	sock_pair(&c.host, &theirs);
	say(c.host, "CONNECT 7\n");
	kvmb_hvsock_take(box.h, theirs);
	fake_run(&box.f);
	o = next_offer(); /* not opened */
	c.relid = le32_to_cpu(o.relid);
	rest_bus();
	kvmb_bus_save(box.f.bus, &saved);
	assert_false(saved.failed);
	kvmb_bus_resume(box.f.bus); /* it may go on here after all */
	fake_run(&box.f);
	assert_null(fake_next(&box.f, KVMB_MSG_RESCIND));
	assert_int_equal(guest_sends(&a, "x", 1), 0);
	expect_host(a.host, "x");

	fake_unmap(&a.c);
	fake_unmap(&b.c);
	a.is_open = b.is_open = false;
	move_guest(&saved);
	kvmb_tlv_out_fini(&saved);
	expect_host_end(a.host);
	expect_host_end(b.host);
	expect_host_end(c.host);
	while ((m = fake_next(&box.f, KVMB_MSG_RESCIND)))
		num += le32_to_cpu(m->relid) == a.relid || le32_to_cpu(m->relid) == b.relid ||
		       le32_to_cpu(m->relid) == c.relid;
	assert_int_equal(num, 3);
	guest_releases(&a);
	guest_releases(&b);
	guest_releases(&c);
	hang_up(&a);
	hang_up(&b);
	hang_up(&c);
	host_connects(&d, 9); /* and new ones may be made */
	assert_int_equal(d.relid, a.relid);
	finish(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(host_connects_and_both_talk),
		T(guest_connects_and_both_talk),
		T(greeting_that_is_none_is_hung_up_on),
		T(guest_where_nobody_listens_has_5_s),
		T(host_where_nobody_listens_refuses),
		T(silo_of_a_guest_is_ignored),
		T(old_guest_has_no_sockets),
		T(guest_that_asks_twice_has_one),
		T(ends_are_used_again_when_released),
		T(each_way_has_its_own_end),
		T(guest_that_closes_ends_it),
		T(guest_that_is_reset_loses_all),
		T(guest_that_lies_loses_that_connection),
		T(host_that_does_not_read_stalls_itself_alone),
		T(guest_that_does_not_read_stalls_itself_alone),
		T(guest_that_never_reads_keeps_nothing_for_ever),
		T(hundred_at_once),
		T(hundreds_one_after_the_other_leave_nothing),
		T(more_than_the_limit_are_refused),
		T(much_arrives_as_it_was),
		T(bus_that_stands_moves_nothing),
		T(guest_that_moves_hears_of_the_end),
	};

	return cmocka_run_group_tests_name("host-vsp/hvsock/hvsock", tests, NULL, NULL);
}
