/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of a login: what is written is read, what others may read is refused, and of a file that is damaged
 * nothing is believed that could not have been written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/token.h"
#include "lib/check.h"
#include "lib/prng.h"

static char folder[] = "/tmp/token.XXXXXX";
static char name[64];

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(name, sizeof(name), "%s/new/token.yaml", folder);
    return 0;
}

static int teardown(void **state)
{
    char inner[64];

    (void)state;
    (void)snprintf(inner, sizeof(inner), "%s/new", folder);
    (void)unlink(name);
    (void)rmdir(inner);
    return rmdir(folder);
}

static struct mkv_token draw(struct prng *prng)
{
    struct mkv_token token = {.iterations =
                                  1 + (uint32_t)prng_below(prng, MKV_SCRAM_ITERATIONS_MAX),
                              .salt_len = 1 + prng_below(prng, MKV_SCRAM_SALT_MAX)};

    (void)snprintf(token.server, sizeof(token.server), "tls://h%u:27589",
                   (unsigned)prng_below(prng, 1000));
    (void)snprintf(token.user, sizeof(token.user), "u%u", (unsigned)prng_below(prng, 1000));
    for (size_t i = 0; i < sizeof(token.pin); i++) {
        token.pin[i] = (uint8_t)prng_next(prng);
    }
    for (size_t i = 0; i < token.salt_len; i++) {
        token.salt[i] = (uint8_t)prng_next(prng);
    }
    for (size_t i = 0; i < sizeof(token.salted); i++) {
        token.salted[i] = (uint8_t)prng_next(prng);
    }
    return token;
}

static void expect_same(const struct mkv_token *a, const struct mkv_token *b)
{
    assert_string_equal(a->server, b->server);
    assert_string_equal(a->user, b->user);
    assert_memory_equal(a->pin, b->pin, sizeof(a->pin));
    assert_int_equal(a->iterations, b->iterations);
    assert_int_equal(a->salt_len, b->salt_len);
    assert_memory_equal(a->salt, b->salt, a->salt_len);
    assert_memory_equal(a->salted, b->salted, sizeof(a->salted));
}

static void test_round_trip(void **state)
{
    struct prng prng = {.state = 1};
    struct stat status;

    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        struct mkv_token token = draw(&prng);
        struct mkv_token again = {.iterations = 0};

        assert_int_equal(mkv_token_write(name, &token, NULL), 0);
        assert_int_equal(mkv_token_read(name, &again, NULL), 0);
        expect_same(&token, &again);
    }
    assert_int_equal(stat(name, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static size_t read_all(char *text, size_t size)
{
    FILE *file = fopen(name, "re");
    size_t len;

    assert_non_null(file);
    len = fread(text, 1, size, file);
    (void)fclose(file);
    return len;
}

static void write_all(const char *text, size_t len)
{
    FILE *file = fopen(name, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* Whatever is read from a damaged file, writing it and reading that gives the same. */
static void test_damage(void **state)
{
    struct prng prng = {.state = 2};
    struct mkv_token token = draw(&prng);
    char good[2048];
    char bad[2048];
    unsigned n_refused = 0;

    (void)state;
    assert_int_equal(mkv_token_write(name, &token, NULL), 0);

    size_t len = read_all(good, sizeof(good));

    for (unsigned i = 0; i < 200; i++) {
        size_t bad_len = i % 2 == 0 ? len : prng_below(&prng, len);
        struct mkv_token read = {.iterations = 0};
        struct mkv_token again = {.iterations = 0};

        memcpy(bad, good, len);
        for (unsigned k = 0; k < 1 + i % 5; k++) {
            bad[prng_below(&prng, len)] = (char)prng_next(&prng);
        }
        write_all(bad, bad_len);

        int error = mkv_token_read(name, &read, NULL);

        n_refused += error != 0;
        assert_true(error == 0 || error == MKV_E_MALFORMED);
        if (error == 0) {
            assert_int_equal(mkv_token_write(name, &read, NULL), 0);
            assert_int_equal(mkv_token_read(name, &again, NULL), 0);
            expect_same(&read, &again);
        }
    }
    assert_true(n_refused > 100);
}

static void test_refused(void **state)
{
    struct prng prng = {.state = 3};
    struct mkv_token token = draw(&prng);
    struct mkv_token untouched = token;
    struct mkv_why why = {{0}};
    static const mode_t modes[] = {0604, 0640, 0602, 0620, 0601, 0666};
    char long_text[8192];

    (void)state;
    assert_int_equal(mkv_token_write(name, &token, NULL), 0);
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        assert_int_equal(chmod(name, modes[i]), 0);
        assert_int_equal(mkv_token_read(name, &untouched, &why), MKV_E_NOT_AUTHORISED);
        assert_non_null(strstr(why.text, "chmod 600"));
    }
    assert_int_equal(chmod(name, 0600), 0);
    memset(long_text, 'x', sizeof(long_text));
    write_all(long_text, sizeof(long_text));
    assert_int_equal(mkv_token_read(name, &untouched, &why), MKV_E_MALFORMED);
    write_all("", 0);
    assert_int_equal(mkv_token_read(name, &untouched, &why), MKV_E_MALFORMED);
    expect_same(&token, &untouched);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(mkv_token_read(name, &untouched, &why), MKV_E_NOT_FOUND);
    assert_int_equal(mkv_token_read("/dev/null/x", &untouched, &why), MKV_E_NOT_FOUND);
    assert_int_equal(mkv_token_write("/dev/null/x", &token, &why), MKV_E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
