/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "base/limits.h"
#include "fuzz.h"
#include "lib/path_check.h"
#include "wire/decimal.h"
#include "wire/path.h"

/* What is read is a path, with all its forms; what is refused leaves nothing behind. */
static void check_path(struct mkv_bytes text)
{
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    if (mkv_path_from_dotted(text, &key) == 0) {
        check_all_forms(mkv_buf_bytes(&key));
    } else {
        MKV_ASSERT(key.len == 0);
    }
    mkv_buf_deinit(&key);
}

/* A number that is read comes back from the text that is written of it. */
static void check_number(struct mkv_bytes text)
{
    struct mkv_element element;
    struct mkv_element again;
    char written[MKV_NUMBER_TEXT_MAX];

    if (mkv_element_from_number(text, &element) != 0) {
        return;
    }

    size_t len = mkv_element_number_format(&element, written);

    MKV_ASSERT(len <= sizeof(written));
    MKV_ASSERT(mkv_element_from_number(mkv_bytes(written, len), &again) == 0);
    MKV_ASSERT(again.kind == element.kind);
    MKV_ASSERT(again.number == element.number);
    MKV_ASSERT(mkv_float_bits(again.real) == mkv_float_bits(element.real));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_path(mkv_bytes(data, size));
    check_number(mkv_bytes(data, size));
    return 0;
}
