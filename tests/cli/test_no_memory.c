/* SPDX-License-Identifier: Apache-2.0 */
/* Each scenario with its 1st, 2nd, ... allocation failing: it says so, and leaves nothing behind. */
#include "cli/document.h"
#include "cli/dumpfile.h"
#include "cli/format.h"
#include "lib/check.h"
#include "lib/mem_fault.h"

#define ROOM (1U << 20)

#define JSON                                                                                       \
    "{\"a\":[1,-2,1.5,{\"$bytes\":\"AAECAwQFBgcICQ==\"},{\"$tag\":1,\"value\":{\"$map\":[[1,2],"   \
    "[[],3]]}}],\"b\":{\"$float\":\"nan\"},\"c\":{\"\\u00e4\":null,\"$$map\":true},\":2\":\"x\"}"

static struct mkv_problem problem;

static int value_to(enum mkv_format format, enum mkv_notation notation)
{
    struct mkv_buf item;
    struct mkv_buf text;
    struct mkv_buf again;

    mkv_buf_init(&item, ROOM);
    mkv_buf_init(&text, ROOM);
    mkv_buf_init(&again, ROOM);

    int error = mkv_value_read(mkv_bytes_of(JSON), MKV_NOTATION_JSON, &item, &problem);

    if (error == 0) {
        error = mkv_format_value(mkv_buf_bytes(&item), format, &text);
    }
    if (error == 0) {
        error = mkv_value_read(mkv_buf_bytes(&text), notation, &again, &problem);
    }
    if (error == 0) {
        assert_true(mkv_bytes_equal(mkv_buf_bytes(&item), mkv_buf_bytes(&again)));
    }
    mkv_buf_deinit(&item);
    mkv_buf_deinit(&text);
    mkv_buf_deinit(&again);
    return error;
}

static int json(void)
{
    return value_to(MKV_FORMAT_JSON, MKV_NOTATION_JSON);
}

static int yaml(void)
{
    return value_to(MKV_FORMAT_YAML, MKV_NOTATION_YAML);
}

static int copy_leaves(struct mkv_bytes in, struct mkv_document_writer *w)
{
    struct mkv_leaves leaves;
    struct mkv_bytes value;
    int error = 0;

    mkv_leaves_init(&leaves, in, &problem);
    while (error == 0 && mkv_leaves_next(&leaves, &value)) {
        error = mkv_document_writer_add(w, mkv_buf_bytes(&leaves.key), value);
    }
    if (error == 0) {
        error = leaves.reader.error;
    }
    mkv_leaves_deinit(&leaves);
    return error;
}

static int document(void)
{
    struct mkv_buf before;
    struct mkv_buf after;
    struct mkv_buf text;
    struct mkv_document_writer w;

    mkv_buf_init(&before, ROOM);
    mkv_buf_init(&after, ROOM);
    mkv_buf_init(&text, ROOM);
    mkv_document_writer_init(&w, &after);

    int error =
        mkv_document_read(mkv_bytes_of("{\":2\":1,\"$$value\":2,\"a\":[1,{\"$value\":[1]}]}"),
                          MKV_NOTATION_JSON, &before, &problem);

    if (error == 0) {
        error = copy_leaves(mkv_buf_bytes(&before), &w);
    }
    if (error == 0) {
        error = mkv_document_writer_finish(&w);
    }
    if (error == 0) {
        error = mkv_format_document(mkv_buf_bytes(&after), MKV_FORMAT_JSON, &text);
    }
    mkv_document_writer_deinit(&w);
    mkv_buf_deinit(&before);
    mkv_buf_deinit(&after);
    mkv_buf_deinit(&text);
    return error;
}

static int write_dump(enum mkv_dump_format format, struct mkv_buf *out)
{
    const struct mkv_dump_header header = {.path = mkv_bytes("\x41\x02", 2)};
    const struct mkv_update entry = {
        .has_tock = true,
        .present = true,
        .value = mkv_bytes("\x63"
                           "abc",
                           4),
        .ticks = {.n = 1, .at = {{.name = mkv_bytes_of("srv"), .counter = 1}}},
    };
    struct mkv_dump_writer w;
    int error = mkv_dump_writer_init(&w, format, &header, out);

    if (error == 0) {
        error = mkv_dump_writer_add(&w, mkv_bytes("\x41\x02", 2), &entry);
    }
    return error == 0 ? mkv_dump_writer_finish(&w) : error;
}

static int read_dump(struct mkv_bytes in)
{
    struct mkv_dump_reader r;
    struct mkv_bytes key;
    struct mkv_update entry;
    enum mkv_dump_verdict verdict = MKV_DUMP_MORE;

    mkv_dump_reader_init(&r, &problem);

    int error = mkv_dump_reader_feed(&r, in);

    mkv_dump_reader_close(&r);
    while (error == 0 && verdict <= MKV_DUMP_ROW) {
        verdict = mkv_dump_reader_next(&r, &key, &entry);
    }
    mkv_dump_reader_deinit(&r);
    return error != 0 || verdict == MKV_DUMP_END ? error : problem.error;
}

static int dump(enum mkv_dump_format format)
{
    struct mkv_buf out;

    mkv_buf_init(&out, ROOM);

    int error = write_dump(format, &out);

    if (error == 0) {
        error = read_dump(mkv_buf_bytes(&out));
    }
    mkv_buf_deinit(&out);
    return error;
}

static int dump_cbor(void)
{
    return dump(MKV_DUMP_CBOR);
}

static int dump_lines(void)
{
    return dump(MKV_DUMP_LINES);
}

static void sweep(int (*scenario)(void))
{
    unsigned n = 1;
    bool struck;

    do {
        mem_fault_at(n++);

        int error = scenario();

        struck = mem_fault_struck();
        assert_int_equal(error, struck ? MKV_E_NO_MEMORY : 0);
        mem_fault_at(0);
        assert_int_equal(mem_fault_live(), 0);
    } while (struck);
    assert_true(n > 5);
}

static void test_json(void **state)
{
    (void)state;
    sweep(json);
}

static void test_yaml(void **state)
{
    (void)state;
    sweep(yaml);
}

static void test_document(void **state)
{
    (void)state;
    sweep(document);
}

static void test_dump_in_cbor(void **state)
{
    (void)state;
    sweep(dump_cbor);
}

static void test_dump_in_lines(void **state)
{
    (void)state;
    sweep(dump_lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),          cmocka_unit_test(test_yaml),
        cmocka_unit_test(test_document),      cmocka_unit_test(test_dump_in_cbor),
        cmocka_unit_test(test_dump_in_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
