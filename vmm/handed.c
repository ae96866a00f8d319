// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors that a VM hands over: handed.h. */
#include "vmm/handed.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fdpass.h"
#include "lib/tlv.h"
#include "lib/util.h"

/* ---- sending ---- */

static int send_byte(struct mig_stream *s, const int *fds, u32 num)
{
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };
	ssize_t n;

	do {
		n = kvmb_send_fds(s->fd, "d", 1, fds, (int)num);
	} while (n == -EAGAIN && poll(&p, 1, (int)MIG_PATIENCE_MS) > 0);
	if (n == 1)
		__atomic_fetch_add(&s->sent, 1, __ATOMIC_RELAXED);
	return n == 1 ? 0 : n == -ECONNRESET ? -EPIPE : (int)n;
}

static int send_one(struct mig_stream *s, enum handed_kind kind, u32 index, const int *fds, u32 num)
{
	struct kvmb_tlv_out o = { 0 };
	int err;

	kvmb_tlv_begin(&o, KVMB_SEC_HANDED, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&o, HANDED_KIND, kind);
	kvmb_tlv_put(&o, HANDED_INDEX, index);
	kvmb_tlv_put(&o, HANDED_NUM, num);
	kvmb_tlv_end(&o);
	err = o.failed ? -ENOMEM : send_byte(s, fds, num);
	if (!err)
		err = mig_send(s, o.buf, o.len);
	kvmb_tlv_out_fini(&o);
	return err;
}

int handed_send(struct mig_stream *s, const struct vm_handed *h)
{
	int err = send_one(s, HANDED_MEMORY, 0, &h->memory, 1);
	u32 i;

	for (i = 0; i < HANDED_DISKS && !err; i++) {
		if (h->disks[i])
			err = send_one(s, HANDED_DISK, i, &h->disks[i], 1);
	}
	for (i = 0; i < KVMB_MAX_NICS && !err; i++) {
		if (h->nics[i].num)
			err = send_one(s, HANDED_NIC, i, h->nics[i].fd, h->nics[i].num);
	}
	return err ? err : send_one(s, HANDED_ALL, 0, NULL, 0);
}

void handed_put_stopped(struct kvmb_tlv_out *o, u64 ns)
{
	kvmb_tlv_begin(o, KVMB_SEC_HANDED, 0, 0);
	kvmb_tlv_put(o, HANDED_KIND, HANDED_STOPPED);
	kvmb_tlv_put(o, HANDED_NS, ns);
	kvmb_tlv_end(o);
}

/* ---- receiving ---- */

static int recv_byte(struct mig_stream *s, int *fds, int *num)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	ssize_t n;
	char byte;

	if (poll(&p, 1, (int)MIG_PATIENCE_MS) <= 0) {
		*num = 0;
		return -ETIMEDOUT;
	}
	n = kvmb_recv_fds(s->fd, &byte, 1, fds, num, MSG_DONTWAIT);
	if (n == 1)
		s->received++;
	else
		*num = 0;
	return n == 1 ? 0 : !n || n == -ECONNRESET ? -EPIPE : (int)n;
}

/* Return: where it was put, or NULL: that is not there, or was there already. */
static const char *put(struct vm_handed *h, enum handed_kind kind, u32 index, const int *fds,
		       u32 num)
{
	if (kind == HANDED_MEMORY && num == 1 && !h->memory) {
		h->memory = fds[0];
	} else if (kind == HANDED_DISK && num == 1 && index < HANDED_DISKS && !h->disks[index]) {
		h->disks[index] = fds[0];
	} else if (kind == HANDED_NIC && num && num <= KVMB_NET_MAX_QUEUES &&
		   index < KVMB_MAX_NICS && !h->nics[index].num) {
		memcpy(h->nics[index].fd, fds, num * sizeof(*fds));
		h->nics[index].num = num;
	} else {
		return kind == HANDED_ALL && !num && h->memory ? "all" : NULL;
	}
	return "one";
}

static int no_section(const struct mig_section *sec, int err, char *why)
{
	bool word = sec->t.tag == KVMB_SEC_WORD;

	snprintf(why, MIG_WHY, "%.*s", MIG_WHY - 1,
		 sec->error.text[0] ? sec->error.text :
		 err		    ? mig_why(err) :
		 word		    ? "it has given up" :
				      "section handed: it is missing");
	return err ? err : -EPROTO;
}

/* Return: 0; 1: that was all; -errno with @why. */
static int receive_one(struct mig_stream *s, struct mig_section *sec, struct vm_handed *h,
		       char *why)
{
	int fds[KVMB_FDPASS_MAX], num = KVMB_FDPASS_MAX, err = recv_byte(s, fds, &num);
	const char *what = NULL;
	enum handed_kind kind;
	u32 index;

	sec->error.text[0] = 0;
	if (!err)
		err = mig_recv_section(s, sec);
	if (err || sec->t.tag != KVMB_SEC_HANDED) {
		err = no_section(sec, err, why);
	} else {
		kind = (enum handed_kind)kvmb_tlv_get(&sec->t, HANDED_KIND, HANDED_KINDS - 1);
		index = (u32)kvmb_tlv_get(&sec->t, HANDED_INDEX, UINT32_MAX);
		if (kvmb_tlv_get(&sec->t, HANDED_NUM, KVMB_FDPASS_MAX) != (u64)num)
			kvmb_tlv_refuse(&sec->t, HANDED_NUM, "others came with it");
		if (!kvmb_tlv_done(&sec->t))
			what = put(h, kind, index, fds, (u32)num);
		if (what)
			return !strcmp(what, "all");
		snprintf(why, MIG_WHY, "%.*s", MIG_WHY - 1,
			 sec->error.text[0] ?
				 sec->error.text :
				 "section handed: it is for what there is not, or comes twice");
		err = -EPROTO;
	}
	while (num > 0)
		close(fds[--num]);
	return err;
}

int handed_receive(struct mig_stream *s, struct vm_handed *h, char *why)
{
	struct mig_section sec = { 0 };
	int err;

	do
		err = receive_one(s, &sec, h, why);
	while (!err);
	mig_section_fini(&sec);
	h->bytes = s->received;
	return KVMB_MIN(err, 0);
}

int handed_take_stopped(struct vm_handed *h, struct kvmb_tlv *t)
{
	kvmb_tlv_get(t, HANDED_KIND, HANDED_KINDS - 1);
	h->stopped_ns = kvmb_tlv_get(t, HANDED_NS, UINT64_MAX);
	return kvmb_tlv_done(t);
}

/* ---- all of them ---- */

/* Return: the next after *@at, 0 = no more. */
static int *each(struct vm_handed *h, u32 *at)
{
	u32 i = (*at)++, nic;

	if (!i)
		return &h->memory;
	if (--i < HANDED_DISKS)
		return &h->disks[i];
	i -= HANDED_DISKS;
	nic = i / KVMB_NET_MAX_QUEUES;
	i %= KVMB_NET_MAX_QUEUES;
	return nic < KVMB_MAX_NICS ? &h->nics[nic].fd[i] : NULL;
}

bool handed_has(const struct vm_handed *h, int fd)
{
	const int *p;
	u32 at = 0;

	do
		p = each((struct vm_handed *)h, &at);
	while (p && *p != fd);
	return p && fd;
}

void handed_close(struct vm_handed *h)
{
	u32 at = 0;
	int *p;

	while ((p = each(h, &at))) {
		if (*p > 0)
			close(*p);
		*p = 0;
	}
	if (h->process >= 0)
		close(h->process);
	h->process = -1;
}
