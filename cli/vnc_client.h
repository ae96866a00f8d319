/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One VNC client: RFB on one side, a display of the VM (vmm/display.h) on the other.
 *
 * DOC: Theory of operation
 *
 * LibVNCServer speaks RFB, on this thread alone. It may wait for a client that does not read, or
 * sends half of a message: there is no other one in this process. A picture is asked for when the
 * client wants an update and has all of the last one; what differs is marked. A client that has no
 * NewFBSize (RFC 6143, 7.8.2) keeps the size that it began with, and sees what is in there.
 *
 * Nothing that a client sends reaches the VM but keys and where its pointer is. What was cut is
 * thrown away; the library takes a mebibyte of it at most. Files are not transferred.
 */
#ifndef KVMB_VNC_CLIENT_H
#define KVMB_VNC_CLIENT_H

#include <stdbool.h>

#define VNC_PASSWORD_MAX 8 /* characters: RFC 6143, 7.2.2, has no more */

#ifndef VNC_GREET_MS
#define VNC_GREET_MS 60000u /* until it wants a picture: somebody types a password meanwhile */
#endif

struct vnc_client {
	int sock;	      /* of the client, a stream */
	int display;	      /* to the VM */
	int picture;	      /* memfd of the VM's; hostile, as all of the VM's */
	int door;	      /* hung up when the door is gone */
	const char *name;     /* of the screen, for the client */
	const char *password; /* NULL = none is asked for */
};

/**
 * vnc_client_run() - Serve it until it goes, or the VM, or the door
 * @c: descriptors are the caller's, who ends the process now
 *
 * Return: 0; -errno: there is no picture, or no memory. Context: vnc_lib_load() was called; a
 * process that has no rights.
 */
int vnc_client_run(const struct vnc_client *c);

#endif
