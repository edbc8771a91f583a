/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a dump in either notation and writes it in the one asked for, for an oracle to compare.
 *
 *     dump_tool cbor|lines < dump > dump
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/dumpfile.h"

#define SIZE_LIMIT (64U * 1024U * 1024U)

static void die(const char *text)
{
    (void)fprintf(stderr, "%s\n", text);
    exit(1);
}

static void feed(struct mkv_dump_reader *r)
{
    uint8_t piece[4096];
    size_t n = fread(piece, 1, sizeof(piece), stdin);

    if (n == 0) {
        mkv_dump_reader_close(r);
    } else if (mkv_dump_reader_feed(r, mkv_bytes(piece, n)) != 0) {
        die("out of memory");
    }
}

int main(int argc, char **argv)
{
    const struct mkv_dump_header header = {0};
    struct mkv_dump_reader r;
    struct mkv_dump_writer w;
    struct mkv_problem problem;
    struct mkv_buf out;
    struct mkv_bytes key;
    struct mkv_update entry;
    enum mkv_dump_verdict verdict;

    if (argc != 2) {
        die("usage: dump_tool cbor|lines");
    }
    mkv_buf_init(&out, SIZE_LIMIT);
    mkv_dump_reader_init(&r, &problem);
    if (mkv_dump_writer_init(&w, strcmp(argv[1], "cbor") == 0 ? MKV_DUMP_CBOR : MKV_DUMP_LINES,
                             &header, &out) != 0) {
        die("cannot begin");
    }
    while ((verdict = mkv_dump_reader_next(&r, &key, &entry)) <= MKV_DUMP_ROW) {
        if (verdict == MKV_DUMP_MORE) {
            feed(&r);
        } else if (mkv_dump_writer_add(&w, key, &entry) != 0) {
            die("cannot add a row");
        }
    }
    if (verdict == MKV_DUMP_FAULT) {
        die(problem.text);
    }
    if (mkv_dump_writer_finish(&w) != 0) {
        die("cannot finish");
    }
    (void)fwrite(out.at, 1, out.len, stdout);
    mkv_dump_reader_deinit(&r);
    mkv_buf_deinit(&out);
    return 0;
}
