// SPDX-License-Identifier: GPL-2.0-only
/*
 * passt that does what it should not: fake_passt.c is found in its place. What matters is that the
 * main thread never waits for it, that it is not started in a storm, and that its user learns why.
 */
#include "host-vsp/net/net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"
#include "tests/harness/keeper.h"
#include "tests/harness/net_guest.h"

/*
 * A round of the loop that waited for passt to end took 500 ms once; a busy machine takes
 * some of it.
 */
#define BLOCKED_MS 400u

static char dir[32], starts_file[64], mode_file[64], why[KVMB_NET_WHY];
static struct kvmb_loop *loop;

/* The keeper finds our passt, and no other. */
static void start_passt_keeper(void)
{
	char *path = strdup(getenv("PATH"));

	setenv("PATH", dir, 1);
	start_keeper();
	setenv("PATH", path, 1);
	free(path);
}

static int group_setup(void **state)
{
	char *path = strdup(getenv("PATH"));

	(void)state;
	strcpy(dir, "/tmp/kvmb-passt-XXXXXX");
	if (!mkdtemp(dir) || chmod(dir, 0755)) /* one of them is nobody for a while */
		return -1;
	snprintf(starts_file, sizeof(starts_file), "%s/starts", dir);
	snprintf(mode_file, sizeof(mode_file), "%s/mode", dir);
	setenv("FAKE_PASST_STARTS", starts_file, 1);
	setenv("FAKE_PASST", mode_file, 1);
	stand_in(dir, "passt", "passt");
	setenv("PATH", path, 1);
	free(path);
	close(open(mode_file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	chmod(mode_file, 0666);
	start_passt_keeper();
	kvmb_log_set_level(KVMB_LOG_ERR);
	return 0;
}

static int group_teardown(void **state)
{
	char cmd[64];

	(void)state;
	end_keeper();
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd);
}

/* What the next passt does. */
static void behave_as(const char *mode)
{
	FILE *file = fopen(mode_file, "w");

	assert_true(file && fputs(mode, file) >= 0 && !fclose(file));
}

static int setup(void **state)
{
	(void)state;
	close(open(starts_file, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600));
	loop = kvmb_loop_create();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kvmb_loop_destroy(loop);
	return 0;
}

static struct kvmb_net_backend *open_as(const char *mode, const char *forward,
					unsigned int ready_ms)
{
	struct kvmb_passt_spec spec = { .forwards = &forward,
					.num_forwards = forward != NULL,
					.mtu = 1500,
					.ready_ms = ready_ms };

	int channel;

	behave_as(mode);
	why[0] = 0;
	channel = kvmb_net_passt_recipe(&spec, why);
	return channel < 0 ? NULL : kvmb_net_passt_create(channel, 1500, loop, why);
}

/* Process ids of those that were started. Return: how many. */
static u32 started(pid_t *pids, u32 max)
{
	FILE *file = fopen(starts_file, "r");
	u32 n = 0;
	int pid;

	while (fscanf(file, "%d", &pid) == 1) {
		if (n < max)
			pids[n] = pid;
		n++;
	}
	fclose(file);
	return n;
}

static void it_is_ready_when_it_says_so(void **state)
{
	struct kvmb_net_backend *b = open_as("good", NULL, 0);

	(void)state;
	assert_non_null(b);
	assert_int_equal(kvmb_net_passt_wait(b, why), 0);
	assert_true(b->fd[0] >= 0);
	b->ops->destroy(b);
}

static void its_last_words_are_the_reason(void **state)
{
	struct kvmb_net_backend *b = open_as("loud", NULL, 0);

	(void)state;
	assert_non_null(b);
	assert_int_not_equal(kvmb_net_passt_wait(b, why), 0);
	assert_string_equal(why, "passt: No routable interface for IPv4, exiting");
	b->ops->destroy(b);
}

static void one_that_talks_does_not_stand_still(void **state)
{
	struct kvmb_net_backend *b = open_as("chatty", NULL, 0);

	(void)state;
	assert_int_equal(kvmb_net_passt_wait(b, why), 0);
	b->ops->destroy(b);
}

static void one_that_never_answers_is_given_up(void **state)
{
	struct kvmb_net_backend *b = open_as("silent", NULL, 200);

	(void)state;
	assert_int_equal(kvmb_net_passt_wait(b, why), -ETIMEDOUT);
	assert_string_equal(why, "passt does not get ready");
	b->ops->destroy(b);
}

static void a_keeper_that_ends_meanwhile_is_the_reason(void **state)
{
	struct kvmb_net_backend *b = open_as("silent", NULL, 0);
	pid_t keeper = find_keeper();
	int i;

	(void)state;
	for (i = 0; i < 1000 && !started(NULL, 0); i++)
		usleep(10000);
	kill(keeper, SIGKILL); /* after "started", before "ready" */
	assert_int_equal(waitpid(keeper, NULL, 0), keeper);
	assert_int_equal(kvmb_net_passt_wait(b, why), -ECHILD);
	assert_string_equal(why, "passt: its keeper has ended");
	b->ops->destroy(b);
	end_keeper();
	start_passt_keeper();
}

static void one_that_is_not_there_is_named(void **state)
{
	char link[64], away[64];
	struct kvmb_net_backend *b;

	(void)state;
	snprintf(link, sizeof(link), "%s/passt", dir);
	snprintf(away, sizeof(away), "%s/away", dir);
	assert_int_equal(rename(link, away), 0);
	b = open_as("good", NULL, 0);
	assert_int_not_equal(kvmb_net_passt_wait(b, why), 0);
	assert_int_equal(rename(away, link), 0);
	assert_string_equal(why, "passt is not installed; try: apt install passt, or --nic none");
	b->ops->destroy(b);
}

static void a_port_that_cannot_be_bound_is_told(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char forward[64];

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	/* IPv6's is free, of which passt makes do */
	snprintf(forward, sizeof(forward), "%u:22", ntohs(a.sin_port));
	assert_null(open_as("good", forward, 0));
	assert_non_null(strstr(why, "is in use; choose another"));
	snprintf(forward, sizeof(forward), "127.0.0.1/%u:22", ntohs(a.sin_port));
	assert_null(open_as("good", forward, 0));
	assert_non_null(strstr(why, "is in use; choose another"));
	close(fd);
	assert_null(open_as("good", "udp:192.0.2.77/5000:5000", 0));
	assert_non_null(
		strstr(why, "UDP port 5000 of this host (192.0.2.77/5000:5000): Cannot assign"));
	assert_int_equal(started(NULL, 0), 0);
}

static void a_privileged_port_is_told_to_a_user(void **state)
{
	(void)state;
	if (!geteuid() && seteuid(65534))
		skip();
	if (!open_as("good", "80:80", 0))
		assert_non_null(strstr(
			why, "TCP port 80 of this host: Permission denied; use 1024 or higher"));
	else
		print_message("here everybody may bind to port 80\n");
	assert_int_equal(seteuid(getuid()), 0);
}

static void one_that_is_not_confined_is_not_used(void **state)
{
	struct kvmb_net_backend *b = open_as("naked", NULL, 0);
	pid_t pid;

	(void)state;
	assert_int_equal(kvmb_net_passt_wait(b, why), -ECHILD);
	assert_non_null(strstr(why, "does not confine itself"));
	assert_int_equal(started(&pid, 1), 1);
	assert_int_equal(kill(pid, 0), -1);
	b->ops->destroy(b);
}

static void it_ends_in_bounded_time(void **state)
{
	struct kvmb_net_backend *b = open_as("deaf", NULL, 0);
	pid_t pid;
	u64 start;

	(void)state;
	assert_int_equal(kvmb_net_passt_wait(b, why), 0);
	assert_int_equal(started(&pid, 1), 1);
	start = kvmb_now_ms();
	b->ops->destroy(b);
	assert_int_equal(kill(pid, 0), -1); /* and it has been waited for */
	print_message("ended after %llu ms\n", (unsigned long long)(kvmb_now_ms() - start));
}

/* ---- in a NIC ---- */

static u64 longest; /* ms that a round of the loop took, waiting aside */

static int setup_box(void **state)
{
	static struct kvmb_net_spec spec = { .mtu = 1500, .max_queues = 1 };
	struct kvmb_passt_spec passt = { .mtu = 1500 };
	struct kvmb_net_backend *b;
	int channel;

	setup(state);
	kvmb_loop_destroy(loop);
	behave_as("good");
	memcpy(spec.mac, mac, sizeof(mac));
	fake_init(&f, KVMB_VERSION_NEWEST);
	channel = kvmb_net_passt_recipe(&passt, why);
	b = kvmb_net_passt_create(channel, passt.mtu, f.loop, why);
	assert_int_equal(kvmb_net_passt_wait(b, why), 0);
	nic = kvmb_net_create(&spec, b, f.loop);
	open_box();
	longest = 0;
	return 0;
}

static int teardown_box(void **state)
{
	(void)state;
	unbox();
	return 0;
}

static void run_for(u64 ms)
{
	u64 end = kvmb_now_ms() + ms, start;

	while (kvmb_now_ms() < end) {
		start = unqueued_ms();
		kvmb_loop_once(f.loop, 0);
		longest = KVMB_MAX(longest, unqueued_ms() - start);
		usleep(1000);
	}
}

static struct kvmb_net_info info_now(void)
{
	struct kvmb_net_info i;

	kvmb_net_get_info(nic, &i);
	return i;
}

/* Until there have been so many starts. Return: after how many ms. */
static u64 starts_by(u32 num)
{
	u64 begin = kvmb_now_ms();

	while (started(NULL, 0) < num && kvmb_now_ms() - begin < PATIENCE_MS)
		run_for(10);
	assert_int_equal(started(NULL, 0), num);
	return kvmb_now_ms() - begin;
}

/* So many times it was there again, and now it is not. */
static void until_lost(u32 restarts)
{
	u64 end = kvmb_now_ms() + PATIENCE_MS;

	while (kvmb_now_ms() < end && (info_now().restarts < restarts || info_now().connected))
		run_for(10);
	assert_int_equal(info_now().restarts, restarts);
}

static bool comes_back(u32 restarts)
{
	u64 end = kvmb_now_ms() + PATIENCE_MS;

	while (kvmb_now_ms() < end && (info_now().restarts < restarts || !info_now().connected))
		run_for(10);
	return info_now().restarts == restarts && info_now().connected;
}

static void one_that_dies_is_back_at_once(void **state)
{
	pid_t pid;

	(void)state;
	bring_up();
	started(&pid, 1);
	kill(pid, SIGKILL);
	assert_true(comes_back(1));
	assert_string_equal(info_now().problem, "");
	assert_int_equal(started(&pid, 1), 2);
}

/* It hangs up and does not end when it is told to: nobody waits for it, and it is killed. */
static void one_that_ignores_sigterm_holds_nobody_up(void **state)
{
	pid_t pids[16];
	u64 ms;
	u32 n;

	(void)state;
	bring_up();
	behave_as("stubborn");
	started(pids, 1);
	kill(pids[0], SIGKILL);
	ms = starts_by(4); /* the second at once, then after one second and after two */
	started(pids, 16);
	print_message("4 starts in %llu ms, longest round %llu ms\n", (unsigned long long)ms,
		      (unsigned long long)longest);
	assert_true(ms >= 2900);
	assert_true(longest < BLOCKED_MS);
	assert_int_equal(kill(pids[1], 0), -1);
	until_lost(3);
	behave_as("good");
	n = info_now().restarts;
	assert_true(comes_back(n + 1));
	assert_true(longest < BLOCKED_MS);
}

static void one_that_dies_in_a_loop_is_started_more_and_more_slowly(void **state)
{
	pid_t pid;
	u64 ms;

	(void)state;
	bring_up();
	behave_as("loop");
	started(&pid, 1);
	kill(pid, SIGKILL);
	ms = starts_by(4); /* the second at once, then after one second and after two */
	print_message("4 starts in %llu ms, longest round %llu ms\n", (unsigned long long)ms,
		      (unsigned long long)longest);
	assert_true(ms >= 2900);
	assert_true(longest < BLOCKED_MS);
	until_lost(3);
	assert_false(info_now().connected);
}

static void what_keeps_it_from_coming_back_is_told(void **state)
{
	pid_t pid;
	u64 end;

	(void)state;
	bring_up();
	behave_as("loud");
	started(&pid, 1);
	kill(pid, SIGKILL);
	end = kvmb_now_ms() + PATIENCE_MS;
	do
		run_for(10);
	while (!strstr(info_now().problem, "routable") && kvmb_now_ms() < end);
	assert_false(info_now().connected);
	assert_string_equal(info_now().problem, "passt: No routable interface for IPv4, exiting");
}

#define BOX(name) cmocka_unit_test_setup_teardown(name, setup_box, teardown_box)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_is_ready_when_it_says_so),
		T(its_last_words_are_the_reason),
		T(one_that_talks_does_not_stand_still),
		T(one_that_never_answers_is_given_up),
		T(a_keeper_that_ends_meanwhile_is_the_reason),
		T(one_that_is_not_there_is_named),
		T(a_port_that_cannot_be_bound_is_told),
		T(a_privileged_port_is_told_to_a_user),
		T(one_that_is_not_confined_is_not_used),
		T(it_ends_in_bounded_time),
		BOX(one_that_dies_is_back_at_once),
		BOX(one_that_ignores_sigterm_holds_nobody_up),
		BOX(one_that_dies_in_a_loop_is_started_more_and_more_slowly),
		BOX(what_keeps_it_from_coming_back_is_told),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
