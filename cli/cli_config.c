// SPDX-License-Identifier: GPL-2.0-only
/* Options that were saved are options again: cli_config.h. */
#include "cli/cli_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "vmm/state_file.h"
#include "vmm/vm_state.h"

int cli_config_parse(const void *config, size_t len, struct vm_state_config *c, char *why,
		     size_t size)
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
		snprintf(why, size, "%s",
			 error.text[0] ? error.text : "its options are not in their place");
	return err;
}

int cli_config_read(int fd, struct vm_state_config *c, char *why, size_t size)
{
	unsigned char *buf = NULL;
	struct stat st;
	int err = -EIO;

	if (!fstat(fd, &st) && st.st_size > 0 && st.st_size <= STATE_FILE_CONFIG_MAX) {
		buf = kvmb_xzalloc((size_t)st.st_size);
		if (pread(fd, buf, (size_t)st.st_size, 0) == st.st_size)
			err = 0;
	}
	if (err)
		snprintf(why, size, "its options cannot be read");
	else
		err = cli_config_parse(buf, (size_t)st.st_size, c, why, size);
	free(buf);
	return err;
}

static int run_config(const char *from, const struct vm_state_config *c, struct state_file *state,
		      int incoming, const struct disk_copies *copies, struct vm_handed *handed)
{
	struct cli_args a;
	int code;

	if (chdir(c->dir)) {
		cli_error("%s: it was started in %s: %s", from, c->dir, strerror(errno));
		return EXIT_FAILED;
	}
	code = cli_parse(c->num_args, c->args, &a);
	if (code == EXIT_OK)
		code = cmd_run_from(&a, state, incoming, copies, handed);
	cli_free(&a);
	return code < 0 ? EXIT_FAILED : code;
}

int cli_run_config(const char *from, const void *config, size_t len, struct state_file *state,
		   int incoming, const struct disk_copies *copies, struct vm_handed *handed)
{
	struct vm_state_config c = { 0 };
	int code = EXIT_FAILED;
	char why[200];

	if (cli_config_parse(config, len, &c, why, sizeof(why)))
		cli_error("%s: %s", from, why);
	else
		code = run_config(from, &c, state, incoming, copies, handed);
	vm_state_free_config(&c);
	return code;
}
