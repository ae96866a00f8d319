// SPDX-License-Identifier: GPL-2.0-only
/* vmbus-core in the kernel: the same cases as in user space, tests/cases/. */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "tests/kunit/kunit_case.h"
#include "tests/cases/chanmsg_cases.h"
#include "tests/cases/icmsg_cases.h"
#include "tests/cases/ring_cases.h"
#include "tests/cases/rndis_cases.h"

#define RING_PAGES (1 + RING_SIZE / KVMB_PAGE_SIZE)

struct fixture {
	struct ring_pair p;
	struct page *pages[2 * RING_PAGES - 1]; /* control, data, data again */
};

static int ring_init(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	unsigned int i;

	if (!f)
		return -ENOMEM;
	test->priv = &f->p;
	for (i = 0; i < RING_PAGES; i++) {
		f->pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!f->pages[i])
			return -ENOMEM;
	}
	for (; i < ARRAY_SIZE(f->pages); i++)
		f->pages[i] = f->pages[i - (RING_PAGES - 1)];
	f->p.ctrl = vmap(f->pages, ARRAY_SIZE(f->pages), VM_MAP, PAGE_KERNEL);
	if (!f->p.ctrl)
		return -ENOMEM;
	f->p.data = f->p.ctrl + KVMB_PAGE_SIZE;
	return kvmb_ring_init(&f->p.w, f->p.ctrl, f->p.data, RING_SIZE, true) ?:
	       kvmb_ring_init(&f->p.r, f->p.ctrl, f->p.data, RING_SIZE, false);
}

static void ring_exit(struct kunit *test)
{
	struct fixture *f = test->priv ? container_of(test->priv, struct fixture, p) : NULL;
	unsigned int i;

	if (!f)
		return;
	vunmap(f->p.ctrl);
	for (i = 0; i < RING_PAGES; i++) {
		if (f->pages[i])
			__free_page(f->pages[i]);
	}
}

#define X(name) KUNIT_CASE(name),
static struct kunit_case ring_cases[] = { RING_CASES(X) {} };
static struct kunit_case chanmsg_cases[] = { CHANMSG_CASES(X) {} };
static struct kunit_case icmsg_cases[] = { ICMSG_CASES(X) {} };
static struct kunit_case rndis_cases[] = { RNDIS_CASES(X) {} };

static struct kunit_suite ring_suite = {
	.name = "kvmb_ring", .test_cases = ring_cases, .init = ring_init, .exit = ring_exit,
};
static struct kunit_suite chanmsg_suite = { .name = "kvmb_chanmsg", .test_cases = chanmsg_cases };
static struct kunit_suite icmsg_suite = { .name = "kvmb_icmsg", .test_cases = icmsg_cases };
static struct kunit_suite rndis_suite = { .name = "kvmb_rndis", .test_cases = rndis_cases };
kunit_test_suites(&ring_suite, &chanmsg_suite, &icmsg_suite, &rndis_suite);

MODULE_DESCRIPTION("kvmbus: KUnit suites of vmbus-core");
MODULE_LICENSE("GPL");
