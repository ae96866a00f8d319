// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus restore`: a saved VM goes on in this process, with the options that it was started by. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/tlv.h"
#include "vmm/state_file.h"
#include "vmm/vm_state.h"

static int bad_state(const char *path, const char *why)
{
	cli_error("%s: %s", path, why);
	return EXIT_FAILED;
}

/* Its options. */
static int read_config(const char *path, const struct state_file *f, struct vm_state_config *c)
{
	struct kvmb_tlv_error error = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;
	int err = kvmb_tlv_next(f->config, f->config_len, &pos, &t, &error);

	if (!err && t.tag != KVMB_SEC_CONFIG) {
		snprintf(error.text, sizeof(error.text), "its options are not in their place");
		err = -EPROTO;
	}
	if (!err)
		err = vm_state_read_config(&t, c);
	return err ? bad_state(path, error.text) : EXIT_OK;
}

static int run_config(const char *path, struct state_file *f, const struct vm_state_config *c)
{
	struct cli_args a;
	int code;

	if (chdir(c->dir)) {
		cli_error("%s: it was started in %s: %s", path, c->dir, strerror(errno));
		return EXIT_FAILED;
	}
	code = cli_parse(c->num_args, c->args, &a);
	if (code == EXIT_OK)
		code = cmd_run_state(&a, f);
	cli_free(&a);
	return code < 0 ? EXIT_FAILED : code;
}

/* Its options are carried out: another user must not choose them, for root least of all. */
static bool is_ours(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_uid == geteuid();
}

/* Read once: what its options said is of the same bytes as what is loaded. */
int cmd_restore(struct cli_args *a)
{
	struct vm_state_config c = { 0 };
	const char *path = a->words[0];
	char why[STATE_FILE_WHY];
	struct state_file f;
	int fd = open(path, O_RDWR | O_CLOEXEC), code;

	if (fd < 0)
		return bad_state(path, strerror(errno));
	if (!is_ours(fd))
		return bad_state(path, "it is another user's, and so are its options; restore it "
				       "as that user");
	if (flock(fd, LOCK_EX | LOCK_NB)) /* until it is used, or the process ends */
		return bad_state(path, errno == EWOULDBLOCK ? "another process restores it" :
							      strerror(errno));
	if (state_file_open(&f, fd, why))
		return bad_state(path, why);
	code = read_config(path, &f, &c);
	if (code == EXIT_OK)
		code = run_config(path, &f, &c);
	vm_state_free_config(&c);
	state_file_close(&f);
	return code;
}
