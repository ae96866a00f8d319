/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the plugins for the lab's emulator use of its interface, version 4. Include once, in the
 * plugin's one file.
 *
 * Source: QEMU 10.0 docs/devel/tcg-plugins.rst. Debian has no package with its header, so what is
 * used is declared here.
 */
#ifndef KVMB_TCG_PLUGIN_H
#define KVMB_TCG_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;
struct qemu_plugin_hwaddr;
struct qemu_plugin_register;
typedef struct {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
} qemu_plugin_u64;
typedef struct {
	struct qemu_plugin_register *handle;
	const char *name, *feature;
} qemu_plugin_reg_descriptor;
enum { INLINE_ADD };		   /* operations in line */
enum { NO_REGS, READS_REGS };	   /* what a callback does with registers */
enum { MEM_R = 1, MEM_W, MEM_RW }; /* which accesses */
struct tcg_bytes {
	uint8_t *data;
	unsigned int len;
}; /* GLib's GByteArray and GArray begin so */

typedef void on_exec_fn(unsigned int vcpu, void *arg);
typedef void on_mem_fn(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *arg);

void qemu_plugin_register_vcpu_init_cb(uint64_t id, void (*fn)(uint64_t id, unsigned int vcpu));
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*fn)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, on_exec_fn *fn, int flags,
					  void *arg);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb *tb, int op,
						       qemu_plugin_u64 entry, uint64_t v);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, on_exec_fn *fn,
					    int flags, void *arg);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, on_mem_fn *fn, int flags,
				      int rw, void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *buf, size_t len);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *insn);
bool qemu_plugin_mem_is_store(uint32_t info);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t vaddr);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *haddr);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *haddr);
struct tcg_bytes *qemu_plugin_get_registers(void);
int qemu_plugin_read_register(struct qemu_plugin_register *handle, struct tcg_bytes *buf);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size);
uint64_t qemu_plugin_u64_sum(qemu_plugin_u64 entry);
void qemu_plugin_u64_set(qemu_plugin_u64 entry, unsigned int vcpu, uint64_t v);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 4;

/* A mark of tests/guest/mark.h: 'b' or 'e', 0 for any other instruction. */
static inline char mark_of(const struct qemu_plugin_insn *insn)
{
	uint8_t d[9];

	return qemu_plugin_insn_size(insn) == 9 && qemu_plugin_insn_data(insn, d, 9) == 9 &&
			       !memcmp(d, "\x66\x0f\x1f\x84\x00KVM", 8) ?
		       (char)d[8] :
		       0;
}

#endif
