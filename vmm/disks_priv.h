/* SPDX-License-Identifier: GPL-2.0-only */
/* What disks.c keeps of a VM's disks. */
#ifndef KVMB_DISKS_PRIV_H
#define KVMB_DISKS_PRIV_H

struct vm_disks { /* main thread */
	struct job *jobs;	    /* those with a thread */
	struct kvmb_disk *resizing; /* by a job, NULL = none: it must not be removed meanwhile */
	struct udev_watch *udev;    /* once there is a block device */
};

#endif
