/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain messages by some rules: whatever they are, what comes out are paths that are none of the
 * meta tree's, and values that any server takes; and a rule from anywhere is refused or in force.
 */
#include "base/assert.h"
#include "fuzz.h"
#include "gate/message.h"
#include "gate/pattern.h"
#include "notation/json_read.h"
#include "wire/path.h"

static const char *const rules[] = {
    "{\"topic\":\"#\",\"path\":\"x.#\",\"dir\":\"both\",\"codec\":\"json\"}",
    "{\"topic\":\"#\",\"path\":\"#\",\"dir\":\"both\",\"codec\":\"text\"}",
    "{\"topic\":\"+/a\",\"path\":\"x.+\",\"dir\":\"both\",\"codec\":\"json\",\"fields\":true}",
    "{\"topic\":\"+/a\",\"path\":\"x.+\",\"dir\":\"both\",\"codec\":\"cbor\",\"fields\":true}",
    "{\"topic\":\"+/a\",\"path\":\"x.+\",\"dir\":\"both\",\"codec\":\"json\",\"fields\":"
    "{\"t\":{\"scale\":[0.1,5]},\"s\":{\"enum\":{\"ON\":true}}}}",
    "{\"topic\":\"a/"
    "+\",\"path\":\"x.+\",\"dir\":\"both\",\"codec\":\"number\",\"scale\":[0.01,-273.15]}",
    "{\"topic\":\"a/+\",\"path\":\"x.+\",\"dir\":\"both\",\"codec\":\"bool\"}",
    "{\"topic\":\"a/+\",\"path\":\"x.+\",\"dir\":\"both\",\"codec\":\"cbor\"}",
    "{\"topic\":\"a/+\",\"path\":\"x.+\",\"dir\":\"both\",\"codec\":\"raw\"}",
};

#define N_RULES (sizeof(rules) / sizeof(rules[0]))

/* What was read can be written again, or is refused with a reason. */
static void check_change(const struct mkv_gate_rule *rule,
                         struct mkv_bytes key,
                         struct mkv_bytes value)
{
    struct mkv_problem problem = {0};
    struct mkv_buf topic;
    struct mkv_buf payload;

    mkv_buf_init(&topic, MKV_GATE_FILTER_MAX + MKV_PATH_KEY_MAX);
    mkv_buf_init(&payload, (size_t)8 * MKV_VALUE_MAX);
    MKV_ASSERT(mkv_path_check(key) == 0 && key.len > 0 && key.at[0] != 0x10);
    MKV_ASSERT(mkv_cbor_check(value) == 0);
    MKV_ASSERT(mkv_gate_concerns(rule, key));
    if (mkv_gate_write(rule, key, &value, &topic, &payload, &problem) == 0) {
        MKV_ASSERT(mkv_gate_topic_valid(mkv_buf_bytes(&topic)));
    } else {
        MKV_ASSERT(problem.text[0] != '\0' && topic.len == 0);
    }
    mkv_buf_deinit(&payload);
    mkv_buf_deinit(&topic);
}

static void read_message(const struct mkv_gate_rule *rule,
                         struct mkv_bytes topic,
                         struct mkv_bytes payload)
{
    struct mkv_gate_changes changes;
    struct mkv_problem problem = {0};

    mkv_gate_changes_init(&changes);
    if (mkv_gate_read(rule, topic, payload, &changes, &problem) != 0) {
        MKV_ASSERT(problem.text[0] != '\0' && mkv_gate_changes_count(&changes) == 0);
    }
    for (size_t i = 0; i < mkv_gate_changes_count(&changes); i++) {
        struct mkv_bytes key;
        struct mkv_bytes value;

        mkv_gate_changes_at(&changes, i, &key, &value);
        check_change(rule, key, value);
    }
    mkv_gate_changes_deinit(&changes);
}

static void by_rule(const char *json, struct mkv_bytes topic, struct mkv_bytes payload)
{
    struct mkv_gate_rule rule;
    struct mkv_problem problem;
    struct mkv_buf item;

    mkv_buf_init(&item, MKV_GATE_RULE_MAX);
    MKV_ASSERT(mkv_json_read(mkv_bytes_of(json), false, &item, &problem) == 0);
    MKV_ASSERT(mkv_gate_rule_init(&rule, mkv_bytes_of("r"), mkv_buf_bytes(&item), &problem) == 0);
    if (mkv_gate_topic_valid(topic) && mkv_gate_topic_matches(rule.topic, topic)) {
        read_message(&rule, topic, payload);
    }
    mkv_gate_rule_deinit(&rule);
    mkv_buf_deinit(&item);
}

/* A rule from anywhere. */
static void as_rule(struct mkv_bytes value)
{
    struct mkv_gate_rule rule;
    struct mkv_problem problem = {0};

    if (mkv_gate_rule_init(&rule, mkv_bytes_of("r"), value, &problem) != 0) {
        MKV_ASSERT(problem.text[0] != '\0');
    } else {
        read_message(&rule, mkv_bytes_of("a/b"), mkv_bytes_of("{\"a\":1}"));
    }
    mkv_gate_rule_deinit(&rule);
}

/* The first byte picks the rule, the topic ends at the first NUL; the rest is the payload. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 1 ? memchr(data + 1, 0, size - 1) : NULL;

    if (size == 0) {
        return 0;
    }
    if (data[0] >= N_RULES) {
        as_rule(mkv_bytes(data + 1, size - 1));
    } else if (nul != NULL) {
        by_rule(rules[data[0]], mkv_bytes(data + 1, (size_t)(nul - data - 1)),
                mkv_bytes(nul + 1, (size_t)(data + size - nul - 1)));
    }
    return 0;
}
