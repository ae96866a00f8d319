/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The door of a VNC server: takes connections, and gives each a process.
 *
 * DOC: Theory of operation
 *
 * Who connects may be anybody, and an RFB server is large. So the door reads nothing from a client.
 * It forks a process for each, which keeps four descriptors, gives up all rights, and only then
 * reads (cli/vnc_client.h). That process can draw on its client and send keys to the VM, as the
 * client may; it has no file, no network, no program, and cannot reach the VM's control socket: its
 * display (vmm/display.h) is asked for by the door, which has the connection to the VM. A client
 * that takes its process over has gained nothing, and no other client's.
 *
 * A process that dies of a signal makes the door rest for a second, so that nobody can try a
 * thousand times an hour to find out where things are in its memory.
 *
 * The door ends when the VM does, or by a signal, and its processes with it. Nothing runs in the VM
 * while nobody is connected.
 */
#ifndef KVMB_VNC_DOOR_H
#define KVMB_VNC_DOOR_H

#include <stdbool.h>

#include "lib/sock.h"

#define VNC_DOOR_FDS 8	   /* addresses of a name that are listened on */
#define VNC_DOOR_CLIENTS 8 /* one more is hung up on */
#define VNC_DOOR_REST_MS 1000u

struct vnc_door {
	const char *vm;	      /* as typed, for messages */
	const char *name;     /* of the screen, for clients */
	int control;	      /* of client_connect() */
	const char *password; /* NULL = none */
	bool view_only;
	struct kvmb_listener path; /* .fd = -1: it listens on TCP */
	int fds[VNC_DOOR_FDS];	   /* fds[num]; path.fd is one of them */
	int num;
};

/**
 * vnc_door_run() - Take clients until the VM ends, or a signal comes
 * @d: listens
 *
 * SIGINT, SIGTERM and SIGHUP end it.
 * Return: EXIT_OK; EXIT_FAILED with one line printed. Context: a process without threads, in which
 * vnc_lib_load() was called.
 */
int vnc_door_run(struct vnc_door *d);

#endif
