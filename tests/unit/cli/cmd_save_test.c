// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus save` of a VM that was taken over and does not end: what is left at the file's name? */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int hurried_poll(struct pollfd *p, nfds_t n, int ms)
{
	return poll(p, n, ms > 60000 ? ms / 100 : ms);
}
static bool dir_fails;
static int moody_fsync(int fd)
{
	errno = EIO;
	return dir_fails ? -1 : fsync(fd);
}
#define poll hurried_poll /* 1.2 s instead of 120 */
#define fsync moody_fsync
#include "cli/client_facts.c"
#include "cli/cmd_save.c"
#undef poll
#undef fsync

#include "lib/fdpass.h"
#include "tests/unit/test.h"

static const char options[] = "what the user typed", evil[] = "what the guest wants";
static int to_vm;
static pid_t vm_pid;

/* ---- what is around cmd_save.c ---- */

struct progress *progress_begin(const char *vm, const char *what, bool as_json)
{
	(void)vm, (void)what, (void)as_json;
	return NULL;
}
void progress_end(struct progress *p)
{
	(void)p;
}
int client_connect(const char *vm, int *fd)
{
	(void)vm;
	*fd = dup(to_vm);
	return EXIT_OK;
}
int client_as_owner(int fd, const char *vm)
{
	(void)fd, (void)vm;
	return EXIT_OK;
}
int client_reach_keeper(int fd, const char *vm, char *dir, size_t size)
{
	(void)fd, (void)vm, (void)dir, (void)size;
	return EXIT_OK;
}
int kvmb_keeper_vm(char *why, size_t size)
{
	(void)why, (void)size;
	return (int)syscall(SYS_pidfd_open, vm_pid, 0);
}
int kvmb_keeper_kept(char *why, size_t size)
{
	int fd = memfd_create("options", 0);

	(void)why, (void)size;
	return write(fd, options, sizeof(options)) == sizeof(options) ? fd : -1;
}
void kvmb_keeper_seal(void)
{
}
int cli_config_parse(const void *config, size_t len, struct vm_state_config *c, char *why,
		     size_t size)
{
	(void)config, (void)len, (void)c, (void)why, (void)size;
	return -EPROTO; /* these options are none */
}
bool note_has_passt(const struct vm_state_config *c)
{
	(void)c;
	return true;
}
void vm_state_free_config(struct vm_state_config *c)
{
	(void)c;
}
const char *cli_text(const struct cli_args *a, const char *name)
{
	(void)a, (void)name;
	return NULL;
}

u32 cli_u32(const struct cli_args *a, const char *name)
{
	(void)a, (void)name;
	return 0;
}

bool cli_flag(const struct cli_args *a, const char *name)
{
	(void)a, (void)name;
	return false;
}
void client_show(json_t *o, bool json, void (*fn)(json_t *))
{
	(void)o, (void)json, (void)fn;
}
void cli_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	puts("");
}

int client_ask_on(int fd, const char *vm, const char *name, json_t *arguments,
		  const struct handover_fds *fds, json_t **out)
{
	char c;

	(void)vm, (void)name, (void)out;
	json_decref(arguments);
	assert_int_equal(kvmb_send_fds(fd, "s", 1, fds->fd, (int)fds->num), 1);
	assert_int_equal(read(fd, &c, 1), 1);
	return EXIT_OK;
}

/* ---- the VM's process, taken over ---- */

static bool go_on_writing(void *arg, u64 done, u64 total)
{
	(void)arg, (void)done, (void)total;
	return true;
}

#define RAM (64u << 20)
static enum { STAYS, LEAVES_O_DIRECT } what;

static int fill(int file)
{
	struct kvmb_gm gm = { .memfd = memfd_create("ram", 0), .num_regions = 1 };
	const struct state_file_wish wish = { .threads = 1 };
	const struct state_file_progress p = { go_on_writing, NULL };
	char why[STATE_FILE_WHY];
	int err;

	gm.regions[0].size = RAM;
	if (ftruncate(gm.memfd, RAM))
		return -errno;
	gm.regions[0].hva = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, gm.memfd, 0);
	memset(gm.regions[0].hva, 1, RAM);
	err = state_file_write(file, &gm, "sections", 8, &wish, &p, why);
	munmap(gm.regions[0].hva, RAM);
	close(gm.memfd);
	return err ? err : state_file_complete(file);
}

static void be_the_vm(int sock)
{
	int fds[2], num = 2;
	char c;

	if (kvmb_recv_fds(sock, &c, 1, fds, &num, 0) != 1 || fill(fds[0]) ||
	    write(sock, "r", 1) != 1 || read(fds[1], &c, 1) != 1)
		_exit(2);
	/* the file has its name and the user's options; here come ours, and we just stay */
	if (pwrite(fds[0], evil, sizeof(evil), 4096) != sizeof(evil))
		_exit(3);
	if (what == LEAVES_O_DIRECT)
		_exit(fcntl(fds[0], F_SETFL, fcntl(fds[0], F_GETFL) | O_DIRECT) ? 7 : 0);
	for (;;)
		pause();
}

/* Return: would a restore, a while later, take options that are not the user's? */
static bool is_fooled(int *code)
{
	char dir[] = "/tmp/kvmbus-save-XXXXXX", path[64], why[STATE_FILE_WHY];
	const char *words[] = { "vm", path };
	struct cli_args a = { 0 };
	struct state_file f;
	int sv[2], status, err, fd;
	bool fooled;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/state", dir);
	a.words[0] = (char *)words[0];
	a.words[1] = path;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	vm_pid = fork();
	if (!vm_pid)
		be_the_vm(sv[1]);
	to_vm = sv[0];
	*code = cmd_save(&a);
	kill(vm_pid, SIGKILL); /* kvmbus kill, as the message says */
	waitpid(vm_pid, &status, 0);
	assert_true(what != STAYS ? WIFEXITED(status) && !WEXITSTATUS(status) :
				    WIFSIGNALED(status));
	usleep(300000);
	fd = open(path, O_RDWR);
	err = state_file_open(&f, fd, why);
	fooled = !err && strcmp((const char *)f.config, options);
	if (fooled)
		printf("save: status %d; restore would obey: %s\n", *code, (const char *)f.config);
	if (err)
		close(fd);
	else
		state_file_close(&f);
	unlink(path);
	rmdir(dir);
	close(sv[0]);
	close(sv[1]);
	return fooled;
}

static void one_that_does_not_end_leaves_nothing_to_restore(void **state)
{
	int code;

	(void)state;
	what = STAYS;
	assert_false(is_fooled(&code));
}

static void one_that_cannot_be_read_is_not_left_to_restore(void **state)
{
	int code;

	(void)state;
	what = LEAVES_O_DIRECT;
	assert_false(is_fooled(&code));
}

/* The user is told "not saved", and may use the name again. */
static void one_whose_name_may_not_last_has_none(void **state)
{
	char dir[] = "/tmp/kvmbus-save-XXXXXX", path[64];
	struct target t = { .path = path,
			    .facts = { .config = (void *)(uintptr_t)options,
				       .config_len = sizeof(options) } };
	int failed, named, i;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/state", dir);
	for (i = 0; i < 2; i++) {
		assert_int_equal(open_target(&t), EXIT_OK);
		assert_int_equal(fill(t.file), 0);
		dir_fails = !i;
		failed = name_target(&t);
		named = access(path, F_OK);
		close(t.file);
		close(t.dir);
		assert_int_equal(failed, i ? EXIT_OK : EXIT_FAILED);
		assert_int_equal(named, i ? 0 : -1);
	}
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_does_not_end_leaves_nothing_to_restore),
		cmocka_unit_test(one_that_cannot_be_read_is_not_left_to_restore),
		cmocka_unit_test(one_whose_name_may_not_last_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
