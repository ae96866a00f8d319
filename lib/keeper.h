/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The keeper: a small process beside each VM, which starts and ends its helper programs.
 *
 * DOC: Theory of operation
 *
 * The process that runs a guest gives up its rights (a sandbox), so it can start no program. The
 * launcher forks the keeper before that, and before the first thread. The keeper has the rights
 * of who started the VM, reads nothing that a guest writes, and ends when the VM's process does.
 *
 * It holds recipes. A recipe is a program of a fixed list, its arguments, its files and its jail
 * (lib/jail.h), all fixed when it is registered. Only who knows the user's wishes may register:
 * the launcher, and later a `kvmbus` command of the same user, over a socket beside the VM's
 * control socket. For each recipe the keeper makes a channel. Who holds the channel's other end
 * may say KVMB_KEEPER_START, _CONNECT and _KILL and nothing more: there are no strings and no
 * numbers that a VM which was taken over could choose, but one: which of the sockets "PREFIX_PORT"
 * to connect to (KVMB_RECIPE_PORTS). Who puts a socket there means the guest. The keeper reports
 * on the channel what becomes of the helper. Closing the channel ends the helper (a daemon has two
 * seconds to write back what it has) and forgets the recipe, with its files and their locks.
 *
 * A channel is a non-blocking SOCK_SEQPACKET socket; poll it, and call kvmb_keeper_read().
 *
 * It also keeps a file: the options that make such a VM again. The launcher leaves it; a command
 * that changes the VM replaces it. Such a command announces the change, asks the VM, and then
 * replaces the file or recalls its announcement. One that goes away in between leaves a doubt that
 * stays: from then on nobody gets the file to make a VM of. Who got it has it until he hangs up,
 * and no change is announced meanwhile. So what is saved or moved always has the options that
 * belong to it, and the VM's process has no say in them.
 *
 * When the VM's process ends, however that happens, the keeper ends the helpers likewise and
 * removes the VM's sockets. It does so too when that process hangs up, and then waits for its end:
 * one that has not ended five minutes later is killed, because nobody can reach it any more.
 */
#ifndef KVMB_KEEPER_H
#define KVMB_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct kvmb_listener;

enum kvmb_recipe_kind {
	/*
	 * qemu-storage-daemon in a jail. START gives its monitor (a stream socket); CONNECT a
	 * new connection to its listening socket.
	 */
	KVMB_RECIPE_DAEMON,
	/* passt. START gives the stream of frames; READY follows when it has confined itself. */
	KVMB_RECIPE_PASST,
	/*
	 * No program: CONNECT connects to an address. argv is { "tcp", HOST, PORT } or
	 * { "unix", PATH }.
	 */
	KVMB_RECIPE_DIAL,
	/*
	 * No program: kvmb_keeper_ask_port() connects to the stream socket "PREFIX_PORT", if that
	 * is this user's or root's, and no link. argv is { PREFIX }.
	 */
	KVMB_RECIPE_PORTS,
	KVMB_RECIPE_KINDS
};

/* Descriptors of the program, which its arguments name. */
#define KVMB_RECIPE_SOCKET 10  /* DAEMON: it listens; PASST: the stream of frames */
#define KVMB_RECIPE_MONITOR 11 /* DAEMON */
#define KVMB_RECIPE_FILES 20   /* files[i] is KVMB_RECIPE_FILES + i */
#define KVMB_RECIPE_MAX_FILES 16

/* What passt takes for the file of its process id: the keeper reads it as "I am ready". */
#define KVMB_RECIPE_PID_FILE "/proc/self/fd/2"

struct kvmb_recipe { /* all borrowed during kvmb_keeper_register() */
	enum kvmb_recipe_kind kind;
	const char *const *argv; /* ends with NULL; argv[0] is the program's name by @kind */
	const int *files;	 /* files[num_files] */
	int num_files;
	uint64_t writable;     /* bit i: files[i] may be opened for writing, too */
	const char *run_dir;   /* DAEMON: for its socket, which has a name for a moment only */
	unsigned int ready_ms; /* PASST: it is killed if it is not READY by then; 0 = 10 s */
};

enum kvmb_keeper_op {
	KVMB_KEEPER_START = 1,
	KVMB_KEEPER_CONNECT,
	KVMB_KEEPER_KILL,
	KVMB_KEEPER_PORT, /* kvmb_keeper_ask_port() */
};

enum kvmb_keeper_what {
	/* answers START: fd, or err; -EBUSY: the last one has not ended; -ENOENT: it is not
	 * installed; -EPERM: it could not be confined; -EACCES: by lacks it could open any file,
	 * and the keeper is strict */
	KVMB_KEEPER_STARTED = 1,
	KVMB_KEEPER_READY, /* PASST */
	/* it ended by itself: status, words; err = -ETIME: it was not ready in time, or -EPERM:
	 * it does not confine itself; then it was killed */
	KVMB_KEEPER_ENDED,
	KVMB_KEEPER_CONNECTED, /* answers CONNECT and PORT, in their order: fd, or err */
	KVMB_KEEPER_KILLED,    /* answers KILL: status, words; -ETIMEDOUT: it does not end */
};

#define KVMB_KEEPER_WORDS 1024

struct kvmb_keeper_news {
	enum kvmb_keeper_what what;
	int err;    /* 0 or -errno */
	int fd;	    /* -1 = none; owned by the reader */
	int status; /* of wait(), when it has ended; 127: it could not be executed */
	unsigned int lacks; /* STARTED, DAEMON: what its jail is without, enum kvmb_jail_lack */
	/* DAEMON: its first line on standard error, PASST: its last; printable ASCII. DIAL: why */
	char words[KVMB_KEEPER_WORDS];
};

/* ---- launcher and commands ---- */

/**
 * kvmb_keeper_start() - Fork the keeper of this process
 * @name:   of the VM, for the keeper's title
 * @strict: start no daemon that could open other files of its user. Whoever has its monitor tells
 *          it which, and a VM that was taken over has
 * @why:    why[size], on failure one phrase for the user
 *
 * Return: 0 or -errno. Context: before the first thread.
 */
int kvmb_keeper_start(const char *name, bool strict, char *why, size_t size);

/**
 * kvmb_keeper_adopt() - Have a socket's path removed when this process ends
 * @l: listening; its path is removed only while it is still the socket that @l made, and by
 *     kvmb_unlisten_unix() no more. If it has a name to come, kvmb_keeper_take_names() gives it
 *
 * Return: 0 or -errno. Context: launcher, before kvmb_keeper_seal().
 */
int kvmb_keeper_adopt(struct kvmb_listener *l);

/**
 * kvmb_keeper_adopt_file() - Have a file removed at this process's end, unless kvmb_keeper_stay()
 * @fd:   that file, which was just made; borrowed
 * @path: absolute. What somebody has put there instead is not removed
 * @why:  why[size], on failure one phrase for the user
 *
 * Return: 0 or -errno. Context: launcher, before kvmb_keeper_seal().
 */
int kvmb_keeper_adopt_file(int fd, const char *path, char *why, size_t size);

/**
 * kvmb_keeper_path() - Path of the keeper's socket beside a control socket
 * @control: path of the control socket; an ending .sock is replaced by .keeper
 * @path:    path[size]
 *
 * Return: 0, -ENAMETOOLONG.
 */
int kvmb_keeper_path(const char *control, char *path, size_t size);

/**
 * kvmb_keeper_listen() - Let the keeper take recipes from commands of the same user
 * @path: of kvmb_keeper_path(); a socket of mode 0600 is made there, and removed at the end
 *
 * Return: 0, or -errno with @why. Context: launcher, before kvmb_keeper_seal().
 */
int kvmb_keeper_listen(const char *path, char *why, size_t size);

/** kvmb_keeper_listen_later() - The same with a name to come, as kvmb_listen_unix_later(). */
int kvmb_keeper_listen_later(const char *path, char *why, size_t size);

/**
 * kvmb_keeper_follow() - The VM comes from another process of this host
 * @process: its pidfd, borrowed. If that has not ended ten seconds after kvmb_keeper_take_names(),
 *           it is killed: it has the VM's memory and disks open
 * @why:     why[size], on failure one phrase for the user
 *
 * Return: 0 or -errno. Context: launcher, before kvmb_keeper_seal().
 */
int kvmb_keeper_follow(int process, char *why, size_t size);

/** kvmb_keeper_seal() - Register nothing from now on: before a guest runs. */
void kvmb_keeper_seal(void);

/**
 * kvmb_keeper_connect() - Reach the keeper of a running VM, as a command
 * @path: of kvmb_keeper_path()
 *
 * Return: 0, or -errno with @why. Context: a process without a keeper of its own.
 */
int kvmb_keeper_connect(const char *path, char *why, size_t size);

/**
 * kvmb_keeper_register() - Give a recipe to the keeper
 * @r:   copied
 * @why: why[size], on failure one phrase for the user
 *
 * Return: its channel, a descriptor owned by the caller, who may pass it on; or -errno. Context:
 * any thread; waits for the keeper, which answers at once.
 */
int kvmb_keeper_register(const struct kvmb_recipe *r, char *why, size_t size);

/**
 * kvmb_keeper_vm() - The process of a running VM, after kvmb_keeper_connect()
 * @why: why[size], on failure one phrase for the user
 *
 * Return: a pidfd, owned by the caller, or -errno. Context: a command.
 */
int kvmb_keeper_vm(char *why, size_t size);

/**
 * kvmb_keeper_keep() - Leave a file with the keeper
 * @fd:  borrowed. Let nobody who runs a guest have it open for writing
 * @why: why[size], on failure one phrase for the user
 *
 * For what a later command must know of the VM, and must not believe its process (how it was
 * started). Return: 0 or -errno. Context: launcher, before kvmb_keeper_seal().
 */
int kvmb_keeper_keep(int fd, char *why, size_t size);

/**
 * kvmb_keeper_announce() - Something will change, of which the file tells
 * @why: why[size], on failure one phrase for the user
 *
 * Ends with kvmb_keeper_replace() or kvmb_keeper_recall(). Several commands may have announced a
 * change at a time. Return: 0; -EBUSY: somebody counts on the file as it is, see
 * kvmb_keeper_kept(); another -errno. Context: a command.
 */
int kvmb_keeper_announce(char *why, size_t size);

/**
 * kvmb_keeper_replace() - The change was made: this is the file from now on
 * @fd:  borrowed; as for kvmb_keeper_keep()
 * @old: of kvmb_keeper_kept(), of which @fd was made
 * @why: why[size], on failure one phrase for the user
 *
 * Return: 0; -EAGAIN: @old is not the file any more: get it again; another -errno. Context: a
 * command that has announced a change.
 */
int kvmb_keeper_replace(int fd, int old, char *why, size_t size);

/** kvmb_keeper_recall() - Nothing was changed. As kvmb_keeper_announce(). */
int kvmb_keeper_recall(char *why, size_t size);

/**
 * kvmb_keeper_kept() - The file that is kept
 * @why: why[size], on failure one phrase for the user
 *
 * Until the caller hangs up nobody changes it, unless the caller has announced a change.
 *
 * Return: a descriptor owned by the caller, who shares its offset; -EBUSY: a change is under way;
 * -ESTALE: one was interrupted; another -errno. Context: a command.
 */
int kvmb_keeper_kept(char *why, size_t size);

/**
 * kvmb_keeper_release() - Have the adopted sockets' paths removed now
 * @ms: longest wait. A keeper that does not answer in time is waited for no more, here or anywhere
 *
 * For an orderly end, before clients are told. The keeper kills a process that has not ended five
 * minutes later: nobody can reach it any more. Return: 0 or -errno.
 */
int kvmb_keeper_release(unsigned int ms);

/**
 * kvmb_keeper_take_names() - The VM is here: the sockets take the names that were to come
 * @ms: longest wait
 *
 * Return: 0; -errno when one has not got its name. Context: any thread.
 */
int kvmb_keeper_take_names(unsigned int ms);

/**
 * kvmb_keeper_stay() - Files of kvmb_keeper_adopt_file() stay, whatever comes
 * @ms: longest wait
 *
 * Return: 0; -errno: they may be removed at this process's end. Context: any thread.
 */
int kvmb_keeper_stay(unsigned int ms);

/**
 * kvmb_keeper_log_threads() - Have the keeper log where each thread of this process stands
 * @ms: longest wait
 *
 * Return: 0 or -errno. Context: any thread.
 */
int kvmb_keeper_log_threads(unsigned int ms);

/**
 * kvmb_keeper_end() - Hang up, and wait until the helpers have ended
 * @ms: longest wait; fine when there is no keeper
 *
 * The keeper ends after this process, which it kills if that takes more than five minutes.
 */
void kvmb_keeper_end(unsigned int ms);

/* ---- channels ---- */

/**
 * kvmb_keeper_ask() - Say one word
 * @channel: of kvmb_keeper_register()
 *
 * Return: 0; -EPIPE when the keeper is gone; -EAGAIN when it does not read. Never waits.
 */
int kvmb_keeper_ask(int channel, enum kvmb_keeper_op op);

/**
 * kvmb_keeper_ask_port() - Connect to a port of KVMB_RECIPE_PORTS
 * @channel: of such a recipe. Who has asked too often without reading loses it
 *
 * CONNECTED answers at once, with a non-blocking socket or with what connect() says; one that
 * another user listens on may not be accessed. Return: as kvmb_keeper_ask().
 */
int kvmb_keeper_ask_port(int channel, uint32_t port);

/**
 * kvmb_keeper_read() - Read one report
 * @news: filled on success
 *
 * Return: 0; -EAGAIN: there is none; -EPIPE: the keeper is gone, and with it the helper. Never
 * waits.
 */
int kvmb_keeper_read(int channel, struct kvmb_keeper_news *news);

/**
 * kvmb_keeper_wait() - Wait for one kind of report; others are dropped
 * @what: of an answer, or KVMB_KEEPER_ENDED
 * @ms:   longest wait
 *
 * A helper that ends cannot become READY: waiting for that returns its ENDED.
 *
 * Return: 0 with @news; -ETIMEDOUT, -EPIPE. Context: a thread that may wait.
 */
int kvmb_keeper_wait(int channel, enum kvmb_keeper_what what, struct kvmb_keeper_news *news,
		     unsigned int ms);

/**
 * kvmb_keeper_close() - Close a channel; wait until its helper has ended and its files are closed
 * @channel: closed in any case
 * @ms:      longest wait
 *
 * Return: 0; -ETIMEDOUT when the helper has not ended yet. Context: as kvmb_keeper_wait().
 */
int kvmb_keeper_close(int channel, unsigned int ms);

#endif
