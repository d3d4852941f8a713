#!/bin/sh
# SPDX-License-Identifier: MIT
# The long form: the whole fault matrix, then thousands of deaths under load; prints what was injected and what arrived.
# Usage: soak.sh BUILD [KILLS] [SEED]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
BUILD=$(cd "$1" && pwd)
SOURCE=$(cd "$here/../.." && pwd)
SOAK_KILLS=${2:-3000}
SOAK_SEED=${3:-$(date +%s)}
PYTHONPATH=$SOURCE/tests/e2e
PYTHONDONTWRITEBYTECODE=1
export BUILD SOURCE SOAK_KILLS SOAK_SEED PYTHONPATH PYTHONDONTWRITEBYTECODE
echo "soak: the matrix, then $SOAK_KILLS kills with seed $SOAK_SEED"
exec python3 "$here/recovery.py" matrix_full soak_kills
