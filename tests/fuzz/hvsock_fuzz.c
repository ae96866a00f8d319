// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets: a guest that connects, opens, sends anything, spoils its rings, closes, releases and is
 * reset in any order, while clients of the host greet with anything, talk, end and hang up, and the
 * bus is paused and saved.
 */
#include "tests/fuzz/fuzz_bus.h"
#include "tests/harness/socket_guest.h"

#define CONNS 6

static const u8 *in;
static size_t left;
static bool paused, stands;
static struct sock_conn conns[CONNS]; /* host: -1 = nobody; relid: 0 = not offered */
static u32 asked;		      /* of box.dialled: answered */
static u32 heard_msgs;		      /* of box.f.log */

static u8 byte(void)
{
	return left ? left--, *in++ : 0;
}

static void on_stands(void *arg)
{
	(void)arg;
	stands = true;
}

/* Some of the input as it is. */
static const u8 *some(u32 *n)
{
	size_t most = byte();
	const u8 *p = in;

	*n = (u32)KVMB_MIN(most, left);
	in += *n;
	left -= *n;
	return p;
}

/* ---- the host ---- */

static void new_client(struct sock_conn *s, u8 how)
{
	char line[32];
	const u8 *p;
	int theirs;
	u32 n;

	if (s->host >= 0)
		close(s->host);
	sock_pair(&s->host, &theirs);
	if (how & 1) {
		snprintf(line, sizeof(line), "CONNECT %u\n", byte());
		kvmb_assert(write(s->host, line, strlen(line)) > 0);
	} else {
		p = some(&n);
		if (write(s->host, p, n) < 0)
			abort();
	}
	kvmb_hvsock_take(box.h, theirs);
}

static void answer_dial(struct sock_conn *s, u8 how)
{
	int ours = -1, theirs = -1;

	if (how & 1)
		sock_pair(&ours, &theirs);
	if (kvmb_hvsock_dialled(box.h, how & 1 ? 0 : -ENOENT, theirs)) {
		if (++asked > box.num_dialled)
			abort();
	} else if (asked != box.num_dialled) {
		abort();
	}
	if (ours >= 0 && s->host >= 0)
		close(s->host);
	if (ours >= 0)
		s->host = ours;
}

static void act_client(struct sock_conn *s, u8 how)
{
	static u8 block[65536];
	const u8 *p;
	u32 n;

	if (s->host < 0)
		return;
	switch (how & 7) {
	case 0:
		p = some(&n);
		if (write(s->host, p, n) < 0)
			return;
		break;
	case 1:
		if (write(s->host, block, sizeof(block)) < 0)
			return;
		break;
	case 2:
		shutdown(s->host, SHUT_WR);
		break;
	case 3:
		shutdown(s->host, SHUT_RD);
		break;
	case 4:
		close(s->host);
		s->host = -1;
		break;
	default:
		if (read(s->host, block, sizeof(block)) < 0)
			return;
	}
}

/* ---- the guest ---- */

static struct sock_conn *conn_of(u32 relid)
{
	u32 i;

	for (i = 0; i < CONNS && conns[i].relid != relid; i++)
		;
	return i < CONNS ? &conns[i] : NULL;
}

/* What is rescinded is not opened any more: nobody would answer. */
static void read_messages(void)
{
	const struct fake_msg *m;
	struct kvmb_wire_offer o;
	struct kvmb_wire_relid r;
	struct sock_conn *s;

	for (; heard_msgs < box.f.num_msgs; heard_msgs++) {
		m = &box.f.log[heard_msgs % FAKE_LOG];
		memcpy(&o, m->buf, sizeof(o));
		memcpy(&r, m->buf, sizeof(r));
		if (le32_to_cpu(o.h.type) == KVMB_MSG_OFFER) {
			s = conn_of(0);
			if (s)
				s->relid = le32_to_cpu(o.relid);
		} else if (le32_to_cpu(o.h.type) == KVMB_MSG_RESCIND) {
			s = conn_of(le32_to_cpu(r.relid));
			if (s && !s->is_open) {
				guest_releases(s);
				s->relid = 0;
			}
		}
	}
}

static void say_anything(struct sock_conn *s, u8 how)
{
	static u8 block[KVMB_HVSOCK_MTU];
	u32 n;
	const u8 *p;

	if (how & 1) {
		p = some(&n);
		guest_sends(s, p, n);
	} else if (how & 2) {
		guest_sends(s, block, (u32)byte() * 64);
	} else {
		p = some(&n);
		guest_sends_raw(s, how & 4 ? KVMB_PKT_INBAND : how >> 4, p, n);
	}
}

static void spoil_ring(struct sock_conn *s, u8 how)
{
	struct kvmb_wire_ring_ctrl *c = how & 1 ? __unshare(s->c.tx.ctrl) : __unshare(s->c.rx.ctrl);
	u32 v = (u32)byte() << (how & 14);

	__atomic_store_n(how & 16 ? &c->write_index :
			 how & 32 ? &c->read_index :
				    &c->pending_send_sz,
			 cpu_to_le32(v), __ATOMIC_RELAXED);
	fake_signal(&box.f, &s->c);
}

static void forget_all(void)
{
	u32 i;

	for (i = 0; i < CONNS; i++) {
		if (conns[i].is_open)
			fake_unmap(&conns[i].c);
		conns[i].is_open = false;
		conns[i].relid = 0;
	}
}

static void connect_anew(void)
{
	struct kvmb_wire_offer o[1];

	if (paused || box.f.next_gfn > 6000) /* pages of rings are not used again */
		return;
	forget_all();
	fake_connect(&box.f, KVMB_VERSION_NEWEST, o, 1);
}

static void act_guest(struct sock_conn *s, u8 how)
{
	struct kvmb_wire_relid m = { .relid = cpu_to_le32(s->relid) };
	struct kvmb_pkt pkt;

	if (!s->relid)
		return;
	if (!s->is_open) {
		if (!paused && box.f.next_gfn < 7000) {
			if (!fake_open(&box.f, &s->c, s->relid, 2 + (how & 7)))
				s->is_open = true;
			else if (s->c.map_tx.map)
				fake_unmap(&s->c);
		}
		return;
	}
	switch (how >> 4 & 7) {
	case 0:
		fake_post(&box.f, KVMB_MSG_CLOSE, &m, sizeof(m));
		break;
	case 1:
		guest_releases(s);
		s->relid = 0;
		break;
	case 2:
		spoil_ring(s, byte());
		break;
	case 3:
		fake_signal(&box.f, &s->c);
		break;
	case 4:
	case 5:
		if (!kvmb_ring_peek(&s->c.rx, heard, sizeof(heard), &pkt)) {
			kvmb_ring_skip(&s->c.rx, &pkt);
			if (kvmb_ring_release(&s->c.rx) > 0)
				fake_signal(&box.f, &s->c);
		}
		break;
	default:
		say_anything(s, byte());
	}
}

/* ---- the bus ---- */

static void pause_or_go_on(u8 how)
{
	struct kvmb_tlv_out o = { 0 };
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	if (paused) {
		kvmb_bus_resume(box.f.bus);
		paused = false;
		return;
	}
	paused = true;
	stands = false;
	kvmb_bus_pause(box.f.bus, on_stands, NULL);
	if (!(how & 1))
		return;
	while (!stands && kvmb_now_ms() < until)
		kvmb_loop_once(box.f.loop, 5);
	if (!stands)
		abort();
	kvmb_bus_save(box.f.bus, &o);
	kvmb_tlv_out_fini(&o);
}

static void check_info(void *arg, const struct kvmb_hvsock_info *i)
{
	u32 *num = arg;

	if (++*num > KVMB_HVSOCK_MAX || i->port > KVMB_HVSOCK_MAX_LISTEN)
		abort();
}

static void act(void)
{
	u32 num = 0;

	u8 what = byte(), how = byte();
	struct sock_conn *s = &conns[what % CONNS];

	switch (what / CONNS % 10) {
	case 0:
		new_client(s, how);
		break;
	case 1:
		if (!paused && box.num_dialled < ARRAY_SIZE(box.dialled))
			guest_asks(70000u + how % 8, how & 128 ? 0x80000000u : how);
		break;
	case 2:
		answer_dial(s, how);
		break;
	case 3:
		pause_or_go_on(how);
		break;
	case 4:
		if (how > 240)
			connect_anew();
		break;
	case 5:
	case 6:
		act_client(s, how);
		break;
	default:
		act_guest(s, how);
	}
	fake_run(&box.f);
	read_messages();
	kvmb_hvsock_for_each(box.h, check_info, &num);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);
int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct kvmb_wire_offer o[1];
	u32 i;

	fuzz_quiet();
	in = data;
	left = len;
	paused = false;
	asked = heard_msgs = 0;
	memset(conns, 0, sizeof(conns));
	for (i = 0; i < CONNS; i++)
		conns[i].host = -1;
	sock_host_begin();
	fake_connect(&box.f, KVMB_VERSION_NEWEST, o, 1);
	while (left)
		act();
	if (paused)
		kvmb_bus_resume(box.f.bus);
	forget_all();
	sock_host_end();
	for (i = 0; i < CONNS; i++) {
		if (conns[i].host >= 0)
			close(conns[i].host);
	}
	return 0;
}
