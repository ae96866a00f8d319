// SPDX-License-Identifier: GPL-2.0-only
/* A NIC with an emulated twin: when the network changes hands, and what is said to it then. */
#include "host-vsp/net/net.h"

#include <sys/eventfd.h>

#include "host-vsp/bus/bus_state.h"
#include "host-vsp/net/net_state.h"
#include "tests/harness/net_wire.h"
#include "tests/harness/tlv_edit.h"

/* ---- a backend that is played: who is in it must have it ---- */

static struct {
	struct kvmb_net_backend b;
	u32 sent, received; /* atomic */
	bool csum;	    /* atomic: what set_offload() said last */
	u8 address[6];	    /* what set_mac() said last; the primary's lock */
	u32 queues;	    /* atomic: bit per queue that is attached */
	int says;	    /* of send() */
	int revive_says;
	u32 revived;
	void (*news)(void *arg, enum kvmb_net_backend_news news);
	void *arg;
} played;

static struct {	  /* the emulated NIC */
	bool has; /* atomic */
	u32 uses, announced;
} twin;

static u32 queues(void)
{
	return __atomic_load_n(&played.queues, __ATOMIC_ACQUIRE);
}

static bool csum(void)
{
	return __atomic_load_n(&played.csum, __ATOMIC_ACQUIRE);
}

static bool twin_has(void)
{
	return __atomic_load_n(&twin.has, __ATOMIC_ACQUIRE);
}

static void is_ours(void)
{
	assert_false(twin_has());
	assert_int_equal(kvmb_net_path(&played.b), KVMB_NET_SYNTHETIC);
}

static int played_send(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
		       struct iovec *iov, int num, size_t len)
{
	(void)b, (void)vnet, (void)iov, (void)num, (void)len;
	is_ours();
	assert_true(!q || queues() >> q & 1);
	if (!__atomic_load_n(&played.says, __ATOMIC_ACQUIRE))
		__atomic_fetch_add(&played.sent, 1, __ATOMIC_RELEASE);
	return __atomic_load_n(&played.says, __ATOMIC_ACQUIRE);
}

static int played_commit(struct kvmb_net_backend *b, unsigned int q)
{
	(void)b, (void)q;
	is_ours();
	return 0;
}

static ssize_t played_recv(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
			   struct iovec *iov, int num)
{
	(void)b, (void)q, (void)vnet, (void)iov, (void)num;
	is_ours();
	__atomic_fetch_add(&played.received, 1, __ATOMIC_RELEASE);
	return -EAGAIN;
}

static void played_set_queue(struct kvmb_net_backend *b, unsigned int q, bool on)
{
	(void)b;
	is_ours();
	if (on)
		__atomic_fetch_or(&played.queues, 1u << q, __ATOMIC_ACQ_REL);
	else
		__atomic_fetch_and(&played.queues, ~(1u << q), __ATOMIC_ACQ_REL);
}

static void played_set_offload(struct kvmb_net_backend *b, bool csum, bool tso4, bool tso6)
{
	(void)b, (void)tso4, (void)tso6;
	is_ours();
	__atomic_store_n(&played.csum, csum, __ATOMIC_RELEASE);
}

static int played_set_mac(struct kvmb_net_backend *b, const u8 *address)
{
	(void)b;
	is_ours();
	memcpy(played.address, address, 6);
	return 0;
}

static int played_revive(struct kvmb_net_backend *b)
{
	(void)b;
	assert_false(twin_has());
	played.revived++;
	return played.revive_says;
}

static void played_attach(struct kvmb_net_backend *b,
			  void (*news)(void *arg, enum kvmb_net_backend_news news), void *arg)
{
	(void)b;
	played.news = news;
	played.arg = arg;
}

static void played_destroy(struct kvmb_net_backend *b)
{
	u32 i;

	assert_false(twin_has());
	for (i = 0; i < b->num_queues; i++)
		close(b->fd[i]);
}

static const struct kvmb_net_backend_ops played_ops = {
	.kind = "played",
	.send = played_send,
	.commit = played_commit,
	.recv = played_recv,
	.set_queue = played_set_queue,
	.set_offload = played_set_offload,
	.set_mac = played_set_mac,
	.revive = played_revive,
	.attach = played_attach,
	.destroy = played_destroy,
};

static struct kvmb_net_backend *play(void)
{
	u32 i;

	memset(&played, 0, sizeof(played));
	memset(&twin, 0, sizeof(twin));
	memcpy(played.address, mac, 6);
	played.b =
		(struct kvmb_net_backend){ .ops = &played_ops, .vnet = true, .num_queues = QUEUES };
	for (i = 0; i < QUEUES; i++)
		played.b.fd[i] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK); /* readable for ever */
	return &played.b;
}

/* ---- the twin ---- */

static void use(void *arg)
{
	assert_ptr_equal(arg, &twin);
	assert_int_equal(kvmb_net_path(&played.b), KVMB_NET_EMULATED);
	assert_false(csum()); /* its guest knows no offloads, and one queue */
	assert_int_equal(queues(), 0);
	assert_memory_equal(played.address, mac, 6);
	assert_false(__atomic_exchange_n(&twin.has, true, __ATOMIC_ACQ_REL));
	twin.uses++;
}

static void let_go(void *arg)
{
	assert_ptr_equal(arg, &twin);
	__atomic_store_n(&twin.has, false, __ATOMIC_RELEASE);
}

static void announce(void *arg, const void *frame, size_t len)
{
	assert_ptr_equal(arg, &twin);
	assert_int_equal(len, 60);
	assert_memory_equal((const u8 *)frame + 6, mac, 6);
	twin.announced++;
}

static const struct kvmb_net_twin twin_ops = { .use = use, .let_go = let_go, .announce = announce };

static void begin(bool spoof)
{
	struct kvmb_net_spec spec = { .mtu = 1500, .max_queues = QUEUES, .mac_spoof = spoof };

	memcpy(spec.mac, mac, sizeof(mac));
	guest_caps = guest_filter = 0;
	guest_mtu = 1500;
	fake_init(&f, KVMB_VERSION_NEWEST);
	nic = kvmb_net_create(&spec, play(), f.loop);
	kvmb_net_set_twin(nic, &twin_ops, &twin);
	open_box();
}

static int setup_twin(void **state)
{
	(void)state;
	begin(false);
	return 0;
}

static int teardown_twin(void **state)
{
	u32 i;

	(void)state;
	for (i = 1; i < MAX_SUBS; i++) {
		fake_unmap(&sub[i]);
		memset(&sub[i], 0, sizeof(sub[i]));
	}
	fake_unmap(&c);
	fake_rest(&f);
	kvmb_net_set_twin(nic, NULL, NULL);
	kvmb_net_destroy(nic);
	fake_fini(&f);
	return 0;
}

static void set_filter(u32 filter)
{
	set_oid(KVMB_OID_GEN_CURRENT_PACKET_FILTER, &filter, sizeof(filter));
}

static u32 sent(void)
{
	return __atomic_load_n(&played.sent, __ATOMIC_ACQUIRE);
}

static void send_one(struct fake_chan *ch)
{
	u8 frame[200];
	u32 len = tcp4(frame, other, mac, 100);

	post(ch, message(NO_PPI, 0, frame, len));
	assert_int_equal(status_on(ch), KVMB_NVSP_STAT_SUCCESS);
}

static void close_subs(void)
{
	u32 i;

	for (i = MAX_SUBS - 1; i; i--) {
		if (sub[i].pages)
			fake_close(&f, &sub[i]);
		memset(&sub[i], 0, sizeof(sub[i]));
	}
}

/* The driver is unloaded and loaded: no VMBus message but CLOSE and OPEN. */
static void close_all(void)
{
	close_subs();
	fake_close(&f, &c);
}

static void open_again(void)
{
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), ring_pages), 0);
	assert_int_equal(fake_gpadl(&f, c.relid, recv_gfn, recv_pages, &recv_gpadl), 0);
	assert_int_equal(fake_gpadl(&f, c.relid, send_gfn, SEND_PAGES, &send_gpadl), 0);
}

/* ---- tests ---- */

static void a_driver_that_is_not_up_takes_nothing(void **state)
{
	u32 status, len;

	(void)state;
	assert_true(twin_has());
	bring_up(); /* as Linux at probe: RNDIS is initialised, there is no filter */
	assert_true(twin_has());
	assert_int_equal(*(u32 *)(void *)query(KVMB_OID_GEN_MEDIA_CONNECT_STATUS, 4, &status, &len),
			 0);
	send_one(&c);
	assert_int_equal(sent(), 0);
	assert_int_equal(counts().tx_dropped[KVMB_DROP_LINK], 1);
	assert_int_equal(__atomic_load_n(&played.received, __ATOMIC_ACQUIRE), 0);
	assert_false(csum());
}

static void a_filter_takes_the_network(void **state)
{
	struct kvmb_net_info i;

	(void)state;
	bring_up();
	kvmb_net_get_info(nic, &i);
	assert_true(i.emulated && i.offered);
	set_filter(0x0d);
	assert_false(twin_has());
	assert_true(csum());
	send_one(&c);
	assert_int_equal(sent(), 1);
	set_filter(0); /* the interface is down; its driver is there */
	assert_false(twin_has());
	kvmb_net_get_info(nic, &i);
	assert_false(i.emulated);
}

static void a_closed_channel_gives_it_back(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i < 3; i++) {
		bring_up();
		set_filter(0x0d);
		send_one(&c);
		assert_int_equal(twin.uses, i + 1);
		close_all();
		fake_run(&f);
		assert_true(twin_has());
		assert_int_equal(twin.uses, i + 2);
		open_again();
	}
	assert_int_equal(sent(), 3);
}

static void switch_data_path(u32 path)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SWITCH_DATA_PATH) };
	struct kvmb_pkt pkt;

	m.u.data_path.path = cpu_to_le32(path);
	fake_send(&f, &c, KVMB_PKT_INBAND, 1, ++next_id, NULL, 0, &m, sizeof(m));
	assert_int_equal(recv_pkt(&pkt), 0);
	assert_int_equal(pkt.trans_id, next_id);
}

/* Linux up to 2018 finds a VF by its address: docs/protocol.md#6.17. */
static void a_guest_may_take_the_twin_for_a_vf(void **state)
{
	(void)state;
	bring_up();
	switch_data_path(KVMB_NVSP_PATH_VF);
	set_filter(0x0d);
	assert_true(twin_has());
	switch_data_path(0);
	assert_false(twin_has());
	send_one(&c);
	switch_data_path(KVMB_NVSP_PATH_VF);
	assert_true(twin_has());
	set_filter(0x0d);
	assert_true(twin_has());
	send_one(&c);
	assert_int_equal(sent(), 1);
	close_all();
	fake_run(&f);
	open_again();
	bring_up();
	set_filter(0x0d); /* a driver that begins anew has switched nothing */
	assert_false(twin_has());
}

static void a_reset_gives_it_back(void **state)
{
	(void)state;
	bring_up();
	set_filter(0x0d);
	fake_unmap(&c);
	fake_rest(&f); /* as at a reset: the guest closes nothing */
	assert_true(twin_has());
}

static void queues_come_and_go_with_it(void **state)
{
	u32 i;

	(void)state;
	bring_up();
	assert_int_equal(open_subs(100), QUEUES - 1);
	assert_int_equal(queues(), 0);
	set_filter(0x0d);
	assert_int_equal(queues(), 0xe);
	for (i = 1; i < QUEUES; i++)
		send_one(&sub[i]);
	assert_int_equal(sent(), QUEUES - 1);
	close_all();
	fake_run(&f);
	assert_true(twin_has());
	open_again();
	bring_up();
	set_filter(0x0d);
	assert_int_equal(open_subs(1), 1); /* this time they come later */
	assert_int_equal(queues(), 2);
}

/* A sub-channel closes while the primary's worker gives the network to the twin. */
static void queue_that_closes_meanwhile_is_not_left_behind(void **state)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SWITCH_DATA_PATH) };
	struct kvmb_pkt pkt;
	u64 gfn = f.next_gfn;
	u32 i, round;

	(void)state;
	for (round = 0; round < 60; round++) {
		bring_up();
		assert_int_equal(open_subs(100), QUEUES - 1);
		set_filter(0x0d);
		assert_int_equal(queues(), 0xe);
		for (i = 0; i < 8; i++) { /* to and fro */
			m.u.data_path.path = cpu_to_le32(i & 1 ? 0 : KVMB_NVSP_PATH_VF);
			fake_send(&f, &c, KVMB_PKT_INBAND, 1, ++next_id, NULL, 0, &m, sizeof(m));
		}
		close_subs();
		while (i--)
			assert_int_equal(recv_pkt(&pkt), 0);
		switch_data_path(KVMB_NVSP_PATH_VF);
		assert_true(twin_has());
		assert_int_equal(queues(), 0);
		close_all();
		fake_run(&f);
		f.next_gfn = gfn; /* of rings that are closed */
		open_again();
	}
}

static bool address_is(const u8 *address)
{
	bool is;

	net_slot_lock(&nic->slots[0]);
	is = !memcmp(played.address, address, 6);
	net_slot_unlock(&nic->slots[0]);
	return is;
}

static void an_address_goes_with_it(void **state)
{
	static const u8 wanted[6] = { 2, 0, 0, 0, 0, 7 };
	struct {
		struct kvmb_wire_rndis_config c;
		u8 name[28], value[24];
	} w = { 0 };
	static const char name[] = "NetworkAddress", value[] = "020000000007";
	u32 i;

	(void)state;
	teardown_twin(NULL);
	begin(true);
	w.c.name_offset = cpu_to_le32(sizeof(w.c));
	w.c.name_len = cpu_to_le32(28);
	w.c.type = cpu_to_le32(2);
	w.c.value_offset = cpu_to_le32(sizeof(w.c) + 28);
	w.c.value_len = cpu_to_le32(24);
	for (i = 0; i < 14; i++)
		w.name[2 * i] = (u8)name[i];
	for (i = 0; i < 12; i++)
		w.value[2 * i] = (u8)value[i];
	bring_up();
	set_oid(KVMB_OID_GEN_RNDIS_CONFIG_PARAMETER, &w, sizeof(w));
	assert_true(address_is(mac));
	set_filter(0x0d);
	assert_true(address_is(wanted));
	close_all();
	fake_run(&f);
	assert_true(twin_has()); /* use() has looked at the address */
}

/* ---- a backend that ends ---- */

static bool link_is_told(void)
{
	const struct net_queue *q;
	bool told;

	net_slot_lock(&nic->slots[0]);
	q = nic->slots[0].q;
	told = nic->state != NET_UP ||
	       (!q->reply_len && q->told_link == net_link_up(nic) &&
		(!q->told_link ||
		 q->told_epoch == __atomic_load_n(&nic->backend_epoch, __ATOMIC_ACQUIRE)));
	net_slot_unlock(&nic->slots[0]);
	return told;
}

/* What the guest hears of its link is none of these tests. */
static void skip_news(void)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	if (!nic->slots[0].q)
		return;
	while (!link_is_told() && kvmb_now_ms() < until)
		skip_all(&c);
	assert_true(link_is_told());
	skip_all(&c);
}

static void wait_for_revival(u32 times)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	while (played.revived < times && kvmb_now_ms() < until)
		kvmb_loop_once(f.loop, 1);
	assert_int_equal(played.revived, times);
}

static void a_network_that_ended_comes_back_to_the_twin(void **state)
{
	(void)state;
	bring_up();
	let_go(&twin); /* as it does when it finds that */
	kvmb_net_twin_lost(nic);
	wait_for_revival(1);
	assert_true(twin_has());
	skip_news();
	played.revive_says = -EINPROGRESS;
	played.news(played.arg, KVMB_BACKEND_ENDED);
	assert_false(twin_has());
	skip_news();
	set_filter(0x0d); /* the guest's driver begins meanwhile */
	wait_for_revival(2);
	played.revive_says = 0;
	played.news(played.arg, KVMB_BACKEND_READY);
	assert_false(twin_has());
	skip_news();
	send_one(&c);
	assert_int_equal(sent(), 1);
}

static void a_network_that_ended_is_not_given_back_before_it_is_there(void **state)
{
	(void)state;
	bring_up();
	set_filter(0x0d);
	played.revive_says = -EINPROGRESS;
	played.news(played.arg, KVMB_BACKEND_ENDED);
	wait_for_revival(1);
	close_all();
	fake_run(&f);
	assert_false(twin_has());
	assert_int_equal(kvmb_net_path(&played.b), KVMB_NET_EMULATED);
	played.revive_says = 0;
	played.news(played.arg, KVMB_BACKEND_READY);
	assert_true(twin_has());
}

static void the_network_hears_of_the_twin(void **state)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;
	static const struct kvmb_net_backend_ops a_tap = { .kind = "tap",
							   .send = played_send,
							   .commit = played_commit,
							   .recv = played_recv,
							   .destroy = played_destroy };

	(void)state;
	played.b.ops = &a_tap; /* behind a passt there is no switch */
	kvmb_net_announce(nic);
	while (twin.announced < 5 && kvmb_now_ms() < until)
		kvmb_loop_once(f.loop, 10);
	assert_int_equal(twin.announced, 5);
	assert_int_equal(sent(), 0);
}

/* ---- saved VMs ---- */

static void stood(void *arg)
{
	*(bool *)arg = true;
}

static struct kvmb_tlv_out saved;

static void save_nic(void)
{
	bool stands = false;

	kvmb_bus_pause(f.bus, stood, &stands);
	while (!stands)
		kvmb_loop_once(f.loop, 1);
	kvmb_tlv_out_fini(&saved);
	saved = (struct kvmb_tlv_out){ 0 };
	kvmb_net_save(nic, &saved);
	kvmb_bus_resume(f.bus);
}

/* Into a new NIC, with its twin. Return: as kvmb_net_load(). */
static int load_nic(bool owner, char *why)
{
	struct kvmb_net_spec spec = nic->spec;
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;
	int err;

	teardown_twin(NULL);
	fake_init(&f, KVMB_VERSION_NEWEST);
	nic = kvmb_net_create(&spec, play(), f.loop);
	kvmb_net_set_twin(nic, &twin_ops, &twin);
	kvmb_net_offer(nic, f.bus);
	if (owner)
		kvmb_net_load_owner(nic);
	assert_int_equal(kvmb_tlv_next(saved.buf, saved.len, &pos, &t, &e), 0);
	err = kvmb_net_load(nic, &t);
	strcpy(why, e.text);
	return err;
}

static void a_saved_nic_has_the_network_or_not(void **state)
{
	char why[200];

	(void)state;
	save_nic();
	assert_int_equal(load_nic(false, why), 0);
	assert_true(twin_has());
	assert_int_equal(load_nic(true, why), -EPROTO);
	assert_non_null(strstr(why, "it has the network, and no driver"));
	teardown_twin(NULL);
	begin(false);
	bring_up();
	set_filter(0x0d);
	save_nic();
	assert_int_equal(load_nic(true, why), 0);
	assert_false(twin_has());
	assert_true(csum());
	teardown_twin(NULL);
	begin(false);
	bring_up();
	set_filter(0x0d);
	switch_data_path(KVMB_NVSP_PATH_VF);
	save_nic();
	assert_int_equal(load_nic(false, why), 0);
	assert_true(nic->by_twin);
	kvmb_tlv_out_fini(&saved);
	saved = (struct kvmb_tlv_out){ 0 };
}

/* ---- whatever comes in whatever order: who is in the backend asserts that he may ---- */

static void no_order_gives_the_network_two_users(void **state)
{
	u32 seed = 1, i, mine = 0, others = 0, wanted, ends = 0;
	bool up = false, open = true, down = false;

	(void)state;
	for (i = 0; i < 1500; i++) {
		seed = seed * 1103515245u + 12345;
		switch (seed >> 16 & 7) {
		case 0:
			if (open && !up)
				bring_up();
			up |= open;
			break;
		case 1:
			if (up)
				set_filter(seed >> 20 & 1 ? 0x0d : 0);
			break;
		case 2:
			if (open)
				close_all();
			open = up = false;
			break;
		case 3:
			if (!open)
				open_again();
			open = true;
			break;
		case 4:
			if (up)
				send_one(&c);
			break;
		case 5:
			if (down || seed >> 20 & 63 || ++ends > 3) /* each takes longer */
				break;
			played.revive_says = -EINPROGRESS;
			played.news(played.arg, KVMB_BACKEND_ENDED);
			down = true;
			skip_news();
			break;
		case 6:
			if (!down)
				break;
			wanted = played.revived + 1;
			wait_for_revival(wanted);
			played.revive_says = 0;
			played.news(played.arg, KVMB_BACKEND_READY);
			down = false;
			skip_news();
			break;
		default:
			kvmb_loop_once(f.loop, 0);
		}
		if (twin_has())
			others++;
		else
			mine += kvmb_net_path(&played.b) == KVMB_NET_SYNTHETIC;
	}
	print_message("%u and %u turns\n", mine, others);
	assert_true(mine > 100 && others > 100);
}

int main(void)
{
#define TWIN(name) cmocka_unit_test_setup_teardown(name, setup_twin, teardown_twin)
	const struct CMUnitTest tests[] = {
		TWIN(a_driver_that_is_not_up_takes_nothing),
		TWIN(a_filter_takes_the_network),
		TWIN(a_closed_channel_gives_it_back),
		TWIN(a_guest_may_take_the_twin_for_a_vf),
		TWIN(a_reset_gives_it_back),
		TWIN(queues_come_and_go_with_it),
		TWIN(queue_that_closes_meanwhile_is_not_left_behind),
		TWIN(an_address_goes_with_it),
		TWIN(a_network_that_ended_comes_back_to_the_twin),
		TWIN(a_network_that_ended_is_not_given_back_before_it_is_there),
		TWIN(the_network_hears_of_the_twin),
		TWIN(a_saved_nic_has_the_network_or_not),
		TWIN(no_order_gives_the_network_two_users),
	};

	return cmocka_run_group_tests_name("net_twin", tests, NULL, NULL);
}
