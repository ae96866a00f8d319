// SPDX-License-Identifier: GPL-2.0-only
/* The VM's NICs. */
#include "vmm/nics.h"

#include "host-vsp/net/net.h"
#include "lib/log.h"
#include "lib/util.h"
#include "vmm/json_text.h"
#include "vmm/names.h"
#include "vmm/nics_legacy.h"
#include "vmm/opt.h"
#include "vmm/places.h"

struct vm_nic { /* vm->nics[KVMB_MAX_NICS]; free when it has neither net nor opening */
	struct vm *vm;
	struct kvmb_net *net; /* NULL = none */
	enum nic_model model;
	struct kvmb_net_backend *opening; /* of a NIC to be, while its passt starts */
	struct nic_config nc; /* of that one */
	char *text;	      /* what nc points into */
	bool removing;
	struct ctl_reply reply; /* of a removal, or of opening */
};

static void mac_str(const u8 *m, char *s, size_t size)
{
	snprintf(s, size, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

/* ---- opening ---- */

static struct kvmb_net_backend *open_passt(const struct vm *vm, const struct nic_config *nc,
					   struct kvmb_net_files *files, char *why)
{
	int channel = files->channel;

	files->channel = 0;
	if (channel)
		return kvmb_net_passt_create(channel, nic_passt_mtu(nc), vm->loop, why);
	snprintf(why, KVMB_NET_WHY, "a channel to the keeper must come with it");
	return NULL;
}

static struct kvmb_net_backend *open_backend(const struct vm *vm, const struct nic_config *nc,
					     struct kvmb_net_files *files, char *why)
{
	switch (nc->kind) {
	case NIC_USER:
		return open_passt(vm, nc, files, why);
	case NIC_TAP:
		return kvmb_net_tap_open(KVMB_NET_TAP, files, why);
	case NIC_MACVTAP:
		return kvmb_net_tap_open(KVMB_NET_MACVTAP, files, why);
	case NIC_BRIDGE:
		return kvmb_net_tap_open(KVMB_NET_BRIDGE, files, why);
	case NIC_NONE:
		break;
	}
	return kvmb_net_none_open();
}

static u32 settle_mtu(const struct kvmb_net_backend *b, const struct nic_config *nc)
{
	u32 mtu = nc->mtu ? nc->mtu : b->mtu ? b->mtu : KVMB_NET_MTU_DEFAULT;

	return KVMB_MAX(KVMB_MIN(mtu, KVMB_NET_MTU_MAX), KVMB_NET_MTU_MIN);
}

/*
 * Two of one address would take each other's frames, and `nic remove ADDRESS` would take the first.
 */
static bool address_taken(struct vm *vm, const u8 *mac)
{
	struct kvmb_net_info i;
	u32 k;

	for (k = 0; k < KVMB_MAX_NICS; k++) {
		if (!vm->nics[k].net)
			continue;
		kvmb_net_get_info(vm->nics[k].net, &i);
		if (!memcmp(i.mac, mac, sizeof(i.mac)))
			return true;
	}
	return false;
}

/* Make a NIC of a backend that is ready, or destroy that. It has an address. */
static int offer_nic(struct vm *vm, u32 index, const struct nic_config *nc,
		     struct kvmb_net_backend *b, char *why)
{
	struct kvmb_net_spec spec = { .index = index,
				      .max_queues = nc->queues ? KVMB_MIN(nc->queues,
									  vm->cfg.machine.cpus) :
								 vm->cfg.machine.cpus,
				      .mtu = settle_mtu(b, nc),
				      .vlan = nc->vlan,
				      .mac_spoof = nc->mac_spoof,
				      .rate = nc->rate };
	int err = 0;

	memcpy(spec.mac, nc->mac, sizeof(spec.mac));
	if (address_taken(vm, spec.mac)) {
		snprintf(why, KVMB_NET_WHY,
			 "another NIC of this VM has this address; choose one with mac=");
		err = -EEXIST;
	}
	if (err) {
		b->ops->destroy(b);
		return err;
	}
	vm->nics[index] = (struct vm_nic){ .vm = vm,
					   .net = kvmb_net_create(&spec, b, vm->loop),
					   .model = nc->model };
	if (nc->model != NIC_LEGACY)
		err = kvmb_net_offer(vm->nics[index].net, vm->bus);
	if (err) {
		snprintf(why, KVMB_NET_WHY, "cannot be offered: %s", strerror(-err));
		kvmb_net_destroy(vm->nics[index].net);
		vm->nics[index].net = NULL;
	} else if (nic_is_legacy(nc)) {
		nics_legacy_add(vm, index, nc, vm->nics[index].net);
	}
	return err;
}

static bool can_be_legacy(const struct vm *vm, u32 index, char *why)
{
	if (!vm->cfg.machine.gen1)
		snprintf(why, KVMB_NET_WHY,
			 "a machine with --kernel has no legacy NIC; leave model=legacy out");
	else if (index >= LEGACY_NICS)
		snprintf(why, KVMB_NET_WHY, "a legacy NIC has one of the indices 0 to %u",
			 LEGACY_NICS - 1);
	return vm->cfg.machine.gen1 && index < LEGACY_NICS;
}

/* Before the VM runs: waits for passt. */
static int open_nic(struct vm *vm, const struct nic_config *nc, struct kvmb_net_files *files,
		    char *why)
{
	u32 index = (u32)nc->index;
	struct kvmb_net_backend *b;
	int err;

	if (vm->nics[index].net) {
		snprintf(why, KVMB_NET_WHY, "index %u is taken", index);
		return -EEXIST;
	}
	if (nc->model == NIC_LEGACY && !can_be_legacy(vm, index, why))
		return -EINVAL;
	b = open_backend(vm, nc, files, why);
	err = b && nc->kind == NIC_USER ? kvmb_net_passt_wait(b, why) : 0;
	if (err)
		b->ops->destroy(b);
	return !b ? -ENODEV : err ? err : offer_nic(vm, index, nc, b, why);
}

int nics_create(struct vm *vm)
{
	char why[KVMB_NET_WHY];
	u32 i;
	int err;

	vm->nics = kvmb_xzalloc(KVMB_MAX_NICS * sizeof(*vm->nics));
	for (i = 0; i < vm->cfg.num_nics; i++) {
		err = open_nic(vm, &vm->cfg.nics[i], &vm->names->nics[i], why);
		if (err) {
			kvmb_err(vm->cfg.name, "nic %s: %s", nic_word(&vm->cfg.nics[i]), why);
			return err;
		}
	}
	return 0;
}

void nics_destroy(struct vm *vm)
{
	u32 i;

	for (i = 0; vm->nics && i < KVMB_MAX_NICS; i++) {
		struct vm_nic *nic = &vm->nics[i];

		if (nic->removing || nic->opening)
			reply_refused(nic->reply, "state", "the VM ended");
		if (nic->opening)
			nic->opening->ops->destroy(nic->opening);
		free(nic->text);
		kvmb_net_destroy(nic->net);
	}
	free(vm->nics);
	vm->nics = NULL;
}

/* ---- changes ---- */

/* Its options are kept by others, who have to hear of it (vmm/note.h). */
static void note_change_of_nic(struct vm *vm, struct ctl_reply asked_by)
{
	if (!asked_by.noted)
		vm->changed = "a NIC was added or removed, and its keeper was not told";
}

static json_t *name_of(u32 index)
{
	return json_pack("{s:o, s:i}", "nic", json_sprintf("net%u", index), "index", index);
}

static struct vm_nic *find_nic(struct vm *vm, const char *name, u32 *index, struct ctl_reply reply)
{
	struct kvmb_net_info i;
	char mac[18];
	u32 k, want = KVMB_MAX_NICS;

	opt_u32(strncmp(name, "net", 3) ? name : name + 3, 0, KVMB_MAX_NICS - 1, &want);
	for (k = 0; k < KVMB_MAX_NICS; k++) {
		if (!vm->nics[k].net)
			continue;
		kvmb_net_get_info(vm->nics[k].net, &i);
		mac_str(i.mac, mac, sizeof(mac));
		if (k != want && strcasecmp(mac, name))
			continue;
		*index = k;
		if (!vm->nics[k].removing)
			return &vm->nics[k];
		reply_refused(reply, "state",
			      "net%u is being removed; the guest has not released it yet", k);
		return NULL;
	}
	reply_refused(reply, "failed", "no NIC \"%.60s\"; kvmbus nic %s list shows them", name,
		      vm->cfg.name);
	return NULL;
}

/* The backend of a NIC to be is ready, or never will be. */
static void nic_opened(void *arg, enum kvmb_net_backend_news news)
{
	struct vm_nic *nic = arg;
	struct vm *vm = nic->vm;
	u32 index = (u32)(nic - vm->nics);
	struct vm_nic was = *nic; /* whose place the NIC takes */
	char why[KVMB_NET_WHY];
	int err;

	*nic = (struct vm_nic){ 0 };
	if (news == KVMB_BACKEND_READY) {
		err = offer_nic(vm, index, &was.nc, was.opening, why);
	} else {
		snprintf(why, sizeof(why), "%s", was.opening->problem);
		was.opening->ops->destroy(was.opening);
		err = -ENODEV;
	}
	if (err) {
		reply_refused(was.reply, "failed", "nic %s: %s", nic_word(&was.nc), why);
	} else {
		kvmb_info(vm->cfg.name, "net%u added: %s", index, nic_word(&was.nc));
		reply_result(was.reply, name_of(index));
	}
	free(was.text);
}

static bool is_free_place(const struct vm *vm, u32 index)
{
	return !vm->nics[index].net && !vm->nics[index].opening;
}

/* Where a NIC comes to be. Return: false: refused. */
static bool find_place(const struct vm *vm, struct nic_config *nc, struct ctl_reply reply)
{
	u32 i = nc->index < 0 ? 0 : (u32)nc->index;

	while (nc->index < 0 && i < KVMB_MAX_NICS && !is_free_place(vm, i))
		i++;
	if (i == KVMB_MAX_NICS)
		reply_refused(reply, "failed", "the VM has %u NICs already, the maximum", i);
	else if (!is_free_place(vm, i))
		reply_refused(reply, "failed", "the VM has a net%u already", i);
	else
		nc->index = (int)i;
	return i < KVMB_MAX_NICS && is_free_place(vm, i);
}

void nics_add(struct vm *vm, const char *spec, struct kvmb_net_files *files,
	      struct ctl_reply reply)
{
	char why[KVMB_NET_WHY], *text = strdup(spec);
	struct kvmb_net_backend *b;
	struct nic_config nc;
	u32 i;

	if (!text || opt_nic(text, &nc, why, sizeof(why))) {
		reply_refused(reply, "usage", "%s", text ? why : "no memory");
		free(text);
		return;
	}
	if (nc.model == NIC_LEGACY) {
		reply_refused(
			reply, "failed",
			"a legacy NIC cannot be added while the VM runs; a synthetic one can");
		free(text);
		return;
	}
	nc.model = NIC_SYNTHETIC;
	if (!find_place(vm, &nc, reply)) {
		free(text);
		return;
	}
	i = (u32)nc.index;
	places_nic_mac(vm->cfg.name, i, &nc, files, nc.mac);
	b = open_backend(vm, &nc, files, why);
	if (!b) {
		reply_refused(reply, "failed", "nic %s: %s", nic_word(&nc), why);
		free(text);
		return;
	}
	note_change_of_nic(vm, reply);
	vm->nics[i] =
		(struct vm_nic){ .vm = vm, .opening = b, .nc = nc, .text = text, .reply = reply };
	if (b->ops->attach)
		b->ops->attach(b, nic_opened, &vm->nics[i]);
	else
		nic_opened(&vm->nics[i], KVMB_BACKEND_READY);
}

static void nic_removed(void *arg, struct kvmb_net *net)
{
	struct vm_nic *nic = arg;
	u32 index = (u32)(nic - nic->vm->nics);
	struct ctl_reply reply = nic->reply;

	kvmb_info(nic->vm->cfg.name, "net%u removed", index);
	kvmb_net_destroy(net);
	*nic = (struct vm_nic){ 0 };
	reply_result(reply, name_of(index));
}

void nics_remove(struct vm *vm, const char *name, struct ctl_reply reply)
{
	u32 index;
	struct vm_nic *nic = find_nic(vm, name, &index, reply);

	if (!nic)
		return;
	if (nics_legacy_has(vm, index)) {
		reply_refused(reply, "failed",
			      "net%u is a PCI device, too, and stays as long as the VM runs; "
			      "\"kvmbus nic %s link down net%u\" unplugs it",
			      index, vm->cfg.name, index);
		return;
	}
	nic->removing = true;
	note_change_of_nic(vm, reply);
	nic->reply = reply;
	kvmb_net_remove(nic->net, nic_removed, nic);
}

struct kvmb_net *nics_named(struct vm *vm, const char *name, struct ctl_reply reply)
{
	u32 index;
	struct vm_nic *nic = find_nic(vm, name, &index, reply);

	return nic ? nic->net : NULL;
}

void nics_guest_stands(struct vm *vm, bool stands)
{
	u32 i;

	for (i = 0; i < KVMB_MAX_NICS; i++) {
		if (nics_net(vm, i))
			kvmb_net_guest_stands(nics_net(vm, i), stands);
	}
}

void nics_link(struct vm *vm, const char *name, bool up, struct ctl_reply reply)
{
	u32 index;
	struct vm_nic *nic = find_nic(vm, name, &index, reply);

	if (!nic)
		return;
	kvmb_net_set_link(nic->net, up);
	nics_legacy_link(vm, index, up);
	reply_result(reply, name_of(index));
}

void nics_mtu(struct vm *vm, const char *name, u32 mtu, struct ctl_reply reply)
{
	u32 index;
	struct vm_nic *nic = find_nic(vm, name, &index, reply);
	json_t *o;

	if (!nic)
		return;
	if (kvmb_net_set_mtu(nic->net, mtu)) {
		reply_refused(reply, "usage", "MTU %u is not within %u to %u", mtu,
			      KVMB_NET_MTU_MIN, KVMB_NET_MTU_MAX);
	} else {
		o = name_of(index);
		json_object_set_new(o, "mtu", json_integer(mtu));
		reply_result(reply, o);
	}
}

/* ---- for info and stats ---- */

static json_t *version(u32 v)
{
	/* 1 is 0x00002, 2 is 0x30002: Linux hyperv_net.h */
	return !v	    ? json_null() :
	       v == 0x2	    ? json_string("1") :
	       v == 0x30002 ? json_string("2") :
	       v & 0xffff   ? json_sprintf("%u.%u", v >> 16, v & 0xffff) :
			      json_sprintf("%u", v >> 16);
}

struct kvmb_net *nics_net(const struct vm *vm, u32 index)
{
	return vm->nics[index].net;
}

void nics_announce(struct vm *vm)
{
	u32 i;

	for (i = 0; i < KVMB_MAX_NICS; i++) {
		if (vm->nics[i].net)
			kvmb_net_announce(vm->nics[i].net);
	}
}

/* Who has the network: of a NIC that is both, one of them. */
static const char *live_side(const struct kvmb_net_info *i)
{
	return i->emulated ? "legacy" : "vmbus";
}

json_t *nics_list(struct vm *vm)
{
	static const char *const models[] = { [NIC_UNSAID] = "synthetic",
					      [NIC_AUTO] = "auto",
					      [NIC_LEGACY] = "legacy",
					      [NIC_SYNTHETIC] = "synthetic" };
	json_t *a = json_array();
	struct kvmb_net_info i;
	char mac[18];
	u32 k;

	for (k = 0; k < KVMB_MAX_NICS; k++) {
		if (!vm->nics[k].net)
			continue;
		kvmb_net_get_info(vm->nics[k].net, &i);
		mac_str(i.mac, mac, sizeof(mac));
		json_array_append_new(
			a,
			json_pack(
				"{s:i, s:s, s:s, s:s, s:o, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:I, "
				"s:b, s:i, s:o, s:b, s:b, s:o}",
				"index", k, "model", models[vm->nics[k].model], "via",
				live_side(&i), "kind", i.kind, "interface", json_text(i.detail),
				"mac", mac, "link",
				vm->nics[k].removing ? "removing" :
				!i.connected	     ? "gone" :
				i.link		     ? "up" :
						       "down",
				"mtu", i.mtu, "guest_mtu", i.guest_mtu, "queues", i.num_queues,
				"open_queues", i.open_queues, "vlan", i.vlan, "rate",
				(json_int_t)i.rate, "mac_spoof", i.mac_spoof, "restarts",
				i.restarts, "nvsp", version(i.nvsp_version), "rsc", i.rsc, "rss",
				i.rss, "problem", *i.problem ? json_text(i.problem) : json_null()));
	}
	return a;
}

static json_t *counters(const struct kvmb_net_stats *s)
{
	json_t *o, *drops = json_object();
	u64 tx = 0, rx = 0;
	char name[32];
	int i;

	for (i = 0; i < KVMB_DROP_NUM; i++) {
		tx += s->tx_dropped[i];
		rx += s->rx_dropped[i];
		snprintf(name, sizeof(name), "tx_%s", kvmb_net_drop_names[i]);
		json_object_set_new(drops, name, json_integer((json_int_t)s->tx_dropped[i]));
		snprintf(name, sizeof(name), "rx_%s", kvmb_net_drop_names[i]);
		json_object_set_new(drops, name, json_integer((json_int_t)s->rx_dropped[i]));
	}
	o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "tx_frames", (json_int_t)s->tx_frames,
		      "tx_bytes", (json_int_t)s->tx_bytes, "tx_dropped", (json_int_t)tx,
		      "rx_frames", (json_int_t)s->rx_frames, "rx_bytes", (json_int_t)s->rx_bytes,
		      "rx_dropped", (json_int_t)rx);
	json_object_update_new(
		o, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "tx_segmented",
			     (json_int_t)s->tx_segmented, "tx_csum", (json_int_t)s->tx_csum,
			     "rx_coalesced", (json_int_t)s->rx_coalesced, "rx_packets",
			     (json_int_t)s->rx_packets, "backend_calls",
			     (json_int_t)s->backend_calls, "signals", (json_int_t)s->signals,
			     "wakes", (json_int_t)s->wakes, "drops", drops));
	return o;
}

json_t *nics_stats(struct vm *vm)
{
	json_t *a = json_array(), *o, *queues, *q;
	struct kvmb_net_stats s;
	u32 k, n;

	for (k = 0; k < KVMB_MAX_NICS; k++) {
		if (!vm->nics[k].net)
			continue;
		kvmb_net_get_stats(vm->nics[k].net, &s);
		o = counters(&s);
		json_object_set_new(o, "index", json_integer(k));
		queues = json_array();
		for (n = 0; kvmb_net_queue_stats(vm->nics[k].net, n, &s); n++) {
			q = counters(&s);
			json_object_set_new(q, "index", json_integer(n));
			json_object_set_new(q, "open", json_boolean(s.open));
			json_array_append_new(queues, q);
		}
		json_object_set_new(o, "queues", queues);
		if (nics_legacy_has(vm, k))
			json_object_set_new(o, "legacy", nics_legacy_stats(vm, k));
		json_array_append_new(a, o);
	}
	return a;
}
