#!/bin/sh
# SPDX-License-Identifier: MIT
# One part of the software suite, run alike on the host and in the guest; what it prints must not depend on where. Every line
# is prefixed by the part, and numbers of the machine (times, sizes of memory) are left out.
# Usage: run.sh DIR PART [LONG]: DIR holds the programs, LONG is 1 or, for `make software`, more.
set -u
dir=$1
part=$2
long=${3:-1}
export LC_ALL=C PATH=/usr/bin:/bin:/usr/sbin:/sbin PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# A title for what follows, so that a difference is found quickly.
say() {
	echo "# $*"
}

# A command that must succeed; its output is shown.
must() {
	"$@" 2>"$work/errors"
	status=$?
	[ $status = 0 ] || echo "FAILED with status $status: $*: $(tail -n 3 "$work/errors")"
}

# Text and noise: about 300 KB each.
make_data() {
	dd if=/dev/zero bs=1000 count=$((300 * long)) 2>/dev/null | openssl enc -aes-128-ctr -K 00 -iv 00 2>/dev/null >noise
	seq 1 $((45000 * long)) >text
	cat "$dir"/*.sh "$dir"/*.py text text noise >mixed
}

x87() {
	must "$dir/x87"
	must "$dir/bignum"
}

# glibc.cpu.hwcaps of glibc 2.36: the names of its own manual (Hardware Capability Tunables).
strings() {
	say "as the processor is"
	must "$dir/strings"
	for off in -AVX512F,-AVX512VL,-AVX512BW -AVX512VL,-AVX2,-ERMS,-FSRM -AVX2,-AVX,-ERMS -AVX2,-AVX,-SSE4_2,-SSSE3 \
		-RTM,-BMI2 Prefer_No_VZEROUPPER Prefer_ERMS Prefer_No_AVX512_Probing; do
		say "$off"
		must env GLIBC_TUNABLES="glibc.cpu.hwcaps=$off" "$dir/strings"
	done
	must env GLIBC_TUNABLES="glibc.cpu.x86_rep_movsb_threshold=2048:glibc.cpu.x86_non_temporal_threshold=16448" "$dir/strings"
}

# The two words are leaf 1 EDX and ECX, leaf 7 EBX and ECX; ~ takes bits away (OPENSSL_ia32cap(3)). In turn: all there is;
# no AVX-512, VAES, VPCLMULQDQ; no SHA; no BMI and ADX; AVX but nothing of leaf 7; no AVX; nor AES and PCLMULQDQ; nor SSSE3;
# AVX without AES and PCLMULQDQ; no VAES and VPCLMULQDQ. Not AVX off and AVX2 on: then ChaCha20-Poly1305 is wrong on any
# processor.
openssl_caps='none
:~0x600d8230000
:~0x20000000
:~0x80108
:0
~0x1000000000000000:0
~0x1200000200000000:0
~0x1200020200000000:0
~0x200000200000000
:~0x60000000000'

openssl_run() {
	if [ "$caps" = none ]; then
		must "$@"
	else
		must env OPENSSL_ia32cap="$caps" "$@"
	fi
}

openssl_keys() {
	openssl_run openssl dgst -sha256 -sign "$dir/rsa.pem" -out sig mixed
	openssl_run openssl dgst -sha256 -prverify "$dir/rsa.pem" -signature sig mixed
	must sha256sum sig
	openssl_run openssl pkeyutl -sign -inkey "$dir/ed25519.pem" -rawin -in text -out sig
	must sha256sum sig
	for curve in p256 p384 x25519; do
		openssl_run openssl pkeyutl -derive -inkey "$dir/$curve.pem" -peerkey "$dir/$curve-peer.pem" -out shared
		must sha256sum shared
	done
	openssl_run openssl dgst -sha512 -hmac key mixed
}

openssl_part() {
	make_data
	for caps in $openssl_caps; do
		say "OPENSSL_ia32cap $caps"
		openssl_run "$dir/crypto"
		case $long$caps in
		1none | 1:~0x80108 | 1:0 | 1~0x1000000000000000:0) openssl_keys ;; # each way that big numbers are multiplied in
		1*) ;;
		*) openssl_keys ;;
		esac
	done
}

compression() {
	make_data
	for program in "gzip -n -1" "gzip -n -9" "xz -1 -T1" "xz -6e -T1" "zstd -q -1" "zstd -q -9" "zstd -q -15 --check"; do
		[ "$long" -gt 1 ] || case $program in *-6e*|*-15*) continue ;; esac
		for file in mixed noise; do
			say "$program $file"
			must $program -c "$file" >packed
			must sha256sum packed
			must ${program%% *} -dc packed >again
			cmp "$file" again && echo same
		done
	done
	for sum in md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum; do
		must $sum mixed
	done
	sort -r text >sorted && must md5sum sorted
	awk '{ s += $1 * 1.5; t += sqrt($1) } END { printf "%.9g %.15g\n", s, t }' text
}

python() {
	say "libm as the processor is"
	must python3 "$dir/pynumbers.py" "$long"
	for off in -FMA,-FMA4,-AVX2 -FMA,-FMA4,-AVX2,-AVX; do
		say "libm with $off"
		must env GLIBC_TUNABLES="glibc.cpu.hwcaps=$off" python3 "$dir/pynumbers.py" "$long"
	done
	[ "$long" -gt 1 ] || return 0
	say "Python's own tests"
	for t in test_float test_math test_cmath test_long test_int test_complex test_struct test_decimal test_zlib test_hashlib \
		test_fractions test_array test_unicode test_statistics; do
		python3 -m test -u none $t >out 2>&1
		echo "$t: status $?, $(grep -c '^test.* failed' out) failed"
	done
}

# --verify makes a stressor fail when what it computes is not what it should be.
stress() {
	# shellcheck disable=SC2046 # words
	set -- $(stress-ng --cpu-method which 2>&1 | sed 's/.*one of: all //')
	# All methods in turn by one process, or each by a process of its own.
	if [ "$long" = 1 ]; then
		stress-ng --cpu 1 --cpu-method all --cpu-ops $# --timeout 600 --verify >out 2>&1
		echo "cpu, $# methods: status $?, $(grep -c 'fail' out) failures"
		set --
	fi
	for method; do
		stress-ng --cpu 1 --cpu-method "$method" --cpu-ops $((2 * long)) --timeout 600 --verify >out 2>&1
		echo "cpu $method: status $?, $(grep -c 'fail' out) failures"
	done
	for stressor in fp vecfp vecmath vecwide vecshuf matrix memcpy str wcs hash crypt zlib qsort bsearch prefetch atomic x86cpuid; do
		stress-ng --"$stressor" 1 --"$stressor"-ops $((2 * long)) --timeout 600 --verify >out 2>&1
		echo "$stressor: status $?, $(grep -c 'fail' out) failures"
	done
}

# Only in a guest: what processors do to each other. cpu-online takes them away and gives them back.
several() {
	echo "# $(nproc) processors"
	for one in ${STRESSORS:-atomic:400 futex:2000 mutex:2000 membarrier:200 tlb-shootdown:20 fork:200 mmap:8 sem:20000 pipe:20000 cpu-online:12}; do
		stressor=${one%:*}
		stress-ng --"$stressor" 4 --"$stressor"-ops $((${one#*:} * long)) --timeout 600 --verify >out 2>&1
		echo "$stressor: status $?, $(grep -c 'fail' out) failures, $(cut -d. -f1 </proc/uptime)"
	done
}

case $part in
openssl) openssl_part ;;
x87 | strings | compression | python | stress | several) $part ;;
*) echo "no such part: $part" >&2; exit 2 ;;
esac
