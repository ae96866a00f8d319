/* SPDX-License-Identifier: GPL-2.0-only */
/* The state of the integration services, for another process: docs/migration.md. */
#ifndef KVMB_IC_STATE_H
#define KVMB_IC_STATE_H

#include "ic-services/fcopy/fcopy_host.h"
#include "ic-services/heartbeat/heartbeat_host.h"
#include "ic-services/kvp/kvp_host.h"
#include "ic-services/shutdown/shutdown_host.h"
#include "ic-services/timesync/timesync_host.h"
#include "ic-services/vss/vss_host.h"

struct kvmb_tlv;
struct kvmb_tlv_out;

enum kvmb_ic_instance { /* of section KVMB_SEC_IC; never used again */
			KVMB_IC_IS_HEARTBEAT = 1,
			KVMB_IC_IS_SHUTDOWN = 2,
			KVMB_IC_IS_TIMESYNC = 3,
			KVMB_IC_IS_KVP = 4, /* may be missing, as those below */
			KVMB_IC_IS_VSS = 5,
			KVMB_IC_IS_FCOPY = 6,
};

struct kvmb_ic_services { /* borrowed */
	struct kvmb_heartbeat *heartbeat;
	struct kvmb_shutdown *shutdown;
	struct kvmb_timesync *timesync;
	struct kvmb_kvp *kvp; /* NULL: there is none, as of those below */
	struct kvmb_vss *vss;
	struct kvmb_fcopy *fcopy;
};

/** kvmb_ic_save() - Write a section for each service; their bus stands. Bus thread. */
void kvmb_ic_save(const struct kvmb_ic_services *s, struct kvmb_tlv_out *o);

/**
 * kvmb_ic_load() - Take over what another process has saved of one service
 * @s: the services, initialised and offered as there
 * @t: one section; its instance says of which
 *
 * Comes after the bus is loaded and before it goes on. The guest's clock is owed a step then.
 *
 * Return: 0; -errno, and @t's error says why. Context: bus thread. Trust: all of @t is hostile.
 */
int kvmb_ic_load(const struct kvmb_ic_services *s, struct kvmb_tlv *t);

#endif
