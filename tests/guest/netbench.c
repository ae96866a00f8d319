// SPDX-License-Identifier: GPL-2.0-only
/*
 * Network figures of a guest, against a server on its host; static.
 *
 * netbench server                 serves clients, TCP port 5599
 * netbench rr HOST MS             one byte there and back over TCP, again and again
 * netbench urr HOST MS            the same over UDP
 * netbench out HOST MS            TCP bulk from here, 64 KiB a write
 * netbench in HOST MS             TCP bulk from the server
 * netbench uout HOST MS           64-byte datagrams from here: how many arrive
 * netbench many N MODE HOST WARM MS  MODE by N processes at once, each on a CPU of its own
 * The stream in is marked for tests/perf/profile, from 20 MB to 70 MB of a long one; many marks MS
 * milliseconds after the first WARM, for tests/perf/smp.
 * Prints one number: microseconds a transaction, MB/s (10^6), or thousand datagrams a second; many:
 * transactions, bytes or datagrams between the marks.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mark.h"

#define PORT 5599
#define CHUNK 65536
#define TINY 64
#define MARK_FROM 20000000
#define MARK_TO 70000000

enum mode { RR, URR, OUT, IN, UOUT, MODES };
static const char *const names[MODES] = { "rr", "urr", "out", "in", "uout" };
struct order { /* first thing the client says */
	int mode, ms;
};
static char buf[1 << 20];
static uint64_t no_units;
static volatile uint64_t *units = &no_units; /* done so far */
static int in_many;

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int get(int s, void *p, size_t n)
{
	return recv(s, p, n, MSG_WAITALL) == (ssize_t)n ? 0 : -1;
}

static int tcp(void)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return s;
}

static int udp(int ms, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	int u = socket(AF_INET, SOCK_DGRAM, 0), size = 8 << 20;

	setsockopt(u, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(u, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return bind(u, (struct sockaddr *)&a, sizeof(a)) ? -1 : u;
}

/* Datagrams to a port that the client is told: answer each, or count them, until none has come */
static long long serve_udp(int s, int echo)
{
	int u = udp(300, 0);
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	long long n = 0;
	ssize_t r;

	if (getsockname(u, (struct sockaddr *)&from, &len) || write(s, &from.sin_port, 2) != 2)
		return 0;
	while ((r = recvfrom(u, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len)) > 0) {
		n++;
		if (echo)
			sendto(u, buf, (size_t)r, 0, (struct sockaddr *)&from, len);
	}
	close(u);
	return n;
}

static void serve(int s)
{
	double end = seconds();
	struct order o;
	long long n;

	if (get(s, &o, sizeof(o)))
		return;
	end += o.ms / 1e3;
	if (o.mode == RR) {
		while (recv(s, buf, 1, 0) == 1 && write(s, buf, 1) == 1)
			;
	} else if (o.mode == OUT) {
		while (read(s, buf, sizeof(buf)) > 0)
			;
	} else if (o.mode == IN) {
		while (seconds() < end && write(s, buf, CHUNK) > 0)
			;
	} else {
		n = serve_udp(s, o.mode == URR);
		if (write(s, &n, sizeof(n)) < 0)
			return;
	}
}

static int server(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int s = tcp(), c, on = 1;

	signal(SIGCHLD, SIG_IGN);
	if (bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 64)) {
		perror("netbench");
		return 1;
	}
	for (;;) {
		c = accept(s, NULL, NULL);
		setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (!fork()) {
			serve(c);
			exit(0);
		}
		close(c);
	}
}

static double transactions(int s, double secs)
{
	double begin = seconds(), t;
	long long n = 0;

	for (; (t = seconds() - begin) < secs; n++) {
		if (send(s, buf, 1, 0) != 1 || recv(s, buf, 1, 0) != 1)
			return -1;
		++*units;
	}
	return t / (double)n * 1e6;
}

static double bulk(int s, double secs, int out)
{
	double begin = seconds(), t;
	long long n = 0;
	ssize_t r;

	if (out) {
		while (seconds() - begin < secs && (r = write(s, buf, CHUNK)) > 0)
			*units = (uint64_t)(n += r);
		shutdown(s, SHUT_WR);
		while (read(s, buf, 1) > 0)
			;
	} else {
		while ((r = read(s, buf, sizeof(buf))) > 0) {
			if (!in_many && n < MARK_FROM && n + r >= MARK_FROM)
				MARK_BEGIN();
			if (!in_many && n < MARK_TO && n + r >= MARK_TO)
				MARK_END();
			*units = (uint64_t)(n += r);
		}
	}
	t = seconds() - begin;
	return (double)n / t / 1e6;
}

static double datagrams(int s, struct sockaddr_in *a, double secs, enum mode mode)
{
	int u = udp(1000, 0);
	double r = 0, begin;
	long long n;

	if (get(s, &a->sin_port, 2) || connect(u, (struct sockaddr *)a, sizeof(*a)))
		return -1;
	if (mode == URR)
		r = transactions(u, secs);
	for (begin = seconds(); mode == UOUT && seconds() - begin < secs;)
		*units += send(u, buf, TINY, 0) == TINY;
	if (get(s, &n, sizeof(n)))
		return -1;
	return mode == URR ? r : (double)n / secs / 1e3;
}

/* A number, or less than 0 */
static double client(const char *host, struct order o)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int s = tcp();

	inet_pton(AF_INET, host, &a.sin_addr);
	if (connect(s, (struct sockaddr *)&a, sizeof(a)) || send(s, &o, sizeof(o), 0) < 0) {
		perror("netbench");
		return -1;
	}
	return o.mode == RR		     ? transactions(s, o.ms / 1e3) :
	       o.mode == OUT || o.mode == IN ? bulk(s, o.ms / 1e3, o.mode == OUT) :
					       datagrams(s, &a, o.ms / 1e3, (enum mode)o.mode);
}

static uint64_t sum(volatile uint64_t *all, int n)
{
	uint64_t r = 0;

	for (; n; n--)
		r += all[(n - 1) * 8];
	return r;
}

/* A line of memory each. They end by themselves, well after the mark. */
static int many(int n, const char *host, struct order o, int warm, int ms)
{
	volatile uint64_t *all = mmap(NULL, (size_t)n * 64, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t from;
	cpu_set_t set;
	int i;

	o.ms = warm + ms + 60;
	for (i = 0; i < n; i++) {
		if (fork())
			continue;
		CPU_ZERO(&set);
		CPU_SET(i, &set);
		in_many = 1, units = &all[i * 8];
		_exit(sched_setaffinity(0, sizeof(set), &set) || client(host, o) < 0);
	}
	for (i = 0; i < n; i++) {
		while (!all[i * 8])
			usleep(1000);
	}
	usleep((useconds_t)warm * 1000);
	from = sum(all, n);
	MARK_BEGIN();
	usleep((useconds_t)ms * 1000);
	MARK_END();
	printf("%llu\n", (unsigned long long)(sum(all, n) - from));
	for (; n; n--) {
		if (wait(&i) < 0 || i)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct order o = { 0 };
	double r;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && !strcmp(argv[1], "server"))
		return server();
	if (argc == 7 && !strcmp(argv[1], "many")) {
		while (o.mode < MODES - 1 && strcmp(names[o.mode], argv[3]))
			o.mode++;
		return many(atoi(argv[2]), argv[4], o, atoi(argv[5]), atoi(argv[6]));
	}
	if (argc != 4)
		return 2;
	while (o.mode < MODES && strcmp(names[o.mode], argv[1]))
		o.mode++;
	if (o.mode == MODES)
		return 2;
	o.ms = atoi(argv[3]);
	r = client(argv[2], o);
	printf("%.2f\n", r);
	return r < 0;
}
