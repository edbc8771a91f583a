/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding is lenient where that makes it simple, and then the topic is encoded again: unless that
 * gives the same bytes, it is refused.  So the encoder alone defines what is canonical.
 */
#include "wire/topic.h"

#include "base/limits.h"
#include "wire/decimal.h"
#include "wire/key.h"
#include "wire/path.h"
#include "wire/text.h"
#include "wire/utf8.h"

static const char null_at_top[] = "$NULL";

/* The first character of @text, which is valid UTF-8 and not empty. */
static uint32_t first_character(struct mkv_bytes text, size_t *ret_len)
{
    uint8_t lead = text.at[0];
    size_t len = 1U + (lead >= 0xc0) + (lead >= 0xe0) + (lead >= 0xf0);
    uint32_t character = len == 1 ? lead : lead & (0x7fU >> len);

    for (size_t i = 1; i < len; i++) {
        character = character << 6 | (text.at[i] & 0x3fU);
    }
    *ret_len = len;
    return character;
}

/* Control characters and noncharacters: brokers may close the connection over them. */
static bool is_banned(uint32_t character)
{
    return character <= 0x1f || (character >= 0x7f && character <= 0x9f) ||
           (character >= 0xfdd0 && character <= 0xfdef) || (character & 0xfffe) == 0xfffe;
}

/* Some brokers take these for level separators and wildcards of their own. */
static bool is_unportable(uint32_t character)
{
    return character == '.' || character == '*' || character == ' ';
}

static bool is_numbered(enum mkv_profile profile, uint32_t character)
{
    return is_banned(character) || (profile == MKV_PROFILE_PORTABLE && is_unportable(character));
}

/* The short escape of a character that has one, else NULL. */
static const char *short_escape(uint32_t character)
{
    switch (character) {
    case ':':
        return "::";
    case '/':
        return ":_";
    case '+':
        return ":p";
    case '#':
        return ":h";
    default:
        return NULL;
    }
}

/* :u2e- */
static void write_numbered(struct mkv_text_writer *w, uint32_t character)
{
    unsigned shift = 0;

    while (character >> shift >= 16) {
        shift += 4;
    }
    mkv_text_write_string(w, ":u");
    for (;; shift -= 4) {
        mkv_text_write_char(w, "0123456789abcdef"[character >> shift & 15]);
        if (shift == 0) {
            break;
        }
    }
    mkv_text_write_char(w, '-');
}

static void write_text(struct mkv_text_writer *w, enum mkv_profile profile, struct mkv_bytes text)
{
    if (text.len == 0) {
        mkv_text_write_string(w, ":e");
    } else if (text.at[0] == '$' && profile == MKV_PROFILE_PORTABLE) {
        write_numbered(w, '$'); /* the shield has a dot, which that profile is there to avoid */
        text = mkv_bytes_after(text, 1);
    } else if (text.at[0] == '$') {
        mkv_text_write_string(w, ":.");
    }
    while (text.len > 0) {
        size_t len;
        uint32_t character = first_character(text, &len);
        const char *escape = short_escape(character);

        if (escape != NULL) {
            mkv_text_write_string(w, escape);
        } else if (is_numbered(profile, character)) {
            write_numbered(w, character);
        } else {
            mkv_text_write(w, mkv_bytes(text.at, len));
        }
        text = mkv_bytes_after(text, len);
    }
}

/* As wire/float.h has it, but without the '+', which is a wildcard. */
static void write_number(struct mkv_text_writer *w,
                         enum mkv_profile profile,
                         const struct mkv_element *element)
{
    char number[MKV_NUMBER_TEXT_MAX];
    size_t len = mkv_element_number_format(element, number);

    mkv_text_write_char(w, ':');
    for (size_t i = 0; i < len; i++) {
        if (is_numbered(profile, (uint8_t)number[i])) {
            write_numbered(w, (uint8_t)number[i]);
        } else if (number[i] != '+') {
            mkv_text_write_char(w, number[i]);
        }
    }
}

static void write_level(struct mkv_text_writer *w,
                        enum mkv_profile profile,
                        const struct mkv_element *element,
                        bool at_top)
{
    switch (element->kind) {
    case MKV_ELEMENT_NULL:
        mkv_text_write_string(w, at_top ? null_at_top : ":n");
        break;
    case MKV_ELEMENT_FALSE:
        mkv_text_write_string(w, ":f");
        break;
    case MKV_ELEMENT_TRUE:
        mkv_text_write_string(w, ":t");
        break;
    case MKV_ELEMENT_NINT:
    case MKV_ELEMENT_UINT:
    case MKV_ELEMENT_FLOAT:
        write_number(w, profile, element);
        break;
    case MKV_ELEMENT_TEXT:
        write_text(w, profile, element->text);
        break;
    case MKV_ELEMENT_BYTES:
        mkv_text_write_string(w, ":y");
        mkv_text_write_hex(w, element->text);
        break;
    }
}

/* Ends a topic: MQTT counts its bytes with 16 bits. */
static int finish_topic(struct mkv_text_writer *w)
{
    if (w->error == 0 && w->out->len - w->start > MKV_TOPIC_MAX) {
        w->error = MKV_E_TOO_LARGE;
    }
    return mkv_text_finish(w);
}

static void write_topic(struct mkv_text_writer *w,
                        struct mkv_bytes root,
                        enum mkv_profile profile,
                        struct mkv_bytes key)
{
    uint8_t room[MKV_PATH_KEY_MAX];

    mkv_text_write(w, root);
    mkv_text_write_string(w, "/d");
    for (bool at_top = true; key.len > 0; at_top = false) {
        struct mkv_element element = mkv_key_unpack(mkv_path_cut(&key), room);

        mkv_text_write_char(w, '/');
        write_level(w, profile, &element, at_top);
    }
}

int mkv_topic_of_path(struct mkv_bytes root,
                      enum mkv_profile profile,
                      struct mkv_bytes key,
                      struct mkv_buf *topic)
{
    struct mkv_text_writer w;

    mkv_text_writer_init(&w, topic);
    write_topic(&w, root, profile, key);
    return finish_topic(&w);
}

int mkv_topic_filter(struct mkv_bytes root,
                     enum mkv_profile profile,
                     struct mkv_bytes key,
                     struct mkv_buf *filter)
{
    struct mkv_text_writer w;

    mkv_text_writer_init(&w, filter);
    write_topic(&w, root, profile, key);
    mkv_text_write_string(&w, "/#");
    return finish_topic(&w);
}

/* Up to the next @end, which is taken as well, or to the end of @rest. */
static struct mkv_bytes take_until(struct mkv_bytes *rest, char end)
{
    const uint8_t *found = rest->len > 0 ? memchr(rest->at, end, rest->len) : NULL;
    size_t len = found != NULL ? (size_t)(found - rest->at) : rest->len;
    struct mkv_bytes taken = mkv_bytes(rest->at, len);

    *rest = mkv_bytes_after(*rest, found != NULL ? len + 1 : len);
    return taken;
}

/* Writes @character as UTF-8 and returns its length; 0 if there is no such character. */
static size_t put_character(uint32_t character, uint8_t ret_utf8[4])
{
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t len = 1U + (character > 0x7f) + (character > 0x7ff) + (character > 0xffff);

    if (character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff)) {
        return 0;
    }
    for (size_t i = len; i > 1; i--) {
        ret_utf8[i - 1] = (uint8_t)(0x80 | (character & 0x3f));
        character >>= 6;
    }
    ret_utf8[0] = (uint8_t)(leads[len] | character);
    return len;
}

/* What follows ":u": digits and a '-'.  Returns the length of the character; 0 if malformed. */
static size_t take_numbered(struct mkv_bytes *rest, uint8_t ret_utf8[4])
{
    struct mkv_bytes digits = take_until(rest, '-');
    uint32_t character = 0;

    if (digits.len == 0 || digits.len > 6) {
        return 0;
    }
    for (size_t i = 0; i < digits.len; i++) {
        int digit = mkv_digit_value(digits.at[i]);

        if (digit < 0) {
            return 0;
        }
        character = character << 4 | (unsigned)digit;
    }
    return put_character(character, ret_utf8);
}

/*
 * Takes what follows a colon in text, and returns the length of what it stands for: 0 for the
 * shield of a leading '$', -1 if it is no escape.
 */
static int take_escaped(struct mkv_bytes *rest, uint8_t ret_utf8[4])
{
    static const char escapes[] = ":_ph";
    static const char meanings[] = ":/+#";
    uint8_t type = rest->len > 0 ? rest->at[0] : 0;
    const char *found = type != 0 ? strchr(escapes, type) : NULL;

    *rest = mkv_bytes_after(*rest, rest->len > 0);
    if (found != NULL) {
        ret_utf8[0] = (uint8_t)meanings[found - escapes];
        return 1;
    }
    if (type == 'u') {
        size_t len = take_numbered(rest, ret_utf8);

        return len > 0 ? (int)len : -1;
    }
    return type == '.' ? 0 : -1;
}

static void read_text(struct mkv_bytes level, struct mkv_key_writer *w)
{
    mkv_key_begin(w, MKV_ELEMENT_TEXT);
    while (level.len > 0 && w->error == 0) {
        size_t left = level.len;
        struct mkv_bytes plain = take_until(&level, ':');
        bool colon = plain.len < left;
        uint8_t utf8[4];
        int len = colon ? take_escaped(&level, utf8) : 0;

        mkv_key_add(w, plain);
        if (len < 0) {
            mkv_key_fail(w, MKV_E_BAD_TOPIC);
        } else {
            mkv_key_add(w, mkv_bytes(utf8, (size_t)len));
        }
    }
    mkv_key_end(w);
}

/* In the portable profile the point is an escape, and the only one there is in a number. */
static void read_number(struct mkv_bytes level, struct mkv_key_writer *w)
{
    static const char point[] = ":u2e-";
    uint8_t text[MKV_NUMBER_TEXT_MAX];
    struct mkv_element element;
    size_t n = 0;

    while (level.len > 0 && n < sizeof(text)) {
        bool escaped = mkv_bytes_starts_with(level, mkv_bytes_of(point));

        text[n++] = escaped ? '.' : level.at[0];
        level = mkv_bytes_after(level, escaped ? strlen(point) : 1);
    }
    if (level.len > 0 || mkv_element_from_number(mkv_bytes(text, n), &element) != 0) {
        mkv_key_fail(w, MKV_E_BAD_TOPIC);
        return;
    }
    mkv_key_write(w, &element);
}

static void read_hex(struct mkv_bytes digits, struct mkv_key_writer *w)
{
    mkv_key_begin(w, MKV_ELEMENT_BYTES);
    for (size_t i = 0; i < digits.len; i += 2) {
        int high = mkv_digit_value(digits.at[i]);
        int low = i + 1 < digits.len ? mkv_digit_value(digits.at[i + 1]) : -1;

        if (high < 0 || low < 0) {
            mkv_key_fail(w, MKV_E_BAD_TOPIC);
            return;
        }

        uint8_t byte = (uint8_t)(high * 16 + low);

        mkv_key_add(w, mkv_bytes(&byte, 1));
    }
    mkv_key_end(w);
}

/* :n, :t, :f, :e; false if @type is none of these. */
static bool read_constant(uint8_t type, struct mkv_key_writer *w)
{
    struct mkv_element element = {0};

    switch (type) {
    case 'n':
        element.kind = MKV_ELEMENT_NULL;
        break;
    case 't':
        element.kind = MKV_ELEMENT_TRUE;
        break;
    case 'f':
        element.kind = MKV_ELEMENT_FALSE;
        break;
    case 'e':
        element.kind = MKV_ELEMENT_TEXT;
        break;
    default:
        return false;
    }
    mkv_key_write(w, &element); /* if more follows, encoding it again shows that */
    return true;
}

/* What stands behind a colon at the start of a level; false if it is an escape of a text. */
static bool read_typed(struct mkv_bytes typed, struct mkv_key_writer *w)
{
    uint8_t type = typed.len > 0 ? typed.at[0] : 0;

    if (type == '-' || (type >= '0' && type <= '9')) {
        read_number(typed, w);
        return true;
    }
    if (type == 'y') {
        read_hex(mkv_bytes_after(typed, 1), w);
        return true;
    }
    return read_constant(type, w);
}

static void read_level(struct mkv_bytes level, bool at_top, struct mkv_key_writer *w)
{
    if (at_top && mkv_bytes_equal(level, mkv_bytes_of(null_at_top))) {
        const struct mkv_element null = {.kind = MKV_ELEMENT_NULL};

        mkv_key_write(w, &null);
        return;
    }
    if (level.len == 0 || level.at[0] != ':' || !read_typed(mkv_bytes_after(level, 1), w)) {
        read_text(level, w);
    }
}

/* @levels is empty or begins with a slash. */
static void read_levels(struct mkv_bytes levels, struct mkv_key_writer *w)
{
    for (bool at_top = true; levels.len > 0 && w->error == 0; at_top = false) {
        levels = mkv_bytes_after(levels, 1);

        const struct mkv_bytes rest = levels;
        struct mkv_bytes level = take_until(&levels, '/');

        read_level(level, at_top, w);
        levels = mkv_bytes_after(rest, level.len);
    }
}

/* Removes "<root>/<room>" from the start of @topic; false if it is not there. */
static bool skip_root(struct mkv_bytes root, const char *room, struct mkv_bytes *topic)
{
    struct mkv_bytes rest = *topic;

    if (!mkv_bytes_starts_with(rest, root)) {
        return false;
    }
    rest = mkv_bytes_after(rest, root.len);
    if (!mkv_bytes_starts_with(rest, mkv_bytes_of(room))) {
        return false;
    }
    *topic = mkv_bytes_after(rest, strlen(room));
    return true;
}

/* Whether encoding the path gives back the topic: 0, BAD_TOPIC or NO_MEMORY. */
static int check_canonical(struct mkv_bytes root,
                           enum mkv_profile profile,
                           struct mkv_bytes topic,
                           struct mkv_bytes key)
{
    struct mkv_buf again;

    mkv_buf_init(&again, topic.len);

    int error = mkv_buf_reserve(&again, topic.len); /* at once, not piece by piece */

    if (error == 0) {
        error = mkv_topic_of_path(root, profile, key, &again);
    }
    if (error == MKV_E_TOO_LARGE ||
        (error == 0 && !mkv_bytes_equal(mkv_buf_bytes(&again), topic))) {
        error = MKV_E_BAD_TOPIC;
    }
    mkv_buf_deinit(&again);
    return error;
}

int mkv_topic_to_path(struct mkv_bytes root,
                      enum mkv_profile profile,
                      struct mkv_bytes topic,
                      struct mkv_buf *key)
{
    struct mkv_key_writer w;
    struct mkv_bytes levels = topic;
    bool below = skip_root(root, "/d", &levels) && (levels.len == 0 || levels.at[0] == '/');

    mkv_key_writer_init(&w, key);
    if (!below || topic.len > MKV_TOPIC_MAX || !mkv_utf8_valid(topic)) {
        mkv_key_fail(&w, MKV_E_BAD_TOPIC);
    }
    read_levels(levels, &w);
    if (w.error == 0) {
        int error =
            check_canonical(root, profile, topic, mkv_bytes_after(mkv_buf_bytes(key), w.start));

        if (error != 0) {
            mkv_key_fail(&w, error);
        }
    }
    return mkv_key_finish(&w);
}

int mkv_topic_of_svc(struct mkv_bytes root, const char *name, struct mkv_buf *topic)
{
    struct mkv_text_writer w;

    mkv_text_writer_init(&w, topic);
    mkv_text_write(&w, root);
    mkv_text_write_string(&w, "/svc/");
    mkv_text_write_string(&w, name);
    return finish_topic(&w);
}

bool mkv_topic_is_svc(struct mkv_bytes root, const char *name, struct mkv_bytes topic)
{
    return skip_root(root, "/svc/", &topic) && mkv_bytes_equal(topic, mkv_bytes_of(name));
}

int mkv_root_check(struct mkv_bytes root)
{
    if (root.len == 0 || root.len > MKV_ROOT_MAX || !mkv_utf8_valid(root)) {
        return MKV_E_BAD_TOPIC;
    }
    if (root.at[0] == '$' || root.at[0] == '/' || root.at[root.len - 1] == '/') {
        return MKV_E_BAD_TOPIC;
    }
    while (root.len > 0) {
        size_t len;
        uint32_t character = first_character(root, &len);

        if (is_banned(character) || character == '+' || character == '#') {
            return MKV_E_BAD_TOPIC;
        }
        root = mkv_bytes_after(root, len);
    }
    return 0;
}

bool mkv_root_suits(struct mkv_bytes root, enum mkv_profile profile)
{
    for (size_t i = 0; i < root.len; i++) {
        if (profile == MKV_PROFILE_PORTABLE && is_unportable(root.at[i])) {
            return false;
        }
    }
    return true;
}

/* Whether @topic is @root and then @levels, or lies below that. */
static bool is_below(struct mkv_bytes root, const char *levels, struct mkv_bytes topic)
{
    struct mkv_bytes rest = mkv_bytes_after(topic, root.len < topic.len ? root.len : topic.len);
    size_t len = strlen(levels);

    return mkv_bytes_starts_with(topic, root) &&
           mkv_bytes_starts_with(rest, mkv_bytes_of(levels)) &&
           (rest.len == len || rest.at[len] == '/');
}

bool mkv_topic_is_data(struct mkv_bytes root, struct mkv_bytes topic)
{
    return is_below(root, "/d", topic);
}

bool mkv_topic_is_meta(struct mkv_bytes root, struct mkv_bytes topic)
{
    return is_below(root, "/d/$NULL", topic);
}
