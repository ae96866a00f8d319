// SPDX-License-Identifier: GPL-2.0-only
/* Iovecs over guest memory. */
#include "backend/iov.h"

#include "lib/dirty_log.h"
#include "lib/util.h"

void kvmb_iov_read(const struct iovec *iov, int num, u64 off, void *buf, u32 len)
{
	u8 *to = buf;
	int i;

	for (i = 0; i < num && len; i++) {
		u32 n;

		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		n = (u32)KVMB_MIN((u64)len, iov[i].iov_len - off);
		memcpy(to, (u8 *)iov[i].iov_base + off, n);
		to += n;
		len -= n;
		off = 0;
	}
}

void kvmb_iov_write(const struct iovec *iov, int num, const void *buf, u32 len)
{
	const u8 *from = buf;
	int i;

	for (i = 0; i < num && len; i++) {
		u32 n = (u32)KVMB_MIN((size_t)len, iov[i].iov_len);

		memcpy(iov[i].iov_base, from, n);
		kvmb_dirty(iov[i].iov_base, n);
		from += n;
		len -= n;
	}
}

bool kvmb_iov_equal(const struct iovec *iov, int num, const void *buf, u32 len)
{
	const u8 *p = buf;
	int i;

	for (i = 0; i < num && len; i++) {
		u32 n = (u32)KVMB_MIN((size_t)len, iov[i].iov_len);

		if (memcmp(iov[i].iov_base, p, n))
			return false;
		p += n;
		len -= n;
	}
	return !len;
}

int kvmb_iov_slice(const struct iovec *iov, int num, u64 off, u32 len, struct iovec *out)
{
	int i, n = 0;

	for (i = 0; i < num && len; i++) {
		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		out[n].iov_base = (u8 *)iov[i].iov_base + off;
		out[n].iov_len = KVMB_MIN((size_t)len, iov[i].iov_len - off);
		len -= (u32)out[n++].iov_len;
		off = 0;
	}
	return n;
}
