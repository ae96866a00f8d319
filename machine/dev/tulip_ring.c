// SPDX-License-Identifier: GPL-2.0-only
/*
 * The legacy NIC's frames and the rings that they are in.
 *
 * A descriptor is fetched once: its status, which says whose it is, before the rest. What it says
 * is followed blindly, since kvmb_gm_*() checks each address. A ring need not be one: a list of
 * descriptors is walked up to TULIP_LIST_MAX steps for a frame, and a descriptor that was used is
 * the guest's from then on, so that no walk comes to an end of its own only if the guest keeps
 * giving them back. The last one of a frame is given back first: a guest that looks at the first
 * one finds all of them.
 */
#include "machine/dev/tulip_priv.h"

#include <errno.h>

#include "lib/dirty_log.h"
#include "lib/util.h"

#define SEND_BUDGET 64u /* frames a call of tulip_work() */
#define ETH_HEAD 14u

/* ---- descriptors ---- */

static u32 desc_order(const struct tulip *t, u32 v)
{
	return t->bus_mode & TULIP_BUS_DESC_BE ? __builtin_bswap32(v) : v;
}

/* Return: 0; -EAGAIN: the guest has it; -EFAULT. */
static int fetch_desc(const struct tulip *t, u32 at, struct tulip_desc *d)
{
	const u32 *p = __unshare(kvmb_gm_ptr(t->gm, at, TULIP_DESC_LEN));
	u32 rest[3];

	if (!p)
		return -EFAULT;
	if (!(desc_order(t, __atomic_load_n(p, __ATOMIC_ACQUIRE)) & TULIP_OWN))
		return -EAGAIN;
	memcpy(rest, p + 1, sizeof(rest));
	*d = (struct tulip_desc){ .at = at,
				  .control = desc_order(t, rest[0]),
				  .addr = { desc_order(t, rest[1]), desc_order(t, rest[2]) } };
	return 0;
}

static void give_back(const struct tulip *t, const struct tulip_desc *d, u32 status)
{
	u32 *p = __unshare(kvmb_gm_ptr(t->gm, d->at, TULIP_DESC_LEN)); /* as it was when fetched */

	__atomic_store_n(p, desc_order(t, status), __ATOMIC_RELEASE);
	kvmb_dirty(p, sizeof(*p));
}

static u32 next_desc(const struct tulip *t, const struct tulip_desc *d, u32 base)
{
	if (d->control & TULIP_CTL_END)
		return base;
	if (d->control & TULIP_CTL_CHAINED)
		return d->addr[1] & ~3u;
	return d->at + TULIP_DESC_LEN + TULIP_BUS_SKIP(t->bus_mode) * 4;
}

static u32 buf_size(const struct tulip_desc *d, u32 which)
{
	if (!which)
		return TULIP_CTL_SIZE1(d->control);
	return d->control & TULIP_CTL_CHAINED ? 0 : TULIP_CTL_SIZE2(d->control);
}

/* Memory that is not there: the chip does nothing more until it is reset. */
static void bus_error(struct tulip *t)
{
	t->dead = true;
	t->rx = t->tx = TULIP_STOPPED;
	t->status |= TULIP_INT_FATAL;
}

/* ---- in; all with the lock ---- */

/* Descriptors for @total bytes. Return: 0; -EAGAIN; -EFAULT; -EMSGSIZE: there is no such frame. */
static int reserve_rx(struct tulip *t, u32 total)
{
	u32 at = t->rx_at, room = 0;
	struct tulip_desc *d;
	int err;

	for (t->rx_num = 0; room < total && t->rx_num < TULIP_LIST_MAX; t->rx_num++) {
		d = &t->rx_list[t->rx_num];
		err = fetch_desc(t, at, d);
		if (err)
			return err;
		room += buf_size(d, 0) + buf_size(d, 1);
		at = next_desc(t, d, t->rx_base);
	}
	return room < total ? -EMSGSIZE : 0;
}

static int fill_rx(const struct tulip *t, u32 total)
{
	u32 i, done = 0, n;

	for (i = 0; i < 2 * t->rx_num && done < total; i++) {
		n = KVMB_MIN(buf_size(&t->rx_list[i / 2], i & 1), total - done);
		if (n && kvmb_gm_write(t->gm, t->rx_list[i / 2].addr[i & 1], t->rx_frame + done, n))
			return -EFAULT;
		done += n;
	}
	return 0;
}

static void finish_rx(struct tulip *t, u32 status)
{
	u32 i, last = t->rx_num - 1;

	for (i = last; i < t->rx_num; i--)
		give_back(t, &t->rx_list[i], (i == last ? status : 0) | (i ? 0 : TULIP_RX_FIRST));
	t->rx_at = next_desc(t, &t->rx_list[last], t->rx_base);
	t->rx = TULIP_RUNNING;
	t->status |= TULIP_INT_RX;
}

static u32 rx_status(const u8 *frame, u32 total)
{
	u32 v = TULIP_RX_LAST | total << TULIP_RX_LENGTH_SHIFT;

	if (frame[0] & 1)
		v |= TULIP_RX_MULTICAST;
	if ((u32)(frame[12] << 8 | frame[13]) > 1500)
		v |= TULIP_RX_ETHERNET;
	if (total > 1518)
		v |= TULIP_RX_TOO_LONG | TULIP_RX_ERROR;
	if (total < TULIP_MIN_FRAME + TULIP_CRC_LEN)
		v |= TULIP_RX_RUNT | TULIP_RX_ERROR;
	return v;
}

static void no_room(struct tulip *t)
{
	if (t->rx == TULIP_RUNNING)
		t->status |= TULIP_INT_RX_NO_DESC;
	t->rx = TULIP_SUSPENDED;
}

/* Does the guest take such a frame at all? */
static bool is_welcome(struct tulip *t, const u8 *frame, u32 len)
{
	return t->rx != TULIP_STOPPED && t->ops.may_master(t->ops.arg) &&
	       (t->op_mode & TULIP_OP_ALL || tulip_wants(t, frame)) &&
	       (len >= TULIP_MIN_FRAME || t->op_mode & TULIP_OP_BAD);
}

/* @frame: ETH_HEAD .. TULIP_MAX_FRAME bytes. Return: 0; -EAGAIN. */
static int take_in(struct tulip *t, const u8 *frame, u32 len)
{
	u32 total = len + TULIP_CRC_LEN, status = rx_status(frame, total), crc;
	int err;

	kvmb_assert(len <= TULIP_MAX_FRAME);
	if (!is_welcome(t, frame, len))
		return 0;
	if (!tulip_wants(t, frame))
		status |= TULIP_RX_FILTERED;
	err = reserve_rx(t, total);
	if (err == -EMSGSIZE)
		return 0;
	if (err == -EAGAIN) {
		no_room(t);
		return err;
	}
	memcpy(t->rx_frame, frame, len);
	crc = ~tulip_crc(frame, len);
	memcpy(t->rx_frame + len, &crc, sizeof(crc));
	if (err || fill_rx(t, total))
		bus_error(t);
	else
		finish_rx(t, status);
	return 0;
}

int tulip_receive(struct tulip *t, const void *frame, size_t len)
{
	u8 padded[TULIP_MIN_FRAME] = { 0 };
	int err = 0;

	if (len < ETH_HEAD || len > TULIP_MAX_FRAME)
		return 0;
	if (len < sizeof(padded)) {
		memcpy(padded, frame, len);
		frame = padded;
		len = sizeof(padded);
	}
	pthread_mutex_lock(&t->lock);
	if (tulip_link(t) && !(t->op_mode & TULIP_OP_LOOP))
		err = take_in(t, frame, (u32)len);
	t->rx_waits = err == -EAGAIN;
	tulip_update(t);
	pthread_mutex_unlock(&t->lock);
	return err;
}

static void count_missed(struct tulip *t)
{
	t->missed = ((t->missed + 1) | (t->missed & 0x10000)) & 0x1ffff; /* bit 16: it wrapped */
}

void tulip_missed(struct tulip *t)
{
	pthread_mutex_lock(&t->lock);
	count_missed(t);
	pthread_mutex_unlock(&t->lock);
}

/* ---- out ---- */

static int append_tx(struct tulip *t, const struct tulip_desc *d)
{
	u32 i, n;

	for (i = 0; i < 2; i++) {
		n = buf_size(d, i);
		t->tx_bad |= n > sizeof(t->tx_frame) - t->tx_len;
		if (!n || t->tx_bad)
			continue;
		if (kvmb_gm_read(t->gm, d->addr[i], t->tx_frame + t->tx_len, n))
			return -EFAULT;
		t->tx_len += n;
	}
	return 0;
}

/* Is @d the only descriptor of what it belongs to, and no frame? */
static bool stands_alone(const struct tulip_desc *d)
{
	return d->control & TULIP_CTL_SETUP || !(d->control & TULIP_CTL_FIRST);
}

/*
 * Fetch the descriptors of the next frame, and copy it. One that is not ended, because another
 * begins or because there are too many descriptors, is bad. Return: 0; -EAGAIN; -EFAULT.
 */
static int gather_tx(struct tulip *t)
{
	u32 at = t->tx_at;
	struct tulip_desc *d;
	int err;

	t->tx_num = t->tx_len = 0;
	t->tx_bad = false;
	do {
		d = &t->tx_list[t->tx_num];
		err = fetch_desc(t, at, d);
		if (err)
			return err;
		if (t->tx_num && d->control & (TULIP_CTL_FIRST | TULIP_CTL_SETUP))
			break;
		if (!t->tx_num++ && stands_alone(d))
			return 0;
		if (append_tx(t, d))
			return -EFAULT;
		if (d->control & TULIP_CTL_LAST)
			return 0;
		at = next_desc(t, d, t->tx_base);
	} while (t->tx_num < TULIP_LIST_MAX);
	t->tx_bad = true;
	return 0;
}

/* Of a frame of several, only the last one has a status. */
static void finish_tx(struct tulip *t, u32 status)
{
	const struct tulip_desc *last = &t->tx_list[t->tx_num - 1];
	u32 i;

	for (i = t->tx_num - 1; i < t->tx_num; i--)
		give_back(t, &t->tx_list[i], i == t->tx_num - 1 ? status : 0);
	t->tx_at = next_desc(t, last, t->tx_base);
	if (last->control & TULIP_CTL_INT && last->control & (TULIP_CTL_LAST | TULIP_CTL_SETUP))
		t->status |= TULIP_INT_TX;
	if (status & TULIP_TX_JABBER && status != TULIP_TX_SETUP_DONE)
		t->status |= TULIP_INT_TX_JABBER;
}

static void loop_back(struct tulip *t, u32 len)
{
	if (len >= ETH_HEAD && take_in(t, t->tx_frame, len) == -EAGAIN)
		count_missed(t);
}

/* The lock is not held while the frame goes out. Return: 0, or -errno of send(). */
static int send_unlocked(struct tulip *t, u32 len)
{
	int err;

	t->sending = true;
	pthread_mutex_unlock(&t->lock);
	err = t->ops.send(t->ops.arg, t->tx_frame, len);
	pthread_mutex_lock(&t->lock);
	t->sending = false;
	return err;
}

static u32 padded_len(struct tulip *t)
{
	u32 flags = t->tx_list[0].control | t->tx_list[t->tx_num - 1].control, len = t->tx_len;

	if (flags & TULIP_CTL_HAS_CRC)
		return len > TULIP_CRC_LEN ? len - TULIP_CRC_LEN : 0;
	if (len >= TULIP_MIN_FRAME || (flags & TULIP_CTL_NO_PAD && t->op_mode & TULIP_OP_LOOP))
		return len;
	memset(t->tx_frame + len, 0, TULIP_MIN_FRAME - len); /* nothing else goes on the wire */
	return TULIP_MIN_FRAME;
}

static bool is_sendable(const struct tulip *t, u32 len)
{
	return len >= TULIP_MIN_FRAME && t->tx_len >= ETH_HEAD && tulip_link(t);
}

/* Return: false: it has to wait. */
static bool send_frame_out(struct tulip *t)
{
	u32 epoch = t->epoch, len = padded_len(t);
	int err = 0;

	if (len > TULIP_MAX_FRAME) {
		finish_tx(t, TULIP_TX_ERROR | TULIP_TX_JABBER);
		return true;
	}
	if (t->op_mode & TULIP_OP_LOOP)
		loop_back(t, len);
	else if (is_sendable(t, len))
		err = send_unlocked(t, len);
	if (t->epoch == epoch && err != -EAGAIN && !t->dead)
		finish_tx(t, err ? TULIP_TX_ERROR | TULIP_TX_LOST_CARRIER : 0);
	if (t->tx == TULIP_STOPPING) /* whatever became of its list meanwhile */
		tulip_stop_tx(t);
	return t->epoch != epoch || err != -EAGAIN;
}

static void take_setup(struct tulip *t)
{
	u8 frame[TULIP_SETUP_LEN];
	const struct tulip_desc *d = &t->tx_list[0];
	bool right = buf_size(d, 0) == sizeof(frame);

	if (right && kvmb_gm_read(t->gm, d->addr[0], frame, sizeof(frame))) {
		bus_error(t);
		return;
	}
	if (right)
		tulip_setup(t, d->control, frame);
	finish_tx(t, TULIP_TX_SETUP_DONE);
}

/* Return: false: nothing more can be done now. */
static bool next_tx(struct tulip *t)
{
	int err = gather_tx(t);

	if (err == -EAGAIN) {
		t->tx = TULIP_SUSPENDED;
		t->status |= TULIP_INT_TX_NO_DESC;
	} else if (err) {
		bus_error(t);
	} else if (t->tx_list[0].control & TULIP_CTL_SETUP) {
		take_setup(t);
	} else if (stands_alone(&t->tx_list[0])) {
		finish_tx(t, 0);
	} else if (t->tx_bad) {
		finish_tx(t, TULIP_TX_ERROR | TULIP_TX_JABBER);
	} else {
		return send_frame_out(t);
	}
	return !err;
}

/* ---- work ---- */

static u64 auto_poll_ns(const struct tulip *t)
{
	static const u32 pause_us[8] = { 0, 200, 800, 1600, 12, 25, 51, 102 };
	u32 ns = pause_us[TULIP_BUS_POLL(t->bus_mode)] * 1000;

	return ns && t->tx == TULIP_SUSPENDED ? KVMB_MAX(ns, TULIP_POLL_NS) : 0;
}

static u64 next_time(const struct tulip *t, u64 now)
{
	u64 next = t->timer_ns ? t->timer_ns : TULIP_NEVER, pause = auto_poll_ns(t);

	return pause ? KVMB_MIN(next, now + pause) : next;
}

/* A look at a list that had nothing says nothing new if it still has nothing. */
static void look_again(struct tulip *t)
{
	struct tulip_desc d;

	if (auto_poll_ns(t) && fetch_desc(t, t->tx_at, &d) != -EAGAIN)
		t->tx = TULIP_RUNNING;
}

u64 tulip_work(struct tulip *t)
{
	bool more = true;
	u32 i = 0;
	u64 now, next;

	pthread_mutex_lock(&t->lock);
	now = t->ops.now(t->ops.arg);
	tulip_tick(t, now);
	if (t->ops.may_master(t->ops.arg)) {
		look_again(t);
		for (; i < SEND_BUDGET && more && t->tx == TULIP_RUNNING; i++) {
			more = next_tx(t);
			tulip_update(t);
		}
	}
	tulip_update(t);
	next = i == SEND_BUDGET && more && t->tx == TULIP_RUNNING ? 0 : next_time(t, now);
	pthread_mutex_unlock(&t->lock);
	return next;
}
