#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/deps.sh build|vm|arm64|disk|kernel|suite|check|symbols|dkms...
# Install the packages that a purpose needs and this machine lacks. Says so; silent when there is nothing to do.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

packages() {
	case $1 in
	build) echo gcc make libc6-dev ;;
	unit) echo gcc make libc6-dev libxxhash-dev ;;
	vm) echo gcc make libc6-dev qemu-system-x86 busybox-static cpio kmod xz-utils zstd ;;
	arm64) echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross make qemu-system-arm ;;
	kernel) echo gcc make libc6-dev flex bison bc libelf-dev libssl-dev xz-utils kmod ;; # to build one
	suite) echo mmdebstrap ;;
	disk) echo e2fsprogs ;;
	bench) echo gnuplot-nox binutils ;;
	secureboot) echo ovmf sbsigntool openssl e2fsprogs xz-utils ;;
	check) echo gcc make sparse coccinelle shellcheck clang-format git perl python3 binutils xz-utils ;;
	symbols) echo gcc make libc6-dev gzip xz-utils zstd lz4 ;;
	dkms) echo dkms openssl ;; # openssl: for the key that DKMS signs with
	*) die "unknown purpose: $1" ;;
	esac
}

missing=()
for purpose; do
	list=$(packages "$purpose")
	for p in $list; do
		package_installed "$p" || missing+=("$p")
	done
done
[ ${#missing[@]} -gt 0 ] || exit 0
command -v apt-get >/dev/null || die "needs these packages, and there is no apt-get to install them: ${missing[*]}"
say "installing for $*: ${missing[*]}"
apt_install "$host_suite" "${missing[@]}"
