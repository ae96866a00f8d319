/* SPDX-License-Identifier: GPL-2.0-only */
/* cmocka and the headers that it wants before it. */
#ifndef KVMB_TEST_H
#define KVMB_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
