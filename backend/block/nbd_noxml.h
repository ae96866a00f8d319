/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libnbd without libxml2.
 *
 * DOC: Theory of operation
 *
 * libnbd takes URIs apart with libxml2, and that needs ICU and the C++ library: half of what
 * loading libnbd takes, and megabytes of code, in the process that guests attack. A VM in a sandbox
 * connects by sockets that others open for it, and never gives libnbd a URI. So there an object of
 * the name libxml2.so.2 stands in, whose four functions end the process. The dynamic linker takes
 * what is loaded already for what libnbd asks for.
 *
 * The object is built with us and lies in our own data; it is loaded from a memfd. Where that does
 * not work (memfds that may not be executed, a libnbd that needs more of libxml2, or another
 * version of it) the real one is loaded as ever.
 */
#ifndef KVMB_NBD_NOXML_H
#define KVMB_NBD_NOXML_H

/**
 * kvmb_noxml_load() - Load what stands in for libxml2
 *
 * Return: for dlclose(); NULL: it cannot be loaded. Context: before there are other threads.
 */
void *kvmb_noxml_load(void);

#endif
