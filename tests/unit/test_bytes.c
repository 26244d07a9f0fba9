// SPDX-License-Identifier: GPL-2.0
/* All bytes of a page: each of them counts. With vector registers and without. */
#include "unit.h"

#include "bytes.h"

bool portable_bytes_equal(const void *a, const void *b);
bool portable_bytes_zero(const void *a);

typedef bool (*equal_fn)(const void *a, const void *b);
typedef bool (*zero_fn)(const void *a);

static u8 *page_of(u8 byte)
{
	u8 *page = xalloc(PAGE_SIZE);

	memset(page, byte, PAGE_SIZE);
	return page;
}

/* Whichever bit differs, and whichever two do: they must not cancel out. */
static void equal_sees_every_bit(equal_fn equal)
{
	u8 *a = page_of(0x5a), *b = page_of(0x5a);
	size_t bit, other;

	CHECK(equal(a, b));
	CHECK(equal(a, a));
	for (bit = 0; bit < PAGE_SIZE * 8; bit++) {
		b[bit / 8] ^= 1 << bit % 8;
		CHECK(!equal(a, b));
		CHECK(!equal(b, a));
		other = rnd_below(PAGE_SIZE * 8);
		if (other != bit) {
			a[other / 8] ^= 1 << other % 8;
			CHECK(!equal(a, b));
			a[other / 8] ^= 1 << other % 8;
		}
		b[bit / 8] ^= 1 << bit % 8;
	}
	CHECK(equal(a, b));
	free(a);
	free(b);
}

TEST(bytes_equal_sees_every_bit)
{
	equal_sees_every_bit(uksm_bytes_equal);
	equal_sees_every_bit(portable_bytes_equal);
}

static void zero_sees_every_bit(zero_fn zero)
{
	u8 *page = page_of(0);
	size_t bit;

	CHECK(zero(page));
	for (bit = 0; bit < PAGE_SIZE * 8; bit++) {
		page[bit / 8] = 1 << bit % 8;
		CHECK(!zero(page));
		page[bit / 8] = 0;
	}
	CHECK(zero(page));
	memset(page, 0xff, PAGE_SIZE);
	CHECK(!zero(page));
	free(page);
}

TEST(bytes_zero_sees_every_bit)
{
	zero_sees_every_bit(uksm_bytes_zero);
	zero_sees_every_bit(portable_bytes_zero);
}

/* As memcmp() says, on whatever there is. */
TEST(bytes_equal_is_memcmp)
{
	u8 *a = page_of(0), *b = page_of(0);
	int i;

	for (i = 0; i < 20000; i++) {
		a[rnd_below(PAGE_SIZE)] = rnd_below(2);
		b[rnd_below(PAGE_SIZE)] = rnd_below(2);
		if (i % 7 == 0)
			memcpy(a, b, PAGE_SIZE);
		CHECK_EQ(uksm_bytes_equal(a, b), !memcmp(a, b, PAGE_SIZE));
		CHECK_EQ(portable_bytes_equal(a, b), !memcmp(a, b, PAGE_SIZE));
	}
	free(a);
	free(b);
}
