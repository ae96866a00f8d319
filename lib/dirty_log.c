// SPDX-License-Identifier: GPL-2.0-only
/* A bitmap of pages that we have written, and when it is looked at. Theory: dirty_log.h. */
#include "lib/dirty_log.h"

#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/util.h"

#define PAGE ((size_t)1 << KVMB_DIRTY_SHIFT)
#define WORD 64u /* pages in a word of the bitmap */

bool kvmb_dirty_log_flag;

static struct {
	uintptr_t ram;
	size_t len;
	uint64_t *bits; /* atomic; bits[words()]; NULL before the first log */
} noted;		/* changes only while the flag is unset */

static size_t words(void)
{
	return (noted.len / PAGE + WORD - 1) / WORD;
}

static int fence_all(int command)
{
	return syscall(SYS_membarrier, command, 0, 0) ? -errno : 0;
}

int kvmb_dirty_fence(void)
{
	return fence_all(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

int kvmb_dirty_log_prepare(void)
{
	return fence_all(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

/* All clean. The zeroes of an unused bitmap cost no memory. */
static int make_bits(uintptr_t ram, size_t len)
{
	void *p;

	if (noted.bits && (noted.ram != ram || noted.len != len)) {
		munmap(noted.bits, words() * sizeof(*noted.bits));
		noted.bits = NULL;
	}
	if (noted.bits) /* what was noted on the way out of the last log, too */
		return madvise(noted.bits, words() * sizeof(*noted.bits), MADV_DONTNEED) ? -errno :
											   0;
	noted.ram = ram;
	noted.len = len;
	p = mmap(NULL, words() * sizeof(*noted.bits), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	noted.bits = p;
	return 0;
}

int kvmb_dirty_log_begin(const void *ram, size_t len)
{
	int err;

	kvmb_assert(!kvmb_dirty_log_flag && len && !((uintptr_t)ram % PAGE) && !(len % PAGE));
	err = make_bits((uintptr_t)ram, len);
	if (err)
		return err;
	__atomic_store_n(&kvmb_dirty_log_flag, true, __ATOMIC_SEQ_CST);
	err = kvmb_dirty_fence();
	if (err)
		kvmb_dirty_log_end();
	return err;
}

void kvmb_dirty_log_end(void)
{
	__atomic_store_n(&kvmb_dirty_log_flag, false, __ATOMIC_SEQ_CST);
}

void kvmb_dirty_log_take(uint64_t *bits, size_t first, size_t num)
{
	size_t w = first / WORD, end = (first + num + WORD - 1) / WORD;

	kvmb_assert(!(first % WORD) && end <= words());
	for (; w < end; w++, bits++) {
		/* a bit that is set now is one of the next time */
		if (__atomic_load_n(&noted.bits[w], __ATOMIC_RELAXED))
			*bits |= __atomic_exchange_n(&noted.bits[w], 0, __ATOMIC_SEQ_CST); /* L' */
	}
}

void kvmb_dirty_log_note(const void *p, size_t len)
{
	uintptr_t at;
	size_t page, last, n;

	/* who saw the flag sees what it needs: kvmb_dirty_log_on() acquires */
	at = (uintptr_t)p - noted.ram;
	if (at >= noted.len || !len)
		return;
	last = (at + KVMB_MIN(len, noted.len - at) - 1) / PAGE;
	for (page = at / PAGE; page <= last; page += n) {
		n = KVMB_MIN(WORD - page % WORD, last - page + 1);
		__atomic_fetch_or(&noted.bits[page / WORD],
				  (n == WORD ? ~0ull : (1ull << n) - 1) << page % WORD,
				  __ATOMIC_SEQ_CST); /* Barrier L */
	}
}

void kvmb_dirty_iov_note(const struct iovec *iov, int num, size_t len)
{
	size_t n;

	for (; num-- && len; iov++, len -= n) {
		n = KVMB_MIN(len, iov->iov_len);
		kvmb_dirty_log_note(iov->iov_base, n);
	}
}
