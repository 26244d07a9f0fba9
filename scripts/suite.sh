# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Other Debian suites as chroots, and kernel sources. Sourced after lib.sh.
# shellcheck disable=SC2154  # which sets these

suite_there() {
	[ "$1" = "$host_suite" ] || [ -e "$cache/suites/$1/.complete" ]
}

# Where this machine gets SUITE (a pattern) from; empty if it does not. apt's own answer, so that neither the layout
# of its files nor the mirror matters.
mirror_of() {
	# shellcheck disable=SC2016  # apt expands these
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
		awk -v suite="$1" '$2 == suite { print $1; exit }'
}

# Where other suites come from, too: sets main and security.
suite_mirrors() {
	main=$(mirror_of "$host_suite")
	security=$(mirror_of "$host_suite-security")
	[ -n "$main" ] || die "apt's configuration names no mirror for $host_suite"
}

suite_root() { [ "$1" = "$host_suite" ] || echo "$cache/suites/$1"; }

# What keeps a chroot small: of documents and kernels, only what modules are built with.
suite_settings() {
	local root=$1
	as_root mkdir -p "$root/etc/dpkg/dpkg.cfg.d" "$root/etc/apt/apt.conf.d"
	printf 'path-exclude=%s\n' '/boot/*' '/lib/modules/*/kernel/*' '/usr/lib/modules/*/kernel/*' '/usr/lib/modules/*/vmlinuz' \
		'/usr/share/doc/*' '/usr/share/man/*' '/usr/share/locale/*' |
		as_root tee "$root/etc/dpkg/dpkg.cfg.d/uksm" >/dev/null
	printf '%s;\n' 'Acquire::GzipIndexes "true"' 'Acquire::Languages "none"' 'Dir::Cache::srcpkgcache ""' \
		'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb" }' |
		as_root tee "$root/etc/apt/apt.conf.d/99uksm" >/dev/null
}

# suite_expired SUITE MIRROR: a mirror that is no longer updated still has the suites that change from day to day, but apt finds them expired.
suite_expired() {
	local file until
	case $1 in testing | unstable | sid) ;; *) return 1 ;; esac
	file=$(mktemp -d)
	/usr/lib/apt/apt-helper download-file "${2%/}/dists/$1/InRelease" "$file/InRelease" >/dev/null 2>&1 || true
	until=$(sed -n 's/^Valid-Until: //p' "$file/InRelease" 2>/dev/null || true)
	rm -rf "$file"
	[ -n "$until" ] && [ "$(date +%s)" -gt "$(date -d "$until" +%s)" ] || return 1
	say "the mirror's list of Debian $1 has expired ($until): its packages may be old, and are used all the same"
}

# suite_get SUITE: make its chroot, with a compiler, if it is not this machine's suite.
suite_get() {
	local suite=$1 root=$cache/suites/$1 main security part settings
	[ "$suite" = "$host_suite" ] && return
	if suite_there "$suite"; then
		[ -e "$root/etc/apt/apt.conf.d/99uksm" ] || suite_settings "$root"
		return
	fi
	(
		lock "suite-$suite"
		suite_there "$suite" && exit
		"$top/scripts/deps.sh" suite
		suite_mirrors
		say "making a chroot of Debian $suite in $root"
		mkdir -p "$cache/suites"
		part=$cache/suites/.$suite
		as_root rm -rf "$part"
		settings=$(mktemp -d)
		suite_settings "$settings"
		set --
		! suite_expired "$suite" "$main" || set -- --aptopt='Acquire::Check-Valid-Until "false"'
		set -- "$@" "$suite" "$part" "deb $main $suite main"
		case $suite in
		testing | unstable | sid) ;;
		*)
			set -- "$@" "deb $main $suite-backports main"
			[ -z "$security" ] || set -- "$@" "deb $security $suite-security main"
			;;
		esac
		if ! as_root mmdebstrap -q --variant=apt --include=gcc,make,libc6-dev,kmod \
			--setup-hook="cp -r '$settings/.' \"\$1\"" "$@"; then
			as_root rm -rf "$part"
			say "no chroot of Debian $suite: does the mirror have it?"
			exit 3
		fi
		as_root rm -rf "$part"/usr/share/{doc,man,locale} # of what came before dpkg did
		as_root cp /etc/resolv.conf "$part/etc/"
		as_root touch "$part/.complete"
		as_root mv -T "$part" "$root"
		quietly in_suite "$suite" apt-get -qq update
	)
}

# suite_update SUITE [now]: have the suite's lists no older than some hours. Without a network the old ones must do.
suite_update() {
	local stamp=$cache/suites/.$1.updated
	mkdir -p "$cache/suites"
	[ -n "${2-}" ] || [ -z "$(find "$stamp" -mmin -240 2>/dev/null)" ] || return 0
	(
		lock "apt-$1"
		quietly in_suite "$1" apt-get -qq update && touch "$stamp"
	) || say "the package lists of $1 could not be brought up to date"
}

# linux_source SERIES: unpack that kernel's source package into the cache and print where it is.
linux_source() {
	local src=$cache/src/linux-$1 part
	if ! [ -d "$src" ]; then
		(
			lock "source-$1"
			! [ -d "$src" ] || exit
			[ -e "/usr/src/linux-source-$1.tar.xz" ] || say "fetching and unpacking linux-source-$1"
			apt_install "$host_suite" "linux-source-$1" xz-utils
			mkdir -p "$cache/src"
			part=$(mktemp -d "$cache/src/.XXXXXX")
			tar -xf "/usr/src/linux-source-$1.tar.xz" --strip-components=1 -C "$part"
			chmod 755 "$part"
			mv -T "$part" "$src"
		)
	fi
	echo "$src"
}
