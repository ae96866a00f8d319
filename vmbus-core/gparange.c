// SPDX-License-Identifier: GPL-2.0-only
/* GPA ranges: validation and iteration over private copies. */
#include "vmbus-core/gparange.h"

int kvmb_gparange_pages(u32 byte_count, u32 byte_offset, u32 *pages)
{
	u32 end;

	if (!byte_count || byte_offset >= KVMB_PAGE_SIZE ||
	    check_add_overflow(byte_count, byte_offset, &end))
		return -EPROTO;
	*pages = (end >> KVMB_PAGE_SHIFT) + !!(end & (KVMB_PAGE_SIZE - 1));
	return 0;
}

int kvmb_gparange_next(struct kvmb_gparange_iter *it, struct kvmb_gparange *r)
{
	const struct kvmb_wire_gparange *w = (const void *)it->p;
	int err;

	if (!it->left)
		return -EAGAIN;
	if (it->bytes < sizeof(*w))
		return -EPROTO;
	r->byte_count = le32_to_cpu(w->byte_count);
	r->byte_offset = le32_to_cpu(w->byte_offset);
	err = kvmb_gparange_pages(r->byte_count, r->byte_offset, &r->num_pages);
	if (err)
		return err;
	if (r->num_pages > (it->bytes - sizeof(*w)) / sizeof(w->pfns[0]))
		return -EPROTO;
	r->pfns = w->pfns;
	it->p += sizeof(*w) + r->num_pages * sizeof(w->pfns[0]);
	it->bytes -= (u32)(sizeof(*w) + r->num_pages * sizeof(w->pfns[0]));
	it->left--;
	return 0;
}
