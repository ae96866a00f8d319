// SPDX-License-Identifier: GPL-2.0-only
/* Memory of a device in a saved state: tlv_memory.h. */
#include "lib/tlv_memory.h"

#include <string.h>

#include "lib/sparse.h"

#define PAGE 4096u

enum {		   /* of a run; never used again */
       RUN_AT = 1, /* bytes into memory, of a page */
       RUN_DATA = 2,
};

/* Of memory[@from..@to). */
static void put_runs(struct kvmb_tlv_out *o, unsigned int field, const uint8_t *memory,
		     uint32_t from, uint32_t to)
{
	uint32_t end;

	for (; from < to; from = end) {
		end = from;
		while (end < to && !kvmb_all_zero(memory + end, PAGE))
			end += PAGE;
		if (end > from) {
			kvmb_tlv_group(o, field);
			kvmb_tlv_put(o, RUN_AT, from);
			kvmb_tlv_put_bytes(o, RUN_DATA, memory + from, end - from);
			kvmb_tlv_group_end(o);
		} else {
			end += PAGE;
		}
	}
}

void kvmb_tlv_put_memory(struct kvmb_tlv_out *o, unsigned int field, int fd, const uint8_t *memory,
			 uint32_t size)
{
	uint64_t from, to = 0;
	int more;

	while ((more = kvmb_next_data(fd, to, size, &from, &to)) > 0)
		put_runs(o, field, memory, (uint32_t)from, (uint32_t)to);
	if (more < 0) /* then there is more to look at */
		put_runs(o, field, memory, (uint32_t)to, size);
}

bool kvmb_tlv_get_memory(struct kvmb_tlv *t, unsigned int field, uint8_t *memory, uint32_t size)
{
	struct kvmb_tlv run;
	size_t pos = 0, len;

	while (kvmb_tlv_each(t, field, &pos, &run)) {
		uint64_t at = kvmb_tlv_get(&run, RUN_AT, size - 1);
		const uint8_t *data = kvmb_tlv_get_bytes(&run, RUN_DATA, &len);

		if (len > size - at)
			kvmb_tlv_refuse(&run, RUN_DATA, "behind the end of video memory");
		if (kvmb_tlv_done(&run))
			return false;
		if (memory && len)
			memcpy(memory + at, data, len);
	}
	return !t->error->err;
}
