/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each thread is for.
 *
 * Every thread says its class and takes its name first thing. Who confines threads by class sets a
 * hook; until then entering only names the thread. A thread names itself because another one would
 * have to open a file in /proc for that.
 */
#ifndef KVMB_THREAD_H
#define KVMB_THREAD_H

enum kvmb_thread_class {
	KVMB_THREAD_MAIN,    /* the event loop */
	KVMB_THREAD_VCPU,    /* KVM_RUN and its exits */
	KVMB_THREAD_STORAGE, /* a channel of a SCSI controller; a raw disk's I/O without a ring */
	KVMB_THREAD_NET,     /* one open channel of a NIC */
	KVMB_THREAD_DISK,    /* the connection of one disk that has a server */
	KVMB_THREAD_JOB,     /* opens, resizes or closes one disk */
	KVMB_THREAD_SINK,    /* writes serial output into a file */
	KVMB_THREAD_GUARD,   /* takes signals while the loop does not run */
	KVMB_THREAD_OVERDUE, /* says where a VM hangs */
	KVMB_THREAD_SOCKET,  /* the data of all sockets of the guest */
	KVMB_THREAD_NUM
};

/**
 * kvmb_thread_enter() - First thing in every thread's function
 * @class: what this thread is for
 * @name:  at most 15 characters, shown by ps; NULL keeps the one that it has
 *
 * On the main thread: when all is built, before the guest runs. What the hook does to the thread
 * cannot be undone.
 */
void kvmb_thread_enter(enum kvmb_thread_class class, const char *name);

/**
 * kvmb_thread_on_enter() - Have each thread call @hook when it enters
 * @hook: called on that thread, after it has its name; NULL for none
 * Context: while there is one thread.
 */
void kvmb_thread_on_enter(void (*hook)(enum kvmb_thread_class class));

/** kvmb_thread_class_name() - "vcpu" for KVMB_THREAD_VCPU. */
const char *kvmb_thread_class_name(enum kvmb_thread_class class);

#endif
