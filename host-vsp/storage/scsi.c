// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of SCSI commands, and the checks that all of them share: unit attentions,
 * readiness, write protection, sense.
 */
#include "host-vsp/storage/scsi.h"

#include "host-vsp/storage/scsi_priv.h"

static const struct { u8 asc, ascq; } attentions[] = {
	[KVMB_UA_RESET] = { 0x29, 0x02 },    [KVMB_UA_MEDIUM] = { 0x28, 0x00 },
	[KVMB_UA_CAPACITY] = { 0x2a, 0x09 }, [KVMB_UA_MODE] = { 0x2a, 0x01 },
	[KVMB_UA_LUNS] = { 0x3f, 0x0e },
};
static_assert(ARRAY_SIZE(attentions) == KVMB_UA_NUM, "one code an attention");

static void fill_sense(u8 *s, u8 key, u8 asc, u8 ascq)
{
	memset(s, 0, KVMB_SCSI_SENSE_LEN);
	s[0] = 0x70; /* current, fixed format */
	s[2] = key;
	s[7] = KVMB_SCSI_SENSE_LEN - 8;
	s[12] = asc;
	s[13] = ascq;
}

void kvmb_scsi_sense(struct kvmb_scsi_cmd *cmd, u8 key, u8 asc, u8 ascq)
{
	fill_sense(cmd->sense, key, asc, ascq);
	cmd->status = KVMB_SCSI_STATUS_CHECK_CONDITION;
	cmd->io = KVMB_IO_NONE;
	cmd->data_len = 0;
	cmd->eject = false;
}

/* ---- units ---- */

void kvmb_unit_init(struct kvmb_unit *u, bool dvd, struct kvmb_disk *d)
{
	memset(u, 0, sizeof(*u));
	u->dvd = dvd;
	u->disk = d;
	u->wce = d && d->cache != KVMB_CACHE_WRITETHROUGH;
	pthread_mutex_init(&u->lock, NULL);
}

void kvmb_unit_fini(struct kvmb_unit *u)
{
	pthread_mutex_destroy(&u->lock);
}

void kvmb_unit_attention(struct kvmb_unit *u, enum kvmb_ua what)
{
	__atomic_fetch_or(&u->ua, 1u << what, __ATOMIC_RELEASE);
}

/* Take the most important attention. Return: false when there is none. */
static bool take_attention(struct kvmb_unit *u, u8 *asc, u8 *ascq)
{
	u32 ua, i;

	while ((ua = __atomic_load_n(&u->ua, __ATOMIC_ACQUIRE))) {
		i = (u32)__builtin_ctz(ua);
		if (__atomic_fetch_and(&u->ua, ~(1u << i), __ATOMIC_ACQ_REL) & 1u << i) {
			*asc = attentions[i].asc;
			*ascq = attentions[i].ascq;
			return true;
		}
	}
	return false;
}

/* ---- small commands ---- */

static void test_unit_ready(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	(void)u, (void)d, (void)cmd; /* the table asks for a medium */
}

static void request_sense(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u8 asc, ascq;

	if (cmd->cdb[1] & 1) { /* descriptor format is not offered */
		illegal_field(cmd);
		return;
	}
	if (take_attention(u, &asc, &ascq))
		fill_sense(cmd->data, SENSE_UNIT_ATTENTION, asc, ascq);
	else if (!d)
		fill_sense(cmd->data, SENSE_NOT_READY, ASC_NO_MEDIUM, 0);
	else
		fill_sense(cmd->data, 0, 0, 0);
	give(cmd, KVMB_SCSI_SENSE_LEN, cmd->cdb[4]);
}

static void start_stop(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	bool load_eject = cmd->cdb[4] & 2, start = cmd->cdb[4] & 1;

	(void)d;
	if (!u->dvd) {
		if (load_eject)
			illegal_field(cmd);
		return; /* a disk that is always there is always spinning */
	}
	if (!load_eject)
		return;
	if (start) {
		__atomic_store_n(&u->tray_open, 0, __ATOMIC_RELAXED);
	} else if (__atomic_load_n(&u->prevent, __ATOMIC_RELAXED)) {
		kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, ASC_REMOVAL_PREVENTED, 0x02);
	} else {
		__atomic_store_n(&u->tray_open, 1, __ATOMIC_RELAXED);
		cmd->eject = true;
	}
}

static void prevent_allow(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	(void)d;
	__atomic_store_n(&u->prevent, cmd->cdb[4] & 1, __ATOMIC_RELAXED);
}

static void nothing(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	(void)u, (void)d, (void)cmd;
}

static scsi_fn report_opcodes;

/* ---- the table ---- */

#define DISK 0x01u   /* a disk has it */
#define DVD 0x02u    /* a DVD drive has it */
#define WRITES 0x04u /* refused by a read-only disk */
#define MEDIUM 0x08u /* needs one */
#define ALWAYS 0x10u /* not held back by a unit attention */
#define BOTH (DISK | DVD)

static const struct command {
	u8 opcode;
	u8 action; /* service action, 0xff = the opcode has none */
	u8 length; /* of the command block */
	u8 flags;
	scsi_fn *fn;
} commands[] = {
	{ KVMB_SCSI_TEST_UNIT_READY, 0xff, 6, BOTH | MEDIUM, test_unit_ready },
	{ KVMB_SCSI_REQUEST_SENSE, 0xff, 6, BOTH | ALWAYS, request_sense },
	{ KVMB_SCSI_READ_6, 0xff, 6, DISK | MEDIUM, kvmb_scsi_rw },
	{ KVMB_SCSI_WRITE_6, 0xff, 6, DISK | MEDIUM | WRITES, kvmb_scsi_rw },
	{ KVMB_SCSI_INQUIRY, 0xff, 6, BOTH | ALWAYS, kvmb_scsi_inquiry },
	{ KVMB_SCSI_MODE_SELECT_6, 0xff, 6, DISK, kvmb_scsi_mode_select },
	{ KVMB_SCSI_MODE_SENSE_6, 0xff, 6, BOTH, kvmb_scsi_mode_sense },
	{ KVMB_SCSI_START_STOP_UNIT, 0xff, 6, BOTH, start_stop },
	{ KVMB_SCSI_PREVENT_ALLOW, 0xff, 6, BOTH, prevent_allow },
	{ KVMB_SCSI_READ_CAPACITY_10, 0xff, 10, BOTH | MEDIUM, kvmb_scsi_read_capacity_10 },
	{ KVMB_SCSI_READ_10, 0xff, 10, BOTH | MEDIUM, kvmb_scsi_rw },
	{ KVMB_SCSI_WRITE_10, 0xff, 10, DISK | MEDIUM | WRITES, kvmb_scsi_rw },
	{ KVMB_SCSI_SEEK_10, 0xff, 10, BOTH | MEDIUM, nothing },
	{ KVMB_SCSI_VERIFY_10, 0xff, 10, BOTH | MEDIUM, kvmb_scsi_verify },
	{ KVMB_SCSI_SYNC_CACHE_10, 0xff, 10, DISK | MEDIUM, kvmb_scsi_sync_cache },
	{ KVMB_SCSI_WRITE_SAME_10, 0xff, 10, DISK | MEDIUM | WRITES, kvmb_scsi_write_same },
	{ KVMB_SCSI_UNMAP, 0xff, 10, DISK | MEDIUM | WRITES, kvmb_scsi_unmap },
	{ KVMB_SCSI_READ_TOC, 0xff, 10, DVD | MEDIUM, kvmb_scsi_read_toc },
	{ KVMB_SCSI_GET_CONFIGURATION, 0xff, 10, DVD | ALWAYS, kvmb_scsi_get_configuration },
	{ KVMB_SCSI_GET_EVENT_STATUS, 0xff, 10, DVD | ALWAYS, kvmb_scsi_event_status },
	{ KVMB_SCSI_READ_DISC_INFO, 0xff, 10, DVD | MEDIUM, kvmb_scsi_disc_info },
	{ KVMB_SCSI_READ_TRACK_INFO, 0xff, 10, DVD | MEDIUM, kvmb_scsi_track_info },
	{ KVMB_SCSI_MODE_SELECT_10, 0xff, 10, DISK, kvmb_scsi_mode_select },
	{ KVMB_SCSI_MODE_SENSE_10, 0xff, 10, BOTH, kvmb_scsi_mode_sense },
	{ KVMB_SCSI_RESERVE_IN, 0x00, 10, DISK, kvmb_scsi_reserve_in },		  /* READ KEYS */
	/* READ RESERVATION */
	{ KVMB_SCSI_RESERVE_IN, 0x01, 10, DISK, kvmb_scsi_reserve_in },
	/* REPORT CAPABILITIES */
	{ KVMB_SCSI_RESERVE_IN, 0x02, 10, DISK, kvmb_scsi_reserve_in },
	/* READ FULL STATUS */
	{ KVMB_SCSI_RESERVE_IN, 0x03, 10, DISK, kvmb_scsi_reserve_in },
	/* a read-only disk refuses reservations as it refuses writes: docs/threat-model.md#S05 */
	{ KVMB_SCSI_RESERVE_OUT, 0x00, 10, DISK | WRITES, kvmb_scsi_reserve_out }, /* REGISTER */
	{ KVMB_SCSI_RESERVE_OUT, 0x01, 10, DISK | WRITES, kvmb_scsi_reserve_out }, /* RESERVE */
	{ KVMB_SCSI_RESERVE_OUT, 0x02, 10, DISK | WRITES, kvmb_scsi_reserve_out }, /* RELEASE */
	{ KVMB_SCSI_RESERVE_OUT, 0x03, 10, DISK | WRITES, kvmb_scsi_reserve_out }, /* CLEAR */
	{ KVMB_SCSI_RESERVE_OUT, 0x04, 10, DISK | WRITES, kvmb_scsi_reserve_out }, /* PREEMPT */
	/* PREEMPT AND ABORT */
	{ KVMB_SCSI_RESERVE_OUT, 0x05, 10, DISK | WRITES, kvmb_scsi_reserve_out },
	/* REGISTER AND IGNORE EXISTING KEY */
	{ KVMB_SCSI_RESERVE_OUT, 0x06, 10, DISK | WRITES, kvmb_scsi_reserve_out },
	{ KVMB_SCSI_READ_16, 0xff, 16, DISK | MEDIUM, kvmb_scsi_rw },
	{ KVMB_SCSI_WRITE_16, 0xff, 16, DISK | MEDIUM | WRITES, kvmb_scsi_rw },
	{ KVMB_SCSI_VERIFY_16, 0xff, 16, DISK | MEDIUM, kvmb_scsi_verify },
	{ KVMB_SCSI_SYNC_CACHE_16, 0xff, 16, DISK | MEDIUM, kvmb_scsi_sync_cache },
	{ KVMB_SCSI_WRITE_SAME_16, 0xff, 16, DISK | MEDIUM | WRITES, kvmb_scsi_write_same },
	/* READ CAPACITY (16) */
	{ KVMB_SCSI_SERVICE_ACTION_IN_16, 0x10, 16, DISK | MEDIUM, kvmb_scsi_service_action_in },
	{ KVMB_SCSI_REPORT_LUNS, 0xff, 12, BOTH | ALWAYS, nothing }, /* the controller answers */
	{ KVMB_SCSI_MAINTENANCE_IN, 0x0c, 12, BOTH, report_opcodes },
	{ KVMB_SCSI_READ_12, 0xff, 12, BOTH | MEDIUM, kvmb_scsi_rw },
	{ KVMB_SCSI_WRITE_12, 0xff, 12, DISK | MEDIUM | WRITES, kvmb_scsi_rw },
	{ KVMB_SCSI_READ_DVD_STRUCTURE, 0xff, 12, DVD | MEDIUM, kvmb_scsi_dvd_structure },
	{ KVMB_SCSI_VERIFY_12, 0xff, 12, BOTH | MEDIUM, kvmb_scsi_verify },
	{ KVMB_SCSI_SET_CD_SPEED, 0xff, 12, DVD, nothing },
	{ KVMB_SCSI_MECHANISM_STATUS, 0xff, 12, DVD, kvmb_scsi_mechanism },
};

static bool has_command(const struct kvmb_unit *u, const struct kvmb_disk *d,
			const struct command *c)
{
	/*
	 * what a backend cannot do is not there at all; of a read-only one nobody knows, nor needs
	 * to
	 */
	if (c->opcode == 0x42 && (!d || (!d->can_zero && !d->read_only)))
		return false;
	return c->flags & (u->dvd ? DVD : DISK);
}

/*
 * The table is sorted by opcode. Return: the command; NULL when there is none.
 * @opcode_known: another action of it exists
 */
static const struct command *find_command(const struct kvmb_unit *u, const struct kvmb_disk *d,
					  u8 opcode, u8 action, bool *opcode_known)
{
	size_t i = 0, end = ARRAY_SIZE(commands), mid;

	while (i < end) {
		mid = (i + end) / 2;
		if (commands[mid].opcode < opcode)
			i = mid + 1;
		else
			end = mid;
	}
	*opcode_known = false;
	for (; i < ARRAY_SIZE(commands) && commands[i].opcode == opcode; i++) {
		if (!has_command(u, d, &commands[i]))
			continue;
		*opcode_known = true;
		if (commands[i].action == 0xff || commands[i].action == action)
			return &commands[i];
	}
	return NULL;
}

/* One descriptor of the "all commands" form. Return: bytes. */
static u32 opcode_descriptor(const struct command *c, u8 *p)
{
	p[0] = c->opcode;
	p[3] = c->action == 0xff ? 0 : c->action;
	p[5] = c->action != 0xff; /* SERVACTV */
	put_be16(p + 6, c->length);
	return 8;
}

/* The "one command" form: does it exist, and which bits of its block are looked at. */
static void report_one_opcode(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u8 options = cmd->cdb[2] & 7, opcode = cmd->cdb[3], action = cmd->cdb[5];
	const struct command *c;
	bool known;

	c = find_command(u, d, opcode, action, &known);
	/* option 1 is for opcodes without service actions, option 2 for those with, 3 for either */
	if (c && ((options == 1 && c->action != 0xff) || (options == 2 && c->action == 0xff))) {
		illegal_field(cmd);
		return;
	}
	cmd->data[1] = c ? 3 : 1; /* supported as the standard says; not supported */
	if (c) {
		put_be16(cmd->data + 2, c->length);
		cmd->data[4] = opcode;
		memset(cmd->data + 5, 0xff, c->length - 2u);
		if (c->action != 0xff)
			/* where the action stands, it is given as itself */
			cmd->data[5] = c->action;
		cmd->data[4 + c->length - 1] = 0; /* CONTROL: nothing in it is used */
	}
	give(cmd, c ? 4u + c->length : 4, get_be32(cmd->cdb + 6));
}

static void report_opcodes(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u32 n = 4;
	size_t i;

	if (cmd->cdb[2] & 0x80 || (cmd->cdb[2] & 7) > 3) { /* RCTD: timeouts are not told */
		illegal_field(cmd);
		return;
	}
	if (cmd->cdb[2] & 7) {
		report_one_opcode(u, d, cmd);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (has_command(u, d, &commands[i]))
			n += opcode_descriptor(&commands[i], cmd->data + n);
	}
	put_be32(cmd->data, n - 4);
	give(cmd, n, get_be32(cmd->cdb + 6));
}
static_assert(4 + 8 * ARRAY_SIZE(commands) <= KVMB_SCSI_DATA_MAX, "all commands fit one answer");

u32 kvmb_scsi_param_len(const u8 *cdb)
{
	u32 n;

	switch (cdb[0]) {
	case KVMB_SCSI_MODE_SELECT_6:
		n = cdb[4];
		break;
	case KVMB_SCSI_MODE_SELECT_10:
	case KVMB_SCSI_UNMAP:
		n = get_be16(cdb + 7);
		break;
	case KVMB_SCSI_RESERVE_OUT:
		n = get_be32(cdb + 5);
		break;
	case KVMB_SCSI_WRITE_SAME_10: /* one block, of whatever size the disk has */
	case KVMB_SCSI_WRITE_SAME_16:
		n = KVMB_SCSI_BLOCK_MAX;
		break;
	default:
		n = 0;
	}
	return KVMB_MIN(n, KVMB_SCSI_PARAM_MAX);
}

void kvmb_scsi_report_luns(struct kvmb_scsi_cmd *cmd, const bool *present)
{
	u32 i, n = 0, alloc = get_be32(cmd->cdb + 6);

	if (cmd->cdb[2] > 2 || alloc < 16) {
		illegal_field(cmd);
		return;
	}
	/* 1: well-known units, of which there are none */
	for (i = 0; i < KVMB_SCSI_MAX_LUNS && cmd->cdb[2] != 1; i++) {
		if (present[i])
			cmd->data[8 + 8 * n++ + 1] = (u8)i;
	}
	put_be32(cmd->data, 8 * n);
	give(cmd, 8 + 8 * n, alloc);
}

void kvmb_scsi_execute(struct kvmb_unit *u, struct kvmb_scsi_cmd *cmd)
{
	const u8 *c = cmd->cdb;
	const struct command *e;
	struct kvmb_disk *d;
	bool known;
	u8 asc, ascq;

	cmd->status = KVMB_SCSI_STATUS_GOOD;
	cmd->io = KVMB_IO_NONE;
	cmd->disk = NULL;
	cmd->fua = cmd->eject = false;
	cmd->data_len = 0;
	if (c[0] != 0x28 && c[0] != 0x2a && c[0] != 0x88 && c[0] != 0x8a)
		memset(cmd->data, 0, sizeof(cmd->data)); /* the hot ones give no data from here */
	if (!u) {
		if (c[0] == 0x12)
			kvmb_scsi_inquiry(NULL, NULL, cmd);
		else
			kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, ASC_LUN_NOT_SUPPORTED, 0);
		return;
	}
	d = cmd->disk = __atomic_load_n(&u->disk, __ATOMIC_ACQUIRE);
	e = find_command(u, d, c[0], c[1] & 0x1f, &known);
	if (!e) {
		kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST,
				known ? ASC_INVALID_FIELD : ASC_INVALID_OPCODE, 0);
		return;
	}
	if (__atomic_load_n(&u->ua, __ATOMIC_RELAXED) && !(e->flags & ALWAYS) &&
	    take_attention(u, &asc, &ascq)) {
		kvmb_scsi_sense(cmd, SENSE_UNIT_ATTENTION, asc, ascq);
		return;
	}
	if (!d && e->flags & MEDIUM) {
		kvmb_scsi_sense(cmd, SENSE_NOT_READY, ASC_NO_MEDIUM,
				__atomic_load_n(&u->tray_open, __ATOMIC_RELAXED) ? 2 : 1);
		return;
	}
	if (e->flags & WRITES && d && d->read_only) {
		kvmb_scsi_sense(cmd, SENSE_DATA_PROTECT, ASC_WRITE_PROTECTED, 0);
		return;
	}
	e->fn(u, d, cmd);
}
