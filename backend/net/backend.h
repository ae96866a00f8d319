/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a NIC's frames go: a tap, passt, nowhere, or a test's double.
 *
 * DOC: Theory of operation
 *
 * A backend has one or more queues, each with a descriptor, and each used by one thread at a
 * time. Frames go out in batches: send() takes them one by one, commit() makes sure that all
 * of them have left the guest's memory, and only then are they completed to the guest. A
 * backend with `vnet` speaks virtio-net headers: marks for checksums and segments pass through
 * it both ways, and set_offload() says which the guest can take. Others get plain frames.
 */
#ifndef KVMB_NET_BACKEND_H
#define KVMB_NET_BACKEND_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define KVMB_NET_MAX_QUEUES 64u
#define KVMB_NET_WHY 256u /* room for a reason */

struct kvmb_loop;
struct kvmb_net_backend;

enum kvmb_net_backend_news { /* of one that is a program */
	KVMB_BACKEND_READY,   /* it may be used; after revive(): ask again */
	KVMB_BACKEND_ENDED,   /* the one in use, or that had to end before another; after revive(): ask again */
	KVMB_BACKEND_REFUSED, /* it does not start: problem says why; ask later */
};

struct kvmb_net_backend_ops {
	const char *kind; /* "user", "tap", "none", ... */
	/*
	 * Take one whole frame out: @iov[1..num), @len bytes; @iov[0] is the backend's to fill.
	 * What @iov and @vnet point to stays as it is until commit(). Return: 0; -EAGAIN when the
	 * backend is full and nothing was taken; -EPIPE when it is gone; another -errno when it
	 * refuses this frame.
	 */
	int (*send)(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
		    struct iovec *iov, int num, size_t len);
	/*
	 * Let go of all that was taken. Return: 0; -EAGAIN when some of it waits in the backend's
	 * own memory: call again when fd[q] is writable, and send nothing until then; -EPIPE.
	 */
	int (*commit)(struct kvmb_net_backend *b, unsigned int q);
	/*
	 * One whole frame in, to @iov[1..num); @iov[0] is the backend's to fill, @vnet is filled.
	 * Return: bytes, which is all of the room when the frame may have been cut; -EAGAIN when
	 * there is none; -EMSGSIZE when it did not fit and was dropped; -EPIPE.
	 */
	ssize_t (*recv)(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
			struct iovec *iov, int num);
	/* From here on all may be NULL. */
	void (*set_queue)(struct kvmb_net_backend *b, unsigned int q, bool on); /* in use or not */
	void (*set_offload)(struct kvmb_net_backend *b, bool csum, bool tso4, bool tso6);
	int (*set_mac)(struct kvmb_net_backend *b, const uint8_t *mac);
	int (*set_mtu)(struct kvmb_net_backend *b, uint32_t mtu);
	/*
	 * After -EPIPE: begin anew, without waiting. Return: 0: there are new descriptors; -EINPROGRESS: there
	 * will be news; another -errno: ask again later. Bus thread, with every queue's lock.
	 */
	int (*revive)(struct kvmb_net_backend *b);
	/* From now on @news is told, on the bus thread; NULL = nobody. It may destroy the backend. */
	void (*attach)(struct kvmb_net_backend *b, void (*news)(void *arg, enum kvmb_net_backend_news news), void *arg);
	void (*destroy)(struct kvmb_net_backend *b);
};

struct kvmb_net_backend { /* embed it */
	const struct kvmb_net_backend_ops *ops;
	bool vnet;
	bool has_mac;		       /* mac is its own: the NIC should have the same */
	uint8_t mac[6];
	uint32_t mtu;		       /* of the host's side, 0 = any */
	unsigned int num_queues;       /* >= 1 */
	char detail[64];	       /* "tap0", for humans */
	char problem[KVMB_NET_WHY];    /* why it is not there, as far as that is known; bus thread */
	int fd[KVMB_NET_MAX_QUEUES];   /* fd[num_queues], readable when a frame waits; -1 = never */
};

/**
 * kvmb_net_tap_open() - Attach to an existing tap interface
 * @ifname:     its name
 * @num_queues: wanted, 0 = as many as @max if the interface has several, else 1
 * @max:        most queues of use
 * @why:        why[KVMB_NET_WHY], on failure one phrase for the user
 * Return: the backend, NULL on failure.
 */
struct kvmb_net_backend *kvmb_net_tap_open(const char *ifname, unsigned int num_queues,
					   unsigned int max, char *why);

/**
 * kvmb_net_tap_fds() - Queues that somebody else opened: taps, or anything that takes and gives a frame a call
 * @fds: fds[num], non-blocking, owned from now on; a virtio-net header comes before each frame
 * Never NULL.
 */
struct kvmb_net_backend *kvmb_net_tap_fds(const int *fds, unsigned int num);

/** kvmb_net_macvtap_open() - Attach to an existing macvtap interface; else as above. */
struct kvmb_net_backend *kvmb_net_macvtap_open(const char *ifname, unsigned int num_queues,
					       unsigned int max, char *why);

/**
 * kvmb_net_bridge_open() - Make a tap and attach it to a bridge, both undone by the end
 * @bridge: existing bridge
 * @mtu:    of the tap, 0 = the bridge's
 */
struct kvmb_net_backend *kvmb_net_bridge_open(const char *bridge, unsigned int num_queues,
					      unsigned int max, uint32_t mtu, char *why);

struct kvmb_passt_spec {
	const char *const *forwards; /* forwards[num_forwards]: "[tcp:|udp:][ADDRESS/]HOST_PORT:GUEST_PORT", checked */
	unsigned int num_forwards;
	uint32_t mtu;		     /* announced to the guest */
	unsigned int ready_ms;	     /* until it must be ready, 0 = ten seconds */
};

/**
 * kvmb_net_passt_open() - Start passt, unprivileged user-mode networking
 * @spec: copied
 * @loop: of the bus thread, which is the caller's: passt ends with the thread that started it
 *
 * It is not ready when this returns: attach() and wait for the news, or kvmb_net_passt_wait().
 */
struct kvmb_net_backend *kvmb_net_passt_open(const struct kvmb_passt_spec *spec, struct kvmb_loop *loop, char *why);

/** kvmb_net_passt_wait() - Before the loop runs: wait until it is ready. Return: 0 or -errno with @why. */
int kvmb_net_passt_wait(struct kvmb_net_backend *b, char *why);

/** kvmb_net_none_open() - A cable that leads nowhere. Never NULL. */
struct kvmb_net_backend *kvmb_net_none_open(void);

/** kvmb_net_stream_open() - Frames over a connected stream socket, passt's framing; owns @fd. */
struct kvmb_net_backend *kvmb_net_stream_open(int fd);

#endif
