/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/memo.h"

#include "base/mem.h"

#define TOPIC_WAYS      8U /* topics that share a place */
#define N_TOPIC_SETS    (MKV_MEMO_TOPICS / TOPIC_WAYS)
#define DECISION_WAYS   4U
#define N_DECISION_SETS (MKV_MEMO_DECISIONS / DECISION_WAYS)

struct topic_set {
    uint32_t hashes[TOPIC_WAYS];
    struct mkv_memo_topic *topics[TOPIC_WAYS]; /* owned; NULL: never needed */
    unsigned next;                             /* the one that gives way */
};

/* 48 bits: the topic's serial; 8: rights that have been asked for; 8: those that are allowed.  0: unused. */
struct decision {
    uint64_t word;
    const struct mkv_acl_user *user;
};

#define KNOWN_SHIFT  8
#define SERIAL_SHIFT 16

struct decision_set {
    struct decision ways[DECISION_WAYS];
};

struct mkv_memo {
    uint64_t last_serial; /* 48 bits are enough for a million in a second, over years */
    const struct mkv_memo_topic *last; /* found or kept: it is asked for again for each reader */
    unsigned next_decision;            /* the way that gives way, in whichever set */
    struct topic_set topics[N_TOPIC_SETS];
    struct decision_set decisions[N_DECISION_SETS];
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
    for (size_t i = 0; i < N_TOPIC_SETS; i++) {
        for (size_t way = 0; way < TOPIC_WAYS; way++) {
            mkv_mem_free(memo->topics[i].topics[way]);
        }
    }
    mkv_mem_free(memo);
}

/* Decisions need nothing: they are about topics of which none will have that serial again. */
void mkv_memo_clear(struct mkv_memo *memo)
{
    memo->last = NULL;
    for (size_t i = 0; i < N_TOPIC_SETS; i++) {
        for (size_t way = 0; way < TOPIC_WAYS; way++) {
            if (memo->topics[i].topics[way] != NULL) {
                memo->topics[i].topics[way]->serial = 0;
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

static bool is_it(const struct mkv_memo_topic *kept, struct mkv_bytes topic)
{
    return kept != NULL && kept->serial != 0 &&
           mkv_bytes_equal(mkv_bytes(kept->bytes, kept->topic_len), topic);
}

const struct mkv_memo_topic *mkv_memo_find(struct mkv_memo *memo, struct mkv_bytes topic)
{
    if (topic.len > MKV_MEMO_TOPIC_MAX) {
        return NULL;
    }
    if (is_it(memo->last, topic)) {
        return memo->last;
    }

    uint32_t hash = hash_of(topic);
    const struct topic_set *set = &memo->topics[hash % N_TOPIC_SETS];

    for (unsigned way = 0; way < TOPIC_WAYS; way++) {
        if (set->hashes[way] == hash && is_it(set->topics[way], topic)) {
            memo->last = set->topics[way];
            return memo->last;
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
    struct topic_set *set = &memo->topics[hash % N_TOPIC_SETS];
    unsigned way = set->next;

    if (set->topics[way] == NULL) {
        set->topics[way] = mkv_mem_alloc(sizeof(*set->topics[way]));
        if (set->topics[way] == NULL) {
            return NULL;
        }
    }

    struct mkv_memo_topic *kept = set->topics[way];

    kept->serial = ++memo->last_serial;
    kept->topic_len = (uint16_t)topic.len;
    kept->key_len = (uint16_t)key.len;
    memcpy(kept->bytes, topic.at, topic.len);
    if (key.len > 0) {
        memcpy(kept->bytes + topic.len, key.at, key.len);
    }
    set->hashes[way] = hash;
    set->next = (way + 1) % TOPIC_WAYS;
    memo->last = kept;
    return kept;
}

static size_t set_of(const struct mkv_memo_topic *topic, const struct mkv_acl_user *user)
{
    return (size_t)(mix(topic->serial, (uint64_t)(uintptr_t)user) >> 32) % N_DECISION_SETS;
}

/* What is known of that user there; NULL: nothing. */
static struct decision *find_decision(struct mkv_memo *memo,
                                      const struct mkv_memo_topic *topic,
                                      const struct mkv_acl_user *user)
{
    struct decision_set *set = &memo->decisions[set_of(topic, user)];

    for (unsigned way = 0; way < DECISION_WAYS; way++) {
        struct decision *decision = &set->ways[way];

        if (decision->word >> SERIAL_SHIFT == topic->serial && decision->user == user) {
            return decision;
        }
    }
    return NULL;
}

bool mkv_memo_decided(struct mkv_memo *memo,
                      const struct mkv_memo_topic *topic,
                      const struct mkv_acl_user *user,
                      enum mkv_right right,
                      bool *ret_allowed)
{
    const struct decision *decision = find_decision(memo, topic, user);

    if (decision == NULL || (decision->word >> KNOWN_SHIFT & (uint8_t)right) == 0) {
        return false;
    }
    *ret_allowed = (decision->word & (uint8_t)right) != 0;
    return true;
}

void mkv_memo_decide(struct mkv_memo *memo,
                     const struct mkv_memo_topic *topic,
                     const struct mkv_acl_user *user,
                     enum mkv_right right,
                     bool allowed)
{
    struct decision *decision = find_decision(memo, topic, user);

    if (decision == NULL) {
        memo->next_decision = (memo->next_decision + 1) % DECISION_WAYS;
        decision = &memo->decisions[set_of(topic, user)].ways[memo->next_decision];
        *decision = (struct decision){topic->serial << SERIAL_SHIFT, user};
    }
    decision->word |= (uint64_t)right << KNOWN_SHIFT | (allowed ? (uint64_t)right : 0);
}
