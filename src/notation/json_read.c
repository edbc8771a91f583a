/* SPDX-License-Identifier: Apache-2.0 */
#include "notation/json_read.h"

#include "notation/builder.h"
#include "notation/json_text.h"
#include "notation/keys.h"
#include "notation/number.h"
#include "notation/special.h"
#include "wire/cbor.h"

enum state {
    WANT_VALUE,
    WANT_VALUE_OR_CLOSE, /* behind '[' */
    WANT_KEY,
    WANT_KEY_OR_CLOSE, /* behind '{' */
    WANT_COMMA_OR_CLOSE,
    WANT_NOTHING, /* the value is complete */
};

/* What this reader knows about each open list or object, besides the builder. */
struct frame {
    bool in_value;          /* not a node of the document, but (in) a value */
    bool own;               /* the last key was "$value" */
    enum mkv_key_word word; /* the object stands for something else */
};

struct json_reader {
    struct mkv_bytes in;
    size_t pos;
    bool document;
    enum state state;
    struct mkv_buf scratch; /* a string; the item that an object stands for */
    struct mkv_builder builder;
    struct frame frames[MKV_NEST_MAX];
    struct mkv_problem *problem;
    int error;
};

#define REFUSE_AT(r, at, number, ...)                                                              \
    ((r)->error = mkv_problem_at((r)->problem, (number), (r)->in, (at), __VA_ARGS__))
#define REFUSE(r, number, ...) REFUSE_AT(r, (r)->pos, number, __VA_ARGS__)

/* The innermost open list or object; there is one. */
static struct frame *top(struct json_reader *r)
{
    return &r->frames[r->builder.depth - 1];
}

static void skip_space(struct json_reader *r)
{
    while (r->pos < r->in.len && (r->in.at[r->pos] == ' ' || r->in.at[r->pos] == '\n' ||
                                  r->in.at[r->pos] == '\r' || r->in.at[r->pos] == '\t')) {
        r->pos++;
    }
}

static bool read_string(struct json_reader *r)
{
    const char *fault;
    size_t pos;

    mkv_buf_clear(&r->scratch);

    int error = mkv_json_string_read(r->in, r->pos, &r->scratch, &pos, &fault);

    r->pos = pos;
    if (error != 0) {
        REFUSE(r, error, "%s", fault != NULL ? fault : mkv_error_text(error));
    }
    return error == 0;
}

/* The length of the number at the beginning of @text, 0 if there is none. */
static size_t number_span(struct mkv_bytes text, bool *ret_integer)
{
    size_t i = text.len > 0 && text.at[0] == '-' ? 1 : 0;
    size_t n = mkv_digits_span(mkv_bytes_after(text, i), 10);

    *ret_integer = true;
    if (n == 0 || (n > 1 && text.at[i] == '0')) {
        return 0;
    }
    i += n;
    if (i < text.len && text.at[i] == '.') {
        n = mkv_digits_span(mkv_bytes_after(text, i + 1), 10);
        if (n == 0) {
            return 0;
        }
        i += n + 1;
        *ret_integer = false;
    }
    if (i < text.len && (text.at[i] == 'e' || text.at[i] == 'E')) {
        i += i + 1 < text.len && (text.at[i + 1] == '-' || text.at[i + 1] == '+') ? 2 : 1;
        n = mkv_digits_span(mkv_bytes_after(text, i), 10);
        if (n == 0) {
            return 0;
        }
        i += n;
        *ret_integer = false;
    }
    return i;
}

static void read_integer(struct json_reader *r, struct mkv_bytes text)
{
    bool negative = text.at[0] == '-';
    struct mkv_integer integer;
    int error = mkv_integer_read(mkv_bytes_after(text, negative ? 1 : 0), 10, negative, &integer);

    if (error != 0) {
        REFUSE(r, error,
               "this integer is beyond -2^64 ... 2^64-1: write it as text in quotes, or as a float "
               "with \".0\"");
    } else if (integer.negative) {
        mkv_builder_nint(&r->builder, integer.number);
    } else {
        mkv_builder_uint(&r->builder, integer.number);
    }
}

static void read_number(struct json_reader *r)
{
    bool is_integer;
    struct mkv_bytes rest = mkv_bytes_after(r->in, r->pos);
    struct mkv_bytes text = mkv_bytes(rest.at, number_span(rest, &is_integer));

    if (text.len == 0) {
        REFUSE(r, MKV_E_MALFORMED,
               "not a number of JSON, as 0, -12, 0.5 or 1e9 are: no leading zeros, and digits on "
               "both sides of the point");
        return;
    }
    if (is_integer) {
        read_integer(r, text);
    } else {
        double real;
        int error = mkv_real_read(text, &real);

        if (error != 0) {
            REFUSE(r, error, "this number is too large for a float of 64 bits");
            return;
        }
        mkv_builder_float(&r->builder, real);
    }
    r->pos += text.len;
}

static bool read_word(struct json_reader *r, const char *word)
{
    if (!mkv_bytes_starts_with(mkv_bytes_after(r->in, r->pos), mkv_bytes_of(word))) {
        return false;
    }
    r->pos += mkv_bytes_of(word).len;
    return true;
}

static void refuse_value(struct json_reader *r)
{
    if (r->pos == r->in.len) {
        REFUSE(r, MKV_E_TRUNCATED, "the text ends where a value should be");
    } else if (read_word(r, "NaN") || read_word(r, "Infinity") || read_word(r, "-Infinity")) {
        REFUSE(r, MKV_E_MALFORMED,
               "JSON has no such number: write {\"$float\":\"nan\"}, {\"$float\":\"inf\"} or "
               "{\"$float\":\"-inf\"}");
    } else if (r->in.at[r->pos] == '\'') {
        REFUSE(r, MKV_E_MALFORMED, "text in JSON stands in double quotes");
    } else {
        REFUSE(r, MKV_E_MALFORMED,
               "this is not JSON: a value is a number, a text in double quotes, true, false, null, "
               "[...] or {...}");
    }
}

static void open_collection(struct json_reader *r, enum mkv_builder_kind kind)
{
    bool in_value = !r->document;

    if (r->builder.depth > 0) {
        in_value = top(r)->in_value || top(r)->own;
    }
    mkv_builder_open(&r->builder, kind);
    if (r->builder.writer.error == 0) {
        *top(r) = (struct frame){.in_value = in_value};
        r->pos++;
    }
    r->state = kind == MKV_BUILDER_MAP ? WANT_KEY_OR_CLOSE : WANT_VALUE_OR_CLOSE;
}

static void read_scalar(struct json_reader *r, uint8_t character)
{
    if (character == '"') {
        if (read_string(r)) {
            mkv_builder_text(&r->builder, mkv_buf_bytes(&r->scratch));
        }
    } else if (read_word(r, "true")) {
        mkv_builder_bool(&r->builder, true);
    } else if (read_word(r, "false")) {
        mkv_builder_bool(&r->builder, false);
    } else if (read_word(r, "null")) {
        mkv_builder_null(&r->builder);
    } else if ((character >= '0' && character <= '9') ||
               (character == '-' && mkv_digits_span(mkv_bytes_after(r->in, r->pos + 1), 10) > 0)) {
        read_number(r);
    } else {
        refuse_value(r);
    }
}

static void read_value(struct json_reader *r)
{
    uint8_t character = r->pos < r->in.len ? r->in.at[r->pos] : 0;

    if (character == '{') {
        open_collection(r, MKV_BUILDER_MAP);
        return;
    }
    if (character == '[') {
        open_collection(r, MKV_BUILDER_ARRAY);
        return;
    }
    read_scalar(r, character);
    r->state = r->builder.depth == 0 ? WANT_NOTHING : WANT_COMMA_OR_CLOSE;
}

/* A key of a document that is not reserved: an element, spelled or plain. */
static void put_element(struct json_reader *r, struct mkv_bytes key)
{
    size_t n_colons;
    int error = mkv_key_colons(key, &n_colons);

    if (error == 0 && n_colons == 1) {
        struct mkv_buf item;

        mkv_buf_init(&item, SIZE_MAX / 2);
        error = mkv_key_to_cbor(key, &item);
        if (error == 0) {
            mkv_builder_raw(&r->builder, mkv_buf_bytes(&item));
        }
        mkv_buf_deinit(&item);
    } else if (error == 0) {
        mkv_builder_text(&r->builder, mkv_bytes_after(key, n_colons > 1 ? 1 : 0));
    }
    if (error != 0) {
        REFUSE(r, error, "%s", mkv_error_text(error));
    }
}

/* @key is a reserved one with a single '$'. */
static void put_reserved(struct json_reader *r, struct mkv_bytes key, enum mkv_key_word word)
{
    struct frame *frame = top(r);
    bool first = mkv_builder_content(&r->builder).len == 0;

    if (word == MKV_KEY_VALUE) {
        if (frame->in_value) {
            REFUSE(r, MKV_E_MALFORMED,
                   "\"$value\" has a meaning only in a document, where it is a node's own value; "
                   "write \"$$value\" for a key of that text");
            return;
        }
        mkv_builder_simple(&r->builder, 23);
        frame->own = true;
        return;
    }
    if (!first || (word == MKV_KEY_MAP && !frame->in_value)) {
        REFUSE(r, MKV_E_MALFORMED,
               first
                   ? "\"$map\" is a value and no part of a tree: write {\"$value\":{\"$map\":...}}"
                   : "a reserved key stands first and alone in its object; write \"$$...\" for a "
                     "key that really begins with \"$\"");
        return;
    }
    frame->word = word;
    frame->in_value = true;
    mkv_builder_text(&r->builder, key);
}

static void read_key(struct json_reader *r)
{
    if (r->pos == r->in.len || r->in.at[r->pos] != '"') {
        REFUSE(r, r->pos == r->in.len ? MKV_E_TRUNCATED : MKV_E_MALFORMED,
               "expected a key in double quotes%s",
               r->pos < r->in.len && r->in.at[r->pos] == '}' ? ": remove the comma before" : "");
        return;
    }

    size_t start = r->pos;

    if (!read_string(r)) {
        return;
    }

    size_t end = r->pos;
    size_t n_dollars;
    struct mkv_bytes key = mkv_buf_bytes(&r->scratch);
    enum mkv_key_word word = mkv_key_word(key, &n_dollars);

    r->pos = start; /* where a refusal points to */
    top(r)->own = false;
    if (word != MKV_KEY_NONE && n_dollars == 1) {
        put_reserved(r, key, word);
    } else if (word != MKV_KEY_NONE) {
        mkv_builder_text(&r->builder, mkv_bytes_after(key, 1));
    } else if (!top(r)->in_value) {
        put_element(r, key);
    } else {
        mkv_builder_text(&r->builder, key);
    }
    if (r->error != 0) {
        return;
    }
    r->pos = end;
    skip_space(r);
    if (r->pos == r->in.len || r->in.at[r->pos] != ':') {
        REFUSE(r, MKV_E_MALFORMED, "expected ':' between key and value");
        return;
    }
    r->pos++;
    r->state = WANT_VALUE;
}

/*
 * Cuts the values out of {"$word": value} and {"$tag": number, "value": value}.  The last value is
 * not looked into, as it may be nested more deeply than what it stands for.
 */
static int cut_values(struct json_reader *json, enum mkv_key_word word, struct mkv_buf *values)
{
    uint64_t n_wanted = word == MKV_KEY_TAG ? 4 : 2;
    struct mkv_cbor_reader r;
    struct mkv_cbor_writer w;

    if (json->builder.frames[json->builder.depth - 1].n != n_wanted) {
        return MKV_E_MALFORMED;
    }
    mkv_cbor_reader_init(&r, mkv_builder_content(&json->builder));
    mkv_cbor_writer_init(&w, values);
    (void)mkv_cbor_read_text(&r); /* the word itself */
    if (word == MKV_KEY_TAG) {
        mkv_cbor_write_uint(&w, mkv_cbor_read_uint(&r));
        if (!mkv_bytes_equal(mkv_cbor_read_text(&r), mkv_bytes_of("value"))) {
            mkv_cbor_fail(&r, MKV_E_MALFORMED);
        }
    }
    if (r.error == 0) {
        mkv_cbor_write_raw(&w, r.rest);
    }
    return r.error != 0 ? r.error : w.error;
}

static int translate(struct mkv_bytes values, enum mkv_key_word word, struct mkv_buf *item)
{
    switch (word) {
    case MKV_KEY_BYTES:
        return mkv_special_bytes(values, item);
    case MKV_KEY_FLOAT:
        return mkv_special_float(values, item);
    case MKV_KEY_SIMPLE:
        return mkv_special_simple(values, item);
    case MKV_KEY_MAP:
        return mkv_special_map(values, item);
    case MKV_KEY_TAG:
        return mkv_special_tag(values, item);
    case MKV_KEY_VALUE:
    case MKV_KEY_NONE:
        break;
    }
    return MKV_E_MALFORMED;
}

static const char *form_of(enum mkv_key_word word)
{
    switch (word) {
    case MKV_KEY_BYTES:
        return "{\"$bytes\":\"BASE64\"}";
    case MKV_KEY_FLOAT:
        return "{\"$float\":\"nan\"}, \"inf\" or \"-inf\"";
    case MKV_KEY_SIMPLE:
        return "{\"$simple\":N} with N one of 0-19, 23, 32-255";
    case MKV_KEY_MAP:
        return "{\"$map\":[[KEY,VALUE],...]}";
    case MKV_KEY_TAG:
        return "{\"$tag\":N,\"value\":VALUE}";
    case MKV_KEY_VALUE:
    case MKV_KEY_NONE:
        break;
    }
    return "";
}

/* Puts what the innermost object stands for in its place. */
static void replace_object(struct json_reader *r, enum mkv_key_word word)
{
    struct mkv_buf values;

    mkv_buf_init(&values, SIZE_MAX / 2);
    mkv_buf_clear(&r->scratch);

    int error = cut_values(r, word, &values);

    if (error == 0) {
        error = translate(mkv_buf_bytes(&values), word, &r->scratch);
    }
    if (error != 0) {
        REFUSE(r, error,
               "this object does not have the form %s; for a key that really begins with \"$\", "
               "write it twice",
               form_of(word));
    } else {
        mkv_builder_drop(&r->builder);
        mkv_builder_raw(&r->builder, mkv_buf_bytes(&r->scratch));
    }
    mkv_buf_deinit(&values);
}

static void close_collection(struct json_reader *r)
{
    enum mkv_key_word word = top(r)->word;

    if (word == MKV_KEY_NONE) {
        mkv_builder_close(&r->builder);
    } else {
        replace_object(r, word);
    }
    if (r->error == 0 && r->builder.writer.error == 0) {
        r->pos++;
    }
    r->state = r->builder.depth == 0 ? WANT_NOTHING : WANT_COMMA_OR_CLOSE;
}

static bool at_close(const struct json_reader *r)
{
    enum mkv_builder_kind kind = r->builder.frames[r->builder.depth - 1].kind;

    return r->pos < r->in.len && r->in.at[r->pos] == (kind == MKV_BUILDER_MAP ? '}' : ']');
}

static void read_comma_or_close(struct json_reader *r)
{
    bool in_map = r->builder.frames[r->builder.depth - 1].kind == MKV_BUILDER_MAP;

    if (at_close(r)) {
        close_collection(r);
    } else if (r->pos < r->in.len && r->in.at[r->pos] == ',') {
        r->pos++;
        r->state = in_map ? WANT_KEY : WANT_VALUE;
    } else if (r->pos == r->in.len) {
        REFUSE(r, MKV_E_TRUNCATED, "the text ends before the closing '%c'", in_map ? '}' : ']');
    } else {
        REFUSE(r, MKV_E_MALFORMED, "expected ',' or '%c'", in_map ? '}' : ']');
    }
}

static void step(struct json_reader *r)
{
    skip_space(r);
    switch (r->state) {
    case WANT_VALUE:
        read_value(r);
        break;
    case WANT_VALUE_OR_CLOSE:
        if (at_close(r)) {
            close_collection(r);
        } else {
            read_value(r);
        }
        break;
    case WANT_KEY:
        read_key(r);
        break;
    case WANT_KEY_OR_CLOSE:
        if (at_close(r)) {
            close_collection(r);
        } else {
            read_key(r);
        }
        break;
    case WANT_COMMA_OR_CLOSE:
        read_comma_or_close(r);
        break;
    case WANT_NOTHING:
        if (r->pos < r->in.len) {
            REFUSE(r, MKV_E_TRAILING, "the value is complete, but more text follows");
        }
        break;
    }
}

/* What the builder refused, said where the reader stands. */
static void take_builder_error(struct json_reader *r)
{
    int error = r->builder.writer.error;
    struct mkv_buf shown;
    struct mkv_sink sink;
    struct mkv_cbor_reader key;

    if (error != MKV_E_DUPLICATE_KEY) {
        REFUSE(r, error, "%s", mkv_error_text(error));
        return;
    }
    mkv_buf_init(&shown, SIZE_MAX / 2);
    mkv_sink_init(&sink, &shown);
    mkv_cbor_reader_init(&key, mkv_bytes(r->builder.writer.out->at + r->builder.repeated.start,
                                         r->builder.repeated.len));
    if (mkv_cbor_peek(&key) == MKV_CBOR_TEXT) {
        mkv_json_string_write(&sink, mkv_cbor_read_text(&key));
    }
    REFUSE(r, error, "the object that ends here has the key %.*s twice",
           (int)mkv_problem_cut(mkv_buf_bytes(&shown), 100),
           shown.len > 0 ? (const char *)shown.at : "");
    mkv_buf_deinit(&shown);
}

static void run(struct json_reader *r)
{
    if (mkv_bytes_starts_with(r->in, mkv_bytes_of("\xef\xbb\xbf"))) {
        r->pos = 3; /* a byte order mark, as some editors leave it */
    }
    while (r->error == 0 && (r->state != WANT_NOTHING || r->pos < r->in.len)) {
        step(r);
        if (r->error == 0 && r->builder.writer.error != 0) {
            take_builder_error(r);
        }
    }
}

int mkv_json_read(struct mkv_bytes text,
                  bool document,
                  struct mkv_buf *item,
                  struct mkv_problem *problem)
{
    struct json_reader r;

    r.in = text;
    r.pos = 0;
    r.document = document;
    r.state = WANT_VALUE;
    r.problem = problem;
    r.error = 0;
    mkv_buf_init(&r.scratch, SIZE_MAX / 2);
    mkv_builder_init(&r.builder, item);
    run(&r);
    mkv_builder_deinit(&r.builder);
    mkv_buf_deinit(&r.scratch);
    return r.error;
}
