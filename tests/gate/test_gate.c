/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One gate, step by step: what it does, and what it must not do.
 */
#include <stdio.h>
#include <string.h>

#include "gate/gate.h"
#include "lib/check.h"
#include "rig.h"

/* --- One gate, by hand ------------------------------------------------------------------------- */

/* What the gate has asked for, as text; writes are stored and seen by the test. */
struct hand {
    struct mkv_gate *gate;
    int64_t now_ms;
    char log[4000];
    uint32_t cell; /* the last one */
    uint64_t tock;
    int answer; /* of the next calls */
};

static void note(struct hand *hand, const char *text)
{
    size_t n = strlen(hand->log);

    (void)snprintf(hand->log + n, sizeof(hand->log) - n, "%s", text);
}

static int hand_write(void *context,
                      uint32_t cell,
                      struct mkv_bytes key,
                      const struct mkv_bytes *value)
{
    struct hand *hand = context;

    if (hand->answer == 0) {
        note(hand, dotted_of(key));
        note(hand, "=");
        note(hand, value != NULL ? json_of(*value) : "deleted");
        note(hand, ";");
        hand->cell = cell;
    }
    return hand->answer;
}

static int hand_publish(void *context,
                        uint32_t cell,
                        struct mkv_bytes topic,
                        struct mkv_bytes payload,
                        int qos,
                        bool retain)
{
    struct hand *hand = context;
    char text[400];

    (void)qos;
    (void)snprintf(text, sizeof(text), "%.*s %.*s%s;", (int)topic.len, (const char *)topic.at,
                   (int)payload.len, payload.len > 0 ? (const char *)payload.at : "",
                   retain ? " retained" : "");
    if (hand->answer == 0) {
        note(hand, text);
        hand->cell = cell;
    }
    return hand->answer;
}

static void begin(struct hand *hand, const char *const *rules)
{
    const struct mkv_gate_port port = {
        .context = hand, .write = hand_write, .publish = hand_publish};

    memset(hand, 0, sizeof(*hand));
    hand->now_ms = 1000000;
    assert_int_equal(mkv_gate_new(&port, mkv_bytes_of("moat/main"), &hand->gate), 0);
    for (unsigned i = 0; rules[i] != NULL; i++) {
        struct mkv_gate_rule rule;

        make_rule(&rule, rules[i]);
        assert_int_equal(mkv_gate_add(hand->gate, &rule), 0);
    }
    mkv_gate_connected(hand->gate, hand->now_ms);
    hand->now_ms += 1000;
}

static void end(struct hand *hand)
{
    mkv_gate_free(hand->gate);
    rig_end();
}

/* What was asked for since the last time. */
static void asked(struct hand *hand, const char *wanted)
{
    assert_string_equal(hand->log, wanted);
    hand->log[0] = '\0';
}

static void message(struct hand *hand, const char *topic, const char *payload, bool retained)
{
    mkv_gate_message(hand->gate, hand->now_ms, mkv_bytes_of(topic), mkv_bytes_of(payload),
                     retained);
}

static void entry(struct hand *hand, const char *path, const char *json, bool is_state)
{
    struct mkv_bytes value = item_of(json != NULL ? json : "null");

    mkv_gate_entry(hand->gate, hand->now_ms, key_of(path), json != NULL ? &value : NULL,
                   ++hand->tock, is_state);
}

/* The last write is on disk, and seen. */
static void stored(struct hand *hand, const char *path, const char *json)
{
    mkv_gate_written(hand->gate, hand->now_ms, hand->cell, 0, hand->tock + 1);
    entry(hand, path, json, false);
}

static struct mkv_gate_counts counts(const struct hand *hand, unsigned i)
{
    struct mkv_gate_report report;

    mkv_gate_report(hand->gate, i, &report);
    return report.counts;
}

static const char *problem(const struct hand *hand, unsigned i)
{
    struct mkv_gate_report report;

    mkv_gate_report(hand->gate, i, &report);
    return report.problem;
}

#define RULE(topic, path, dir, more)                                                               \
    "{\"topic\":\"" topic "\",\"path\":\"" path "\",\"dir\":\"" dir "\"," more "}"
#define RULES(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void what_the_tree_has_is_not_written(void **state)
{
    struct hand hand;

    (void)state;
    begin(&hand, RULES(RULE("t/+", "p.+", "in", "\"codec\":\"json\"")));
    entry(&hand, "p.a", "1", true);
    message(&hand, "t/a", " 1 ", false);
    asked(&hand, "");
    message(&hand, "t/a", "2", false);
    asked(&hand, "p.a=2;");
    message(&hand, "t/a", "2", false); /* on its way already */
    asked(&hand, "");
    stored(&hand, "p.a", "2");
    entry(&hand, "p.a", "3", false); /* somebody else; the device says so again */
    message(&hand, "t/a", "2", false);
    asked(&hand, "p.a=2;");
    assert_int_equal(counts(&hand, 0).same, 2);
    end(&hand);
}

static void later_values_replace_those_that_wait(void **state)
{
    struct hand hand;

    (void)state;
    begin(&hand, RULES(RULE("t/+", "p.+", "in", "\"codec\":\"json\"")));
    for (unsigned i = 0; i < 50; i++) {
        char payload[20];

        (void)snprintf(payload, sizeof(payload), "%u", i);
        message(&hand, "t/a", payload, false);
    }
    asked(&hand, "p.a=0;");
    stored(&hand, "p.a", "0");
    asked(&hand, "p.a=49;");
    assert_int_equal(counts(&hand, 0).replaced, 48);
    end(&hand);
}

static void a_flood_is_thinned_out(void **state)
{
    struct hand hand;
    unsigned n = 0;

    (void)state;
    begin(&hand, RULES(RULE("t/+", "p.+", "in", "\"codec\":\"json\"")));
    for (unsigned i = 1; i <= 1000; i++) { /* ten a millisecond */
        char payload[20];

        (void)snprintf(payload, sizeof(payload), "%u", i);
        message(&hand, "t/a", payload, false);
        if (hand.log[0] != '\0') {
            n++;
            stored(&hand, "p.a", payload);
            hand.log[0] = '\0';
        }
        hand.now_ms += i % 10 == 0;
    }
    assert_in_range(n, 20, 23);
    for (unsigned i = 0; i < 10 && hand.log[0] == '\0'; i++) {
        hand.now_ms += 100;
        (void)mkv_gate_tick(hand.gate, hand.now_ms);
    }
    asked(&hand, "p.a=1000;");
    stored(&hand, "p.a", "1000");
    assert_false(mkv_gate_tick(hand.gate, hand.now_ms));
    end(&hand);
}

static void own_messages_are_known(void **state)
{
    struct hand hand;

    (void)state;
    begin(&hand, RULES(RULE("t/+", "p.+", "both", "\"codec\":\"number\",\"scale\":[3,0]")));
    entry(&hand, "p.a", "10", false);
    asked(&hand, "t/a 3.3333333333333335;");
    message(&hand, "t/a", "7", false); /* was at the broker before ours */
    message(&hand, "t/a", "3.3333333333333335", false);
    asked(&hand, "");
    message(&hand, "t/a", "3.3333333333333335", false); /* a device repeats it */
    asked(&hand, "");
    message(&hand, "t/a", "7", false);
    asked(&hand, "p.a=21;");
    stored(&hand, "p.a", "21");
    asked(&hand, "");
    end(&hand);
}

static void spelling_is_no_change(void **state)
{
    struct hand hand;

    (void)state;
    begin(&hand, RULES(RULE("t/+", "p.+", "both", "\"codec\":\"json\",\"retain\":true")));
    message(&hand, "t/a", "{ \"b\" : 1 }", false);
    asked(&hand, "p.a={\"b\":1};");
    stored(&hand, "p.a", "{\"b\":1}");
    asked(&hand, "");
    assert_false(mkv_gate_tick(hand.gate, hand.now_ms));
    end(&hand);
}

static void the_tree_is_right_about_a_shared_topic(void **state)
{
    struct hand hand;

    (void)state;
    begin(&hand, RULES(RULE("t/+", "p.+", "both", "\"codec\":\"json\",\"retain\":true"),
                       RULE("d/+", "q.+", "in", "\"codec\":\"json\"")));
    hand.now_ms -= 1000; /* what was retained has not come yet */
    entry(&hand, "p.a", "1", true);
    entry(&hand, "p.b", "2", true);
    entry(&hand, "p.c", "3", true);
    entry(&hand, "q.a", "1", true);
    message(&hand, "t/a", "0", true);
    asked(&hand, "t/a 1 retained;"); /* of which nothing is heard for a second */
    message(&hand, "t/b", "2", true);
    message(&hand, "t/x", "9", true);
    asked(&hand, "p.x=9;");
    message(&hand, "d/a", "0", true); /* but a device is right about itself */
    asked(&hand, "q.a=0;");
    hand.now_ms += 1000;
    (void)mkv_gate_tick(hand.gate, hand.now_ms);
    asked(&hand, "t/c 3 retained;");
    end(&hand);
}

static void commands_are_not_repeated(void **state)
{
    struct hand hand;

    (void)state;
    begin(&hand, RULES(RULE("t/+", "p.+", "both",
                            "\"set\":\"t/+/set\",\"codec\":\"json\",\"fields\":true")));
    entry(&hand, "p.a.on", "true", true); /* was so */
    asked(&hand, "");
    entry(&hand, "p.a.on", "false", false);
    asked(&hand, "t/a/set {\"on\":false};");
    message(&hand, "t/a", "{\"on\":true}", false); /* the device has not heard of it */
    asked(&hand, "p.a.on=true;");
    stored(&hand, "p.a.on", "true");
    asked(&hand, "");
    mkv_gate_disconnected(hand.gate);
    entry(&hand, "p.a.on", "false", false);
    assert_string_equal(problem(&hand, 0), "not sent: there was no broker");
    mkv_gate_connected(hand.gate, hand.now_ms);
    asked(&hand, "");
    end(&hand);
}

static void what_is_retained_is_told_when_the_broker_is_back(void **state)
{
    struct hand hand;

    (void)state;
    begin(&hand, RULES(RULE("t/+", "p.+", "out", "\"codec\":\"json\",\"retain\":true")));
    entry(&hand, "p.a", "1", true);
    asked(&hand, "t/a 1 retained;");
    mkv_gate_disconnected(hand.gate);
    entry(&hand, "p.b", "1", false);
    asked(&hand, "");
    assert_false(mkv_gate_tick(hand.gate, hand.now_ms));
    mkv_gate_connected(hand.gate, hand.now_ms);
    asked(&hand, "t/a 1 retained;t/b 1 retained;");
    entry(&hand, "p.a", NULL, false);
    asked(&hand, "t/a  retained;");
    mkv_gate_disconnected(hand.gate); /* it comes back with what it had some time ago: */
    entry(&hand, "p.b", NULL, false);
    mkv_gate_connected(hand.gate, hand.now_ms);
    asked(&hand, "t/a  retained;t/b  retained;");
    end(&hand);
}

#define BIRTH "\"codec\":\"json\",\"birth\":{\"topic\":\"ha/status\",\"payload\":\"online\"}"

/* Lets the time pass, and counts what is published; never faster than 10 ms apart on average. */
static unsigned published_within(struct hand *hand, unsigned i, int64_t ms)
{
    uint64_t before = counts(hand, i).published;

    for (int64_t passed = 0; passed < ms; passed += 100) {
        uint64_t n = counts(hand, i).published;

        hand->now_ms += 100;
        (void)mkv_gate_tick(hand->gate, hand->now_ms);
        assert_in_range(counts(hand, i).published - n, 0, 11);
        hand->log[0] = '\0';
    }
    return (unsigned)(counts(hand, i).published - before);
}

static void a_birth_is_answered(void **state)
{
    struct hand hand;

    (void)state;
    begin(&hand, RULES(RULE("t/+", "p.+", "out", BIRTH),
                       RULE("r/+", "r.+", "out", "\"retain\":true," BIRTH),
                       RULE("u/+", "p.+", "out", "\"codec\":\"json\"")));
    for (unsigned i = 0; i < 50; i++) {
        char path[20];

        (void)snprintf(path, sizeof(path), "p.%u", i);
        entry(&hand, path, "1", true);
    }
    entry(&hand, "p.0", NULL, false);
    entry(&hand, "r.a", "1", true);
    asked(&hand, "r/a 1 retained;");
    message(&hand, "ha/status", "offline", false);
    message(&hand, "ha/status/x", "online", false);
    assert_int_equal(published_within(&hand, 0, 5000), 0);
    message(&hand, "ha/status", "online", false);
    asked(&hand, "");
    assert_int_equal(published_within(&hand, 0, 900), 0);
    message(&hand, "ha/status", "online", false); /* the same */
    assert_int_equal(published_within(&hand, 0, 5000), 49);
    assert_int_equal(counts(&hand, 0).births, 1);
    assert_int_equal(counts(&hand, 1).published, 2);
    assert_int_equal(counts(&hand, 2).published, 0);
    assert_false(mkv_gate_tick(hand.gate, hand.now_ms));

    message(&hand, "ha/status", "online", false);
    mkv_gate_disconnected(hand.gate); /* and so are those who wanted to be told */
    assert_int_equal(published_within(&hand, 0, 5000), 0);
    mkv_gate_connected(hand.gate, hand.now_ms);
    assert_int_equal(published_within(&hand, 0, 5000), 0);
    assert_int_equal(counts(&hand, 0).births, 2);
    assert_int_equal(counts(&hand, 0).errors, 0);
    end(&hand);
}

static void deletions(void **state)
{
    struct hand hand;

    (void)state;
    begin(&hand, RULES(RULE("t/+", "p.+", "in", "\"codec\":\"json\",\"fields\":true"),
                       RULE("r/+", "r.+", "both", "\"codec\":\"json\",\"retain\":true")));
    entry(&hand, "p.a.x", "1", true);
    entry(&hand, "p.a.y.z", "1", true);
    entry(&hand, "p.b.x", "1", true);
    message(&hand, "t/a", "", false);
    asked(&hand, "p.a.x=deleted;p.a.y.z=deleted;");
    message(&hand, "r/q", "", true); /* was never there */
    asked(&hand, "");
    end(&hand);
}

static void a_failure_is_told_and_harms_nobody(void **state)
{
    struct hand hand;

    (void)state;
    begin(&hand, RULES(RULE("t/+", "p.+", "both", "\"codec\":\"json\""),
                       RULE("t/+", "q.+", "in", "\"codec\":\"text\"")));
    message(&hand, "t/a", "{bad", false);
    asked(&hand, "q.a=\"{bad\";");
    assert_int_equal(counts(&hand, 0).errors, 1);
    assert_int_equal(counts(&hand, 1).errors, 0);
    message(&hand, "t/b", "1", false);
    hand.log[0] = '\0';
    end(&hand);

    begin(&hand, RULES(RULE("t/+", "p.+", "both", "\"codec\":\"json\"")));
    entry(&hand, "p.b", "0", true);
    message(&hand, "t/b", "1", false);
    asked(&hand, "p.b=1;");
    mkv_gate_written(hand.gate, hand.now_ms, hand.cell, MKV_E_NOT_AUTHORISED, 0);
    asked(&hand, ""); /* nor is the old value sent as if it were news */
    assert_string_equal(problem(&hand, 0), mkv_error_text(MKV_E_NOT_AUTHORISED));
    hand.answer = MKV_E_QUEUE_FULL;
    message(&hand, "t/b", "2", false);
    hand.answer = 0;
    assert_true(mkv_gate_tick(hand.gate, hand.now_ms));
    asked(&hand, "p.b=2;");
    end(&hand);
}

static void the_clusters_own_topics_are_left_alone(void **state)
{
    struct hand hand;

    (void)state;
    begin(&hand, RULES(RULE("#", "p.#", "both", "\"codec\":\"text\"")));
    message(&hand, "moat/main/d/p/x", "1", false);
    message(&hand, "moat/main", "1", false);
    asked(&hand, "");
    message(&hand, "moat/mainly", "1", false);
    asked(&hand, "p.moat.mainly=\"1\";");
    entry(&hand, "p.moat.main.d.x", "1", false);
    asked(&hand, "");
    assert_string_equal(problem(&hand, 0), "the topic is one of the cluster's own");
    end(&hand);
}

static void rules_that_disagree_are_told(void **state)
{
    struct hand hand;

    (void)state;
    begin(&hand, RULES(RULE("t/+", "p.+", "in", "\"codec\":\"json\""),
                       RULE("t/a", "p.a", "in", "\"codec\":\"text\"")));
    message(&hand, "t/a", "5", false);
    asked(&hand, "p.a=5;p.a=\"5\";");
    assert_string_equal(problem(&hand, 1), "the rule 'r' gives this entry another value");
    end(&hand);
}

static void what_goes_to_and_fro_is_held_back(void **state)
{
    struct hand hand;
    unsigned n = 0;

    (void)state;
    begin(&hand, RULES(RULE("t/a", "p.a", "both", "\"set\":\"t/a/set\",\"codec\":\"json\"")));
    entry(&hand, "p.a", "0", true);
    /* A device that always answers with one more, and somebody who always takes two from it. */
    for (unsigned i = 1; i < 600; i++) {
        char text[20];

        hand.now_ms += 100;
        (void)snprintf(text, sizeof(text), "%u", 2 * i);
        message(&hand, "t/a", text, false);
        if (hand.log[0] != '\0') {
            stored(&hand, "p.a", text);
        }
        (void)snprintf(text, sizeof(text), "%u", 2 * i + 1);
        entry(&hand, "p.a", text, false);
        n += strstr(hand.log, "t/a/set") != NULL;
        hand.log[0] = '\0';
    }
    assert_in_range(n, 8, 20); /* in a minute, instead of 600 */
    assert_true(counts(&hand, 0).damped > 3);
    end(&hand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_tree_has_is_not_written),
        cmocka_unit_test(later_values_replace_those_that_wait),
        cmocka_unit_test(a_flood_is_thinned_out),
        cmocka_unit_test(own_messages_are_known),
        cmocka_unit_test(spelling_is_no_change),
        cmocka_unit_test(the_tree_is_right_about_a_shared_topic),
        cmocka_unit_test(commands_are_not_repeated),
        cmocka_unit_test(what_is_retained_is_told_when_the_broker_is_back),
        cmocka_unit_test(a_birth_is_answered),
        cmocka_unit_test(deletions),
        cmocka_unit_test(a_failure_is_told_and_harms_nobody),
        cmocka_unit_test(the_clusters_own_topics_are_left_alone),
        cmocka_unit_test(rules_that_disagree_are_told),
        cmocka_unit_test(what_goes_to_and_fro_is_held_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
