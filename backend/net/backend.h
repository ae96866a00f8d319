/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The other side of a NIC: a tap, passt, nothing, or a test's double.
 *
 * DOC: Theory of operation
 *
 * A backend has one or more queues. Each has a descriptor and is used by one thread at a time.
 * Frames go out in batches: send() takes them one by one; commit() returns when all of them
 * have left the guest's memory, and only then are they completed to the guest. A backend with
 * `vnet` speaks virtio-net headers, which carry checksum and segmentation offloads in both
 * directions; set_offload() says which of them the guest can take. Other backends get plain
 * frames.
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

enum kvmb_net_backend_news { /* from a backend that is a program */
	KVMB_BACKEND_READY,   /* it may be used; after revive(): call revive() again */
	KVMB_BACKEND_ENDED,   /* it ended, or its predecessor did: call revive() again */
	KVMB_BACKEND_REFUSED, /* it does not start, problem says why: call revive() later */
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
	 * Release all frames that were taken. Return: 0; -EAGAIN when some wait in the backend's
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
	/* The following may be NULL. */
	void (*set_queue)(struct kvmb_net_backend *b, unsigned int q, bool on); /* in use or not */
	void (*set_offload)(struct kvmb_net_backend *b, bool csum, bool tso4, bool tso6);
	int (*set_mac)(struct kvmb_net_backend *b, const uint8_t *mac);
	/*
	 * After -EPIPE: start again, without waiting. Return: 0: there are new descriptors;
	 * -EINPROGRESS: there will be news; another -errno: try again later. Bus thread, with every
	 * queue's lock.
	 */
	int (*revive)(struct kvmb_net_backend *b);
	/* Call @news on the bus thread from now on; NULL = nobody. It may destroy the backend. */
	void (*attach)(struct kvmb_net_backend *b,
		       void (*news)(void *arg, enum kvmb_net_backend_news news), void *arg);
	void (*destroy)(struct kvmb_net_backend *b);
};

/* Whose a backend is that two NICs of one VM share, one guest's cable at a time. */
enum kvmb_net_path { KVMB_NET_SYNTHETIC, KVMB_NET_EMULATED };

struct kvmb_net_backend { /* embed it */
	const struct kvmb_net_backend_ops *ops;
	/* atomic; each NIC asserts before a call that it is its own */
	enum kvmb_net_path path;
	bool vnet;
	/* frames that recv() has not given out wait in our memory: fd does not tell of them */
	bool more;
	bool has_mac;		       /* mac is its own: the NIC should have the same */
	uint8_t mac[6];
	uint32_t mtu;		       /* of the host's side, 0 = any */
	unsigned int num_queues;       /* >= 1 */
	char detail[64];	       /* "tap0", for humans */
	char problem[KVMB_NET_WHY];    /* why it is gone, if that is known; bus thread */
	int fd[KVMB_NET_MAX_QUEUES];   /* fd[num_queues], readable when a frame waits; -1 = never */
};

/** kvmb_net_path() - Whose it is. Any thread. */
static inline enum kvmb_net_path kvmb_net_path(const struct kvmb_net_backend *b)
{
	return __atomic_load_n(&b->path, __ATOMIC_ACQUIRE);
}

/** kvmb_net_set_path() - It changes hands: nobody is in it. */
static inline void kvmb_net_set_path(struct kvmb_net_backend *b, enum kvmb_net_path path)
{
	__atomic_store_n(&b->path, path, __ATOMIC_RELEASE);
}

/* Kinds of taps: an existing one, a macvtap, a new one on a bridge. */
enum kvmb_net_tap { KVMB_NET_TAP, KVMB_NET_MACVTAP, KVMB_NET_BRIDGE };

struct kvmb_net_want { /* what a user asks for; strings are borrowed */
	enum kvmb_net_tap kind;
	const char *ifname;	 /* of the interface, or of the bridge */
	unsigned int num_queues; /* 0 = @max, where the interface has several */
	unsigned int max;	 /* the most that the NIC can use */
	uint32_t mtu;		 /* of the interface at least; 0 = what it has, or the bridge has */
	const uint8_t *mac;	 /* of a macvtap; NULL = what it has */
};

struct kvmb_net_files { /* what a NIC's names stand for; of kvmb_net_tap_resolve() */
	int fd[KVMB_NET_MAX_QUEUES]; /* fd[num], owned: one a queue, non-blocking */
	unsigned int num;
	int channel;		     /* owned, to the keeper, who starts passt; 0 = none */
	bool in_use;		     /* another process has them as well: they stay as they are */
	uint32_t mtu;		     /* of the interface, 0 = unknown */
	bool has_mac;		     /* a macvtap: the NIC should have the same */
	uint8_t mac[6];
};

/**
 * kvmb_net_tap_resolve() - Open an interface, and give it MTU and address; or make one on a bridge
 * @w:   what is asked for
 * @out: filled on success. A tap on a bridge exists as long as its queues are open
 * @why: why[KVMB_NET_WHY], on failure one phrase for the user
 *
 * Return: 0 or -errno. Context: with the rights of the user; any thread, may sleep.
 */
int kvmb_net_tap_resolve(const struct kvmb_net_want *w, struct kvmb_net_files *out, char *why);

/**
 * kvmb_net_tap_adopt() - Queues of an interface that another process has open, instead
 * @w:   what is asked for
 * @fds: fds[num], hostile; taken over on success
 * @num: how many came
 * @out: filled on success
 * @why: why[KVMB_NET_WHY], on failure one phrase for the user
 *
 * Return: 0; -EINVAL: they are not what is asked for. Context: as kvmb_net_tap_resolve().
 */
int kvmb_net_tap_adopt(const struct kvmb_net_want *w, const int *fds, unsigned int num,
		       struct kvmb_net_files *out, char *why);

/** kvmb_net_files_close() - Close what nobody took; then there is none. */
void kvmb_net_files_close(struct kvmb_net_files *files);

/**
 * kvmb_net_host_mtu() - Change the MTU of a host's interface
 * @vm:     process id of the VM
 * @ifname: what a VM says that its interface is
 *
 * A VM that was taken over may say anything, so its descriptors are looked at (Linux 5.6).
 *
 * Return: 0; -ENODEV: it is no tap or macvtap that this process has open; another -errno.
 * Context: with the rights of the user.
 */
int kvmb_net_host_mtu(pid_t vm, const char *ifname, uint32_t mtu);

/**
 * kvmb_net_tap_open() - Use an interface that is open
 * @kind:  of it
 * @files: of kvmb_net_tap_resolve(); taken over on success
 * @why:   why[KVMB_NET_WHY], on failure one phrase for the user
 *
 * Return: the backend; NULL: what is open is no tap. Context: opens nothing. Trust: @files may have
 * come from any client of the control socket.
 */
struct kvmb_net_backend *kvmb_net_tap_open(enum kvmb_net_tap kind, struct kvmb_net_files *files,
					   char *why);

/**
 * kvmb_net_tap_fds() - Use queues that the caller has opened
 * @fds: fds[num], non-blocking, owned from now on: taps, or anything that moves one frame per
 *       call, with a virtio-net header before each
 * @num: queues
 *
 * Return: never NULL.
 */
struct kvmb_net_backend *kvmb_net_tap_fds(const int *fds, unsigned int num);

struct kvmb_passt_spec {
	/* forwards[num_forwards]: "[tcp:|udp:][ADDRESS/]HOST_PORT:GUEST_PORT", checked */
	const char *const *forwards;
	unsigned int num_forwards;
	uint32_t mtu;		     /* announced to the guest */
	unsigned int ready_ms;	     /* time to get ready, 0 = ten seconds */
};

/**
 * kvmb_net_passt_recipe() - Tell the keeper how passt is started
 * @spec: borrowed
 * @why:  why[KVMB_NET_WHY], on failure one phrase for the user
 *
 * Return: the channel for kvmb_net_passt_create(), or -errno: also when a port cannot be bound.
 * Context: with the rights of the user who asked for the NIC; any thread.
 */
int kvmb_net_passt_recipe(const struct kvmb_passt_spec *spec, char *why);

/**
 * kvmb_net_passt_create() - Start passt, unprivileged user-mode networking
 * @channel: of kvmb_net_passt_recipe(); owned from now on, also after a failure
 * @mtu:     of its recipe
 * @loop:    of the bus thread, which is the caller
 * @why:     why[KVMB_NET_WHY], on failure one phrase for the user
 *
 * passt is not ready when this returns: attach() and wait for the news, or call
 * kvmb_net_passt_wait().
 *
 * Return: the backend; NULL on failure.
 */
struct kvmb_net_backend *kvmb_net_passt_create(int channel, uint32_t mtu, struct kvmb_loop *loop,
					       char *why);

/**
 * kvmb_net_passt_wait() - Wait until passt is ready
 * @b:   of kvmb_net_passt_create()
 * @why: why[KVMB_NET_WHY], on failure one phrase for the user
 *
 * Return: 0 or -errno. Context: before the loop runs.
 */
int kvmb_net_passt_wait(struct kvmb_net_backend *b, char *why);

/** kvmb_net_none_open() - A NIC that is connected to nothing. Return: never NULL. */
struct kvmb_net_backend *kvmb_net_none_open(void);

/** kvmb_net_stream_open() - Frames over a connected stream socket in passt's framing; owns @fd. */
struct kvmb_net_backend *kvmb_net_stream_open(int fd);

#endif
