// SPDX-License-Identifier: GPL-2.0-only
/*
 * Saved state of bus and storage: a good sample with changes, or bytes of any kind. What is taken
 * goes on; all of it ends.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-vsp/bus/bus_state.h"
#include "host-vsp/storage/storage.h"
#include "host-vsp/storage/storage_state.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "tests/fuzz/fuzz_bus.h"
#include "tests/fuzz/fuzz_change.h"
#include "vmbus-core/proto/scsi.h"
#include "vmbus-core/proto/storage.h"

static struct fake_vmm f;
static struct kvmb_storage *s;
static struct kvmb_tlv_out sample; /* section storage, section bus */
static size_t bus_at;

/* ---- a VM ---- */

/* It writes what it is given nowhere, at once. */
static void sink_submit(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	(void)d;
	r->result = 0;
	r->done(r);
}

static void sink_cancel(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	(void)d, (void)r;
}

static void sink_close(struct kvmb_disk *d)
{
	(void)d;
}

static const struct kvmb_disk_ops sink_ops = { .submit = sink_submit, .cancel = sink_cancel,
					       .close = sink_close };

static void attach(unsigned int lun, bool dvd)
{
	struct kvmb_disk *d = kvmb_xzalloc(sizeof(*d));

	d->fd = d->lock_fd = -1;
	d->ops = &sink_ops;
	d->block = dvd ? 2048 : 512;
	d->read_only = dvd;
	d->blocks = 4096;
	strcpy(d->serial, "0123456789");
	if (kvmb_storage_attach(s, d, dvd, lun))
		abort();
}

static void start(void)
{
	fake_init(&f, KVMB_VERSION_NEWEST);
	s = kvmb_storage_create(0, 3, NULL, f.loop, NULL, NULL);
	attach(0, false);
	attach(1, true);
	if (kvmb_storage_offer(s, f.bus))
		abort();
	fuzz_add(&f, 1);
	fuzz_add(&f, 2);
}

static void stop(void)
{
	fuzz_ending = true;
	fuzz_finish_late();
	fake_rest(&f);
	kvmb_storage_destroy(s);
	fake_fini(&f);
	fuzz_ending = false;
}

/* ---- the sample ---- */

static void send_stor(struct fake_chan *c, struct kvmb_wire_stor *p, u32 op)
{
	p->operation = cpu_to_le32(op);
	if (fake_send(&f, c, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, op, NULL, 0, p, sizeof(*p)))
		abort();
}

static void send_write(struct fake_chan *c, u64 gpa)
{
	struct { struct kvmb_wire_gpa_direct g; struct kvmb_wire_gparange r; __le64 pfn; } h = {
		{ .range_count = cpu_to_le32(1) }, { cpu_to_le32(512), 0 }, cpu_to_le64(gpa >> 12),
	};
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_EXECUTE_SRB) };

	p.u.srb.cdb_length = 10;
	p.u.srb.data_in = KVMB_SRB_DATA_OUT;
	p.u.srb.transfer_length = cpu_to_le32(512);
	p.u.srb.u.cdb[0] = 0x2a;
	p.u.srb.u.cdb[8] = 1;
	if (fake_send(&f, c, KVMB_PKT_GPA_DIRECT, KVMB_PKT_FLAG_COMPLETE, 7, &h, sizeof(h), &p,
		      sizeof(p)))
		abort();
}

static void note_stand(void *arg)
{
	*(bool *)arg = true;
}

static void save(void)
{
	u8 request[8] = { 0 };
	bool stands = false;

	kvmb_bus_pause(f.bus, note_stand, &stands);
	fake_post(&f, KVMB_MSG_REQUEST_OFFERS, request, sizeof(request)); /* waits */
	while (!stands)
		kvmb_loop_once(f.loop, 1);
	kvmb_storage_save(s, &sample);
	bus_at = sample.len;
	kvmb_bus_save(f.bus, &sample);
	kvmb_bus_resume(f.bus);
}

/* A controller whose second write waits for the limit, another channel with sub-channels. */
static void make_sample(void)
{
	struct kvmb_wire_offer offers[3];
	struct kvmb_wire_stor p = { 0 };
	struct fake_chan c, other;
	u64 gpa;
	u32 id;

	start();
	if (fake_connect(&f, KVMB_VERSION_WIN10_V5, offers, 3) != 3 ||
	    fake_open(&f, &c, le32_to_cpu(offers[0].relid), 4) ||
	    fake_open(&f, &other, le32_to_cpu(offers[1].relid), 4) ||
	    fake_gpadl(&f, le32_to_cpu(offers[2].relid), 300, 5, &id))
		abort();
	fake_teardown(&f, other.relid, other.gpadl);
	gpa = fake_alloc(&f, 1) << 12;
	send_stor(&c, &p, KVMB_STOR_BEGIN_INIT);
	p.u.version.major_minor = cpu_to_le16(KVMB_STOR_V6_2);
	send_stor(&c, &p, KVMB_STOR_QUERY_VERSION);
	send_stor(&c, &p, KVMB_STOR_END_INIT);
	p.u.sub_channels = cpu_to_le16(1);
	send_stor(&c, &p, KVMB_STOR_CREATE_SUB_CHANNELS);
	if (!fake_wait(&f, KVMB_MSG_OFFER))
		abort();
	kvmb_storage_set_limits(s, 0, -1, 4);
	send_write(&c, gpa);
	send_write(&c, gpa);
	usleep(50000);
	f.slots_busy = true; /* and this answer waits */
	fake_gpadl(&f, le32_to_cpu(offers[2].relid), 400, 2, &id);
	save();
	fake_unmap(&c);
	fake_unmap(&other);
	stop();
}

/* ---- changes ---- */

static struct section copy_sample(size_t from, size_t to)
{
	struct section sec = { .len = to - from - HEADER, .room = to - from + 8192 };

	sec.buf = malloc(sec.room);
	memcpy(sec.buf, sample.buf + from + HEADER, sec.len);
	return sec;
}

/* ---- loading ---- */

static int load(const struct section *storage, const struct section *bus)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t = { .p = storage->buf, .len = storage->len, .tag = KVMB_SEC_STORAGE,
			      .error = &e };
	int err;

	kvmb_bus_begin_load(f.bus);
	err = kvmb_storage_load(s, &t);
	if (!err) {
		t = (struct kvmb_tlv){ .p = bus->buf, .len = bus->len, .tag = KVMB_SEC_BUS,
				       .error = &e };
		err = kvmb_bus_load(f.bus, &t);
	}
	if (err != e.err || !e.text[0] != !err)
		abort(); /* whoever refuses says why */
	return err;
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	struct section storage, bus;
	struct change c;
	u32 changes = 0;

	if (!sample.len) {
		fuzz_quiet();
		make_sample();
	}
	if (!left)
		return 0;
	start();
	storage = copy_sample(0, bus_at);
	bus = copy_sample(bus_at, sample.len);
	if (in[0] & 1) { /* bytes of any kind */
		bus.len = KVMB_MIN(left - 1, bus.room);
		memcpy(bus.buf, in + 1, bus.len);
		left = changes = 1;
	}
	for (in++, left--; left >= sizeof(c); in += sizeof(c), left -= sizeof(c), changes++) {
		memcpy(&c, in, sizeof(c));
		apply(c.what & 128 ? &storage : &bus, &c);
	}
	if (!load(&storage, &bus)) {
		kvmb_bus_resume(f.bus);
		fake_run(&f);
	} else if (!changes) {
		abort(); /* the sample itself is good */
	}
	stop();
	free(storage.buf);
	free(bus.buf);
	return 0;
}
