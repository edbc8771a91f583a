/* SPDX-License-Identifier: Apache-2.0 */
/* Filters against a naive matcher over all short topics. */
#include "guard/filter.h"
#include "lib/check.h"
#include "lib/prng.h"

#define LEVELS_MAX 5U
#define TEXT_MAX   (2U * LEVELS_MAX)

static struct mkv_bytes text(const char *words)
{
    return mkv_bytes_of(words);
}

/* The same, level by level, as MQTT 5 has it in section 4.7: one character a level here. */
static bool matches(const char *filter, const char *topic)
{
    for (;; filter += 2, topic += 2) {
        if (filter[0] == '#') {
            return true;
        }
        if (filter[0] != '+' && filter[0] != topic[0]) {
            return false;
        }
        if (filter[1] == '\0' || topic[1] == '\0') {
            return (filter[1] == '\0' && topic[1] == '\0') ||
                   (filter[1] != '\0' && topic[1] == '\0' && filter[2] == '#');
        }
    }
}

/* @n levels out of @letters, ended by a NUL. */
static void draw(struct prng *prng, const char *letters, size_t n, char out[TEXT_MAX])
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = letters[prng_below(prng, strlen(letters))];
        out[2 * i + 1] = i + 1 < n ? '/' : '\0';
    }
}

/* Whether any of the topics at and below @root, as deep as a filter reaches, matches. */
static bool reaches_naively(const char *filter, const char *root)
{
    static const char letters[] = "ab";
    char topic[64];
    size_t start = strlen(root);

    for (size_t more = 0; more <= LEVELS_MAX; more++) {
        for (unsigned which = 0; which < (1U << more); which++) {
            memcpy(topic, root, start + 1);
            for (size_t i = 0; i < more; i++) {
                topic[start + 2 * i] = '/';
                topic[start + 2 * i + 1] = letters[which >> i & 1];
                topic[start + 2 * i + 2] = '\0';
            }
            if (matches(filter, topic)) {
                return true;
            }
        }
    }
    return false;
}

static void filters_reach_what_they_match(void **state)
{
    struct prng prng = {5};
    unsigned n_reach = 0;

    (void)state;
    for (unsigned i = 0; i < 50000; i++) {
        char filter[TEXT_MAX + 2];
        char root[TEXT_MAX];

        draw(&prng, "aab+", 1 + prng_below(&prng, LEVELS_MAX), filter);
        draw(&prng, "ab", 1 + prng_below(&prng, 3), root);
        if (prng_below(&prng, 3) == 0) {
            filter[strlen(filter) - 1] = '#';
        }

        bool reaches = reaches_naively(filter, root);

        n_reach += reaches;
        assert_int_equal(mkv_filter_reaches(text(filter), text(root)), reaches);
    }
    assert_true(n_reach > 5000 && n_reach < 45000);
}

static void odd_filters(void **state)
{
    struct mkv_bytes root = text("moat/main");

    (void)state;
    assert_false(mkv_filter_reaches(text(""), root));
    assert_false(mkv_filter_reaches(text("/"), root));
    assert_false(mkv_filter_reaches(text("moat"), root));
    assert_false(mkv_filter_reaches(text("moat/"), root));
    assert_false(mkv_filter_reaches(text("moat/main2/#"), root));
    assert_false(mkv_filter_reaches(text("/moat/main"), root));
    assert_true(mkv_filter_reaches(text("moat/main/"), root));
    assert_true(mkv_filter_reaches(text("moat/#"), root));
    assert_true(mkv_filter_reaches(text("+/+"), root));
    assert_false(mkv_filter_reaches(text("$SYS/#"), root));
}

static void shares_are_taken_off(void **state)
{
    struct mkv_bytes filter = text("$share/g/a/#");

    (void)state;
    assert_true(mkv_filter_unshare(&filter));
    assert_true(mkv_bytes_equal(filter, text("a/#")));
    filter = text("$share");
    assert_false(mkv_filter_unshare(&filter));
    filter = text("a/$share/g/a");
    assert_false(mkv_filter_unshare(&filter));
    assert_true(mkv_bytes_equal(filter, text("a/$share/g/a")));
    filter = text("$share/g");
    assert_true(mkv_filter_unshare(&filter));
    assert_int_equal(filter.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_reach_what_they_match),
        cmocka_unit_test(odd_filters),
        cmocka_unit_test(shares_are_taken_off),
    };

    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
