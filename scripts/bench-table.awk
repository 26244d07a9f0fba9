# SPDX-License-Identifier: GPL-2.0
# The table of make bench, from figures.csv: a row for each figure and load, with the target where there is one.

function value(load, which, name) {
	if (!((load, which, name) in n))
		return -1
	return sum[load, which, name] / n[load, which, name]
}

function number(x) {
	if (x < 0)
		return "-"
	if (x >= 1e6)
		return sprintf("%.1f M", x / 1e6)
	return sprintf(x >= 1000 ? "%.0f" : x >= 10 ? "%.1f" : "%.3f", x)
}

function ratio(a, b) {
	if (a < 0 || b <= 0)
		return "-"
	if (a == b)
		return "1"
	return a <= 0 ? "0" : a < b ? sprintf("1/%.1f", b / a) : sprintf("%.1f", a / b)
}

# how, limit: of uksm's value ("<=", ">="), of its ratio to ksmd's ("ratio"), no less than ksmd's ("ksmd"); "" is no target
function row(title, load, a, b, how, limit,   met, target, x) {
	if (a < 0 && b < 0)
		return
	met = ""
	target = ""
	if (how != "" && (b >= 0 || (how != "ratio" && how != "ksmd")) && ("uksm" in systems)) {
		x = how == "ratio" ? (b > 0 ? a / b : 1e9) : a
		target = how == "ratio" ? "1/" limit : how == "ksmd" ? ">= ksmd" : how " " limit
		met = a >= 0 && (how == "ksmd" ? a >= b : how == ">=" ? x >= limit : how == "<=" ? x <= limit : x <= 1 / limit)
		targets[met]++
		if (!met)
			missed[title, load]
		met = met ? "met" : "NOT met"
	}
	printf "%-46s %-12s %10s %10s %8s %8s  %s\n", title, load, number(a), number(b), ratio(a, b), target, met
}

function both(title, load, name, how, limit) {
	row(title, load, value(load, "uksm", name), value(load, "ksmd", name), how, limit)
}

# One figure for each of another.
function per(title, load, name, each, how, limit,   a, b) {
	a = value(load, "uksm", name) < 0 ? -1 : value(load, "uksm", name) / value(load, "uksm", each)
	b = value(load, "ksmd", name) < 0 ? -1 : value(load, "ksmd", name) / value(load, "ksmd", each)
	row(title, load, a, b, how, limit)
}

# What a target that is not met comes up against, as far as the figures say.
function why(title, load, text) {
	if ((title, load) in missed)
		printf "%s, %s: %s\n", title, load, text
}

function reasons(   before, pages, l) {
	before = value("unique", "uksm", "metadata_before")
	pages = value("unique", "uksm", "pages")
	if (before > 0 && pages > 0)
		why(memory_title, "unique", sprintf("%.0f KB, %.1f bytes a page, were there before the load; with 8 times the memory " \
			"that is %.1f (GROWTH=4)", before / 1000, before / pages, before / pages / 8))
	why(soon_title, "mixed", "a page has to be still for 20 ms; with all of the work done at once the last ones wait for that")
	for (l in threads)
		why(threads_title, threads[l], sprintf("two processes that share nothing were %.2f times as fast here at that time",
			value(threads[l], "uksm", "two_processors_median")))
}

FNR > 1 {
	systems[$2]
	sum[$1, $2, $4] += $5
	n[$1, $2, $4]++
}

END {
	printf "%-46s %-12s %10s %10s %8s %8s\n", "", "load", "uksm", "ksmd", "ratio", "target"
	soon_title = "ms to 95 % of the ideal saving, CPU its own"
	split("mixed duplicate zero huge small large small500 guests interpreters", merging, " ")
	for (i = 1; i in merging; i++) {
		l = merging[i]
		both("CPU per page saved", l, "cpu_per_saved", l == "mixed" ? "ratio" : "", 8)
	}
	for (i = 1; i in merging; i++) {
		l = merging[i]
		both(soon_title, l, "ms_to_95", l == "mixed" ? "ratio" : "", 8)
	}
	for (i = 1; i in merging; i++) {
		l = merging[i]
		both("CPU per round, nothing changes", l, "cpu_per_round", l == "mixed" ? "ratio" : "", 100)
	}
	both("CPU per round, nothing changes", "unique", "cpu_per_round", "ratio", 100)
	both("CPU per unique page seen for the first time", "unique", "cpu_per_unique", "ratio", 4)
	# the sample's length is that of src/digest.c
	if (value("reads", "uksm", "samples") >= 0) {
		row("bytes read of a unique page", "reads", (256 * value("reads", "uksm", "samples") + \
			4096 * value("reads", "uksm", "full")) / value("reads", "uksm", "unshared"), -1, "<=", 512)
	} else if (("reads", "uksm", "unshared") in n) {
		print "bytes read of a unique page: not counted, there is no function uksm_digest_sample to probe"
		targets[0]++
	}
	both("CPU per page and round, rewritten in each", "rewritten", "cpu_per_page", "ratio", 3)
	both("CPU per page and round, rewritten all the time", "volatile", "cpu_per_page", "ratio", 3)
	per("TLB flushes per page merged, dense", "dense", "flushes", "saved", "ratio", 20)
	per("notifier pairs per page merged, dense", "dense_vm", "notifications", "saved", "ratio", 20)
	memory_title = "own memory, bytes per unique page"
	per(memory_title, "unique", "metadata", "pages", "<=", 12)
	per("own memory, bytes per page of the load", "mixed", "metadata", "pages", "", 0)
	both("ms per round over 32 TiB, a page in each", "sparse", "ms_per_round", "<=", 10)
	if (value("sparse", "ksmd", "ms_per_round") < 0)
		both("  ... ksmd: at least", "sparse", "ms_per_round_at_least", "", 0)
	row("slow-down of a program beside it, % (own CPU)", "beside", value("beside", "uksm", "slow_down_percent"),
		value("beside", "ksmd", "slow_down_percent"), "<=", 3)
	row("  p99 of its requests, times that without", "beside", value("beside", "uksm", "p99_times"),
		value("beside", "ksmd", "p99_times"), "<=", 1.1)
	threads_title = "two scan threads, times as fast as one: median"
	split("unique mixed", threads, " ")
	for (i = 1; i in threads; i++) {
		l = threads[i]
		row(threads_title, l, value(l, "uksm", "two_threads_median"), -1, ">=", 1.8)
		row("  best by best", l, value(l, "uksm", "two_threads_best"), -1, "", 0)
		row("  two processes that share nothing, median", l, value(l, "uksm", "two_processors_median"), -1, "", 0)
		row("  best by best", l, value(l, "uksm", "two_processors_best"), -1, "", 0)
		row("  the second thread\047s part of the work, %", l, value(l, "uksm", "second_percent"), -1, "", 0)
		row("  instructions of both, times those of one", l, value(l, "uksm", "two_threads_work"), -1, "", 0)
	}
	for (i = 1; i in merging; i++) {
		l = merging[i]
		both("saved, % of the ideal", l, "saved_percent", ">=", 99)
		if (value(l, "ksmd", "saved") > 0)
			row("  pages saved, no less than ksmd", l, value(l, "uksm", "saved"), value(l, "ksmd", "saved"), "ksmd", 0)
	}
	print ""
	print "not measured here: what the scan does to the caches of others, the boot storm"
	reasons()
	printf "%d targets met, %d not\n", targets[1], targets[0]
}
