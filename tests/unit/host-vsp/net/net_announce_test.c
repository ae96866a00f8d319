// SPDX-License-Identifier: GPL-2.0-only
/* A NIC that has come from elsewhere says where it is. */
#include "host-vsp/net/net.h"

#include "host-vsp/bus/bus_state.h"
#include "tests/harness/net_wire.h"

static int setup_vlan(void **state)
{
	(void)state;
	make((struct kvmb_net_spec){ .mtu = 1500, .max_queues = 1, .vlan = 7 });
	return 0;
}

/* What leaves by the first queue until nothing has for a while. Return: frames; @buf: the last. */
static u32 frames_left(u8 *buf, u32 size, u32 *len)
{
	u64 until = kvmb_now_ms() + 2000;
	u8 raw[HDR + 2000];
	ssize_t n;
	u32 num = 0;

	while (num < 5 && kvmb_now_ms() < until) {
		kvmb_loop_once(f.loop, 10);
		n = read(far[0], raw, sizeof(raw));
		if (n < (ssize_t)HDR)
			continue;
		*len = (u32)n - HDR;
		assert_true(*len <= size);
		memcpy(buf, raw + HDR, *len);
		num++;
		until = kvmb_now_ms() + PATIENCE_MS;
	}
	return num;
}

static void net_announces_its_address(void **state)
{
	static const u8 head[] = { 0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3 };
	u8 frame[100];
	u32 len;

	(void)state;
	bring_up();
	kvmb_net_announce(nic);
	assert_int_equal(frames_left(frame, sizeof(frame), &len), 5);
	assert_int_equal(len, 60);
	assert_memory_equal(frame, "\xff\xff\xff\xff\xff\xff", 6);
	assert_memory_equal(frame + 6, mac, 6);
	assert_memory_equal(frame + 12, head, sizeof(head));
	assert_memory_equal(frame + 22, mac, 6);
	assert_memory_equal(frame + 32, mac, 6);
	kvmb_loop_once(f.loop, 700); /* that was all */
	assert_int_equal(read(far[0], frame, sizeof(frame)), -1);
}

static void net_announces_on_its_vlan(void **state)
{
	u8 frame[100];
	u32 len;

	(void)state;
	bring_up();
	kvmb_net_announce(nic);
	assert_int_equal(frames_left(frame, sizeof(frame), &len), 5);
	assert_int_equal(len, 64);
	assert_memory_equal(frame + 12, "\x81\x00\x00\x07\x80\x35", 6);
}

static void net_without_link_announces_nothing(void **state)
{
	u8 frame[100];
	u32 len;

	(void)state;
	bring_up();
	kvmb_net_set_link(nic, false);
	kvmb_net_announce(nic);
	assert_int_equal(frames_left(frame, sizeof(frame), &len), 0);
}

static void note_stands(void *arg)
{
	*(bool *)arg = true;
}

/* A VM that moves on at once: it may be announced elsewhere by now. */
static void net_that_stands_announces_nothing(void **state)
{
	bool bus_stands = false;
	u8 frame[100];
	u32 len;

	(void)state;
	bring_up();
	kvmb_net_announce(nic);
	kvmb_bus_pause(f.bus, note_stands, &bus_stands);
	assert_int_equal(frames_left(frame, sizeof(frame), &len), 0);
	assert_true(bus_stands);
	kvmb_bus_resume(f.bus);
}

/* The NIC may be gone before the last round. */
static void net_announcing_ends_with_the_nic(void **state)
{
	(void)state;
	bring_up();
	kvmb_net_announce(nic);
}

#define S(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		S(net_announces_its_address, setup),
		S(net_announces_on_its_vlan, setup_vlan),
		S(net_without_link_announces_nothing, setup),
		S(net_that_stands_announces_nothing, setup),
		S(net_announcing_ends_with_the_nic, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
