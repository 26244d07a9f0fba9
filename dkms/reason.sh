#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage: dkms/reason.sh make.log
# Print why a build failed, in one line: what uksm itself says about the kernel, or else the first error.

for pattern in '#error|\*\*\* uksm' ' error: ' '\*\*\* |[Ee]rror'; do
	line=$(grep -aEm 1 -- "$pattern" "$1" 2>/dev/null) && break
done
printf '%s\n' "${line:-$1 names no error}" | tr -cd '[:print:]\n' |
	sed -E 's|^.*/uksm/[^/ ]+/build/||; s/^[^ ]+: error: #error "?(.*[^"])"?$/\1/; s/^.*\*\*\* (uksm)/\1/; s/ +Stop\.$//' |
	cut -c 1-240
