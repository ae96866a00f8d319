// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus nic VM ...`: NICs of a running VM. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/client_note.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/util.h"
#include "vmm/handover.h"
#include "vmm/names.h"
#include "vmm/note.h"
#include "vmm/places.h"

int nic_list(struct cli_args *a)
{
	json_t *o = NULL;
	int err = client_ask(a->words[0], "nic-list", NULL, &o);

	if (!err)
		client_show(o, cli_flag(a, "json"), client_print_nics);
	json_decref(o);
	return err;
}

/* Queues are as many as the VM has CPUs at most. */
static u32 cpus_of(json_t *info)
{
	json_int_t n = json_integer_value(json_object_get(info, "cpus"));

	return n > 0 && n <= (json_int_t)KVMB_NET_MAX_QUEUES ? (u32)n : 1;
}

/* Open what a NIC names; the descriptors go with the command. Return: EXIT_*. */
static int open_nic_names(const struct client_note *n, const struct nic_config *nc, u32 cpus,
			  struct kvmb_net_files *files)
{
	char why[KVMB_NET_WHY];

	if (nc->kind == NIC_USER && client_note_keeper(n))
		return EXIT_FAILED;
	if (!names_open_nic(nc, cpus, files, why))
		return EXIT_OK;
	cli_error("VM \"%s\": nic %s: %s", n->vm, nic_word(nc), why);
	return EXIT_FAILED;
}

/* ---- what is noted of a change (cli/client_note.h) ---- */

struct change {
	const char *spec;
	const struct nic_config *nc;
	struct kvmb_net_files files; /* of which only the address counts */
};

static bool index_of(json_t *answer, u32 *index)
{
	json_t *o = json_object_get(answer, "index");

	*index = (u32)json_integer_value(o);
	return json_is_integer(o) && json_integer_value(o) >= 0 &&
	       json_integer_value(o) < (json_int_t)KVMB_MAX_NICS;
}

static int note_nic_added(struct vm_state_config *c, json_t *answer, void *arg)
{
	const char *name = note_name(c);
	struct change *ch = arg;
	u8 mac[6];
	u32 index;

	if (!index_of(answer, &index) || !name)
		return -EPROTO;
	places_nic_mac(name, index, ch->nc, &ch->files, mac);
	return note_add_nic(c, ch->spec, index, mac);
}

static int note_nic_removed(struct vm_state_config *c, json_t *answer, void *arg)
{
	u32 index;

	(void)arg;
	return index_of(answer, &index) ? note_remove_nic(c, index) : -EPROTO;
}

/* ---- actions ---- */

/* A change that brings a NIC's files. */
static int bring_nic(struct cli_args *a, const struct nic_config *nc, json_t *args)
{
	struct change change = { .spec = a->words[1], .nc = nc };
	struct handover_fds fds = { 0 };
	json_t *info = NULL, *o = NULL;
	struct client_note n;
	int err = client_note_begin(a->words[0], &n);

	if (!err)
		err = client_ask_on(n.fd, n.vm, "info", NULL, NULL, &info);
	if (!err)
		err = open_nic_names(&n, nc, cpus_of(info), &change.files);
	if (!err) {
		handover_put_nic(args, &change.files, &fds);
		err = client_note_change(&n, "nic-add", json_incref(args), &fds, note_nic_added,
					 &change, &o);
	}
	client_note_end(&n);
	if (!err)
		client_print_done(o, cli_flag(a, "json"), "added");
	json_decref(info);
	json_decref(o);
	handover_close(&fds);
	return err;
}

int nic_add(struct cli_args *a)
{
	json_t *args = json_pack("{s:s}", "spec", a->words[1]);
	char why[256], *copy = strdup(a->words[1]);
	struct nic_config nc;
	int err;

	if (!args)
		err = cli_bad(a->cmd, "a name that is not UTF-8 cannot be sent to the VM");
	else if (!copy || opt_nic(copy, &nc, why, sizeof(why)))
		err = cli_bad(a->cmd, "%s", copy ? why : "no memory");
	else
		err = bring_nic(a, &nc, args);
	free(copy);
	json_decref(args);
	return err;
}

int nic_remove(struct cli_args *a)
{
	return client_note_simple(a, "nic-remove", json_pack("{s:s}", "nic", a->words[1]),
				  "removed", note_nic_removed, NULL);
}

static bool is_up_or_down(const char *s)
{
	return !strcmp(s, "up") || !strcmp(s, "down");
}

/* "up net0" and "net0 up" */
int nic_link(struct cli_args *a)
{
	bool first = is_up_or_down(a->words[1]);
	const char *word = a->words[first ? 1 : 2], *nic = a->words[first ? 2 : 1];
	bool up = !strcmp(word, "up");

	if (!is_up_or_down(word))
		return cli_bad(a->cmd, "up or down, not \"%s\"", a->words[1]);
	return client_change(a, "nic-link", json_pack("{s:s, s:b}", "nic", nic, "up", up),
			     up ? "plugged in" : "unplugged");
}

static bool is_nic(json_t *nic, const char *name)
{
	const char *mac = json_string_value(json_object_get(nic, "mac"));
	u32 index;

	return opt_u32(strncmp(name, "net", 3) ? name : name + 3, 0, KVMB_MAX_NICS - 1, &index) ?
		       json_integer_value(json_object_get(nic, "index")) == index :
		       mac && !strcasecmp(mac, name);
}

static bool has_interface(json_t *nic)
{
	const char *kind = json_string_value(json_object_get(nic, "kind"));

	return kind && strcmp(kind, "user") && strcmp(kind, "none");
}

/*
 * Here and not in the VM's process, which may not change an interface of the host. What the VM has
 * not got or would refuse is left to it: it says so better. Return: EXIT_*.
 */
static int set_host_mtu(struct cli_args *a, pid_t vm, json_t *nics, u32 mtu)
{
	char why[80];
	json_t *nic;
	size_t i;
	int err = 0;

	if (!opt_check(opt_find(opt_nic_options, "mtu"), a->words[2], why, sizeof(why)))
		return EXIT_OK;
	json_array_foreach(nics, i, nic) {
		const char *name = json_string_value(json_object_get(nic, "interface"));

		if (!is_nic(nic, a->words[1]) || !has_interface(nic) || !name)
			continue;
		err = kvmb_net_host_mtu(vm, name, mtu);
		if (err)
			cli_error("VM \"%s\": net%lld: the host's interface does not take that "
				  "MTU: %s",
				  a->words[0],
				  (long long)json_integer_value(json_object_get(nic, "index")),
				  err == -ENODEV ? "it is no tap that the VM has open" :
						   strerror(-err));
		break;
	}
	return err ? EXIT_FAILED : EXIT_OK;
}

int nic_mtu(struct cli_args *a)
{
	json_t *nics = NULL, *o = NULL, *args;
	struct ucred peer;
	int fd, err;
	u32 mtu;

	if (!opt_u32(a->words[2], 1, 65535, &mtu)) /* the table has seen to it */
		return EXIT_USAGE;
	args = json_pack("{s:s, s:i}", "nic", a->words[1], "mtu", (int)mtu);
	err = args ? client_connect(a->words[0], &fd) :
		     cli_bad(a->cmd, "a name that is not UTF-8 cannot be sent to the VM");
	if (err) {
		json_decref(args);
		return err;
	}
	err = client_ask_on(fd, a->words[0], "nic-list", NULL, NULL, &nics);
	if (!err)
		err = client_as_owner(fd, a->words[0]);
	client_peer(fd, &peer);
	if (!err)
		err = set_host_mtu(a, peer.pid, nics, mtu);
	if (!err)
		err = client_ask_on(fd, a->words[0], "nic-mtu", json_incref(args), NULL, &o);
	if (!err)
		client_print_done(o, cli_flag(a, "json"), "has the new MTU");
	json_decref(nics);
	json_decref(args);
	json_decref(o);
	close(fd);
	return err;
}
