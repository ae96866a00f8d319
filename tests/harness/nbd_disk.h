/* SPDX-License-Identifier: GPL-2.0-only */
/* A disk at a scripted server (nbd_server.h), for disk_nbd_log_test.c and disk_nbd_conn_test.c. */
#ifndef KVMB_NBD_DISK_H
#define KVMB_NBD_DISK_H

#include <dlfcn.h>
#include <sys/resource.h>

#include "tests/harness/disk_io.h"
#include "tests/harness/keeper.h"
#include "tests/harness/nbd_server.h"

#define S(name) cmocka_unit_test_setup_teardown(name, setup, srv_teardown)
#define SRV_BYTES (16u << 20)
#define NORMAL (NBD_SRV_HAS_FLUSH | NBD_SRV_HAS_FUA | NBD_SRV_HAS_ZERO)

static struct nbd_srv srv;
static char srv_why[KVMB_DISK_WHY];

/* @timeout_s: by the clock of the test. Return: kvmb_disk_open()'s, with srv_why. */
static inline int open_srv(u16 flags, u32 timeout_s, u32 min_block)
{
	struct kvmb_disk_spec spec = { .timeout_s = timeout_s };
	char path[64], uri[128];

	srv = (struct nbd_srv){ .min_block = min_block };
	snprintf(path, sizeof(path), "%.40s/sock", dir);
	nbd_srv_start(&srv, path, SRV_BYTES, flags);
	snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s", path);
	spec.path = uri;
	srv_why[0] = 0;
	return open_named(&spec, &d, srv_why, sizeof(srv_why));
}

static inline int srv_teardown(void **state)
{
	kvmb_disk_close(d);
	d = NULL;
	nbd_srv_stop(&srv);
	return teardown(state);
}

static inline void letter(struct io *io, enum kvmb_io what, u64 block, u8 c)
{
	memset(io->buf, c, BLOCK);
	start_io(io, what, block);
}

static inline int write_letter(struct io *io, u64 block, u8 c)
{
	letter(io, KVMB_IO_WRITE, block, c);
	return wait_io(io);
}

static inline int read_letter(struct io *io, u64 block)
{
	int err;

	memset(io->buf, 0xee, BLOCK);
	err = do_io(io, KVMB_IO_READ, block);
	return err ? err : io->buf[0];
}

/* Is it answered within @ms? It may be asked for again. */
static inline bool answered(struct io *io, u32 ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ms * 1000000l;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	if (sem_timedwait(&io->done, &until))
		return false;
	sem_post(&io->done);
	return true;
}

/* How often the server has applied a write that begins with @c. */
static inline u32 landed(u8 c)
{
	u32 i, n = 0;

	pthread_mutex_lock(&srv.lock);
	for (i = 0; i < srv.journaled; i++)
		n += srv.journal[i] == c;
	pthread_mutex_unlock(&srv.lock);
	return n;
}

static inline bool have_libnbd(void)
{
	void *lib = dlopen("libnbd.so.0", RTLD_NOW | RTLD_LOCAL);

	if (lib)
		dlclose(lib);
	return lib;
}

static inline u64 cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u64)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
	       (u64)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

static inline u64 resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long all = 0, pages = 0;

	assert_int_equal(fscanf(f, "%lu %lu", &all, &pages), 2);
	fclose(f);
	return pages * 4096ull;
}

#endif
