/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of the kernel as ic-services/ic_chardev.c wants, for a test in user space: the test is
 * the daemon, and a thread asks it. A wait looks again each millisecond.
 */
#ifndef KVMB_KSHIM_H
#define KVMB_KSHIM_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "lib/loop.h"
#include "lib/util.h"
#include "vmbus-core/env.h"

#define __user
#define HZ 1000 /* a jiffy is a millisecond */
#define GFP_KERNEL 0
#define THIS_MODULE NULL
#define MISC_DYNAMIC_MINOR 255
#define EPOLLIN 1u
#define EPOLLERR 8u
#define EPOLLHUP 0x10u
#define EPOLLRDNORM 0x40u
#define IS_ERR(p) ((unsigned long)(p) > -4096ul)
#define PTR_ERR(p) ((long)(p))
#define ERR_PTR(e) ((void *)(long)(e))
#define min(a, b) KVMB_MIN(a, b)
#define max(a, b) KVMB_MAX(a, b)
/* which TSan takes for what they are */
#undef READ_ONCE
#undef WRITE_ONCE
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_SEQ_CST)

typedef unsigned int __poll_t;

/* ---- locks, references, memory ---- */

struct mutex {
	pthread_mutex_t m;
};
#define mutex_init(l) pthread_mutex_init(&(l)->m, NULL)
#define mutex_lock(l) pthread_mutex_lock(&(l)->m)
#define mutex_unlock(l) pthread_mutex_unlock(&(l)->m)

struct kref {
	int n;
};

static inline void kref_init(struct kref *k)
{
	k->n = 1;
}

static inline void kref_get(struct kref *k)
{
	__atomic_add_fetch(&k->n, 1, __ATOMIC_SEQ_CST);
}

static inline void kref_put(struct kref *k, void (*release)(struct kref *k))
{
	if (!__atomic_sub_fetch(&k->n, 1, __ATOMIC_SEQ_CST))
		release(k);
}

#define kzalloc(size, flags) calloc(1, size)
#define kfree(p) free(p)

static inline unsigned long copy_to_user(void *to, const void *from, size_t n)
{
	memcpy(to, from, n);
	return 0;
}

static inline void *memdup_user(const void *from, size_t n)
{
	return memcpy(kvmb_xzalloc(n), from, n);
}

/* ---- waiting ---- */

typedef struct {
	int unused;
} wait_queue_head_t;
#define init_waitqueue_head(q) ((void)(q))
#define wake_up_all(q) ((void)(q))

#define wait_event_idle_timeout(q, condition, jiffies)                   \
	({                                                               \
		uint64_t until_ = kvmb_now_ms() + (uint64_t)(jiffies);   \
		bool is_;                                                \
		while (!(is_ = (condition)) && kvmb_now_ms() < until_)   \
			usleep(1000);                                    \
		is_ ? KVMB_MAX((long)(until_ - kvmb_now_ms()), 1l) : 0l; \
	})

#define wait_event_interruptible(q, condition) \
	({                                     \
		while (!(condition))           \
			usleep(1000);          \
		0;                             \
	})

/* ---- files and the device ---- */

struct inode;
struct file {
	void *private_data;
	unsigned int f_flags;
};
typedef struct {
	int unused;
} poll_table;
#define poll_wait(file, q, table) ((void)(table))

struct file_operations {
	void *owner;
	int (*open)(struct inode *inode, struct file *file);
	int (*release)(struct inode *inode, struct file *file);
	ssize_t (*read)(struct file *file, char *to, size_t n, loff_t *pos);
	ssize_t (*write)(struct file *file, const char *from, size_t n, loff_t *pos);
	__poll_t (*poll)(struct file *file, poll_table *table);
};

struct miscdevice {
	int minor;
	const char *name;
	const struct file_operations *fops;
};

extern struct miscdevice *kshim_misc; /* the device that is registered, NULL = none */

static inline int misc_register(struct miscdevice *m)
{
	kshim_misc = m;
	return 0;
}

static inline void misc_deregister(struct miscdevice *m)
{
	(void)m;
	kshim_misc = NULL;
}

#endif
