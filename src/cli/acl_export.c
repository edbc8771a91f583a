/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/acl_export.h"

#include <string.h>

#include "cli/export_rows.h"
#include "cli/people.h"
#include "wire/path.h"

#define TOPIC_MAX ((size_t)2 * MKV_TOPIC_MAX)

/* What is written about one user. */
struct writing {
    const struct mkv_export *to;
    const struct mkv_acl_user *user;
    const struct mkv_export_rows *rows;
    struct mkv_buf *topic; /* of the row at hand */
};

int mkv_export_target_of(const char *word, enum mkv_export_target *ret_target)
{
    static const char *const words[] = {"mosquitto", "emqx", "nats"};

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(word, words[i]) == 0) {
            *ret_target = (enum mkv_export_target)i;
            return 0;
        }
    }
    return MKV_E_BAD_ARGUMENT;
}

/* --- Topics ------------------------------------------------------------------------------- */

static bool is_wildcard(struct mkv_bytes element)
{
    return element.len == 4 && element.at[0] == 0x60 &&
           (element.at[1] == '+' || element.at[1] == '#');
}

/* "/level" of the last element of @head, as topics have it; a wildcard stays one. */
static int append_level(const struct mkv_export *to,
                        struct mkv_bytes head,
                        struct mkv_bytes element,
                        struct mkv_buf *topic)
{
    struct mkv_bytes before = mkv_bytes(head.at, head.len - element.len);
    struct mkv_buf outer;
    struct mkv_buf inner;
    int error;

    if (is_wildcard(element)) {
        error = mkv_buf_append_u8(topic, '/');
        return error != 0 ? error : mkv_buf_append_u8(topic, element.at[1]);
    }
    mkv_buf_init(&outer, TOPIC_MAX);
    mkv_buf_init(&inner, TOPIC_MAX);
    error = mkv_topic_of_path(to->root, to->profile, before, &outer);
    if (error == 0) {
        error = mkv_topic_of_path(to->root, to->profile, head, &inner);
    }
    if (error == 0) {
        error = mkv_buf_append(topic, mkv_bytes_after(mkv_buf_bytes(&inner), outer.len));
    }
    mkv_buf_deinit(&inner);
    mkv_buf_deinit(&outer);
    return error;
}

static int make_topic(const struct mkv_export *to, struct mkv_bytes filter, struct mkv_buf *topic)
{
    struct mkv_bytes rest = filter;
    int error;

    mkv_buf_clear(topic);
    error = mkv_topic_of_path(to->root, to->profile, mkv_bytes(NULL, 0), topic);
    while (error == 0 && rest.len > 0) {
        struct mkv_bytes element = mkv_path_cut(&rest);

        error = append_level(to, mkv_bytes(filter.at, filter.len - rest.len), element, topic);
    }
    return error;
}

/* The same in the words of NATS.  False: it has none, since '>' as a whole level is a wildcard there. */
static bool make_subject(struct mkv_buf *topic)
{
    bool fits = true;

    for (size_t i = 0; i < topic->len; i++) {
        bool starts = i == 0 || topic->at[i - 1] == '.';
        bool ends = i + 1 == topic->len || topic->at[i + 1] == '/';

        fits = fits && !(topic->at[i] == '>' && starts && ends);
        if (topic->at[i] == '/') {
            topic->at[i] = '.';
        } else if (starts && ends && topic->at[i] == '+') {
            topic->at[i] = '*';
        } else if (starts && ends && topic->at[i] == '#') {
            topic->at[i] = '>';
        }
    }
    return fits;
}

static void put_quoted(struct mkv_out *out, struct mkv_bytes text)
{
    mkv_out_puts(out, "\"");
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '"' || text.at[i] == '\\') {
            mkv_out_puts(out, "\\");
        }
        mkv_out_put(out, mkv_bytes(text.at + i, 1));
    }
    mkv_out_puts(out, "\"");
}

/* --- Comments ----------------------------------------------------------------------------- */

static const char *comment_of(const struct mkv_export *to)
{
    return to->target == MKV_EXPORT_EMQX ? "%% " : "# ";
}

static void put_comment(const struct writing *w, struct mkv_bytes filter, const char *text)
{
    mkv_out_puts(w->to->out, comment_of(w->to));
    mkv_people_put_filter(w->to->out, filter);
    mkv_out_puts(w->to->out, ": ");
    mkv_out_puts(w->to->out, text);
    mkv_out_puts(w->to->out, "\n");
}

static void put_partly(const struct writing *w, const struct mkv_export_row *row)
{
    if (row->partly) {
        put_comment(w, row->filter,
                    "a broker cannot tell changing, creating and deleting apart: servers do");
    }
}

/* A user who may do something everywhere, which does not mean the meta tree. */
static bool goes_everywhere(const struct mkv_export_rows *rows, enum mkv_export_way way)
{
    for (size_t i = 0; i < rows->n; i++) {
        if (rows->at[i].say[way] == MKV_EXPORT_ALLOW && mkv_filter_is_wild(rows->at[i].filter)) {
            return true;
        }
    }
    return false;
}

static bool shuts_meta(const struct mkv_export_rows *rows)
{
    return goes_everywhere(rows, MKV_EXPORT_SEND) || goes_everywhere(rows, MKV_EXPORT_RECEIVE);
}

/* Where denials go first: whether an allowance comes to nothing, or is cut, and which comment says so. */
static void warn_denied(const struct writing *w,
                        const struct mkv_export_row *row,
                        enum mkv_export_way way)
{
    const struct mkv_export_row *denial = mkv_export_denial(w->rows, row, way, false);

    if (denial != NULL && mkv_export_denial(w->rows, row, way, true) == NULL) {
        put_comment(
            w, row->filter,
            "is allowed by a rule that is more specific than a denial; here the denial wins");
    }
    if (mkv_filter_is_meta(row->filter) && shuts_meta(w->rows)) {
        put_comment(w, row->filter,
                    "is allowed, but since others are by a wildcard, all of $NULL is denied here");
    }
}

/*
 * EMQX asks when a client subscribes, not for each message, and nats-server does not hold back what
 * is denied below a subscription with QoS 1: what reaches too far must not be allowed.
 */
static bool may_subscribe(const struct writing *w, const struct mkv_export_row *row)
{
    if (mkv_filter_is_wild(row->filter)) {
        put_comment(w, row->filter,
                    "reading is left out: a subscription would bring $NULL as well; allow it by "
                    "first elements");
        return false;
    }
    if (mkv_export_denial(w->rows, row, MKV_EXPORT_RECEIVE, true) != NULL) {
        put_comment(
            w, row->filter,
            "reading is left out: a subscription would bring what a more specific rule denies");
        return false;
    }
    return true;
}

/* --- mosquitto ---------------------------------------------------------------------------- */

static void put_mosquitto_line(const struct writing *w, const char *access, struct mkv_bytes topic)
{
    mkv_out_puts(w->to->out, "topic ");
    mkv_out_puts(w->to->out, access);
    mkv_out_puts(w->to->out, " ");
    mkv_out_put(w->to->out, topic);
    mkv_out_puts(w->to->out, "\n");
}

static void put_mosquitto_svc(const struct writing *w, const char *access, const char *name)
{
    mkv_out_printf(w->to->out, "topic %s ", access);
    mkv_out_put(w->to->out, w->to->root);
    mkv_out_printf(w->to->out, "/%s\n", name);
}

static void put_mosquitto_row(const struct writing *w, const struct mkv_export_row *row)
{
    enum mkv_export_say sends = row->say[MKV_EXPORT_SEND];
    enum mkv_export_say receives = row->say[MKV_EXPORT_RECEIVE];
    struct mkv_bytes topic = mkv_buf_bytes(w->topic);

    put_partly(w, row);
    if (sends == MKV_EXPORT_DENY || receives == MKV_EXPORT_DENY) {
        if (sends != receives) {
            put_comment(w, row->filter,
                        "only one way is denied, but mosquitto denies both at once");
        }
        put_mosquitto_line(w, "deny", topic);
        return;
    }
    if (receives == MKV_EXPORT_ALLOW) {
        warn_denied(w, row, MKV_EXPORT_RECEIVE);
        put_mosquitto_line(w, "read", topic);
    }
    if (sends == MKV_EXPORT_ALLOW) {
        warn_denied(w, row, MKV_EXPORT_SEND);
        put_mosquitto_line(w, "write", topic);
    }
}

static int put_mosquitto_user(struct writing *w)
{
    int error = 0;

    mkv_out_puts(w->to->out, "\nuser ");
    mkv_out_put(w->to->out, w->user->name);
    mkv_out_puts(w->to->out, "\n");
    put_mosquitto_svc(w, "write", "svc/birth");
    put_mosquitto_svc(w, "write", "svc/query");
    put_mosquitto_svc(w, "read", "svc/server");
    if (shuts_meta(w->rows)) {
        put_mosquitto_svc(w, "deny", "d/$NULL/#");
    }
    for (size_t i = 0; i < w->rows->n && error == 0; i++) {
        error = make_topic(w->to, w->rows->at[i].filter, w->topic);
        if (error == 0) {
            put_mosquitto_row(w, &w->rows->at[i]);
        }
    }
    return error;
}

/* --- EMQX --------------------------------------------------------------------------------- */

static void put_emqx_line(const struct writing *w,
                          const char *verdict,
                          const char *action,
                          bool exactly,
                          struct mkv_bytes topic)
{
    struct mkv_out *out = w->to->out;

    mkv_out_printf(out, "{%s, {username, ", verdict);
    put_quoted(out, w->user->name);
    mkv_out_printf(out, "}, %s, [%s", action, exactly ? "{eq, " : "");
    put_quoted(out, topic);
    mkv_out_puts(out, exactly ? "}]}.\n" : "]}.\n");
}

static int put_emqx_under_root(struct writing *w,
                               const char *verdict,
                               const char *action,
                               const char *name)
{
    int error;

    mkv_buf_clear(w->topic);
    error = mkv_buf_append(w->topic, w->to->root);
    if (error == 0) {
        error = mkv_buf_append(w->topic, mkv_bytes_of(name));
    }
    put_emqx_line(w, verdict, action, false, mkv_buf_bytes(w->topic));
    return error;
}

static bool has_placeholder(struct mkv_bytes topic)
{
    return topic.len > 0 && memmem(topic.at, topic.len, "${", 2) != NULL;
}

/* To allow 'a/+' might allow a subscription to 'a/#': then only that very filter may be subscribed to. */
static bool has_one(struct mkv_bytes filter)
{
    while (filter.len > 0) {
        struct mkv_bytes element = mkv_path_cut(&filter);

        if (is_wildcard(element) && element.at[1] == '+') {
            return true;
        }
    }
    return false;
}

static void put_emqx_row(const struct writing *w, const struct mkv_export_row *row)
{
    struct mkv_bytes topic = mkv_buf_bytes(w->topic);

    put_partly(w, row);
    if (row->say[MKV_EXPORT_SEND] != MKV_EXPORT_NOTHING) {
        put_emqx_line(w, row->say[MKV_EXPORT_SEND] == MKV_EXPORT_ALLOW ? "allow" : "deny",
                      "publish", false, topic);
    }
    if (row->say[MKV_EXPORT_RECEIVE] == MKV_EXPORT_DENY) {
        put_emqx_line(w, "deny", "subscribe", false, topic);
    } else if (row->say[MKV_EXPORT_RECEIVE] == MKV_EXPORT_ALLOW && may_subscribe(w, row)) {
        put_emqx_line(w, "allow", "subscribe", has_one(row->filter), topic);
    }
}

static int put_emqx_rows(struct writing *w)
{
    bool shut = false;
    int error = 0;

    for (size_t i = 0; i < w->rows->n && error == 0; i++) {
        const struct mkv_export_row *row = &w->rows->at[i];

        if (!shut && mkv_filter_is_wild(row->filter)) { /* no more literal ones follow */
            error = put_emqx_under_root(w, "deny", "all", "/d/$NULL/#");
            shut = true;
        }
        if (error == 0) {
            error = make_topic(w->to, row->filter, w->topic);
        }
        if (error == 0 && has_placeholder(mkv_buf_bytes(w->topic))) {
            put_comment(
                w, row->filter,
                "has a '${', which EMQX takes for a placeholder: from here on all is denied");
            break;
        }
        if (error == 0) {
            put_emqx_row(w, row);
        }
    }
    return error;
}

static int put_emqx_user(struct writing *w)
{
    int error;

    mkv_out_puts(w->to->out, "\n");
    error = put_emqx_under_root(w, "allow", "publish", "/svc/birth");
    if (error == 0) {
        error = put_emqx_under_root(w, "allow", "publish", "/svc/query");
    }
    if (error == 0) {
        error = put_emqx_under_root(w, "allow", "subscribe", "/svc/server");
    }
    if (error == 0) {
        error = put_emqx_rows(w);
    }
    return error != 0 ? error : put_emqx_under_root(w, "deny", "all", "/#");
}

/* --- NATS --------------------------------------------------------------------------------- */

static void put_subject(const struct writing *w, struct mkv_bytes subject)
{
    mkv_out_puts(w->to->out, "      ");
    put_quoted(w->to->out, subject);
    mkv_out_puts(w->to->out, "\n");
}

/* `a.>` is not `a` itself there, so both are named. */
static void put_subjects(const struct writing *w)
{
    struct mkv_bytes subject = mkv_buf_bytes(w->topic);

    put_subject(w, subject);
    if (subject.len > 2 && memcmp(subject.at + subject.len - 2, ".>", 2) == 0) {
        put_subject(w, mkv_bytes(subject.at, subject.len - 2));
    }
}

static int put_nats_text(struct writing *w, const char *name)
{
    int error;

    mkv_buf_clear(w->topic);
    error = mkv_buf_append(w->topic, w->to->root);
    if (error == 0) {
        error = mkv_buf_append(w->topic, mkv_bytes_of(name));
    }
    (void)make_subject(w->topic);
    put_subjects(w);
    return error;
}

static int put_nats_rows(struct writing *w, enum mkv_export_way way, enum mkv_export_say which)
{
    int error = 0;

    for (size_t i = 0; i < w->rows->n && error == 0; i++) {
        const struct mkv_export_row *row = &w->rows->at[i];

        if (row->say[way] != which) {
            continue;
        }
        error = make_topic(w->to, row->filter, w->topic);
        if (error == 0 && !make_subject(w->topic) && which == MKV_EXPORT_ALLOW) {
            put_comment(w, row->filter, "is left out: '>' as a whole level is a wildcard for NATS");
            continue;
        }
        if (which == MKV_EXPORT_ALLOW && way == MKV_EXPORT_RECEIVE && !may_subscribe(w, row)) {
            continue;
        }
        if (which == MKV_EXPORT_ALLOW) {
            warn_denied(w, row, way);
        }
        if (way == MKV_EXPORT_SEND) {
            put_partly(w, row);
        }
        put_subjects(w);
    }
    return error;
}

static int put_nats_way(struct writing *w, enum mkv_export_way way)
{
    struct mkv_out *out = w->to->out;
    bool sends = way == MKV_EXPORT_SEND;
    int error;

    mkv_out_puts(out, sends ? "  publish: {\n    allow: [\n" : "  subscribe: {\n    allow: [\n");
    error = put_nats_text(w, sends ? "/svc/birth" : "/svc/server");
    if (error == 0 && sends) {
        error = put_nats_text(w, "/svc/query");
    }
    if (!sends) {
        put_subject(w, mkv_bytes_of("$MQTT.sub.>"));
    }
    if (error == 0) {
        error = put_nats_rows(w, way, MKV_EXPORT_ALLOW);
    }
    mkv_out_puts(out, "    ]\n    deny: [\n");
    if (error == 0 && shuts_meta(w->rows)) {
        error = put_nats_text(w, "/d/$NULL/#");
    }
    if (error == 0) {
        error = put_nats_rows(w, way, MKV_EXPORT_DENY);
    }
    mkv_out_puts(out, "    ]\n  }\n");
    return error;
}

static int put_nats_user(struct writing *w, size_t number)
{
    struct mkv_out *out = w->to->out;
    int error;

    mkv_out_printf(out, "\n# {user: \"%.*s\", password: ..., permissions: $moat_kv_%zu}\n",
                   (int)w->user->name.len, (const char *)w->user->name.at, number);
    mkv_out_printf(out, "moat_kv_%zu = {\n", number);
    error = put_nats_way(w, MKV_EXPORT_SEND);
    if (error == 0) {
        error = put_nats_way(w, MKV_EXPORT_RECEIVE);
    }
    mkv_out_puts(out, "}\n");
    return error;
}

/* --- All of it ---------------------------------------------------------------------------- */

static void put_head(const struct mkv_export *to)
{
    static const char *const kinds[] = {
        "for mosquitto: acl_file. Denials go first there, wherever they stand",
        "for EMQX 5: acl.conf, with authorization.no_match = deny. The first line that matches "
        "decides",
        "for NATS: variables for the list of users in authorization. Denials go first there",
    };
    static const char *const lines[] = {
        "Users' names and passwords are the broker's own affair: each user connects under the name",
        "used here. The servers need an account that may do everything below the root.",
        "This allows nothing that the rules do not; comments say what it cannot express. Whose an",
        "update is only servers check: without the guard a user can write as another one.",
        "It has to be made anew when users or rules change.",
    };
    const char *comment = comment_of(to);

    mkv_out_puts(to->out, comment);
    mkv_out_puts(to->out, "MoaT-KV: who may do what, ");
    mkv_out_puts(to->out, kinds[to->target]);
    mkv_out_puts(to->out, "\n");
    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        mkv_out_puts(to->out, comment);
        mkv_out_puts(to->out, lines[i]);
        mkv_out_puts(to->out, "\n");
    }
}

static int put_user(const struct mkv_export *to, const struct mkv_acl_user *user, size_t number)
{
    struct mkv_export_rows rows;
    struct mkv_buf topic;
    struct writing w = {.to = to, .user = user, .rows = &rows, .topic = &topic};
    int error = mkv_export_rows_make(to->acl, user, &rows);

    if (error != 0) {
        return error;
    }
    mkv_buf_init(&topic, TOPIC_MAX);
    switch (to->target) {
    case MKV_EXPORT_MOSQUITTO:
        error = put_mosquitto_user(&w);
        break;
    case MKV_EXPORT_EMQX:
        error = put_emqx_user(&w);
        break;
    case MKV_EXPORT_NATS:
        error = put_nats_user(&w, number);
        break;
    }
    mkv_buf_deinit(&topic);
    mkv_export_rows_free(&rows);
    return error;
}

int mkv_export_all(const struct mkv_export *to)
{
    int error = 0;

    put_head(to);
    for (size_t i = 0; i < mkv_acl_n_users(to->acl) && error == 0; i++) {
        const struct mkv_acl_user *user = mkv_acl_user_at(to->acl, i);

        if (!user->off) {
            error = put_user(to, user, i + 1);
        }
    }
    return error;
}
