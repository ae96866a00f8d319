// SPDX-License-Identifier: GPL-2.0-only
/* What a VM does when several of its CPUs want something at once. The machine below is a stub. */
#include "vmm/vm.h"

#include <string.h>

#include "lib/log.h"
#include "tests/unit/test.h"
#include "vmm/overdue.h"

static struct vm vm;
static u32 bus_resets; /* also one at the VM's end */

/* ---- what stands below and beside vm.c ---- */

void machine_stand(struct machine *m) { (void)m; }
void machine_go(struct machine *m) { (void)m; }
void machine_hold(struct machine *m) { (void)m; }
void machine_stop_clock(struct machine *m) { (void)m; }
void machine_start_clock(struct machine *m) { (void)m; }

int machine_reset(struct machine *m)
{
	(void)m;
	return 0;
}

int machine_start(struct machine *m)
{
	(void)m;
	return 0;
}

void __wrap_kvmb_bus_reset(struct kvmb_bus *bus, void (*done)(void *arg), void *arg)
{
	(void)bus;
	(void)done;
	(void)arg;
	bus_resets++;
}

u16 __wrap_kvmb_bus_post(struct kvmb_bus *bus, u32 conn, u32 type, const void *payload, u32 len)
{
	(void)bus;
	(void)conn;
	(void)type;
	(void)payload;
	(void)len;
	return 0;
}

void __wrap_kvmb_bus_message_acked(struct kvmb_bus *bus) { (void)bus; }

void overdue_begin(struct overdue *o, const char *who, const char *what, u32 limit_s)
{
	(void)o;
	(void)who;
	(void)what;
	(void)limit_s;
}

void overdue_step(struct overdue *o, const char *step)
{
	(void)o;
	(void)step;
}

void overdue_end(struct overdue *o) { (void)o; }

/* ---- the tests ---- */

static void ignore(struct vm *v) { (void)v; }

static const struct vm_listener listener = { ignore, ignore, ignore, ignore };

static void start(enum on_crash on_crash)
{
	struct vm_config cfg;

	memset(&vm, 0, sizeof(vm));
	memset(&cfg, 0, sizeof(cfg));
	cfg.name = "t";
	cfg.on_crash = on_crash;
	kvmb_log_set_level(KVMB_LOG_ERR);
	bus_resets = 0;
	vm_init(&vm, &cfg, kvmb_loop_create(), &listener);
	assert_int_equal(vm_start(&vm), 0);
}

static int teardown(void **state)
{
	(void)state;
	kvmb_loop_destroy(vm.loop);
	return 0;
}

static void crash_and_reset_at_once_end_the_vm(void **state)
{
	(void)state;
	start(ON_CRASH_POWEROFF);
	vm_machine_ops.request(&vm, MACHINE_CRASH);
	vm_machine_ops.request(&vm, MACHINE_RESET);
	kvmb_loop_once(vm.loop, 0);
	assert_int_equal(vm.state, VM_ENDED);
	assert_int_equal(bus_resets, 1);
}

static void reset_alone_resets(void **state)
{
	(void)state;
	start(ON_CRASH_POWEROFF);
	vm_machine_ops.request(&vm, MACHINE_RESET);
	kvmb_loop_once(vm.loop, 0);
	assert_int_equal(vm.state, VM_RESETTING);
	assert_int_equal(bus_resets, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(crash_and_reset_at_once_end_the_vm, teardown),
		cmocka_unit_test_teardown(reset_alone_resets, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
