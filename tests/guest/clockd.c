// SPDX-License-Identifier: GPL-2.0-only
/*
 * clockd PORT          answer each UDP datagram with CLOCK_REALTIME in nanoseconds
 * clockd -q HOST PORT  print how far this clock is behind HOST's, in microseconds, from the
 *                      quickest of 20 exchanges
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (long long)ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static int serve(int s, struct sockaddr_in *a)
{
	struct sockaddr_in from;
	char buf[64];
	int n;

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

static int query(int s, struct sockaddr_in *a)
{
	struct timeval tv = { 2, 0 };
	long long best = -1, offset = 0, t1, t2, th;
	char buf[64];
	ssize_t n;
	int i;

	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	for (i = 0; i < 20; i++) {
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

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int s = socket(AF_INET, SOCK_DGRAM, 0), q = argc > 3 && !strcmp(argv[1], "-q");

	a.sin_port = htons((unsigned short)atoi(q ? argv[3] : argc > 1 ? argv[1] : "7001"));
	if (q)
		inet_pton(AF_INET, argv[2], &a.sin_addr);
	return q ? query(s, &a) : serve(s, &a);
}
