/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of tests/vectors/messages.json, which other implementations may use as well:
 * what is accepted encodes to the same bytes (or to `again`), what is not is refused with `error`.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "codecs.h"
#include "lib/check.h"

static json_t *vectors;

static const char *text_of(const json_t *vector, const char *key)
{
    return json_string_value(json_object_get(vector, key));
}

static unsigned digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c != 0 ? strchr(digits, c) : NULL;

    assert_non_null(at);
    return (unsigned)(at - digits);
}

/* In a block of its own size, so that a sanitizer sees a read beyond it. */
static struct mkv_bytes from_hex(const char *hex)
{
    size_t n = strlen(hex) / 2;
    uint8_t *at = malloc(n > 0 ? n : 1);

    assert_non_null(at);
    for (size_t i = 0; i < n; i++) {
        at[i] = (uint8_t)(16 * digit(hex[2 * i]) + digit(hex[2 * i + 1]));
    }
    return mkv_bytes(at, n);
}

static void free_bytes(struct mkv_bytes bytes)
{
    free((void *)(uintptr_t)bytes.at);
}

static void check_encodes(const json_t *vector,
                          const struct codec *codec,
                          const union message *message)
{
    const char *again = text_of(vector, "again");
    struct mkv_bytes expected = from_hex(again != NULL ? again : text_of(vector, "hex"));
    struct mkv_buf out;

    mkv_buf_init(&out, MKV_FRAME_MAX);
    assert_int_equal(codec->encode(message, &out), 0);
    if (!mkv_bytes_equal(mkv_buf_bytes(&out), expected)) {
        fail_msg("%s, %s: encodes to other bytes", codec->name, text_of(vector, "name"));
    }
    mkv_buf_deinit(&out);
    free_bytes(expected);
}

static void check_vector(const json_t *vector)
{
    const struct codec *codec = codec_named(text_of(vector, "message"));
    const char *expected = text_of(vector, "error");
    struct mkv_bytes in = from_hex(text_of(vector, "hex"));
    union message message;

    assert_non_null(codec);

    int error = codec->decode(in, &message);
    const char *got = error == 0 ? "accepted" : mkv_error_name(error);

    if (strcmp(got, expected != NULL ? expected : "accepted") != 0) {
        fail_msg("%s, %s: %s", codec->name, text_of(vector, "name"), got);
    }
    if (error == 0) {
        check_encodes(vector, codec, &message);
    }
    free_bytes(in);
}

static void messages_of(const char *name)
{
    size_t i;
    json_t *vector;
    size_t n = 0;

    json_array_foreach(vectors, i, vector)
    {
        if (strcmp(text_of(vector, "message"), name) == 0) {
            check_vector(vector);
            n++;
        }
    }
    assert_true(n > 0);
}

static void updates(void **state)
{
    (void)state;
    messages_of("update");
}

static void svc_messages(void **state)
{
    (void)state;
    messages_of("query");
    messages_of("server");
    messages_of("birth");
    messages_of("ping");
}

static void frames(void **state)
{
    (void)state;
    messages_of("frame");
}

/* Every kind of frame is among those accepted. */
static void no_kind_of_frame_is_missing(void **state)
{
    bool met[MKV_FRAME_SECRET + 1] = {false};
    size_t i;
    json_t *vector;

    (void)state;
    json_array_foreach(vectors, i, vector)
    {
        struct mkv_frame frame;

        if (strcmp(text_of(vector, "message"), "frame") == 0 && !text_of(vector, "error")) {
            struct mkv_bytes in = from_hex(text_of(vector, "hex"));

            assert_int_equal(mkv_frame_decode(in, &frame), 0);
            assert_in_range(frame.kind, 0, MKV_FRAME_SECRET); /* the greatest */
            met[frame.kind] = true;
            free_bytes(in);
        }
    }
    for (i = 0; i < messages_n_frame_kinds; i++) {
        assert_true(met[messages_frame_kinds[i]]);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(updates),
        cmocka_unit_test(svc_messages),
        cmocka_unit_test(frames),
        cmocka_unit_test(no_kind_of_frame_is_missing),
    };
    json_error_t error;

    if (argc != 2) {
        return EXIT_FAILURE;
    }
    /* `pairs` holds numbers up to 2^64-1, which jansson has no integers for; nothing here reads it. */
    vectors = json_load_file(argv[1], JSON_DECODE_INT_AS_REAL, &error);
    if (vectors == NULL) {
        (void)fprintf(stderr, "%s:%d: %s\n", argv[1], error.line, error.text);
        return EXIT_FAILURE;
    }

    int failed = cmocka_run_group_tests_name("messages", tests, NULL, NULL);

    json_decref(vectors);
    return failed;
}
