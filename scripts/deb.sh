#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/deb.sh [-l] [SUITE]
# make deb: build the package uksm-dkms on this machine, or in the chroot of another Debian suite, and print its path,
# which is in the cache. One that was built in an older suite can be installed in a newer one. -l: lintian must have no
# errors or warnings.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/suite.sh
. "$top/scripts/suite.sh"

lint=
[ "${1-}" != -l ] || { lint=lintian; shift; }
suite=${1:-$host_suite}
out=$cache/deb/$suite
build=$work/deb-$suite

suite_get "$suite"
apt_install "$suite" build-essential dpkg-dev debhelper dh-dkms $lint
lock "${build//\//_}"

as_root rm -rf "$build"
mkdir -p "$build/uksm" "$out"
cd "$top"
git ls-files -z -co --exclude-standard Kbuild dkms.conf README.md dkms src include boot docs scripts debian |
	xargs -0 cp -P --parents -t "$build/uksm"
# shellcheck disable=SC2016  # the inner shell expands it
quietly in_suite "$suite" sh -c 'cd "$1" && dpkg-buildpackage -us -uc' sh "$build/uksm"
[ -z "$lint" ] || in_suite "$suite" lintian --allow-root --display-info --fail-on error,warning \
	"$build"/uksm_*.changes >&2
as_root cp "$build"/*.deb "$out/"
deb=$(cd "$build" && echo uksm-dkms_*.deb)
echo "$out/$deb"
