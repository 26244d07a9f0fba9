// SPDX-License-Identifier: GPL-2.0
/* vm: noload timeout=300 append="kmemleak=on" */
/*
 * Loading without memory, on a kernel with fault injection (the debug kernel): the
 * first allocation of the module's init fails, then the second, and so on until
 * a load needs no more. Each failed load says so, leaves nothing, and the next one
 * works.
 *
 * Most allocations by far are for files, also those that the kernel makes for each
 * slab cache; of them one in seventeen is tried.
 */
#include "lib_faults.h"

#define KMEMLEAK "/sys/kernel/debug/kmemleak"

static void unload(void)
{
	int err;

	if (!WAIT_FOR((err = sysfs_write("run", "2")) == 0 &&
			      (err = module_unload()) == 0,
		      20))
		FAIL("unload: %s", strerror(-err));
}

static void fail_nth(unsigned int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	CHECK_EQ(file_write("/proc/thread-self/fail-nth", text), 0);
}

/*
 * What kmemleak finds, but for what kmem_cache_create() loses itself when it fails:
 * the name of its directory (sysfs_slab_add() lets go of no kobject).
 */
static void nothing_lost(void)
{
	static char found[1 << 18];
	char *at, *next;
	int i;

	/* an object has to be some seconds old to be called lost */
	for (i = 0; i < 2; i++) {
		msleep(6000);
		CHECK_EQ(file_write(KMEMLEAK, "scan"), 0);
	}
	CHECK_OP(file_read(KMEMLEAK, found, sizeof(found)), >=, 0);
	for (at = strstr(found, "unreferenced"); at; at = next) {
		next = strstr(at + 1, "unreferenced");
		if (next)
			next[-1] = '\0';
		if (strstr(at, "kmem_cache_create"))
			continue;
		note("%.380s", at);
		if (strlen(at) > 380)
			note("%.380s", at + 380);
		FAIL("kmemleak has found something");
	}
}

/* One load without its @n-th allocation. Return: false if it needs no such. */
static bool load_without(unsigned int n, unsigned int *refused)
{
	long long left;
	int err;

	fail_nth(n);
	err = module_load("");
	left = file_num("/proc/thread-self/fail-nth");
	fail_nth(0);
	if (err && err != -ENOMEM)
		FAIL("without allocation %u the load says %s", n,
		     strerror(-err));
	if (left && err)
		FAIL("load with all it needs: %s", strerror(-err));
	if (err)
		++*refused;
	else
		unload();
	CHECK(!module_loaded());
	CHECK(access("/sys/kernel/mm/uksm", F_OK) != 0);
	return !left;
}

/* All loads without their @first-th allocation, and every @step-th from there on. */
static void sweep(const char *what, unsigned int first, unsigned int step)
{
	unsigned int n, loads = 0, refused = 0;

	for (n = first; load_without(n, &refused); n += step)
		loads++;
	note("%s: %u allocations, %u loads without one of them, %u of these refused",
	     what, n - 1, loads, refused);
	CHECK_OP(refused, >=, 10);
}

static void at_load(void)
{
	static const char *const attr[] = { "failslab", "fail_page_alloc" };
	size_t i;

	faults_need();
	file_write(KMEMLEAK, "clear");
	for (i = 0; i < ARRAY_SIZE(attr); i++) {
		faults_common(attr[i]);
		/* the module's own init is what runs under this */
		faults_range(attr[i], "require-start", "require-end",
			     "do_one_initcall");
		faults_range(attr[i], "reject-start", "reject-end",
			     "internal_create_group");
	}
	sweep("all but files", 1, 1);
	for (i = 0; i < ARRAY_SIZE(attr); i++)
		faults_common(attr[i]);
	sweep("files, too", 4, 17);
	nothing_lost();
}

static const struct test_case cases[] = {
	{ "each allocation at load fails", at_load, 60 },
};

TEST_MAIN(TEST_NOLOAD)
