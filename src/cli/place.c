/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/place.h"

#include "cli/say.h"
#include "wire/path.h"

#define TEXT_MAX 65536U /* far above what a key of 1,024 bytes can be in dotted text */

static void init_empty(struct mkv_place *place)
{
    mkv_buf_init(&place->key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&place->text, TEXT_MAX);
}

static int spell(struct mkv_place *place)
{
    int error = mkv_path_to_dotted(mkv_buf_bytes(&place->key), &place->text);

    if (error == 0) {
        error = mkv_buf_append_u8(&place->text, '\0');
    }
    return error;
}

enum mkv_exit mkv_place_init(struct mkv_place *place, const char *word)
{
    init_empty(place);

    int error = mkv_path_from_dotted(mkv_bytes_of(word), &place->key);

    if (error == 0) {
        error = spell(place);
    }
    if (error == MKV_E_BAD_PATH && word[0] == '\0') {
        return mkv_say(MKV_EXIT_BAD_DATA, "the path is empty; the root is written ':'");
    }
    if (error != 0) {
        return mkv_say(mkv_exit_of(error),
                       "path '%s': %s; it is written like kitchen.lamp:2.on, with '::' for a "
                       "colon and ':.' for a dot in a name",
                       word, mkv_error_text(error));
    }
    return MKV_EXIT_OK;
}

int mkv_place_below(struct mkv_place *place,
                    const struct mkv_place *base,
                    struct mkv_bytes relative)
{
    init_empty(place);
    if (relative.len > MKV_PATH_KEY_MAX - base->key.len ||
        mkv_path_depth(mkv_buf_bytes(&base->key)) + mkv_path_depth(relative) >
            MKV_PATH_LEVELS_MAX) {
        return MKV_E_PATH_TOO_LONG;
    }

    int error = mkv_buf_append(&place->key, mkv_buf_bytes(&base->key));

    if (error == 0) {
        error = mkv_buf_append(&place->key, relative);
    }
    return error == 0 ? spell(place) : error;
}

void mkv_place_deinit(struct mkv_place *place)
{
    mkv_buf_deinit(&place->key);
    mkv_buf_deinit(&place->text);
}

moatkv_bytes mkv_place_path(const struct mkv_place *place)
{
    return (moatkv_bytes){.at = place->text.at, .len = place->text.len - 1};
}

const char *mkv_place_text(const struct mkv_place *place)
{
    return (const char *)place->text.at;
}

bool mkv_place_is_reserved(struct mkv_bytes key)
{
    static const uint8_t servers[] = {0x10, 0x60, 's', 'e', 'r', 'v', 'e', 'r', 's', 0x00, 0x01};

    return mkv_bytes_starts_with(key, mkv_bytes(servers, sizeof(servers)));
}

struct mkv_bytes mkv_bytes_from(moatkv_bytes bytes)
{
    return mkv_bytes(bytes.at, bytes.len);
}

int mkv_place_key(moatkv_bytes path, struct mkv_buf *key)
{
    return mkv_path_from_dotted(mkv_bytes_from(path), key);
}
