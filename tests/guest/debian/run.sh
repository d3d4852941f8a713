#!/bin/sh
# SPDX-License-Identifier: MIT
# The main job, for `make run`: boots Debian's kernel to a shell on this terminal. Without a terminal on stdin it runs
# a command in the guest, powers off, and leaves with the guest's outcome. Usage: run.sh BUILD [COMMAND]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1
command=${2:-}

eval "$("$here/fetch.sh")"
initrd=$build/tests/guest/debian-initrd.gz
"$here/mkinitrd.sh" "$BUSYBOX" "$build/tests/guest/guest-exit" "$initrd" "${KERNEL%/boot/*}"

if [ ! -t 0 ] && [ -z "$command" ]; then
	command="uname -a && cat /proc/uptime"
fi
exec "$build/vmm/bulkhead" run --kernel "$KERNEL" --initrd "$initrd" --memory 512M --name "run-$$" --exec "$command"
