// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for the lab's emulator: how often was each block of instructions executed between two
 * marks (tests/guest/mark.h)? Exact, no sampling. Loaded by tests/perf/profile with out=FILE; each
 * end mark writes FILE.NUMBER: lines of address, host's address of the same bytes (which tells two
 * kernels at one address apart), instructions in the block, times executed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcg_plugin.h"

#define MAX_BLOCKS (1u << 21)
#define HASH_SIZE (2 * MAX_BLOCKS)

static struct block { uint64_t vaddr, haddr; uint32_t insns; } *blocks; /* blocks[num] */
static uint32_t num, *hash; /* hash[HASH_SIZE]: block + 1, 0 = free */
static struct qemu_plugin_scoreboard *counts; /* one counter a block */
static char out[512];
static unsigned int ends;

static qemu_plugin_u64 counter(uint32_t block)
{
	return (qemu_plugin_u64){ counts, 8ul * block };
}

/* A block is translated again after each flush of the cache; its counter stays. */
static uint32_t find(uint64_t vaddr, uint64_t haddr, uint32_t insns)
{
	uint64_t x = vaddr * 0x9e3779b97f4a7c15ull ^ haddr * 0xc2b2ae3d27d4eb4full ^ insns;
	uint32_t i = (uint32_t)(x ^ x >> 29) % HASH_SIZE;

	for (; hash[i]; i = (i + 1) % HASH_SIZE) {
		struct block *b = &blocks[hash[i] - 1];

		if (b->vaddr == vaddr && b->haddr == haddr && b->insns == insns)
			return hash[i] - 1;
	}
	if (num == MAX_BLOCKS)
		abort();
	blocks[num] = (struct block){ vaddr, haddr, insns };
	hash[i] = ++num;
	return num - 1;
}

static void on_begin(unsigned int vcpu, void *arg)
{
	uint32_t i;

	(void)vcpu, (void)arg;
	for (i = 0; i < num; i++)
		qemu_plugin_u64_set(counter(i), 0, 0);
}

static void on_end(unsigned int vcpu, void *arg)
{
	char path[600];
	uint64_t n;
	uint32_t i;
	FILE *f;

	(void)vcpu, (void)arg;
	snprintf(path, sizeof(path), "%s.%u", out, ends++);
	f = fopen(path, "w");
	for (i = 0; f && i < num; i++) {
		n = qemu_plugin_u64_sum(counter(i));
		if (n)
			fprintf(f, "%" PRIx64 " %" PRIx64 " %u %" PRIu64 "\n", blocks[i].vaddr,
				blocks[i].haddr, blocks[i].insns, n);
	}
	if (!f || fclose(f))
		abort();
}

static void on_translation(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb), i;

	(void)id;
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (mark_of(insn))
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, mark_of(insn) == 'b' ? on_begin : on_end, 0, NULL);
	}
	i = find(qemu_plugin_tb_vaddr(tb),
		 (uint64_t)(uintptr_t)qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(tb, 0)),
		 (uint32_t)n);
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, INLINE_ADD, counter((uint32_t)i), 1);
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	snprintf(out, sizeof(out), "%s", argv[0] + 4);
	blocks = calloc(MAX_BLOCKS, sizeof(*blocks));
	hash = calloc(HASH_SIZE, sizeof(*hash));
	counts = qemu_plugin_scoreboard_new(8ul * MAX_BLOCKS);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
