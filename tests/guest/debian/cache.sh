# SPDX-License-Identifier: MIT
# For scripts to source: goes to the cache outside the tree (BULKHEAD_CACHE=DIR chooses it), which one script at a time may
# change, and fetches packages by name into it. Needs nothing but apt's package registry, and no root.

if [ "$(id -u)" = 0 ]; then
	cache=${BULKHEAD_CACHE:-/var/cache/bulkhead}
else
	cache=${BULKHEAD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bulkhead}
fi
mkdir -p "$cache"
cd "$cache"
exec 9>.lock
flock 9

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# Downloads package $1 unless a .deb of it is here already, and sets $deb. $2: a file of further apt options.
download() {
	deb=$(ls -t "$1"_*.deb 2>/dev/null | head -n 1)
	[ -z "$deb" ] || return 0
	echo "${0##*/}: downloading $1" >&2
	apt-get -qq ${2:+-c "$2"} -o APT::Sandbox::User=root download "$1" >&2 ||
		die "cannot download $1; run 'apt-get update' and check the package registry"
	deb=$(ls -t "$1"_*.deb | head -n 1)
}

# What package $1 depends on by the pattern $2: the real package behind a name that follows the newest version.
depends_on() {
	apt-cache ${3:+-c "$3"} depends "$1" 2>/dev/null | sed -n "s/^ *Depends: \($2\)\$/\1/p" | head -n 1
}
