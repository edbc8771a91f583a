/* SPDX-License-Identifier: Apache-2.0 */
/* What is read as YAML is written as YAML that reads as the same; as a value and as a document. */
#include "base/assert.h"
#include "base/buf.h"
#include "cli/document.h"
#include "cli/format.h"
#include "cli/value.h"
#include "fuzz.h"
#include "wire/cbor.h"

#define ROOM (256U << 20)

static void check_value(struct mkv_bytes in)
{
    struct mkv_problem problem;
    struct mkv_buf item;
    struct mkv_buf text;
    struct mkv_buf again;

    mkv_buf_init(&item, ROOM);
    mkv_buf_init(&text, ROOM);
    mkv_buf_init(&again, ROOM);
    if (mkv_value_read(in, MKV_NOTATION_YAML, &item, &problem) == 0) {
        MKV_ASSERT(mkv_cbor_check(mkv_buf_bytes(&item)) == 0);
        MKV_ASSERT(mkv_format_value(mkv_buf_bytes(&item), MKV_FORMAT_YAML, &text) == 0);
        MKV_ASSERT(mkv_value_read(mkv_buf_bytes(&text), MKV_NOTATION_YAML, &again, &problem) == 0);
        MKV_ASSERT(mkv_bytes_equal(mkv_buf_bytes(&item), mkv_buf_bytes(&again)));
    }
    mkv_buf_deinit(&item);
    mkv_buf_deinit(&text);
    mkv_buf_deinit(&again);
}

/* The leaves are all within the limits, and each path is one. */
static void check_leaves(struct mkv_bytes document)
{
    struct mkv_problem problem;
    struct mkv_leaves leaves;
    struct mkv_bytes value;

    mkv_leaves_init(&leaves, document, &problem);
    while (mkv_leaves_next(&leaves, &value)) {
        MKV_ASSERT(mkv_cbor_check(value) == 0);
        MKV_ASSERT(leaves.key.len <= MKV_PATH_KEY_MAX);
    }
    mkv_leaves_deinit(&leaves);
}

static void check_document(struct mkv_bytes in)
{
    struct mkv_problem problem;
    struct mkv_buf document;
    struct mkv_buf text;
    struct mkv_buf again;

    mkv_buf_init(&document, ROOM);
    mkv_buf_init(&text, ROOM);
    mkv_buf_init(&again, ROOM);
    if (mkv_document_read(in, MKV_NOTATION_YAML, &document, &problem) == 0) {
        check_leaves(mkv_buf_bytes(&document));
        if (mkv_format_document(mkv_buf_bytes(&document), MKV_FORMAT_YAML, &text) == 0) {
            MKV_ASSERT(
                mkv_document_read(mkv_buf_bytes(&text), MKV_NOTATION_YAML, &again, &problem) == 0);
            MKV_ASSERT(mkv_bytes_equal(mkv_buf_bytes(&document), mkv_buf_bytes(&again)));
        }
    }
    mkv_buf_deinit(&document);
    mkv_buf_deinit(&text);
    mkv_buf_deinit(&again);
}

/* An argument is YAML that means the same in a file. */
static void check_argument(struct mkv_bytes in)
{
    struct mkv_problem problem;
    struct mkv_buf argument;
    struct mkv_buf file;

    mkv_buf_init(&argument, ROOM);
    mkv_buf_init(&file, ROOM);
    if (mkv_value_read(in, MKV_NOTATION_ARGUMENT, &argument, &problem) == 0) {
        MKV_ASSERT(mkv_value_read(in, MKV_NOTATION_YAML, &file, &problem) == 0);
        MKV_ASSERT(mkv_bytes_equal(mkv_buf_bytes(&argument), mkv_buf_bytes(&file)));
    }
    mkv_buf_deinit(&argument);
    mkv_buf_deinit(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_argument(mkv_bytes(data, size));
    check_value(mkv_bytes(data, size));
    check_document(mkv_bytes(data, size));
    return 0;
}
