// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control socket: order of answers, clients that leave or send what is no command, a console.
 */
#include "vmm/ctl.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/fdpass.h"
#include "lib/util.h"
#include "machine/dev/serial.h"
#include "tests/harness/connect.h"
#include "vmm/backup.h"
#include "vmm/console.h"
#include "vmm/disk_info.h"
#include "vmm/disks.h"
#include "vmm/dynmem.h"
#include "vmm/fcopy.h"
#include "vmm/info.h"
#include "vmm/kvp.h"
#include "vmm/mig_out.h"
#include "vmm/nics.h"
#include "vmm/save.h"
#include "vmm/display.h"
#include "vmm/screen.h"
#include "vmm/services.h"
#include "vmbus-core/proto/ic.h"

static struct vm vm;
static char path[64];

/* ---- the rest of the VMM: says what it was asked, or answers when the test wants it ---- */

static struct ctl_reply later; /* of the last change of a disk */
static u32 changes;

static size_t padding; /* of what it says of itself */

json_t *info_vm(struct vm *v)
{
	json_t *o = json_pack("{s:s}", "name", "t");
	char *pad = malloc(padding + 1);

	(void)v;
	memset(pad, 'x', padding);
	pad[padding] = 0;
	if (padding)
		json_object_set_new(o, "padding", json_string(pad));
	free(pad);
	return o;
}

json_t *json_text(const char *s)
{
	return json_string(s);
}

json_t *info_stats(struct vm *v)
{
	(void)v;
	return json_pack("{s:i}", "stats", 1);
}

int vm_pause(struct vm *v)
{
	(void)v;
	return 0;
}

int vm_reset(struct vm *v)
{
	(void)v;
	return -EINVAL;
}

int vm_resume(struct vm *v)
{
	(void)v;
	return -EINVAL;
}

static enum ctl_event kill_event = CTL_EVENT_ENDED;

void vm_kill(struct vm *v)
{
	ctl_notify(v->ctl, kill_event);
}

static bool shutdown_is_on = true;
static char switched[64]; /* what was asked of the services last */

bool services_on(const struct vm *v, enum vm_service which)
{
	(void)v;
	assert_int_equal(which, SERVICE_SHUTDOWN);
	return shutdown_is_on;
}

void services_set(struct vm *v, const char *spec, struct ctl_reply reply)
{
	(void)v;
	snprintf(switched, sizeof(switched), "%s", spec);
	reply_result(reply, json_object());
}

json_t *services_info(struct vm *v)
{
	(void)v;
	return json_pack("{s:{}}", "heartbeat");
}

json_t *disks_list(struct vm *v)
{
	(void)v;
	return json_array();
}

static struct kvmb_disk_files got; /* with the last disk-add, while @keeping */
static bool keeping;

void disks_add(struct vm *v, const char *spec, bool dvd, struct kvmb_disk_files *files,
	       struct ctl_reply reply)
{
	(void)v, (void)spec, (void)dvd;
	changes++;
	later = reply;
	if (!keeping)
		return;
	got = *files;
	files->num = 0;
}

static struct kvmb_net_files got_nic;

void nics_add(struct vm *v, const char *spec, struct kvmb_net_files *files, struct ctl_reply reply)
{
	(void)v, (void)spec;
	got_nic = *files;
	if (keeping)
		files->num = 0;
	reply_result(reply, json_object());
}

/* this one refuses on the spot */
void disks_remove(struct vm *v, const char *disk, struct ctl_reply reply)
{
	(void)v, (void)disk;
	reply_refused(reply, "failed", "no such disk");
}

static char screened[80]; /* what the screen was asked for last */

void screen_shot(struct vm *v, int fd, struct ctl_reply reply)
{
	(void)v;
	close(fd);
	strcpy(screened, "picture");
	reply_result(reply, json_object());
}
void screen_text(struct vm *v, struct ctl_reply reply)
{
	(void)v;
	strcpy(screened, "text");
	reply_result(reply, json_object());
}
void screen_key(struct vm *v, const char *names, struct ctl_reply reply)
{
	(void)v;
	snprintf(screened, sizeof(screened), "key %s", names);
	reply_result(reply, json_object());
}
void screen_type(struct vm *v, const char *text, struct ctl_reply reply)
{
	(void)v;
	snprintf(screened, sizeof(screened), "type %s", text);
	reply_result(reply, json_object());
}

void display_add(struct vm *v, int sock, int picture, bool view_only, struct ctl_reply reply)
{
	(void)v;
	close(sock);
	close(picture);
	strcpy(screened, view_only ? "display, view only" : "display");
	reply_result(reply, json_object());
}

#define STUB(name, ...) void name(struct vm *v, __VA_ARGS__) { (void)v; fail_msg(#name); }
#pragma GCC diagnostic ignored "-Wunused-parameter"
STUB(disks_resize, const char *d, u64 bytes, struct ctl_reply r)
STUB(disks_eject, const char *d, bool force, struct ctl_reply r)
STUB(disks_insert, const char *d, const char *spec, struct kvmb_disk_files *f, struct ctl_reply r)
STUB(disks_limit, const char *d, s64 iops, s64 bps, struct ctl_reply r)
STUB(nics_remove, const char *nic, struct ctl_reply r)
STUB(nics_link, const char *nic, bool up, struct ctl_reply r)
STUB(nics_mtu, const char *nic, u32 mtu, struct ctl_reply r)
STUB(kvp_list, struct ctl_reply r)
STUB(kvp_delete, const char *key, struct ctl_reply r)
STUB(kvp_ip, json_t *args, struct ctl_reply r)

void kvp_set(struct vm *v, const char *key, const char *value, struct ctl_reply reply)
{
	(void)v;
	reply_result(reply, json_pack("{s:s, s:s}", "key", key, "value", value));
}

void fcopy_begin(struct vm *v, json_t *args, int file, int pipe_end, struct ctl_reply reply)
{
	(void)v;
	close(file);
	close(pipe_end);
	reply_result(reply, json_incref(args));
}

static bool stands_for_backup;

STUB(backup_begin, json_t *args, struct handover_fds *fds, struct ctl_reply r)

bool backup_stands(const struct vm *v)
{
	(void)v;
	return stands_for_backup;
}
STUB(dynmem_show, struct ctl_reply r)
STUB(dynmem_set, u64 bytes, struct ctl_reply r)

static u32 saves;
static struct state_file_wish wished;

void save_begin(struct vm *v, int file, int pipe_end, const struct state_file_wish *wish,
		struct ctl_reply reply)
{
	(void)v;
	saves++;
	wished = *wish;
	close(file);
	close(pipe_end);
	reply_result(reply, json_object());
}

static const char *keeps; /* why it is not handed over */

int upgrade_out_begin(struct vm *v, int peer, char *why, size_t size)
{
	(void)v;
	close(peer);
	snprintf(why, size, "%s", keeps ? keeps : "");
	return keeps ? -EBUSY : 0;
}

void mig_out_begin(struct vm *v, int peer, int pipe_end, const struct mig_out_wish *wish,
		   struct ctl_reply reply)
{
	(void)v;
	assert_int_equal(wish->downtime_ms, 7);
	assert_int_equal(wish->timeout_s, 0); /* never */
	close(peer);
	close(pipe_end);
	reply_result(reply, json_object());
}

static bool live, undecided;

bool mig_out_is_live(const struct vm *v)
{
	(void)v;
	return live;
}

bool mig_out_is_undecided(const struct vm *v)
{
	(void)v;
	return undecided;
}

int mig_out_resume(struct vm *v, char *why, size_t size)
{
	(void)v;
	snprintf(why, size, "somebody has its disks");
	return -EBUSY;
}

static u64 serves; /* bytes that a VM elsewhere needs */
static bool broken;

u64 mig_out_serves(const struct vm *v)
{
	(void)v;
	return serves;
}

bool mig_out_runs_there(const struct vm *v)
{
	return serves && !mig_out_is_undecided(v);
}

void mig_out_mend(struct vm *v, int peer, int pipe_end, struct ctl_reply reply)
{
	(void)v;
	close(peer);
	close(pipe_end);
	reply_result(reply, json_string("out"));
}

bool mig_post_is_broken(const struct vm *v)
{
	(void)v;
	return broken;
}

void mig_post_mend(struct vm *v, int peer, struct ctl_reply reply)
{
	(void)v;
	close(peer);
	reply_result(reply, json_string("in"));
}

json_t *nics_list(struct vm *v)
{
	(void)v;
	return json_array();
}

bool console_pass(struct vm *v, int fd, u64 *cursor)
{
	u8 buf[64];
	size_t n = serial_read(v->machine.serial, cursor, buf, sizeof(buf));

	return n && write(fd, buf, n) < 0;
}

static void no_irq(void *arg, int level)
{
	(void)arg, (void)level;
}

static void no_news(void *arg)
{
	(void)arg;
}

/* ---- the client's side ---- */

static int setup(void **state)
{
	struct serial_ops ops = { .set_irq = no_irq, .output = no_news, .room = no_news };
	char why[256];

	(void)state;
	memset(&vm, 0, sizeof(vm));
	vm.loop = kvmb_loop_create();
	vm.machine.serial = serial_create(&ops);
	vm.state = VM_RUNNING;
	kvmb_shutdown_init(&vm.shutdown, NULL, NULL);
	snprintf(path, sizeof(path), "/tmp/kvmb-ctl-%d", (int)getpid());
	vm.cfg.control = path;
	vm.ctl = ctl_create(&vm, why, sizeof(why));
	changes = 0;
	later.fn = NULL;
	keeping = false;
	got.num = 0;
	return vm.ctl ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	ctl_destroy(vm.ctl);
	serial_destroy(vm.machine.serial);
	kvmb_loop_destroy(vm.loop);
	return 0;
}

static int reach(void)
{
	int fd = connect_to(path);

	kvmb_loop_once(vm.loop, 1000);
	return fd;
}

static void turn(void)
{
	int i;

	for (i = 0; i < 8; i++) /* a line takes one */
		kvmb_loop_once(vm.loop, 0);
}

static void ask(int fd, const char *lines)
{
	assert_int_equal(write(fd, lines, strlen(lines)), strlen(lines));
	turn();
}

/* All that has been answered so far; "EOF" at its end when the VM hung up. */
static const char *heard(int fd)
{
	static char buf[4096];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(buf) - 8 &&
	       (n = recv(fd, buf + len, sizeof(buf) - 8 - len, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	strcpy(buf + len, n == 0 || (n < 0 && errno == ECONNRESET) ? "EOF" : "");
	return buf;
}

#define CMD(name) "{\"execute\": \"" name "\"}\n"
#define INFO "{\"return\":{\"name\":\"t\"}}\n"
#define STATS "{\"return\":{\"stats\":1}}\n"
#define DONE "{\"return\":{}}\n"

static void ctl_commands_are_answered_in_order(void **state)
{
	int fd = reach();

	(void)state;
	ask(fd, CMD("info") CMD("stats") CMD("info"));
	assert_string_equal(heard(fd), INFO STATS INFO);
	ask(fd, "{\"execute\": \"in");
	assert_string_equal(heard(fd), "");
	ask(fd, "fo\"}\n");
	assert_string_equal(heard(fd), INFO);
	close(fd);
}

/* A large VM has more to say than a socket's buffer holds, to a client that takes its time. */
static void ctl_long_answer_comes_whole(void **state)
{
	static char buf[1 << 21];
	int fd = reach(), other = reach();
	size_t len = 0;
	ssize_t n;

	(void)state;
	padding = 1 << 20;
	ask(fd, CMD("info") CMD("stats") CMD("console"));
	padding = 0;
	ask(other, CMD("info")); /* nobody else waits */
	assert_string_equal(heard(other), INFO);
	while (len < sizeof(buf) - 1) {
		n = recv(fd, buf + len, 10000, MSG_DONTWAIT);
		if (n <= 0)
			break;
		len += (size_t)n;
		turn();
	}
	buf[len] = 0;
	assert_ptr_equal(strstr(buf, "{\"return\":{\"name\":\"t\",\"padding\":\"xxx"), buf);
	assert_int_equal(strspn(strstr(buf, "xxx"), "x"), 1 << 20);
	assert_string_equal(strrchr(buf, 'x'), "x\"}}\n" STATS DONE);
	close(fd);
	close(other);
}

static void ctl_command_waits_for_the_answer_before_it(void **state)
{
	int fd = reach(), other = reach();

	(void)state;
	ask(fd, CMD("disk-add") CMD("info") CMD("disk-add"));
	ask(fd, CMD("stats"));
	assert_string_equal(heard(fd), "");
	assert_int_equal(changes, 1);
	ask(other, CMD("info")); /* nobody else waits */
	assert_string_equal(heard(other), INFO);

	later.fn(later.arg, json_object(), NULL, NULL);
	turn();
	assert_string_equal(heard(fd), DONE INFO);
	assert_int_equal(changes, 2);
	later.fn(later.arg, NULL, "failed", "no");
	turn();
	assert_string_equal(heard(fd),
			    "{\"error\":{\"class\":\"failed\",\"desc\":\"no\"}}\n" STATS);

	/* a refusal on the spot is an answer like others */
	ask(fd, CMD("disk-remove") CMD("info"));
	assert_string_equal(heard(fd),
			    "{\"error\":{\"class\":\"failed\",\"desc\":\"no such disk\"}}\n" INFO);
	close(fd);
	close(other);
}

static void ctl_hangup_drops_commands_not_begun(void **state)
{
	int fd = reach();

	(void)state;
	ask(fd, CMD("disk-add") CMD("disk-add"));
	close(fd);
	turn();
	later.fn(later.arg, json_object(), NULL, NULL);
	turn();
	assert_int_equal(changes, 1);
	fd = reach();
	ask(fd, CMD("info"));
	assert_string_equal(heard(fd), INFO);
	close(fd);
}

static void ctl_half_closed_client_is_answered(void **state)
{
	int fd = reach(), gone = reach();

	(void)state;
	ask(fd, CMD("disk-add") CMD("info"));
	shutdown(fd, SHUT_WR);
	turn();
	assert_string_equal(heard(fd), "");
	later.fn(later.arg, json_object(), NULL, NULL);
	turn();
	assert_string_equal(heard(fd), DONE INFO "EOF");
	ask(gone, CMD("disk-add"));
	shutdown(gone, SHUT_WR);
	turn();
	close(gone);
	turn();
	later.fn(later.arg, json_object(), NULL, NULL); /* nobody is there any more */
	turn();
	close(fd);
}

static void ctl_no_command_is_refused(void **state)
{
	int fd = reach();

	(void)state;
	ask(fd, CMD("format-c") "]\n\n[1]\n{\"execute\": 7}\n" CMD("resume"));
	assert_string_equal(
		heard(fd),
		"{\"error\":{\"class\":\"usage\",\"desc\":\"unknown command\"}}\n"
		"{\"error\":{\"class\":\"usage\",\"desc\":"
			"\"not a command: one JSON object a line\"}}\n"
		"{\"error\":{\"class\":\"usage\",\"desc\":"
			"\"not a command: one JSON object a line\"}}\n"
		"{\"error\":{\"class\":\"usage\",\"desc\":"
			"\"not a command: one JSON object a line\"}}\n"
		"{\"error\":{\"class\":\"usage\",\"desc\":"
			"\"not a command: one JSON object a line\"}}\n"
		"{\"error\":{\"class\":\"state\",\"desc\":\"the VM is not paused\"}}\n");
	close(fd);
}

static void ctl_long_line_hangs_up_and_a_flood_waits(void **state)
{
	static char line[20000];
	int fd = reach(), flood = reach(), left = 0;
	ssize_t n;

	(void)state;
	memset(line, 'x', sizeof(line));
	n = write(fd, line, sizeof(line));
	assert_int_equal(n, sizeof(line));
	turn();
	assert_string_equal(heard(fd), "EOF");

	ask(flood, CMD("disk-add"));
	memset(line, '\n', sizeof(line));
	n = write(flood, line, sizeof(line));
	assert_int_equal(n, sizeof(line));
	turn();
	assert_string_equal(heard(flood), ""); /* in the socket, but for one line */
	assert_int_equal(ioctl(flood, SIOCOUTQ, &left), 0);
	assert_true(left > 0);
	later.fn(later.arg, json_object(), NULL, NULL);
	turn();
	assert_int_equal(strncmp(heard(flood), DONE "{\"error\"", strlen(DONE) + 8), 0);
	close(fd);
	close(flood);
}

static void ctl_stop_without_service_is_refused_kill_ends(void **state)
{
	int fd = reach();

	(void)state;
	ask(fd, CMD("stop"));
	assert_non_null(strstr(heard(fd), "no shutdown service"));
	ask(fd, CMD("kill") CMD("info"));
	assert_string_equal(heard(fd), "{\"return\":{\"state\":\"ended\"}}\n" INFO);
	close(fd);
}

static void ctl_stop_says_why_not(void **state)
{
	int fd = reach();

	(void)state;
	shutdown_is_on = false;
	ask(fd, CMD("stop"));
	assert_non_null(strstr(heard(fd), "kvmbus ic --enable shutdown"));
	shutdown_is_on = true;
	vm.shutdown.ic.state = KVMB_IC_READY;
	vm.shutdown.ic.message = KVMB_IC_VERSION(3, 1);
	ask(fd, CMD("hibernate"));
	assert_non_null(strstr(heard(fd), "below 3.2"));
	vm.shutdown.ic.state = KVMB_IC_CLOSED;
	close(fd);
}

static void ctl_refusal_has_the_guests_status(void **state)
{
	int fd = reach();

	(void)state;
	kill_event = CTL_EVENT_SHUTDOWN_REFUSED;
	vm.shutdown.flags = KVMB_SHUTDOWN_HIBERNATE;
	vm.shutdown.status = KVMB_IC_STATUS_FAIL;
	ask(fd, CMD("kill"));
	assert_non_null(strstr(heard(fd), "refused to hibernate (status 0x80004005)"));
	vm.shutdown.flags = 0;
	ask(fd, CMD("kill"));
	assert_non_null(strstr(heard(fd), "refused to shut down"));
	kill_event = CTL_EVENT_ENDED;
	close(fd);
}

static void ctl_services_are_listed_and_switched(void **state)
{
	int fd = reach();

	(void)state;
	ask(fd, CMD("ic-list"));
	assert_string_equal(heard(fd), "{\"return\":{\"heartbeat\":{}}}\n");
	ask(fd, "{\"execute\": \"ic-set\", \"arguments\": {\"spec\": \"kvp=off\"}}\n");
	assert_string_equal(heard(fd), DONE);
	assert_string_equal(switched, "kvp=off");
	close(fd);
}

static void ctl_console_is_raw_after_its_answer(void **state)
{
	int fd = reach();
	u32 v = 'h';

	(void)state;
	serial_access(vm.machine.serial, 0, 1, true, &v);
	ask(fd, CMD("console") "typed");
	assert_string_equal(heard(fd), DONE "h");
	serial_access(vm.machine.serial, 0, 1, false, &v);
	assert_int_equal(v, 't');
	v = 'i';
	serial_access(vm.machine.serial, 0, 1, true, &v);
	ctl_console_output(vm.ctl);
	assert_string_equal(heard(fd), "i");
	close(fd);
}

/* None of these is to become the socket of somebody else, or of everybody. */
static void ctl_create_impossible_path_is_refused(void **state)
{
	static char longer[200];
	struct vm other = { .loop = vm.loop };
	char why[300] = "";

	(void)state;
	memset(longer, 'a', sizeof(longer) - 1);
	memcpy(longer, "/tmp/", 5);
	other.cfg.control = longer;
	assert_null(ctl_create(&other, why, sizeof(why)));
	assert_non_null(strstr(why, "too long"));
	other.cfg.control = "";
	assert_null(ctl_create(&other, why, sizeof(why)));
	assert_non_null(strstr(why, "empty"));
}

/* ---- descriptors ---- */

static int open_fds(void) /* of this process */
{
	struct dirent *e;
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while ((e = readdir(d)))
		n++;
	closedir(d);
	return n;
}

/* @num descriptors with the first byte of @text. */
static void send_with(int fd, const char *text, int num)
{
	int fds[KVMB_FDPASS_MAX] = { 0 }, i;

	for (i = 0; i < num; i++)
		fds[i] = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_int_equal(kvmb_send_fds(fd, text, strlen(text), fds, num), strlen(text));
	for (i = 0; i < num; i++)
		close(fds[i]);
	turn();
}

static void ctl_screen_and_keyboard_are_reached(void **state)
{
	int fd = reach(), before = open_fds();

	(void)state;
	ask(fd, CMD("screenshot")); /* a picture needs somewhere to go */
	assert_non_null(strstr(heard(fd), "memfd"));
	assert_string_equal(screened, "");
	send_with(fd, CMD("screenshot"), 1);
	assert_string_equal(screened, "picture");
	send_with(fd, CMD("screenshot"), 2);
	assert_int_equal(open_fds(), before);
	ask(fd, "{\"execute\": \"screenshot\", \"arguments\": {\"text\": true}}\n");
	assert_string_equal(screened, "text");
	ask(fd, "{\"execute\": \"key\", \"arguments\": {\"keys\": \"ctrl-c\"}}\n");
	assert_string_equal(screened, "key ctrl-c");
	ask(fd, "{\"execute\": \"type\", \"arguments\": {\"text\": \"ls\"}}\n");
	assert_string_equal(screened, "type ls");
	send_with(fd, CMD("display"), 1); /* it needs two */
	assert_string_equal(screened, "type ls");
	send_with(fd, CMD("display"), 2);
	assert_string_equal(screened, "display");
	send_with(fd, "{\"execute\": \"display\", \"arguments\": {\"view-only\": true}}\n", 2);
	assert_string_equal(screened, "display, view only");
	assert_int_equal(open_fds(), before);
	ask(fd, "{\"execute\": \"key\", \"arguments\": {\"keys\": 7}}\n"); /* no text: none */
	assert_string_equal(screened, "key ");
	close(fd);
	turn();
}

#define ADD(list) "{\"execute\": \"disk-add\", \"arguments\": {\"descriptors\": [" list "]}}\n"

static void ctl_descriptors_go_to_their_command(void **state)
{
	int fd = reach(), before = open_fds();

	(void)state;
	keeping = true;
	/* the first command takes none, and the line comes in two parts */
	ask(fd, CMD("info") "{\"execute\": \"disk-add\", \"arguments\"");
	assert_string_equal(heard(fd), INFO);
	send_with(fd, ": {\"can_zero\": true, \"descriptors\": [\"image\", \"parent\"]}}\n"
		  CMD("info"), 2);
	assert_int_equal(got.num, 2);
	assert_true(got.can_zero);
	assert_int_equal(open_fds(), before + 2);
	assert_int_equal(fcntl(got.fd[1], F_GETFD), FD_CLOEXEC);
	kvmb_disk_files_close(&got);
	later.fn(later.arg, json_object(), NULL, NULL);
	turn();
	assert_string_equal(heard(fd), DONE INFO);
	/* those of a command that waits for another's answer wait with it */
	ask(fd, ADD(""));
	send_with(fd, CMD("info") ADD("\"image\""), 0);
	send_with(fd, ADD("\"image\""), 1);
	assert_int_equal(got.num, 0);
	later.fn(later.arg, json_object(), NULL, NULL);
	turn();
	assert_non_null(strstr(heard(fd), DONE INFO "{\"error\":{\"class\":\"usage\",\"desc\":\"0 "
				     "descriptors came with the command, and it lists 1\"}}\n"));
	assert_int_equal(got.num, 1);
	kvmb_disk_files_close(&got);
	later.fn(later.arg, json_object(), NULL, NULL);
	close(fd);
}

/* All are in the socket before we look: the kernel joins them as it likes. */
static void ctl_descriptors_are_not_an_earlier_commands(void **state)
{
	int fd = reach(), before = open_fds(), zero = open("/dev/zero", O_RDONLY | O_CLOEXEC), i;
	const char *add = ADD("\"image\"");

	(void)state;
	keeping = true;
	assert_int_equal(kvmb_send_fds(fd, CMD("info"), strlen(CMD("info")), NULL, 0),
			 strlen(CMD("info")));
	for (i = 0; i < 3; i++)
		assert_int_equal(kvmb_send_fds(fd, add, strlen(add), &zero, 1), strlen(add));
	close(zero);
	for (i = 0; i < 3; i++) {
		turn();
		assert_string_equal(heard(fd), i ? DONE : INFO);
		assert_int_equal(got.num, 1);
		kvmb_disk_files_close(&got);
		later.fn(later.arg, json_object(), NULL, NULL);
	}
	turn();
	assert_string_equal(heard(fd), DONE);
	assert_int_equal(open_fds(), before);
	close(fd);
}

static void ctl_unwanted_descriptors_are_closed(void **state)
{
	int fd = reach(), before = open_fds();

	(void)state;
	send_with(fd, CMD("info"), 3);
	assert_string_equal(heard(fd), INFO);
	assert_int_equal(open_fds(), before);
	send_with(fd, "no command\n", 3);
	assert_int_equal(open_fds(), before);
	send_with(fd, ADD("\"image\""), 2); /* as many as it lists, or none */
	send_with(fd, ADD("\"parent\""), 1);
	send_with(fd, ADD("\"image\", \"nbd\""), 2);
	send_with(fd, ADD("7"), 1);
	assert_int_equal(changes, 0);
	assert_int_equal(open_fds(), before);
	send_with(fd, CMD("disk-add"), 0); /* without any it is the disk's turn to refuse */
	assert_int_equal(changes, 1);
	later.fn(later.arg, json_object(), NULL, NULL);
	turn();
	send_with(fd, CMD("console"), 4);
	assert_int_equal(open_fds(), before);
	close(fd);
}

static void ctl_nic_add_brings_queues_and_facts(void **state)
{
	static const u8 mac[] = { 0, 0x15, 0x5d, 1, 2, 3 };
	int fd = reach(), before = open_fds();

	(void)state;
	send_with(fd, "{\"execute\": \"nic-add\", \"arguments\": {\"descriptors\": [\"queue\", "
		  "\"queue\"], \"interface_mtu\": 9000, \"interface_mac\": "
		  "\"00:15:5d:01:02:03\"}}\n", 2);
	assert_string_equal(heard(fd), DONE);
	assert_int_equal(got_nic.num, 2);
	assert_int_equal(got_nic.mtu, 9000);
	assert_true(got_nic.has_mac);
	assert_memory_equal(got_nic.mac, mac, 6);
	assert_int_equal(open_fds(), before); /* it took none */
	keeping = true;
	send_with(fd, "{\"execute\": \"nic-add\", \"arguments\": {\"descriptors\": [\"queue\"], "
		  "\"interface_mtu\": -1, \"interface_mac\": \"01:00:00:00:00:00\"}}\n", 1);
	assert_int_equal(got_nic.num, 1);
	assert_int_equal(got_nic.mtu, 0);
	assert_false(got_nic.has_mac);
	assert_int_equal(open_fds(), before + 1);
	kvmb_net_files_close(&got_nic);
	(void)heard(fd);
	send_with(fd, "{\"execute\": \"nic-add\", \"arguments\": {\"descriptors\": [\"image\"]}}\n",
		  1);
	assert_non_null(strstr(heard(fd), "no NIC has there"));
	assert_int_equal(open_fds(), before);
	close(fd);
}

static void ctl_save_takes_a_file_and_a_pipe(void **state)
{
	int fd = reach(), before = open_fds();

	(void)state;
	saves = 0;
	send_with(fd, "{\"execute\": \"save\"}\n", 1);
	assert_non_null(strstr(heard(fd), "a file and a pipe"));
	send_with(fd, "{\"execute\": \"save\"}\n", 2);
	assert_string_equal(heard(fd), DONE);
	assert_int_equal(saves, 1);
	assert_true(!wished.zstd && !wished.threads);
	send_with(fd,
		  "{\"execute\": \"save\", \"arguments\": {\"compress\": \"zstd\", "
		  "\"threads\": 3}}\n",
		  2);
	assert_string_equal(heard(fd), DONE);
	assert_true(wished.zstd && wished.threads == 3);
	send_with(fd, "{\"execute\": \"save\", \"arguments\": {\"threads\": 5000000000}}\n", 2);
	assert_string_equal(heard(fd), DONE);
	assert_int_equal(wished.threads, STATE_FILE_THREADS_MAX);
	send_with(fd, "{\"execute\": \"save\", \"arguments\": {\"compress\": \"rot13\"}}\n", 2);
	assert_non_null(strstr(heard(fd), "zstd only"));
	assert_int_equal(saves, 3);
	assert_int_equal(open_fds(), before);
	close(fd);
}

static void ctl_copy_takes_a_file_and_a_pipe(void **state)
{
	int fd = reach(), before = open_fds();

	(void)state;
	send_with(fd, "{\"execute\": \"copy\"}\n", 1);
	assert_non_null(strstr(heard(fd), "a file and a pipe"));
	send_with(fd, "{\"execute\": \"copy\", \"arguments\": {\"name\": \"n\"}}\n", 2);
	assert_string_equal(heard(fd), "{\"return\":{\"name\":\"n\"}}\n");
	ask(fd, "{\"execute\": \"kvp-set\", \"arguments\": {\"key\": \"k\", \"value\": 7}}\n");
	assert_string_equal(heard(fd), "{\"return\":{\"key\":\"k\",\"value\":\"\"}}\n");
	assert_int_equal(open_fds(), before);
	close(fd);
}

static void ctl_migrate_takes_a_connection_and_a_pipe(void **state)
{
	static const char ask[] = "{\"execute\": \"migrate\", \"arguments\": {\"downtime\": 7}}\n";
	int fd = reach(), before = open_fds();

	(void)state;
	send_with(fd, ask, 1);
	assert_non_null(strstr(heard(fd), "a connection and a pipe"));
	send_with(fd,
		  "{\"execute\": \"migrate\", \"arguments\": {\"postcopy\": true, "
		  "\"copy-storage\": 1}}\n",
		  2);
	assert_non_null(strstr(heard(fd), "copy-storage does not go with postcopy"));
	send_with(fd, ask, 2);
	assert_string_equal(heard(fd), DONE);
	assert_int_equal(open_fds(), before);
	vm.migration = (struct vm_migration *)&vm;
	send_with(fd, ask, 2);
	assert_non_null(strstr(heard(fd), "being migrated"));
	send_with(fd, "{\"execute\": \"resume\"}\n", 0);
	assert_non_null(strstr(heard(fd), "being migrated"));
	live = true;
	send_with(fd, ask, 2);
	assert_non_null(strstr(heard(fd), "being migrated"));
	send_with(fd, "{\"execute\": \"pause\"}\n", 0);
	assert_string_equal(heard(fd), DONE);
	send_with(fd, "{\"execute\": \"stop\"}\n", 0);
	assert_non_null(strstr(heard(fd), "no shutdown service"));
	live = false;
	undecided = true;
	send_with(fd, ask, 2);
	assert_non_null(strstr(heard(fd), "whether the VM has moved"));
	send_with(fd, "{\"execute\": \"resume\"}\n", 0);
	assert_non_null(strstr(heard(fd), "has its disks"));
	undecided = false;
	vm.migration = NULL;
	close(fd);
}

/* What is here is not here twice. */
static void ctl_memory_that_a_vm_elsewhere_needs_is_kept(void **state)
{
	int fd = reach(), before = open_fds();

	(void)state;
	vm.migration = (struct vm_migration *)&vm;
	serves = 8192;
	send_with(fd, "{\"execute\": \"resume\"}\n", 0);
	assert_non_null(strstr(heard(fd), "has moved"));
	send_with(fd, "{\"execute\": \"kill\"}\n", 0);
	assert_non_null(strstr(heard(fd), "8 KiB of its memory are only here"));
	send_with(fd, "{\"execute\": \"kill\", \"arguments\": {\"force\": false}}\n", 0);
	assert_non_null(strstr(heard(fd), "kill --force"));
	send_with(fd, "{\"execute\": \"mend\"}\n", 1);
	assert_non_null(strstr(heard(fd), "a connection and a pipe"));
	send_with(fd, "{\"execute\": \"mend\"}\n", 2);
	assert_string_equal(heard(fd), "{\"return\":\"out\"}\n");
	assert_int_equal(open_fds(), before);
	undecided = true; /* it may be needed */
	send_with(fd, "{\"execute\": \"kill\"}\n", 0);
	assert_non_null(strstr(heard(fd), "it may run elsewhere, and 8 KiB"));
	send_with(fd, "{\"execute\": \"migrate\"}\n", 2);
	assert_non_null(strstr(heard(fd), "migrate --recover"));
	send_with(fd, "{\"execute\": \"resume\"}\n", 0); /* the administrator knows */
	assert_non_null(strstr(heard(fd), "has its disks"));
	undecided = false;
	send_with(fd, "{\"execute\": \"kill\", \"arguments\": {\"force\": true}}\n", 0);
	assert_string_equal(heard(fd), "{\"return\":{\"state\":\"ended\"}}\n");
	serves = 0;
	vm.migration = NULL;
	close(fd);
}

/* The main thread would wait for vCPUs that wait for memory; or what is saved would lack it. */
static void ctl_a_vm_whose_memory_has_not_come_stays_as_it_is(void **state)
{
	static const char *const not [] = { "pause",   "reset",	  "save",
					    "migrate", "upgrade", "disk-add" };
	int fd = reach(), before = open_fds();
	char line[64];
	size_t i;

	(void)state;
	vm.post = (struct mig_post *)&vm;
	for (i = 0; i < ARRAY_SIZE(not ); i++) {
		snprintf(line, sizeof(line), "{\"execute\": \"%s\"}\n", not [i]);
		send_with(fd, line, 0);
		assert_non_null(strstr(heard(fd), "memory has not come"));
	}
	send_with(fd, "{\"execute\": \"mend\"}\n", 2);
	assert_string_equal(heard(fd), "{\"return\":\"in\"}\n");
	assert_int_equal(open_fds(), before);
	broken = true;
	send_with(fd, "{\"execute\": \"resume\"}\n", 0);
	assert_non_null(strstr(heard(fd), "waits for memory"));
	send_with(fd, "{\"execute\": \"stop\"}\n", 0);
	assert_non_null(strstr(heard(fd), "migrate --recover"));
	send_with(fd, "{\"execute\": \"mend\"}\n", 2);
	assert_string_equal(heard(fd), "{\"return\":\"in\"}\n");
	broken = false;
	vm.post = NULL;
	close(fd);
}

/* Its guest was asked to shut down, and goes on elsewhere. */
static void ctl_a_vm_that_has_moved_has_not_stopped(void **state)
{
	int fd = reach();

	(void)state;
	vm.end = VM_END_SAVED;
	send_with(fd, "{\"execute\": \"kill\"}\n", 0); /* waits for the end, as stop does */
	assert_non_null(strstr(heard(fd), "saved, or has moved"));
	close(fd);
}

static void ctl_a_vm_that_is_saved_is_not_changed(void **state)
{
	int fd = reach();

	(void)state;
	saves = 0;
	vm.save = (struct vm_save *)&vm;
	send_with(fd, "{\"execute\": \"save\"}\n", 2);
	assert_non_null(strstr(heard(fd), "being saved"));
	assert_int_equal(saves, 0);
	send_with(fd, "{\"execute\": \"resume\"}\n", 0);
	assert_non_null(strstr(heard(fd), "being saved"));
	send_with(fd, "{\"execute\": \"info\"}\n", 0);
	assert_non_null(strstr(heard(fd), "return"));
	vm.save = NULL;
	close(fd);
}

static void ctl_a_vm_that_is_backed_up_keeps_its_disks(void **state)
{
	int fd = reach();

	(void)state;
	saves = 0;
	vm.backup = (struct vm_backup *)&vm;
	send_with(fd, "{\"execute\": \"save\"}\n", 2);
	assert_non_null(strstr(heard(fd), "being backed up"));
	assert_int_equal(saves, 0);
	send_with(fd, "{\"execute\": \"disk-remove\", \"arguments\": {\"disk\": \"0:0\"}}\n", 0);
	assert_non_null(strstr(heard(fd), "being backed up"));
	send_with(fd, "{\"execute\": \"backup\"}\n", 2);
	assert_non_null(strstr(heard(fd), "being backed up"));
	send_with(fd, "{\"execute\": \"pause\"}\n", 0);
	assert_string_equal(heard(fd), DONE);
	stands_for_backup = true;
	send_with(fd, "{\"execute\": \"resume\"}\n", 0);
	assert_non_null(strstr(heard(fd), "being backed up"));
	stands_for_backup = false;
	vm.backup = NULL;
	close(fd);
}

/* Each of these leaves us with what we had before. */
static void ctl_flood_of_descriptors_hangs_up(void **state)
{
	int before = open_fds(), fd = reach(), i;

	(void)state;
	send_with(fd, "{", KVMB_FDPASS_MAX); /* held for the line to come: once */
	assert_int_equal(open_fds(), before + 2 + KVMB_FDPASS_MAX);
	send_with(fd, " ", 1);
	assert_non_null(strstr(heard(fd), "EOF"));
	close(fd);
	assert_int_equal(open_fds(), before);

	fd = reach();
	send_with(fd, "{", KVMB_FDPASS_MAX); /* or until it goes */
	close(fd);
	turn();
	assert_int_equal(open_fds(), before);

	fd = reach();
	ask(fd, CMD("console"));
	send_with(fd, "typed", 1);
	assert_non_null(strstr(heard(fd), DONE "EOF"));
	close(fd);
	for (i = 0; i < 3; i++) { /* an answer is under way: one line waits, the others outside */
		fd = reach();
		ask(fd, CMD("disk-add"));
		send_with(fd, CMD("info"), 5);
		send_with(fd, CMD("info"), 5);
		assert_int_equal(open_fds(), before + 2 + 5);
		later.fn(later.arg, json_object(), NULL, NULL);
		turn();
		assert_string_equal(heard(fd), DONE INFO INFO);
		close(fd);
		turn();
	}
	assert_int_equal(open_fds(), before);
	fd = reach();
	ask(fd, CMD("disk-add"));
	send_with(fd, CMD("info"), 5);
	close(fd); /* nobody is left to be answered */
	turn();
	assert_int_equal(open_fds(), before);
	later.fn(later.arg, json_object(), NULL, NULL);
	assert_int_equal(open_fds(), before);
}

/* More than a message of ours has room for; or a process that can have no more. */
static void ctl_cut_descriptors_are_refused(void **state)
{
	int before = open_fds(), fd = reach(), many[200], i;
	struct iovec iov = { "x", 1 };
	char room[CMSG_SPACE(sizeof(many))] = { 0 };
	struct cmsghdr *h = (void *)room;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room,
			    .msg_controllen = sizeof(room) };
	struct rlimit r, few;

	(void)state;
	for (i = 0; i < 200; i++)
		many[i] = fd;
	*h = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
			       .cmsg_len = CMSG_LEN(sizeof(many)) };
	memcpy(CMSG_DATA(h), many, sizeof(many));
	assert_int_equal(sendmsg(fd, &m, 0), 1);
	turn();
	assert_non_null(strstr(heard(fd), "more descriptors came than the VM takes"));
	close(fd);
	turn();
	assert_int_equal(open_fds(), before);

	fd = reach();
	getrlimit(RLIMIT_NOFILE, &r);
	few = r;
	i = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	few.rlim_cur = (rlim_t)i + 1;
	assert_int_equal(kvmb_send_fds(fd, CMD("info"), strlen(CMD("info")), &i, 1),
			 strlen(CMD("info")));
	setrlimit(RLIMIT_NOFILE, &few);
	turn();
	setrlimit(RLIMIT_NOFILE, &r);
	close(i);
	assert_non_null(strstr(heard(fd), "has room for"));
	close(fd);
	turn();
	assert_int_equal(open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ctl_commands_are_answered_in_order),
		T(ctl_long_answer_comes_whole),
		T(ctl_command_waits_for_the_answer_before_it),
		T(ctl_hangup_drops_commands_not_begun),
		T(ctl_half_closed_client_is_answered),
		T(ctl_no_command_is_refused),
		T(ctl_long_line_hangs_up_and_a_flood_waits),
		T(ctl_stop_without_service_is_refused_kill_ends),
		T(ctl_stop_says_why_not),
		T(ctl_refusal_has_the_guests_status),
		T(ctl_services_are_listed_and_switched),
		T(ctl_memory_that_a_vm_elsewhere_needs_is_kept),
		T(ctl_a_vm_whose_memory_has_not_come_stays_as_it_is),
		T(ctl_console_is_raw_after_its_answer),
		T(ctl_create_impossible_path_is_refused),
		T(ctl_screen_and_keyboard_are_reached),
		T(ctl_descriptors_go_to_their_command),
		T(ctl_descriptors_are_not_an_earlier_commands),
		T(ctl_unwanted_descriptors_are_closed),
		T(ctl_nic_add_brings_queues_and_facts),
		T(ctl_save_takes_a_file_and_a_pipe),
		T(ctl_copy_takes_a_file_and_a_pipe),
		T(ctl_migrate_takes_a_connection_and_a_pipe),
		T(ctl_a_vm_that_has_moved_has_not_stopped),
		T(ctl_a_vm_that_is_saved_is_not_changed),
		T(ctl_a_vm_that_is_backed_up_keeps_its_disks),
		T(ctl_flood_of_descriptors_hangs_up),
		T(ctl_cut_descriptors_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
