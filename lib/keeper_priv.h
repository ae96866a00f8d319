/* SPDX-License-Identifier: GPL-2.0-only */
/* Private to keeper*.c: messages, and what the keeper's process is made of. */
#ifndef KVMB_KEEPER_PRIV_H
#define KVMB_KEEPER_PRIV_H

#include <sys/un.h>

#include "lib/keeper.h"
#include "lib/loop.h"
#include "lib/sock.h"

#define KEEPER_TEXT (48u << 10) /* bytes of a recipe's strings at most */
#define KEEPER_MAX_ARGS 128
#define KEEPER_KILL_MS 3000u
#define KEEPER_FLUSH_MS 2000u /* for a daemon to end by itself when nobody needs it any more */
/* for a VM to end when it has no sockets or no keeper any more; each of its steps has a shorter
 * limit
 */
#define KEEPER_RELEASED_MS 300000u
#define KEEPER_FOLLOWED_MS 10000u /* for the process that the VM was in before to end */

/* Launcher and commands; RELEASE, LOG_THREADS and TAKE_NAMES are the VM's. */
enum keeper_request_what {
	KEEPER_REGISTER = 1, /* strings: run_dir, argv...; files */
	KEEPER_ADOPT,	     /* strings: path, name to come or ""; file: O_PATH of the socket */
	KEEPER_LISTEN,	     /* likewise; files: O_PATH of the socket, the listener */
	KEEPER_RELEASE,
	KEEPER_LOG_THREADS, /* of the VM's process, which cannot read its own /proc */
	KEEPER_VM,	    /* of a command: a pidfd of the VM's process */
	KEEPER_KEEP,	    /* file; of a command: and the one that it replaces */
	KEEPER_KEPT,	    /* of a command: that file */
	KEEPER_ANNOUNCE,    /* of a command: it will be replaced */
	KEEPER_RECALL,	    /* of a command: it will not */
	KEEPER_FOLLOW,	    /* file: a pidfd */
	KEEPER_TAKE_NAMES,  /* of the VM's process */
	KEEPER_ADOPT_FILE,  /* string: path; file: that file */
	KEEPER_STAY,	    /* of the VM's process */
};

struct keeper_request {
	uint32_t what, seq, kind, num_strings, num_files, ready_ms, text_len;
	uint64_t writable;
	char text[KEEPER_TEXT]; /* text[text_len]: strings, each with its 0 */
};

struct keeper_answer { /* with a channel after KEEPER_REGISTER, a file after VM and KEPT */
	uint32_t seq;  /* of the request: one that was given up may be answered yet */
	int32_t err;
	char why[248];
};

struct keeper_ask { /* KVMB_KEEPER_PORT; all other words are one byte */
	uint8_t op, pad[3];
	uint32_t port;
};

struct keeper_wire { /* a report; words[] is sent as far as it is used */
	uint32_t what, lacks;
	int32_t err, status;
	char words[KVMB_KEEPER_WORDS];
};

/*
 * NONE: start() -> STARTING. STARTING: what is between fork() and being of use; a daemon leaves
 * it when it runs its program, passt when it has confined itself -> RUNNING. KILLING: SIGKILL was
 * sent, and the VM waits. STUCK: it has not ended, and the VM was told. All but NONE: ends -> NONE.
 */
enum helper_state { HELPER_NONE, HELPER_STARTING, HELPER_RUNNING, HELPER_KILLING, HELPER_STUCK };

struct recipe;

struct helper { /* a running program of a recipe's, or a child that connects */
	enum helper_state state;
	pid_t pid;
	int pidfd, err_fd, setup_fd, notify_fd; /* -1 = none */
	int start_fd; /* for STARTED, which a daemon's is when it may execute its program; -1 */
	unsigned int lacks; /* enum kvmb_jail_lack */
	struct kvmb_watch *pid_watch, *err_watch, *setup_watch, *notify_watch;
	struct kvmb_timer timer; /* STARTING: until READY, or to look again; KILLING: until STUCK */
	uint64_t ready_by_ms;
	int status; /* of wait(), of the last one */
	int cause;  /* why it was killed, for ENDED: 0, -ETIME, -EPERM; for STARTED: -EACCES */
	bool said_ready;
	bool again; /* DIAL: CONNECT came between the answer to the last one and its end */
	bool asked;		      /* KILLING: by SIGTERM so far */
	char line[KVMB_KEEPER_WORDS]; /* line[line_len]: not complete yet */
	size_t line_len;
	char words[KVMB_KEEPER_WORDS];
};

struct recipe {
	struct keeper *keeper;
	struct recipe *next;
	enum kvmb_recipe_kind kind;
	char *text; /* what argv and run_dir point into */
	const char *run_dir, *argv[KEEPER_MAX_ARGS + 1];
	int files[KVMB_RECIPE_MAX_FILES], num_files;
	uint64_t writable;
	unsigned int ready_ms;
	int channel;	/* our end */
	bool forgotten; /* the other end is closed: it goes when the helper has ended */
	struct kvmb_watch *watch;
	int listen_fd, listen_path_fd; /* DAEMON: its socket, and the name that is left of it */
	struct helper helper;
};

struct owned { /* a path to remove at the end */
	struct owned *next;
	int path_fd; /* O_PATH of the socket: its inode is not used again meanwhile */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char later[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* of TAKE_NAMES; "" = none */
};

struct made { /* a file to remove at the end, unless it is to stay */
	struct made *next;
	int fd; /* its inode is not used again meanwhile */
	char path[];
};

/*
 * SERVES: until the VM hangs up or ends -> ENDS_HELPERS: until they have ended, or are late ->
 * WAITS for the VM's process.
 */
enum keeper_step { KEEPER_SERVES, KEEPER_ENDS_HELPERS, KEEPER_WAITS };

struct keeper {
	enum keeper_step step;
	struct kvmb_loop *loop;
	const char *name;
	bool strict;
	int main_fd, vm_fd; /* vm_fd: a pidfd, -1 = none */
	int kept_fd;	    /* -1 = none */
	/* commands that have announced another, or that count on this one: lib/keeper.h */
	unsigned int changers, readers;
	bool doubtful; /* a changer has gone, and nobody knows what became of its change */
	int former_fd; /* a pidfd of the process that the VM was in before, -1 = none */
	struct kvmb_listener listener;
	struct kvmb_watch *listen_watch, *main_watch, *vm_watch;
	struct kvmb_timer overdue; /* the VM's process, which began to end */
	struct kvmb_timer late;	   /* helpers, which are to end */
	struct kvmb_timer followed; /* by then the process before has ended */
	struct recipe *recipes;
	struct owned *owned;
	struct made *made;
};

/* keeper_main.c */

struct keeper_ends {		    /* what the launcher gives its keeper */
	int main_fd, reg_fd, vm_fd; /* vm_fd: a pidfd of the launcher, -1 = none */
};

/** keeper_main() - Be the keeper, until the VM's process ends. */
void keeper_main(const char *name, bool strict, const struct keeper_ends *ends)
	__attribute__((noreturn));

/** keeper_report() - Tell the recipe's channel; @fd is borrowed, -1 = none. */
void keeper_report(struct recipe *r, enum kvmb_keeper_what what, int err, int fd);

/** keeper_helper_gone() - The helper has been reaped: for keeper_main.c to let go of the recipe. */
void keeper_helper_gone(struct recipe *r);

/* keeper_helper.c; all on the keeper's loop */

/** helper_init() - No program yet. */
void helper_init(struct recipe *r);

/** helper_start() - Carry out START: reports STARTED. */
void helper_start(struct recipe *r);

/** helper_connect() - Carry out CONNECT: reports CONNECTED, at once or later. */
void helper_connect(struct recipe *r);

/** helper_end() - Nobody needs it any more: a daemon may write back what it has. */
void helper_end(struct recipe *r);

/** helper_kill() - Carry out KILL: reports KILLED, at once or later. */
void helper_kill(struct recipe *r);

/* keeper_port.c */

/** keeper_connect_port() - Carry out PORT: reports CONNECTED. */
void keeper_connect_port(struct recipe *r, uint32_t port);

/* keeper_child.c */

/* What a new process is given; all close-on-exec. */
struct child_fds {
	int socket, monitor, err, setup; /* -1 = none */
	pid_t keeper;
};

/**
 * keeper_child_run() - Become the recipe's program; after fork(), never returns
 * @program: absolute path
 * @jail:    Landlock rules, or negative
 * @lacks:   enum kvmb_jail_lack, as far as it is known
 */
void keeper_child_run(const struct recipe *r, const struct child_fds *fds, const char *program,
		      int jail, unsigned int lacks) __attribute__((noreturn));

/** keeper_child_dial() - Connect to the recipe's address, send the socket to @setup, end. */
void keeper_child_dial(const struct recipe *r, int setup) __attribute__((noreturn));

#endif
