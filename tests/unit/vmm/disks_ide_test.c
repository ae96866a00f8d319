// SPDX-License-Identifier: GPL-2.0-only
/*
 * One disk, two paths: a guest drives it as IDE and by its channel, in any order, and never both
 * reach it. The controller, the channel and the hand-over are real; the disk keeps requests.
 */
#include "vmm/disks_ide.h"

#include <pthread.h>
#include <sched.h>

#include "backend/block/disk.h"
#include "machine/dev/ide.h"
#include "machine/dev/pci.h"
#include "machine/gen1.h"
#include "machine/irq.h"
#include "machine/machine.h"
#include "tests/harness/storage_guest.h"

enum { ERR = 1, DRQ = 8, DRDY = 0x40, BSY = 0x80 };
enum { ABRT = 4 };
enum { READ_SECTORS = 0x20, WRITE_SECTORS = 0x30 };

static struct vm vm;
static struct ide *ide;
static struct pci_bus *pci;
static u32 refused_on_ide, settled;

void irq_set_line(struct machine *m, u32 line, int level)
{
	(void)m, (void)line, (void)level;
}

struct ide *gen1_ide(struct gen1 *g)
{
	(void)g;
	return ide;
}

void gen1_end_ide(struct gen1 *g)
{
	(void)g;
	ide_destroy(ide);
	ide = NULL;
}

static void no_irq(void *arg, u32 channel, int level)
{
	(void)arg, (void)channel, (void)level;
}

/* ---- a guest's ATA driver ---- */

static void out(u16 port, u32 size, u32 v)
{
	iobus_access(&vm.machine.pio, port, size, true, &v);
}

static u8 status(void)
{
	u32 v = 0;

	iobus_access(&vm.machine.pio, 0x3f6, 1, false, &v);
	return (u8)v;
}

static u8 error_register(void)
{
	u32 v = 0;

	iobus_access(&vm.machine.pio, 0x1f1, 1, false, &v);
	return (u8)v;
}

static void ata(u8 command)
{
	out(0x1f6, 1, 0xe0);
	out(0x1f2, 1, 1);
	out(0x1f3, 1, 7);
	out(0x1f4, 1, 0);
	out(0x1f5, 1, 0);
	out(0x1f7, 1, command);
}

/* Until the disk has it, or it is refused. */
static void write_by_ide(void)
{
	u32 i;

	ata(WRITE_SECTORS);
	for (i = 0; i < 256 && status() & DRQ; i++)
		out(0x1f0, 2, 0xabcd);
}

static bool ide_busy(void)
{
	return status() & BSY;
}

/* ---- its storvsc ---- */

static const u8 read_10[16] = { 0x28, [8] = 1 };

static u64 read_by_channel(void)
{
	return send_srb(&c, 0, read_10, 10, KVMB_SRB_DATA_IN, 0x100000, 512);
}

static void begin_init(void)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_BEGIN_INIT) };

	assert_int_equal(fake_send(&f, &c, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, ++next_id, NULL,
				   0, &p, sizeof(p)),
			 0);
}

static void rest_of_init(void)
{
	struct kvmb_wire_stor p = { 0 };

	p.u.version.major_minor = cpu_to_le16(KVMB_STOR_V6_2);
	assert_int_equal(ask(KVMB_STOR_QUERY_VERSION, &p), 0);
	assert_int_equal(ask(KVMB_STOR_QUERY_PROPERTIES, &p), 0);
	assert_int_equal(le16_to_cpu(p.u.properties.max_sub_channels), 0);
	assert_int_equal(ask(KVMB_STOR_END_INIT, &p), 0);
}

static void open_channel(void)
{
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
}

static void turn_loop(void)
{
	u32 i;

	for (i = 0; i < 20; i++)
		kvmb_loop_once(f.loop, 1);
}

static void channel_is_silent(void)
{
	u8 buf[256] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;

	turn_loop();
	assert_int_equal(fake_recv_within(&f, &c, buf, sizeof(buf), &pkt, 50), -EAGAIN);
}

static void channel_answers(void)
{
	struct kvmb_wire_stor p;

	assert_int_equal(answer(&p, next_id), 0);
}

static u32 held(void)
{
	u32 n;

	pthread_mutex_lock(&slow.lock);
	n = slow.num;
	pthread_mutex_unlock(&slow.lock);
	return n;
}

static void set_deaf(bool deaf)
{
	pthread_mutex_lock(&slow.lock);
	slow.deaf = deaf;
	pthread_mutex_unlock(&slow.lock);
}

static void on_settled(void *v)
{
	assert_ptr_equal(v, &vm);
	settled++;
}

/* ---- the VM ---- */

static void never(void *arg, struct kvmb_storage *st, unsigned int lun, int err)
{
	(void)arg, (void)st, (void)lun, (void)err;
	fail_msg("no request may fail");
}

static void nor_this(void *arg, struct kvmb_storage *st, unsigned int lun)
{
	(void)arg, (void)st, (void)lun;
	fail_msg("nobody ejects");
}

static const struct kvmb_storage_events ev = { .stopped = never, .ejected = nor_this };

static int begin(void **state)
{
	(void)state;
	fake_init(&f, KVMB_VERSION_NEWEST);
	vm = (struct vm){ .loop = f.loop, .cfg.name = "vm", .state = VM_RUNNING };
	rings = kvmb_rings_create(1, false);
	s = kvmb_storage_create(KVMB_STORAGE_IDE, 0, rings, f.loop, &ev, &vm);
	assert_int_equal(kvmb_storage_attach(s, slow_disk(KVMB_ON_ERROR_REPORT), false, 0), 0);
	vm.machine.gm = *f.vmm.gm;
	pci = pci_create(&vm.machine);
	ide = ide_create(&(struct ide_config){ .pci = pci,
					       .ports = &vm.machine.pio,
					       .gm = &vm.machine.gm,
					       .slot = 1,
					       .number = 1,
					       .set_irq = no_irq });
	disks_ide_add(&vm, s, false, &ev);
	kvmb_storage_offer(s, f.bus);
	assert_int_equal(disks_ide_connect(&vm), 0);
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 1);
	settled = refused_on_ide = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	finish_held(512);
	fake_unmap(&c);
	fake_rest(&f);
	disks_ide_end(&vm);
	pci_destroy(pci);
	kvmb_storage_destroy(s);
	kvmb_rings_destroy(rings);
	fake_fini(&f);
	return 0;
}

/* ---- tests ---- */

static void a_drive_is_offered_at_its_place(void **state)
{
	static const struct kvmb_guid type = KVMB_IDE_TYPE_GUID,
				      place = KVMB_GUID(0, 0, 0x8899, 0, 0, 0, 0, 0, 0, 0, 0);

	(void)state;
	assert_memory_equal(&offer.type, &type, 16);
	assert_memory_equal(&offer.instance, &place, 16);
}

static void a_channel_waits_for_what_ide_has_begun(void **state)
{
	(void)state;
	write_by_ide();
	wait_held(1);
	open_channel();
	begin_init();
	channel_is_silent();
	assert_string_equal(disks_ide_path(&vm, s), "ide");
	assert_true(ide_busy());
	finish_held(512);
	channel_answers();
	assert_false(ide_busy()); /* its driver heard of the end of it */
	assert_int_equal(status() & ERR, 0);
	assert_string_equal(disks_ide_path(&vm, s), "vmbus");
}

static void ide_sees_no_further_write(void **state)
{
	struct kvmb_wire_stor p;
	u64 id;

	(void)state;
	open_channel();
	begin_init();
	channel_answers();
	rest_of_init();
	write_by_ide();
	assert_int_equal(status() & (BSY | ERR), ERR);
	assert_int_equal(error_register() & ABRT, ABRT);
	ata(READ_SECTORS);
	assert_int_equal(status() & (BSY | ERR), ERR);
	assert_int_equal(held(), 0);
	id = read_by_channel();
	wait_held(1);
	finish_held(512);
	assert_int_equal(answer(&p, id), 0);
	assert_int_equal(p.u.srb.srb_status, KVMB_SRB_SUCCESS);
}

static void the_drive_is_back_when_the_channel_is_closed(void **state)
{
	(void)state;
	open_channel();
	begin_init();
	channel_answers();
	rest_of_init();
	read_by_channel();
	wait_held(1);
	fake_close(&f, &c);
	ata(READ_SECTORS);
	turn_loop();
	wait_held(1); /* the channel's read was cancelled; this is the drive's */
	assert_true(ide_busy());
	assert_string_equal(disks_ide_path(&vm, s), "ide");
	finish_held(512);
	assert_int_equal(status() & (BSY | DRQ | ERR), DRQ);
}

static void one_that_changes_its_mind_finds_the_drive(void **state)
{
	u32 i;

	(void)state;
	set_deaf(true);
	for (i = 0; i < 3; i++) {
		write_by_ide();
		wait_held(1);
		open_channel();
		fake_close(&f, &c);
		open_channel();
		begin_init();
		channel_is_silent();
		fake_close(&f, &c);
		turn_loop();
		finish_held(512);
		turn_loop();
		assert_string_equal(disks_ide_path(&vm, s), "ide");
		assert_int_equal(status() & (BSY | ERR), 0);
	}
	write_by_ide();
	wait_held(1);
	open_channel();
	fake_close(&f, &c);
	open_channel();
	begin_init();
	finish_held(512);
	channel_answers();
	assert_string_equal(disks_ide_path(&vm, s), "vmbus");
}

static void a_reset_waits_for_what_the_disk_has(void **state)
{
	(void)state;
	set_deaf(true);
	write_by_ide();
	wait_held(1);
	open_channel(); /* and the guest resets its machine */
	fake_unmap(&c);
	fake_rest(&f);
	disks_ide_settle(&vm, on_settled);
	turn_loop();
	assert_int_equal(settled, 0);
	finish_held(512);
	turn_loop();
	assert_int_equal(settled, 1);
	ide_reset(ide);
	disks_ide_settled(&vm);
	turn_loop();
	assert_string_equal(disks_ide_path(&vm, s), "ide");
	write_by_ide();
	wait_held(1);
}

static void while_settled_nothing_begins(void **state)
{
	(void)state;
	open_channel();
	begin_init();
	channel_answers();
	disks_ide_settle(&vm, on_settled);
	turn_loop();
	assert_int_equal(settled, 1);
	fake_close(&f, &c);
	turn_loop();
	write_by_ide();
	turn_loop();
	assert_int_equal(held(), 0);
	disks_ide_settled(&vm);
	wait_held(1);
}

/* ---- standing for a save ---- */

static void on_rest(void *arg)
{
	assert_ptr_equal(arg, &settled);
	settled++;
}

static void rest(void)
{
	vm.state = VM_PAUSED;
	disks_ide_rest(&vm, on_rest, &settled);
	turn_loop();
}

static void drives_rest_when_their_request_is_done(void **state)
{
	(void)state;
	write_by_ide();
	wait_held(1);
	rest();
	assert_int_equal(settled, 0);
	finish_held(512);
	turn_loop();
	assert_int_equal(settled, 1);
	write_by_ide(); /* no vCPU would */
	assert_int_equal(held(), 0);
	disks_ide_go_on(&vm);
	wait_held(1);
}

/* Who does not wait any longer is not called, and drives go on when they can. */
static void going_on_crosses_the_end_of_a_request(void **state)
{
	u32 again;

	(void)state;
	for (again = 0; again < 2; again++) { /* the second time somebody waits once more */
		write_by_ide();
		wait_held(1);
		rest();
		disks_ide_go_on(&vm);
		if (again)
			rest();
		finish_held(512);
		turn_loop();
		assert_int_equal(settled, again);
		write_by_ide();
		assert_int_equal(held(), !again);
		finish_held(512);
	}
	disks_ide_go_on(&vm);
	wait_held(1);
}

/* A reset, and a save that is given up with it: what was on its way is not the next one's. */
static void who_waits_next_is_not_told_of_before(void **state)
{
	(void)state;
	disks_ide_settle(&vm, on_settled);
	turn_loop();
	assert_int_equal(settled, 1);
	disks_ide_rest(&vm, on_rest, &settled);
	disks_ide_go_on(&vm);
	disks_ide_settled(&vm);
	write_by_ide();
	rest();
	assert_int_equal(slow.num, 1);
	assert_int_equal(settled, 1);
	finish_held(512);
	turn_loop();
	assert_int_equal(settled, 2);
}

static void drives_of_a_vm_that_has_ended_stay(void **state)
{
	(void)state;
	write_by_ide();
	wait_held(1);
	rest();
	disks_ide_go_on(&vm);
	vm.state = VM_ENDED;
	finish_held(512);
	turn_loop();
	write_by_ide();
	assert_int_equal(held(), 0);
}

/* What was loaded stands, and a channel that closes meanwhile does not change that. */
static void drives_of_a_vm_that_is_loaded_stand(void **state)
{
	(void)state;
	vm.state = VM_CREATED;
	ide_stop(ide, NULL, NULL); /* as ide_load() leaves them */
	open_channel();
	assert_string_equal(disks_ide_path(&vm, s), "vmbus");
	fake_close(&f, &c);
	turn_loop();
	assert_string_equal(disks_ide_path(&vm, s), "ide");
	write_by_ide();
	assert_int_equal(held(), 0);
	vm.state = VM_RUNNING;
	disks_ide_go_on(&vm);
	wait_held(1);
}

static void a_save_and_the_end_cross(void **state)
{
	(void)state;
	set_deaf(true);
	write_by_ide();
	wait_held(1);
	rest();
	vm.state = VM_ENDED;
	disks_ide_settle(&vm, on_settled);
	finish_held(512);
	turn_loop();
	assert_int_equal(settled, 2); /* both hear of it */
}

/* Whatever comes in whatever order: each path asserts that the disk is its own. */
static void no_order_gives_the_disk_two_users(void **state)
{
	u32 seed = 1, i, ide_wins = 0, channel_wins = 0;
	bool open = false, ready = false;

	(void)state;
	set_deaf(true);
	for (i = 0; i < 3000; i++) {
		seed = seed * 1103515245u + 12345;
		switch (seed >> 16 & 7) {
		case 0:
			if (!open) {
				open_channel();
				open = true;
				ready = false;
			}
			break;
		case 1:
			set_deaf(false); /* of what the channel has */
			if (open)
				fake_close(&f, &c);
			set_deaf(true);
			open = ready = false;
			break;
		case 2:
			if (open && !ready && !strcmp(disks_ide_path(&vm, s), "vmbus")) {
				begin_init();
				channel_answers();
				rest_of_init();
				ready = true;
			}
			break;
		case 3:
			if (ready && held() < 8)
				read_by_channel();
			channel_wins += ready;
			break;
		case 4:
		case 5:
			if (!ide_busy())
				write_by_ide();
			ide_wins += ide_busy();
			break;
		case 6:
			finish_held(512);
			break;
		default:
			kvmb_loop_once(f.loop, 0);
		}
	}
	assert_true(ide_wins > 50 && channel_wins > 50);
}

/* ---- all at once: a vCPU, a disk that answers, and the main thread ---- */

static pthread_mutex_t vcpu = PTHREAD_MUTEX_INITIALIZER; /* who has it lets no vCPU run */
static bool over;					 /* atomic */
static u32 done_by_disk;

static bool is_over(void)
{
	return __atomic_load_n(&over, __ATOMIC_ACQUIRE);
}

static void *vcpu_main(void *arg)
{
	u32 n = 0;

	(void)arg;
	while (!is_over()) {
		pthread_mutex_lock(&vcpu);
		if (++n % 16 == 0) {
			out(0x3f6, 1, 4);
			out(0x3f6, 1, 0);
		} else if (!ide_busy() && n % 3) {
			write_by_ide();
		} else if (!ide_busy()) {
			ata(n & 1 ? READ_SECTORS : 0xe7);
		}
		pthread_mutex_unlock(&vcpu);
		sched_yield();
	}
	return NULL;
}

static void *disk_main(void *arg)
{
	struct kvmb_disk_req *r;

	(void)arg;
	while (!is_over()) {
		pthread_mutex_lock(&slow.lock);
		r = slow.num ? slow.held[--slow.num] : NULL;
		pthread_mutex_unlock(&slow.lock);
		if (r) {
			r->result = ++done_by_disk % 7 ? 0 : -EAGAIN;
			r->done(r);
		}
		sched_yield();
	}
	return NULL;
}

static void settle_once(void)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;
	u32 before = settled;

	disks_ide_settle(&vm, on_settled);
	while (settled == before && kvmb_now_ms() < until)
		kvmb_loop_once(f.loop, 1);
	assert_int_equal(settled, before + 1);
	ide_reset(ide);
	disks_ide_settled(&vm);
}

static void rest_once(bool wait)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;
	u32 before = settled;

	vm.state = VM_PAUSED;
	disks_ide_rest(&vm, on_rest, &settled);
	while (wait && settled == before && kvmb_now_ms() < until)
		kvmb_loop_once(f.loop, 1);
	disks_ide_go_on(&vm);
	vm.state = VM_RUNNING;
}

static void all_at_once(void **state)
{
	pthread_t a, b;
	bool open = false, ready = false;
	u32 seed = 7, i, reads = 0;

	(void)state;
	over = false;
	pthread_create(&a, NULL, vcpu_main, NULL);
	pthread_create(&b, NULL, disk_main, NULL);
	for (i = 0; i < 1500; i++) {
		seed = seed * 1103515245u + 12345;
		switch (seed >> 16 & 7) {
		case 0:
		case 1:
			if (open)
				fake_close(&f, &c);
			else
				open_channel();
			open = !open;
			ready = false;
			break;
		case 2:
			if (open && !ready && !strcmp(disks_ide_path(&vm, s), "vmbus")) {
				begin_init();
				channel_answers();
				rest_of_init();
				ready = true;
				reads = 0;
			} else if (ready && ++reads < 8) {
				read_by_channel();
			}
			break;
		case 3:
			pthread_mutex_lock(&vcpu);
			if (open)
				fake_close(&f, &c);
			open = ready = false;
			settle_once();
			pthread_mutex_unlock(&vcpu);
			break;
		case 4:
			pthread_mutex_lock(&vcpu);
			rest_once(seed >> 20 & 1);
			pthread_mutex_unlock(&vcpu);
			break;
		case 5:
			disks_ide_retry(&vm);
			break;
		default:
			kvmb_loop_once(f.loop, 1);
		}
	}
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	print_message("%u requests\n", done_by_disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define ROW(name) cmocka_unit_test_setup_teardown(name, begin, end)
		ROW(a_drive_is_offered_at_its_place),
		ROW(a_channel_waits_for_what_ide_has_begun),
		ROW(ide_sees_no_further_write),
		ROW(the_drive_is_back_when_the_channel_is_closed),
		ROW(one_that_changes_its_mind_finds_the_drive),
		ROW(a_reset_waits_for_what_the_disk_has),
		ROW(while_settled_nothing_begins),
		ROW(drives_rest_when_their_request_is_done),
		ROW(going_on_crosses_the_end_of_a_request),
		ROW(who_waits_next_is_not_told_of_before),
		ROW(drives_of_a_vm_that_has_ended_stay),
		ROW(drives_of_a_vm_that_is_loaded_stand),
		ROW(a_save_and_the_end_cross),
		ROW(no_order_gives_the_disk_two_users),
		ROW(all_at_once),
	};

	return cmocka_run_group_tests_name("disks_ide", tests, NULL, NULL);
}
