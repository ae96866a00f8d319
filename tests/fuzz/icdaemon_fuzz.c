// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest halves of data exchange and file copy: any request of a host for the daemons, and any
 * answer of a daemon for the host. What daemons count on is checked.
 */
#include <stdlib.h>

#include "vmbus-core/icdaemon.h"

static void need(int good)
{
	if (!good)
		abort();
}

static void check_item(const struct kvmb_kvpd_value *v)
{
	need(v->key_size <= sizeof(v->key) && v->value_size <= sizeof(v->value));
	need(memchr(v->key, 0, sizeof(v->key)) && memchr(v->value, 0, sizeof(v->value)));
}

static void exchange(u8 *p, u32 size, const u8 *rest, size_t left, u8 how)
{
	struct kvmb_kvpd question, answer;
	u8 *copy = malloc(size ? size : 1); /* exactly so long: a byte too far is seen */

	if (size)
		memcpy(copy, p, size);
	if (!kvmb_kvpd_request(copy, size, &question)) {
		need(question.pool < KVMB_KVP_POOLS);
		if (question.operation == KVMB_KVP_GET || question.operation == KVMB_KVP_SET)
			check_item(&question.item);
		if (question.operation == KVMB_KVP_DELETE)
			need(question.remove.key_size <= sizeof(question.remove.key) &&
			     memchr(question.remove.key, 0, sizeof(question.remove.key)));
		answer = question;
		if (how & 1)
			answer.status = 0;
		memcpy((u8 *)&answer + 4, rest,
		       left < sizeof(answer) - 4 ? left : sizeof(answer) - 4);
		kvmb_kvpd_reply(&answer, how & 2, copy, size);
	}
	free(copy);
}

static void copy_file(const u8 *p, u32 size)
{
	u8 *copy = malloc(size ? size : 1);
	union kvmb_fcopyd out;
	int n;

	if (size)
		memcpy(copy, p, size);
	n = kvmb_fcopyd_request(copy, size, &out);
	need(n <= (int)sizeof(out));
	if (n > 0 && out.operation == KVMB_FCOPY_WRITE)
		need(out.write.size <= sizeof(out.write.data));
	if (n > 0 && out.operation == KVMB_FCOPY_START)
		need(memchr(out.start.file, 0, KVMB_FCOPYD_NAME_MAX + 1) &&
		     memchr(out.start.path, 0, KVMB_FCOPYD_NAME_MAX + 1));
	free(copy);
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t size);
int LLVMFuzzerTestOneInput(const u8 *in, size_t size)
{
	static u8 p[8192];
	u32 len, most;
	u8 how;

	if (size < 4)
		return 0;
	how = in[0];
	len = (in[1] | (u32)in[2] << 8) % (sizeof(p) + 1);
	in += 3;
	size -= 3;
	/* a request as long as it should be, of which the input is the beginning */
	if (how & 4)
		len = how & 8 ? sizeof(struct kvmb_wire_kvp) : sizeof(struct kvmb_wire_kvp_ip);
	most = (u32)(size < len ? size : len);
	memset(p, 0, sizeof(p));
	memcpy(p, in, most);
	if (how & 16)
		copy_file(p, len);
	else
		exchange(p, len, in + most, size - most, how);
	return 0;
}
