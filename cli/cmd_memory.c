// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus memory VM [set SIZE]`: dynamic memory. */
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/loop.h"

#define LOOK_US 200000

static bool has_target(json_t *o)
{
	return json_equal(json_object_get(o, "assigned"), json_object_get(o, "target"));
}

/* Until the guest has what it is to have. @o: an answer, replaced by later ones. Return: EXIT_*. */
static int wait_for_target(const char *vm, u32 seconds, json_t **o)
{
	u64 until_ms = kvmb_now_ms() + seconds * 1000ull;
	int err;

	while (!has_target(*o)) {
		if (kvmb_now_ms() >= until_ms) {
			cli_error("VM \"%s\": the guest has not come there in %u s", vm, seconds);
			return EXIT_TIMEOUT;
		}
		usleep(LOOK_US);
		json_decref(*o);
		*o = NULL;
		err = client_ask(vm, "memory", NULL, o);
		if (err)
			return err;
	}
	return EXIT_OK;
}

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
	if (!err && cli_text(a, "wait"))
		err = wait_for_target(a->words[0], cli_u32(a, "wait"), &o);
	if (o)
		client_show(o, cli_flag(a, "json"), client_print_memory);
	json_decref(o);
	return err;
}
