// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus nic VM ...`: NICs of a running VM. */
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/util.h"
#include "vmm/handover.h"
#include "vmm/names.h"

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
static int open_nic_names(struct cli_args *a, int fd, const struct nic_config *nc, u32 cpus,
			  json_t *args, struct handover_fds *fds)
{
	struct kvmb_net_files files;
	char why[KVMB_NET_WHY], dir[PATH_MAX];

	if (nc->kind == NIC_USER && client_reach_keeper(fd, a->words[0], dir, sizeof(dir)))
		return EXIT_FAILED;
	if (names_open_nic(nc, cpus, &files, why)) {
		cli_error("VM \"%s\": nic %s: %s", a->words[0], nic_word(nc), why);
		return EXIT_FAILED;
	}
	handover_put_nic(args, &files, fds);
	return EXIT_OK;
}

/* A change that brings a NIC's files. */
static int bring_nic(struct cli_args *a, const struct nic_config *nc, json_t *args)
{
	struct handover_fds fds = { 0 };
	json_t *info = NULL, *o = NULL;
	int fd, err = client_connect(a->words[0], &fd);

	if (err)
		return err;
	err = client_ask_on(fd, a->words[0], "info", NULL, NULL, &info);
	if (!err)
		err = client_as_owner(fd, a->words[0]);
	if (!err)
		err = open_nic_names(a, fd, nc, cpus_of(info), args, &fds);
	if (!err)
		err = client_ask_on(fd, a->words[0], "nic-add", json_incref(args), &fds, &o);
	if (!err)
		client_print_done(o, cli_flag(a, "json"), "added");
	json_decref(info);
	json_decref(o);
	handover_close(&fds);
	close(fd);
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
	return client_change(a, "nic-remove", json_pack("{s:s}", "nic", a->words[1]), "removed");
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
