// SPDX-License-Identifier: GPL-2.0-only
/*
 * exec: run a command in a guest, by the agent there (guest-tools/kvmbus-agent.c).
 *
 * Trust: the guest may be hostile. Sizes of its frames are checked; what it prints is printed, as
 * ssh does.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/util.h"
#include "vmbus-core/proto/agent.h"

#define HEAD sizeof(struct kvmb_wire_agent)
#define EXEC_FAILED 255 /* as ssh: what is below is the command's */

static struct exec {
	const char *vm;
	int sock, sig_fd;
	size_t unread; /* bytes of STDIN that the guest has not taken */
	bool ended;    /* standard input has, and the guest knows */
	int code;      /* the command's, -1 = it runs */
	size_t in_len, out_off, out_len;
	char in[HEAD + KVMB_AGENT_FRAME];	 /* in[in_len]: of a frame that comes */
	char out[2 * (HEAD + KVMB_AGENT_FRAME)]; /* out[out_off..out_len): frames that go */
} x;

/* ---- frames to the guest ---- */

static bool put_frame(u32 type, const void *data, size_t size)
{
	struct kvmb_wire_agent h = { cpu_to_le32(type), cpu_to_le32((u32)size) };

	if (size > KVMB_AGENT_FRAME || sizeof(x.out) - x.out_len < HEAD + size)
		return false;
	memcpy(x.out + x.out_len, &h, HEAD);
	if (size)
		memcpy(x.out + x.out_len + HEAD, data, size);
	x.out_len += HEAD + size;
	return true;
}

static bool send_frames(void)
{
	ssize_t n =
		send(x.sock, x.out + x.out_off, x.out_len - x.out_off, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	x.out_off += (size_t)n;
	memmove(x.out, x.out + x.out_off, x.out_len - x.out_off);
	x.out_len -= x.out_off;
	x.out_off = 0;
	return true;
}

static bool put_start(char **words, int num)
{
	struct kvmb_wire_agent_start w = { cpu_to_le32(KVMB_AGENT_VERSION), cpu_to_le32((u32)num) };
	static char data[KVMB_AGENT_FRAME];
	size_t len = sizeof(w), n;
	int i;

	memcpy(data, &w, sizeof(w));
	for (i = 0; i < num; i++) {
		n = strlen(words[i]) + 1;
		if (n > sizeof(data) - len)
			return false;
		memcpy(data + len, words[i], n);
		len += n;
	}
	return num <= (int)KVMB_AGENT_MAX_ARGS && put_frame(KVMB_AGENT_START, data, len);
}

static void pass_stdin(void)
{
	static char buf[32768];
	size_t most = KVMB_MIN(sizeof(buf), KVMB_AGENT_WINDOW - x.unread);
	ssize_t n = read(STDIN_FILENO, buf, most);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		put_frame(KVMB_AGENT_STDIN, buf, (size_t)n);
		x.unread += (size_t)n;
	} else {
		put_frame(KVMB_AGENT_STDIN_END, NULL, 0);
		x.ended = true;
	}
}

static void pass_signals(void)
{
	struct signalfd_siginfo si;
	__le32 w;

	while (read(x.sig_fd, &si, sizeof(si)) == sizeof(si)) {
		w = cpu_to_le32(si.ssi_signo);
		put_frame(KVMB_AGENT_SIGNAL, &w, sizeof(w));
	}
}

/* ---- frames of the guest ---- */

static bool print_all(int fd, const char *data, size_t size)
{
	ssize_t n;

	while (size) {
		n = write(fd, data, size);
		if (n < 0 && errno != EINTR)
			return false;
		n = KVMB_MAX(n, 0);
		data += n;
		size -= (size_t)n;
	}
	return true;
}

static bool take_number(const char *data, size_t size, u32 *value)
{
	__le32 w;

	if (size != sizeof(w))
		return false;
	memcpy(&w, data, sizeof(w));
	*value = le32_to_cpu(w);
	return true;
}

static bool take_exit(const char *data, size_t size)
{
	struct kvmb_wire_agent_exit w;
	u32 sig;

	if (size != sizeof(w))
		return false;
	memcpy(&w, data, sizeof(w));
	sig = le32_to_cpu(w.signal) & 0x7f;
	x.code = sig ? 128 + (int)sig : (int)(le32_to_cpu(w.status) & 0xff);
	return true;
}

/* Return: false: it is none, or there is nobody to print for. */
static bool take_frame(u32 type, const char *data, size_t size)
{
	u32 n;

	switch (type) {
	case KVMB_AGENT_STDOUT:
		return print_all(STDOUT_FILENO, data, size);
	case KVMB_AGENT_STDERR:
		return print_all(STDERR_FILENO, data, size);
	case KVMB_AGENT_TAKEN:
		if (!take_number(data, size, &n) || n > x.unread)
			return false;
		x.unread -= n;
		return true;
	case KVMB_AGENT_ERROR:
		cli_error("VM \"%s\": %.*s", x.vm, (int)KVMB_MIN(size, 400u), data);
		return true;
	case KVMB_AGENT_EXIT:
		return take_exit(data, size);
	}
	return false;
}

/* Return: false: the connection is of no more use. */
static bool hear_agent(void)
{
	ssize_t n = recv(x.sock, x.in + x.in_len, sizeof(x.in) - x.in_len, MSG_DONTWAIT);
	struct kvmb_wire_agent h;
	size_t size;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	x.in_len += (size_t)n;
	while (x.code < 0 && x.in_len >= HEAD) {
		memcpy(&h, x.in, HEAD);
		size = le32_to_cpu(h.size);
		if (size > KVMB_AGENT_FRAME)
			return false;
		if (x.in_len < HEAD + size)
			break;
		if (!take_frame(le32_to_cpu(h.type), x.in + HEAD, size))
			return false;
		x.in_len -= HEAD + size;
		memmove(x.in, x.in + HEAD + size, x.in_len);
	}
	return n > 0;
}

/* ---- the command ---- */

static bool has_room(void)
{
	return sizeof(x.out) - x.out_len > HEAD + KVMB_AGENT_FRAME;
}

/* What ends a command here is the one's there. Ctrl-\ ends this one. */
static int take_exec_signals(void)
{
	static const int passed[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(passed); i++)
		sigaddset(&set, passed[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void run_there(void)
{
	struct pollfd p[3] = { { .fd = x.sock }, { .events = POLLIN }, { .events = POLLIN } };
	bool alive = true;

	while (alive && x.code < 0) {
		p[0].events = x.out_len ? POLLIN | POLLOUT : POLLIN;
		p[1].fd = has_room() ? x.sig_fd : -1;
		p[2].fd = !x.ended && has_room() && x.unread < KVMB_AGENT_WINDOW ? STDIN_FILENO :
										   -1;
		if (poll(p, 3, -1) < 0)
			continue;
		if (p[0].revents & ~POLLOUT)
			alive = hear_agent();
		if (p[1].fd >= 0 && p[1].revents)
			pass_signals();
		if (p[2].fd >= 0 && p[2].revents)
			pass_stdin();
		if (alive && x.code < 0 && x.out_len)
			alive = send_frames();
	}
}

int cmd_exec(struct cli_args *a)
{
	x.vm = a->words[0];
	x.code = -1;
	if (!a->num_rest)
		return cli_bad(a->cmd, "which command? write: kvmbus exec VM -- CMD [ARG]...");
	if (!put_start(a->rest, a->num_rest))
		return cli_bad(a->cmd, "the command is too long");
	if (client_vsock(x.vm, KVMB_AGENT_PORT, "exec needs kvmbus-agent there", &x.sock))
		return EXEC_FAILED;
	x.sig_fd = take_exec_signals();
	run_there();
	close(x.sock);
	if (x.code >= 0)
		return x.code;
	cli_error("VM \"%s\": the connection was lost, and nobody knows what became of the command",
		  x.vm);
	return EXEC_FAILED;
}
