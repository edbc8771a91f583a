/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets another program ask for what wire/path.h and wire/topic.h do: one question a line, one
 * answer a line, all bytes in hexadecimal ("-" for none).
 *
 *     cbor BYTES         an array of elements; answer: KEY CBOR DOTTED PLAIN-TOPIC PORTABLE-TOPIC
 *     dotted BYTES       answer: KEY
 *     topic PROFILE BYTES
 *     key BYTES          answer: KEY, if it is valid
 *
 * An answer may also be "error NAME".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "wire/decimal.h"
#include "wire/path.h"
#include "wire/topic.h"

#define ROOT "moat/main"

static void print_hex(struct mkv_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        printf("%02x", bytes.at[i]);
    }
    printf("%s", bytes.len == 0 ? "-" : "");
}

static void read_hex(const char *hex, struct mkv_buf *ret_bytes)
{
    for (; hex[0] != '\0' && hex[0] != '-'; hex += 2) {
        int high = mkv_digit_value((uint8_t)hex[0]);
        int low = mkv_digit_value((uint8_t)hex[1]);

        MKV_ASSERT(high >= 0 && low >= 0);
        int error = mkv_buf_append_u8(ret_bytes, (uint8_t)(high * 16 + low));
        MKV_ASSERT(error == 0);
    }
}

/* Prints @out, after a space, and empties it. */
static void print_form(int error, struct mkv_buf *out)
{
    MKV_ASSERT(error == 0);
    printf(" ");
    print_hex(mkv_buf_bytes(out));
    mkv_buf_clear(out);
}

static void print_forms(struct mkv_bytes key)
{
    struct mkv_bytes root = mkv_bytes_of(ROOT);
    struct mkv_cbor_writer w;
    struct mkv_buf out;

    mkv_buf_init(&out, 1U << 20);
    mkv_cbor_writer_init(&w, &out);
    mkv_path_to_cbor(key, &w);
    print_form(w.error, &out);
    print_form(mkv_path_to_dotted(key, &out), &out);
    print_form(mkv_topic_of_path(root, MKV_PROFILE_PLAIN, key, &out), &out);
    print_form(mkv_topic_of_path(root, MKV_PROFILE_PORTABLE, key, &out), &out);
    mkv_buf_deinit(&out);
}

static int read_cbor(struct mkv_bytes in, struct mkv_buf *key)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, in);

    int error = mkv_path_from_cbor(&r, key);
    int end = mkv_cbor_finish(&r);

    return error != 0 ? error : end;
}

static int read_path(const char *form, int profile, struct mkv_bytes in, struct mkv_buf *key)
{
    if (strcmp(form, "cbor") == 0) {
        return read_cbor(in, key);
    }
    if (strcmp(form, "dotted") == 0) {
        return mkv_path_from_dotted(in, key);
    }
    if (strcmp(form, "topic") == 0) {
        return mkv_topic_to_path(mkv_bytes_of(ROOT), (enum mkv_profile)profile, in, key);
    }

    int error = mkv_path_check(in);

    return error != 0 ? error : mkv_buf_append(key, in);
}

static void answer(const char *form, int profile, const char *hex)
{
    struct mkv_buf in;
    struct mkv_buf key;

    mkv_buf_init(&in, 1U << 20);
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    read_hex(hex, &in);

    int error = read_path(form, profile, mkv_buf_bytes(&in), &key);

    if (error != 0) {
        printf("error %s", mkv_error_name(error));
    } else {
        print_hex(mkv_buf_bytes(&key));
    }
    if (error == 0 && strcmp(form, "cbor") == 0) {
        print_forms(mkv_buf_bytes(&key));
    }
    printf("\n");
    mkv_buf_deinit(&in);
    mkv_buf_deinit(&key);
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;

    while (getline(&line, &cap, stdin) > 0) {
        char *rest = line;
        const char *form = strsep(&rest, " \n");
        int profile = strcmp(form, "topic") == 0 ? strsep(&rest, " \n")[0] - '0' : 0;

        answer(form, profile, strsep(&rest, " \n"));
        fflush(stdout);
    }
    free(line);
    return 0;
}
