/* SPDX-License-Identifier: Apache-2.0 */
#include "core/members.h"

#include "base/mem.h"
#include "wire/cbor.h"
#include "wire/path.h"

void mkv_members_deinit(struct mkv_members *members)
{
    mkv_mem_free(members->at);
    *members = (struct mkv_members){0};
}

bool mkv_members_are_at(struct mkv_bytes key)
{
    static const uint8_t subtree[] = {0x10, 0x60, 's', 'e', 'r', 'v', 'e', 'r', 's', 0x00, 0x01};

    return mkv_bytes_starts_with(key, mkv_bytes(subtree, sizeof(subtree)));
}

/* [null, "servers"] */
static int subtree_key(struct mkv_buf *key)
{
    struct mkv_element null = {.kind = MKV_ELEMENT_NULL};
    struct mkv_element servers = {.kind = MKV_ELEMENT_TEXT, .text = mkv_bytes_of("servers")};
    int error = mkv_path_append(key, &null);

    return error != 0 ? error : mkv_path_append(key, &servers);
}

int mkv_members_range(struct mkv_buf *from, struct mkv_buf *to)
{
    int error = subtree_key(from);

    if (error == 0) {
        error = mkv_buf_append(to, mkv_buf_bytes(from));
    }
    if (error == 0) {
        to->at[to->len - 1]++; /* the end of a text, which is no last byte */
    }
    return error;
}

int mkv_member_key(const uint8_t uuid[MKV_UUID_LEN], struct mkv_buf *key)
{
    struct mkv_element element = {.kind = MKV_ELEMENT_BYTES, .text = mkv_bytes(uuid, MKV_UUID_LEN)};
    int error = subtree_key(key);

    return error != 0 ? error : mkv_path_append(key, &element);
}

int mkv_member_value(const struct mkv_member *member, struct mkv_buf *value)
{
    struct mkv_cbor_writer w;

    mkv_cbor_writer_init(&w, value);
    mkv_cbor_write_map(&w, 3);
    mkv_cbor_write_text(&w, mkv_bytes_of("name"));
    mkv_cbor_write_text(&w, mkv_bytes_of(member->name));
    mkv_cbor_write_text(&w, mkv_bytes_of("state"));
    mkv_cbor_write_text(&w, mkv_bytes_of(member->active ? "active" : "evicted"));
    mkv_cbor_write_text(&w, mkv_bytes_of("cluster"));
    mkv_cbor_write_bytes(&w, mkv_bytes(member->cluster, MKV_UUID_LEN));
    return w.error;
}

/* The uuid that a key below the subtree stands for; *ret_is_one is false if it stands for none. */
static int read_uuid(struct mkv_bytes key,
                     struct mkv_buf *scratch,
                     uint8_t *ret_uuid,
                     bool *ret_is_one)
{
    struct mkv_element element;
    int error;

    *ret_is_one = false;
    if (mkv_path_depth(key) != 3) {
        return 0;
    }
    error = mkv_element_decode(mkv_bytes_after(key, mkv_path_head(key, 2).len), scratch, &element);
    if (error == 0 && element.kind == MKV_ELEMENT_BYTES && element.text.len == MKV_UUID_LEN) {
        memcpy(ret_uuid, element.text.at, MKV_UUID_LEN);
        *ret_is_one = true;
    }
    return error;
}

/* False: the value is none that mkv_member_value() writes; unknown keys do no harm. */
static bool read_value(struct mkv_bytes value, struct mkv_member *member)
{
    struct mkv_cbor_reader r;
    struct mkv_bytes name = mkv_bytes_of("");
    struct mkv_bytes state = {0};
    struct mkv_bytes cluster = {0};

    mkv_cbor_reader_init(&r, value);
    for (uint64_t n = mkv_cbor_read_map(&r, MKV_HEADER_KEYS_MAX); n > 0 && r.error == 0; n--) {
        struct mkv_bytes word = mkv_cbor_read_text(&r);

        if (mkv_bytes_equal(word, mkv_bytes_of("name"))) {
            name = mkv_cbor_read_text(&r);
        } else if (mkv_bytes_equal(word, mkv_bytes_of("state"))) {
            state = mkv_cbor_read_text(&r);
        } else if (mkv_bytes_equal(word, mkv_bytes_of("cluster"))) {
            cluster = mkv_cbor_read_bytes(&r);
        } else {
            mkv_cbor_skip(&r);
        }
    }
    if (mkv_cbor_finish(&r) != 0 || !mkv_name_valid(name) || cluster.len != MKV_UUID_LEN) {
        return false;
    }
    memcpy(member->name, name.at, name.len);
    member->name[name.len] = '\0';
    memcpy(member->cluster, cluster.at, MKV_UUID_LEN);
    member->active = mkv_bytes_equal(state, mkv_bytes_of("active"));
    return member->active || mkv_bytes_equal(state, mkv_bytes_of("evicted"));
}

static int add_member(struct mkv_members *members, const struct mkv_member *member)
{
    if (members->n == MKV_MEMBERS_MAX) {
        members->too_many = true;
        return 0;
    }
    if ((members->n & (members->n - 1)) == 0) { /* grows by doubling */
        size_t cap = members->n == 0 ? 1 : 2 * (size_t)members->n;
        struct mkv_member *at = mkv_mem_resize(members->at, cap * sizeof(*at));

        if (at == NULL) {
            return MKV_E_NO_MEMORY;
        }
        members->at = at;
    }
    members->at[members->n++] = *member;
    return 0;
}

/*
 * A row that cannot be read may be that of an active server of ours: it counts, so that nothing is
 * forgotten that it may not have.
 */
static int read_entry(const struct mkv_members *members,
                      struct mkv_store *store,
                      const struct mkv_tree_entry *entry,
                      struct mkv_member *ret_member,
                      bool *ret_is_one)
{
    struct mkv_bytes key;
    struct mkv_update update;
    int error = mkv_store_row(store, entry->position, &key, &update);

    if (error == MKV_E_CORRUPT) {
        ret_member->active = true;
        memcpy(ret_member->name, "?", 2);
        memcpy(ret_member->cluster, members->own_cluster, MKV_UUID_LEN);
        error = 0;
        *ret_is_one = true;
    } else if (error == 0) {
        *ret_is_one = read_value(update.value, ret_member);
    }
    return error;
}

static int add_entry(struct mkv_members *members,
                     struct mkv_store *store,
                     const struct mkv_tree_entry *entry,
                     struct mkv_buf *scratch)
{
    struct mkv_member member = {.active = false};
    bool is_one;
    int error = read_uuid(entry->key, scratch, member.uuid, &is_one);

    if (error != 0 || !is_one || !entry->head.present) {
        return error;
    }
    member.tock = entry->head.tock;
    error = read_entry(members, store, entry, &member, &is_one);
    if (error == 0 && is_one && memcmp(member.cluster, members->own_cluster, MKV_UUID_LEN) == 0) {
        error = add_member(members, &member);
    }
    return error;
}

/*
 * Ours is the cluster that our entry names; without one, we are one of our own.  If it cannot be
 * read any more, nothing has changed.
 */
static int find_cluster(struct mkv_members *members, struct mkv_store *store)
{
    struct mkv_tree_entry entry;
    struct mkv_member own = {.active = false};
    struct mkv_buf key;
    bool is_one = false;
    int error;

    if (members->n_versions == 0) {
        memcpy(members->own_cluster, mkv_store_id(store), MKV_UUID_LEN);
    }
    members->own_tock = 0;
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    error = mkv_member_key(mkv_store_id(store), &key);
    if (error == 0 && mkv_tree_find(mkv_store_tree(store), mkv_buf_bytes(&key), &entry)) {
        members->own_tock = entry.head.tock;
        if (entry.head.present) {
            error = read_entry(members, store, &entry, &own, &is_one);
        }
    }
    if (error == 0) {
        memcpy(members->own_cluster, is_one ? own.cluster : mkv_store_id(store), MKV_UUID_LEN);
    }
    mkv_buf_deinit(&key);
    return error;
}

static int read_all(struct mkv_members *members,
                    struct mkv_store *store,
                    struct mkv_bytes subtree,
                    struct mkv_buf *scratch)
{
    struct mkv_buf cursor;
    struct mkv_tree_entry entry;
    int error = find_cluster(members, store);

    mkv_buf_init(&cursor, MKV_PATH_KEY_MAX);
    if (error == 0) {
        error = mkv_buf_append(&cursor, subtree);
    }
    members->n = 0;
    members->too_many = false;
    while (error == 0 && mkv_tree_next(mkv_store_tree(store), mkv_buf_bytes(&cursor), &entry) &&
           mkv_bytes_starts_with(entry.key, subtree)) {
        mkv_buf_clear(&cursor);
        error = mkv_buf_append(&cursor, entry.key);
        if (error == 0) {
            error = add_entry(members, store, &entry, scratch);
        }
    }
    mkv_buf_deinit(&cursor);
    return error;
}

const uint8_t *mkv_members_cluster(const struct mkv_members *members)
{
    return members->own_cluster;
}

int mkv_members_refresh(struct mkv_members *members, struct mkv_store *store)
{
    struct mkv_buf subtree;
    struct mkv_buf scratch;

    mkv_buf_init(&subtree, MKV_PATH_KEY_MAX);
    mkv_buf_init(&scratch, MKV_PATH_KEY_MAX);

    int error = subtree_key(&subtree);

    if (error == 0) {
        struct mkv_digest digest =
            mkv_tree_summary(mkv_store_tree(store), mkv_buf_bytes(&subtree)).digest;

        if (!members->read || digest.high != members->digest.high ||
            digest.low != members->digest.low) {
            error = read_all(members, store, mkv_buf_bytes(&subtree), &scratch);
            members->read = error == 0;
            members->n_versions++;
            members->digest = digest;
        }
    }
    mkv_buf_deinit(&scratch);
    mkv_buf_deinit(&subtree);
    return error;
}

const struct mkv_member *mkv_members_find(const struct mkv_members *members,
                                          const uint8_t uuid[MKV_UUID_LEN])
{
    for (uint32_t i = 0; i < members->n; i++) {
        if (memcmp(members->at[i].uuid, uuid, MKV_UUID_LEN) == 0) {
            return &members->at[i];
        }
    }
    return NULL;
}

uint64_t mkv_members_tock(const struct mkv_members *members, const uint8_t uuid[MKV_UUID_LEN])
{
    const struct mkv_member *member = mkv_members_find(members, uuid);

    return member == NULL ? 0 : member->tock;
}

bool mkv_members_active_as(const struct mkv_members *members,
                           const uint8_t uuid[MKV_UUID_LEN],
                           struct mkv_bytes name)
{
    const struct mkv_member *member = mkv_members_find(members, uuid);

    return member != NULL && member->active && mkv_bytes_equal(mkv_bytes_of(member->name), name);
}

bool mkv_members_active(const struct mkv_members *members, const uint8_t uuid[MKV_UUID_LEN])
{
    const struct mkv_member *member = mkv_members_find(members, uuid);

    return member != NULL && member->active;
}
