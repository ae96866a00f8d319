// SPDX-License-Identifier: GPL-2.0-only
/* What a VM does when its guest's heartbeat stays away; what info says of the basic services. */
#include "vmm/basics.h"

#include <string.h>

#include "lib/log.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"
#include "vmm/services.h"

static struct fake_vmm f;
static struct vm vm;
static u32 resets, refusals;

int vm_reset(struct vm *v)
{
	assert_ptr_equal(v, &vm);
	resets++;
	return 0;
}

static void on_refused(void *v, u32 status)
{
	(void)status;
	assert_ptr_equal(v, &vm);
	refusals++;
}

static void begin_with(enum on_lost on_lost, u32 after_s)
{
	memset(&vm, 0, sizeof(vm));
	fake_init(&f, KVMB_VERSION_NEWEST);
	vm.cfg.name = "t";
	vm.cfg.on_lost = on_lost;
	vm.cfg.lost_after_s = after_s;
	vm.loop = f.loop;
	vm.bus = f.bus;
	vm.machine.vmm = f.vmm;
	vm.state = VM_RUNNING;
	resets = refusals = 0;
	kvmb_log_set_level(KVMB_LOG_ERR);
	assert_int_equal(basics_create(&vm, on_refused), 0);
}

static void end(void)
{
	fake_rest(&f);
	basics_destroy(&vm);
	services_destroy(&vm);
	fake_fini(&f);
}

/* As if the guest had been there, and then lost. */
static void lose_heartbeat(void)
{
	vm.heartbeat.state = KVMB_HEARTBEAT_LOST;
	vm.heartbeat.changed(vm.heartbeat.arg, KVMB_HEARTBEAT_OK);
}

static void find_heartbeat(void)
{
	vm.heartbeat.state = KVMB_HEARTBEAT_OK;
	vm.heartbeat.changed(vm.heartbeat.arg, KVMB_HEARTBEAT_LOST);
}

static void basics_lost_heartbeat_does_what_was_asked(void **state)
{
	static const u32 want[] = { [ON_LOST_NONE] = 0, [ON_LOST_EVENT] = 0, [ON_LOST_RESET] = 1 };
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		begin_with((enum on_lost)i, 0);
		lose_heartbeat();
		find_heartbeat();
		assert_int_equal(resets, want[i]);
		assert_int_equal(vm.heartbeat.lost_ms, KVMB_HEARTBEAT_LOST_MS);
		end();
	}
}

static void basics_guest_that_waits_for_memory_is_excused(void **state)
{
	(void)state;
	begin_with(ON_LOST_RESET, 60);
	assert_int_equal(vm.heartbeat.lost_ms, 60000);
	assert_false(vm.heartbeat.excused(vm.heartbeat.arg));
	vm.waits = true;
	assert_true(vm.heartbeat.excused(vm.heartbeat.arg));
	vm.waits = false;
	vm.cut_off = true;
	assert_true(vm.heartbeat.excused(vm.heartbeat.arg));
	vm.cut_off = false;
	vm.state = VM_RESETTING;
	assert_true(vm.heartbeat.excused(vm.heartbeat.arg));
	end();
}

static json_t *field(json_t *all, const char *service, const char *key)
{
	json_t *o = json_object_get(json_object_get(all, service), key);

	assert_non_null(o);
	return o;
}

static void basics_info_says_what_is_known(void **state)
{
	json_t *all;

	(void)state;
	begin_with(ON_LOST_NONE, 0);
	all = services_info(&vm);
	assert_string_equal(json_string_value(field(all, "heartbeat", "status")), "no-contact");
	assert_true(json_is_null(field(all, "heartbeat", "last_contact_ms")));
	assert_true(json_is_null(field(all, "timesync", "last_sync_ms")));
	assert_true(json_is_null(field(all, "timesync", "guest_offset_ms")));
	assert_true(json_is_true(field(all, "shutdown", "enabled")));
	json_decref(all);
	vm.heartbeat.app_state = 2;
	vm.timesync.sync_ms = kvmb_now_ms();
	vm.timesync.answer_ms = 3;
	vm.timesync.has_offset = true;
	vm.timesync.offset_100ns = -25000;
	all = services_info(&vm);
	assert_string_equal(json_string_value(field(all, "heartbeat", "applications")), "critical");
	assert_int_equal(json_integer_value(field(all, "timesync", "answer_ms")), 3);
	assert_int_equal(json_integer_value(field(all, "timesync", "guest_offset_ms")), -2);
	json_decref(all);
	vm.timesync.sync_ms = 0;
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(basics_lost_heartbeat_does_what_was_asked),
		cmocka_unit_test(basics_guest_that_waits_for_memory_is_excused),
		cmocka_unit_test(basics_info_says_what_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
