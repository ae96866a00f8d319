/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A scripted host's NIC, and what the tests of kvmb_net do with it and with the guest's device.
 *
 * By itself the NIC behaves; struct script_nic says what it does otherwise. Frames of TEST_PROTO
 * that reach the guest's network stack are noted in nic_heard.
 */
#ifndef KVMB_SCRIPT_NIC_H
#define KVMB_SCRIPT_NIC_H

#include <linux/etherdevice.h>
#include <linux/netdevice.h>

#include "tests/kunit/kunit_case.h"
#include "tests/kunit/script_host.h"
#include "vmbus-core/proto/net.h"
#include "vmbus-core/rndis.h"

#define RELID 7u
#define MAX_SUBS 8u
#define TEST_PROTO 0x88b5 /* local experimental EtherType: nobody else listens */
#define SECTION 4096u
#define HDR ((u32)sizeof(struct kvmb_wire_rndis))

extern const u8 host_mac[ETH_ALEN];

/* The NIC; what it does by itself is what a host does */
struct script_nic {
	u32 newest;		/* NVSP version that it takes */
	u32 mute;		/* NVSP message without an answer, 0: none */
	u32 mute_rndis;		/* RNDIS request without one */
	/* before an answer goes out; false: it does not */
	bool (*twist)(struct kvmb_wire_nvsp *m, u32 *len, u32 type);
	bool (*twist_rndis)(u8 *msg, u32 *len, u32 type, u32 oid);
	bool echo;		/* frames come back */
	u32 copies;		/* of each completion of a frame; 0 is 1 */
	u64 xor_id;		/* of each completion of a frame */
	u32 done_status;	/* of each frame; 0: success */
	u32 queues;		/* that it has */
	u32 subs;		/* that it offers when asked, whatever it was asked */
	u32 mtu;

	u8 *recv, *send;	/* the guest's buffers, mapped */
	u32 recv_size, send_size, num, next;
	atomic_t frames, given, given_back; /* from the guest; packets to it; their completions */
	u32 came_by;			    /* relid of the last frame from the guest */
	u32 requests[8];	/* RNDIS, by type */
	u8 msg[66000];		/* the last message, of the host's worker */
};
extern struct script_nic script_nic;

struct nic_heard { /* the last frame */
	atomic_t num;
	u32 len;
	u32 sum;
	bool unnecessary;
	u16 tci;
};
extern struct nic_heard nic_heard;

struct nic_lie { /* in an answer of NVSP, when script_nic.twist is nic_twist() */
	u32 type;     /* of the question */
	u32 at, word; /* the answer's 32-bit word [at] becomes word */
	u32 len;      /* of the answer, 0: as it is */
};
extern struct nic_lie nic_lie;
bool nic_twist(struct kvmb_wire_nvsp *m, u32 *len, u32 type);

/* A suite's init and exit: a well-behaved NIC, not there yet */
int nic_init(struct kunit *test);
void nic_exit(struct kunit *test);

/* net_rx_kunit.c, net_tx_kunit.c, net_shape_kunit.c; run by net_kunit.c */
extern struct kunit_suite kvmb_net_rx_suite, kvmb_net_tx_suite, kvmb_net_shape_suite;

/* ---- the host's half ---- */

struct host_chan *nic_chan(void); /* the primary */
/**
 * nic_put_ranges() - A transfer-page packet of one range an entry: offset, bytes. Return: as
 * host_put()
 */
int nic_put_ranges(struct host_chan *c, u16 set, const u32 (*r)[2], u32 num);
/** nic_say() - One RNDIS message through the next sections of the receive buffer */
void nic_say(struct host_chan *c, const void *msg, u32 len);
/** nic_frame() - A frame for the guest; @how: what its header says, NULL: nothing */
void nic_frame(struct host_chan *c, const u8 *frame, u32 len, const struct kvmb_rndis_out *how);

/* ---- the NIC in the guest ---- */

void nic_plug_in(void);
/** nic_offer_sub() - One more sub-channel, @relid, for queue @index */
void nic_offer_sub(u32 relid, u16 index);
/** nic_up() - Plugged in and running. Return: held; NULL: it did not come */
struct net_device *nic_up(void);
/** nic_find() - Return: held; NULL: there is none */
struct net_device *nic_find(void);
/** nic_rescind() - The channel is taken back: what the host has mapped it leaves first */
void nic_rescind(void);
void nic_take_out(void);
u64 nic_counter(struct net_device *ndev, const char *name);

/* ---- frames ---- */

u32 nic_sum(const u8 *p, u32 len);
void nic_make_frame(u8 *frame, u32 len, const u8 *to, const u8 *from, u8 seed);
int nic_transmit(struct net_device *ndev, u32 len, u8 seed);
bool nic_heard_more(int before);
/** nic_still_hears() - A frame from the host arrives: what came before broke nothing */
bool nic_still_hears(struct net_device *ndev);

#endif
