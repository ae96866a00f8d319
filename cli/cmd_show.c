// SPDX-License-Identifier: GPL-2.0-only
/* info, stats. */
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "lib/exits.h"

int cmd_info(struct cli_args *a)
{
	json_t *o = NULL;
	int err = client_ask(a->words[0], "info", NULL, &o);

	if (!err)
		client_show(o, cli_flag(a, "json"), client_print_info);
	json_decref(o);
	return err;
}

/* @out: may be a log: one object a line */
static void show_watched(json_t *o, bool as_json)
{
	if (as_json) {
		json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		putchar('\n');
		return;
	}
	if (isatty(STDOUT_FILENO))
		printf("\033[H\033[2J");
	client_show(o, false, client_print_stats);
}

int cmd_stats(struct cli_args *a)
{
	bool as_json = cli_flag(a, "json"), watch = cli_flag(a, "watch");
	json_t *o = NULL;
	int err;

	for (;;) {
		err = client_ask(a->words[0], "stats", NULL, &o);
		if (err)
			return err;
		if (watch)
			show_watched(o, as_json);
		else
			client_show(o, as_json, client_print_stats);
		json_decref(o);
		o = NULL;
		if (!watch || fflush(stdout) || ferror(stdout)) /* main() says why */
			return EXIT_OK;
		sleep(1);
	}
}
