/* SPDX-License-Identifier: Apache-2.0 */
/* A dump file from anywhere, in pieces: rows that come out are valid and can be written again. */
#include "base/assert.h"
#include "cli/dumpfile.h"
#include "fuzz.h"
#include "wire/cbor.h"
#include "wire/path.h"

#define ROOM (256U << 20)

static void check_row(struct mkv_dump_writer *w,
                      struct mkv_bytes key,
                      const struct mkv_update *entry)
{
    MKV_ASSERT(mkv_path_check(key) == 0);
    MKV_ASSERT(!entry->present || mkv_cbor_check(entry->value) == 0);

    int error = mkv_dump_writer_add(w, key, entry);

    MKV_ASSERT(error == 0 || !entry->has_tock || entry->ticks.n == 0);
    mkv_buf_clear(w->out);
}

/* Reads @in in pieces of @piece_max bytes; true if it is whole. */
static bool read_dump(struct mkv_bytes in, size_t piece_max, struct mkv_dump_writer *w)
{
    struct mkv_problem problem;
    struct mkv_dump_reader r;
    struct mkv_bytes key;
    struct mkv_update entry;
    enum mkv_dump_verdict verdict;

    mkv_dump_reader_init(&r, &problem);
    while ((verdict = mkv_dump_reader_next(&r, &key, &entry)) <= MKV_DUMP_ROW) {
        if (verdict == MKV_DUMP_ROW) {
            check_row(w, key, &entry);
        } else if (in.len == 0) {
            mkv_dump_reader_close(&r);
        } else {
            size_t len = in.len < piece_max ? in.len : piece_max;

            MKV_ASSERT(mkv_dump_reader_feed(&r, mkv_bytes(in.at, len)) == 0);
            in = mkv_bytes_after(in, len);
        }
    }
    mkv_dump_reader_deinit(&r);
    return verdict == MKV_DUMP_END;
}

/* The first byte says whether the rest is cut into small pieces, which must change nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct mkv_dump_header header = {0};
    struct mkv_dump_writer w;
    struct mkv_buf out;

    if (size == 0) {
        return 0;
    }
    mkv_buf_init(&out, ROOM);
    MKV_ASSERT(mkv_dump_writer_init(&w, data[0] % 2 > 0 ? MKV_DUMP_CBOR : MKV_DUMP_LINES, &header,
                                    &out) == 0);

    bool whole = read_dump(mkv_bytes(data + 1, size - 1), MKV_DUMP_PIECE_MAX, &w);

    MKV_ASSERT(read_dump(mkv_bytes(data + 1, size - 1), 1U + data[0], &w) == whole);
    mkv_buf_deinit(&out);
    return 0;
}
