#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: bench.sh BUILD [NAME...]: see bench.py.
exec python3 "$(dirname "$0")/bench.py" "$@"
