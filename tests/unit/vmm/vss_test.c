// SPDX-License-Identifier: GPL-2.0-only
/* The backup service in the table: which VM has it, what info says, when it can go off. */
#include "vmm/vss.h"

#include <string.h>

#include "lib/log.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"
#include "vmm/services.h"

static struct fake_vmm f;
static struct vm vm;
static u32 answers;
static char class[16], why[200];

static int setup(void **state)
{
	(void)state;
	kvmb_log_set_level(KVMB_LOG_ERR);
	memset(&vm, 0, sizeof(vm));
	fake_init(&f, KVMB_VERSION_NEWEST);
	vm.cfg.name = "t";
	vm.cfg.vmbus_max = KVMB_VERSION_NEWEST;
	vm.loop = f.loop;
	vm.bus = f.bus;
	vm.state = VM_RUNNING;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_rest(&f);
	kvmb_vss_fini(&vm.vss);
	services_destroy(&vm);
	fake_fini(&f);
	return 0;
}

static void take_answer(void *arg, json_t *result, const char *c, const char *w)
{
	(void)arg;
	answers++;
	snprintf(class, sizeof(class), "%s", c ? c : "");
	snprintf(why, sizeof(why), "%s", w ? w : "");
	json_decref(result);
}

static void ask_to(const char *spec)
{
	answers = 0;
	services_set(&vm, spec, (struct ctl_reply){ take_answer, NULL });
	fake_run(&f);
	assert_int_equal(answers, 1);
}

static void info_has(const char *status, int freezes)
{
	json_t *all = services_info(&vm), *o = json_object_get(all, "vss");

	assert_string_equal(json_string_value(json_object_get(o, "status")), status);
	assert_int_equal(json_integer_value(json_object_get(o, "freezes")), freezes);
	json_decref(all);
}

static void vss_is_in_the_table(void **state)
{
	(void)state;
	assert_int_equal(vss_create(&vm), 0);
	assert_true(services_on(&vm, SERVICE_VSS));
	vm.vss.freezes = 3;
	info_has("idle", 3);
	ask_to("vss=off");
	assert_string_equal(class, "");
	assert_false(services_on(&vm, SERVICE_VSS));
	ask_to("vss=on");
	assert_string_equal(class, "");
	assert_true(services_on(&vm, SERVICE_VSS));
}

static void vss_that_options_do_not_want_is_not_offered(void **state)
{
	(void)state;
	vm.cfg.services[SERVICE_VSS].off = true;
	assert_int_equal(vss_create(&vm), 0);
	assert_false(services_on(&vm, SERVICE_VSS));
	info_has("idle", 0);
}

/* Linux' driver refuses it there. */
static void vss_is_missing_on_a_bus_before_3_0(void **state)
{
	(void)state;
	vm.cfg.vmbus_max = KVMB_VERSION_WIN8_1 - 1;
	assert_int_equal(vss_create(&vm), 0);
	assert_false(services_on(&vm, SERVICE_VSS));
	assert_int_equal(kvmb_vss_freeze(&vm.vss, NULL, NULL), -ENOTCONN);
	ask_to("vss=on");
	assert_string_equal(class, "failed");
}

static void vss_of_a_frozen_guest_stays(void **state)
{
	static const struct {
		enum kvmb_vss_state state;
		enum kvmb_ic_state ic;
		bool stays;
	} cases[] = {
		{ KVMB_VSS_IDLE, KVMB_IC_READY, false },
		{ KVMB_VSS_CHECKING, KVMB_IC_READY, false },
		{ KVMB_VSS_FREEZING, KVMB_IC_READY, true },
		{ KVMB_VSS_FROZEN, KVMB_IC_READY, true },
		{ KVMB_VSS_THAWING, KVMB_IC_READY, true },
		{ KVMB_VSS_THAWING, KVMB_IC_CLOSED, false }, /* nothing is lost by it */
	};
	size_t i;

	(void)state;
	assert_int_equal(vss_create(&vm), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		vm.vss.state = cases[i].state;
		vm.vss.ic.state = cases[i].ic;
		ask_to("vss=on"); /* nothing changes */
		assert_string_equal(class, "");
		ask_to("vss=off");
		assert_string_equal(class, cases[i].stays ? "state" : "");
		assert_int_equal(services_on(&vm, SERVICE_VSS), cases[i].stays);
		if (cases[i].stays)
			assert_non_null(strstr(why, "frozen for a backup"));
		ask_to("vss=on");
	}
	vm.vss.state = KVMB_VSS_IDLE;
	vm.vss.ic.state = KVMB_IC_CLOSED;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(vss_is_in_the_table),
		T(vss_that_options_do_not_want_is_not_offered),
		T(vss_is_missing_on_a_bus_before_3_0),
		T(vss_of_a_frozen_guest_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
