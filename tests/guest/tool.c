// SPDX-License-Identifier: GPL-2.0-only
/*
 * The test guest's own program; static, so that it needs nothing there.
 *
 * tool clockd PORT         answer each UDP datagram with CLOCK_REALTIME in nanoseconds
 * tool clock HOST PORT     print how far this clock is behind HOST's, in microseconds, from
 *                          the quickest of 20 exchanges
 * tool echo HOST PORT LEN  send LEN pseudo-random bytes to an echo server (tests/boot/
 *                          echo-server.py) and compare what comes back; HOST may be of IPv6
 * tool longest IF          until SIGTERM, then the longest frames seen on an interface, in and
 *                          out, as a capture shows them: uncut or coalesced ones exceed the MTU
 * tool begin PROGRAM...    run it, marked as the begin of what tests/perf/profile counts
 * tool end                 and the end
 * tool window WARM MS FILE N  wait until number N of FILE grows, WARM milliseconds more, mark MS
 *                          milliseconds for tests/perf/smp and print by how much it grew in them
 * tool pace US             sleep US microseconds, again and again
 * tool dirty MIB RATE      change MIB of memory again and again, RATE MiB a second
 * tool eject DEVICE        eject the medium of a drive
 * tool steps MS            for ever: when the wall clock is set by more than MS milliseconds, print
 *                          by how many
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/cdrom.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "mark.h"

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (long long)ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static int clock_server(struct sockaddr_in *a)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0), n;
	struct sockaddr_in from;
	char buf[64];

	if (bind(s, (struct sockaddr *)a, sizeof(*a)))
		return 1;
	for (;;) {
		socklen_t len = sizeof(from);

		if (recvfrom(s, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len) < 0)
			continue;
		n = snprintf(buf, sizeof(buf), "%lld", now());
		sendto(s, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
}

static int clock_query(struct sockaddr_in *a)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0), i;
	struct timeval tv = { 2, 0 };
	long long best = -1, offset = 0, t1, t2, th;
	char buf[64];
	ssize_t n;

	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	/*
	 * The answer may be half of the shortest round trip off. On a busy machine it takes some
	 * tries to find a short one.
	 */
	for (i = 0; i < 20 || (i < 1000 && best > 20000000); i++) {
		t1 = now();
		sendto(s, "?", 1, 0, (struct sockaddr *)a, sizeof(*a));
		n = recv(s, buf, sizeof(buf) - 1, 0);
		t2 = now();
		if (n <= 0)
			continue;
		buf[n] = 0;
		th = atoll(buf);
		if (best < 0 || t2 - t1 < best) {
			best = t2 - t1;
			offset = th - (t1 + (t2 - t1) / 2);
		}
	}
	if (best < 0)
		return 1;
	printf("%lld\n", offset / 1000);
	return 0;
}

static uint8_t byte_at(uint64_t i)
{
	uint64_t x = i * 0x9e3779b97f4a7c15ull;

	return (uint8_t)(x >> 56 ^ x >> 24);
}

static volatile sig_atomic_t enough;

static void on_term(int sig)
{
	(void)sig;
	enough = 1;
}

static int longest(const char *ifname)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)if_nametoindex(ifname) }, from;
	int s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	struct pollfd p = { .fd = s, .events = POLLIN };
	ssize_t in = 0, out = 0, n;
	static char buf[70000];

	if (bind(s, (struct sockaddr *)&a, sizeof(a)))
		return 1;
	signal(SIGTERM, on_term);
	while (!enough) {
		socklen_t len = sizeof(from);

		if (poll(&p, 1, 50) <= 0)
			continue;
		n = recvfrom(s, buf, sizeof(buf), MSG_TRUNC, (struct sockaddr *)&from, &len);
		if (from.sll_pkttype == PACKET_OUTGOING)
			out = n > out ? n : out;
		else
			in = n > in ? n : in;
	}
	printf("longest in %zd out %zd\n", in, out);
	return 0;
}

static int echo(const char *host, int port, uint64_t len)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int six = inet_pton(AF_INET6, host, &a6.sin6_addr) == 1, n;
	int s = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM, 0), tries = 0;
	uint64_t sent = 0, got = 0, i, k;
	struct pollfd p;
	uint8_t buf[16384];
	ssize_t r;

	inet_pton(AF_INET, host, &a4.sin_addr);
	/*
	 * A slow machine's address resolution takes its time: that is no verdict. Each try has a
	 * socket of its own: one that failed to connect may keep an error for later, which poll()
	 * then reports (Linux tcp_disconnect()).
	 */
	while (connect(s, six ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4,
		       six ? sizeof(a6) : sizeof(a4))) {
		if (errno != EHOSTUNREACH || ++tries == 10) {
			perror("connect");
			return 1;
		}
		close(s);
		s = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
	}
	p.fd = s;
	n = snprintf((char *)buf, sizeof(buf), "%llu\n", (unsigned long long)len);
	if (write(s, buf, (size_t)n) != n)
		return 1;
	while (got < len) {
		p.events = (short)(POLLIN | (sent < len ? POLLOUT : 0));
		if (poll(&p, 1, 20000) <= 0) {
			fprintf(stderr, "nothing for 20 s: %llu sent, %llu back\n",
				(unsigned long long)sent, (unsigned long long)got);
			return 1;
		}
		if (p.revents & POLLOUT && sent < len) {
			k = len - sent < sizeof(buf) ? len - sent : sizeof(buf);
			for (i = 0; i < k; i++)
				buf[i] = byte_at(sent + i);
			r = send(s, buf, k, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (r > 0)
				sent += (uint64_t)r;
			else if (errno != EAGAIN)
				fprintf(stderr, "send: %s; ", strerror(errno));
		}
		if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
			r = recv(s, buf, sizeof(buf), MSG_DONTWAIT);
			if (r < 0 && errno == EAGAIN)
				continue;
			if (r <= 0) {
				fprintf(stderr, "%s (events %x, %llu sent): ",
					r ? strerror(errno) : "end of stream",
					(unsigned int)p.revents, (unsigned long long)sent);
				break;
			}
			for (i = 0; i < (uint64_t)r; i++) {
				if (buf[i] != byte_at(got + i)) {
					fprintf(stderr, "byte %llu differs\n",
						(unsigned long long)(got + i));
					return 1;
				}
			}
			got += (uint64_t)r;
		}
	}
	printf("%llu bytes there and back\n", (unsigned long long)got);
	return got != len;
}

static long long number_of(int fd, int n)
{
	char buf[1024], *p = buf;
	ssize_t len = pread(fd, buf, sizeof(buf) - 1, 0);
	long long v = 0;

	if (len <= 0)
		return -1;
	buf[len] = 0;
	while (n--)
		v = strtoll(p, &p, 10);
	return v;
}

/* Reading the number lies outside the marks. */
static int window(long warm, long ms, const char *path, int n)
{
	int fd = open(path, O_RDONLY), i;
	long long from = number_of(fd, n), to;

	for (i = 0; i < 2000 && number_of(fd, n) < from + 10; i++)
		usleep(5000);
	usleep((useconds_t)warm * 1000);
	from = number_of(fd, n);
	MARK_BEGIN();
	usleep((useconds_t)ms * 1000);
	MARK_END();
	to = number_of(fd, n);
	printf("%lld\n", to - from);
	return to <= from;
}

static int pace(unsigned int us)
{
	prctl(PR_SET_TIMERSLACK, 1);
	while (!usleep(us))
		;
	return 1;
}

static int dirty(size_t mib, long long rate)
{
	size_t len = mib << 20, at = 0;
	uint8_t *p = malloc(len);
	long long begin, done = 0;

	memset(p, 1, len);
	printf("GUEST: dirtying\n");
	fflush(stdout);
	for (begin = now();; usleep(1000)) {
		while (done < (now() - begin) * rate / 1000 * 1048576 / 1000000) {
			p[at] += (uint8_t)(at / 4096 + 1);
			at = (at + 4096) % len;
			done += 4096;
		}
	}
	return 0;
}

static long long ahead_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return now() - ((long long)ts.tv_sec * 1000000000ll + ts.tv_nsec);
}

static int steps(long long ms)
{
	long long before = ahead_ns(), after;

	while (!usleep(20000)) {
		after = ahead_ns();
		if (llabs(after - before) > ms * 1000000) {
			printf("GUEST: clock set by %lld ms\n", (after - before) / 1000000);
			fflush(stdout);
		}
		before = after;
	}
	return 1;
}

/* As eject(1): the kernel locks a drive that was opened. */
static int eject(const char *drive)
{
	int fd = open(drive, O_RDONLY | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, CDROM_LOCKDOOR, 0) || ioctl(fd, CDROMEJECT, 0)) {
		perror(drive);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };

	if (argc == 3 && !strcmp(argv[1], "clockd")) {
		a.sin_port = htons((uint16_t)atoi(argv[2]));
		return clock_server(&a);
	}
	if (argc > 2 && !strcmp(argv[1], "begin")) {
		MARK_BEGIN();
		execv(argv[2], argv + 2);
		return 1;
	}
	if (argc == 3 && !strcmp(argv[1], "pace"))
		return pace((unsigned int)atoi(argv[2]));
	if (argc == 4 && !strcmp(argv[1], "dirty"))
		return dirty((size_t)atol(argv[2]), atol(argv[3]));
	if (argc == 3 && !strcmp(argv[1], "steps"))
		return steps(atol(argv[2]));
	if (argc == 6 && !strcmp(argv[1], "window"))
		return window(atol(argv[2]), atol(argv[3]), argv[4], atoi(argv[5]));
	if (argc == 2 && !strcmp(argv[1], "end")) {
		MARK_END();
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "longest"))
		return longest(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "eject"))
		return eject(argv[2]);
	if (argc < 4)
		return 2;
	inet_pton(AF_INET, argv[2], &a.sin_addr);
	a.sin_port = htons((uint16_t)atoi(argv[3]));
	if (!strcmp(argv[1], "clock"))
		return clock_query(&a);
	return argc == 5 && !strcmp(argv[1], "echo") ?
		       echo(argv[2], atoi(argv[3]), strtoull(argv[4], NULL, 10)) : 2;
}
