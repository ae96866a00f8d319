// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus nic VM ...`: NICs of a running VM. */
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/util.h"

int nic_list(struct cli_args *a)
{
	json_t *o = NULL;
	int err = client_ask(a->words[0], "nic-list", NULL, &o);

	if (!err)
		client_show(o, cli_flag(a, "json"), client_print_nics);
	json_decref(o);
	return err;
}

int nic_add(struct cli_args *a)
{
	json_t *args = json_pack("{s:s}", "spec", a->words[1]);
	char why[256], *copy = strdup(a->words[1]);
	struct nic_config nc;
	int err = copy && args ? opt_nic(copy, &nc, why, sizeof(why)) : 0;

	free(copy);
	if (err) {
		json_decref(args);
		return cli_bad(a->cmd, "%s", why);
	}
	return client_change(a, "nic-add", args, "added");
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

int nic_mtu(struct cli_args *a)
{
	u32 mtu;

	if (!opt_u32(a->words[2], 1, 65535, &mtu)) /* the table has seen to it */
		return EXIT_USAGE;
	return client_change(a, "nic-mtu",
			     json_pack("{s:s, s:i}", "nic", a->words[1], "mtu", (int)mtu),
			     "has the new MTU");
}
