/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The io_urings of a VM's storage channels.
 *
 * DOC: Theory of operation
 *
 * All of them are made at once, before a guest runs, because a sandbox forbids to make more: what
 * an io_uring does passes by filters of system calls. Therefore each one is restricted, before it
 * is enabled, to what storage channels do with it (Linux 5.10 or later): it can neither open a file
 * nor connect a socket. A channel takes one when it opens and gives it back when it closes, with
 * nothing under way.
 *
 * A ring takes two pages of the kernel and two of address space.
 *
 * Source: io_uring_register(2), IORING_REGISTER_RESTRICTIONS.
 */
#ifndef KVMB_STORAGE_RING_H
#define KVMB_STORAGE_RING_H

#include <stdbool.h>

struct io_uring;
struct kvmb_rings;

/**
 * kvmb_rings_create() - Make io_urings
 * @num:    how many; as many channels as may be open at once
 * @strict: rather none than some that this kernel cannot restrict
 *
 * There may be fewer, or none: the channels that get none use threads. Return: never NULL.
 */
struct kvmb_rings *kvmb_rings_create(unsigned int num, bool strict);

/** kvmb_rings_destroy() - When all have been given back. NULL is fine. */
void kvmb_rings_destroy(struct kvmb_rings *r);

/**
 * kvmb_rings_error() - Why is there none?
 * Return: 0 when there is one; -EOPNOTSUPP: it could not be restricted; another -errno. Any thread.
 */
int kvmb_rings_error(const struct kvmb_rings *r);

/** kvmb_rings_restricted() - Can this kernel restrict them to what they are for? Any thread. */
bool kvmb_rings_restricted(const struct kvmb_rings *r);

/**
 * kvmb_rings_take() - Take one for a channel
 * @ring:  filled
 * @slots: has it a table of files, empty, one slot a unit?
 *
 * Return: false when there is none. Context: bus thread.
 */
bool kvmb_rings_take(struct kvmb_rings *r, struct io_uring *ring, bool *slots);

/**
 * kvmb_rings_give() - Give one back
 * @ring: nothing is under way, all completions were seen, its slots are empty
 *
 * Context: bus thread.
 */
void kvmb_rings_give(struct kvmb_rings *r, const struct io_uring *ring);

#endif
