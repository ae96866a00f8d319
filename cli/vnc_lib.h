/* SPDX-License-Identifier: GPL-2.0-only */
/* LibVNCServer, loaded when somebody wants it: no other command pays for it, and no VM has it. */
#ifndef KVMB_VNC_LIB_H
#define KVMB_VNC_LIB_H

#include <rfb/rfb.h>
#include <rfb/rfbregion.h>
#include <stddef.h>

/* The functions that we call; `vnc.rfbGetScreen()` is rfbGetScreen(). */
/* clang-format off */
#define KVMB_VNC_CALLS(F) \
	F(rfbGetScreen) F(rfbNewClient) F(rfbProcessEvents) F(rfbNewFramebuffer) \
	F(rfbMarkRectAsModified) F(rfbCheckPasswordByList) F(rfbCloseClient) F(rfbLogEnable) \
	F(sraRgnEmpty)
/* clang-format on */

struct kvmb_vnc {
#define KVMB_VNC_FIELD(name) typeof(name) *name;
	KVMB_VNC_CALLS(KVMB_VNC_FIELD)
#undef KVMB_VNC_FIELD
};

extern struct kvmb_vnc vnc; /* filled once, by vnc_lib_load() */

/**
 * vnc_lib_load() - Load LibVNCServer, unless that was done before
 * @why: why[size], on failure: what is missing and what to install
 *
 * Return: 0 or -ENOENT. Context: before there are other threads.
 */
int vnc_lib_load(char *why, size_t size);

#endif
