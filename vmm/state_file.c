// SPDX-License-Identifier: GPL-2.0-only
/* Reading and writing the file of a saved VM: state_file.h. */
#include "vmm/state_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/io.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/mem_source.h"
#include "vmm/state_memory.h"
#include "vmm/state_pack.h"

#define CONFIG_AT 4096u
#define RAM_MAX (1ull << 46)

enum { STATUS_WRITING = 1, STATUS_COMPLETE = 2, STATUS_USED = 3 };

enum { VERSION_PLAIN = 1, VERSION_PACKED = 2 };

struct header { /* little-endian */
	char magic[16];
	__le32 version;
	__le32 status; /* not in the CRC: written by itself */
	__le64 ram_bytes;
	__le64 sections_at, sections_len;
	__le32 sections_crc; /* CRC-32C */
	__le32 crc;	     /* CRC-32C of the header with status and this field zero */
	/* of VERSION_PACKED only */
	__le64 index_at, index_num;
	__le32 index_crc; /* CRC-32C */
	__le32 method;	  /* METHOD_ZSTD */
};
#define PLAIN_HEADER offsetof(struct header, index_at)
static_assert(PLAIN_HEADER == 56 && sizeof(struct header) == 80, "docs/migration.md");

enum { METHOD_ZSTD = 1 };

static_assert(CONFIG_AT + STATE_FILE_CONFIG_MAX == STATE_FILE_MEMORY_AT,
	      "options end where memory begins");

static const char magic[16] = "kvmbus state\n\x1a\n";

static size_t header_len(const struct header *h)
{
	return le32_to_cpu(h->version) == VERSION_PLAIN ? PLAIN_HEADER : sizeof(*h);
}

static __le32 header_crc(const struct header *h)
{
	struct header copy = *h;

	copy.status = 0;
	copy.crc = 0;
	return cpu_to_le32(~kvmb_crc32c(~0u, &copy, header_len(h)));
}

static int file_failed(char *why, const char *what, int err)
{
	snprintf(why, STATE_FILE_WHY, "%s: %s", what, strerror(-err));
	return err;
}

/* ---- writing ---- */

static int write_header(int fd, struct header *h)
{
	h->crc = header_crc(h);
	return kvmb_pwrite_all(fd, h, header_len(h), 0);
}

/* Where the index is, and behind it the sections, is known then. */
static int write_packed(int fd, const struct kvmb_gm *gm, const struct state_file_wish *wish,
			const struct state_file_progress *p, struct header *h)
{
	struct state_pack_index index;
	int err = state_memory_pack(fd, gm, wish, p, &index);

	if (err)
		return err;
	h->index_at = cpu_to_le64(index.at);
	h->index_num = cpu_to_le64(index.num);
	h->index_crc = cpu_to_le32(index.crc);
	h->sections_at = cpu_to_le64(index.at + index.num * sizeof(struct state_pack_entry));
	return write_header(fd, h);
}

int state_file_write(int fd, const struct kvmb_gm *gm, const void *sections, size_t len,
		     const struct state_file_wish *wish, const struct state_file_progress *p,
		     char *why)
{
	struct header h = {
		.version = cpu_to_le32(wish->zstd ? VERSION_PACKED : VERSION_PLAIN),
		.status = cpu_to_le32(STATUS_WRITING),
		.ram_bytes = cpu_to_le64(kvmb_gm_size(gm)),
		.sections_at = cpu_to_le64(STATE_FILE_MEMORY_AT + kvmb_gm_size(gm)),
		.sections_len = cpu_to_le64(len),
		.sections_crc = cpu_to_le32(~kvmb_crc32c(~0u, sections, len)),
		.method = cpu_to_le32(METHOD_ZSTD),
	};
	int err;

	memcpy(h.magic, magic, sizeof(magic));
	err = write_header(fd, &h);
	if (!err)
		err = wish->zstd ? write_packed(fd, gm, wish, p, &h) :
				   state_memory_write(fd, gm, wish, p);
	if (!err)
		err = kvmb_pwrite_all(fd, sections, len, le64_to_cpu(h.sections_at));
	if (!err && fdatasync(fd))
		err = -errno;
	return err ? file_failed(why, "cannot write the state", err) : 0;
}

int state_file_put_config(int fd, const void *config, size_t len)
{
	int err;

	kvmb_assert(len <= STATE_FILE_CONFIG_MAX);
	err = kvmb_pwrite_all(fd, config, len, CONFIG_AT);
	return err ? err : fdatasync(fd) ? -errno : 0;
}

static int set_status(int fd, u32 status)
{
	__le32 s = cpu_to_le32(status);
	int err = kvmb_pwrite_all(fd, &s, sizeof(s), offsetof(struct header, status));

	return err ? err : fdatasync(fd) ? -errno : 0;
}

int state_file_complete(int fd)
{
	return set_status(fd, STATUS_COMPLETE);
}

/* Synced last: what was written in vain never goes to the disk, and the VM does not wait for it. */
void state_file_void(int fd)
{
	__le32 used = cpu_to_le32(STATUS_USED);
	int err = kvmb_pwrite_all(fd, &used, sizeof(used), offsetof(struct header, status));

	if (ftruncate(fd, KVMB_PAGE_SIZE) && err)
		return;
	fdatasync(fd);
}

/* ---- reading ---- */

bool state_file_has_config(int fd, const void *config, size_t len)
{
	u8 *have = kvmb_xzalloc(len);
	bool same = !kvmb_pread_all(fd, have, len, CONFIG_AT) && !memcmp(have, config, len);

	free(have);
	return same;
}

static u64 chunks_of(u64 ram)
{
	return (ram + STATE_PACK_CHUNK - 1) / STATE_PACK_CHUNK;
}

/* Where things lie; nothing that is compared can overflow: RAM_MAX. */
static bool makes_sense(const struct header *h)
{
	u64 ram = le64_to_cpu(h->ram_bytes), index_at = le64_to_cpu(h->index_at);
	u64 num = le64_to_cpu(h->index_num), at = le64_to_cpu(h->sections_at);

	if (!ram || ram > RAM_MAX || ram % KVMB_PAGE_SIZE ||
	    le64_to_cpu(h->sections_len) > KVMB_TLV_MAX_SECTION)
		return false;
	if (le32_to_cpu(h->version) == VERSION_PLAIN)
		return at == STATE_FILE_MEMORY_AT + ram;
	return index_at >= STATE_FILE_MEMORY_AT && index_at <= STATE_FILE_MEMORY_AT + ram &&
	       num <= chunks_of(ram) && at == index_at + num * sizeof(struct state_pack_entry);
}

static int check_header(const struct header *h, char *why)
{
	const char *what = NULL;
	u32 version = le32_to_cpu(h->version);

	if (memcmp(h->magic, magic, sizeof(magic)))
		what = "this is not the state of a VM";
	else if (version != VERSION_PLAIN && version != VERSION_PACKED)
		what = "this state is of a newer kvmbus";
	else if (h->crc != header_crc(h))
		what = "its header is damaged";
	else if (version == VERSION_PACKED && le32_to_cpu(h->method) != METHOD_ZSTD)
		what = "it was compressed by a newer kvmbus";
	else if (le32_to_cpu(h->status) == STATUS_WRITING)
		what = "the save was not finished";
	else if (le32_to_cpu(h->status) != STATUS_COMPLETE)
		what = "it was used before; its VM has gone on since";
	else if (!makes_sense(h))
		what = "its header makes no sense";
	if (!what)
		return 0;
	snprintf(why, STATE_FILE_WHY, "%s", what);
	return le32_to_cpu(h->status) == STATUS_USED ? -ESTALE : -EPROTO;
}

static int read_sections(struct state_file *f, const struct header *h, char *why)
{
	int err;

	f->len = le64_to_cpu(h->sections_len);
	f->sections = malloc(f->len + 1);
	if (!f->sections)
		return file_failed(why, "its sections", -ENOMEM);
	err = kvmb_pread_all(f->fd, f->sections, f->len, le64_to_cpu(h->sections_at));
	if (!err && le32_to_cpu(h->sections_crc) == ~kvmb_crc32c(~0u, f->sections, f->len))
		return 0;
	free(f->sections);
	f->sections = NULL;
	if (err && err != -ENODATA)
		return file_failed(why, "its sections", err);
	snprintf(why, STATE_FILE_WHY, "it is %s", err ? "cut off" : "damaged");
	return -EPROTO;
}

static int read_config(struct state_file *f, char *why)
{
	int err;

	f->config_len = STATE_FILE_CONFIG_MAX;
	f->config = malloc(f->config_len);
	if (!f->config)
		return file_failed(why, "its options", -ENOMEM);
	err = kvmb_pread_all(f->fd, f->config, f->config_len, CONFIG_AT);
	if (!err)
		return 0;
	free(f->config);
	f->config = NULL;
	return file_failed(why, "its options", err);
}

static int no_state(char *why)
{
	snprintf(why, STATE_FILE_WHY, "this is not the state of a VM");
	return -EPROTO;
}

static void note_memory(struct state_file *f, const struct header *h)
{
	f->ram_bytes = le64_to_cpu(h->ram_bytes);
	f->sections_at = le64_to_cpu(h->sections_at);
	f->packed = le32_to_cpu(h->version) == VERSION_PACKED;
	f->index_at = le64_to_cpu(h->index_at);
	f->index_num = le64_to_cpu(h->index_num);
	f->index_crc = le32_to_cpu(h->index_crc);
}

int state_file_open(struct state_file *f, int fd, char *why)
{
	struct header h;
	int err = kvmb_pread_all(fd, &h, sizeof(h), 0);

	*f = (struct state_file){ .fd = fd };
	if (err == -ENODATA)
		err = no_state(why);
	else if (err)
		file_failed(why, "cannot read it", err);
	if (!err)
		err = check_header(&h, why);
	if (!err)
		err = read_sections(f, &h, why);
	if (!err)
		err = read_config(f, why);
	if (err) {
		f->fd = -1; /* not ours */
		state_file_close(f);
	} else {
		note_memory(f, &h);
	}
	return err;
}

/* A hole at its end is no memory, and no end of the file either: sections follow. */
static bool is_whole(const struct state_file *f)
{
	struct stat st;

	return !fstat(f->fd, &st) && (u64)st.st_size >= f->sections_at + f->len;
}

int state_file_check_memory(const struct state_file *f, const struct kvmb_gm *gm, char *why)
{
	u64 size = kvmb_gm_size(gm);

	if (size != f->ram_bytes) {
		snprintf(why, STATE_FILE_WHY, "it has %llu bytes of memory, the VM %llu",
			 (unsigned long long)f->ram_bytes, (unsigned long long)size);
		return -EPROTO;
	}
	if (!is_whole(f)) {
		snprintf(why, STATE_FILE_WHY, "it was given up, or cut off");
		return -ESTALE;
	}
	return 0;
}

static int open_source(const struct state_file *f, int fd, struct mem_source **out)
{
	const struct state_pack_index index = { .begin = STATE_FILE_MEMORY_AT,
						.at = f->index_at,
						.num = f->index_num,
						.crc = f->index_crc };

	if (f->packed)
		return state_pack_source(fd, &index, f->ram_bytes, out);
	*out = mem_source_file(fd, STATE_FILE_MEMORY_AT, f->ram_bytes);
	return *out ? 0 : -ENOMEM;
}

int state_file_memory(const struct state_file *f, struct mem_source **out, char *why)
{
	int fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 3), err = fd < 0 ? -errno : 0;

	if (!err)
		err = open_source(f, fd, out);
	if (!err)
		return 0;
	if (fd >= 0)
		close(fd);
	if (err != -EPROTO)
		return file_failed(why, "its memory", err);
	snprintf(why, STATE_FILE_WHY, "the index of its memory is damaged");
	return err;
}

int state_file_read_memory(struct state_file *f, const struct kvmb_gm *gm, char *why)
{
	struct mem_source *s = NULL;
	int err = state_file_check_memory(f, gm, why);

	if (!err)
		err = state_file_memory(f, &s, why);
	if (err)
		return err;
	err = mem_source_fill(s, gm->regions[0].hva);
	mem_source_close(s);
	return err ? file_failed(why, "its memory", err) : 0;
}

/* The last look: whoever saved it may have given it up since it was opened. */
int state_file_use(struct state_file *f)
{
	__le32 status;
	int err = kvmb_pread_all(f->fd, &status, sizeof(status), offsetof(struct header, status));

	if (!err && le32_to_cpu(status) != STATUS_COMPLETE)
		err = -ESTALE;
	if (err)
		return err;
	err = set_status(f->fd, STATUS_USED);
	if (err) /* the guest does not run: it may be tried again */
		set_status(f->fd, STATUS_COMPLETE);
	return err;
}

void state_file_close(struct state_file *f)
{
	free(f->sections);
	free(f->config);
	f->sections = f->config = NULL;
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}
