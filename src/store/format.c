/* SPDX-License-Identifier: Apache-2.0 */
#include "store/format.h"

#include <stdio.h>

#include "store/meta.h"

#define VERSION_LEN 4U

/* The identity was the id and a digest key, which now comes from the options. */
static int to_second(struct mkv_log *log)
{
    uint8_t id[MKV_STORE_ID_LEN];
    struct mkv_bytes identity;
    int error = mkv_meta_get(log, MKV_META_STORE, mkv_bytes_of("identity"), &identity);

    if (error == MKV_E_NOT_FOUND || (error == 0 && identity.len < sizeof(id))) {
        return MKV_E_CORRUPT;
    }
    if (error != 0) {
        return error;
    }
    memcpy(id, identity.at, sizeof(id));
    return mkv_meta_put(log, MKV_META_STORE, mkv_bytes_of("identity"), mkv_bytes(id, sizeof(id)));
}

static mkv_format_step *const steps[] = {to_second};

const struct mkv_format mkv_format_now = {.version = 2, .oldest = 1, .steps = steps};

int mkv_format_read(struct mkv_log *log, uint32_t *ret_version)
{
    struct mkv_bytes value;
    int error = mkv_meta_get(log, MKV_META_STORE, mkv_bytes_of("format"), &value);

    if (error != 0) {
        return error;
    }
    if (value.len != VERSION_LEN) {
        return MKV_E_CORRUPT;
    }
    *ret_version = (uint32_t)value.at[0] << 24 | (uint32_t)value.at[1] << 16 |
                   (uint32_t)value.at[2] << 8 | value.at[3];
    return 0;
}

int mkv_format_write(struct mkv_log *log, uint32_t version)
{
    uint8_t bytes[VERSION_LEN] = {(uint8_t)(version >> 24), (uint8_t)(version >> 16),
                                  (uint8_t)(version >> 8), (uint8_t)version};

    return mkv_meta_put(log, MKV_META_STORE, mkv_bytes_of("format"),
                        mkv_bytes(bytes, sizeof(bytes)));
}

static int take_step(struct mkv_log *log, mkv_format_step *step, uint32_t version)
{
    int error = log->methods->begin(log, MKV_LOG_TIDY);

    if (error != 0) {
        return error;
    }
    error = step(log);
    if (error == 0) {
        error = mkv_format_write(log, version + 1);
    }
    if (error != 0) {
        log->methods->abort(log);
        return error;
    }
    return log->methods->commit(log);
}

int mkv_format_upgrade(struct mkv_log *log,
                       const struct mkv_format *format,
                       uint32_t version,
                       const char *where,
                       char detail[MKV_DETAIL_MAX])
{
    if (version > format->version || version < format->oldest) {
        (void)snprintf(detail, MKV_DETAIL_MAX,
                       "the store in %s has format %lu; this program reads formats %lu to %lu",
                       where, (unsigned long)version, (unsigned long)format->oldest,
                       (unsigned long)format->version);
        return MKV_E_FORMAT;
    }
    for (; version < format->version; version++) {
        int error = take_step(log, format->steps[version - format->oldest], version);

        if (error != 0) {
            (void)snprintf(
                detail, MKV_DETAIL_MAX, "cannot bring the store in %s from format %lu to %lu: %s",
                where, (unsigned long)version, (unsigned long)version + 1, mkv_error_text(error));
            return error;
        }
    }
    return 0;
}
