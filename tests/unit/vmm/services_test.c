// SPDX-License-Identifier: GPL-2.0-only
/* The table of services: options, switching while a guest has them, saving; with a slow guest. */
#include "vmm/services.h"

#include <string.h>

#include "host-vsp/bus/bus_state.h"
#include "lib/log.h"
#include "lib/tlv.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"
#include "vmbus-core/proto/ic.h"
#include "vmm/opt_ic.h"

static struct fake_vmm f;
static struct vm vm;
static struct kvmb_wire_offer offers[4];
static struct fake_chan c;

/* ---- a service that is no IC ---- */

static int offered, revoked;
static bool lingers; /* the guest has not released it */

static int offer_sockets(struct vm *v)
{
	assert_ptr_equal(v, &vm);
	offered++;
	return 0;
}

static void revoke_sockets(struct vm *v)
{
	assert_ptr_equal(v, &vm);
	revoked++;
}

static const char *state_of_sockets(struct vm *v)
{
	assert_ptr_equal(v, &vm);
	return offered > revoked ? "ready" : "gone";
}

static bool sockets_leave(struct vm *v)
{
	assert_ptr_equal(v, &vm);
	return lingers;
}

static void describe_sockets(struct vm *v, json_t *o)
{
	assert_ptr_equal(v, &vm);
	json_object_set_new(o, "sockets", json_integer(7));
}

static const struct service_hooks sockets = { .offer = offer_sockets,
					      .revoke = revoke_sockets,
					      .state = state_of_sockets,
					      .leaving = sockets_leave,
					      .describe = describe_sockets };

/* ---- the VM ---- */

static void begin_vm(void)
{
	fake_init(&f, KVMB_VERSION_NEWEST);
	vm.cfg.name = "t";
	vm.loop = f.loop;
	vm.bus = f.bus;
	vm.state = VM_RUNNING;
	offered = revoked = 0;
	lingers = false;
	kvmb_heartbeat_init(&vm.heartbeat, f.loop);
	kvmb_timesync_init(&vm.timesync, f.loop, &f.vmm);
}

static void make_services(void)
{
	assert_int_equal(services_add(&vm, SERVICE_HEARTBEAT, &vm.heartbeat.ic, NULL), 0);
	assert_int_equal(services_add(&vm, SERVICE_TIMESYNC, &vm.timesync.ic, NULL), 0);
	assert_int_equal(services_add(&vm, SERVICE_VSOCK, NULL, &sockets), 0);
}

static int setup(void **state)
{
	(void)state;
	kvmb_log_set_level(KVMB_LOG_ERR);
	memset(&vm, 0, sizeof(vm));
	begin_vm();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_unmap(&c);
	memset(&c, 0, sizeof(c));
	fake_rest(&f);
	services_destroy(&vm);
	fake_fini(&f);
	return 0;
}

/* ---- who asks ---- */

struct asker {
	u32 answers;
	char class[16], why[200], state[32];
	bool enabled;
};

static void take_answer(void *arg, json_t *result, const char *class, const char *why)
{
	struct asker *a = arg;
	const char *s = json_string_value(json_object_get(result, "state"));

	a->answers++;
	snprintf(a->class, sizeof(a->class), "%s", class ? class : "");
	snprintf(a->why, sizeof(a->why), "%s", why ? why : "");
	snprintf(a->state, sizeof(a->state), "%s", s ? s : "");
	a->enabled = json_is_true(json_object_get(result, "enabled"));
	json_decref(result);
}

static void ask_to(const char *spec, struct asker *a)
{
	*a = (struct asker){ 0 };
	services_set(&vm, spec, (struct ctl_reply){ take_answer, a });
	fake_run(&f);
}

static bool refused(const char *spec, const char *class, const char *why)
{
	struct asker a;

	ask_to(spec, &a);
	assert_int_equal(a.answers, 1);
	return !strcmp(a.class, class) && strstr(a.why, why);
}

/* ---- the guest ---- */

static bool is_heartbeat(const struct kvmb_wire_offer *o)
{
	static const struct kvmb_guid type = KVMB_HEARTBEAT_TYPE_GUID;

	return kvmb_guid_equal(&o->type, &type);
}

static u32 heartbeat_relid(void)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(offers); i++) {
		if (is_heartbeat(&offers[i]))
			return le32_to_cpu(offers[i].relid);
	}
	return 0;
}

static u32 connect_guest(void)
{
	memset(offers, 0, sizeof(offers));
	return fake_connect(&f, KVMB_VERSION_NEWEST, offers, ARRAY_SIZE(offers));
}

static void release(u32 relid)
{
	struct kvmb_wire_relid m = { .relid = cpu_to_le32(relid) };

	fake_post(&f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m));
}

/* ---- cases ---- */

static void services_options_decide_what_is_offered(void **state)
{
	(void)state;
	vm.cfg.services[SERVICE_TIMESYNC].off = true;
	vm.cfg.services[SERVICE_VSOCK].off = true;
	vm.cfg.services[SERVICE_HEARTBEAT].max = KVMB_IC_VERSION(1, 0);
	make_services();
	assert_true(services_on(&vm, SERVICE_HEARTBEAT));
	assert_false(services_on(&vm, SERVICE_TIMESYNC));
	assert_false(services_on(&vm, SERVICE_KVP)); /* this VM has none */
	assert_false(kvmb_ic_knows(&vm.heartbeat.ic, KVMB_IC_VERSION(3, 0)));
	assert_int_equal(connect_guest(), 1);
	assert_true(is_heartbeat(&offers[0]));
	assert_int_equal(offered, 0);
}

static void services_option_below_the_first_version_is_an_error(void **state)
{
	(void)state;
	vm.cfg.services[SERVICE_TIMESYNC].max = KVMB_IC_VERSION(1, 0) - 1;
	kvmb_log_set_level(KVMB_LOG_ERR);
	assert_int_equal(services_add(&vm, SERVICE_TIMESYNC, &vm.timesync.ic, NULL), -EINVAL);
	assert_int_equal(connect_guest(), 0);
}

static void services_off_is_answered_when_the_guest_is_through(void **state)
{
	struct asker off, on;
	u32 old;

	(void)state;
	make_services();
	connect_guest();
	old = heartbeat_relid();
	assert_int_equal(fake_open(&f, &c, old, 4), 0);
	ask_to("heartbeat=off", &off);
	assert_int_equal(off.answers, 0);
	assert_non_null(fake_next(&f, KVMB_MSG_RESCIND));
	assert_false(services_on(&vm, SERVICE_HEARTBEAT));
	release(old);
	assert_int_equal(off.answers, 1);
	assert_string_equal(off.class, "");
	assert_false(off.enabled);
	assert_string_equal(off.state, "no guest driver");
	ask_to("heartbeat=on", &on);
	assert_int_equal(on.answers, 1);
	assert_true(on.enabled);
	assert_true(is_heartbeat(fake_next(&f, KVMB_MSG_OFFER)));
	ask_to("heartbeat=on", &on); /* it is */
	assert_int_equal(on.answers, 1);
	assert_null(fake_next(&f, KVMB_MSG_OFFER));
}

/* The second command finds the first one's change under way. */
static void services_change_of_mind_answers_both(void **state)
{
	struct asker off, on;

	(void)state;
	make_services();
	connect_guest();
	assert_int_equal(fake_open(&f, &c, heartbeat_relid(), 4), 0);
	ask_to("heartbeat=off", &off);
	ask_to("heartbeat=on", &on);
	assert_int_equal(off.answers, 1);
	assert_string_equal(off.class, "state");
	assert_int_equal(on.answers, 0);
	release(heartbeat_relid());
	assert_int_equal(on.answers, 1);
	assert_true(on.enabled);
	assert_true(is_heartbeat(fake_next(&f, KVMB_MSG_OFFER)));
}

static void services_guest_that_never_releases_costs_a_timeout(void **state)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;
	struct asker off;

	(void)state;
	make_services();
	connect_guest();
	assert_int_equal(fake_open(&f, &c, heartbeat_relid(), 4), 0);
	ask_to("heartbeat=off", &off);
	while (!off.answers && kvmb_now_ms() < until)
		kvmb_loop_once(f.loop, 20);
	assert_string_equal(off.class, "timeout");
	assert_false(services_on(&vm, SERVICE_HEARTBEAT));
	release(heartbeat_relid());
	assert_int_equal(off.answers, 1);
}

static void services_of_what_does_not_run_answer_at_once(void **state)
{
	struct asker off;

	(void)state;
	make_services();
	connect_guest();
	assert_int_equal(fake_open(&f, &c, heartbeat_relid(), 4), 0);
	vm.state = VM_PAUSED;
	ask_to("heartbeat=off", &off);
	assert_int_equal(off.answers, 1);
	assert_string_equal(off.state, "leaving");
}

static void services_end_answers_who_waits(void **state)
{
	struct asker off;

	(void)state;
	make_services();
	connect_guest();
	assert_int_equal(fake_open(&f, &c, heartbeat_relid(), 4), 0);
	ask_to("heartbeat=off", &off);
	services_destroy(&vm);
	assert_int_equal(off.answers, 1);
	vm.heartbeat.ic.left = NULL;
}

static void services_new_limit_is_negotiated_anew(void **state)
{
	struct asker a;

	(void)state;
	make_services();
	connect_guest();
	assert_int_equal(fake_open(&f, &c, heartbeat_relid(), 4), 0);
	ask_to("heartbeat=on,max=1.0", &a);
	assert_non_null(fake_next(&f, KVMB_MSG_RESCIND));
	assert_int_equal(a.answers, 0);
	release(heartbeat_relid());
	assert_int_equal(a.answers, 1);
	assert_true(is_heartbeat(fake_next(&f, KVMB_MSG_OFFER)));
	ask_to("heartbeat=on", &a); /* the limit stays */
	assert_null(fake_next(&f, KVMB_MSG_RESCIND));
	assert_int_equal(vm.heartbeat.ic.max, KVMB_IC_VERSION(1, 0));
}

static void services_nonsense_is_refused_and_changes_nothing(void **state)
{
	(void)state;
	make_services();
	connect_guest();
	assert_true(refused("", "usage", "there are heartbeat"));
	assert_true(refused("heart=off", "usage", "there are heartbeat"));
	assert_true(refused("heartbeat", "usage", "write heartbeat=on"));
	assert_true(refused("heartbeat=", "usage", "write"));
	assert_true(refused("heartbeat=offf", "usage", "write"));
	assert_true(refused("heartbeat=off,", "usage", "write"));
	assert_true(refused("heartbeat=off,max=", "usage", "write"));
	assert_true(refused("heartbeat=off,max=3", "usage", "write"));
	assert_true(refused("heartbeat=off,max=3.", "usage", "write"));
	assert_true(refused("heartbeat=off,max=99999.9", "usage", "write"));
	assert_true(refused("heartbeat=off,max=0.9", "usage", "write"));
	assert_true(refused("heartbeat=off,max=3.0,max=3.0", "usage", "write"));
	assert_true(refused("kvp=off", "failed", "has no service kvp"));
	assert_true(refused("vsock=on,max=1.0", "usage", "no version"));
	assert_true(services_on(&vm, SERVICE_HEARTBEAT));
	assert_null(fake_next(&f, KVMB_MSG_RESCIND));
}

static void services_other_kinds_are_switched_by_functions(void **state)
{
	struct asker a;
	json_t *o, *s;

	(void)state;
	make_services();
	assert_int_equal(offered, 1);
	ask_to("vsock=on", &a);
	assert_int_equal(offered, 1);
	ask_to("vsock=off", &a);
	ask_to("vsock=off", &a);
	assert_int_equal(revoked, 1);
	assert_int_equal(a.answers, 1);
	assert_string_equal(a.state, "gone");
	o = services_info(&vm);
	s = json_object_get(o, "vsock");
	assert_int_equal(json_integer_value(json_object_get(s, "sockets")), 7);
	assert_null(json_object_get(s, "version"));
	assert_true(json_is_null(json_object_get(json_object_get(o, "timesync"), "version")));
	assert_null(json_object_get(o, "kvp"));
	json_decref(o);
}

static void services_other_kinds_are_waited_for(void **state)
{
	struct asker a;

	(void)state;
	make_services();
	lingers = true;
	ask_to("vsock=off", &a);
	assert_int_equal(a.answers, 0);
	services_left(&vm, SERVICE_VSOCK); /* one of two */
	assert_int_equal(a.answers, 0);
	services_left(&vm, SERVICE_KVP); /* which it has not got */
	lingers = false;
	services_left(&vm, SERVICE_VSOCK);
	assert_int_equal(a.answers, 1);
	assert_string_equal(a.state, "gone");
	services_left(&vm, SERVICE_VSOCK);
	assert_int_equal(a.answers, 1);
}

static void services_other_kinds_have_no_limit(void **state)
{
	(void)state;
	vm.cfg.services[SERVICE_VSOCK].max = KVMB_IC_VERSION(1, 0);
	assert_int_equal(services_add(&vm, SERVICE_VSOCK, NULL, &sockets), -EINVAL);
	assert_int_equal(offered, 0);
}

/* ---- saving ---- */

static struct kvmb_tlv_out out;

static int load_section(const struct kvmb_tlv_out *o, char *why)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;
	int err = kvmb_tlv_next(o->buf, o->len, &pos, &t, &e);

	assert_int_equal(err, 0);
	err = services_load(&vm, &t);
	if (why)
		strcpy(why, e.text);
	return err;
}

static void move_to_new_process(void)
{
	fake_rest(&f);
	services_destroy(&vm);
	fake_fini(&f);
	begin_vm();
	make_services();
	kvmb_bus_begin_load(f.bus);
}

static void services_stay_as_they_were_switched(void **state)
{
	struct asker a;

	(void)state;
	vm.cfg.services[SERVICE_TIMESYNC].off = true;
	make_services();
	ask_to("heartbeat=off", &a);
	ask_to("timesync=on,max=3.0", &a);
	ask_to("vsock=off", &a);
	services_save(&vm, &out);
	move_to_new_process(); /* with the same options */
	assert_int_equal(load_section(&out, NULL), 0);
	kvmb_bus_resume(f.bus);
	assert_false(services_on(&vm, SERVICE_HEARTBEAT));
	assert_true(services_on(&vm, SERVICE_TIMESYNC));
	assert_false(services_on(&vm, SERVICE_VSOCK));
	assert_int_equal(vm.timesync.ic.max, KVMB_IC_VERSION(3, 0));
	assert_int_equal(revoked, 1);
	assert_int_equal(connect_guest(), 1);
	assert_false(is_heartbeat(&offers[0]));
	kvmb_tlv_out_fini(&out);
}

static void put_service(u64 which, u64 on, u64 max)
{
	kvmb_tlv_group(&out, 1);
	kvmb_tlv_put(&out, 1, which);
	kvmb_tlv_put(&out, 2, on);
	kvmb_tlv_put(&out, 3, max);
	kvmb_tlv_group_end(&out);
}

static int load_one(u64 which, u64 on, u64 max, char *why)
{
	int err;

	kvmb_tlv_begin(&out, KVMB_SEC_SERVICES, 0, 0);
	put_service(which, on, max);
	kvmb_tlv_end(&out);
	err = load_section(&out, why);
	kvmb_tlv_out_fini(&out);
	return err;
}

static void services_hostile_section_is_refused(void **state)
{
	char why[200];

	(void)state;
	make_services();
	assert_int_equal(load_one(SERVICE_HEARTBEAT, 2, 0, why), -EPROTO);
	assert_int_equal(load_one(256, 1, 0, why), -EPROTO);
	assert_int_equal(load_one(SERVICE_HEARTBEAT, 1, 1ull << 32, why), -EPROTO);
	assert_int_equal(load_one(SERVICE_HEARTBEAT, 1, 1, why), -EPROTO);
	assert_non_null(strstr(why, "services"));
	kvmb_tlv_begin(&out, KVMB_SEC_SERVICES, 0, 0);
	put_service(SERVICE_TIMESYNC, 0, 0);
	put_service(SERVICE_TIMESYNC, 1, 0);
	kvmb_tlv_end(&out);
	assert_int_equal(load_section(&out, why), -EPROTO);
	assert_non_null(strstr(why, "twice"));
	kvmb_tlv_out_fini(&out);
	assert_int_equal(load_one(0, 0, 0, why), 0); /* of a newer kvmbus, perhaps */
	assert_int_equal(load_one(200, 0, 77, why), 0);
	assert_int_equal(load_one(SERVICE_KVP, 0, 0, why), 0);
	assert_int_equal(load_one(SERVICE_VSOCK, 0, 77, why), 0);
	assert_int_equal(revoked, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(services_options_decide_what_is_offered),
		T(services_option_below_the_first_version_is_an_error),
		T(services_off_is_answered_when_the_guest_is_through),
		T(services_change_of_mind_answers_both),
		T(services_guest_that_never_releases_costs_a_timeout),
		T(services_of_what_does_not_run_answer_at_once),
		T(services_end_answers_who_waits),
		T(services_new_limit_is_negotiated_anew),
		T(services_nonsense_is_refused_and_changes_nothing),
		T(services_other_kinds_are_switched_by_functions),
		T(services_other_kinds_are_waited_for),
		T(services_other_kinds_have_no_limit),
		T(services_stay_as_they_were_switched),
		T(services_hostile_section_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
