// SPDX-License-Identifier: GPL-2.0-only
/* A VM's disks as JSON; docs/json.md describes the fields. */
#include "vmm/disk_info.h"

#include "vmm/disks_ide.h"
#include "vmm/disks_priv.h"
#include "vmm/json_text.h"

/* Who does its I/O. */
static const char *io_by(const struct vm *vm, u32 c, const struct kvmb_disk *d)
{
	if (!kvmb_disk_is_raw(d))
		return "server";
	return kvmb_storage_uring(vm->scsi[c]) ? "threads" : "io_uring";
}

json_t *disks_list(struct vm *vm)
{
	static const char *const caches[] = { "writeback", "none", "writethrough" };
	static const char *const errors[] = { "default", "stop", "report" };
	struct kvmb_unit_info i;
	json_t *a = json_array(), *o;
	u32 c, lun;

	for_each_unit(vm, c, lun, &i) {
		struct kvmb_disk *d = i.disk;

		o = json_pack("{s:i, s:i, s:s, s:o, s:o, s:b}", "controller", c, "lun", lun, "type",
			      i.dvd ? "dvd" : "disk", "path", d ? json_text(d->path) : json_null(),
			      "size", json_integer(d ? (json_int_t)kvmb_disk_bytes(d) : 0),
			      "read_only", !d || d->read_only);
		if (i.dvd)
			json_object_set_new(o, "locked",
					    json_boolean(disks_tray_locked(vm, c, &i)));
		if (c >= KVMB_STORAGE_IDE)
			json_object_set_new(o, "via", json_string(disks_ide_path(vm, vm->scsi[c])));
		if (d)
			json_object_update_new(
				o, json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:s, s:i}",
					     "format", d->format, "io", io_by(vm, c, d), "cache",
					     caches[d->cache], "on_error", errors[d->on_error],
					     "serial", d->serial, "block", d->block, "iops",
					     (json_int_t)d->throttle.iops, "bps",
					     (json_int_t)d->throttle.bps, "health",
					     kvmb_disk_health(d), "restarts",
					     (int)d->ops->restarts(d)));
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *latency(const u64 *h)
{
	return json_pack("{s:I, s:I, s:I}", "p50_us", (json_int_t)kvmb_latency_us(h, 500), "p99_us",
			 (json_int_t)kvmb_latency_us(h, 990), "max_us",
			 (json_int_t)kvmb_latency_us(h, 1000));
}

json_t *disks_stats(struct vm *vm)
{
	struct kvmb_unit_stats s;
	struct kvmb_unit_info i;
	json_t *a = json_array();
	u32 c, lun;

	for_each_unit(vm, c, lun, &i) {
		kvmb_storage_unit_stats(vm->scsi[c], lun, &s);
		json_array_append_new(
			a,
			json_pack(
				"{s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}",
				"controller", c, "lun", lun, "reads",
				(json_int_t)s.ops[KVMB_KIND_READ], "writes",
				(json_int_t)s.ops[KVMB_KIND_WRITE], "flushes",
				(json_int_t)s.flushes, "unmaps",
				(json_int_t)(s.ops[KVMB_KIND_OTHER] - s.flushes), "read_bytes",
				(json_int_t)s.bytes[KVMB_KIND_READ], "write_bytes",
				(json_int_t)s.bytes[KVMB_KIND_WRITE], "unmap_bytes",
				(json_int_t)s.bytes[KVMB_KIND_OTHER], "errors",
				(json_int_t)s.errors, "read_latency",
				latency(s.latency[KVMB_KIND_READ]), "write_latency",
				latency(s.latency[KVMB_KIND_WRITE]), "other_latency",
				latency(s.latency[KVMB_KIND_OTHER])));
	}
	return a;
}
