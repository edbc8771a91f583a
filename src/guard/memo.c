/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/memo.h"

#include "base/mem.h"

#define WAYS   2U /* topics that share a place */
#define N_SETS (MKV_MEMO_TOPICS / WAYS)

struct set {
    struct mkv_memo_topic *topics[WAYS]; /* owned; NULL: never needed */
    unsigned newer;                      /* the one that was asked for last */
};

struct decision {
    uint64_t serial; /* of the topic; 0: unused */
    const struct mkv_acl_user *user;
    uint8_t known; /* rights that have been asked for ... */
    uint8_t allowed;
};

struct mkv_memo {
    uint64_t last_serial;
    struct set sets[N_SETS];
    struct decision decisions[MKV_MEMO_DECISIONS];
};

int mkv_memo_new(struct mkv_memo **ret_memo)
{
    *ret_memo = mkv_mem_alloc(sizeof(**ret_memo));
    return *ret_memo == NULL ? MKV_E_NO_MEMORY : 0;
}

void mkv_memo_free(struct mkv_memo *memo)
{
    if (memo == NULL) {
        return;
    }
    for (size_t i = 0; i < N_SETS; i++) {
        for (size_t way = 0; way < WAYS; way++) {
            mkv_mem_free(memo->sets[i].topics[way]);
        }
    }
    mkv_mem_free(memo);
}

/* Decisions need nothing: they are about topics of which none will have that serial again. */
void mkv_memo_clear(struct mkv_memo *memo)
{
    for (size_t i = 0; i < N_SETS; i++) {
        for (size_t way = 0; way < WAYS; way++) {
            if (memo->sets[i].topics[way] != NULL) {
                memo->sets[i].topics[way]->serial = 0;
            }
        }
    }
}

static uint64_t mix(uint64_t hash, uint64_t number)
{
    hash = (hash ^ number) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

/* Whoever has found topics that collide gets no more for it than that they are not remembered. */
static uint32_t hash_of(struct mkv_bytes topic)
{
    uint64_t hash = topic.len;
    uint64_t number;

    for (; topic.len >= sizeof(number); topic = mkv_bytes_after(topic, sizeof(number))) {
        memcpy(&number, topic.at, sizeof(number));
        hash = mix(hash, number);
    }
    if (topic.len > 0) {
        number = 0;
        memcpy(&number, topic.at, topic.len);
        hash = mix(hash, number);
    }
    return (uint32_t)(mix(hash, 0) >> 32); /* where all bits have come to */
}

static bool is_it(const struct mkv_memo_topic *kept, uint32_t hash, struct mkv_bytes topic)
{
    return kept != NULL && kept->serial != 0 && kept->hash == hash &&
           mkv_bytes_equal(mkv_bytes(kept->topic, kept->topic_len), topic);
}

const struct mkv_memo_topic *mkv_memo_find(struct mkv_memo *memo, struct mkv_bytes topic)
{
    if (topic.len > MKV_MEMO_TOPIC_MAX) {
        return NULL;
    }

    uint32_t hash = hash_of(topic);
    struct set *set = &memo->sets[hash % N_SETS];

    for (unsigned way = 0; way < WAYS; way++) {
        if (is_it(set->topics[way], hash, topic)) {
            set->newer = way;
            return set->topics[way];
        }
    }
    return NULL;
}

const struct mkv_memo_topic *mkv_memo_keep(struct mkv_memo *memo,
                                           struct mkv_bytes topic,
                                           struct mkv_bytes key)
{
    if (topic.len > MKV_MEMO_TOPIC_MAX || key.len > MKV_MEMO_KEY_MAX) {
        return NULL;
    }

    uint32_t hash = hash_of(topic);
    struct set *set = &memo->sets[hash % N_SETS];
    unsigned older = (set->newer + 1) % WAYS;

    if (set->topics[older] == NULL) {
        set->topics[older] = mkv_mem_alloc(sizeof(*set->topics[older]));
        if (set->topics[older] == NULL) {
            return NULL;
        }
    }

    struct mkv_memo_topic *kept = set->topics[older];

    kept->serial = ++memo->last_serial;
    kept->hash = hash;
    kept->topic_len = (uint16_t)topic.len;
    kept->key_len = (uint16_t)key.len;
    memcpy(kept->topic, topic.at, topic.len);
    if (key.len > 0) {
        memcpy(kept->key, key.at, key.len);
    }
    set->newer = older;
    return kept;
}

static size_t place_of(const struct mkv_memo_topic *topic, const struct mkv_acl_user *user)
{
    return (size_t)(mix(topic->serial, (uint64_t)(uintptr_t)user) >> 32) % MKV_MEMO_DECISIONS;
}

bool mkv_memo_decided(const struct mkv_memo *memo,
                      const struct mkv_memo_topic *topic,
                      const struct mkv_acl_user *user,
                      enum mkv_right right,
                      bool *ret_allowed)
{
    const struct decision *decision = &memo->decisions[place_of(topic, user)];

    if (decision->serial != topic->serial || decision->user != user ||
        (decision->known & (uint8_t)right) == 0) {
        return false;
    }
    *ret_allowed = (decision->allowed & (uint8_t)right) != 0;
    return true;
}

void mkv_memo_decide(struct mkv_memo *memo,
                     const struct mkv_memo_topic *topic,
                     const struct mkv_acl_user *user,
                     enum mkv_right right,
                     bool allowed)
{
    struct decision *decision = &memo->decisions[place_of(topic, user)];

    if (decision->serial != topic->serial || decision->user != user) {
        *decision = (struct decision){.serial = topic->serial, .user = user};
    }
    decision->known |= (uint8_t)right;
    if (allowed) {
        decision->allowed |= (uint8_t)right;
    }
}
