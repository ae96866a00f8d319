// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page lists: telling the host which pages it may use, and taking them back.
 *
 * A list is one range of whole pages. It is sent as a header and as many bodies as it needs; the
 * host answers once. If the host does not answer, it may use the pages or not, so the caller leaks
 * them.
 *
 * Sources: Linux 6.1 drivers/hv/channel.c vmbus_establish_gpadl(); docs/protocol.md#3.11.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "guest-vsc/bus/bus_priv.h"

#define HEADER_PFNS ((HV_MESSAGE_PAYLOAD_MAX - sizeof(struct kvmb_wire_gpadl_header) - \
		      sizeof(struct kvmb_wire_gparange)) / sizeof(__le64))
#define BODY_PFNS ((HV_MESSAGE_PAYLOAD_MAX - sizeof(struct kvmb_wire_gpadl_body)) / sizeof(__le64))

union gpadl_msg {
	u8 raw[HV_MESSAGE_PAYLOAD_MAX];
	struct {
		struct kvmb_wire_gpadl_header h;
		u8 range[HV_MESSAGE_PAYLOAD_MAX - sizeof(struct kvmb_wire_gpadl_header)];
	} header;
	struct kvmb_wire_gpadl_body body;
} __aligned(8);

static void put_pfn(void *to, struct page *page)
{
	__le64 pfn = cpu_to_le64(page_to_pfn(page));

	memcpy(to, &pfn, sizeof(pfn)); /* the header's list is not aligned */
}

static int send_list(struct kvmb_chan *ch, struct page **pages, u32 num, u32 handle)
{
	struct kvmb_wire_gparange range = { .byte_count = cpu_to_le32(num * KVMB_PAGE_SIZE) };
	union gpadl_msg *m;
	u32 done, i, n;
	int err;

	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (!m)
		return -ENOMEM;
	m->header.h.relid = cpu_to_le32(ch->relid);
	m->header.h.gpadl = cpu_to_le32(handle);
	m->header.h.range_count = cpu_to_le16(1);
	/* 16 bits: long lists are cut, and every host computes it from the range */
	m->header.h.range_buflen = cpu_to_le16((u16)(sizeof(range) + num * sizeof(__le64)));
	memcpy(m->header.range, &range, sizeof(range));
	done = min_t(u32, num, HEADER_PFNS);
	for (i = 0; i < done; i++)
		put_pfn(m->header.range + sizeof(range) + i * sizeof(__le64), pages[i]);
	err = kvmb_post_msg(KVMB_MSG_GPADL_HEADER, m,
			    sizeof(m->header.h) + sizeof(range) + done * sizeof(__le64), true);
	if (err)
		num = 0;
	while (!err && done < num) {
		n = min_t(u32, num - done, BODY_PFNS);
		memset(m, 0, sizeof(*m));
		m->body.gpadl = cpu_to_le32(handle);
		for (i = 0; i < n; i++)
			put_pfn(m->raw + sizeof(m->body) + i * sizeof(__le64), pages[done + i]);
		err = kvmb_post_msg(KVMB_MSG_GPADL_BODY, m, sizeof(m->body) + n * sizeof(__le64),
				    true);
		done += n;
	}
	kfree(m);
	/* the host has the header, and with it numbers of pages: they are not ours any more */
	return err && num ? -ETIMEDOUT : err;
}

int kvmb_gpadl_from_pages(struct kvmb_chan *ch, struct page **pages, u32 num, u32 *handle)
{
	u32 id = (u32)atomic_inc_return(&kvmb.next_gpadl);
	struct kvmb_wire_gpadl_created r;
	struct kvmb_wait w;
	int err;

	kvmb_wait_begin(&w, KVMB_MSG_GPADL_CREATED, id, ch);
	err = send_list(ch, pages, num, id);
	if (err) {
		kvmb_wait_cancel(&w);
		return err;
	}
	err = kvmb_wait_end(&w, KVMB_WAIT_S);
	if (err)
		return err;
	memcpy(&r, w.buf, sizeof(r));
	if (le32_to_cpu(r.status))
		return -EIO;
	*handle = id;
	return 0;
}

int kvmb_gpadl_teardown(struct kvmb_chan *ch, u32 handle)
{
	struct kvmb_wire_gpadl_teardown m = {
		.relid = cpu_to_le32(ch->relid), .gpadl = cpu_to_le32(handle),
	};
	struct kvmb_wire_gpadl_torndown r;
	int err;

	/* a host that rescinded a channel is off its pages: docs/protocol.md#3.17 */
	if (kvmb_chan_gone(ch))
		return 0;
	err = kvmb_ask(KVMB_MSG_GPADL_TEARDOWN, &m, sizeof(m), KVMB_MSG_GPADL_TORNDOWN, handle, ch,
		       &r, sizeof(r));
	return err == -ENODEV ? 0 : err;
}

int kvmb_gpadl_create(struct kvmb_chan *ch, void *addr, u32 size, struct kvmb_gpadl *g)
{
	u32 num = size / KVMB_PAGE_SIZE, i;
	struct page **pages;
	int err;

	pages = kvmalloc_array(num, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	for (i = 0; i < num; i++)
		pages[i] = vmalloc_to_page(addr + (size_t)i * KVMB_PAGE_SIZE);
	err = kvmb_gpadl_from_pages(ch, pages, num, &g->handle);
	kvfree(pages);
	if (err)
		return err;
	g->addr = addr;
	g->size = size;
	return 0;
}
EXPORT_SYMBOL_GPL(kvmb_gpadl_create);

int kvmb_gpadl_destroy(struct kvmb_chan *ch, struct kvmb_gpadl *g)
{
	int err = kvmb_gpadl_teardown(ch, g->handle);

	g->handle = 0;
	return err;
}
EXPORT_SYMBOL_GPL(kvmb_gpadl_destroy);
