/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `kvmbus exec` and the agent in a guest say to each other, on a connection of AF_VSOCK. Ours.
 *
 * DOC: Theory of operation
 *
 * Frames, each a header and its data. The host sends START, then STDIN, STDIN_END and SIGNAL as it
 * likes; of STDIN no more than KVMB_AGENT_WINDOW bytes that the guest has not TAKEN: the command
 * may not read, and signals must get through. The guest sends STDOUT and STDERR, and at last EXIT;
 * or ERROR, a text, when the command could not be started, and then EXIT. One connection, one
 * command. When the connection breaks, the command's processes get SIGHUP.
 */
#ifndef KVMB_PROTO_AGENT_H
#define KVMB_PROTO_AGENT_H

#include "vmbus-core/env.h"

#define KVMB_AGENT_PORT 27510u /* "kv" */
#define KVMB_AGENT_VERSION 1u
#define KVMB_AGENT_FRAME 65536u /* bytes of data of a frame at most */
#define KVMB_AGENT_WINDOW 65536u
#define KVMB_AGENT_MAX_ARGS 1024u

enum kvmb_agent_type {
	KVMB_AGENT_START = 1, /* struct kvmb_wire_agent_start and strings */
	KVMB_AGENT_STDIN,
	KVMB_AGENT_STDIN_END,
	KVMB_AGENT_SIGNAL, /* __le32: number, as on x86 */
	KVMB_AGENT_STDOUT = 16,
	KVMB_AGENT_STDERR,
	KVMB_AGENT_TAKEN, /* __le32: bytes of STDIN */
	KVMB_AGENT_ERROR, /* text, no NUL */
	KVMB_AGENT_EXIT,  /* struct kvmb_wire_agent_exit */
};

struct kvmb_wire_agent {
	__le32 type;
	__le32 size; /* bytes that follow */
};
static_assert(sizeof(struct kvmb_wire_agent) == 8, "a frame's header");

struct kvmb_wire_agent_start {
	__le32 version; /* KVMB_AGENT_VERSION */
	__le32 argc;	/* so many strings follow, each with its NUL; at least one */
};
static_assert(sizeof(struct kvmb_wire_agent_start) == 8, "of START");

struct kvmb_wire_agent_exit {
	__le32 signal; /* that ended it, 0 = none */
	__le32 status; /* of exit() */
};
static_assert(sizeof(struct kvmb_wire_agent_exit) == 8, "of EXIT");

#endif
