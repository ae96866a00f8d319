/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk: what holds the data behind the SCSI target.
 *
 * DOC: Theory of operation
 *
 * There are two kinds. A raw file or block device is a descriptor, which the channel workers
 * read and write themselves through their io_urings; where the host has no io_uring, the disk's
 * own threads do (disk_pool.h). Any other disk (an image format, an NBD
 * server) is a set of operations: a worker submits requests, which the disk's own thread runs
 * (disk_nbd.c) and completes by a callback.
 *
 * An open image is locked against a second start, and against QEMU's tools, which lock the same
 * bytes.
 *
 * Names are opened apart from use. kvmb_disk_resolve() opens whatever a disk's names stand for, in
 * a process that may open files: the launcher of a VM, or the command that changes one.
 * kvmb_disk_open() uses the descriptors and opens nothing, so it works in a process that cannot.
 */
#ifndef KVMB_DISK_H
#define KVMB_DISK_H

#include <sys/types.h>
#include <sys/uio.h>

#include "backend/throttle.h"
#include "vmbus-core/env.h"

#define KVMB_DISK_BLOCK 512u
#define KVMB_DVD_BLOCK 2048u
#define KVMB_DISK_MAX_BACKING 8u
#define KVMB_DISK_MAX_FILES (KVMB_DISK_MAX_BACKING + 1)
#define KVMB_DISK_WHY 400u /* room that kvmb_disk_open() wants for its one line */

enum kvmb_disk_cache {
	KVMB_CACHE_WRITEBACK,	 /* host page cache; the guest sees a write cache and flushes it */
	KVMB_CACHE_NONE,	 /* O_DIRECT; the guest sees a write cache all the same */
	KVMB_CACHE_WRITETHROUGH, /* every write is on stable storage before it is answered */
};

enum kvmb_disk_on_error {
	KVMB_ON_ERROR_DEFAULT, /* stop when the host is out of space, report the rest */
	KVMB_ON_ERROR_STOP,    /* pause the VM; try again on resume */
	KVMB_ON_ERROR_REPORT,  /* the guest gets sense data */
};

struct kvmb_disk_spec { /* strings are borrowed during kvmb_disk_open() */
	const char *path;   /* a file, a block device, or an nbd:// or nbd+unix:// URI */
	const char *format; /* raw, vhd, vhdx, qcow2, vmdk, vdi; NULL = by suffix, else raw */
	const char *backing[KVMB_DISK_MAX_BACKING]; /* of an overlay: parent, its parent ... */
	u32 num_backing;
	const char *serial; /* at most 20 characters; NULL = derived from the file */
	const char *run_dir; /* directory for the sockets of a storage daemon */
	bool read_only;
	bool dvd;
	enum kvmb_disk_cache cache;
	enum kvmb_disk_on_error on_error;
	u32 block;	    /* 512 or 4096; 0 = 512, or 4096 where direct I/O needs it */
	bool copied;	    /* its content comes from elsewhere: kvmb_disk.copied */
	bool unlocked;	    /* another process has the lock so far: kvmb_disk_take() */
	u64 iops, bps;	    /* 0 = no limit */
	u32 timeout_s;	    /* give up a server that is silent for this long; 0 = 30 */
};

struct kvmb_disk_files { /* what the names of a spec stand for; of kvmb_disk_resolve() */
	int fd[KVMB_DISK_MAX_FILES]; /* fd[num], owned: the image, its parent, that one's parent */
	u32 num;		     /* 0: an NBD server */
	/* owned, to the keeper, who starts a storage daemon or connects to a server; 0 = none */
	int channel;
	bool can_zero;		     /* a device that writes zeroes by itself, as its driver says */
	bool threads;		     /* a storage daemon cannot have an io_uring on this host */
};

enum kvmb_io { /* operation of a request */
	KVMB_IO_NONE,
	KVMB_IO_READ,
	KVMB_IO_WRITE,
	KVMB_IO_FLUSH,
	KVMB_IO_ZERO,	/* a range that reads as zeroes afterwards; space may be given back */
	KVMB_IO_SAME,	/* repeat one block over a range: storage_io.c turns it into writes */
	KVMB_IO_VERIFY, /* compare with the guest's buffer: storage_io.c turns it into a read */
};

struct kvmb_disk_req { /* a request to a disk with operations; embed it */
	struct kvmb_disk_req *next; /* the disk's, from submit() to done() */
	enum kvmb_io io;	    /* READ, WRITE, FLUSH or ZERO */
	bool fua;
	u64 offset, length;	    /* bytes */
	const struct iovec *iov;    /* READ and WRITE: iov[num_iov], @length bytes in all */
	int num_iov;
	int result; /* set before done(): 0, -errno, or bytes of a raw disk */
	void (*done)(struct kvmb_disk_req *r); /* on the disk's thread */
	bool cancelled;		    /* the disk's own */
};

struct kvmb_disk;
struct kvmb_disk_dirty;
struct kvmb_disk_point;
struct kvmb_disk_since;

struct kvmb_disk_ops {
	/* Submit a request. Any thread; does not block. done() is called exactly once. */
	void (*submit)(struct kvmb_disk *d, struct kvmb_disk_req *r);
	/*
	 * Make done() come soon, with -ECANCELED unless it is on its way already. For a write
	 * done() comes when the write can no longer reach the image: within the disk's timeout.
	 */
	void (*cancel)(struct kvmb_disk *d, struct kvmb_disk_req *r);
	/* After a failure that held requests back: try again. */
	void (*retry)(struct kvmb_disk *d);
	/* Grow to @bytes, a multiple of the block size. May block: not on the bus thread. */
	int (*resize)(struct kvmb_disk *d, u64 bytes, char *why, size_t size);
	/* One word for info: "ok", "restarting", "failed". Any thread. */
	const char *(*health)(struct kvmb_disk *d);
	/* Times the daemon or connection was replaced. Any thread. */
	u32 (*restarts)(struct kvmb_disk *d);
	/* of an image that moves with a VM, kvmb_disk_let_go() and the like; NULL: nothing to do */
	void (*let_go)(struct kvmb_disk *d);
	int (*gone)(struct kvmb_disk *d, char *why, size_t size);
	void (*fetch_back)(struct kvmb_disk *d);
	int (*fetch)(struct kvmb_disk *d, char *why, size_t size);
	void (*close)(struct kvmb_disk *d);
};

/*
 * Who uses a disk. One path is live at any time (host-vsp/storage/storage.h, about IDE drives);
 * each asserts at every request that it is the one, and the bus thread changes hands when neither
 * has a request.
 */
enum kvmb_disk_path { KVMB_PATH_SYNTHETIC, KVMB_PATH_EMULATED };

struct kvmb_disk {
	int fd;		 /* raw: for the workers' io_urings; else -1 */
	const struct kvmb_disk_ops *ops;
	void *priv;	 /* of the ops; atomic of a raw disk */
	int lock_fd;	 /* not raw: holds our lock on the image, -1 = a URI */
	bool open_writes; /* atomic: an image in a format: to open it is to write to it */
	bool away; /* another process has the image; its size is not known: kvmb_disk_fetch() */
	bool watched;		       /* atomic: what is written is noted in dirty: disk_dirty.h */
	struct kvmb_disk_dirty *dirty; /* atomic; NULL before the first time */
	bool pointed;		       /* atomic: who writes must ask first: disk_point.h */
	struct kvmb_disk_point *point; /* atomic; NULL before the first time */
	struct kvmb_disk_since *since; /* main thread: changes since a backup; NULL = none */
	bool copied; /* main thread: its content moves with the VM, and each side has a file */
	bool read_only;
	bool direct;	 /* O_DIRECT: buffers must be aligned */
	u32 direct_unit; /* alignment of address and length: a power of two; below 512 means 512 */
	bool can_zero;	 /* ZERO gives space back and leaves zeroes */
	bool no_nowait;	 /* atomic: RWF_NOWAIT was refused, as by tmpfs of Linux 6.1 */
	enum kvmb_disk_cache cache;
	enum kvmb_disk_on_error on_error;
	u32 block;	 /* bytes of a logical block: 512, 2048 or 4096 */
	u64 blocks;	 /* atomic: a resize changes it */
	dev_t rdev;	 /* of a block device, else 0 */
	struct timespec given_up; /* when a file was last written then */
	int owed;	 /* atomic: -errno of a flush of ours that the guest has not heard of */
	char path[4096]; /* for messages and info */
	char format[8];
	char serial[21]; /* unit serial number */
	u64 naa;	 /* designator of VPD page 83 */
	struct kvmb_throttle throttle;
	int user; /* atomic, enum kvmb_disk_path */
};

/** kvmb_disk_set_path() - Change hands of a disk that nobody has a request of. Bus thread. */
static inline void kvmb_disk_set_path(struct kvmb_disk *d, enum kvmb_disk_path path)
{
	__atomic_store_n(&d->user, (int)path, __ATOMIC_RELEASE);
}

/** kvmb_disk_is_on() - Is @path the live one? Any thread. */
static inline bool kvmb_disk_is_on(const struct kvmb_disk *d, enum kvmb_disk_path path)
{
	return __atomic_load_n(&d->user, __ATOMIC_ACQUIRE) == (int)path;
}

/**
 * kvmb_disk_resolve() - Open the files that a disk's names stand for, with the caller's rights
 * @spec:     the disk
 * @out:      filled on success
 * @why:      why[why_size], on failure one phrase for the user that names the cause
 * @why_size: bytes, KVMB_DISK_WHY
 *
 * A name that ends in .vhd, .vhdx, .avhdx, .qcow2, .vmdk or .vdi has that format, any other is
 * raw. The content never decides, because a guest may write any content. Nothing in an image makes
 * us open another file (image.h).
 *
 * Return: 0 or -errno. Context: may block on file I/O.
 */
int kvmb_disk_resolve(const struct kvmb_disk_spec *spec, struct kvmb_disk_files *out, char *why,
		      size_t why_size);

/**
 * kvmb_disk_adopt() - The file of a raw disk that another process has open, instead
 * @fd: hostile; taken over on success. With it goes its lock
 *
 * It must be the file that the disk's name stands for, which the caller must be able to open.
 * Return: 0 or -errno. Context: as kvmb_disk_resolve(), and so are the other arguments.
 */
int kvmb_disk_adopt(const struct kvmb_disk_spec *spec, int fd, struct kvmb_disk_files *out,
		    char *why, size_t why_size);

/** kvmb_disk_needs_keeper() - Will kvmb_disk_resolve() register something with the keeper? */
bool kvmb_disk_needs_keeper(const struct kvmb_disk_spec *spec);

/** kvmb_disk_files_close() - Close what nobody took; then there is none. */
void kvmb_disk_files_close(struct kvmb_disk_files *files);

/**
 * kvmb_disk_open() - Lock and open an image whose files are open
 * @spec:     the disk; its names are for messages and for its format, none is opened
 * @files:    of kvmb_disk_resolve() for the same @spec; taken over, also on failure
 * @out:      result
 * @why:      why[why_size], on failure one phrase for the user that names the cause
 * @why_size: bytes, KVMB_DISK_WHY
 *
 * An image that looks like a format without being named as one is refused with a hint.
 *
 * Return: 0 or -errno. Context: may block for seconds, while a storage daemon starts; not on a
 * thread that guests wait for. Trust: @files may have come from any client of the control socket:
 * one of another type, or not open as @spec needs it, is refused.
 */
int kvmb_disk_open(const struct kvmb_disk_spec *spec, struct kvmb_disk_files *files,
		   struct kvmb_disk **out, char *why, size_t why_size);

/**
 * kvmb_disk_seal() - This process will open nothing from now on
 * @load: load the library that images and NBD servers need, for disks to come
 *
 * A disk at a server with TLS is refused afterwards, because its thread opens keys and connects by
 * itself; and any image or server if the library is not loaded.
 *
 * Context: before the first thread.
 */
void kvmb_disk_seal(bool load);

/**
 * kvmb_disk_owe() - A flush of ours has failed: the guest's next one fails
 * @err: -errno
 *
 * The kernel tells each open file of an error once. Who takes it from the guest, which may have
 * been told that its writes are done, must hand it on.
 */
void kvmb_disk_owe(struct kvmb_disk *d, int err);

/** kvmb_disk_take_owed() - Return: what the guest's flush that succeeded must say: 0 or -errno. */
int kvmb_disk_take_owed(struct kvmb_disk *d);

/** kvmb_disk_owes() - Return: what kvmb_disk_take_owed() would. */
int kvmb_disk_owes(const struct kvmb_disk *d);

/**
 * kvmb_disk_holds_back() - Is a request that failed kept, and the VM stopped?
 * @io:   what it was
 * @owed: @err is what kvmb_disk_take_owed() gave it
 * @err:  -errno
 *
 * As the disk's on_error says. But the kernel tells of a flush that failed once, and forgets what
 * it could not write: that flush would succeed when it is tried again, and the guest would believe
 * it.
 */
bool kvmb_disk_holds_back(const struct kvmb_disk *d, enum kvmb_io io, bool owed, int err);

/*
 * ---- moving to another process: vmm/disk_locks.h ----
 *
 * A raw disk is its file, and whoever has the lock may use it. An image in a format has a daemon,
 * which keeps parts of the file in memory, so it must not have it open while another one writes.
 * At an NBD server there is nothing to lock and nothing to close.
 */

/**
 * kvmb_disk_let_go() - Have an image closed as soon as what was submitted so far is on it
 *
 * Every request is answered, or is a flush; later ones wait. Context: any thread; never waits.
 */
void kvmb_disk_let_go(struct kvmb_disk *d);

/**
 * kvmb_disk_gone() - After kvmb_disk_let_go(): wait until nobody here has it open
 *
 * Return: 0: it was closed in good order, and opening it writes nothing; -errno with @why.
 * Context: a thread that may block for half a minute.
 */
int kvmb_disk_gone(struct kvmb_disk *d, char *why, size_t size);

/**
 * kvmb_disk_fetch_back() - kvmb_disk_let_go() was in vain: the image is opened again
 *
 * Whatever became of it; requests wait until it is open, as after the end of a daemon. Context:
 * any thread; never waits.
 */
void kvmb_disk_fetch_back(struct kvmb_disk *d);

/**
 * kvmb_disk_fetch() - Open the image of a disk that was opened unlocked
 *
 * What this host remembers of the file is forgotten first. On failure nobody here has it open.
 * Return: 0; -ESTALE: it was written since kvmb_disk_note(); -errno with @why. Context: as
 * kvmb_disk_open(), but normally milliseconds.
 */
int kvmb_disk_fetch(struct kvmb_disk *d, char *why, size_t size);

/** kvmb_disk_give_up() - Unlock it, for another process. @d: nobody writes to it */
void kvmb_disk_give_up(struct kvmb_disk *d);

/**
 * kvmb_disk_take() - Lock a disk that was opened unlocked, or given up
 *
 * Return: 0, also where there is nothing to lock; -EBUSY: somebody else has it; another -errno.
 * Never waits.
 */
int kvmb_disk_take(struct kvmb_disk *d);

/** kvmb_disk_note() - Remember what it is like for kvmb_disk_was_written(). */
void kvmb_disk_note(struct kvmb_disk *d);

/**
 * kvmb_disk_was_written() - Since kvmb_disk_note()?
 * Return: 0: no; 1: yes; -ENODATA: nobody can tell, of a block device, a server, or an image to
 * which its daemon writes when it opens it.
 */
int kvmb_disk_was_written(const struct kvmb_disk *d);

/** kvmb_disk_forget_cache() - Another host may have written: read anew what was read so far. */
void kvmb_disk_forget_cache(struct kvmb_disk *d);

/** kvmb_disk_close() - Close without flushing; NULL is fine. May block for seconds. */
void kvmb_disk_close(struct kvmb_disk *d);

/**
 * kvmb_disk_resize() - Change the capacity
 * @d:        the disk
 * @bytes:    new size, a multiple of the block size; 0 = read the size of the device again
 * @why:      why[why_size], on failure one phrase for the user
 * @why_size: bytes
 *
 * Shrinking a file is refused, because it would destroy data.
 *
 * Return: 0 or -errno. Context: as kvmb_disk_open().
 */
int kvmb_disk_resize(struct kvmb_disk *d, u64 bytes, char *why, size_t why_size);

/**
 * kvmb_disk_is_raw() - Do workers read and write its descriptor? Else requests are handed to it.
 */
static inline bool kvmb_disk_is_raw(const struct kvmb_disk *d)
{
	return d->fd >= 0;
}

static inline u64 kvmb_disk_blocks(const struct kvmb_disk *d)
{
	return __atomic_load_n(&d->blocks, __ATOMIC_RELAXED);
}

static inline u64 kvmb_disk_bytes(const struct kvmb_disk *d)
{
	return kvmb_disk_blocks(d) * d->block;
}

/** kvmb_disk_health() - One word for info. Any thread. */
const char *kvmb_disk_health(struct kvmb_disk *d);

/** kvmb_disk_format_of() - The format that a name implies: "raw", "vhdx", ..., "nbd". */
const char *kvmb_disk_format_of(const char *path);

#endif
