/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

struct error_row {
    int number;
    const char *name;
    const char *text;
};

static const struct error_row rows[] = {{MKV_OK, "OK", "no error"},
#define MKV_ERROR_ROW(name, number, text) {(number), #name, (text)},
                                        MKV_ERRORS(MKV_ERROR_ROW)
#undef MKV_ERROR_ROW
};

static const struct error_row unknown = {0, "UNKNOWN", "unknown error"};

static const struct error_row *find(int error)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].number == error) {
            return &rows[i];
        }
    }
    return &unknown;
}

const char *mkv_error_text(int error)
{
    return find(error)->text;
}

const char *mkv_error_name(int error)
{
    return find(error)->name;
}
