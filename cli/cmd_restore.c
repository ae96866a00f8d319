// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus restore`: a saved VM goes on in this process, with the options that it was started by. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cli_config.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/zstd_lib.h"
#include "vmm/state_file.h"

static int bad_state(const char *path, const char *why)
{
	cli_error("%s: %s", path, why);
	return EXIT_FAILED;
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
		return bad_state(
			path,
			errno == EWOULDBLOCK ?
				"another process restores it, or has not ended after saving it" :
				strerror(errno));
	if (state_file_open(&f, fd, why))
		return bad_state(path, why);
	if (f.packed && kvmb_zstd_load(why, sizeof(why))) {
		state_file_close(&f);
		return bad_state(path, why);
	}
	code = cli_run_config(path, f.config, f.config_len, &f, 0, NULL, NULL);
	state_file_close(&f);
	return code;
}
