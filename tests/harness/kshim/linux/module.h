/* SPDX-License-Identifier: GPL-2.0-only */
/* For a guest half in a test: kshim.h. */
#include "tests/harness/kshim/kshim.h"
