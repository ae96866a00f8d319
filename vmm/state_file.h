/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file that a VM is saved in: where its memory and its state lie.
 *
 * DOC: Theory of operation
 *
 * A header of one page, the section of the VM's options, guest memory, then the sections of
 * lib/tlv.h. Memory lies in the file as it lies in the VM's own (docs/migration.md), with holes
 * where it was never touched or is zero, so that a page is found without a table; or, in version 2,
 * compressed in chunks with an index (vmm/state_pack.h).
 *
 * The header has a status, which is written last and alone. WRITING: the file is not complete, and
 * means nothing. COMPLETE: it may be restored, once. USED: a VM was started from it, or the save
 * was given up after all; its memory goes at the same time. So however a save or a restore is
 * killed, a state is never used twice, and one of a VM that went on is never used.
 *
 * The options are not of the VM's process, which writes all the rest, but of the client, who has
 * them from the VM's keeper: a restore carries them out with the rights of its caller. The client
 * writes them before the file has a name, and looks again when the VM's process is no more.
 *
 * All bytes are hostile when they are read: whoever can write the file decides what is restored.
 */
#ifndef KVMB_STATE_FILE_H
#define KVMB_STATE_FILE_H

#include "vmm/state_memory.h"

struct mem_source;

#define STATE_FILE_WHY 200
#define STATE_FILE_CONFIG_MAX ((1u << 20) - 4096) /* bytes of the section of options */

/**
 * state_file_write() - Write memory and sections; the status stays WRITING
 * @fd:       empty, seekable
 * @gm:       nobody writes to it meanwhile
 * @sections: sections[len]
 * @len:      bytes
 * @wish:     how
 * @p:        called now and then, by one thread at a time
 * @why:      why[STATE_FILE_WHY], on failure one phrase
 *
 * Return: 0; -ECANCELED when @p gave up; -errno. Context: a thread that may wait.
 */
int state_file_write(int fd, const struct kvmb_gm *gm, const void *sections, size_t len,
		     const struct state_file_wish *wish, const struct state_file_progress *p,
		     char *why);

/** state_file_complete() - It may be restored from here on. Return: 0 or -errno. May wait. */
int state_file_complete(int fd);

/**
 * state_file_put_config() - Write the section of options, in place of what is there
 * @config: config[len], len <= STATE_FILE_CONFIG_MAX
 *
 * Return: 0 or -errno. May wait.
 */
int state_file_put_config(int fd, const void *config, size_t len);

/** state_file_has_config() - Is that what the file has? May wait. */
bool state_file_has_config(int fd, const void *config, size_t len);

/** state_file_void() - It may not be restored any more; best effort. May wait. */
void state_file_void(int fd);

struct state_file {
	int fd;
	u64 ram_bytes, sections_at;
	bool packed;		 /* memory is compressed: libzstd must be loaded to read it */
	u64 index_at, index_num; /* packed */
	u32 index_crc;
	u8 *sections; /* sections[len], malloc()ed; hostile */
	size_t len;
	u8 *config; /* the section of options, and what follows; malloc()ed */
	size_t config_len;
};

/**
 * state_file_open() - Read header and sections
 * @f:   filled on success; close with state_file_close()
 * @fd:  open for reading and writing; taken over on success
 * @why: why[STATE_FILE_WHY], on failure one phrase
 *
 * Return: 0; -EPROTO: no state, or not complete; -ESTALE: used before; -errno.
 */
int state_file_open(struct state_file *f, int fd, char *why);

/**
 * state_file_check_memory() - Is the memory of this VM in there, all of it?
 *
 * Return: 0; -EPROTO or -ESTALE with @why.
 */
int state_file_check_memory(const struct state_file *f, const struct kvmb_gm *gm, char *why);

/**
 * state_file_memory() - Its memory, to be read while the guest runs
 * @f:   checked by state_file_check_memory()
 * @out: set on success, the caller's; outlives @f
 *
 * Return: 0; -EPROTO: its index is damaged; -errno; with @why.
 */
int state_file_memory(const struct state_file *f, struct mem_source **out, char *why);

/** state_file_read_memory() - Check, and fill guest memory, which is zero. Return: 0 or -errno. */
int state_file_read_memory(struct state_file *f, const struct kvmb_gm *gm, char *why);

/** state_file_use() - The guest is about to run: nobody else may start it. Return: 0 or -errno. */
int state_file_use(struct state_file *f);

/** state_file_close() - Free it; zeroed is fine when its fd is -1. */
void state_file_close(struct state_file *f);

#endif
