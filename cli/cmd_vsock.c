// SPDX-License-Identifier: GPL-2.0-only
/* vsock: standard input and output as the other end of a guest's socket. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/util.h"

static struct {
	char buf[65536]; /* buf[off..len): read, and not taken yet */
	size_t off, len;
	bool ended;
} input;

/* Return: false: it has ended, or nobody reads it. */
static bool print_some(int fd)
{
	static char buf[65536];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT), w, done;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	for (done = 0; done < n; done += w) {
		w = write(STDOUT_FILENO, buf + done, (size_t)(n - done));
		if (w < 0 && errno != EINTR)
			return false;
		w = KVMB_MAX(w, 0);
	}
	return n > 0;
}

static void read_input(void)
{
	ssize_t n = read(STDIN_FILENO, input.buf, sizeof(input.buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	input.ended = n <= 0;
	input.off = 0;
	input.len = (size_t)KVMB_MAX(n, 0);
}

/* Return: false: nobody takes it. */
static bool pass_input(int fd)
{
	ssize_t n =
		send(fd, input.buf + input.off, input.len - input.off, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	input.off += (size_t)n;
	return true;
}

/* Until the guest ends its stream. What is typed behind the end of its reading is lost. */
static void bridge_socket(int fd)
{
	struct pollfd p[2] = { { .fd = fd }, { .events = POLLIN } };
	bool told = false;

	for (;;) {
		p[0].events = input.off < input.len ? POLLIN | POLLOUT : POLLIN;
		p[1].fd = input.ended || input.off < input.len ? -1 : STDIN_FILENO;
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		if (p[0].revents & ~POLLOUT && !print_some(fd))
			return;
		if (p[1].fd >= 0 && p[1].revents)
			read_input();
		if (input.off < input.len && !pass_input(fd))
			input.off = input.len;
		if (input.ended && !told) {
			shutdown(fd, SHUT_WR);
			told = true;
		}
	}
}

int cmd_vsock(struct cli_args *a)
{
	u32 port;
	int fd, code;

	opt_u32(a->words[1], 0, 0x7fffffff, &port);
	code = client_vsock(a->words[0], port, NULL, &fd);
	if (code)
		return code;
	bridge_socket(fd);
	close(fd);
	return EXIT_OK;
}
