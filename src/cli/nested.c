/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/nested.h"

#include "cli/document.h"
#include "cli/rows.h"
#include "cli/say.h"

struct nesting {
    size_t base_len; /* of the key that all others begin with */
    uint64_t n;
    struct mkv_document_writer writer;
};

static enum mkv_exit tell(int error)
{
    return mkv_say(mkv_exit_of(error), "nesting the entries: %s", mkv_error_text(error));
}

static enum mkv_exit on_row(void *user, struct mkv_bytes key, const moatkv_entry *entry)
{
    struct nesting *nesting = user;
    int error = mkv_document_writer_add(&nesting->writer, mkv_bytes_after(key, nesting->base_len),
                                        mkv_bytes_from(moatkv_entry_value(entry)));

    nesting->n++;
    return error == 0 ? MKV_EXIT_OK : tell(error);
}

static enum mkv_exit finish(struct nesting *nesting,
                            struct mkv_buf *document,
                            enum mkv_format format,
                            struct mkv_out *out)
{
    if (nesting->n == 0) {
        return MKV_EXIT_OK;
    }

    int error = mkv_document_writer_finish(&nesting->writer);

    if (error == 0) {
        error = mkv_format_document(mkv_buf_bytes(document), format, &out->buf);
    }
    mkv_out_settle(out);
    return error == 0 ? out->status : tell(error);
}

enum mkv_exit mkv_nested_put(struct mkv_cli *cli,
                             const struct mkv_place *place,
                             const moatkv_read_how *how,
                             struct mkv_out *out,
                             uint64_t *ret_n)
{
    struct nesting nesting = {.base_len = place->key.len};
    struct mkv_buf document;

    mkv_buf_init(&document, SIZE_MAX / 2);
    mkv_document_writer_init(&nesting.writer, &document);

    enum mkv_exit status = mkv_rows_read(cli, place, how, on_row, &nesting);

    if (status == MKV_EXIT_OK) {
        status = finish(&nesting, &document, cli->format, out);
    }
    *ret_n = nesting.n;
    mkv_document_writer_deinit(&nesting.writer);
    mkv_buf_deinit(&document);
    return status;
}
