// SPDX-License-Identifier: GPL-2.0-only
/* A VM's dynamic memory: who has it, what is shown and set, its section. */
#include "vmm/dynmem.h"

#include <string.h>

#include "lib/log.h"
#include "tests/harness/memory_guest.h"
#include "tests/unit/test.h"
#include "vmm/services.h"

#define MIB (1u << 20)

static struct vm vm;
static struct service_config option; /* --ic memory=... of the next VM */
static char answer[400];

static void answered(void *arg, json_t *result, const char *class, const char *why)
{
	char *s = result ? json_dumps(result, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	(void)arg;
	if (s)
		snprintf(answer, sizeof(answer), "%s", s);
	else
		snprintf(answer, sizeof(answer), "%s: %s", class, why);
	free(s);
	json_decref(result);
}

static const struct ctl_reply reply = { .fn = answered };

/* The box's guest; of its RAM, a quarter of which it begins with. */
static void begin(u64 min, u64 max)
{
	struct kvmb_wire_offer o;
	u32 num;

	memset(&box, 0, sizeof(box));
	fake_init(&box.f, KVMB_VERSION_NEWEST);
	memset(&vm, 0, sizeof(vm));
	vm.cfg.name = "vm";
	vm.loop = box.f.loop;
	vm.bus = box.f.bus;
	vm.state = VM_RUNNING;
	vm.cfg.services[SERVICE_MEMORY] = option;
	vm.machine.gm = box.f.gm;
	vm.cfg.machine.memory = FAKE_RAM / 2;
	vm.cfg.machine.memory_min = min;
	vm.cfg.machine.memory_max = max;
	vm.machine.hot.size = max > FAKE_RAM / 2 ? FAKE_RAM / 2 : 0;
	vm.machine.hot.offset = FAKE_RAM / 2;
	vm.machine.hot.base = 1ull << 32;
	assert_int_equal(dynmem_create(&vm), 0);
	num = fake_connect(&box.f, KVMB_VERSION_NEWEST, &o, 1);
	assert_int_equal(num, max != 0 && !option.off);
	box.relid = num ? le32_to_cpu(o.relid) : 0;
}

static void end(void)
{
	if (box.is_open)
		fake_unmap(&box.c);
	fake_rest(&box.f);
	dynmem_destroy(&vm);
	assert_null(vm.machine.gm.away);
	services_destroy(&vm);
	fake_fini(&box.f);
}

static int setup(void **state)
{
	(void)state;
	option = (struct service_config){ 0 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	end();
	return 0;
}

static void vm_without_bounds_has_none(void **state)
{
	json_t *o;

	(void)state;
	begin(0, 0);
	o = dynmem_info(&vm);
	assert_true(json_is_null(o));
	json_decref(o);
	dynmem_show(&vm, reply);
	assert_non_null(strstr(answer, "state: the VM has no dynamic memory"));
	dynmem_set(&vm, 32 * MIB, reply);
	assert_non_null(strstr(answer, "state: the VM has no dynamic memory"));
	dynmem_rebooted(&vm);
}

static void memory_is_shown_and_set(void **state)
{
	(void)state;
	begin(16 * MIB, 64 * MIB);
	assert_non_null(vm.machine.gm.away);
	dynmem_show(&vm, reply);
	assert_non_null(strstr(answer, "\"state\":\"no guest driver\""));
	assert_non_null(strstr(answer, "\"pressure\":null"));
	assert_non_null(strstr(answer, "\"target\":33554432"));
	dynmem_set(&vm, 15 * MIB, reply);
	assert_string_equal(answer, "usage: the VM can have 16M to 64M");
	dynmem_set(&vm, 65 * MIB, reply);
	assert_string_equal(answer, "usage: the VM can have 16M to 64M");
	dynmem_set(&vm, ~0ull, reply);
	assert_string_equal(answer, "usage: the VM can have 16M to 64M");
	dynmem_set(&vm, 24 * MIB, reply);
	assert_non_null(strstr(answer, "\"target\":25165824"));
	dm_open();
	dm_ask_version(KVMB_MEMORY_VERSION_WIN10);
	dm_hears();
	dm_say_caps(DM_CAPS);
	dm_hears();
	dm_report(1024, 4096);
	assert_int_equal(dm_hears(), KVMB_MEMORY_INFO);
	dm_report(1024, 4096);
	assert_int_equal(dm_hears(), KVMB_MEMORY_BALLOON_REQUEST);
	assert_int_equal(heard_u32(8), 2048);
	dm_give_one(6000, 2048, false);
	dynmem_show(&vm, reply);
	assert_non_null(strstr(answer, "\"assigned\":25165824"));
	assert_non_null(strstr(answer, "\"ballooned\":8388608"));
	assert_non_null(strstr(answer, "\"demand\":8388608"));
	assert_non_null(strstr(answer, "\"pressure\":33"));
	assert_non_null(strstr(answer, "\"version\":\"2.0\""));
}

static void section_needs_such_a_vm(void **state)
{
	struct kvmb_tlv_error error = { 0 };
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;

	(void)state;
	begin(16 * MIB, 64 * MIB);
	dynmem_set(&vm, 20 * MIB, reply);
	dynmem_save(&vm, &o);
	end();
	begin(16 * MIB, 64 * MIB);
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &error), 0);
	assert_int_equal(t.tag, KVMB_SEC_MEM_SERVICE);
	assert_int_equal(dynmem_load(&vm, &t), 0);
	dynmem_show(&vm, reply);
	assert_non_null(strstr(answer, "\"target\":20971520"));
	end();
	begin(0, 0);
	pos = 0;
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &error), 0);
	assert_int_not_equal(dynmem_load(&vm, &t), 0);
	assert_non_null(strstr(error.text, "memory service 0: field 1: the VM has no dynamic"));
	kvmb_tlv_out_fini(&o);
	dynmem_save(&vm, &o);
	assert_int_equal(o.len, 0);
}

/* ---- switching it ---- */

static void release(u32 relid)
{
	struct kvmb_wire_relid m = { .relid = cpu_to_le32(relid) };

	fake_post(&box.f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m));
}

static bool is_listed(const char *text)
{
	json_t *o = services_info(&vm);
	char *s = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	bool there = strstr(s, text);

	free(s);
	json_decref(o);
	return there;
}

static u64 shown(const char *key)
{
	json_t *o = dynmem_info(&vm);
	u64 v = (u64)json_integer_value(json_object_get(o, key));

	json_decref(o);
	return v;
}

static void give_some_away(void)
{
	dynmem_set(&vm, 24 * MIB, reply);
	dm_open();
	dm_ask_version(KVMB_MEMORY_VERSION_WIN10);
	dm_hears();
	dm_say_caps(DM_CAPS);
	dm_hears();
	dm_report(1024, 4096);
	dm_hears();
	dm_report(1024, 4096);
	dm_hears();
	dm_give_one(6000, 2048, false);
	assert_int_equal(shown("ballooned"), 8 * MIB);
}

static void memory_is_switched_off_and_on(void **state)
{
	(void)state;
	begin(16 * MIB, 64 * MIB);
	assert_true(is_listed("\"memory\":{\"enabled\":true"));
	assert_true(is_listed("\"version\":null"));
	give_some_away();
	assert_true(is_listed("\"state\":\"ready\",\"version\":\"2.0\""));
	answer[0] = 0;
	services_set(&vm, "memory=off", reply);
	assert_non_null(fake_wait(&box.f, KVMB_MSG_RESCIND)); /* when all is dropped */
	assert_string_equal(answer, "");		      /* the guest is not through with it */
	assert_true(is_listed("\"enabled\":false,\"last_contact_ms\":null,\"state\":\"leaving\""));
	assert_int_equal(shown("ballooned"), 0);
	release(box.relid);
	fake_run(&box.f);
	assert_non_null(strstr(answer, "\"enabled\":false"));
	assert_non_null(strstr(answer, "\"state\":\"no guest driver\""));
	services_set(&vm, "memory=on", reply);
	fake_run(&box.f);
	assert_non_null(strstr(answer, "\"enabled\":true"));
	assert_non_null(fake_next(&box.f, KVMB_MSG_OFFER));
	services_set(&vm, "memory=on,max=2.0", reply);
	assert_non_null(strstr(answer, "usage: service memory has no version"));
}

static void option_leaves_it_out(void **state)
{
	(void)state;
	option.off = true;
	begin(16 * MIB, 64 * MIB);
	assert_false(services_on(&vm, SERVICE_MEMORY));
	services_set(&vm, "memory=on", reply);
	fake_run(&box.f);
	assert_non_null(fake_next(&box.f, KVMB_MSG_OFFER));
}

/* Section SERVICES comes first, and takes away what the section of the bus has none of. */
static void switched_off_is_saved(void **state)
{
	struct kvmb_tlv_error error = { 0 };
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;

	(void)state;
	begin(16 * MIB, 64 * MIB);
	give_some_away();
	services_set(&vm, "memory=off", reply);
	assert_non_null(fake_wait(&box.f, KVMB_MSG_RESCIND)); /* when all is dropped */
	services_save(&vm, &o);
	dynmem_save(&vm, &o);
	end();
	begin(16 * MIB, 64 * MIB);
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &error), 0);
	assert_int_equal(services_load(&vm, &t), 0);
	assert_false(services_on(&vm, SERVICE_MEMORY));
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &error), 0);
	assert_int_equal(dynmem_load(&vm, &t), 0);
	assert_int_equal(shown("target"), 24 * MIB);
	kvmb_tlv_out_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(vm_without_bounds_has_none), T(memory_is_shown_and_set),
		T(section_needs_such_a_vm),    T(memory_is_switched_off_and_on),
		T(option_leaves_it_out),       T(switched_off_is_saved),
	};

	kvmb_log_set_level(KVMB_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
