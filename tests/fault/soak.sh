#!/bin/sh
# SPDX-License-Identifier: MIT
# The long form: the whole fault matrix, thousands of deaths under load, and a storm of deaths under guests that check each
# answer, and machines that are moved; prints what was injected and what arrived.
# Usage: [STORM_KILLS=10000] [SOAK_MOVES=300] soak.sh BUILD [KILLS] [SEED]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
BUILD=$(cd "$1" && pwd)
SOURCE=$(cd "$here/../.." && pwd)
SOAK_KILLS=${2:-3000}
SOAK_SEED=${3:-$(date +%s)}
PYTHONPATH=$SOURCE/tests/e2e
PYTHONDONTWRITEBYTECODE=1
STORM_KILLS=${STORM_KILLS:-10000}
STORM_SEED=$SOAK_SEED
export STORM_KILLS STORM_SEED BUILD SOURCE SOAK_KILLS SOAK_SEED PYTHONPATH PYTHONDONTWRITEBYTECODE
echo "soak: the matrix, $SOAK_KILLS kills, then a storm of $STORM_KILLS, with seed $SOAK_SEED"
python3 "$here/recovery.py" matrix_full matrix_full_several soak_kills
python3 "$here/screen.py" matrix_full
python3 "$here/display.py" matrix_full
python3 "$here/keyboard.py" matrix_full
python3 "$here/storm.py" soak
exec python3 "$here/move.py" soak
