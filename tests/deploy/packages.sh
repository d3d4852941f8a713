#!/bin/bash
# SPDX-License-Identifier: MIT
# The Debian packages, in a Debian that has never heard of them: lintian accepts them, they are installed, a machine runs, no unit
# is enabled, and when they are purged nothing is left. Minutes: part of `make soak`. Usage: packages.sh BUILD
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
[ "$(id -u)" = 0 ] || { echo 'packages.sh: needs root' && exit 1; }

"$here/../../systemd/debian/build.sh" "$build/deb"
root=$(mktemp -d /tmp/bh-debian.XXXXXX)
trap 'rm -rf "$root"' EXIT
"$here/debian.sh" "$root"

# What packages leave is not what dpkg itself and its logs note.
files() {
	(cd "$root" && find . -xdev \( -path ./var/lib/dpkg -o -path ./var/cache -o -path ./var/log -o -path ./tmp -o -path ./run \
		-o -path ./proc -o -path ./sys -o -path ./dev \) -prune -o -printf '%p %m %s %l\n' | sort)
}
inside() {
	"$here/fresh.sh" "$root" "$@"
}
fail() {
	echo "FAILED packages: $*"
	exit 1
}

before=$(files)
cp "$build"/deb/*.deb "$root/tmp"
inside sh -c 'dpkg -i /tmp/*.deb' >"$build/deb/install.log" 2>&1 || { cat "$build/deb/install.log" && exit 1; }
inside bulkhead version
inside bulkhead demo | tail -n 3 || fail 'no machine runs'
[ -x "$root/usr/libexec/bulkhead/bulkhead-seriald" ] || fail 'daemons are not in libexec'
[ -f "$root/lib/systemd/system/bulkhead@.service" ] || fail 'there is no unit'
[ -z "$(find "$root/etc/systemd" -name '*bulkhead*')" ] || fail 'a unit is enabled'
ls "$root"/usr/share/doc/bulkhead/architecture.md* >/dev/null || fail 'there are no pages'
inside dpkg-query -W -f '${Static-Built-Using}\n' bulkhead | grep -q 'libevent (= ' || fail 'Static-Built-Using'
inside dpkg --purge bulkhead bulkhead-doc >"$build/deb/purge.log" 2>&1 || { cat "$build/deb/purge.log" && exit 1; }
after=$(files)
[ "$before" = "$after" ] || { diff <(echo "$before") <(echo "$after") || fail 'something is left'; }
echo 'ok packages'
