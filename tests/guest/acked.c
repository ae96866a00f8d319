// SPDX-License-Identifier: GPL-2.0-only
/*
 * acked STREAM ROUND COUNT DISK TWIN: write blocks of a stream of its own to a disk, and say which
 * were acknowledged; when the disk refuses one, write it to its twin, whose name TWIN (a file) will
 * hold, and go on there for COUNT blocks. Then read all of them back. Block N lies at
 * 1 MiB + (STREAM * 4096 + N) * 4 KiB and holds STREAM, ROUND, N again and again.
 *
 * Each line is one write(), when the block is on the disk: whoever kills the machine finds it
 * there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 4096u
#define MOST 4096u
#define TRIES 3000 /* of 100 ms: of a twin that does not come */

static _Alignas(4096) uint32_t block[BLOCK / 4], back[BLOCK / 4];
static uint32_t stream, gen;

static void say(const char *what, uint32_t n, const char *on)
{
	char line[120];
	int len = snprintf(line, sizeof(line), "GUEST: %s %u %u on %s\n", what, stream, n, on);

	if (write(1, line, (size_t)len) != len)
		exit(3);
}

static off_t fill(uint32_t n)
{
	uint32_t i;

	for (i = 0; i < BLOCK / 4; i += 4) {
		block[i] = stream;
		block[i + 1] = gen;
		block[i + 2] = n;
		block[i + 3] = i;
	}
	return (1 << 20) + (off_t)(stream * MOST + n) * BLOCK;
}

static int open_disk(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/%s", name);
	return open(path, O_RDWR | O_DIRECT | O_DSYNC);
}

/* Return: open; its name is in @name. */
static int open_twin(const char *file, char name[32])
{
	int i, fd;

	for (i = 0; i < TRIES; i++, usleep(100000)) {
		FILE *f = fopen(file, "r");

		if (!f)
			continue;
		fd = fscanf(f, "%31s", name) == 1 ? open_disk(name) : -1;
		fclose(f);
		if (fd >= 0)
			return fd;
	}
	return -1;
}

int main(int argc, char **argv)
{
	uint32_t n, end = MOST, count;
	char name[32], twin[32];
	int fd, moved = 0;

	if (argc != 6)
		return 2;
	stream = (uint32_t)atoi(argv[1]);
	gen = (uint32_t)atoi(argv[2]);
	count = (uint32_t)atoi(argv[3]);
	snprintf(name, sizeof(name), "%s", argv[4]);
	fd = open_disk(name);
	if (fd < 0)
		return 1;
	for (n = 0; n < end; n++) {
		off_t at = fill(n);

		if (pwrite(fd, block, BLOCK, at) == BLOCK) {
			say("acked", n, name);
			continue;
		}
		say("refused", n, name);
		close(fd);
		fd = moved++ ? -1 : open_twin(argv[5], twin);
		if (fd < 0) {
			say("FAIL no way to block", n, name);
			return 1;
		}
		snprintf(name, sizeof(name), "%s", twin);
		end = n + count < MOST ? n + count : MOST;
		n--; /* again */
	}
	for (n = 0; n < end; n++) {
		if (pread(fd, back, BLOCK, fill(n)) != BLOCK || memcmp(back, block, BLOCK)) {
			say("FAIL lost block", n, name);
			return 1;
		}
	}
	say("verified", n, name);
	return !moved;
}
