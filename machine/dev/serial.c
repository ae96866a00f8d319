// SPDX-License-Identifier: GPL-2.0-only
/*
 * 16550A UART. The transmitter is always ready. The receiver's FIFO is larger than the chip's 16
 * bytes, because there is no wire that limits the rate.
 *
 * Source: National Semiconductor PC16550D data sheet, register descriptions.
 */
#include "machine/dev/serial.h"

#include <pthread.h>

#include "lib/tlv.h"
#include "lib/util.h"

#define FIFO_SIZE 256u

#define IER_RX 0x01
#define IER_TX 0x02
#define IIR_NONE 0x01
#define IIR_TX 0x02
#define IIR_RX 0x04
#define LCR_DLAB 0x80
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define LSR_DR 0x01
#define LSR_TX_EMPTY 0x60
#define MSR_READY 0xb0 /* CTS, DSR, DCD */

struct serial {
	struct serial_ops ops;
	pthread_mutex_t lock; /* guards all below */
	u8 ier, lcr, mcr, scr, fcr;
	u16 divisor;
	bool tx_pending; /* "transmitter empty" not yet reported */
	int level;	 /* of the interrupt line */
	u8 fifo[FIFO_SIZE];
	u32 fifo_head, fifo_len;
	bool input_waits; /* some was refused */
	u8 log[SERIAL_BACKLOG]; /* ring of the last output */
	u64 log_total;
};

static void update_irq(struct serial *s)
{
	bool on = (s->ier & IER_RX && s->fifo_len) || (s->ier & IER_TX && s->tx_pending);
	int level = on && (s->mcr & MCR_OUT2);

	if (level != s->level) {
		s->level = level;
		s->ops.set_irq(s->ops.irq_arg, level);
	}
}

static void put_fifo(struct serial *s, u8 c)
{
	if (s->fifo_len < FIFO_SIZE)
		s->fifo[(s->fifo_head + s->fifo_len++) % FIFO_SIZE] = c;
}

static u8 get_fifo(struct serial *s)
{
	u8 c = 0;

	if (s->fifo_len) {
		c = s->fifo[s->fifo_head];
		s->fifo_head = (s->fifo_head + 1) % FIFO_SIZE;
		s->fifo_len--;
	}
	return c;
}

static void transmit(struct serial *s, u8 c)
{
	s->tx_pending = true;
	if (s->mcr & MCR_LOOP) {
		put_fifo(s, c);
		return;
	}
	s->log[s->log_total++ % SERIAL_BACKLOG] = c;
	s->ops.output(s->ops.arg);
}

static void write_reg(struct serial *s, u16 reg, u8 v)
{
	switch (reg) {
	case 0:
		if (s->lcr & LCR_DLAB)
			s->divisor = (u16)((s->divisor & 0xff00) | v);
		else
			transmit(s, v);
		break;
	case 1:
		if (s->lcr & LCR_DLAB) {
			s->divisor = (u16)((s->divisor & 0xff) | v << 8);
		} else {
			/* enabling the transmitter interrupt while it is empty raises it */
			if (!(s->ier & IER_TX) && v & IER_TX)
				s->tx_pending = true;
			s->ier = v & 0x0f;
		}
		break;
	case 2:
		s->fcr = v;
		if (v & 2)
			s->fifo_len = 0;
		break;
	case 3:
		s->lcr = v;
		break;
	case 4:
		s->mcr = v & 0x1f;
		break;
	case 7:
		s->scr = v;
		break;
	}
}

static u8 read_iir(struct serial *s)
{
	u8 fifo = s->fcr & 1 ? 0xc0 : 0;

	if (s->ier & IER_RX && s->fifo_len)
		return IIR_RX | fifo;
	if (s->ier & IER_TX && s->tx_pending) {
		s->tx_pending = false;
		return IIR_TX | fifo;
	}
	return IIR_NONE | fifo;
}

static u8 read_msr(const struct serial *s)
{
	/* in loop-back the modem outputs are its inputs: DTR->DSR, RTS->CTS, OUT1->RI, OUT2->DCD */
	if (s->mcr & MCR_LOOP)
		return (u8)((s->mcr & 1) << 5 | (s->mcr & 2) << 3 | (s->mcr & 4) << 4 |
			    (s->mcr & 8) << 4);
	return MSR_READY;
}

static u8 read_reg(struct serial *s, u16 reg)
{
	switch (reg) {
	case 0:
		return s->lcr & LCR_DLAB ? (u8)s->divisor : get_fifo(s);
	case 1:
		return s->lcr & LCR_DLAB ? (u8)(s->divisor >> 8) : s->ier;
	case 2:
		return read_iir(s);
	case 3:
		return s->lcr;
	case 4:
		return s->mcr;
	case 5:
		return (u8)(LSR_TX_EMPTY | (s->fifo_len ? LSR_DR : 0));
	case 6:
		return read_msr(s);
	default:
		return s->scr;
	}
}

/* Not for each byte: who sends can fill the FIFO again meanwhile. */
static void tell_room(struct serial *s)
{
	if (!s->input_waits || s->fifo_len > FIFO_SIZE / 2)
		return;
	s->input_waits = false;
	s->ops.room(s->ops.arg);
}

void serial_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct serial *s = dev;

	(void)size; /* wider accesses touch the first register, as on the real bus */
	pthread_mutex_lock(&s->lock);
	if (write)
		write_reg(s, offset, (u8)*val);
	else
		*val = read_reg(s, offset);
	update_irq(s);
	tell_room(s);
	pthread_mutex_unlock(&s->lock);
}

size_t serial_input(struct serial *s, const u8 *buf, size_t len)
{
	size_t n;

	pthread_mutex_lock(&s->lock);
	for (n = 0; n < len && s->fifo_len < FIFO_SIZE; n++)
		put_fifo(s, buf[n]);
	s->input_waits |= n < len;
	update_irq(s);
	pthread_mutex_unlock(&s->lock);
	return n;
}

void serial_type(struct serial *s, u8 *buf, size_t *len)
{
	size_t n = serial_input(s, buf, *len);

	*len -= n;
	memmove(buf, buf + n, *len);
}

size_t serial_read(struct serial *s, u64 *cursor, u8 *buf, size_t size)
{
	size_t n;

	pthread_mutex_lock(&s->lock);
	if (s->log_total - *cursor > SERIAL_BACKLOG)
		*cursor = s->log_total - SERIAL_BACKLOG;
	for (n = 0; n < size && *cursor < s->log_total; n++)
		buf[n] = s->log[(*cursor)++ % SERIAL_BACKLOG];
	pthread_mutex_unlock(&s->lock);
	return n;
}

void serial_reset(struct serial *s)
{
	pthread_mutex_lock(&s->lock);
	s->ier = s->lcr = s->mcr = s->scr = s->fcr = 0;
	s->tx_pending = false;
	s->fifo_len = 0;
	update_irq(s);
	tell_room(s);
	pthread_mutex_unlock(&s->lock);
}

/* ---- saved VMs ---- */

/*
 * Fields of the port. Numbers are never used again. Its past output is not saved: a new process
 * would write it once more to wherever output goes.
 */
enum {
	SERIAL_IER = 1,
	SERIAL_LCR = 2,
	SERIAL_MCR = 3,
	SERIAL_SCR = 4,
	SERIAL_FCR = 5,
	SERIAL_DIVISOR = 6,
	SERIAL_TX_PENDING = 7, /* 1: "transmitter empty" not yet reported */
	SERIAL_FIFO = 8,       /* bytes that the guest has not read, oldest first */
};

void serial_save(struct serial *s, struct kvmb_tlv_out *o)
{
	u8 fifo[FIFO_SIZE];
	u32 i;

	pthread_mutex_lock(&s->lock);
	kvmb_tlv_put(o, SERIAL_IER, s->ier);
	kvmb_tlv_put(o, SERIAL_LCR, s->lcr);
	kvmb_tlv_put(o, SERIAL_MCR, s->mcr);
	kvmb_tlv_put(o, SERIAL_SCR, s->scr);
	kvmb_tlv_put(o, SERIAL_FCR, s->fcr);
	kvmb_tlv_put(o, SERIAL_DIVISOR, s->divisor);
	kvmb_tlv_put(o, SERIAL_TX_PENDING, s->tx_pending);
	for (i = 0; i < s->fifo_len; i++)
		fifo[i] = s->fifo[(s->fifo_head + i) % FIFO_SIZE];
	kvmb_tlv_put_bytes(o, SERIAL_FIFO, fifo, s->fifo_len);
	pthread_mutex_unlock(&s->lock);
}

int serial_load(struct serial *s, struct kvmb_tlv *group)
{
	u8 ier = (u8)kvmb_tlv_get(group, SERIAL_IER, 0x0f);
	u8 lcr = (u8)kvmb_tlv_get(group, SERIAL_LCR, 0xff);
	u8 mcr = (u8)kvmb_tlv_get(group, SERIAL_MCR, 0x1f);
	u8 scr = (u8)kvmb_tlv_get(group, SERIAL_SCR, 0xff);
	u8 fcr = (u8)kvmb_tlv_get(group, SERIAL_FCR, 0xff);
	u16 divisor = (u16)kvmb_tlv_get(group, SERIAL_DIVISOR, 0xffff);
	bool tx_pending = kvmb_tlv_get(group, SERIAL_TX_PENDING, 1);
	size_t len, i;
	const u8 *fifo = kvmb_tlv_get_bytes(group, SERIAL_FIFO, &len);
	int err;

	if (len > FIFO_SIZE)
		kvmb_tlv_refuse(group, SERIAL_FIFO, "so much was never taken");
	err = kvmb_tlv_done(group);
	if (err)
		return err;
	pthread_mutex_lock(&s->lock);
	s->ier = ier;
	s->lcr = lcr;
	s->mcr = mcr;
	s->scr = scr;
	s->fcr = fcr;
	s->divisor = divisor;
	s->tx_pending = tx_pending;
	s->fifo_head = s->fifo_len = 0;
	for (i = 0; i < len; i++)
		put_fifo(s, fifo[i]);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

void serial_loaded(struct serial *s)
{
	pthread_mutex_lock(&s->lock);
	update_irq(s);
	pthread_mutex_unlock(&s->lock);
}

struct serial *serial_create(const struct serial_ops *ops)
{
	struct serial *s = kvmb_xzalloc(sizeof(*s));

	s->ops = *ops;
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void serial_destroy(struct serial *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}
