// SPDX-License-Identifier: GPL-2.0-only
/*
 * lack WHAT[,WHAT]... PROGRAM [ARGUMENT]...: run a program as on a host that lacks something:
 * io_uring (as Docker's default seccomp filter forbids it) or landlock (as a kernel without it).
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const char *what;
	unsigned int nr;
	int err;
} lacks[] = {
	{ "io_uring", SYS_io_uring_setup, EPERM },
	{ "landlock", SYS_landlock_create_ruleset, ENOSYS },
};

/* Return: 0 or errno; the filter is seen to work. */
static int take_away(unsigned int nr, int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		return errno;
	return syscall(nr, 0, NULL, 0) == -1 && errno == err ? 0 : EINVAL;
}

int main(int argc, char **argv)
{
	char *what = argc > 2 ? strtok(argv[1], ",") : NULL;
	size_t i;
	int err;

	if (!what)
		return 2;
	for (; what; what = strtok(NULL, ",")) {
		for (i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++) {
			if (!strcmp(what, lacks[i].what))
				break;
		}
		if (i == sizeof(lacks) / sizeof(lacks[0]))
			return 2;
		err = take_away(lacks[i].nr, lacks[i].err);
		if (err) {
			fprintf(stderr, "lack: no filter: %s\n", strerror(err));
			return 1;
		}
	}
	execvp(argv[2], argv + 2);
	fprintf(stderr, "lack: %s: %s\n", argv[2], strerror(errno));
	return 127;
}
