// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sections of a stock guest's VM, as the first version wrote them (tests/data/state-1.bin,
 * from tests/boot/sample.sh): they are loaded for as long as that version is supported.
 */
#include "vmm/vm_sections.h"

#include "host-vsp/bus/bus_state.h"
#include "host-vsp/net/net_state.h"
#include "host-vsp/storage/storage_state.h"
#include "ic-services/ic_state.h"
#include "lib/log.h"
#include "tests/harness/no_dynmem.h"
#include "tests/harness/no_input.h"
#include "tests/harness/no_synth.h"
#include "tests/harness/sample_vm.h"
#include "tests/harness/tlv_edit.h"
#include "tests/unit/test.h"

static char why[200];

static int load(const u8 *buf, size_t len)
{
	why[0] = 0;
	return vm_sections_load(&sample.vm, buf, len, why, sizeof(why));
}

static int setup(void **state)
{
	(void)state;
	sample_begin();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sample_end();
	return 0;
}

static void anew(void)
{
	sample_end();
	sample_begin();
}

/* The bytes of a section that was saved are those that were loaded. */
static void same(const struct kvmb_tlv_out *o, u32 tag, u32 instance)
{
	size_t at = tlv_section(sample.sections, sample.len, tag, instance);
	size_t now = tlv_section(o->buf, o->len, tag, instance);
	size_t len = TLV_SECTION_HEAD + tlv_u64(sample.sections + at + 16);

	assert_true(at < sample.len && now < o->len);
	assert_true(len <= o->len - now);
	assert_memory_equal(o->buf + now, sample.sections + at, len);
}

static void stands(void *arg)
{
	(void)arg;
}

static void first_version_is_loaded_and_written_again_as_it_was(void **state)
{
	const struct kvmb_ic_services ics = { &sample.vm.heartbeat, &sample.vm.shutdown,
					      &sample.vm.timesync };
	struct kvmb_tlv_out o = { 0 };
	u64 until = kvmb_now_ms() + PATIENCE_MS;
	u32 i;

	(void)state;
	assert_int_equal(load(sample.sections, sample.len), 0);
	kvmb_bus_resume(sample.vm.bus);
	kvmb_bus_pause(sample.vm.bus, stands, NULL);
	while (!kvmb_bus_stands(sample.vm.bus) && kvmb_now_ms() < until)
		kvmb_loop_once(sample.vm.loop, 5);
	assert_true(sample.vm.begins_paused); /* sample.sh had paused it */
	kvmb_storage_save(sample.vm.scsi[0], &o);
	kvmb_net_save(sample.net, &o);
	kvmb_bus_save(sample.vm.bus, &o);
	kvmb_ic_save(&ics, &o);
	same(&o, KVMB_SEC_STORAGE, 0);
	same(&o, KVMB_SEC_NET, 0);
	same(&o, KVMB_SEC_BUS, 0);
	for (i = KVMB_IC_IS_HEARTBEAT; i <= KVMB_IC_IS_TIMESYNC; i++)
		same(&o, KVMB_SEC_IC, i);
	kvmb_tlv_out_fini(&o);
}

/* The guest was in the midst of its life: channels that it had opened go on. */
static void channels_of_the_first_version_go_on(void **state)
{
	(void)state;
	assert_int_equal(load(sample.sections, sample.len), 0);
	kvmb_bus_resume(sample.vm.bus);
	fake_run(&sample.f);
}

/*
 * The guest may go on in another process, in the same memory (vmm/upgrade_out.h): control pages of
 * rings stay as it left them, whatever our threads do when they begin.
 */
static void loading_writes_nothing_to_guest_memory(void **state)
{
	const u64 *ram = (const u64 *)(void *)sample.vm.machine.gm.regions[0].hva;
	size_t i;

	(void)state;
	assert_int_equal(load(sample.sections, sample.len), 0);
	usleep(100000);
	for (i = 0; i < SAMPLE_RAM / sizeof(*ram) && !ram[i]; i++)
		;
	assert_int_equal(i, SAMPLE_RAM / sizeof(*ram));
	kvmb_bus_resume(sample.vm.bus);
	for (i = 0; i < SAMPLE_RAM / sizeof(*ram) && !ram[i]; i++)
		;
	assert_true(i < SAMPLE_RAM / sizeof(*ram)); /* what it would have been */
}

/* ---- what is refused ---- */

static size_t cut(u8 *buf, size_t at) /* the section at @at is left out. Return: bytes left */
{
	size_t end = at + TLV_SECTION_HEAD + tlv_u64(buf + at + 16);

	memmove(buf + at, buf + end, sample.len - end);
	return sample.len - (end - at);
}

static u8 *copy(void)
{
	u8 *buf = malloc(2 * sample.len);

	assert_non_null(buf);
	memcpy(buf, sample.sections, sample.len);
	return buf;
}

static void section_that_is_missing_twice_or_out_of_order_is_refused(void **state)
{
	size_t at, next, first;
	u8 *buf;

	(void)state;
	for (at = 0; at < sample.len; at = next) {
		next = at + TLV_SECTION_HEAD + tlv_u64(sample.sections + at + 16);
		buf = copy();
		assert_int_not_equal(load(buf, cut(buf, at)), 0);
		assert_non_null(strstr(why, "section"));
		free(buf);
		anew();
		buf = copy(); /* twice */
		memcpy(buf + next, sample.sections + at, sample.len - at);
		assert_int_equal(load(buf, sample.len + next - at), -EPROTO);
		assert_non_null(strstr(why, "section"));
		free(buf);
		anew();
		if (next == sample.len)
			break;
		buf = copy(); /* behind the next one */
		first = TLV_SECTION_HEAD + tlv_u64(sample.sections + next + 16);
		memcpy(buf + at, sample.sections + next, first);
		memcpy(buf + at + first, sample.sections + at, next - at);
		assert_int_equal(load(buf, sample.len), -EPROTO);
		assert_non_null(strstr(why, "section"));
		free(buf);
		anew();
	}
}

static void state_that_is_torn_is_refused_wherever(void **state)
{
	size_t len;
	u8 *buf;

	(void)state;
	for (len = 0; len < sample.len; len += len % 97 + 31) {
		buf = copy();
		assert_int_equal(load(buf, len), -EPROTO);
		assert_non_null(strstr(why, "section"));
		free(buf);
		anew();
	}
}

static void bit_that_flips_is_seen_wherever(void **state)
{
	size_t at;
	u8 *buf;

	(void)state;
	for (at = 0; at < sample.len; at += at % 89 + 41) {
		buf = copy();
		buf[at] ^= (u8)(1u << at % 8);
		assert_int_not_equal(load(buf, sample.len), 0);
		assert_true(why[0]);
		free(buf);
		anew();
	}
}

/* A section in front of all others. */
static void put_first(u32 tag, u32 flags, int err)
{
	struct kvmb_tlv_out o = { 0 };
	u8 *buf = copy();

	kvmb_tlv_begin(&o, tag, 0, flags);
	kvmb_tlv_put(&o, 1, 7);
	kvmb_tlv_end(&o);
	memmove(buf + o.len, buf, sample.len);
	memcpy(buf, o.buf, o.len);
	assert_int_equal(load(buf, sample.len + o.len), err);
	kvmb_tlv_out_fini(&o);
	free(buf);
	anew();
}

static void section_of_a_newer_version_is_skipped_unless_it_is_critical(void **state)
{
	(void)state;
	put_first(200, 0, 0);
	put_first(200, KVMB_TLV_CRITICAL, -EOPNOTSUPP);
}

/* Before those of synthetic NICs, of which one has the twin. */
static void section_of_a_legacy_nic_needs_one(void **state)
{
	struct kvmb_tlv_out o = { 0 };
	u8 *buf = copy();
	size_t at;

	(void)state;
	kvmb_tlv_begin(&o, KVMB_SEC_LEGACY, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&o, 1, 1);
	kvmb_tlv_end(&o);
	at = tlv_section(buf, sample.len, KVMB_SEC_NET, 0);
	memmove(buf + at + o.len, buf + at, sample.len - at);
	memcpy(buf + at, o.buf, o.len);
	assert_int_equal(load(buf, sample.len + o.len), -EPROTO);
	assert_string_equal(why, "section legacy 0: the VM has no such legacy NIC");
	anew();
	memcpy(buf, sample.sections, sample.len);
	at = tlv_section(buf, sample.len, KVMB_SEC_BUS, 0);
	memmove(buf + at + o.len, buf + at, sample.len - at);
	memcpy(buf + at, o.buf, o.len);
	assert_int_equal(load(buf, sample.len + o.len), -EPROTO);
	assert_non_null(strstr(why, "behind one that needs it"));
	kvmb_tlv_out_fini(&o);
	free(buf);
	anew();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(first_version_is_loaded_and_written_again_as_it_was),
		T(channels_of_the_first_version_go_on),
		T(loading_writes_nothing_to_guest_memory),
		T(section_that_is_missing_twice_or_out_of_order_is_refused),
		T(state_that_is_torn_is_refused_wherever),
		T(bit_that_flips_is_seen_wherever),
		T(section_of_a_newer_version_is_skipped_unless_it_is_critical),
		T(section_of_a_legacy_nic_needs_one),
	};

	kvmb_log_set_level(KVMB_LOG_ERR);
	sample_read(SAMPLE_STATE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
