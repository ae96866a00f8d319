// SPDX-License-Identifier: GPL-2.0-only
/* Frames in: coalesced, cut, their checksums, filters, VLANs. */
#include "host-vsp/net/net.h"

#include "tests/harness/dirty.h"
#include "tests/harness/net_wire.h"

static int setup_vlan(void **state)
{
	(void)state;
	make((struct kvmb_net_spec){ .mtu = 1500, .max_queues = 1, .vlan = 7 });
	return 0;
}

static int setup_vlan_large(void **state)
{
	recv_pages = RECV_PAGES_LARGE;
	return setup_vlan(state);
}

static void net_rx_coalesced_is_one_rsc_packet(void **state)
{
	static u8 frame[70000];
	static struct got g;
	u32 len, i;

	(void)state;
	bring_up();
	len = tcp4(frame, mac, other, 30000);
	/* the guest has not switched it on: such a frame is not for it */
	arrive(0, &coalesced, frame, len);
	dropped_by(KVMB_DROP_SIZE, 1);
	rsc_on();
	for (i = 0; i < 50; i++) { /* sections come back */
		arrive(0, &coalesced, frame, len);
		assert_true(frame_on(&c, &g));
		assert_true(g.rsc && g.first && g.last && g.parts > 1);
		assert_int_equal(g.len, len);
		assert_memory_equal(g.bytes + 54, frame + 54, len - 54);
		assert_true(g.csum & KVMB_RX_CSUM_TCP_OK);
	}
	assert_int_equal(counts().rx_coalesced, 50);
	len = tcp4(frame, mac, other, 100); /* one that is no group goes as before */
	arrive(0, &plain, frame, len);
	assert_true(frame_on(&c, &g));
	assert_false(g.rsc);
	assert_int_equal(g.len, len);
}

/*
 * A small receive buffer is cut into small sections: 44 of them a frame, 161 in all, for four
 * queues.
 */
static void net_rx_small_buffer_gets_no_coalesced(void **state)
{
	static u8 frame[70000];
	static struct got g;
	u32 len;

	(void)state;
	bring_up();
	rsc_on();
	len = tcp4(frame, mac, other, 3000);
	arrive(0, &coalesced, frame, len); /* the backend was not told to make any */
	dropped_by(KVMB_DROP_SIZE, 1);
	len = tcp4(frame, mac, other, 1000);
	arrive(0, &plain, frame, len);
	assert_true(frame_on(&c, &g));
	assert_int_equal(g.len, len);
}

static u32 sum16(const u8 *p, u32 len, u32 sum)
{
	u32 i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (u32)(p[i] << 8 | p[i + 1]);
	if (len & 1)
		sum += (u32)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* A TCP/IPv6 frame with 12 bytes of options. */
static u32 tcp6(u8 *p, u32 payload)
{
	u32 i, len = 32 + payload;

	memset(p, 0, 86);
	memcpy(p, mac, 6);
	memcpy(p + 6, other, 6);
	p[12] = 0x86;
	p[13] = 0xdd;
	p[14] = 0x60;
	p[18] = (u8)(len >> 8);
	p[19] = (u8)len;
	p[20] = 6;
	p[66] = 8 << 4;
	for (i = 0; i < payload; i++)
		p[86 + i] = (u8)(i * 7 >> 3);
	return 86 + payload;
}

static u32 be(const u8 *p, u32 bytes)
{
	return bytes == 2 ? (u32)(p[0] << 8 | p[1]) :
			    (u32)p[0] << 24 | (u32)(p[1] << 16 | p[2] << 8 | p[3]);
}

static struct got two[2]; /* as comes_in_two() has found them */

/*
 * The two frames that @frame[len] must come as, its TCP header at @l4 and of @hdr bytes to its end.
 */
static void comes_in_two(const u8 *frame, u32 len, u32 l4, u32 hdr, u32 mss)
{
	const struct got *a = &two[0], *b = &two[1];
	u32 first;

	assert_int_equal(frames_on(&c, &two[0], &two[1]), 2);
	/*
	 * a Linux guest's allocation: pad in front, aligned, skb_shared_info behind, no more than
	 * 64 KiB
	 */
	assert_true((a->len + 64 + 63) / 64 * 64 + 320 <= 65536);
	first = a->len - hdr;
	assert_true(first % mss == 0 && first + mss > 65024 - hdr);
	assert_int_equal(first + b->len - hdr, len - hdr);
	assert_memory_equal(a->bytes + hdr, frame + hdr, first);
	assert_memory_equal(b->bytes + hdr, frame + hdr + first, b->len - hdr);
	assert_int_equal(be(a->bytes + l4 + 4, 4), be(frame + l4 + 4, 4));
	assert_int_equal(be(b->bytes + l4 + 4, 4), be(frame + l4 + 4, 4) + first);
	assert_int_equal(a->bytes[l4 + 13], 0x90); /* of FIN, PSH, ACK, CWR */
	assert_int_equal(b->bytes[l4 + 13], 0x19);
	assert_true(a->rsc && a->first && a->last && b->rsc && b->first && b->last);
	assert_true(a->csum & KVMB_RX_CSUM_TCP_OK && b->csum & KVMB_RX_CSUM_TCP_OK);
	assert_memory_equal(b->bytes, frame, 14);
	if (l4 == 34) { /* IPv4 */
		assert_int_equal(be(a->bytes + 16, 2), a->len - 14);
		assert_int_equal(be(b->bytes + 16, 2), b->len - 14);
		assert_int_equal(sum16(a->bytes + 14, 20, 0), 0xffff);
		assert_int_equal(sum16(b->bytes + 14, 20, 0), 0xffff);
		assert_int_equal(be(b->bytes + 18, 2), be(frame + 18, 2) + first / mss);
	} else {
		assert_int_equal(be(a->bytes + 18, 2), a->len - 54);
		assert_int_equal(be(b->bytes + 18, 2), b->len - 54);
	}
}

static void net_rx_long_frame_comes_as_two(void **state)
{
	struct virtio_net_hdr gso = coalesced;
	static u8 frame[70000];
	static struct got g;
	u32 len, i;

	(void)state;
	bring_up();
	rsc_on();
	gso.gso_size = 1460;
	for (i = 0; i < 100; i++) { /* sections come back */
		len = tcp4(frame, mac, other, 65495 - i % 3);
		frame[19] = 5;
		frame[47] = 0x99;
		arrive(0, &gso, frame, len);
		comes_in_two(frame, len, 34, 54, 1460);
	}
	gso.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	gso.csum_start = 54;
	gso.gso_size = 536;
	len = tcp6(frame, 65400);
	frame[67] = 0x99;
	arrive(0, &gso, frame, len);
	comes_in_two(frame, len, 54, 86, 536);
	/* what cannot be cut comes whole: urgent data, a length that is not so, segments of 9000 */
	for (i = 0; i < 3; i++) {
		len = tcp6(frame, 65400);
		frame[67] = i ? 0x10 : 0x30;
		frame[19] ^= i == 1;
		gso.gso_size = i == 2 ? 8948 : 1440;
		arrive(0, &gso, frame, len);
		assert_true(frame_on(&c, &g));
		assert_int_equal(g.len, len);
		assert_memory_equal(g.bytes, frame, len);
	}
}

static void net_rx_blank_checksum_is_filled_in(void **state)
{
	struct virtio_net_hdr partial = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					  .csum_start = 34,
					  .csum_offset = 16 };
	u32 len, pseudo, n;
	static struct got g;
	u8 frame[2000];

	(void)state;
	bring_up();
	for (n = 0; n < 6; n++) {
		len = tcp4(frame, mac, other, 1000 + n);
		pseudo = sum16(frame + 26, 8, 6 + len - 34); /* addresses, protocol, length */
		frame[50] = (u8)(pseudo >> 8);
		frame[51] = (u8)pseudo;
		arrive(0, &partial, frame, len);
		assert_true(frame_on(&c, &g));
		assert_int_equal(sum16(g.bytes + 34, g.len - 34, pseudo), 0xffff);
		assert_true(g.csum & KVMB_RX_CSUM_TCP_OK);
	}
}

/* Frames of all kinds, with their headers and packets: whatever has changed is noted. */
static void net_rx_notes_what_it_writes(void **state)
{
	struct virtio_net_hdr partial = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					  .csum_start = 34,
					  .csum_offset = 16 },
			      gso = coalesced;
	static u8 frame[70000];
	static struct got g;
	u32 len;

	(void)state;
	gso.gso_size = 1460;
	bring_up();
	rsc_on();
	dirty_begin(&f);
	len = tcp4(frame, mac, other, 1000);
	arrive(0, &plain, frame, len);
	assert_true(frame_on(&c, &g));
	dirty_has_all(&f, &c);
	assert_true(dirty_count() < 8); /* not the whole buffer */
	arrive(0, &partial, frame, len);
	assert_true(frame_on(&c, &g));
	dirty_has_all(&f, &c);
	len = tcp4(frame, mac, other, 30000);
	arrive(0, &coalesced, frame, len);
	assert_true(frame_on(&c, &g));
	dirty_has_all(&f, &c);
	len = tcp4(frame, mac, other, 65495);
	frame[19] = 5;
	frame[47] = 0x99;
	arrive(0, &gso, frame, len);
	comes_in_two(frame, len, 34, 54, 1460);
	dirty_has_all(&f, &c);
	dirty_end();
}

static int setup_jumbo(void **state)
{
	(void)state;
	make((struct kvmb_net_spec){ .mtu = 9000, .max_queues = 1 });
	return 0;
}

/* A frame on more than one page: the header that we write in front of it is on the first. */
static void net_rx_notes_all_pages_of_a_frame(void **state)
{
	static u8 frame[9100];
	static struct got g;

	(void)state;
	bring_up();
	dirty_begin(&f);
	arrive(0, &plain, frame, tcp4(frame, mac, other, 8900));
	assert_true(frame_on(&c, &g));
	dirty_has_all(&f, &c);
	assert_true(dirty_count() <= 3 + 2 + 1); /* and control pages and a packet */
	dirty_end();
}

static void net_rx_filters_are_applied(void **state)
{
	static const u8 group[12] = { 1, 0, 0x5e, 0, 0, 1, 1, 0, 0x5e, 0, 0, 2 };
	static const u8 unknown[6] = { 1, 0, 0x5e, 0, 0, 3 };
	u8 frame[200];
	static struct got g;
	u32 filter = KVMB_FILTER_DIRECTED | KVMB_FILTER_MULTICAST, len;

	(void)state;
	bring_up();
	set_oid(KVMB_OID_802_3_MULTICAST_LIST, group, sizeof(group));
	set_oid(KVMB_OID_GEN_CURRENT_PACKET_FILTER, &filter, 4);
	len = tcp4(frame, unknown, other, 40);
	arrive(0, &plain, frame, len);
	len = tcp4(frame, group + 6, other, 50);
	arrive(0, &plain, frame, len);
	assert_true(frame_on(&c, &g));
	assert_int_equal(g.len, 104);
	memset(frame, 0xff, 6); /* broadcast was not asked for */
	arrive(0, &plain, frame, len);
	dropped_by(KVMB_DROP_FILTERED, 2);
	filter = KVMB_FILTER_PROMISCUOUS;
	set_oid(KVMB_OID_GEN_CURRENT_PACKET_FILTER, &filter, 4);
	len = tcp4(frame, unknown, other, 60);
	arrive(0, &plain, frame, len);
	assert_true(frame_on(&c, &g));
	assert_int_equal(g.len, 114);
}

/* @frame[len] with a tag of its own, for the tap's side. Return: bytes. */
static u32 tag(u8 *to, const u8 *frame, u32 len, u8 vid)
{
	const u8 t[4] = { 0x81, 0, 0, vid };

	memcpy(to, frame, 12);
	memcpy(to + 12, t, sizeof(t));
	memcpy(to + 16, frame + 12, len - 12);
	return len + 4;
}

static void net_access_port_hides_its_vlan(void **state)
{
	struct virtio_net_hdr vnet;
	u8 frame[300], tagged[300], buf[300];
	static struct got g;
	u32 len;

	(void)state;
	bring_up();
	len = tcp4(frame, other, mac, 40);
	post(&c, message(NO_PPI, 0, frame, len));
	status_on(&c);
	assert_int_equal(left(0, &vnet, buf, sizeof(buf)), len + 4);
	assert_int_equal(buf[12] << 8 | buf[13], 0x8100);
	assert_int_equal(buf[14] << 8 | buf[15], 7);
	post(&c, message(KVMB_PPI_VLAN, 9 << 4, frame, len)); /* the guest may not choose another */
	status_on(&c);
	assert_int_equal(counts().tx_dropped[KVMB_DROP_VLAN], 1);
	len = tcp4(frame, mac, other, 40);
	arrive(0, &plain, frame, len); /* untagged: of no VLAN of ours */
	tag(tagged, frame, len, 8);
	arrive(0, &plain, tagged, len + 4);
	tagged[15] = 7;
	arrive(0, &plain, tagged, len + 4);
	assert_true(frame_on(&c, &g));
	assert_false(g.has_vlan);
	assert_int_equal(g.len, len);
	assert_memory_equal(g.bytes, frame, len);
	assert_int_equal(counts().rx_dropped[KVMB_DROP_VLAN], 2);
}

static void net_rx_trunk_puts_the_tag_into_ppi(void **state)
{
	u8 frame[300], tagged[300];
	static struct got g;
	u32 len;

	(void)state;
	bring_up();
	len = tcp4(frame, mac, other, 40);
	tag(tagged, frame, len, 42);
	arrive(0, &plain, tagged, len + 4);
	assert_true(frame_on(&c, &g));
	assert_true(g.has_vlan);
	assert_int_equal(g.vlan, 42);
	assert_int_equal(g.len, len);
	assert_memory_equal(g.bytes, frame, len);
}

/* Tagged frames that are too long for the guest; @vid: what it is told, 0: nothing. */
static void tagged_come_in_two(u8 vid)
{
	struct virtio_net_hdr gso = coalesced;
	static u8 frame[70000], tagged[70000];
	u32 len, i;

	bring_up();
	rsc_on();
	gso.gso_size = 1460;
	gso.csum_start += 4;
	gso.hdr_len += 4;
	for (i = 0; i < 50; i++) { /* sections come back */
		len = tcp4(frame, mac, other, 65495 - i % 3);
		frame[19] = 5;
		frame[47] = 0x99;
		arrive(0, &gso, tagged, tag(tagged, frame, len, vid ? vid : 7));
		comes_in_two(frame, len, 34, 54, 1460);
		assert_int_equal(two[0].has_vlan, vid != 0);
		assert_int_equal(two[1].has_vlan, vid != 0);
		assert_int_equal(two[0].vlan, vid);
		assert_int_equal(two[1].vlan, vid);
	}
}

static void net_rx_tagged_is_cut_on_a_trunk(void **state)
{
	(void)state;
	tagged_come_in_two(42);
}

static void net_rx_tagged_is_cut_on_an_access_port(void **state)
{
	(void)state;
	tagged_come_in_two(0);
}

static void net_rx_frame_too_large_is_dropped(void **state)
{
	static u8 frame[90000];
	static struct got g;
	u32 len;

	(void)state;
	bring_up();
	rsc_on();
	memcpy(frame, mac, 6);
	memcpy(frame + 12, "\x81\x00\x00\x07", 4);
	arrive(0, &coalesced, frame, sizeof(frame)); /* no tap makes such */
	dropped_by(KVMB_DROP_SIZE, 1);
	len = tcp4(frame, mac, other, 100);
	memmove(frame + 16, frame + 12, len - 12);
	memcpy(frame + 12, "\x81\x00\x00\x07", 4);
	arrive(0, &plain, frame, len + 4);
	assert_true(frame_on(&c, &g));
	assert_int_equal(g.len, len);
}

#define VLAN(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		LARGE(net_rx_coalesced_is_one_rsc_packet),
		LARGE(net_rx_long_frame_comes_as_two),
		T(net_rx_small_buffer_gets_no_coalesced),
		T(net_rx_blank_checksum_is_filled_in),
		LARGE(net_rx_notes_what_it_writes),
		VLAN(net_rx_notes_all_pages_of_a_frame, setup_jumbo),
		T(net_rx_filters_are_applied),
		VLAN(net_access_port_hides_its_vlan, setup_vlan),
		T(net_rx_trunk_puts_the_tag_into_ppi),
		LARGE(net_rx_tagged_is_cut_on_a_trunk),
		VLAN(net_rx_tagged_is_cut_on_an_access_port, setup_vlan_large),
		VLAN(net_rx_frame_too_large_is_dropped, setup_vlan_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
