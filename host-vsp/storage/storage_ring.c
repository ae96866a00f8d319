// SPDX-License-Identifier: GPL-2.0-only
/* Making and restricting io_urings; storage_ring.h explains. */
#include "host-vsp/storage/storage_ring.h"

#include <liburing.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host-vsp/storage/storage.h"
#include "lib/util.h"

#define ENTRIES 64

struct pooled_ring {
	struct io_uring ring;
	bool taken, slots;
};

struct kvmb_rings { /* bus thread */
	unsigned int num;
	int err; /* why there are not more */
	bool restricted;
	struct pooled_ring rings[]; /* rings[num] */
};

/* storage_io.c and storage_worker.c; TIMEOUT is liburing's for a wait, before Linux 5.11 */
static const __u8 operations[] = { IORING_OP_READV,	IORING_OP_WRITEV,   IORING_OP_FSYNC,
				   IORING_OP_FALLOCATE, IORING_OP_POLL_ADD, IORING_OP_POLL_REMOVE,
				   IORING_OP_TIMEOUT };

/* liburing 2.3 declares functions for these, but does not export them. */
static int register_with(struct io_uring *ring, unsigned int what, const void *arg, unsigned int n)
{
	return syscall(SYS_io_uring_register, ring->ring_fd, what, arg, n) < 0 ? -errno : 0;
}

static int restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction r[ARRAY_SIZE(operations) + 2] = { 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		r[i].opcode = IORING_RESTRICTION_SQE_OP;
		r[i].sqe_op = operations[i];
	}
	r[i].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	r[i++].sqe_flags = IOSQE_FIXED_FILE;
	r[i].opcode = IORING_RESTRICTION_REGISTER_OP;
	r[i++].register_op = IORING_REGISTER_FILES_UPDATE;
	return register_with(ring, IORING_REGISTER_RESTRICTIONS, r, i);
}

/* Return: 0, or -errno with nothing made. */
static int make_ring(struct pooled_ring *p, bool restricted)
{
	int none[KVMB_STORAGE_MAX_LUNS];
	int err = io_uring_queue_init(
		ENTRIES, &p->ring, IORING_SETUP_CLAMP | (restricted ? IORING_SETUP_R_DISABLED : 0));

	if (err)
		return err;
	/* saves looking descriptors up; where the kernel refuses, plain ones do */
	memset(none, 0xff, sizeof(none));
	p->slots = !io_uring_register_files(&p->ring, none, ARRAY_SIZE(none));
	err = restricted ? restrict_ring(&p->ring) : 0;
	if (!err && restricted)
		err = register_with(&p->ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (err)
		io_uring_queue_exit(&p->ring);
	return err;
}

struct kvmb_rings *kvmb_rings_create(unsigned int num, bool strict)
{
	struct kvmb_rings *r = kvmb_xzalloc(sizeof(*r) + num * sizeof(r->rings[0]));

	r->restricted = true;
	while (r->num < num && !r->err) {
		r->err = make_ring(&r->rings[r->num], r->restricted);
		if (r->err == -EINVAL && r->restricted) { /* Linux before 5.10 */
			r->restricted = false;
			r->err = strict ? -EOPNOTSUPP : 0;
		} else if (!r->err) {
			r->num++;
		}
	}
	return r;
}

void kvmb_rings_destroy(struct kvmb_rings *r)
{
	unsigned int i;

	for (i = 0; r && i < r->num; i++) {
		kvmb_assert(!r->rings[i].taken);
		io_uring_queue_exit(&r->rings[i].ring);
	}
	free(r);
}

int kvmb_rings_error(const struct kvmb_rings *r)
{
	return r->num ? 0 : r->err;
}

bool kvmb_rings_restricted(const struct kvmb_rings *r)
{
	return r->restricted;
}

bool kvmb_rings_take(struct kvmb_rings *r, struct io_uring *ring, bool *slots)
{
	unsigned int i;

	for (i = 0; i < r->num; i++) {
		if (r->rings[i].taken)
			continue;
		r->rings[i].taken = true;
		*ring = r->rings[i].ring;
		*slots = r->rings[i].slots;
		return true;
	}
	return false;
}

void kvmb_rings_give(struct kvmb_rings *r, const struct io_uring *ring)
{
	unsigned int i;

	for (i = 0; i < r->num && r->rings[i].ring.ring_fd != ring->ring_fd; i++)
		;
	kvmb_assert(i < r->num && r->rings[i].taken);
	r->rings[i].ring = *ring; /* it counts what was submitted */
	r->rings[i].taken = false;
}
