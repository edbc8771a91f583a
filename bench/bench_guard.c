/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guard's decisions cost by themselves, without a broker: one message that is written by a
 * user and given to N readers, over topics that come again and over topics that never do.
 *
 *     build/bench/bench_guard [MESSAGES]     200,000 by default
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "guard/guard.h"
#include "guard/options.h"
#include "wire/update.h"

#define N_ROOMS   48U
#define NOW_S     INT64_C(1790000000)
#define ROUNDS    5U
#define TOPIC_MAX 64U

static const uint8_t secret[MKV_GUARD_KEY_LEN] = {9};
static const struct mkv_guard_limits limits = {
    .messages = {.burst = MKV_GUARD_RATE_MAX, .per_s = 1}};

static double cpu_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void add_rule(struct mkv_rights_writer *w, const char *words, unsigned number)
{
    uint8_t filter[64];
    char name[32];
    size_t n = 0;
    struct mkv_rights_rule rule = {.role = mkv_bytes_of("r"), .allowed = MKV_RIGHTS_ALL};

    (void)snprintf(name, sizeof(name), "room%u", number);
    for (const char *part = words; part != NULL; part = part == words  ? name
                                                        : part == name ? "#"
                                                                       : NULL) {
        filter[n++] = 0x60;
        memcpy(filter + n, part, strlen(part));
        n += strlen(part);
        filter[n++] = 0x00;
        filter[n++] = 0x01;
    }
    rule.filter = mkv_bytes(filter, n);
    mkv_rights_add_rule(w, &rule);
}

static void give_rights(struct mkv_guard *guard)
{
    struct mkv_rights rights = {.root = mkv_bytes_of("moat/main"),
                                .n_keys = 1,
                                .keys = {mkv_bytes(secret, sizeof(secret))},
                                .n_users = 1,
                                .n_rules = N_ROOMS};
    struct mkv_rights_user ann = {
        .name = mkv_bytes_of("ann"), .n_roles = 1, .roles = {mkv_bytes_of("r")}};
    struct mkv_rights_writer w;
    struct mkv_buf file;

    mkv_buf_init(&file, MKV_RIGHTS_MAX);
    mkv_rights_begin(&w, &rights, &file);
    mkv_rights_add_user(&w, &ann);
    for (unsigned i = 0; i < N_ROOMS; i++) {
        add_rule(&w, "house", i);
    }
    MKV_ASSERT(mkv_rights_end(&w) == 0);
    MKV_ASSERT(mkv_guard_take(guard, mkv_buf_bytes(&file)) == 0);
    mkv_buf_deinit(&file);
}

/* What one round does with each topic. */
struct work {
    const char *what;
    unsigned n_topics;
    unsigned n_reads; /* of one message */
};

static void fill_topics(char (*topics)[TOPIC_MAX], unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(topics[i], TOPIC_MAX, "moat/main/d/house/room%u/lamp%u", i % N_ROOMS, i);
    }
}

static void make_payload(struct mkv_buf *payload)
{
    static const char value[] = "\x78\x1exxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    struct mkv_update update = {.has_tock = true,
                                .tock = UINT64_C(1) << 49,
                                .present = true,
                                .value = mkv_bytes(value, sizeof(value) - 1),
                                .ticks = {.n = 1, .at = {{mkv_bytes_of("srv"), 7, 1000}}}};

    mkv_buf_init(payload, 1000);
    MKV_ASSERT(mkv_update_encode(&update, payload) == 0);
}

static void do_work(struct mkv_guard *guard,
                    const struct work *work,
                    char (*topics)[TOPIC_MAX],
                    unsigned n)
{
    struct mkv_guard_peer ann = {.role = MKV_ROLE_USER,
                                 .seq = 7,
                                 .name_len = 3,
                                 .name = "srv",
                                 .user_len = 3,
                                 .user = "ann"};
    struct mkv_guard_now now = {.ms = 1, .unix_s = NOW_S};
    struct mkv_buf payload;

    make_payload(&payload);
    for (unsigned i = 0; i < n; i++) {
        struct mkv_guard_message message = {.topic = mkv_bytes_of(topics[i % work->n_topics]),
                                            .payload = mkv_buf_bytes(&payload)};

        MKV_ASSERT(mkv_guard_write(guard, now, &ann, &message).answer == MKV_GUARD_ALLOW);
        for (unsigned k = 0; k < work->n_reads; k++) {
            MKV_ASSERT(mkv_guard_read(guard, &ann, message.topic).answer == MKV_GUARD_ALLOW);
        }
    }
    mkv_buf_deinit(&payload);
}

/* The least of the rounds: what disturbs only adds to it. */
static double measure(struct mkv_guard *guard,
                      const struct work *work,
                      char (*topics)[TOPIC_MAX],
                      unsigned n)
{
    double least = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        double start = cpu_ns();
        double took;

        do_work(guard, work, topics, n);
        took = (cpu_ns() - start) / n;
        least = round == 0 || took < least ? took : least;
    }
    return least;
}

int main(int argc, char **argv)
{
    unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 200000;
    const struct work works[] = {
        {"one topic", 1, 0},
        {"one topic, 1 reader", 1, 1},
        {"1,000 topics", 1000, 0},
        {"1,000 topics, 1 reader", 1000, 1},
        {"1,000 topics, 10 readers", 1000, 10},
        {"a new topic each", n, 0},
        {"a new topic each, 1 reader", n, 1},
    };
    char(*topics)[TOPIC_MAX] = calloc(n > 1000 ? n : 1000, sizeof(*topics));
    struct mkv_guard guard;

    MKV_ASSERT(topics != NULL);
    fill_topics(topics, n > 1000 ? n : 1000);
    mkv_guard_init(&guard, &limits);
    give_rights(&guard);
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        printf("%-28s %6.0f ns a message\n", works[i].what, measure(&guard, &works[i], topics, n));
    }
    mkv_guard_deinit(&guard);
    free(topics);
    return 0;
}
