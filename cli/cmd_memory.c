// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus memory VM [set SIZE]`: dynamic memory. */
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "lib/exits.h"

int cmd_memory(struct cli_args *a)
{
	json_t *o = NULL, *args = NULL;
	char why[160];
	u64 size;
	int err;

	if (!a->words[1] != !a->words[2])
		return cli_bad(a->cmd, "write set and a size, for example: set 1G");
	if (a->words[2]) {
		if (!opt_memory_size(a->words[2], &size, why, sizeof(why)))
			return cli_bad(a->cmd, "size \"%s\": %s", a->words[2], why);
		args = json_pack("{s:I}", "size", (json_int_t)size);
	}
	err = client_ask(a->words[0], args ? "memory-set" : "memory", args, &o);
	if (!err)
		client_show(o, cli_flag(a, "json"), client_print_memory);
	json_decref(o);
	return err;
}
