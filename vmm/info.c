// SPDX-License-Identifier: GPL-2.0-only
/* The VM's state and counters as JSON; docs/json.md describes the fields. */
#include "vmm/info.h"

#include <unistd.h>

#include "backend/block/qsd.h"
#include "lib/jail.h"
#include "lib/util.h"
#include "machine/late.h"
#include "machine/mem_lazy.h"
#include "machine/mem_post.h"
#include "machine/vcpu.h"
#include "vmm/backup.h"
#include "vmm/confine.h"
#include "vmm/disk_info.h"
#include "vmm/display.h"
#include "vmm/dynmem.h"
#include "vmm/fcopy.h"
#include "vmm/mig_out.h"
#include "vmm/mig_post.h"
#include "vmm/nics.h"
#include "vmm/save.h"
#include "vmm/services.h"
#include "vmm/upgrade_out.h"
#include "vmm/vsock.h"

#define VERSION_STR(buf, v) snprintf(buf, sizeof(buf), "%u.%u", (v) >> 16, (v) & 0xffff)

static void guid_str(const struct kvmb_guid *g, char *s)
{
	const u8 *b = g->b;

	snprintf(s, KVMB_GUID_STR_SIZE,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[3], b[2],
		 b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}

static void add_channel(void *arg, const struct kvmb_chan_info *i)
{
	char type[KVMB_GUID_STR_SIZE], instance[KVMB_GUID_STR_SIZE];

	guid_str(&i->type, type);
	guid_str(&i->instance, instance);
	json_array_append_new(
		arg, json_pack("{s:s, s:i, s:i, s:s, s:s, s:s, s:i}", "name", i->name, "index",
			       i->index, "relid", i->relid, "state", i->state, "type", type,
			       "instance", instance, "target_vp",
			       i->target_vp == KVMB_TARGET_VP_NONE ? -1 : (int)i->target_vp));
}

static void add_channel_stats(void *arg, const struct kvmb_chan_info *i)
{
	json_array_append_new(
		arg,
		json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:i}", "name",
			  i->name, "index", i->index, "packets_in", (json_int_t)i->stats.packets_in,
			  "packets_out", (json_int_t)i->stats.packets_out, "wakes",
			  (json_int_t)i->stats.wakes, "signals", (json_int_t)i->stats.signals,
			  "errors", (json_int_t)i->stats.errors, "rx_used", i->rx_used, "rx_size",
			  i->rx_size, "tx_used", i->tx_used, "tx_size", i->tx_size));
}

static json_t *bits_json(unsigned int bits, const char *(*name)(unsigned int))
{
	json_t *a = json_array();
	unsigned int bit;

	for (bit = 0; name(bit); bit++) {
		if (bits >> bit & 1)
			json_array_append_new(a, json_string(name(bit)));
	}
	return a;
}

static json_t *sandbox_info(const struct vm *vm)
{
	static const char *const modes[] = { "strict", "log", "off" };
	unsigned int daemons;
	bool known = kvmb_qsd_lacks(&daemons);

	return json_pack("{s:s, s:o, s:o, s:I}", "mode", modes[vm->cfg.sandbox], "lacks",
			 bits_json(vm->lacks, confine_lack_name), "daemons_lack",
			 known ? bits_json(daemons, kvmb_jail_lack_name) : json_null(), "uid",
			 (json_int_t)vm->uid);
}

json_t *info_vm(struct vm *vm)
{
	json_t *o, *chans = json_array();
	char version[16], max[16];
	u32 v = kvmb_bus_version(vm->bus);

	VERSION_STR(version, v);
	VERSION_STR(max, vm->cfg.vmbus_max);
	kvmb_bus_for_each(vm->bus, add_channel, chans);
	o = json_pack(
		"{s:s, s:s, s:i, s:i, s:I, s:I, s:i, s:s, s:{s:s, s:o, s:s}, s:o, s:o, s:o, s:o, "
		"s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o}",
		"name", vm->cfg.name, "state", vm_state_name(vm), "pid", (int)getpid(), "cpus",
		vm->cfg.machine.cpus, "memory", (json_int_t)vm->cfg.machine.memory, "uptime_ms",
		(json_int_t)(kvmb_now_ms() - vm->started_ms), "boots", vm->machine.boots,
		"cpu_model", vm->cfg.machine.cpu_model, "vmbus", "state",
		kvmb_bus_state_name(vm->bus), "version", v ? json_string(version) : json_null(),
		"max_version", max, "channels", chans, "disks", disks_list(vm), "nics",
		nics_list(vm), "integration", services_info(vm), "crash",
		crash_json(&vm->machine.crash), "sandbox", sandbox_info(vm), "stop_reason",
		vm->stop_reason[0] ? json_string(vm->stop_reason) : json_null(), "save",
		save_info(vm), "migration", mig_out_info(vm), "upgrade", upgrade_out_info(vm),
		"memory_left",
		(json_int_t)(mem_lazy_left(&vm->machine) + mem_post_left(&vm->machine)),
		"memory_comes", mig_post_info(vm), "screen", display_info(vm), "vsock",
		vsock_info(vm));
	json_object_set_new(o, "dynamic_memory", dynmem_info(vm));
	json_object_set_new(o, "copy", fcopy_info(vm));
	json_object_set_new(o, "backup", backup_info(vm));
	return o;
}

/* KVM's own counters of one vCPU, added to @sum by name. Source: api.rst KVM_GET_STATS_FD. */
static void add_kvm_stats(const struct vcpu *v, json_t *sum)
{
	static const char *const names[] = { "exits",	   "io_exits",	  "mmio_exits",
					     "halt_exits", "irq_exits",	  "irq_injections",
					     "hypercalls", "signal_exits" };
	struct kvm_stats_header h;
	struct kvm_stats_desc *d;
	char buf[sizeof(*d) + 256];
	size_t step, n;
	u64 value;
	u32 i;
	int fd = v->stats_fd;

	if (fd < 0)
		return;
	if (pread(fd, &h, sizeof(h), 0) != sizeof(h) || h.name_size > 256)
		h.num_desc = 0;
	step = sizeof(*d) + h.name_size;
	for (i = 0; i < h.num_desc; i++) {
		d = (struct kvm_stats_desc *)buf;
		if (pread(fd, buf, step, (off_t)(h.desc_offset + i * step)) != (ssize_t)step ||
		    pread(fd, &value, sizeof(value), (off_t)(h.data_offset + d->offset)) !=
			    sizeof(value))
			break;
		for (n = 0; n < ARRAY_SIZE(names); n++) {
			if (!strcmp(d->name, names[n]))
				json_object_set_new(sum, d->name,
						    json_integer((json_int_t)value +
								 json_integer_value(json_object_get(
									 sum, d->name))));
		}
	}
}

static json_t *vcpu_stats(struct vm *vm, json_t *kvm)
{
	json_t *a = json_array();
	u32 i;

	for (i = 0; i < vm->cfg.machine.cpus; i++) {
		const struct vcpu_stats *s = &vm->machine.vcpus[i].stats;

		json_array_append_new(
			a,
			json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "index", i,
				  "user_exits", (json_int_t)s->exits, "io", (json_int_t)s->io,
				  "mmio", (json_int_t)s->mmio, "interrupted", (json_int_t)s->intr,
				  "synic", (json_int_t)s->hv_synic, "post_message",
				  (json_int_t)s->hv_post, "signal_event", (json_int_t)s->hv_signal,
				  "hypercall_other", (json_int_t)s->hv_other));
		add_kvm_stats(&vm->machine.vcpus[i], kvm);
	}
	return a;
}

static json_t *scsi_stats(struct vm *vm)
{
	json_t *a = json_array();
	struct kvmb_storage_stats s;
	u32 c;

	for (c = 0; c < KVMB_STORAGE_MAX_CONTROLLERS; c++) {
		if (!vm->scsi[c])
			continue;
		kvmb_storage_get_stats(vm->scsi[c], &s);
		json_array_append_new(a,
				      json_pack("{s:i, s:I, s:I, s:I, s:i}", "controller", c,
						"requests", (json_int_t)s.requests, "io_enters",
						(json_int_t)s.io_submits, "inline_ios",
						(json_int_t)s.inline_ios, "channels", s.channels));
	}
	return a;
}

json_t *info_stats(struct vm *vm)
{
	json_t *chans = json_array(), *kvm = json_object(), *vcpus = vcpu_stats(vm, kvm);
	struct kvmb_bus_stats b;

	kvmb_bus_for_each(vm->bus, add_channel_stats, chans);
	kvmb_bus_get_stats(vm->bus, &b);
	return json_pack(
		"{s:s, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:i, s:I}, s:o, s:o, s:o, s:o, s:I}",
		"name", vm->cfg.name, "vcpus", vcpus, "kvm", kvm, "bus", "messages_in",
		(json_int_t)b.messages_in, "messages_out", (json_int_t)b.messages_out, "refused",
		(json_int_t)b.refused, "busy", (json_int_t)b.busy, "gpadls", b.gpadls,
		"gpadl_pages", (json_int_t)b.gpadl_pages, "channels", chans, "controllers",
		scsi_stats(vm), "disks", disks_stats(vm), "nics", nics_stats(vm), "late_writes",
		(json_int_t)late_delivered(vm->machine.late));
}
