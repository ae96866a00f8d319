// SPDX-License-Identifier: GPL-2.0-only
/*
 * A log of records that are linked by their sums, each written through before the next: whoever
 * loses, repeats or reorders one acknowledged write breaks it. Static: it runs in guests and beside
 * their host.
 *
 * chain write DISK       check what is there, go on behind it for ever, and say now and then which
 *                        record has been acknowledged
 * chain check FILE NUM   check it; it must have record NUM
 *
 * Record n is sector n modulo the disk's sectors.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECTOR 512u
#define SPEAK_MS 200

struct record {
	uint64_t number; /* from 1; 0: none */
	uint64_t before; /* sum of record number - 1 */
	uint8_t filling[SECTOR - 24];
	uint64_t sum; /* of all that stands before it */
};

_Static_assert(sizeof(struct record) == SECTOR, "a record is a sector");

static uint64_t sum_of(const struct record *r) /* FNV-1a */
{
	const uint8_t *p = (const uint8_t *)r;
	uint64_t h = 0xcbf29ce484222325ull;
	size_t i;

	for (i = 0; i < sizeof(*r) - sizeof(r->sum); i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h;
}

static void fill(struct record *r, uint64_t number, uint64_t before)
{
	uint64_t x = number * 0x9e3779b97f4a7c15ull;
	size_t i;

	r->number = number;
	r->before = before;
	for (i = 0; i < sizeof(r->filling); i++)
		r->filling[i] = (uint8_t)((x += 0x6d) >> i % 56);
	r->sum = sum_of(r);
}

/* Return: true, and *@r; false: record @number is not in its place, or damaged. */
static bool get(const struct record *all, uint64_t sectors, uint64_t number, struct record *r)
{
	*r = all[number % sectors];
	return r->number == number && r->sum == sum_of(r);
}

static uint64_t last_of(const struct record *all, uint64_t sectors)
{
	uint64_t i, last = 0;

	for (i = 0; i < sectors; i++) {
		if (all[i].sum == sum_of(&all[i]) && all[i].number % sectors == i &&
		    all[i].number > last)
			last = all[i].number;
	}
	return last;
}

/*
 * All records that the disk has room for are there, each linked to the one before. The oldest may
 * have been overwritten by one that was not acknowledged. Return: the last's number; -1 and a line.
 */
static int64_t check(const struct record *all, uint64_t sectors, uint64_t *sum)
{
	uint64_t last = last_of(all, sectors), n;
	uint64_t oldest = last > sectors - 2 ? last - sectors + 2 : 1;
	struct record r = { 0 }, before = { 0 };

	for (n = oldest; n <= last; n++, before = r) {
		if (!get(all, sectors, n, &r)) {
			printf("record %" PRIu64 " of %" PRIu64 " is lost: there is %" PRIu64 "\n",
			       n, last, r.number);
			return -1;
		}
		if (n > oldest && r.before != before.sum) {
			printf("record %" PRIu64 " does not follow the one before\n", n);
			return -1;
		}
	}
	*sum = last ? r.sum : 0;
	return (int64_t)last;
}

static struct record *read_all(int fd, uint64_t *sectors)
{
	off_t len = lseek(fd, 0, SEEK_END), at = 0;
	uint8_t *p = NULL;
	ssize_t n;

	*sectors = (uint64_t)len / SECTOR;
	if (*sectors < 4 || posix_memalign((void **)&p, 4096, (size_t)len))
		return NULL;
	for (at = 0; at < len; at += n) {
		n = pread(fd, p + at, (size_t)(len - at), at);
		if (n <= 0)
			return NULL;
	}
	return (struct record *)p;
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static int go_on(int fd, uint64_t sectors, uint64_t number, uint64_t sum)
{
	long long spoke = 0;
	struct record *r;

	if (posix_memalign((void **)&r, 4096, sizeof(*r)))
		return 1;
	for (;;) {
		fill(r, ++number, sum);
		sum = r->sum;
		if (pwrite(fd, r, sizeof(*r), (off_t)(number % sectors * SECTOR)) != sizeof(*r) ||
		    fdatasync(fd)) {
			printf("GUEST: FAIL record %" PRIu64 ": %s\n", number, strerror(errno));
			return 1;
		}
		if (now_ms() - spoke < SPEAK_MS)
			continue;
		spoke = now_ms();
		printf("GUEST: chain %" PRIu64 "\n", number);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	bool writes = argc == 3 && !strcmp(argv[1], "write");
	uint64_t sectors, sum = 0;
	struct record *all;
	int64_t last;
	int fd;

	if (!writes && (argc != 4 || strcmp(argv[1], "check")))
		return 2;
	fd = open(argv[2], writes ? O_RDWR | O_DIRECT : O_RDONLY);
	all = fd < 0 ? NULL : read_all(fd, &sectors);
	if (!all) {
		printf("%s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	last = check(all, sectors, &sum);
	if (last < 0)
		return 1;
	free(all);
	if (writes) {
		printf("GUEST: chain begins behind %" PRId64 "\n", last);
		fflush(stdout);
		return go_on(fd, sectors, (uint64_t)last, sum);
	}
	printf("%" PRId64 " records\n", last);
	return last < atoll(argv[3]);
}
