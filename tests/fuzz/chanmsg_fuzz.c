// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control messages in every state: the input is a list of messages, devices coming and
 * going, providers that finish late, a guest that stops reading.
 */
#include "tests/fuzz/fuzz_bus.h"

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	static struct fake_vmm f;
	struct kvmb_wire_offer offers[4];
	struct kvmb_chan *extra = NULL;
	u8 buf[240] __attribute__((aligned(8)));
	u32 len;

	fuzz_quiet();
	fuzz_ending = false;
	fake_init(&f, KVMB_VERSION_NEWEST);
	fuzz_add(&f, 1);
	fuzz_add(&f, 2);
	if (left && in[0] & 1)
		fake_connect(&f, KVMB_VERSION_NEWEST, offers, 4);
	while (left >= 2) {
		u8 op = in[0], n = in[1];

		in += 2;
		left -= 2;
		switch (op % 8) {
		case 0:
			if (!extra)
				extra = fuzz_add(&f, 3);
			break;
		case 1:
			if (extra)
				kvmb_bus_revoke(extra);
			extra = NULL;
			break;
		case 2:
			f.slots_busy = n & 1;
			kvmb_bus_message_acked(f.bus);
			break;
		case 3:
			fuzz_finish_late();
			break;
		default: /* a message: number, then as many bytes as there are */
			memset(buf, 0, sizeof(buf));
			len = n % 233;
			if (len > left)
				len = (u32)left;
			memcpy(buf + 8, in, len);
			in += len;
			left -= len;
			buf[0] = op >> 3;
			fake_post_raw(&f, buf, 8 + len);
			/*
			 * a device is gone when the guest let go of it or went away: no pointer
			 * survives
			 */
			if (op >> 3 == KVMB_MSG_UNLOAD || op >> 3 == KVMB_MSG_INITIATE_CONTACT)
				fuzz_finish_late();
		}
		fake_run(&f);
	}
	fuzz_ending = true;
	fuzz_finish_late();
	f.slots_busy = false;
	fake_fini(&f);
	return 0;
}
