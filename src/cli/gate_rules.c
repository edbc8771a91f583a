/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/gate_rules.h"

#include "cli/say.h"
#include "cli/session.h"
#include "wire/path.h"

#define NAME_DEPTH 2U /* of [null, "gate", NAME], before the name */

enum mkv_exit mkv_gate_rules_read(struct mkv_cli *cli, const char *path, struct mkv_known *known)
{
    static const moatkv_read_how how = {.size = sizeof(how), .depth_min = 1, .depth_max = 64};
    struct mkv_place place;
    enum mkv_exit status = mkv_place_init(&place, path);

    if (status == MKV_EXIT_OK) {
        status = mkv_known_read(known, cli, &place, &how);
    }
    mkv_place_deinit(&place);
    return status;
}

struct mkv_bytes mkv_gate_rules_name(const struct mkv_known *known,
                                     const struct mkv_known_row *row,
                                     struct mkv_buf *room)
{
    struct mkv_bytes key = mkv_bytes(known->keys.at + row->key_start, row->key_len);
    struct mkv_element element;

    if (mkv_path_depth(key) != NAME_DEPTH + 1) {
        return (struct mkv_bytes){0};
    }
    key = mkv_bytes_after(key, mkv_path_head(key, NAME_DEPTH).len);
    if (mkv_element_decode(key, room, &element) != 0 || element.kind != MKV_ELEMENT_TEXT) {
        return (struct mkv_bytes){0};
    }
    return element.text;
}

struct mkv_known_row *mkv_gate_rules_find(const struct mkv_known *known, const char *name)
{
    struct mkv_known_row *found = NULL;
    struct mkv_buf room;

    mkv_buf_init(&room, MKV_PATH_KEY_MAX);
    for (size_t i = 0; i < mkv_known_count(known) && found == NULL; i++) {
        struct mkv_known_row *row = mkv_known_at(known, i);

        if (!moatkv_entry_deleted(row->entry) &&
            mkv_bytes_equal(mkv_gate_rules_name(known, row, &room), mkv_bytes_of(name))) {
            found = row;
        }
    }
    mkv_buf_deinit(&room);
    return found;
}

int mkv_gate_rules_parse(const struct mkv_known *known,
                         const struct mkv_known_row *row,
                         struct mkv_gate_rule *rule,
                         struct mkv_problem *problem)
{
    struct mkv_buf room;
    int error;

    mkv_buf_init(&room, MKV_PATH_KEY_MAX);
    error = mkv_gate_rule_init(rule, mkv_gate_rules_name(known, row, &room),
                               mkv_bytes_from(moatkv_entry_value(row->entry)), problem);
    mkv_buf_deinit(&room);
    return error;
}

enum mkv_exit mkv_gate_rules_place(const char *name, struct mkv_place *place)
{
    const struct mkv_element element = {.kind = MKV_ELEMENT_TEXT, .text = mkv_bytes_of(name)};
    struct mkv_place base;
    struct mkv_buf key;
    enum mkv_exit status = mkv_place_init(&base, MKV_GATE_RULES_PATH);

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    *place = (struct mkv_place){0};
    if (status == MKV_EXIT_OK &&
        (!mkv_gate_name_valid(mkv_bytes_of(name)) || mkv_path_append(&key, &element) != 0 ||
         mkv_place_below(place, &base, mkv_buf_bytes(&key)) != 0)) {
        status =
            mkv_say(MKV_EXIT_USAGE,
                    "'%s' is no name of a rule: that has 1 to 64 characters of A-Z a-z 0-9 . _ "
                    "-",
                    name);
    }
    mkv_buf_deinit(&key);
    mkv_place_deinit(&base);
    return status;
}
