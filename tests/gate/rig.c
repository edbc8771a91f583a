/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include "lib/check.h"
#include "notation/json_read.h"
#include "notation/json_write.h"
#include "wire/path.h"

#define N_ROOMS 8U

static struct mkv_buf rooms[N_ROOMS];
static unsigned n_used;

static struct mkv_buf *room(void)
{
    struct mkv_buf *next = &rooms[n_used++ % N_ROOMS];

    mkv_buf_deinit(next);
    mkv_buf_init(next, (size_t)1 << 24);
    return next;
}

struct mkv_bytes item_of(const char *json)
{
    struct mkv_buf *item = room();
    struct mkv_problem problem;

    assert_int_equal(mkv_json_read(mkv_bytes_of(json), false, item, &problem), 0);
    return mkv_buf_bytes(item);
}

const char *json_of(struct mkv_bytes item)
{
    struct mkv_buf *json = room();

    assert_int_equal(mkv_json_write(item, false, MKV_JSON_LINE, json), 0);
    assert_int_equal(mkv_buf_append_u8(json, 0), 0);
    return (const char *)json->at;
}

struct mkv_bytes key_of(const char *dotted)
{
    struct mkv_buf *key = room();

    key->max = MKV_PATH_KEY_MAX;
    assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(dotted), key), 0);
    return mkv_buf_bytes(key);
}

const char *dotted_of(struct mkv_bytes key)
{
    struct mkv_buf *dotted = room();

    assert_int_equal(mkv_path_to_dotted(key, dotted), 0);
    assert_int_equal(mkv_buf_append_u8(dotted, 0), 0);
    return (const char *)dotted->at;
}

void make_rule(struct mkv_gate_rule *rule, const char *json)
{
    struct mkv_problem problem = {0};

    if (mkv_gate_rule_init(rule, mkv_bytes_of("r"), item_of(json), &problem) != 0) {
        fail_msg("%s: %s", json, problem.text);
    }
}

void rig_end(void)
{
    for (unsigned i = 0; i < N_ROOMS; i++) {
        mkv_buf_deinit(&rooms[i]);
    }
}
