/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCRAM, both sides against each other: who knows the password gets in, nobody else, and nobody can
 * tell a user that there is not from one that there is.
 */
#include <stdio.h>
#include <string.h>

#include "io/sasl.h"
#include "lib/check.h"

#define ITERATIONS 4096U

static const uint8_t salt[MKV_SASL_SALT_LEN] = "0123456789abcdef";
static const uint8_t binding[MKV_TLS_BINDING_LEN] = "the bytes of one connection, 32.";
static const uint8_t other_binding[MKV_TLS_BINDING_LEN] = "the bytes of one connection, 33.";

static bool look_up(void *context, const char *user, struct mkv_scram_secret *ret_secret)
{
    (void)context;
    return strcmp(user, "ann") == 0 &&
           mkv_sasl_secret_of("pencil", salt, ITERATIONS, ret_secret) == 0;
}

static struct mkv_sasl *server_with(const uint8_t *bytes)
{
    struct mkv_sasl_server_options options = {
        .binding = bytes, .lookup = look_up, .fake_key = "nobody knows"};
    struct mkv_sasl *sasl = NULL;

    assert_int_equal(mkv_sasl_server_new(&options, &sasl), 0);
    return sasl;
}

static struct mkv_sasl *client_with(const uint8_t *bytes, const char *user, const char *password)
{
    struct mkv_sasl_client_options options = {.binding = bytes, .user = user, .password = password};
    struct mkv_sasl *sasl = NULL;

    assert_int_equal(mkv_sasl_client_new(&options, &sasl), 0);
    return sasl;
}

struct talk {
    int client_error;
    int server_error;
    bool client_done;
    bool server_done;
    unsigned n_server; /* messages that the server sent */
    size_t sizes[4];   /* of these */
    char first[256];   /* the first of them */
};

/* Until both are done, or one has had enough; takes both over. */
static struct talk talk_over(struct mkv_sasl *client, struct mkv_sasl *server)
{
    struct talk talk = {0};
    struct mkv_buf there;
    struct mkv_buf back;

    mkv_buf_init(&there, SIZE_MAX / 2);
    mkv_buf_init(&back, SIZE_MAX / 2);
    while (!talk.client_done || !talk.server_done) {
        mkv_buf_clear(&there);
        talk.client_error = mkv_sasl_step(client, mkv_buf_bytes(&back), &there, &talk.client_done);
        if (talk.client_error != 0 || (talk.client_done && talk.server_done)) {
            break;
        }
        mkv_buf_clear(&back);
        talk.server_error = mkv_sasl_step(server, mkv_buf_bytes(&there), &back, &talk.server_done);
        if (talk.server_error != 0) {
            break;
        }
        if (talk.n_server == 0) {
            (void)snprintf(talk.first, sizeof(talk.first), "%.*s", (int)back.len,
                           (const char *)back.at);
        }
        talk.sizes[talk.n_server++] = back.len;
        assert_true(talk.n_server < 4);
    }
    mkv_buf_deinit(&there);
    mkv_buf_deinit(&back);
    return talk;
}

static struct talk try_with(const uint8_t *here,
                            const uint8_t *there,
                            const char *user,
                            const char *password)
{
    struct mkv_sasl *client = client_with(here, user, password);
    struct mkv_sasl *server = server_with(there);
    struct talk talk = talk_over(client, server);

    if (talk.server_done) {
        assert_string_equal(mkv_sasl_user(server), user);
    }
    mkv_sasl_free(client);
    mkv_sasl_free(server);
    return talk;
}

static void test_right(void **state)
{
    const uint8_t *const bindings[] = {NULL, binding};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct talk talk = try_with(bindings[i], bindings[i], "ann", "pencil");

        assert_int_equal(talk.client_error, 0);
        assert_int_equal(talk.server_error, 0);
        assert_true(talk.client_done && talk.server_done);
    }
}

static void test_wrong(void **state)
{
    (void)state;
    assert_int_equal(try_with(NULL, NULL, "ann", "pencils").server_error, MKV_E_NOT_AUTHORISED);
    assert_int_equal(try_with(binding, binding, "ann", "").server_error, MKV_E_NOT_AUTHORISED);
    assert_int_equal(try_with(binding, binding, "bob", "pencil").server_error,
                     MKV_E_NOT_AUTHORISED);
    /* Right, but over another connection; or without one, where one is asked for. */
    assert_int_equal(try_with(other_binding, binding, "ann", "pencil").server_error,
                     MKV_E_NOT_AUTHORISED);
    assert_int_equal(try_with(NULL, binding, "ann", "pencil").server_error, MKV_E_NOT_AUTHORISED);
    assert_int_equal(try_with(binding, NULL, "ann", "pencil").server_error, MKV_E_NOT_AUTHORISED);
}

/* The answers have the same form, and one name always has the same salt. */
static void test_unknown(void **state)
{
    struct talk known = try_with(binding, binding, "ann", "wrong");
    struct talk one = try_with(binding, binding, "eve", "wrong");
    struct talk again = try_with(binding, binding, "eve", "other");
    struct talk other = try_with(binding, binding, "eva", "wrong");

    (void)state;
    assert_int_equal(known.n_server, one.n_server);
    assert_int_equal(known.server_error, one.server_error);
    assert_string_equal(strstr(one.first, ",s="), strstr(again.first, ",s="));
    assert_string_not_equal(strstr(one.first, ",s="), strstr(other.first, ",s="));
    assert_int_equal(strstr(one.first, ",i=") - strstr(one.first, ",s="),
                     strstr(known.first, ",i=") - strstr(known.first, ",s="));
    assert_non_null(strstr(one.first, ",i=600000"));
}

/* A password that was salted once is enough, until the server has another salt. */
static void test_salted(void **state)
{
    uint8_t salted[MKV_SCRAM_KEY_LEN];
    struct mkv_scram_secret secret;
    struct mkv_sasl *client = client_with(binding, "ann", "pencil");
    struct mkv_sasl *server = server_with(binding);
    struct mkv_sasl_client_options options = {.binding = binding, .user = "ann", .salted = salted};

    (void)state;
    assert_false(mkv_sasl_salted(client, salted, &secret));
    assert_true(talk_over(client, server).client_done);
    assert_true(mkv_sasl_salted(client, salted, &secret));
    assert_int_equal(secret.iterations, ITERATIONS);
    assert_memory_equal(secret.salt, salt, sizeof(salt));
    mkv_sasl_free(client);
    mkv_sasl_free(server);
    for (unsigned i = 0; i < 4; i++) {
        uint8_t wrong_salt[MKV_SASL_SALT_LEN] = "0123456789abcdeF";

        options.iterations = i == 1 ? ITERATIONS + 1 : ITERATIONS;
        options.salt = mkv_bytes(i == 2 ? wrong_salt : salt, sizeof(salt));
        salted[0] ^= i == 3;
        server = server_with(binding);
        assert_int_equal(mkv_sasl_client_new(&options, &client), 0);

        struct talk talk = talk_over(client, server);

        assert_int_equal(talk.client_done && talk.server_done, i == 0);
        assert_int_equal(talk.client_error, i == 1 || i == 2 ? MKV_E_NOT_AUTHORISED : 0);
        mkv_sasl_free(client);
        mkv_sasl_free(server);
    }
}

static int first_step(struct mkv_sasl *sasl, const char *text, size_t len)
{
    struct mkv_buf out;
    bool done = false;

    mkv_buf_init(&out, SIZE_MAX / 2);

    int error = mkv_sasl_step(sasl, mkv_bytes(text, len), &out, &done);

    mkv_buf_deinit(&out);
    mkv_sasl_free(sasl);
    return error;
}

static void test_nonsense(void **state)
{
    static const char *const texts[] = {"x",
                                        "n,,",
                                        "n,,n=,r=",
                                        "p=tls-exporter,,",
                                        "p=tls-unique,,n=ann,r=abc",
                                        "y,,n=ann,r=abcdefgh",
                                        "n,a=bob,n=ann,r=abcdefgh,",
                                        "\xff\xfe,,n=ann,r=a",
                                        "p=,,n=ann,r=x"};
    static char long_text[MKV_SASL_BYTES_MAX + 20];

    (void)state;
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(first_step(server_with(binding), texts[i], strlen(texts[i])),
                         MKV_E_NOT_AUTHORISED);
    }
    memset(long_text, 'a', sizeof(long_text));
    memcpy(long_text, "p=tls-exporter,,n=ann,r=", 24);
    assert_int_equal(first_step(server_with(binding), long_text, sizeof(long_text)),
                     MKV_E_TOO_LARGE);
}

/* Neither so few that the password could be found, nor so many that we would never end. */
static void test_iterations(void **state)
{
    static const char *const numbers[] = {"1",  "4095", "10000001", "99999999999999999999",
                                          "-1", "x"};

    (void)state;
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct mkv_sasl *client = client_with(binding, "ann", "pencil");
        struct mkv_buf out;
        char text[256];
        bool done = false;

        mkv_buf_init(&out, SIZE_MAX / 2);
        assert_int_equal(mkv_sasl_step(client, mkv_bytes_of(""), &out, &done), 0);

        const char *nonce = strstr((const char *)out.at, ",r=");

        assert_non_null(nonce);
        (void)snprintf(text, sizeof(text), "%.*sx,s=AAAAAAAAAAAAAAAA,i=%s",
                       (int)(out.len - (size_t)(nonce + 1 - (const char *)out.at)), nonce + 1,
                       numbers[i]);
        assert_int_equal(mkv_sasl_step(client, mkv_bytes_of(text), &out, &done),
                         MKV_E_NOT_AUTHORISED);
        mkv_buf_deinit(&out);
        mkv_sasl_free(client);
    }
}

/* The keys of RFC 7677's example are not given; those of another implementation are. */
static void test_secret(void **state)
{
    static char long_password[MKV_SASL_PASSWORD_MAX + 2];
    struct mkv_scram_secret secret;
    struct mkv_scram_secret again;

    (void)state;
    assert_int_equal(mkv_sasl_secret_of("pencil", salt, ITERATIONS, &secret), 0);
    assert_int_equal(mkv_sasl_secret_of("pencil", salt, ITERATIONS, &again), 0);
    assert_memory_equal(&secret, &again, sizeof(secret));
    assert_int_equal(mkv_sasl_secret_of("", salt, ITERATIONS, &secret), MKV_E_BAD_ARGUMENT);
    memset(long_password, 'a', MKV_SASL_PASSWORD_MAX + 1);
    assert_int_equal(mkv_sasl_secret_of(long_password, salt, ITERATIONS, &secret),
                     MKV_E_BAD_ARGUMENT);
    assert_int_equal(mkv_sasl_secret_of("a\x01z", salt, ITERATIONS, &secret), MKV_E_BAD_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),    cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_unknown),  cmocka_unit_test(test_salted),
        cmocka_unit_test(test_nonsense), cmocka_unit_test(test_iterations),
        cmocka_unit_test(test_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
