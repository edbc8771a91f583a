/* SPDX-License-Identifier: Apache-2.0 */
/* Updates as plain messages: what comes back is what went in, or it was refused. */
#include "lib/cbor_random.h"
#include "lib/check.h"
#include "lib/prng.h"
#include "notation/plain.h"
#include "wire/cbor.h"
#include "wire/update.h"

#define N_ITEMS 20000U

struct both {
    struct mkv_buf update;
    struct mkv_buf payload;
    struct mkv_buf tag;
    struct mkv_buf back;
};

static void init(struct both *both)
{
    mkv_buf_init(&both->update, MKV_UPDATE_MAX);
    mkv_buf_init(&both->payload, MKV_PLAIN_PAYLOAD_MAX);
    mkv_buf_init(&both->tag, MKV_UPDATE_MAX);
    mkv_buf_init(&both->back, MKV_UPDATE_MAX);
}

static void deinit(struct both *both)
{
    mkv_buf_deinit(&both->update);
    mkv_buf_deinit(&both->payload);
    mkv_buf_deinit(&both->tag);
    mkv_buf_deinit(&both->back);
}

static void make(struct both *both, const struct mkv_bytes *value, bool has_tock)
{
    struct mkv_update update = {
        .has_tock = has_tock,
        .tock = has_tock ? 77 : 0,
        .present = value != NULL,
        .value = value != NULL ? *value : (struct mkv_bytes){0},
        .ticks = {.n = 2, .at = {{mkv_bytes_of("attic"), 3, 9}, {mkv_bytes_of("hall"), 0, 70}}},
    };

    mkv_buf_clear(&both->update);
    mkv_buf_clear(&both->payload);
    mkv_buf_clear(&both->tag);
    mkv_buf_clear(&both->back);
    assert_int_equal(mkv_update_encode(&update, &both->update), 0);
}

static int split(struct both *both, enum mkv_mode mode)
{
    return mkv_plain_split(mode, mkv_buf_bytes(&both->update), &both->payload, &both->tag);
}

static void assert_comes_back(struct both *both, enum mkv_mode mode)
{
    assert_int_equal(
        mkv_plain_join(mode, mkv_buf_bytes(&both->payload), mkv_buf_bytes(&both->tag), &both->back),
        0);
    assert_true(mkv_bytes_equal(mkv_buf_bytes(&both->update), mkv_buf_bytes(&both->back)));
}

static void any_value_comes_back_or_is_refused(void **state)
{
    struct prng prng = {17};
    unsigned n_fit[MKV_MODE_RAW + 1] = {0};
    struct both both;
    struct mkv_buf item;

    (void)state;
    init(&both);
    mkv_buf_init(&item, MKV_VALUE_MAX);
    for (unsigned i = 0; i < N_ITEMS; i++) {
        enum mkv_mode mode = (enum mkv_mode)(MKV_MODE_CBOR + prng_below(&prng, 4));
        struct mkv_bytes value;

        mkv_buf_clear(&item);
        cbor_random_item(&prng, 1 + prng_below(&prng, 8), &item);
        value = mkv_buf_bytes(&item);
        make(&both, &value, prng_below(&prng, 2) != 0);

        int error = split(&both, mode);

        if (error == 0) {
            assert_true(both.payload.len > 0);
            assert_comes_back(&both, mode);
            n_fit[mode]++;
        } else {
            assert_int_equal(error, MKV_E_UNFIT);
            assert_int_not_equal(mode, MKV_MODE_CBOR);
            assert_int_equal(both.payload.len + both.tag.len, 0);
        }
    }
    for (unsigned mode = MKV_MODE_CBOR; mode <= MKV_MODE_RAW; mode++) {
        assert_true(n_fit[mode] > 20);
    }
    mkv_buf_deinit(&item);
    deinit(&both);
}

static void a_deletion_is_an_empty_payload(void **state)
{
    struct both both;

    (void)state;
    init(&both);
    for (unsigned mode = MKV_MODE_CBOR; mode <= MKV_MODE_RAW; mode++) {
        make(&both, NULL, true);
        assert_int_equal(split(&both, (enum mkv_mode)mode), 0);
        assert_int_equal(both.payload.len, 0);
        assert_true(both.tag.len > 0);
        assert_comes_back(&both, (enum mkv_mode)mode);
    }
    deinit(&both);
}

static void what_would_be_a_deletion_is_refused(void **state)
{
    struct mkv_bytes text = mkv_bytes("\x60", 1);
    struct mkv_bytes bytes = mkv_bytes("\x40", 1);
    struct both both;

    (void)state;
    init(&both);
    make(&both, &text, true);
    assert_int_equal(split(&both, MKV_MODE_TEXT), MKV_E_UNFIT);
    make(&both, &bytes, true);
    assert_int_equal(split(&both, MKV_MODE_RAW), MKV_E_UNFIT);
    make(&both, &text, true);
    assert_int_equal(split(&both, MKV_MODE_JSON), 0);
    assert_comes_back(&both, MKV_MODE_JSON);
    deinit(&both);
}

static void payloads_as_others_write_them(void **state)
{
    static const struct {
        enum mkv_mode mode;
        int error;
        const char *payload;
        const char *value;
    } cases[] = {
        {MKV_MODE_JSON, 0, " { \"a\" : 1 } ", "\xa1\x61\x61\x01"},
        {MKV_MODE_JSON, 0, "true", "\xf5"},
        {MKV_MODE_TEXT, 0, "on", "\x62on"},
        {MKV_MODE_RAW, 0, "\xff", "\x41\xff"},
        {MKV_MODE_CBOR, 0, "\x01", "\x01"},
        {MKV_MODE_JSON, MKV_E_TRUNCATED, "{", NULL},
        {MKV_MODE_TEXT, MKV_E_BAD_UTF8, "\xff", NULL},
        {MKV_MODE_CBOR, MKV_E_TRAILING, "\x01\x01", NULL},
        {MKV_MODE_CBOR, MKV_E_TRUNCATED, "\x62", NULL},
    };
    struct mkv_buf value;

    (void)state;
    mkv_buf_init(&value, MKV_VALUE_MAX);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mkv_buf_clear(&value);
        assert_int_equal(mkv_plain_read(cases[i].mode, mkv_bytes_of(cases[i].payload), &value),
                         cases[i].error);
        if (cases[i].error == 0) {
            assert_true(mkv_bytes_equal(mkv_buf_bytes(&value), mkv_bytes_of(cases[i].value)));
        } else {
            assert_int_equal(value.len, 0);
        }
    }
    mkv_buf_deinit(&value);
}

/* There would be two values. */
static void a_tag_with_a_value_is_refused(void **state)
{
    static const char tag[] = "ogEBAoGDYWEBAQ"; /* {1: 1, 2: [["a", 1, 1]]} */
    struct both both;

    (void)state;
    init(&both);
    assert_int_equal(
        mkv_plain_join(MKV_MODE_JSON, mkv_bytes_of("1"), mkv_bytes_of(tag), &both.back),
        MKV_E_MALFORMED);
    assert_int_equal(both.back.len, 0);
    deinit(&both);
}

/* Whatever a tag is changed into: no update with another value comes of it. */
static void bad_tags_are_refused(void **state)
{
    static const char *const bad[] = {"", "!", "AAA=", "oA", "AA", "oQE"};
    struct prng prng = {3};
    struct both both;
    struct mkv_bytes value = mkv_bytes("\x01", 1);

    (void)state;
    init(&both);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_not_equal(
            mkv_plain_join(MKV_MODE_JSON, mkv_bytes_of("1"), mkv_bytes_of(bad[i]), &both.back), 0);
        assert_int_equal(both.back.len, 0);
    }
    make(&both, &value, true);
    assert_int_equal(split(&both, MKV_MODE_JSON), 0);
    for (unsigned i = 0; i < 2000; i++) {
        size_t at = prng_below(&prng, both.tag.len);
        uint8_t was = both.tag.at[at];
        struct mkv_update update;

        both.tag.at[at] = (uint8_t)prng_next(&prng);
        mkv_buf_clear(&both.back);
        if (mkv_plain_join(MKV_MODE_JSON, mkv_buf_bytes(&both.payload), mkv_buf_bytes(&both.tag),
                           &both.back) == 0) {
            assert_int_equal(mkv_update_decode(mkv_buf_bytes(&both.back), &update), 0);
            assert_true(mkv_bytes_equal(update.value, value));
        }
        both.tag.at[at] = was;
    }
    deinit(&both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_value_comes_back_or_is_refused),
        cmocka_unit_test(a_deletion_is_an_empty_payload),
        cmocka_unit_test(what_would_be_a_deletion_is_refused),
        cmocka_unit_test(payloads_as_others_write_them),
        cmocka_unit_test(a_tag_with_a_value_is_refused),
        cmocka_unit_test(bad_tags_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
