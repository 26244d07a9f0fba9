// SPDX-License-Identifier: GPL-2.0
/* vm: noload timeout=300 append="kmemleak=on" */
/*
 * Loading without memory, on a kernel with fault injection (the debug kernel): the
 * first allocation of the module's init fails, then the second, and so on until
 * a load needs no more. Each failed load says so, leaves nothing, and the next one
 * works.
 *
 * But for those in sysfs_slab_add(), with which the kernel makes the files of a
 * slab cache: when one of them fails it loses the name of the directory (it lets
 * go of no kobject), which is what kmemleak is to say of nothing here.
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

static void nothing_lost(void)
{
	static char found[4096];
	int i;

	/* an object has to be some seconds old to be called lost */
	for (i = 0; i < 2; i++) {
		msleep(6000);
		CHECK_EQ(file_write(KMEMLEAK, "scan"), 0);
	}
	if (file_read(KMEMLEAK, found, sizeof(found)) > 0)
		FAIL("kmemleak has found something: %.380s", found);
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

/* All loads without one of the allocations in @in that are not in @not_in. */
static void sweep(const char *in, const char *not_in)
{
	static const char *const attr[] = { "failslab", "fail_page_alloc" };
	unsigned int n, refused = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(attr); i++) {
		faults_common(attr[i]);
		faults_range(attr[i], "require-start", "require-end", in);
		faults_range(attr[i], "reject-start", "reject-end", not_in);
	}
	for (n = 1; load_without(n, &refused); n++)
		;
	note("in %s(), not in %s(): %u loads without one, %u of these refused",
	     in, not_in, n - 1, refused);
	CHECK_OP(refused, >, 3);
}

static void at_load(void)
{
	faults_need();
	file_write(KMEMLEAK, "clear");
	/* the module's own init is what runs under this */
	sweep("do_one_initcall", "__kmem_cache_create_args");
	sweep("__kmem_cache_create_args", "sysfs_slab_add");
	nothing_lost();
}

static const struct test_case cases[] = {
	{ "each allocation at load fails", at_load, 60 },
};

TEST_MAIN(TEST_NOLOAD)
