// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page lists: headers, bodies and teardowns with few handles and small lies, plus open and close.
 */
#include "tests/fuzz/fuzz_bus.h"

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	static struct fake_vmm f;
	struct kvmb_wire_offer offers[4];
	struct kvmb_bus_stats st;
	u8 buf[240] __attribute__((aligned(8)));
	u32 w, i;
	__le64 pfn;

	fuzz_quiet();
	fuzz_ending = false;
	fake_init(&f, KVMB_VERSION_NEWEST);
	fuzz_add(&f, 1);
	fake_connect(&f, KVMB_VERSION_NEWEST, offers, 4);
	for (; left >= 8; in += 8, left -= 8) {
		u32 relid = in[1] & 0x80 ? in[1] : le32_to_cpu(offers[0].relid), id = in[2] % 4;
		u32 pages = in[3] % 70, lie = in[4], first = in[5] | (u32)in[6] << 8;

		memset(buf, 0, sizeof(buf));
		buf[8] = (u8)relid;
		switch (in[0] % 5) {
		case 0: /* header */
			buf[0] = KVMB_MSG_GPADL_HEADER;
			buf[12] = (u8)id;
			buf[18] = lie % 16 == 1 ? (u8)in[7] : 1;
			w = pages * 4096 + (lie % 16 == 2 ? in[7] : 0);
			if (lie % 16 == 3)
				w = (u32)in[7] << 24 | 0xfff000;
			memcpy(buf + 20, &w, 4);
			w = lie % 16 == 4 ? in[7] : 0;
			memcpy(buf + 24, &w, 4);
			for (i = 0; i < 26; i++) {
				pfn = cpu_to_le64(lie % 16 == 5 ? ~0ull - i : first + i);
				memcpy(buf + 28 + 8 * i, &pfn, 8);
			}
			fake_post_raw(&f, buf,
				      lie % 16 == 6 ? 28u + in[7] % 213 :
						      28 + 8 * (pages < 26 ? pages : 26));
			break;
		case 1: /* body */
			buf[0] = KVMB_MSG_GPADL_BODY;
			buf[8] = in[7];
			buf[12] = (u8)id;
			for (i = 0; i < 28; i++) {
				pfn = cpu_to_le64(lie % 16 == 5 ? 1ull << (in[7] % 64) :
								  first + 26 + i);
				memcpy(buf + 16 + 8 * i, &pfn, 8);
			}
			fake_post_raw(&f, buf, 16 + 8 * (pages % 29));
			break;
		case 2:
			buf[0] = KVMB_MSG_GPADL_TEARDOWN;
			buf[12] = (u8)id;
			fake_post_raw(&f, buf, 16);
			break;
		case 3:
			buf[0] = KVMB_MSG_OPEN;
			buf[16] = (u8)id;
			buf[24] = in[7] % 40;
			fake_post_raw(&f, buf, 148);
			break;
		case 4:
			buf[0] = KVMB_MSG_CLOSE;
			fake_post_raw(&f, buf, 12);
			if (lie & 1)
				fuzz_finish_late();
			break;
		}
		fake_run(&f);
	}
	fuzz_ending = true;
	fuzz_finish_late();
	kvmb_bus_get_stats(f.bus, &st);
	if (st.gpadls > 4 || st.gpadl_pages > 1280u << 8)
		abort();
	fake_fini(&f);
	return 0;
}
