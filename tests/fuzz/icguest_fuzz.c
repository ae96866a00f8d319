// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest's integration service does with any request of a host: parse, choose versions,
 * answer in place.
 */
#include <stdlib.h>

#include "vmbus-core/icmsg.h"

int LLVMFuzzerTestOneInput(const u8 *in, size_t size);
int LLVMFuzzerTestOneInput(const u8 *in, size_t size)
{
	static const u32 fw[] = { KVMB_IC_FW_3, KVMB_IC_FW_1 };
	static const u32 versions[] = { KVMB_IC_VERSION(4, 0), KVMB_IC_VERSION(3, 0),
					KVMB_IC_VERSION(1, 0) };
	u32 f = 0, v = 0, f2, v2, len = (u32)(size > 8192 ? 8192 : size);
	struct kvmb_icmsg m;
	u8 *buf = malloc(len ? len : 1); /* exactly so long: a byte too far is seen */

	if (len)
		memcpy(buf, in, len);
	if (!kvmb_icmsg_parse(buf, len, &m)) {
		if (!kvmb_icmsg_choose(&m, fw, 2, versions, 3, &f, &v)) {
			kvmb_icmsg_reply_negotiate(buf, f, v);
			/* our own host half must understand it */
			if (kvmb_icmsg_parse(buf, len, &m) ||
			    kvmb_icmsg_parse_negotiated(&m, &f2, &v2) || f2 != f || v2 != v)
				abort();
		} else {
			kvmb_icmsg_reply(buf, KVMB_IC_STATUS_FAIL);
		}
	}
	free(buf);
	return 0;
}
