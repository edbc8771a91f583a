/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dumpfile.h"

#include <inttypes.h>
#include <string.h>

#include "cli/dump_lines.h"

/* Hashes what has been appended since @start, or takes it back. */
static int appended(struct mkv_dump_writer *w, size_t start, int error)
{
    if (error != 0) {
        mkv_buf_truncate(w->out, start);
    } else {
        mkv_dump_hash_add(&w->hash, mkv_bytes_after(mkv_buf_bytes(w->out), start));
    }
    return error;
}

int mkv_dump_writer_init(struct mkv_dump_writer *w,
                         enum mkv_dump_format format,
                         const struct mkv_dump_header *header,
                         struct mkv_buf *out)
{
    size_t start = out->len;

    w->format = format;
    w->out = out;
    w->n_rows = 0;
    mkv_dump_hash_init(&w->hash);
    return format == MKV_DUMP_LINES ? 0 : appended(w, start, mkv_dump_cbor_header(header, out));
}

int mkv_dump_writer_add(struct mkv_dump_writer *w,
                        struct mkv_bytes key,
                        const struct mkv_update *entry)
{
    size_t start = w->out->len;
    int error;

    if (!entry->has_tock || entry->ticks.n == 0) {
        return MKV_E_BAD_ARGUMENT;
    }
    if (w->format == MKV_DUMP_LINES) {
        error = mkv_dump_line_row(key, entry, w->out);
    } else {
        error = mkv_dump_cbor_row(key, entry, w->out);
    }
    w->n_rows += error == 0 ? 1 : 0;
    return appended(w, start, error);
}

int mkv_dump_writer_finish(struct mkv_dump_writer *w)
{
    size_t start = w->out->len;
    uint8_t digest[MKV_DUMP_DIGEST_LEN];

    if (w->format == MKV_DUMP_LINES) {
        return appended(w, start, mkv_dump_line_end(w->n_rows, w->out));
    }
    mkv_dump_hash_finish(&w->hash, digest);

    int error = mkv_dump_cbor_end(w->n_rows, mkv_bytes(digest, sizeof(digest)), w->out);

    if (error != 0) {
        mkv_buf_truncate(w->out, start);
    }
    return error;
}

void mkv_dump_reader_init(struct mkv_dump_reader *r, struct mkv_problem *problem)
{
    r->format = MKV_DUMP_CBOR;
    r->state = MKV_DUMP_AT_START;
    r->closed = false;
    mkv_buf_init(&r->in, MKV_DUMP_RECORD_MAX + 2 * MKV_DUMP_PIECE_MAX);
    r->used = 0;
    r->offset = 0;
    r->n_rows = 0;
    r->n_whole = 0;
    r->n_ends = 0;
    r->n_lines = 0;
    mkv_buf_init(&r->key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&r->item, MKV_DUMP_RECORD_MAX);
    r->problem = problem;
    r->problem->error = 0;
    mkv_dump_hash_init(&r->hash);
    r->has_header = false;
    mkv_buf_init(&r->header_path, MKV_PATH_KEY_MAX);
    r->header = (struct mkv_dump_header){0};
}

void mkv_dump_reader_deinit(struct mkv_dump_reader *r)
{
    mkv_buf_deinit(&r->in);
    mkv_buf_deinit(&r->key);
    mkv_buf_deinit(&r->item);
    mkv_buf_deinit(&r->header_path);
}

int mkv_dump_reader_feed(struct mkv_dump_reader *r, struct mkv_bytes piece)
{
    if (piece.len > MKV_DUMP_PIECE_MAX || r->closed) {
        return MKV_E_BAD_ARGUMENT;
    }
    mkv_buf_consume(&r->in, r->used);
    r->used = 0;
    return mkv_buf_append(&r->in, piece);
}

void mkv_dump_reader_close(struct mkv_dump_reader *r)
{
    r->closed = true;
}

static struct mkv_bytes unread(const struct mkv_dump_reader *r)
{
    return mkv_bytes_after(mkv_buf_bytes(&r->in), r->used);
}

static enum mkv_dump_verdict fault(struct mkv_dump_reader *r, int error, const char *text)
{
    (void)mkv_problem_set(r->problem, error, "row %" PRIu64 " at byte %" PRIu64 ": %s",
                          r->n_rows + 1, r->offset, text);
    return MKV_DUMP_FAULT;
}

/* There is not enough for a record. */
static enum mkv_dump_verdict want_more(struct mkv_dump_reader *r)
{
    if (unread(r).len > MKV_DUMP_RECORD_MAX) {
        return fault(r, MKV_E_TOO_LARGE, "no row is as long as this");
    }
    if (!r->closed) {
        return MKV_DUMP_MORE;
    }
    (void)mkv_problem_set(r->problem, MKV_E_TRUNCATED,
                          "the file is cut off: it ends at byte %" PRIu64 ", after %" PRIu64
                          " whole rows, without the end record that a complete dump has",
                          r->offset + unread(r).len, r->n_rows);
    return MKV_DUMP_FAULT;
}

static void use(struct mkv_dump_reader *r, size_t len, bool hashed)
{
    if (hashed) {
        mkv_dump_hash_add(&r->hash, mkv_bytes(r->in.at + r->used, len));
    }
    r->used += len;
    r->offset += len;
}

/* Keeps what the header borrowed from the input. */
static int take_header(struct mkv_dump_reader *r, const struct mkv_dump_header *header)
{
    if (header->store.len > sizeof(r->store)) {
        return MKV_E_TOO_LARGE;
    }

    mkv_buf_clear(&r->header_path);

    int error = mkv_buf_append(&r->header_path, header->path);

    if (error == 0) {
        if (header->store.len > 0) {
            memcpy(r->store, header->store.at, header->store.len);
        }
        r->has_header = true;
        r->header = (struct mkv_dump_header){
            .path = mkv_buf_bytes(&r->header_path),
            .store = mkv_bytes(r->store, header->store.len),
            .time_s = header->time_s,
        };
    }
    return error;
}

static enum mkv_dump_verdict check_end(struct mkv_dump_reader *r, const struct mkv_dump_record *end)
{
    uint8_t digest[MKV_DUMP_DIGEST_LEN];

    if (end->n_rows != r->n_rows - r->n_whole) {
        (void)mkv_problem_set(r->problem, MKV_E_CORRUPT,
                              "the dump had %" PRIu64 " rows when it was made, but has %" PRIu64,
                              end->n_rows, r->n_rows - r->n_whole);
        return MKV_DUMP_FAULT;
    }
    if (r->format == MKV_DUMP_CBOR) {
        mkv_dump_hash_finish(&r->hash, digest);
        if (!mkv_bytes_equal(end->digest, mkv_bytes(digest, sizeof(digest)))) {
            (void)mkv_problem_set(r->problem, MKV_E_CORRUPT,
                                  "the checksum is wrong: the file has been damaged or changed");
            return MKV_DUMP_FAULT;
        }
    }
    r->state = MKV_DUMP_AFTER_END;
    r->n_whole = r->n_rows;
    r->n_ends++;
    return MKV_DUMP_END;
}

static enum mkv_dump_verdict refuse_record(struct mkv_dump_reader *r, int error)
{
    if (error == MKV_E_FORMAT && r->n_ends > 0) {
        (void)mkv_problem_set(
            r->problem, MKV_E_TRAILING,
            "what follows the end of the dump at byte %" PRIu64 " is not another dump", r->offset);
        return MKV_DUMP_FAULT;
    }
    if (error == MKV_E_FORMAT) {
        (void)mkv_problem_set(
            r->problem, error,
            "this is not a dump of moat-kv, or one of a version that this program "
            "does not know (it knows version %u)",
            MKV_DUMP_VERSION);
        return MKV_DUMP_FAULT;
    }
    return fault(r, error, mkv_error_text(error));
}

static enum mkv_dump_verdict next_cbor(struct mkv_dump_reader *r, struct mkv_dump_record *record)
{
    bool first = r->state == MKV_DUMP_AT_START;
    size_t len;
    int error = mkv_dump_cbor_decode(unread(r), first, &r->key, record, &len);

    if (error == MKV_E_TRUNCATED) {
        return want_more(r);
    }
    if (error == 0 && record->kind == MKV_DUMP_IS_HEADER) {
        error = take_header(r, &record->header);
    }
    if (error != 0) {
        return refuse_record(r, error);
    }
    use(r, len, record->kind != MKV_DUMP_IS_END);
    return record->kind == MKV_DUMP_IS_END ? check_end(r, record) : MKV_DUMP_ROW;
}

static bool is_blank(struct mkv_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != ' ' && text.at[i] != '\t' && text.at[i] != '\r' && text.at[i] != '\n') {
            return false;
        }
    }
    return true;
}

static enum mkv_dump_verdict refuse_line(struct mkv_dump_reader *r, int error)
{
    struct mkv_problem inner = *r->problem;
    const char *text = inner.text;

    if (strncmp(text, "line 1, ", 8) == 0) { /* as the JSON reader counts, which saw one line */
        text += 8;
    }
    (void)mkv_problem_set(r->problem, error, "line %" PRIu64 " at byte %" PRIu64 ": %.300s",
                          r->n_lines, r->offset, text);
    return MKV_DUMP_FAULT;
}

/* Reads lines up to one that is not blank; for that, the verdict is ROW or END. */
static enum mkv_dump_verdict next_line(struct mkv_dump_reader *r, struct mkv_dump_record *record)
{
    struct mkv_bytes line;
    size_t len;

    do {
        struct mkv_bytes rest = unread(r);
        const uint8_t *end = rest.len > 0 ? memchr(rest.at, '\n', rest.len) : NULL;

        if (end == NULL && (!r->closed || rest.len == 0 || rest.len > MKV_DUMP_RECORD_MAX)) {
            return want_more(r);
        }
        len = end != NULL ? (size_t)(end - rest.at) + 1 : rest.len;
        line = mkv_bytes(rest.at, end != NULL ? len - 1 : len);
        r->n_lines++;
        if (is_blank(line)) {
            use(r, len, false);
        }
    } while (is_blank(line));

    int error = mkv_dump_line_decode(line, &r->key, &r->item, record, r->problem);

    if (error != 0) {
        return refuse_line(r, error);
    }
    use(r, len, false);
    return record->kind == MKV_DUMP_IS_END ? check_end(r, record) : MKV_DUMP_ROW;
}

/*
 * After the end of lines there may be line ends, and after that of CBOR another dump, to which *ret_more
 * refers; else the file must be over.
 */
static enum mkv_dump_verdict after_end(struct mkv_dump_reader *r, bool *ret_more)
{
    struct mkv_bytes rest = unread(r);

    *ret_more = rest.len > 0 && r->format == MKV_DUMP_CBOR;
    if (*ret_more) {
        r->state = MKV_DUMP_AT_START;
        mkv_dump_hash_init(&r->hash);
        return MKV_DUMP_MORE;
    }
    if (rest.len > 0 && !is_blank(rest)) {
        (void)mkv_problem_set(r->problem, MKV_E_TRAILING,
                              "something follows the end of the dump at byte %" PRIu64
                              ": are these two files in one?",
                              r->offset);
        return MKV_DUMP_FAULT;
    }
    use(r, rest.len, false);
    return r->closed ? MKV_DUMP_END : MKV_DUMP_MORE;
}

/* No CBOR of a dump begins with '{' or white space. */
static void detect_format(struct mkv_dump_reader *r)
{
    struct mkv_bytes rest = unread(r);

    if (r->offset == 0 && rest.len > 0 && (rest.at[0] == '{' || is_blank(mkv_bytes(rest.at, 1)))) {
        r->format = MKV_DUMP_LINES;
    }
}

enum mkv_dump_verdict mkv_dump_reader_next(struct mkv_dump_reader *r,
                                           struct mkv_bytes *ret_key,
                                           struct mkv_update *ret_entry)
{
    struct mkv_dump_record record = {.kind = MKV_DUMP_IS_ROW};
    enum mkv_dump_verdict verdict = MKV_DUMP_ROW;

    if (r->problem->error != 0) {
        return MKV_DUMP_FAULT;
    }
    detect_format(r);
    do {
        if (r->state == MKV_DUMP_AFTER_END) {
            bool more;

            verdict = after_end(r, &more);
            if (!more) {
                return verdict;
            }
        }
        verdict = r->format == MKV_DUMP_CBOR ? next_cbor(r, &record) : next_line(r, &record);
        if (verdict == MKV_DUMP_ROW) {
            r->state = MKV_DUMP_IN_ROWS;
        }
    } while (verdict == MKV_DUMP_END ||
             (verdict == MKV_DUMP_ROW && record.kind == MKV_DUMP_IS_HEADER));
    if (verdict == MKV_DUMP_ROW) {
        r->n_rows++;
        *ret_key = record.key;
        *ret_entry = record.entry;
    }
    return verdict;
}
