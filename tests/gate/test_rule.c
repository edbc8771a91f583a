/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/limits.h"
#include "gate/decimal.h"
#include "gate/message.h"
#include "gate/pattern.h"
#include "lib/check.h"
#include "lib/prng.h"
#include "rig.h"
#include "wire/cbor.h"

#define TEXT_MAX 2000U

/* Appends to a text of TEXT_MAX bytes. */
static void add(char *text, const char *more)
{
    size_t n = strlen(text);
    size_t len = strlen(more);

    assert_true(n + len < TEXT_MAX);
    memcpy(text + n, more, len + 1);
}

static int tear_down(void **state)
{
    (void)state;
    rig_end();
    return 0;
}

/* --- Rules ------------------------------------------------------------------------------------- */

#define IN "\"topic\":\"a/+\",\"path\":\"b.+\",\"dir\":\"in\","

#define SENDS "\"topic\":\"a/+\",\"path\":\"b.+\",\"dir\":\"out\",\"codec\":\"json\","

static void good_rules(void **state)
{
    static const char *const good[] = {
        "{" IN "\"codec\":\"json\"}",
        "{" IN "\"codec\":\"raw\",\"qos\":0,\"retain\":true,\"off\":true,\"note\":\"n\"}",
        "{" IN "\"codec\":\"json\",\"fields\":true}",
        "{" IN "\"codec\":\"json\",\"fields\":[\"x\",\"y.z\"]}",
        "{" IN
        "\"codec\":\"json\",\"fields\":{\"x\":{\"scale\":[0.1,-5]},\"y\":{\"enum\":{\"a\":1}}}}",
        "{" IN "\"codec\":\"text\",\"enum\":{\"ON\":true,\"OFF\":false}}",
        "{\"topic\":\"a/#\",\"set\":\"b/#\",\"path\":\"c.#\",\"dir\":\"both\",\"codec\":\"text\"}",
        "{\"topic\":\"#\",\"path\":\"#\",\"dir\":\"both\",\"codec\":\"text\"}",
        "{" SENDS "\"birth\":{\"topic\":\"ha/status\",\"payload\":\"online\"}}",
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct mkv_gate_rule rule;

        make_rule(&rule, good[i]);
        mkv_gate_rule_deinit(&rule);
    }
}

static void bad_rules(void **state)
{
    static const struct {
        const char *json;
        const char *word; /* of the problem */
    } bad[] = {
        {"1", "map"},
        {"{}", "wanted"},
        {"{" IN "\"codec\":\"xml\"}", "codec"},
        {"{" IN "\"codec\":\"json\",\"dri\":1}", "'dri'"},
        {"{" IN "\"codec\":\"json\",\"qos\":2}", "qos"},
        {"{" IN "\"codec\":\"json\",\"retain\":1}", "retain"},
        {"{" IN "\"codec\":\"json\",\"set\":\"x/+\"}", "set"},
        {"{" IN "\"codec\":\"json\",\"birth\":{\"topic\":\"a\",\"payload\":\"b\"}}", "dir out"},
        {"{" SENDS "\"birth\":true}", "birth"},
        {"{" SENDS "\"birth\":{\"topic\":\"a\"}}", "birth"},
        {"{" SENDS "\"birth\":{\"topic\":\"a/+\",\"payload\":\"b\"}}", "birth"},
        {"{" SENDS "\"birth\":{\"topic\":\"$SYS/x\",\"payload\":\"b\"}}", "birth"},
        {"{" SENDS "\"birth\":{\"topic\":\"a\",\"payload\":\"b\",\"c\":\"d\"}}", "birth"},
        {"{" IN "\"codec\":\"json\",\"scale\":[0,1]}", "scale"},
        {"{" IN "\"codec\":\"json\",\"scale\":[1]}", "scale"},
        {"{" IN "\"codec\":\"json\",\"enum\":{}}", "enum"},
        {"{" IN "\"codec\":\"text\",\"fields\":true}", "fields"},
        {"{" IN "\"codec\":\"json\",\"fields\":[]}", "fields"},
        {"{" IN "\"codec\":\"json\",\"fields\":[1]}", "fields"},
        {"{" IN "\"codec\":\"json\",\"fields\":{\"x\":{\"y\":1}}}", "fields"},
        {"{" IN "\"codec\":\"json\",\"fields\":true,\"scale\":[1,0]}", "fields"},
        {"{\"topic\":\"a/+\",\"path\":\"b.+\",\"dir\":\"out\",\"codec\":\"json\",\"fields\":true,"
         "\"retain\":true}",
         "retain"},
        {"{\"topic\":\"a/#\",\"path\":\"b.#\",\"dir\":\"in\",\"codec\":\"json\",\"fields\":true}",
         "#"},
        {"{\"topic\":\"a/+\",\"path\":\"b\",\"dir\":\"in\",\"codec\":\"json\"}", "wildcards"},
        {"{\"topic\":\"a/#\",\"path\":\"b.+\",\"dir\":\"in\",\"codec\":\"json\"}", "wildcards"},
        {"{\"topic\":\"a/#/b\",\"path\":\"b.#\",\"dir\":\"in\",\"codec\":\"json\"}", "#"},
        {"{\"topic\":\"a+\",\"path\":\"b\",\"dir\":\"in\",\"codec\":\"json\"}", "level"},
        {"{\"topic\":\"$SYS/+\",\"path\":\"b.+\",\"dir\":\"in\",\"codec\":\"json\"}", "$"},
        {"{\"topic\":\"a\",\"path\":\":n.users.x\",\"dir\":\"in\",\"codec\":\"json\"}", "null"},
        {"{\"topic\":\"a\",\"path\":\"b..c\",\"dir\":\"in\",\"codec\":\"json\"}", "path"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct mkv_gate_rule rule;
        struct mkv_problem problem = {0};

        if (mkv_gate_rule_init(&rule, mkv_bytes_of("r"), item_of(bad[i].json), &problem) == 0) {
            fail_msg("taken: %s", bad[i].json);
        }
        if (strstr(problem.text, bad[i].word) == NULL) {
            fail_msg("%s: '%s' does not name '%s'", bad[i].json, problem.text, bad[i].word);
        }
        mkv_gate_rule_deinit(&rule);
    }
}

static void names(void **state)
{
    (void)state;
    assert_true(mkv_gate_name_valid(mkv_bytes_of("a.B_9-")));
    assert_false(mkv_gate_name_valid(mkv_bytes_of("")));
    assert_false(mkv_gate_name_valid(mkv_bytes_of("a b")));
    assert_false(mkv_gate_name_valid(mkv_bytes("a\0b", 3)));
}

/* --- Topics and paths ------------------------------------------------------------------------- */

static void topics_as_paths(void **state)
{
    static const struct {
        const char *filter;
        const char *pattern;
        const char *topic;
        const char *path; /* NULL: does not match */
    } cases[] = {
        {"a/+/c", "x.+", "a/b/c", "x.b"},
        {"a/+/c", "x.+", "a/b/d", NULL},
        {"a/+/c", "x.+", "a/b", NULL},
        {"a/+/c", "x.+", "a/b/c/d", NULL},
        {"+/+", "q.+.r.+", "a/b", "q.a.r.b"},
        {"a/#", "x.#", "a", "x"},
        {"a/#", "x.#", "a/b/c", "x.b.c"},
        {"a/#", "x.#", "b/c", NULL},
        {"#", "x.#", "a/b", "x.a.b"},
        {"#", "x.#", "$SYS/b", NULL},
        {"/+", "x.+", "/a", "x.a"},
        {"a/b", "x:2", "a/b", "x:2"},
        {"a/+", "x.+.on", "a/b.c", "x.b:.c.on"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mkv_bytes filter = mkv_bytes_of(cases[i].filter);
        struct mkv_bytes pattern = key_of(cases[i].pattern);
        struct mkv_problem problem;
        struct mkv_buf key;
        struct mkv_buf topic;

        mkv_buf_init(&key, MKV_PATH_KEY_MAX);
        mkv_buf_init(&topic, 4096);
        assert_int_equal(mkv_gate_pattern_check(filter, pattern, &problem), 0);
        assert_int_equal(mkv_gate_topic_matches(filter, mkv_bytes_of(cases[i].topic)),
                         cases[i].path != NULL);
        if (cases[i].path != NULL) {
            assert_int_equal(
                mkv_gate_topic_to_key(filter, pattern, mkv_bytes_of(cases[i].topic), &key), 0);
            assert_string_equal(dotted_of(mkv_buf_bytes(&key)), cases[i].path);
            assert_int_equal(mkv_gate_key_to_topic(filter, pattern, mkv_buf_bytes(&key), &topic),
                             0);
            assert_memory_equal(topic.at, cases[i].topic, topic.len);
            assert_int_equal(topic.len, strlen(cases[i].topic));
        }
        mkv_buf_deinit(&topic);
        mkv_buf_deinit(&key);
    }
}

/* Random levels through a filter of random wildcards, and back. */
static void topics_come_back(void **state)
{
    static const char *const levels[] = {"a", "b.c", "", ":2", "ä ö", "x:y"};
    struct prng prng = {4711};

    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        char filter[TEXT_MAX] = "";
        char topic[TEXT_MAX] = "";
        char pattern[TEXT_MAX] = "p";
        unsigned n = 1 + (unsigned)prng_below(&prng, 5);
        bool rest = prng_below(&prng, 3) == 0;
        struct mkv_buf key;
        struct mkv_buf back;

        for (unsigned i = 0; i < n; i++) {
            const char *level = levels[prng_below(&prng, 6)];
            bool one = prng_below(&prng, 2) == 0;
            bool last = rest && i + 1 == n;

            add(filter, i > 0 ? "/" : "");
            add(topic, i > 0 ? "/" : "");
            add(filter, last ? "#" : one ? "+" : level);
            add(topic, level);
            add(pattern, last ? ".#" : one ? ".+" : "");
        }
        if (topic[0] == '\0') {
            continue; /* no topic */
        }
        mkv_buf_init(&key, MKV_PATH_KEY_MAX);
        mkv_buf_init(&back, 4096);
        if (filter[0] != '\0') {
            struct mkv_bytes path = key_of(pattern);

            assert_true(mkv_gate_topic_matches(mkv_bytes_of(filter), mkv_bytes_of(topic)));
            assert_int_equal(
                mkv_gate_topic_to_key(mkv_bytes_of(filter), path, mkv_bytes_of(topic), &key), 0);
            assert_int_equal(
                mkv_gate_key_to_topic(mkv_bytes_of(filter), path, mkv_buf_bytes(&key), &back), 0);
            assert_true(mkv_bytes_equal(mkv_buf_bytes(&back), mkv_bytes_of(topic)));
        }
        mkv_buf_deinit(&back);
        mkv_buf_deinit(&key);
    }
}

static void paths_without_topics(void **state)
{
    static const char *const paths[] = {"x:2", "x:t", "x.a/b", "x.a:.b+", "x.#"};
    struct mkv_buf topic;

    (void)state;
    mkv_buf_init(&topic, 4096);
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(
            mkv_gate_key_to_topic(mkv_bytes_of("a/+"), key_of("x.+"), key_of(paths[i]), &topic),
            MKV_E_BAD_TOPIC);
    }
    mkv_buf_deinit(&topic);
}

/* --- Messages ---------------------------------------------------------------------------------- */

struct message_case {
    const char *rule;
    const char *payload;
    const char *found; /* "path=json;..."; NULL: refused */
};

static void check_message(const struct message_case *c)
{
    struct mkv_gate_rule rule;
    struct mkv_gate_changes changes;
    struct mkv_problem problem;
    char found[TEXT_MAX] = "";
    int error;

    make_rule(&rule, c->rule);
    mkv_gate_changes_init(&changes);
    error = mkv_gate_read(&rule, mkv_bytes_of("a/x"), mkv_bytes_of(c->payload), &changes, &problem);
    if (error == 0 && changes.clears) {
        add(found, "clears ");
        add(found, dotted_of(mkv_buf_bytes(&changes.key)));
    }
    for (size_t i = 0; i < mkv_gate_changes_count(&changes); i++) {
        struct mkv_bytes key;
        struct mkv_bytes value;

        mkv_gate_changes_at(&changes, i, &key, &value);
        add(found, i > 0 ? ";" : "");
        add(found, dotted_of(key));
        add(found, "=");
        add(found, json_of(value));
    }
    if (c->found == NULL) {
        assert_int_not_equal(error, 0);
        assert_true(strlen(problem.text) > 0);
        assert_int_equal(mkv_gate_changes_count(&changes), 0);
    } else {
        assert_int_equal(error, 0);
        assert_string_equal(found, c->found);
    }
    mkv_gate_changes_deinit(&changes);
    mkv_gate_rule_deinit(&rule);
}

static void messages(void **state)
{
    static const struct message_case cases[] = {
        {"{" IN "\"codec\":\"json\"}", "{\"a\":1}", "b.x={\"a\":1}"},
        {"{" IN "\"codec\":\"json\"}", "{\"a\":1", NULL},
        {"{" IN "\"codec\":\"json\"}", "", "clears b.x"},
        {"{" IN "\"codec\":\"text\"}", "21", "b.x=\"21\""},
        {"{" IN "\"codec\":\"text\"}", "\xff", NULL},
        {"{" IN "\"codec\":\"number\"}", " 21.50\n", "b.x=21.5"},
        {"{" IN "\"codec\":\"number\"}", "nan", NULL},
        {"{" IN "\"codec\":\"number\"}", "1 2", NULL},
        {"{" IN "\"codec\":\"bool\"}", "ON", "b.x=true"},
        {"{" IN "\"codec\":\"bool\"}", "0", "b.x=false"},
        {"{" IN "\"codec\":\"bool\"}", "onn", NULL},
        {"{" IN "\"codec\":\"raw\"}", "\xff", "b.x={\"$bytes\":\"/w==\"}"},
        {"{" IN "\"codec\":\"cbor\"}", "\x01", "b.x=1"},
        {"{" IN "\"codec\":\"cbor\"}", "\x01\x01", NULL},
        {"{" IN "\"codec\":\"text\",\"enum\":{\"ON\":true}}", "ON", "b.x=true"},
        {"{" IN "\"codec\":\"text\",\"enum\":{\"ON\":true}}", "on", NULL},
        {"{" IN "\"codec\":\"number\",\"scale\":[0.1,0]}", "215", "b.x=21.5"},
        {"{" IN "\"codec\":\"number\",\"scale\":[0.1,0]}", "210", "b.x=21"},
        {"{" IN "\"codec\":\"json\",\"scale\":[0.1,0]}", "\"x\"", NULL},
        {"{" IN "\"codec\":\"json\",\"fields\":true}",
         "{\"s\":\"ON\",\"c\":{\"x\":1,\"y\":{}},\"l\":[1]}",
         "b.x.s=\"ON\";b.x.c.x=1;b.x.c.y={};b.x.l=[1]"},
        {"{" IN "\"codec\":\"json\",\"fields\":true}", "[1]", NULL},
        {"{" IN "\"codec\":\"json\",\"fields\":true}", "{}", ""},
        {"{" IN "\"codec\":\"json\",\"fields\":[\"c.x\",\"s\"]}",
         "{\"s\":1,\"c\":{\"x\":1,\"y\":2},\"sx\":3}", "b.x.s=1;b.x.c.x=1"},
        {"{" IN "\"codec\":\"json\",\"fields\":{\"t\":{\"scale\":[0.01,-5]}}}",
         "{\"t\":2650,\"u\":1}", "b.x.t=21.5"},
        {"{" IN "\"codec\":\"json\",\"fields\":{\"t\":{\"scale\":[0.01,-5]}}}", "{\"t\":\"x\"}",
         NULL},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_message(&cases[i]);
    }
}

#define OUT  "\"topic\":\"a/+\",\"path\":\"b.+\",\"dir\":\"out\","
#define BOTH "\"topic\":\"a/+\",\"path\":\"b.+\",\"dir\":\"both\","

static void entries(void **state)
{
    static const struct {
        const char *rule;
        const char *path;
        const char *value; /* NULL: deleted */
        const char *found; /* "topic payload", "" for nothing; NULL: refused */
    } cases[] = {
        {"{" OUT "\"codec\":\"json\"}", "b.x", "{\"a\":[1,null]}", "a/x {\"a\":[1,null]}"},
        {"{" OUT "\"codec\":\"json\"}", "b.x", NULL, ""},
        {"{" OUT "\"codec\":\"json\",\"retain\":true}", "b.x", NULL, "a/x "},
        {"{" OUT "\"codec\":\"json\"}", "b:2", "1", NULL},
        {"{" OUT "\"codec\":\"json\"}", "c.x", "1", ""},
        {"{" OUT "\"codec\":\"text\"}", "b.x", "\"t\"", "a/x t"},
        {"{" OUT "\"codec\":\"text\"}", "b.x", "\"\"", "a/x "},
        {"{" BOTH "\"codec\":\"text\"}", "b.x", "\"\"", NULL},
        {"{" OUT "\"codec\":\"text\"}", "b.x", "5", "a/x 5"},
        {"{" OUT "\"codec\":\"text\"}", "b.x", "[5]", NULL},
        {"{" OUT "\"codec\":\"number\"}", "b.x", "2.5", "a/x 2.5"},
        {"{" OUT "\"codec\":\"number\"}", "b.x", "true", NULL},
        {"{" OUT "\"codec\":\"bool\"}", "b.x", "true", "a/x true"},
        {"{" OUT "\"codec\":\"bool\"}", "b.x", "1", NULL},
        {"{" OUT "\"codec\":\"raw\"}", "b.x", "{\"$bytes\":\"aGk=\"}", "a/x hi"},
        {"{" OUT "\"codec\":\"raw\"}", "b.x", "\"hi\"", NULL},
        {"{" OUT "\"codec\":\"text\",\"enum\":{\"ON\":true,\"OFF\":false}}", "b.x", "false",
         "a/x OFF"},
        {"{" OUT "\"codec\":\"text\",\"enum\":{\"ON\":true}}", "b.x", "false", NULL},
        {"{" OUT "\"codec\":\"number\",\"scale\":[0.1,0]}", "b.x", "21.5", "a/x 215"},
        {"{" OUT "\"codec\":\"json\",\"fields\":true}", "b.x.c.y", "0.5",
         "a/x {\"c\":{\"y\":0.5}}"},
        {"{" OUT "\"codec\":\"json\",\"fields\":true}", "b.x", "0.5", ""},
        {"{" OUT "\"codec\":\"json\",\"fields\":[\"s\"]}", "b.x.t", "0.5", ""},
        {"{" OUT "\"codec\":\"json\",\"fields\":true}", "b.x:2", "0.5", NULL},
        {"{" OUT "\"codec\":\"json\",\"fields\":{\"t\":{\"scale\":[0.01,-5]}}}", "b.x.t", "21.5",
         "a/x {\"t\":2650}"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mkv_gate_rule rule;
        struct mkv_problem problem;
        struct mkv_bytes value = item_of(cases[i].value != NULL ? cases[i].value : "null");
        struct mkv_buf topic;
        struct mkv_buf payload;
        int error;

        make_rule(&rule, cases[i].rule);
        mkv_buf_init(&topic, 4096);
        mkv_buf_init(&payload, 4096);
        error = mkv_gate_write(&rule, key_of(cases[i].path), cases[i].value != NULL ? &value : NULL,
                               &topic, &payload, &problem);
        if (cases[i].found == NULL) {
            assert_int_not_equal(error, 0);
            assert_true(strlen(problem.text) > 0);
        } else {
            assert_int_equal(error, 0);
            if (topic.len > 0) {
                assert_int_equal(mkv_buf_append_u8(&topic, ' '), 0);
            }
            assert_int_equal(mkv_buf_append(&topic, mkv_buf_bytes(&payload)), 0);
            assert_int_equal(mkv_buf_append_u8(&topic, 0), 0);
            assert_string_equal((const char *)topic.at, cases[i].found);
        }
        mkv_buf_deinit(&payload);
        mkv_buf_deinit(&topic);
        mkv_gate_rule_deinit(&rule);
    }
}

/* --- Scales ------------------------------------------------------------------------------------ */

static void scale_is_decimal(void **state)
{
    static const struct {
        const char *scale;
        const char *message;
        const char *tree;
    } cases[] = {
        {"[0.1,0]", "215", "21.5"},    {"[0.1,0]", "3", "0.3"}, {"[0.01,-273.15]", "29465", "21.5"},
        {"[1000,0]", "1.5", "1500"},   {"[3.6,0]", "10", "36"}, {"[-1,255]", "0", "255"},
        {"[1e-300,0]", "1", "1e-300"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mkv_gate_form form = {0};
        struct mkv_problem problem;
        struct mkv_buf out;

        mkv_buf_init(&out, 100);
        assert_int_equal(mkv_gate_form_scale(&form, item_of(cases[i].scale), &problem), 0);
        assert_int_equal(mkv_gate_scale_in(&form.scale, item_of(cases[i].message), &out), 0);
        assert_string_equal(json_of(mkv_buf_bytes(&out)), cases[i].tree);
        mkv_buf_clear(&out);
        assert_int_equal(mkv_gate_scale_out(&form.scale, item_of(cases[i].tree), &out), 0);
        assert_string_equal(json_of(mkv_buf_bytes(&out)), cases[i].message);
        mkv_buf_deinit(&out);
    }
}

/* Whole numbers through scales of a few digits come back as they were. */
static void scales_come_back(void **state)
{
    struct prng prng = {99};

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        const struct mkv_gate_scale scale = {
            .factor = {.mantissa = 1 + (int64_t)prng_below(&prng, 9999),
                       .exponent = (int)prng_below(&prng, 9) - 5},
            .offset = {.mantissa = (int64_t)prng_below(&prng, 200001) - 100000,
                       .exponent = (int)prng_below(&prng, 5) - 3}};
        struct mkv_cbor_writer w;
        struct mkv_buf number;
        struct mkv_buf there;
        struct mkv_buf back;

        mkv_buf_init(&number, 20);
        mkv_buf_init(&there, 20);
        mkv_buf_init(&back, 20);
        mkv_cbor_writer_init(&w, &number);
        mkv_cbor_write_int(&w, (int64_t)prng_below(&prng, 2000001) - 1000000);
        assert_int_equal(mkv_gate_scale_in(&scale, mkv_buf_bytes(&number), &there), 0);
        assert_int_equal(mkv_gate_scale_out(&scale, mkv_buf_bytes(&there), &back), 0);
        assert_true(mkv_bytes_equal(mkv_buf_bytes(&number), mkv_buf_bytes(&back)));
        mkv_buf_deinit(&back);
        mkv_buf_deinit(&there);
        mkv_buf_deinit(&number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_rules),
        cmocka_unit_test(bad_rules),
        cmocka_unit_test(names),
        cmocka_unit_test(topics_as_paths),
        cmocka_unit_test(topics_come_back),
        cmocka_unit_test(paths_without_topics),
        cmocka_unit_test(messages),
        cmocka_unit_test(entries),
        cmocka_unit_test(scale_is_decimal),
        cmocka_unit_test(scales_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, tear_down);
}
