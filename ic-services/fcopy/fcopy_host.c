// SPDX-License-Identifier: GPL-2.0-only
/* Guest file copy, host half: fcopy_host.h. */
#include "ic-services/fcopy/fcopy_host.h"

#include "lib/util.h"
#include "vmbus-core/ictext.h"

static const u8 moves[KVMB_FCOPY_NUM_STATES] = {
	[KVMB_FCOPY_IS_IDLE] = 1 << KVMB_FCOPY_IS_STARTING | 1 << KVMB_FCOPY_IS_CANCELLING,
	[KVMB_FCOPY_IS_STARTING] = 1 << KVMB_FCOPY_IS_FEEDING | 1 << KVMB_FCOPY_IS_COMPLETING |
				   1 << KVMB_FCOPY_IS_CANCELLING | 1 << KVMB_FCOPY_IS_IDLE,
	[KVMB_FCOPY_IS_FEEDING] = 1 << KVMB_FCOPY_IS_WRITING | 1 << KVMB_FCOPY_IS_CANCELLING |
				  1 << KVMB_FCOPY_IS_IDLE,
	[KVMB_FCOPY_IS_WRITING] = 1 << KVMB_FCOPY_IS_FEEDING | 1 << KVMB_FCOPY_IS_COMPLETING |
				  1 << KVMB_FCOPY_IS_CANCELLING | 1 << KVMB_FCOPY_IS_IDLE,
	[KVMB_FCOPY_IS_COMPLETING] = 1 << KVMB_FCOPY_IS_CANCELLING | 1 << KVMB_FCOPY_IS_IDLE,
	[KVMB_FCOPY_IS_CANCELLING] = 1 << KVMB_FCOPY_IS_IDLE,
};

static void fcopy_to(struct kvmb_fcopy *f, enum kvmb_fcopy_state to)
{
	kvmb_assert(moves[f->state] & (1 << to));
	f->state = to;
}

/* ---- ends ---- */

static void end_copy(struct kvmb_fcopy *f, bool kept)
{
	const struct kvmb_fcopy_ops *ops = f->ops;

	fcopy_to(f, KVMB_FCOPY_IS_IDLE);
	f->ops = NULL;
	f->data = NULL;
	f->left = 0;
	if (ops)
		ops->done(f->arg, f->err, f->status, kept);
}

static void cancelled(struct kvmb_ic_ask *a, int err, const struct kvmb_icmsg *msg)
{
	struct kvmb_fcopy *f = container_of(a, struct kvmb_fcopy, ask);

	end_copy(f, err || msg->status != KVMB_IC_STATUS_OK);
}

static int ask_operation(struct kvmb_fcopy *f, enum kvmb_fcopy_operation op, u32 ms,
			 kvmb_ic_ask_fn done)
{
	const struct kvmb_wire_fcopy m = { .operation = cpu_to_le32(op) };

	return kvmb_ic_ask(&f->ask, &m, sizeof(m), ms, done);
}

/* @f has err and status. */
static void begin_cancel(struct kvmb_fcopy *f)
{
	fcopy_to(f, KVMB_FCOPY_IS_CANCELLING);
	kvmb_ic_ask_drop(&f->ask);
	if (ask_operation(f, KVMB_FCOPY_CANCEL, KVMB_FCOPY_CANCEL_MS, cancelled))
		end_copy(f, true);
}

/* The guest, or nobody, has answered. Return: false: that ends it. */
static bool goes_on(struct kvmb_fcopy *f, int err, const struct kvmb_icmsg *msg)
{
	bool begun = f->state != KVMB_FCOPY_IS_STARTING;

	f->err = err;
	f->status = msg ? msg->status : KVMB_IC_STATUS_OK;
	if (!err && f->status == KVMB_IC_STATUS_OK)
		return true;
	if (err == -ENOTCONN || (!begun && !err)) /* the guest has gone, or has made no file */
		end_copy(f, begun);
	else
		begin_cancel(f);
	return false;
}

/* ---- the copy ---- */

static void wrote(struct kvmb_ic_ask *a, int err, const struct kvmb_icmsg *msg);

static void completed(struct kvmb_ic_ask *a, int err, const struct kvmb_icmsg *msg)
{
	struct kvmb_fcopy *f = container_of(a, struct kvmb_fcopy, ask);

	if (goes_on(f, err, msg))
		end_copy(f, false);
}

/* kvmb_ic_ask() has refused: the guest has no service any more. */
static void lost(struct kvmb_fcopy *f)
{
	f->err = -ENOTCONN;
	end_copy(f, true);
}

static void write_next(struct kvmb_fcopy *f)
{
	struct kvmb_wire_fcopy_write m = { .h.operation = cpu_to_le32(KVMB_FCOPY_WRITE) };

	f->sending = KVMB_MIN(f->left, KVMB_FCOPY_DATA);
	m.offset = cpu_to_le64(f->offset);
	m.size = cpu_to_le32(f->sending);
	memcpy(m.data, f->data, f->sending);
	fcopy_to(f, KVMB_FCOPY_IS_WRITING);
	if (kvmb_ic_ask(&f->ask, &m, sizeof(m), KVMB_FCOPY_LIMIT_MS, wrote))
		lost(f);
}

/* All bytes so far are with the guest. */
static void go_on_copying(struct kvmb_fcopy *f)
{
	if (f->offset == f->size) {
		fcopy_to(f, KVMB_FCOPY_IS_COMPLETING);
		if (ask_operation(f, KVMB_FCOPY_COMPLETE, KVMB_FCOPY_LIMIT_MS, completed))
			lost(f);
		return;
	}
	fcopy_to(f, KVMB_FCOPY_IS_FEEDING);
	if (f->left)
		write_next(f);
	else
		f->ops->wants(f->arg);
}

static void wrote(struct kvmb_ic_ask *a, int err, const struct kvmb_icmsg *msg)
{
	struct kvmb_fcopy *f = container_of(a, struct kvmb_fcopy, ask);

	if (!goes_on(f, err, msg))
		return;
	f->offset += f->sending;
	f->data += f->sending;
	f->left -= f->sending;
	go_on_copying(f);
}

static void started(struct kvmb_ic_ask *a, int err, const struct kvmb_icmsg *msg)
{
	struct kvmb_fcopy *f = container_of(a, struct kvmb_fcopy, ask);

	if (goes_on(f, err, msg))
		go_on_copying(f);
}

/* Linux makes, and looks for, those directories of a path that have a / behind them. */
static void end_path(const char *path, char out[KVMB_FCOPY_NAME_MAX + 2])
{
	size_t n = strlen(path);

	snprintf(out, KVMB_FCOPY_NAME_MAX + 2, "%s%s", path,
		 *path == '/' && path[n - 1] != '/' ? "/" : "");
}

static bool put_name(const char *s, u8 out[2 * KVMB_FCOPY_NAME_UNITS])
{
	return kvmb_ictext_put(s, (u32)strlen(s), out, 2 * KVMB_FCOPY_NAME_UNITS) > 0;
}

const char *kvmb_fcopy_check(const char *path, const char *name)
{
	u8 units[2 * KVMB_FCOPY_NAME_UNITS];

	if (*path != '/' && !(path[0] && path[1] == ':'))
		return "the guest's path must begin with /";
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return "the file needs a name in the guest";
	if (strlen(path) + strlen(name) > KVMB_FCOPY_NAME_MAX)
		return "the guest's path is longer than 255 bytes";
	return put_name(path, units) && put_name(name, units) ? NULL : "a name is not UTF-8";
}

int kvmb_fcopy_start(struct kvmb_fcopy *f, const struct kvmb_fcopy_file *file,
		     const struct kvmb_fcopy_ops *ops, void *arg)
{
	struct kvmb_wire_fcopy_start m = { .h.operation = cpu_to_le32(KVMB_FCOPY_START),
					   .flags = cpu_to_le32(file->flags),
					   .size = cpu_to_le64(file->size) };
	char path[KVMB_FCOPY_NAME_MAX + 2];
	bool good;

	end_path(file->path, path);
	good = put_name(file->name, m.file) && put_name(path, m.path);
	kvmb_assert(good);
	if (f->state != KVMB_FCOPY_IS_IDLE)
		return -EBUSY;
	if (f->ic.state != KVMB_IC_READY)
		return -ENOTCONN;
	fcopy_to(f, KVMB_FCOPY_IS_STARTING);
	f->ops = ops;
	f->arg = arg;
	f->size = file->size;
	f->offset = 0;
	f->data = NULL;
	f->left = 0;
	f->err = 0;
	f->status = KVMB_IC_STATUS_OK;
	return kvmb_ic_ask(&f->ask, &m, sizeof(m), KVMB_FCOPY_LIMIT_MS, started);
}

void kvmb_fcopy_feed(struct kvmb_fcopy *f, const void *data, u32 len)
{
	kvmb_assert(f->state == KVMB_FCOPY_IS_FEEDING && len && len <= f->size - f->offset);
	f->data = data;
	f->left = len;
	write_next(f);
}

void kvmb_fcopy_cancel(struct kvmb_fcopy *f, int err)
{
	if (f->state == KVMB_FCOPY_IS_IDLE || f->state == KVMB_FCOPY_IS_CANCELLING)
		return;
	f->err = err;
	begin_cancel(f);
}

/* ---- life ---- */

static void pay_cancel(struct kvmb_fcopy *f)
{
	if (!f->owes_cancel || f->state != KVMB_FCOPY_IS_IDLE)
		return;
	f->owes_cancel = false;
	begin_cancel(f);
}

static void ready(struct kvmb_ic *ic)
{
	container_of(ic, struct kvmb_fcopy, ic)->owes_cancel = false; /* a new guest */
}

static void reply(struct kvmb_ic *ic, const struct kvmb_icmsg *msg)
{
	kvmb_ic_ask_replied(&container_of(ic, struct kvmb_fcopy, ic)->ask, msg);
}

static void stopped(struct kvmb_ic *ic)
{
	struct kvmb_fcopy *f = container_of(ic, struct kvmb_fcopy, ic);

	kvmb_ic_ask_stopped(&f->ask);
	f->owes_cancel = false;
	if (f->state != KVMB_FCOPY_IS_IDLE) /* bytes were waited for */
		lost(f);
}

static void resumed(struct kvmb_ic *ic)
{
	struct kvmb_fcopy *f = container_of(ic, struct kvmb_fcopy, ic);

	kvmb_ic_ask_resumed(&f->ask);
	pay_cancel(f);
}

static const u32 versions[] = { KVMB_IC_VERSION(1, 1) };

static const struct kvmb_ic_ops fcopy_ops = {
	.name = "fcopy",
	.type = KVMB_FCOPY_TYPE_GUID,
	.instance = KVMB_FCOPY_INSTANCE_GUID,
	.message_type = KVMB_IC_FCOPY,
	.versions = versions,
	.num_versions = ARRAY_SIZE(versions),
	.ready = ready,
	.reply = reply,
	.stopped = stopped,
	.resumed = resumed,
};

void kvmb_fcopy_init(struct kvmb_fcopy *f, struct kvmb_loop *loop)
{
	memset(f, 0, sizeof(*f));
	kvmb_ic_init(&f->ic, &fcopy_ops);
	kvmb_ic_ask_init(&f->ask, &f->ic, loop);
}

void kvmb_fcopy_fini(struct kvmb_fcopy *f)
{
	kvmb_ic_ask_drop(&f->ask);
	if (f->state != KVMB_FCOPY_IS_IDLE)
		lost(f);
}
