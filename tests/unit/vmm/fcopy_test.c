// SPDX-License-Identifier: GPL-2.0-only
/* A file of the host comes into the guest, and what can go wrong with it on the host. */
#include "vmm/fcopy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"
#include "vmm/json_text.h"
#include "vmm/services.h"

#define SIZE 2500000u /* of the file: two blocks, and a part of one */

static struct vm vm;
static struct fake_vmm f;
static struct fake_chan c;
static u32 relid;
static u8 buf[16384] __attribute__((aligned(8)));
static u8 *content, *copied;
static u64 copied_to;
static u32 refuse_at; /* a WRITE is answered so, 0 = none */
static bool silent;
static json_t *result;
static char class[40], why[300];
static u32 answers;
static int file, pipe_end;

json_t *json_text(const char *s)
{
	return json_string(s);
}

static void answered(void *arg, json_t *r, const char *k, const char *text)
{
	(void)arg;
	answers++;
	json_decref(result);
	result = r;
	snprintf(class, sizeof(class), "%s", k ? k : "");
	snprintf(why, sizeof(why), "%s", text ? text : "");
}

static const struct ctl_reply reply = { .fn = answered };

static void send_answer(struct kvmb_icmsg *m, u32 status)
{
	u8 out[8192];

	m->flags = 5;
	m->status = status;
	fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, out, kvmb_icmsg_build(out, m));
	fake_run(&f);
}

/* The guest: takes what there is. Return: false: nothing. */
static bool serve(void)
{
	struct {
		struct kvmb_wire_ic_negotiate n;
		struct kvmb_wire_ic_version v[2];
	} a = { { cpu_to_le16(1), cpu_to_le16(1), 0 },
		{ { cpu_to_le16(3), 0 }, { cpu_to_le16(1), cpu_to_le16(1) } } };
	struct kvmb_wire_fcopy_write w;
	struct kvmb_icmsg m;
	struct kvmb_pkt pkt;
	u32 op = 0, status = 0;

	if (silent || fake_recv_within(&f, &c, buf, sizeof(buf), &pkt, 0))
		return false;
	assert_int_equal(kvmb_icmsg_parse(pkt.payload, pkt.payload_len, &m), 0);
	if (m.type == KVMB_IC_NEGOTIATE) {
		m.payload = (u8 *)&a;
		m.size = sizeof(a);
	} else {
		memset(&w, 0, sizeof(w));
		memcpy(&w, m.payload, m.size < sizeof(w) ? m.size : sizeof(w));
		op = le32_to_cpu(w.h.operation);
	}
	if (m.type != KVMB_IC_NEGOTIATE && op == KVMB_FCOPY_WRITE) {
		assert_true(le64_to_cpu(w.offset) + le32_to_cpu(w.size) <= SIZE);
		memcpy(copied + le64_to_cpu(w.offset), w.data, le32_to_cpu(w.size));
		copied_to = le64_to_cpu(w.offset) + le32_to_cpu(w.size);
		status = refuse_at && copied_to >= refuse_at ? 0x80070070 : 0;
	}
	send_answer(&m, status);
	return true;
}

static int setup(void **state)
{
	struct kvmb_wire_offer offer;
	char name[] = "/tmp/kvmbus-fcopy.XXXXXX";
	int ends[2];
	u32 i;

	(void)state;
	memset(&vm, 0, sizeof(vm));
	fake_init(&f, KVMB_VERSION_NEWEST);
	vm.loop = f.loop;
	vm.bus = f.bus;
	vm.state = VM_RUNNING;
	vm.cfg.name = "t";
	kvmb_log_set_level(KVMB_LOG_ERR);
	assert_int_equal(fcopy_create(&vm), 0);
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 1);
	relid = le32_to_cpu(offer.relid);
	assert_int_equal(fake_open(&f, &c, relid, 4), 0);
	silent = false;
	assert_true(serve());
	content = malloc(SIZE);
	copied = calloc(1, SIZE);
	assert_true(content && copied);
	for (i = 0; i < SIZE; i++)
		content[i] = (u8)(i * 31 + (i >> 10));
	file = mkstemp(name);
	assert_true(file >= 0);
	unlink(name);
	assert_int_equal(write(file, content, SIZE), SIZE);
	assert_int_equal(pipe(ends), 0);
	pipe_end = ends[1];
	answers = refuse_at = 0;
	copied_to = 0;
	result = NULL;
	*why = *class = 0;
	*state = (void *)(long)ends[0];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fcopy_destroy(&vm);
	assert_null(vm.copy);
	fake_unmap(&c);
	fake_rest(&f);
	services_destroy(&vm); /* the bus has let go of them */
	fake_fini(&f);
	close(pipe_end);
	free(content);
	free(copied);
	json_decref(result);
	return 0;
}

static void begin(void **state, json_int_t size)
{
	json_t *args = json_pack("{s:s, s:s, s:I, s:b}", "path", "/tmp", "name", "n", "size", size,
				 "overwrite", 1);

	fcopy_begin(&vm, args, file, (int)(long)*state, reply);
	json_decref(args);
}

static void until_answered(void)
{
	int i;

	for (i = 0; i < 30000 && !answers; i++) {
		if (!serve())
			kvmb_loop_once(f.loop, 1);
	}
	assert_int_equal(answers, 1);
}

static void fcopy_file_arrives(void **state)
{
	json_t *o;

	begin(state, SIZE);
	o = fcopy_info(&vm);
	assert_int_equal(json_integer_value(json_object_get(o, "total")), SIZE);
	json_decref(o);
	until_answered();
	assert_non_null(result);
	assert_int_equal(json_integer_value(json_object_get(result, "bytes")), SIZE);
	assert_memory_equal(copied, content, SIZE);
	o = fcopy_info(&vm);
	assert_true(json_is_null(o));
	json_decref(o);
}

static void fcopy_shorter_file_is_told(void **state)
{
	begin(state, SIZE);
	assert_int_equal(ftruncate(file, 1500000), 0);
	until_answered();
	/* the second block may have been read before */
	if (copied_to < SIZE)
		assert_non_null(strstr(why, "shorter"));
}

static void fcopy_shorter_than_it_says(void **state)
{
	begin(state, SIZE + 1);
	until_answered();
	assert_non_null(strstr(why, "the file has become shorter"));
	assert_string_equal(class, "failed");
}

static void fcopy_guest_refuses(void **state)
{
	refuse_at = 1200000;
	begin(state, SIZE);
	until_answered();
	assert_non_null(strstr(why, "0x80070070: the disk is full"));
	assert_null(strstr(why, "kept"));
}

static void fcopy_client_goes(void **state)
{
	begin(state, SIZE);
	assert_true(serve());
	close(pipe_end);
	pipe_end = open("/dev/null", O_RDONLY);
	until_answered();
	assert_non_null(strstr(why, "given up"));
	assert_true(copied_to < SIZE);
}

static void fcopy_is_switched_off_in_the_middle(void **state)
{
	json_t *args = json_object();

	begin(state, SIZE);
	assert_true(serve());
	services_set(&vm, "fcopy=off", (struct ctl_reply){ 0 });
	fake_run(&f);
	silent = true;
	until_answered();
	assert_non_null(strstr(why, "the guest's service has gone"));
	assert_false(services_on(&vm, SERVICE_FCOPY));
	file = open("/dev/null", O_RDONLY);
	fcopy_begin(&vm, args, file, dup(pipe_end), reply);
	assert_string_equal(class, "state");
	assert_string_equal(why, "the VM's service fcopy is off");
	json_decref(args);
}

static void fcopy_vm_ends_in_the_middle(void **state)
{
	begin(state, SIZE);
	silent = true;
	fcopy_destroy(&vm);
	assert_int_equal(answers, 1);
	assert_non_null(strstr(why, "has gone"));
}

static void fcopy_what_cannot_be_is_refused(void **state)
{
	json_t *args =
		json_pack("{s:s, s:s, s:I}", "path", "tmp", "name", "n", "size", (json_int_t)1);

	fcopy_begin(&vm, args, dup(file), dup((int)(long)*state), reply);
	assert_string_equal(class, "usage");
	json_object_set_new(args, "path", json_string("/tmp"));
	vm.state = VM_PAUSED;
	fcopy_begin(&vm, args, dup(file), dup((int)(long)*state), reply);
	assert_string_equal(class, "state");
	vm.state = VM_RUNNING;
	fcopy_begin(&vm, args, dup(file), dup(file), reply); /* no pipe */
	assert_string_equal(class, "usage");
	assert_int_equal(answers, 3);
	json_object_set_new(args, "size", json_integer(-5)); /* counts as empty */
	answers = 0;
	fcopy_begin(&vm, args, dup(file), dup((int)(long)*state), reply);
	fcopy_begin(&vm, args, file, (int)(long)*state, reply);
	assert_non_null(strstr(why, "another file"));
	answers = 0;
	until_answered();
	assert_non_null(result);
	fake_close(&f, &c);
	answers = 0;
	json_decref(args);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(fcopy_file_arrives),		T(fcopy_shorter_file_is_told),
		T(fcopy_shorter_than_it_says),	T(fcopy_guest_refuses),
		T(fcopy_client_goes),		T(fcopy_is_switched_off_in_the_middle),
		T(fcopy_vm_ends_in_the_middle), T(fcopy_what_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
