/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes a document apart and puts it together again, for an oracle to compare both.
 *
 *     document_tool json|yaml json|yaml < document > document
 *
 * The rows go through the order of their keys, as they would in a store.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/document.h"
#include "cli/format.h"

#define SIZE_LIMIT (256U * 1024U * 1024U)

struct row {
    struct mkv_buf key;
    struct mkv_bytes value;
};

static struct row *rows;
static size_t n_rows;

static void die(const char *text)
{
    (void)fprintf(stderr, "%s\n", text);
    exit(1);
}

static void read_all(struct mkv_buf *text)
{
    uint8_t piece[65536];
    size_t n;

    while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0) {
        if (mkv_buf_append(text, mkv_bytes(piece, n)) != 0) {
            die("too large");
        }
    }
}

static void add_row(struct mkv_bytes key, struct mkv_bytes value)
{
    if ((n_rows & (n_rows - 1)) == 0) {
        rows = mkv_mem_resize(rows, 2 * (n_rows + 1) * sizeof(*rows));
        if (rows == NULL) {
            die("out of memory");
        }
    }

    struct row *row = &rows[n_rows++];

    mkv_buf_init(&row->key, MKV_PATH_KEY_MAX);
    row->value = value;
    if (mkv_buf_append(&row->key, key) != 0) {
        die("out of memory");
    }
}

static int compare(const void *a, const void *b)
{
    return mkv_bytes_compare(mkv_buf_bytes(&((const struct row *)a)->key),
                             mkv_buf_bytes(&((const struct row *)b)->key));
}

static void take_apart(struct mkv_bytes document, struct mkv_problem *problem)
{
    struct mkv_leaves leaves;
    struct mkv_bytes value;

    mkv_leaves_init(&leaves, document, problem);
    while (mkv_leaves_next(&leaves, &value)) {
        add_row(mkv_buf_bytes(&leaves.key), value);
    }
    if (leaves.reader.error != 0) {
        die(problem->text);
    }
    mkv_leaves_deinit(&leaves);
    qsort(rows, n_rows, sizeof(*rows), compare);
}

static void put_together(struct mkv_buf *document)
{
    struct mkv_document_writer w;

    mkv_document_writer_init(&w, document);
    for (size_t i = 0; i < n_rows; i++) {
        if (mkv_document_writer_add(&w, mkv_buf_bytes(&rows[i].key), rows[i].value) != 0) {
            die("cannot add a row");
        }
        mkv_buf_deinit(&rows[i].key);
    }
    if (mkv_document_writer_finish(&w) != 0) {
        die("cannot finish");
    }
    mkv_document_writer_deinit(&w);
}

int main(int argc, char **argv)
{
    struct mkv_buf text;
    struct mkv_buf before;
    struct mkv_buf after;
    struct mkv_problem problem;

    if (argc != 3) {
        die("usage: document_tool json|yaml json|yaml");
    }

    bool json = strcmp(argv[1], "json") == 0;

    mkv_buf_init(&text, SIZE_LIMIT);
    mkv_buf_init(&before, SIZE_LIMIT);
    mkv_buf_init(&after, SIZE_LIMIT);
    read_all(&text);
    if (mkv_document_read(mkv_buf_bytes(&text), json ? MKV_NOTATION_JSON : MKV_NOTATION_YAML,
                          &before, &problem) != 0) {
        die(problem.text);
    }
    take_apart(mkv_buf_bytes(&before), &problem);
    put_together(&after);
    mkv_buf_clear(&text);
    if (mkv_format_document(mkv_buf_bytes(&after),
                            strcmp(argv[2], "json") == 0 ? MKV_FORMAT_JSON : MKV_FORMAT_YAML,
                            &text) != 0) {
        die("cannot write the document");
    }
    (void)fwrite(text.at, 1, text.len, stdout);
    mkv_buf_deinit(&text);
    mkv_buf_deinit(&before);
    mkv_buf_deinit(&after);
    mkv_mem_free(rows);
    return 0;
}
