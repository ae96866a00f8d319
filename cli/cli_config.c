// SPDX-License-Identifier: GPL-2.0-only
/* Options that were saved are options again: cli_config.h. */
#include "cli/cli_config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/tlv.h"
#include "vmm/vm_state.h"

static int read_config(const char *from, const void *config, size_t len, struct vm_state_config *c)
{
	struct kvmb_tlv_error error = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;
	int err = kvmb_tlv_next(config, len, &pos, &t, &error);

	if (!err && t.tag == KVMB_SEC_CONFIG)
		err = vm_state_read_config(&t, c);
	else if (!err)
		err = -EPROTO;
	if (err)
		cli_error("%s: %s", from,
			  error.text[0] ? error.text : "its options are not in their place");
	return err ? EXIT_FAILED : EXIT_OK;
}

static int run_config(const char *from, const struct vm_state_config *c, struct state_file *state,
		      int incoming)
{
	struct cli_args a;
	int code;

	if (chdir(c->dir)) {
		cli_error("%s: it was started in %s: %s", from, c->dir, strerror(errno));
		return EXIT_FAILED;
	}
	code = cli_parse(c->num_args, c->args, &a);
	if (code == EXIT_OK)
		code = cmd_run_from(&a, state, incoming);
	cli_free(&a);
	return code < 0 ? EXIT_FAILED : code;
}

int cli_run_config(const char *from, const void *config, size_t len, struct state_file *state,
		   int incoming)
{
	struct vm_state_config c = { 0 };
	int code = read_config(from, config, len, &c);

	if (code == EXIT_OK)
		code = run_config(from, &c, state, incoming);
	vm_state_free_config(&c);
	return code;
}
