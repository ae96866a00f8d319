#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What documents and comments say of the tree is true (docs.py), and the check can fail (docs-selftest).
cd "$(dirname "$0")" || exit 1
./docs-selftest && ./docs.py
