/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM with one network and two NICs: a legacy one, and netvsc. Device, thread, channel and
 * hand-over are real; the network is played, and asserts who is in it.
 */
#ifndef KVMB_LEGACY_BOX_H
#define KVMB_LEGACY_BOX_H

#include <errno.h>
#include <sys/eventfd.h>

#include "tests/harness/net_guest.h"
#define BOARD_SLOT 5u /* of NIC 2 */
#include "tests/harness/tulip_driver.h"
#include "vmm/legacy_nic.h"
#include "vmm/nics_legacy.h"

#define INDEX 2u

static struct vm vm;
static u8 rom_version = 1; /* of this host */

const void *gen1_netboot_rom(const struct gen1 *g, u32 *len)
{
	static u8 rom[2048] = { 0x55, 0xaa };

	(void)g;
	rom[2] = rom_version;
	*len = sizeof(rom);
	return rom;
}

/* ---- a network: it asserts that one at a time is in it, and that it is theirs ---- */

static struct {
	struct kvmb_net_backend b;
	u32 inside;	       /* atomic: threads in here */
	u32 by_legacy, by_net; /* atomic: frames */
	u32 brings;	       /* atomic: frames that it has for the guest */
	bool csum;	       /* what the guest takes */
} played;

static inline void enter(void)
{
	assert_int_equal(__atomic_fetch_add(&played.inside, 1, __ATOMIC_ACQ_REL), 0);
}

static inline int leave(int err)
{
	__atomic_fetch_sub(&played.inside, 1, __ATOMIC_ACQ_REL);
	return err;
}

static inline int played_send(struct kvmb_net_backend *b, unsigned int q,
			      struct virtio_net_hdr *vnet, struct iovec *iov, int num, size_t len)
{
	bool emulated = kvmb_net_path(b) == KVMB_NET_EMULATED;

	(void)q, (void)vnet, (void)iov, (void)num;
	enter();
	/* each side marks its frames: the one that the network belongs to has sent this */
	assert_int_equal(len == 100, emulated);
	assert_int_equal(played.csum, !emulated);
	__atomic_fetch_add(emulated ? &played.by_legacy : &played.by_net, 1, __ATOMIC_RELEASE);
	return leave(0);
}

static inline int played_commit(struct kvmb_net_backend *b, unsigned int q)
{
	(void)b, (void)q;
	enter();
	return leave(0);
}

static inline ssize_t played_recv(struct kvmb_net_backend *b, unsigned int q,
				  struct virtio_net_hdr *vnet, struct iovec *iov, int num)
{
	u8 frame[60] = { 0 };
	u64 one;

	(void)q;
	enter();
	if (!__atomic_load_n(&played.brings, __ATOMIC_ACQUIRE)) {
		if (read(b->fd[0], &one, sizeof(one)) < 0)
			one = 0;
		return leave(-EAGAIN);
	}
	__atomic_fetch_sub(&played.brings, 1, __ATOMIC_RELEASE);
	memset(vnet, 0, sizeof(*vnet));
	memcpy(frame, mac, 6);
	frame[6] = 2;
	frame[12] = 8;
	assert_true(num >= 2 && iov[1].iov_len >= 14);
	memcpy(iov[1].iov_base, frame, KVMB_MIN(iov[1].iov_len, sizeof(frame)));
	leave(0);
	return sizeof(frame);
}

static inline void played_set_offload(struct kvmb_net_backend *b, bool csum, bool tso4, bool tso6)
{
	(void)b, (void)tso4, (void)tso6;
	enter();
	played.csum = csum;
	leave(0);
}

static inline void played_destroy(struct kvmb_net_backend *b)
{
	assert_int_equal(played.inside, 0);
	close(b->fd[0]);
}

static const struct kvmb_net_backend_ops played_ops = { .kind = "played",
							.send = played_send,
							.commit = played_commit,
							.recv = played_recv,
							.set_offload = played_set_offload,
							.destroy = played_destroy };

static inline struct kvmb_net_backend *play(void)
{
	memset(&played, 0, sizeof(played));
	played.b = (struct kvmb_net_backend){ .ops = &played_ops, .vnet = true, .num_queues = 1 };
	played.b.fd[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return &played.b;
}

static inline void bring(u32 frames)
{
	const u64 one = 1;

	__atomic_fetch_add(&played.brings, frames, __ATOMIC_RELEASE);
	assert_int_equal(write(played.b.fd[0], &one, sizeof(one)), sizeof(one));
}

/* ---- a VM with NIC 2 ---- */

static inline void plug_in(void)
{
	u32 line;

	for (line = 0; line < 4; line++)
		pci_route(board.m.pci, line, BOARD_IRQ);
	conf_out(0x10, 4, BOARD_PORT);
	conf_out(0x04, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
}

static inline void make_vm(enum nic_model model, bool from_elsewhere)
{
	struct kvmb_net_spec spec = { .index = INDEX, .mtu = 1500, .max_queues = 1 };
	struct nic_config nc = { .index = (int)INDEX, .model = model };

	guest_caps = guest_filter = 0;
	memcpy(spec.mac, mac, 6);
	memcpy(nc.mac, mac, 6);
	memcpy(board.mac, mac, 6);
	fake_init(&f, KVMB_VERSION_NEWEST);
	board_begin();
	vm = (struct vm){ .cfg.name = "vm", .loop = f.loop, .state = VM_RUNNING };
	vm.machine.pci = board.m.pci;
	vm.machine.gm = board.m.gm;
	vm.cfg.incoming = from_elsewhere;
	nic = kvmb_net_create(&spec, play(), f.loop);
	nics_legacy_add(&vm, INDEX, &nc, nic);
	assert_int_equal(nics_legacy_connect(&vm), 0);
	plug_in();
}

static inline void begin_vm(enum nic_model model)
{
	make_vm(model, false);
	if (model != NIC_LEGACY)
		open_box();
}

static inline void end_vm(void)
{
	if (c.pages)
		fake_unmap(&c);
	memset(&c, 0, sizeof(c));
	fake_rest(&f);
	nics_legacy_end(&vm);
	board_end();
	kvmb_net_destroy(nic);
	fake_fini(&f);
}

static inline int setup(void **state)
{
	(void)state;
	begin_vm(NIC_AUTO);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	end_vm();
	return 0;
}

#define UNTIL(cond)                                           \
	do {                                                  \
		u64 end_ms = kvmb_now_ms() + PATIENCE_MS;     \
		while (!(cond)) {                             \
			if (kvmb_now_ms() > end_ms)           \
				fail_msg("never: %s", #cond); \
			kvmb_loop_once(f.loop, 1);            \
		}                                             \
	} while (0)

static inline u32 by_legacy(void)
{
	return __atomic_load_n(&played.by_legacy, __ATOMIC_ACQUIRE);
}

static inline u32 by_net(void)
{
	return __atomic_load_n(&played.by_net, __ATOMIC_ACQUIRE);
}

static inline const char *via(void)
{
	struct kvmb_net_info i;

	kvmb_net_get_info(nic, &i);
	return i.emulated ? "legacy" : "vmbus";
}

/* ---- the guest's tulip ---- */

static inline u32 tx_status(u32 n)
{
	return __atomic_load_n(tx_desc(n), __ATOMIC_ACQUIRE);
}

static inline void tulip_up(void)
{
	driver_up();
	UNTIL(tx_status(0) == 0x7fffffff);
}

static inline void tulip_sends(void)
{
	driver_send(100, 0, 0);
	UNTIL(!(tx_status(board.cur_tx - 1) & DESC_OWN));
}

static inline bool tulip_link(void)
{
	driver_bmsr();
	return driver_bmsr() & 4;
}

/* ---- its netvsc ---- */

static inline void set_filter(u32 filter)
{
	u32 *p = rndis(KVMB_RNDIS_SET, 32), len;

	p[3] = KVMB_OID_GEN_CURRENT_PACKET_FILTER;
	p[4] = 4;
	p[5] = 20;
	p[7] = filter;
	assert_int_equal(send_pages(KVMB_NVSP_CHANNEL_CONTROL, 32), KVMB_NVSP_STAT_SUCCESS);
	assert_int_equal(((u32 *)received(KVMB_NVSP_CHANNEL_CONTROL, &len))[3], 0);
}

static inline void netvsc_sends(void)
{
	u32 *p = data_message(200);

	memcpy((u8 *)(p + 11) + 6, mac, 6);
	assert_int_equal(send_pages(0, 244), KVMB_NVSP_STAT_SUCCESS);
}

static inline void open_again(void)
{
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), ring_pages), 0);
	assert_int_equal(fake_gpadl(&f, c.relid, recv_gfn, recv_pages, &recv_gpadl), 0);
	assert_int_equal(fake_gpadl(&f, c.relid, send_gfn, SEND_PAGES, &send_gpadl), 0);
}

static inline void close_channel(void)
{
	fake_close(&f, &c);
	memset(&c, 0, sizeof(c));
	fake_run(&f);
}

static bool settled; /* by nics_legacy_settle() */

static inline void note_settled(void *arg)
{
	assert_ptr_equal(arg, &vm);
	settled = true;
}

static inline void go_further(struct vm *of, void (*done)(void *vm))
{
	done(of);
}

static inline void settle_nics(void)
{
	settled = false;
	nics_legacy_settle(&vm, go_further, note_settled);
}

/* As at a reset of the VM: vm.c's order. */
static inline void reset_vm(void)
{
	if (c.pages)
		fake_unmap(&c);
	memset(&c, 0, sizeof(c));
	fake_rest(&f);
	settle_nics();
	UNTIL(settled);
	plug_in();
}

#endif
