# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What the scripts share: where things are, and how they speak. Sourced, not run.
#
# Everything that is fetched or built lives in the cache, never in the checkout:
#   kernels/NAME/    a kernel to boot (see kernel.sh)     build/  modules and test programs, by checkout
#   suites/SUITE/    a chroot of another Debian suite     logs/   what failed guests said

set -euo pipefail
trap 'echo "${0##*/}: line $LINENO: failed" >&2' ERR # -e alone would end without a word

# shellcheck disable=SC2034  # those who source this use them
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${UKSM_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/uksm}
work=$cache/build/$(cksum <<<"$top" | cut -d ' ' -f 1)
mkdir -p "$cache/lock" "$cache/logs" "$work"

# What no run may leave in the kernel's log. Not "Call Trace": the OOM killer and fault injection write one, too.
# Nor "memory corruption": so the kernel calls a page that a test has poisoned.
# shellcheck disable=SC2034
bad='WARNING:|BUG:|kernel BUG at|Oops|general protection fault|Bad rss-counter|Bad page|KASAN|UBSAN|suspicious RCU'
bad+='|possible (circular|recursive) locking|INFO: (task|rcu|lockdep|trying|possible)|soft lockup|[^y] corruption'
bad+='|kmemleak: [0-9]+ new|bad: scheduling|refcount_t:|uksm: inconsistent'

say() { echo "$*" >&2; }
die() { echo "${0##*/}: $*" >&2; exit 1; }

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

need_root() {
	[ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -v; } ||
		die "this needs root, and you cannot use sudo: run it as root"
}

package_installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Take the lock NAME until this shell ends: one at a time may fetch or build one thing.
lock() {
	local fd
	exec {fd}>"$cache/lock/${1//\//_}"
	flock "$fd"
}

# Run a command whose output only matters when it fails.
quietly() {
	local log rc=0
	log=$(mktemp)
	"$@" >"$log" 2>&1 </dev/null || rc=$?
	[ $rc = 0 ] || { say "failed: $*"; tail -n 40 "$log" >&2; }
	rm -f "$log"
	return $rc
}

# apt, in this machine or in a suite's chroot. Package lists may be missing or older than the archive, so what fails
# is tried once more after an update.
apt_retry() {
	local suite=$1
	shift
	(
		lock "apt-$suite"
		in_suite "$suite" "$@" >/dev/null 2>&1 </dev/null && exit
		quietly in_suite "$suite" apt-get -qq update
		quietly in_suite "$suite" "$@"
	)
}

apt_install() {
	local suite=$1
	shift
	apt_retry "$suite" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 install -y \
		--no-install-recommends "$@"
}

# The suite this machine runs, in which no chroot is needed.
host_suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-unknown}")

# in_suite SUITE command...: run as root where that suite's compiler and headers are: on this machine if it is of the
# suite, else in its chroot, with /proc (objtool needs it) and the cache at the same paths, in a mount namespace of
# its own so that nothing stays mounted.
in_suite() {
	local suite=$1
	shift
	if [ "$suite" = "$host_suite" ]; then
		as_root "$@"
		return
	fi
	# shellcheck disable=SC2016  # the inner shell expands these
	as_root env "root=$cache/suites/$suite" "cache=$cache" unshare -m sh -c '
		mount -t proc proc "$root/proc"
		mkdir -p "$root$cache"
		mount --rbind "$cache" "$root$cache"
		exec chroot "$root" "$@"' sh env -u root -u cache HOME=/root TMPDIR=/tmp PATH="$PATH" "$@"
}
