/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What many servers cost, in messages and bytes: whole server nodes on disks in memory, a broker
 * that delivers everything at once, and virtual time, so the figures depend on nothing else.
 *
 *     bench_cluster idle SERVERS              pings of a quiet cluster
 *     bench_cluster join ENTRIES              a new server reads everything
 *     bench_cluster changed ENTRIES CHANGED   one was cut off while the other wrote
 *     bench_cluster walk ENTRIES CHANGED      the same, and they know nothing of each other's logs
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/limits.h"
#include "node/server.h"
#include "store/log_memory.h"
#include "store/store.h"
#include "wire/path.h"

#define SERVERS_MAX 1024U
#define VALUE_LEN   32U

static const struct mkv_bytes root = {(const uint8_t *)"moat/main", 9};

struct machine {
    char name[16];
    char address[24];
    struct mkv_disk *disk;
    struct mkv_store *store;
    struct mkv_server_node *node;
    bool cut; /* hears nothing from the broker, and is not heard */
    uint64_t n_accepted;
    uint64_t out_link;  /* the link that it has dialled, 0: none ... */
    unsigned out_to;    /* ... to this machine ... */
    uint64_t out_there; /* ... which knows it under this number */
};

/* Something on its way. */
struct letter {
    struct letter *next;
    enum mkv_output_kind kind;
    unsigned from;
    unsigned to; /* SEND, CLOSE, DIAL */
    uint64_t link;
    struct mkv_buf topic;
    struct mkv_buf payload;
};

static struct machine machines[SERVERS_MAX];
static unsigned n_machines;
static struct letter *first;
static struct letter **last = &first;
static struct mkv_now now = {.ms = 1000, .wall_ms = UINT64_C(200000000000)};

static uint64_t n_published;
static uint64_t n_delivered;
static uint64_t published_bytes;
static uint64_t n_frames;
static uint64_t link_bytes;

static void check(int error, const char *what)
{
    if (error != 0) {
        (void)fprintf(stderr, "%s: %s\n", what, mkv_error_text(error));
        exit(1);
    }
}

static double cpu_s(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int keep(void *context, struct mkv_bytes rows)
{
    (void)context;
    (void)rows;
    return 0;
}

static void post(enum mkv_output_kind kind,
                 unsigned from,
                 unsigned to,
                 uint64_t link,
                 const struct mkv_output *output)
{
    struct letter *letter = calloc(1, sizeof(*letter));

    check(letter == NULL ? MKV_E_NO_MEMORY : 0, "a letter");
    letter->kind = kind;
    letter->from = from;
    letter->to = to;
    letter->link = link;
    mkv_buf_init(&letter->topic, MKV_TOPIC_MAX);
    mkv_buf_init(&letter->payload, SIZE_MAX / 2);
    if (output != NULL) {
        check(mkv_buf_append(&letter->topic, output->topic), "a topic");
        check(mkv_buf_append(&letter->payload, output->payload), "a payload");
    }
    *last = letter;
    last = &letter->next;
}

static unsigned owner_of(struct mkv_bytes address)
{
    for (unsigned i = 0; i < n_machines; i++) {
        if (mkv_bytes_equal(mkv_bytes_of(machines[i].address), address)) {
            return i;
        }
    }
    return n_machines;
}

/* The machine at the other end of @link of machine @i, and the number it has there. */
static unsigned other_end(unsigned i, uint64_t link, uint64_t *ret_link)
{
    if (link >= MKV_LINK_OUT) {
        *ret_link = machines[i].out_there;
        return machines[i].out_link == link ? machines[i].out_to : n_machines;
    }
    for (unsigned j = 0; j < n_machines; j++) {
        if (machines[j].out_link != 0 && machines[j].out_to == i && machines[j].out_there == link) {
            *ret_link = machines[j].out_link;
            return j;
        }
    }
    return n_machines;
}

static void take_output(unsigned i, const struct mkv_output *output)
{
    uint64_t link;
    unsigned to;

    switch (output->kind) {
    case MKV_OUTPUT_PUBLISH:
        if (!machines[i].cut) {
            n_published++;
            published_bytes += output->topic.len + output->payload.len;
            post(output->kind, i, 0, 0, output);
        }
        break;
    case MKV_OUTPUT_DIAL:
        post(output->kind, i, owner_of(output->payload), output->link, NULL);
        break;
    case MKV_OUTPUT_SEND:
    case MKV_OUTPUT_CLOSE:
        to = other_end(i, output->link, &link);
        if (to < n_machines) {
            post(output->kind, i, to, link, output);
        }
        break;
    case MKV_OUTPUT_STOP:
    case MKV_OUTPUT_LOG:
        if (getenv("VERBOSE") != NULL) {
            (void)fprintf(stderr, "%8" PRId64 " %s: %.*s\n", now.ms, machines[i].name,
                          (int)output->payload.len, (const char *)output->payload.at);
        }
        break;
    }
}

static void listen_to(unsigned i)
{
    struct mkv_output output;

    while (mkv_server_node_output(machines[i].node, &output)) {
        take_output(i, &output);
    }
}

static void deliver_message(const struct letter *letter)
{
    for (unsigned i = 0; i < n_machines; i++) {
        if (machines[i].node != NULL && !machines[i].cut) {
            n_delivered++;
            mkv_server_node_message(machines[i].node, now, mkv_buf_bytes(&letter->topic),
                                    mkv_buf_bytes(&letter->payload), false);
            listen_to(i);
        }
    }
}

static void connect_link(const struct letter *letter)
{
    struct machine *from = &machines[letter->from];
    bool works = letter->to < n_machines && !from->cut && !machines[letter->to].cut;

    if (works) {
        from->out_link = letter->link;
        from->out_to = letter->to;
        from->out_there = ++machines[letter->to].n_accepted;
    }
    mkv_server_node_dialled(from->node, now, letter->link, works ? 0 : MKV_E_NO_CONNECTION);
    listen_to(letter->from);
    if (works) {
        mkv_server_node_link_opened(machines[letter->to].node, now, from->out_there,
                                    MKV_PEER_SAME_USER);
        listen_to(letter->to);
    }
}

static void deliver_frame(const struct letter *letter)
{
    struct mkv_bytes map;
    size_t used;

    n_frames++;
    link_bytes += letter->payload.len;
    check(mkv_frame_cut(mkv_buf_bytes(&letter->payload), &map, &used), "a frame");
    mkv_server_node_frame(machines[letter->to].node, now, letter->link, map);
    listen_to(letter->to);
}

static void deliver_close(const struct letter *letter)
{
    unsigned dialler = letter->link >= MKV_LINK_OUT ? letter->to : letter->from;

    machines[dialler].out_link = 0;
    mkv_server_node_link_closed(machines[letter->to].node, now, letter->link);
    listen_to(letter->to);
}

static void deliver(const struct letter *letter)
{
    switch (letter->kind) {
    case MKV_OUTPUT_PUBLISH:
        deliver_message(letter);
        break;
    case MKV_OUTPUT_DIAL:
        connect_link(letter);
        break;
    case MKV_OUTPUT_SEND:
        deliver_frame(letter);
        break;
    case MKV_OUTPUT_CLOSE:
        deliver_close(letter);
        break;
    case MKV_OUTPUT_STOP:
    case MKV_OUTPUT_LOG:
        break;
    }
}

static void settle(void)
{
    while (first != NULL) {
        struct letter *letter = first;

        deliver(letter);
        first = letter->next;
        if (first == NULL) {
            last = &first;
        }
        mkv_buf_deinit(&letter->topic);
        mkv_buf_deinit(&letter->payload);
        free(letter);
    }
}

static void advance_to(int64_t ms)
{
    if (ms > now.ms) {
        now.wall_ms += (uint64_t)(ms - now.ms);
        now.ms = ms;
    }
}

static void run(int64_t ms)
{
    int64_t until = now.ms + ms;

    for (;;) {
        int64_t next = MKV_NEVER;

        settle();
        for (unsigned i = 0; i < n_machines; i++) {
            int64_t deadline =
                machines[i].node == NULL ? MKV_NEVER : mkv_server_node_deadline(machines[i].node);

            next = deadline < next ? deadline : next;
        }
        if (next > until) {
            break;
        }
        advance_to(next);
        for (unsigned i = 0; i < n_machines; i++) {
            if (machines[i].node != NULL && mkv_server_node_deadline(machines[i].node) <= now.ms) {
                mkv_server_node_time(machines[i].node, now);
                listen_to(i);
            }
        }
    }
    advance_to(until);
}

static unsigned add_machine(void)
{
    unsigned i = n_machines++;
    struct machine *machine = &machines[i];
    struct mkv_store_options options = {.boot_nonce = 1000 + i};
    struct mkv_store_report report;

    (void)snprintf(machine->name, sizeof(machine->name), "s%u", i);
    (void)snprintf(machine->address, sizeof(machine->address), "tcp://s%u:1", i);
    memcpy(options.id, machine->name, sizeof(machine->name));
    options.id[15] = (uint8_t)(i >> 8);
    options.id[0] = (uint8_t)i;
    machine->disk = mkv_disk_new(0);
    check(machine->disk == NULL ? MKV_E_NO_MEMORY : 0, "a disk");
    check(mkv_store_open_disk(machine->disk, &options, &machine->store, &report), "a store");
    return i;
}

static void start(unsigned i)
{
    struct machine *machine = &machines[i];
    struct mkv_server_node_config config = {
        .server = {.name = mkv_bytes_of(machine->name),
                   .root = root,
                   .host = mkv_bytes_of("somewhere.example"),
                   .software = mkv_bytes_of("bench"),
                   .qos = 1,
                   .session_limits = {.grace_ms = 200, .void_ms = 30000},
                   .times = MKV_CLUSTER_TIMES,
                   .alone = i == 0},
        .window_ms = 2,
        .quarantine = {.keep = keep},
    };

    config.server.links.n = 1;
    config.server.links.at[0] = mkv_bytes_of(machine->address);
    check(mkv_server_node_new(&config, machine->store, now, &machine->node), "a server");
    mkv_server_node_broker(machine->node, now, true);
    listen_to(i);
}

/* Entry @number of machine @i's store gets a value of generation @version. */
static void put(unsigned i, uint64_t number, uint64_t version)
{
    uint8_t value[VALUE_LEN + 2] = {0x58, VALUE_LEN};
    char text[64];
    struct mkv_buf key;
    struct mkv_update update = {
        .has_tock = true,
        .present = true,
        .tock = (now.wall_ms << 12) + version,
        .value = mkv_bytes(value, sizeof(value)),
        .ticks = {.n = 1, .at = {{mkv_bytes_of("writer"), 1, number + 1}}},
    };
    struct mkv_head head;

    (void)snprintf(text, sizeof(text), "house.floor:%u.room:%u.device:%u.state",
                   (unsigned)(number / 10000), (unsigned)(number / 100 % 100),
                   (unsigned)(number % 100));
    memcpy(value + 2, &number, sizeof(number));
    memcpy(value + 10, &version, sizeof(version));
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    check(mkv_path_from_dotted(mkv_bytes_of(text), &key), "a path");
    head = mkv_head_of(&update);
    check(mkv_store_put(machines[i].store, mkv_buf_bytes(&key), &head, &update), "a put");
    mkv_buf_deinit(&key);
}

static void fill(unsigned i, uint64_t n)
{
    for (uint64_t number = 0; number < n; number++) {
        put(i, number, 0);
        if (number % 10000 == 9999) {
            check(mkv_store_commit(machines[i].store), "a commit");
        }
    }
    check(mkv_store_commit(machines[i].store), "a commit");
}

static bool all_ready(void)
{
    for (unsigned i = 0; i < n_machines; i++) {
        if (!mkv_server_node_ready(machines[i].node)) {
            return false;
        }
    }
    return true;
}

static bool equal(unsigned a, unsigned b)
{
    struct mkv_digest x =
        mkv_tree_summary(mkv_store_tree(machines[a].store), mkv_bytes(NULL, 0)).digest;
    struct mkv_digest y =
        mkv_tree_summary(mkv_store_tree(machines[b].store), mkv_bytes(NULL, 0)).digest;

    return x.high == y.high && x.low == y.low;
}

static void reset_counts(void)
{
    n_published = 0;
    n_delivered = 0;
    published_bytes = 0;
    n_frames = 0;
    link_bytes = 0;
}

static void print_counts(const char *what, int64_t ms)
{
    (void)printf("%s: %.1f s; %" PRIu64 " messages published (%" PRIu64 " bytes), %" PRIu64
                 " delivered; links: %" PRIu64 " frames, %" PRIu64 " bytes\n",
                 what, (double)ms / 1000, n_published, published_bytes, n_delivered, n_frames,
                 link_bytes);
}

/* Runs until all are equal (and ready), @limit_ms at most. */
static void run_until_equal(const char *what, int64_t limit_ms)
{
    int64_t begin = now.ms;
    double cpu = cpu_s();

    while (!(all_ready() && equal(0, n_machines - 1)) && now.ms < begin + limit_ms) {
        run(100);
    }
    print_counts(what, now.ms - begin);
    (void)printf("  %s, %.2f s of CPU\n", equal(0, n_machines - 1) ? "equal" : "NOT EQUAL",
                 cpu_s() - cpu);
}

static void idle(unsigned n)
{
    int64_t begin;
    double cpu;

    start(add_machine());
    run(1000);
    reset_counts();
    begin = now.ms;
    while (n_machines < n) {
        start(add_machine());
        run(n_machines % 16 == 0 ? 500 : 10);
    }
    while (!all_ready()) {
        run(1000);
    }
    print_counts("until all have joined", now.ms - begin);
    run(120000);
    reset_counts();
    cpu = cpu_s();
    run(600000);
    print_counts("then quiet", 600000);
    (void)printf("  a second: %.1f messages, %.0f deliveries, %.0f bytes out of the broker; CPU of "
                 "all servers %.1f %% of one core\n",
                 (double)n_published / 600, (double)n_delivered / 600,
                 n_published == 0
                     ? 0.0
                     : (double)published_bytes / (double)n_published * (double)n_delivered / 600,
                 (cpu_s() - cpu) / 6);
}

static void join(uint64_t entries)
{
    add_machine();
    fill(0, entries);
    start(0);
    run(1000);
    reset_counts();
    start(add_machine());
    run_until_equal("join", 600000);
}

/* Written at one while nobody hears it: as the other one's broker would have lost it. */
static void change(uint64_t entries, uint64_t changed)
{
    for (uint64_t i = 0; i < changed; i++) {
        put(0, i * (entries / changed), 1);
    }
    check(mkv_store_commit(machines[0].store), "a commit");
}

static void changed(uint64_t entries, uint64_t n)
{
    join(entries);
    run(30000);
    reset_counts();
    change(entries, n);
    run_until_equal("changed", 600000);
}

static void walk(uint64_t entries, uint64_t n)
{
    add_machine();
    add_machine();
    fill(0, entries);
    fill(1, entries);
    change(entries, n);
    start(0);
    run(1000);
    reset_counts();
    start(1);
    run_until_equal("walk", 600000);
}

int main(int argc, char **argv)
{
    uint64_t a = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t b = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;

    if (argc == 3 && strcmp(argv[1], "idle") == 0 && a >= 1 && a <= SERVERS_MAX) {
        idle((unsigned)a);
    } else if (argc == 3 && strcmp(argv[1], "join") == 0) {
        join(a);
    } else if (argc == 4 && strcmp(argv[1], "changed") == 0 && b > 0 && b <= a) {
        changed(a, b);
    } else if (argc == 4 && strcmp(argv[1], "walk") == 0 && b > 0 && b <= a) {
        walk(a, b);
    } else {
        (void)fprintf(stderr, "usage: bench_cluster idle SERVERS | join ENTRIES | changed ENTRIES "
                              "CHANGED | walk ENTRIES CHANGED\n");
        return 2;
    }
    return 0;
}
