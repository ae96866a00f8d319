// SPDX-License-Identifier: GPL-2.0-only
/* netvsp's queues, offloads out, link, addresses, RSS, limits and removal. */
#include "host-vsp/net/net.h"

#include "tests/harness/net_wire.h"

static int setup_rate(void **state)
{
	(void)state;
	make((struct kvmb_net_spec){ .mtu = 1500, .max_queues = 1, .rate = 1000 });
	return 0;
}

static int setup_spoof(void **state)
{
	(void)state;
	make((struct kvmb_net_spec){ .mtu = 9000, .max_queues = 1, .mac_spoof = true });
	return 0;
}

static void net_subs_carry_frames_of_their_queue(void **state)
{
	struct virtio_net_hdr vnet;
	static struct got g;
	u8 frame[2000], buf[2000];
	u32 i, len;

	(void)state;
	bring_up();
	assert_int_equal(open_subs(100), QUEUES - 1);
	len = tcp4(frame, other, mac, 100);
	for (i = 1; i < QUEUES; i++) {
		frame[30] = (u8)i;
		post(&sub[i], message(NO_PPI, 0, frame, len));
		assert_int_equal(left(i, &vnet, buf, sizeof(buf)), len);
		assert_memory_equal(buf, frame, len);
		assert_int_equal(status_on(&sub[i]), KVMB_NVSP_STAT_SUCCESS);
	}
	len = tcp4(frame, mac, other, 200);
	for (i = 1; i < QUEUES; i++) {
		frame[30] = (u8)i;
		arrive(i, &plain, frame, len);
		assert_true(frame_on(&sub[i], &g));
		assert_int_equal(g.len, len);
		assert_memory_equal(g.bytes, frame, len);
	}
}

static void net_subs_are_granted_once_and_take_no_requests(void **state)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_REVOKE_RECV_BUF) };
	u8 frame[200];
	u32 len;
	static struct got g;

	(void)state;
	bring_up();
	assert_int_equal(open_subs(2), 2);
	assert_int_equal(open_subs(1), 0);
	fake_send(&f, &sub[1], KVMB_PKT_INBAND, 0, 1, NULL, 0, &m, sizeof(m));
	len = tcp4(frame, mac, other, 40);
	arrive(0, &plain, frame, len); /* that one channel is lost, the NIC is not */
	assert_true(frame_on(&c, &g));
	arrive(2, &plain, frame, len);
	assert_true(frame_on(&sub[2], &g));
}

static void net_tx_lso_frame_leaves_uncut(void **state)
{
	struct virtio_net_hdr vnet;
	static u8 frame[70000], buf[70000];
	u32 len;

	(void)state;
	bring_up();
	len = tcp4(frame, other, mac, 60000);
	frame[16] = frame[17] = 0; /* NDIS leaves the length blank */
	post(&c, message(KVMB_PPI_LSO, 1448 | 34 << 20 | KVMB_LSO_V2, frame, len));
	assert_int_equal(left(0, &vnet, buf, sizeof(buf)), len);
	assert_int_equal(vnet.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(vnet.gso_size, 1448);
	assert_int_equal(vnet.hdr_len, 54);
	assert_int_equal(vnet.csum_start, 34);
	assert_int_equal(vnet.csum_offset, 16);
	assert_int_equal(buf[16] << 8 | buf[17], 60040);
	assert_memory_equal(buf + 54, frame + 54, 60000);
	assert_int_equal(status_on(&c), KVMB_NVSP_STAT_SUCCESS);
	assert_int_equal(counts().tx_segmented, 1);
}

static void net_tx_offload_lies_are_dropped(void **state)
{
	static const struct { u32 ppi, value; } lies[] = {
		{ KVMB_PPI_LSO, 0 | 34 << 20 | KVMB_LSO_V2 },		       /* MSS 0 */
		{ KVMB_PPI_LSO, 1448 | 34 << 20 },			       /* not version 2 */
		{ KVMB_PPI_LSO, 1448u | 34 << 20 | KVMB_LSO_V2 | KVMB_LSO_IPV6 }, /* it is IPv4 */
		/* TCP header where none is */
		{ KVMB_PPI_LSO, 1448 | 1000 << 20 | KVMB_LSO_V2 },
		{ KVMB_PPI_CHECKSUM, KVMB_TX_CSUM_IPV4 | KVMB_TX_CSUM_TCP | 1000u << 16 },
	};
	static u8 frame[4000];
	u32 i, len = tcp4(frame, other, mac, 3000);

	(void)state;
	bring_up();
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		u64 before = counts().tx_dropped[KVMB_DROP_MALFORMED] +
			     counts().tx_dropped[KVMB_DROP_SIZE];

		post(&c, message(lies[i].ppi, lies[i].value, frame, len));
		status_on(&c);
		assert_int_equal(counts().tx_dropped[KVMB_DROP_MALFORMED] +
					 counts().tx_dropped[KVMB_DROP_SIZE], before + 1);
	}
	assert_int_equal(counts().tx_frames, 0);
}

static void net_foreign_address_is_dropped_both_ways(void **state)
{
	struct virtio_net_hdr vnet;
	u8 frame[200], buf[200];
	static struct got g;
	u32 len;

	(void)state;
	bring_up();
	len = tcp4(frame, other, other, 40);
	post(&c, message(NO_PPI, 0, frame, len));
	status_on(&c);
	assert_int_equal(counts().tx_dropped[KVMB_DROP_SPOOFED], 1);
	arrive(0, &plain, frame, len);	/* to somebody else */
	len = tcp4(frame, mac, other, 40);
	arrive(0, &plain, frame, len);
	assert_true(frame_on(&c, &g));
	assert_int_equal(counts().rx_dropped[KVMB_DROP_FILTERED], 1);
	assert_memory_equal(g.bytes, mac, 6);
	len = tcp4(frame, other, mac, 40);
	post(&c, message(NO_PPI, 0, frame, len));
	status_on(&c);
	assert_int_equal(left(0, &vnet, buf, sizeof(buf)), len); /* the first to get out */
	assert_memory_equal(buf + 6, mac, 6);
}

static u32 indicated(void)
{
	u32 len, *p = (u32 *)(void *)received(KVMB_NVSP_CHANNEL_CONTROL, &len);

	assert_non_null(p);
	assert_int_equal(p[0], KVMB_RNDIS_INDICATE);
	return p[2];
}

static void net_link_change_is_told(void **state)
{
	static struct got g;
	struct kvmb_net_info i;
	u8 frame[200];
	u32 len;

	(void)state;
	bring_up();
	kvmb_net_set_link(nic, false);
	assert_int_equal(indicated(), KVMB_RNDIS_INDICATE_DISCONNECT);
	len = tcp4(frame, other, mac, 40);
	post(&c, message(NO_PPI, 0, frame, len));
	status_on(&c);
	assert_int_equal(counts().tx_dropped[KVMB_DROP_LINK], 1);
	len = tcp4(frame, mac, other, 40);
	arrive(0, &plain, frame, len); /* what comes while the cable is out does not come */
	kvmb_net_set_link(nic, true);
	assert_int_equal(indicated(), KVMB_RNDIS_INDICATE_CONNECT);
	dropped_by(KVMB_DROP_FILTERED, 1);
	len = tcp4(frame, mac, other, 60);
	arrive(0, &plain, frame, len);
	assert_true(frame_on(&c, &g));
	assert_int_equal(g.len, len);
	kvmb_net_get_info(nic, &i);
	assert_true(i.link && i.connected);
}

static void net_backend_gone_pulls_the_cable(void **state)
{
	struct kvmb_net_info i;

	(void)state;
	bring_up();
	shutdown(far[0], SHUT_RDWR);
	close(far[0]);
	post(&c,
	     message(NO_PPI, 0, (const u8[60]){ 2, 0, 0, 0, 0, 9, 0, 0x15, 0x5d, 1, 2, 3 }, 60));
	status_on(&c);
	fake_run(&f);
	kvmb_net_get_info(nic, &i);
	far[0] = dup(far[1]);
	assert_true(counts().tx_dropped[KVMB_DROP_BACKEND] + counts().tx_dropped[KVMB_DROP_LINK] ==
		    1);
}

static void net_mac_spoof_lets_the_guest_change_it(void **state)
{
	static const char digits[] = "0a0b0c0d0e0f";
	u8 cfg[20 + 28 + 24] = { 0 };
	u32 *w = (u32 *)(void *)cfg, i;
	struct kvmb_net_info info;

	(void)state;
	bring_up();
	w[0] = 20;
	w[1] = 28;
	w[2] = 2;
	w[3] = 48;
	w[4] = 24;
	for (i = 0; i < 14; i++)
		cfg[20 + 2 * i] = (u8)"NetworkAddress"[i];
	for (i = 0; i < 12; i++)
		cfg[48 + 2 * i] = (u8)digits[i];
	set_oid(KVMB_OID_GEN_RNDIS_CONFIG_PARAMETER, cfg, sizeof(cfg));
	kvmb_net_get_info(nic, &info);
	assert_memory_equal(info.mac, "\x0a\x0b\x0c\x0d\x0e\x0f", 6);
	assert_int_equal(info.mtu, 9000);
	assert_int_equal(info.guest_mtu, 9000);
}

struct rss { struct kvmb_wire_ndis_rss_params p; u32 table[8]; u8 key[40]; };

static u32 set_rss(const struct rss *r)
{
	u32 *p = rndis(KVMB_RNDIS_SET, 28 + sizeof(*r)), n;

	p[3] = KVMB_OID_GEN_RECEIVE_SCALE_PARAMS;
	p[4] = sizeof(*r);
	p[5] = 20;
	memcpy(p + 7, r, sizeof(*r));
	send_pages(KVMB_NVSP_CHANNEL_CONTROL, 28 + sizeof(*r));
	return ((u32 *)(void *)received(KVMB_NVSP_CHANNEL_CONTROL, &n))[3];
}

static void net_rss_tables_are_checked(void **state)
{
	const struct rss good = {
		.p = { .h = { KVMB_NDIS_RSS_PARAMS, 2,
			      cpu_to_le16(sizeof(struct kvmb_wire_ndis_rss_params)) },
		       .hash_info = cpu_to_le32(0x101),
		       .table_size = cpu_to_le16(32),
		       .table_offset = cpu_to_le32(40),
		       .key_size = cpu_to_le16(40),
		       .key_offset = cpu_to_le32(72) },
		.table = { 0, 1, 2, 3, 0, 1, 2, 3 }
	};
	static const u32 queues[] = { 4, 0xffffffff, 128 };
	static const struct { u16 table_size, key_size; u32 table_offset, key_offset;
	} sizes[] = {
		{ 0, 40, 40, 72 },	    { 12, 40, 40, 72 }, { 1024, 40, 40, 72 },
		{ 32, 0, 40, 72 },	    { 32, 1, 40, 72 },	{ 32, 4096, 40, 72 },
		{ 32, 40, 0xfffffff0, 72 }, { 32, 40, 90, 72 }, { 32, 40, 40, 0xffffffff },
		{ 32, 40, 40, 73 },
	};
	struct kvmb_net_info info;
	struct rss r;
	u32 i;

	(void)state;
	bring_up();
	assert_int_equal(set_rss(&good), 0);
	for (i = 0; i < ARRAY_SIZE(queues); i++) { /* queues there are not */
		r = good;
		r.table[3] = queues[i];
		assert_int_equal(set_rss(&r), KVMB_RNDIS_STATUS_INVALID_DATA);
	}
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		r = good;
		r.p.table_size = cpu_to_le16(sizes[i].table_size);
		r.p.key_size = cpu_to_le16(sizes[i].key_size);
		r.p.table_offset = cpu_to_le32(sizes[i].table_offset);
		r.p.key_offset = cpu_to_le32(sizes[i].key_offset);
		assert_int_equal(set_rss(&r), KVMB_RNDIS_STATUS_INVALID_DATA);
	}
	kvmb_net_get_info(nic, &info);
	assert_true(info.rss); /* the good one stays */
}

static void net_subs_out_of_order_are_refused(void **state)
{
	struct kvmb_wire_nvsp m = { 0 };

	(void)state;
	m.u.subchannel.op = m.u.subchannel.num = cpu_to_le32(1); /* before INIT */
	ask(&m, KVMB_NVSP_SUBCHANNEL);
	assert_int_equal(le32_to_cpu(m.u.subchannel_complete.status), KVMB_NVSP_STAT_FAIL);
	bring_up();
	assert_int_equal(open_subs(0), 0);
	memset(&m, 0, sizeof(m));
	m.u.subchannel.op = cpu_to_le32(2); /* no such operation */
	m.u.subchannel.num = cpu_to_le32(1);
	ask(&m, KVMB_NVSP_SUBCHANNEL);
	assert_int_equal(le32_to_cpu(m.u.subchannel_complete.status), KVMB_NVSP_STAT_FAIL);
	assert_int_equal(open_subs(1000000), QUEUES - 1);
}

static void net_tx_impossible_size_is_dropped(void **state)
{
	static const u32 sizes[] = { 0, 1, 13, 1519, 5000, 60000 };
	static u8 frame[60000];
	u32 i;

	(void)state;
	bring_up();
	tcp4(frame, other, mac, 59000);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		post(&c, message(NO_PPI, 0, frame, sizes[i]));
		status_on(&c);
		assert_int_equal(counts().tx_dropped[KVMB_DROP_SIZE], i + 1);
	}
	assert_int_equal(counts().tx_frames, 0);
}

static void net_before_init_nothing_goes(void **state)
{
	u8 frame[200];
	u32 len = tcp4(frame, other, mac, 40);

	(void)state;
	post(&c, message(NO_PPI, 0, frame, len));
	assert_int_not_equal(status_on(&c), KVMB_NVSP_STAT_SUCCESS);
	rndis(KVMB_RNDIS_INIT, 24)[3] = 1;
	assert_int_equal(send_pages(KVMB_NVSP_CHANNEL_CONTROL, 24), KVMB_NVSP_STAT_INVALID_RNDIS);
	assert_int_equal(counts().tx_frames, 0);
	/* a packet without a message ends the channel, and is no reason for anything worse */
	fake_send(&f, &c, KVMB_PKT_INBAND, 1, ++next_id, NULL, 0, NULL, 0);
}

static void net_rate_holds_frames_back(void **state)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	static u8 frame[1200];
	u32 i, msg;

	(void)state;
	bring_up();
	msg = message(NO_PPI, 0, frame, tcp4(frame, other, mac, 1000));
	memcpy(fake_ptr(&f, send_gfn << 12), fake_ptr(&f, ctl_gfn << 12), msg);
	m.u.rndis.section_size = cpu_to_le32(msg);
	for (i = 0; i < 60; i++)
		assert_int_equal(fake_send(&f, &c, KVMB_PKT_INBAND, 1, ++next_id, NULL, 0, &m,
					   sizeof(m)),
				 0);
	usleep(50000);
	/* all of them would take a minute */
	assert_true(counts().tx_frames >= 1 && counts().tx_frames < 40);
}

static u32 removals;

static void was_removed(void *arg, struct kvmb_net *n)
{
	(void)arg;
	assert_ptr_equal(n, nic);
	removals++;
}

/* Is the news of a pulled cable among what the primary has got? */
static bool told_unplugged(void)
{
	const struct kvmb_wire_xfer_range *r;
	struct kvmb_pkt pkt;
	const u32 *p;
	u32 n;
	u16 id;

	if (recv_pkt(&pkt) || kvmb_pkt_xfer_ranges(&pkt, NET_RX_RANGES, &id, &r, &n))
		return false;
	p = (const u32 *)(const void *)((u8 *)fake_ptr(&f, recv_gfn << 12) +
					le32_to_cpu(r->byte_offset));
	done_with(&c, &pkt);
	return p[0] == KVMB_RNDIS_INDICATE && p[2] == KVMB_RNDIS_INDICATE_DISCONNECT;
}

static bool status_of_last(struct fake_chan *ch)
{
	struct kvmb_pkt pkt;

	while (!recv_on(ch, &pkt)) {
		if (pkt.type == KVMB_PKT_COMPLETION && pkt.trans_id == next_id)
			return true;
	}
	return false;
}

static void net_remove_under_traffic(void **state)
{
	struct kvmb_wire_relid m;
	u8 frame[2000];
	u32 len, i, k;
	bool told = false;

	(void)state;
	bring_up();
	assert_int_equal(open_subs(3), 3);
	len = tcp4(frame, mac, other, 1000);
	for (i = 0; i < 40; i++)
		for (k = 0; k < QUEUES; k++)
			if (writev(far[k],
				   (struct iovec[2]){ { (void *)(uintptr_t)&plain, HDR },
						      { frame, len } },
				   2) < 0)
				break;
	post(&sub[1], message(NO_PPI, 0, frame, len));
	kvmb_net_remove(nic, was_removed, NULL);
	/* first the cable: the guest must stop sending */
	assert_null(fake_next(&f, KVMB_MSG_RESCIND));
	for (i = 0; i < 40 && !told; i++) {
		fake_run(&f);
		told = told_unplugged();
	}
	assert_true(told);
	for (i = 0, k = 0; i < QUEUES && k < 4; k++)
		i += fake_wait(&f, KVMB_MSG_RESCIND) != NULL;
	for (; i < QUEUES; i++)
		assert_non_null(fake_wait(&f, KVMB_MSG_RESCIND));
	assert_int_equal(status_of_last(&sub[1]), true); /* whatever was sent is completed */
	assert_int_equal(removals, 0);
	memset(&m, 0, sizeof(m)); /* the primary first: the NIC must outlast its sub-channels */
	m.relid = cpu_to_le32(c.relid);
	fake_post(&f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m));
	assert_int_equal(removals, 0);
	for (i = 1; i < QUEUES; i++) {
		m.relid = cpu_to_le32(sub[i].relid);
		fake_post(&f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m));
	}
	for (i = 0; i < PATIENCE_MS && !removals; i++) {
		fake_run(&f);
		usleep(1000);
	}
	assert_int_equal(removals, 1);
}

/* It cannot see its cable pulled: what it sends when it goes on would never be completed. */
static void net_of_a_guest_that_stands_is_not_taken_away(void **state)
{
	u32 i;

	(void)state;
	bring_up();
	kvmb_net_guest_stands(nic, true);
	kvmb_net_remove(nic, was_removed, NULL);
	for (i = 0; i < 3200; i++) { /* longer than any guest that runs is given */
		fake_run(&f);
		usleep(1000);
	}
	assert_null(fake_next(&f, KVMB_MSG_RESCIND));
	kvmb_net_guest_stands(nic, false);
	kvmb_net_guest_stands(nic, true); /* and again, before it is over */
	for (i = 0; i < 3200; i++) {
		fake_run(&f);
		usleep(1000);
	}
	assert_null(fake_next(&f, KVMB_MSG_RESCIND));
	kvmb_net_guest_stands(nic, false);
	assert_non_null(fake_wait(&f, KVMB_MSG_RESCIND));
}

static void net_tx_completions_share_a_signal(void **state)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	u8 frame[200];
	u32 len, i, msg;
	struct kvmb_pkt pkt;
	u64 before;

	(void)state;
	bring_up();
	len = tcp4(frame, other, mac, 40);
	msg = message(NO_PPI, 0, frame, len);
	memcpy(fake_ptr(&f, send_gfn << 12), fake_ptr(&f, ctl_gfn << 12), msg);
	m.u.rndis.section_size = cpu_to_le32(msg);
	before = counts().signals;
	for (i = 0; i < 64; i++)
		assert_int_equal(fake_send(&f, &c, KVMB_PKT_INBAND, 1, ++next_id, NULL, 0, &m,
					   sizeof(m)),
				 0);
	for (i = 0; i < 64; i++)
		assert_int_equal(recv_pkt(&pkt), 0);
	assert_true(counts().signals - before <= 64 / 4);
	assert_int_equal(counts().tx_frames, 64);
}

static void revoke_buffer(enum kvmb_nvsp_type type, u16 id)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(type), .u.revoke.id = cpu_to_le16(id) };

	assert_int_equal(fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, &m, sizeof(m)), 0);
}

/* The primary's completion of the request just sent; others may come before it. */
static u32 answer_of(u64 id)
{
	struct kvmb_wire_nvsp m;
	struct kvmb_pkt pkt;

	do {
		assert_int_equal(recv_pkt(&pkt), 0);
		if (pkt.type == KVMB_PKT_XFER_PAGES)
			done_with(&c, &pkt);
	} while (pkt.type != KVMB_PKT_COMPLETION || pkt.trans_id != id);
	memcpy(&m, pkt.payload, sizeof(m));
	return le32_to_cpu(m.u.recv_buf_complete.status);
}

static u32 offer_buffer(enum kvmb_nvsp_type type, u32 gpadl)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(type) };

	m.u.buf.gpadl = cpu_to_le32(gpadl);
	m.u.buf.id = cpu_to_le16(KVMB_NVSP_RECV_BUF_ID);
	fake_send(&f, &c, KVMB_PKT_INBAND, 1, ++next_id, NULL, 0, &m, sizeof(m));
	return answer_of(next_id);
}

static void push_traffic(const u8 *in, u32 len, u32 msg)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	struct iovec iov[2] = { { (void *)(uintptr_t)&plain, HDR },
				{ (void *)(uintptr_t)in, len } };
	u8 junk[2000];
	u32 i, k;

	m.u.rndis.section_size = cpu_to_le32(msg);
	for (i = 0; i < QUEUES; i++) {
		for (k = 0; k < 4; k++) {
			if (writev(far[i], iov, 2) < 0) {
				while (read(far[i], junk, sizeof(junk)) > 0)
					;
			}
			fake_send(&f, i ? &sub[i] : &c, KVMB_PKT_INBAND, 1, 1u << 30, NULL, 0, &m,
				  sizeof(m));
		}
		while (read(far[i], junk, sizeof(junk)) > 0)
			;
		skip_all(i ? &sub[i] : &c);
	}
}

/* CVE-2017-0075 was a buffer replaced while another channel used it. Also run under TSan. */
static void net_buffers_change_under_traffic(void **state)
{
	u8 out[200], in[1400];
	static struct got g;
	u32 msg, len, i;

	(void)state;
	bring_up();
	assert_int_equal(open_subs(3), 3);
	msg = message(NO_PPI, 0, out, tcp4(out, other, mac, 40));
	memcpy(fake_ptr(&f, send_gfn << 12), fake_ptr(&f, ctl_gfn << 12), msg);
	len = tcp4(in, mac, other, 1000);
	for (i = 0; i < 60; i++) {
		push_traffic(in, len, msg);
		revoke_buffer(KVMB_NVSP_REVOKE_RECV_BUF, KVMB_NVSP_RECV_BUF_ID);
		push_traffic(in, len, msg);
		revoke_buffer(KVMB_NVSP_REVOKE_SEND_BUF, 0);
		assert_int_equal(offer_buffer(KVMB_NVSP_SEND_SEND_BUF,
					      i & 1 ? send_gpadl : recv_gpadl),
				 KVMB_NVSP_STAT_SUCCESS);
		assert_int_equal(offer_buffer(KVMB_NVSP_SEND_SEND_BUF, send_gpadl),
				 KVMB_NVSP_STAT_FAIL);
		push_traffic(in, len, msg);
		assert_int_equal(offer_buffer(KVMB_NVSP_SEND_RECV_BUF, recv_gpadl),
				 KVMB_NVSP_STAT_SUCCESS);
	}
	for (i = 0; i < QUEUES; i++) { /* and all of it still works */
		do {
			skip_all(i ? &sub[i] : &c);
			usleep(20000);
		} while (kvmb_ring_readable(i ? &sub[i].rx : &c.rx));
		arrive(i, &plain, in, len);
		assert_true(frame_on(i ? &sub[i] : &c, &g));
		assert_int_equal(g.len, len);
		assert_memory_equal(g.bytes, in, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(net_subs_carry_frames_of_their_queue),
		T(net_subs_are_granted_once_and_take_no_requests),
		T(net_tx_lso_frame_leaves_uncut),
		T(net_tx_offload_lies_are_dropped),
		T(net_foreign_address_is_dropped_both_ways),
		T(net_link_change_is_told),
		T(net_backend_gone_pulls_the_cable),
		cmocka_unit_test_setup_teardown(net_mac_spoof_lets_the_guest_change_it, setup_spoof,
						teardown),
		T(net_rss_tables_are_checked),
		T(net_subs_out_of_order_are_refused),
		T(net_tx_impossible_size_is_dropped),
		T(net_before_init_nothing_goes),
		cmocka_unit_test_setup_teardown(net_rate_holds_frames_back, setup_rate, teardown),
		T(net_remove_under_traffic),
		T(net_of_a_guest_that_stands_is_not_taken_away),
		T(net_tx_completions_share_a_signal),
		T(net_buffers_change_under_traffic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
