/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "store/log_memory.h"

#define FILTERS_MAX 8U

static const struct mkv_bytes root = {(const uint8_t *)"moat/main", 9};

/* Who is at the other end of a link that a machine has accepted. */
struct fleet_end {
    bool is_user;
    unsigned index;
};

struct user {
    struct mkv_client_node node;
    unsigned machine;
    uint64_t link; /* at the machine; 0: none */
    uint64_t last_id;
    int64_t deadline_ms;
    bool on_mqtt;
    char filters[FILTERS_MAX][64];
    unsigned n_filters;
};

enum letter_kind {
    LETTER_PUBLISH,    /* to all who have subscribed */
    LETTER_DIAL,       /* machine to machine; no such machine: it fails */
    LETTER_FRAME,      /* to a machine */
    LETTER_CLOSE,      /* to a machine */
    LETTER_USER_FRAME, /* to a user; so are all below */
    LETTER_USER_CLOSED,
    LETTER_USER_LINKED,
    LETTER_USER_ON_MQTT,
    LETTER_USER_ANSWERED,
};

struct letter {
    struct letter *next;
    enum letter_kind kind;
    unsigned from;
    unsigned to;
    uint64_t link; /* or the cookie */
    struct mkv_buf topic;
    struct mkv_buf payload;
};

struct fleet_machine fleet_machines[FLEET_SERVERS_MAX];
unsigned fleet_n_machines;
unsigned fleet_n_users;
struct fleet_counts fleet_counts;
struct mkv_now fleet_now = {.ms = 1000, .wall_ms = UINT64_C(200000000000)};

static struct user *users[FLEET_USERS_MAX];
static struct letter *first;
static struct letter **last = &first;

void fleet_check(int error, const char *what)
{
    if (error != 0) {
        (void)fprintf(stderr, "%s: %s\n", what, mkv_error_text(error));
        exit(1);
    }
}

double fleet_cpu_s(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void fleet_reset_counts(void)
{
    fleet_counts = (struct fleet_counts){0};
}

static void post(struct letter letter, struct mkv_bytes topic, struct mkv_bytes payload)
{
    struct letter *copy = malloc(sizeof(*copy));

    fleet_check(copy == NULL ? MKV_E_NO_MEMORY : 0, "a letter");
    *copy = letter;
    mkv_buf_init(&copy->topic, MKV_TOPIC_MAX);
    mkv_buf_init(&copy->payload, SIZE_MAX / 2);
    fleet_check(mkv_buf_append(&copy->topic, topic), "a topic");
    fleet_check(mkv_buf_append(&copy->payload, payload), "a payload");
    copy->next = NULL;
    *last = copy;
    last = &copy->next;
}

static unsigned owner_of(struct mkv_bytes address)
{
    for (unsigned i = 0; i < fleet_n_machines; i++) {
        if (mkv_bytes_equal(mkv_bytes_of(fleet_machines[i].address), address)) {
            return i;
        }
    }
    return fleet_n_machines;
}

static void publish(struct mkv_bytes topic, struct mkv_bytes payload)
{
    fleet_counts.published++;
    fleet_counts.published_bytes += topic.len + payload.len;
    post((struct letter){.kind = LETTER_PUBLISH}, topic, payload);
}

/* --- What machines do --------------------------------------------------------------------- */

/* A new link of @machine; returns its number there. */
static uint64_t accept_link(struct fleet_machine *machine, struct fleet_end end)
{
    uint64_t link = ++machine->n_accepted;

    machine->ends = realloc(machine->ends, (link + 1) * sizeof(*machine->ends));
    fleet_check(machine->ends == NULL ? MKV_E_NO_MEMORY : 0, "a link");
    machine->ends[link] = end;
    return link;
}

/* @output of machine @i to whoever is at the other end of its link. */
static void send(unsigned i, const struct mkv_output *output)
{
    struct fleet_machine *machine = &fleet_machines[i];
    bool closes = output->kind == MKV_OUTPUT_CLOSE;
    struct letter letter = {.kind = closes ? LETTER_CLOSE : LETTER_FRAME, .from = i};

    if (output->link >= MKV_LINK_OUT) {
        if (machine->out_link != output->link) {
            return; /* has been closed meanwhile */
        }
        letter.to = machine->out_to;
        letter.link = machine->out_there;
    } else if (machine->ends[output->link].is_user) {
        letter.kind = closes ? LETTER_USER_CLOSED : LETTER_USER_FRAME;
        letter.to = machine->ends[output->link].index;
    } else {
        letter.to = machine->ends[output->link].index;
        letter.link = fleet_machines[letter.to].out_link;
        if (letter.link == 0 || fleet_machines[letter.to].out_to != i ||
            fleet_machines[letter.to].out_there != output->link) {
            return;
        }
    }
    post(letter, mkv_bytes(NULL, 0), output->payload);
}

static void take_output(unsigned i, const struct mkv_output *output)
{
    switch (output->kind) {
    case MKV_OUTPUT_PUBLISH:
        publish(output->topic, output->payload);
        break;
    case MKV_OUTPUT_DIAL:
        post((struct letter){.kind = LETTER_DIAL,
                             .from = i,
                             .to = owner_of(output->payload),
                             .link = output->link},
             mkv_bytes(NULL, 0), mkv_bytes(NULL, 0));
        break;
    case MKV_OUTPUT_SEND:
    case MKV_OUTPUT_CLOSE:
        send(i, output);
        break;
    case MKV_OUTPUT_SASL: /* nobody logs in by password here */
    case MKV_OUTPUT_STOP:
    case MKV_OUTPUT_LOG:
        if (getenv("VERBOSE") != NULL) {
            (void)fprintf(stderr, "%8" PRId64 " %s: %.*s\n", fleet_now.ms, fleet_machines[i].name,
                          (int)output->payload.len, (const char *)output->payload.at);
        }
        break;
    }
}

static void listen_to(unsigned i)
{
    struct mkv_output output;

    while (mkv_server_node_output(fleet_machines[i].node, &output)) {
        take_output(i, &output);
    }
}

static int keep(void *context, struct mkv_bytes rows)
{
    (void)context;
    (void)rows;
    return 0;
}

unsigned fleet_add_machine(void)
{
    unsigned i = fleet_n_machines++;
    struct fleet_machine *machine = &fleet_machines[i];
    struct mkv_store_options options = {.boot_nonce = 1000 + i};
    struct mkv_store_report report;
    struct mkv_disk *disk = mkv_disk_new(0);

    (void)snprintf(machine->name, sizeof(machine->name), "s%u", i);
    (void)snprintf(machine->address, sizeof(machine->address), "tcp://s%u:1", i);
    memcpy(options.id, machine->name, sizeof(machine->name));
    options.id[15] = (uint8_t)(i >> 8);
    options.id[0] = (uint8_t)i;
    fleet_check(disk == NULL ? MKV_E_NO_MEMORY : 0, "a disk");
    fleet_check(mkv_store_open_disk(disk, &options, &machine->store, &report), "a store");
    return i;
}

void fleet_start(unsigned i)
{
    struct fleet_machine *machine = &fleet_machines[i];
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
    config.server.brokers.n = 1;
    config.server.brokers.at[0] = mkv_bytes_of("mqtt://broker:1883");
    fleet_check(mkv_server_node_new(&config, machine->store, fleet_now, &machine->node),
                "a server");
    mkv_server_node_broker(machine->node, fleet_now, true);
    listen_to(i);
}

bool fleet_all_ready(void)
{
    for (unsigned i = 0; i < fleet_n_machines; i++) {
        if (!mkv_server_node_ready(fleet_machines[i].node)) {
            return false;
        }
    }
    return true;
}

bool fleet_equal(unsigned a, unsigned b)
{
    struct mkv_digest x =
        mkv_tree_summary(mkv_store_tree(fleet_machines[a].store), mkv_bytes(NULL, 0)).digest;
    struct mkv_digest y =
        mkv_tree_summary(mkv_store_tree(fleet_machines[b].store), mkv_bytes(NULL, 0)).digest;

    return x.high == y.high && x.low == y.low;
}

/* --- What users do ------------------------------------------------------------------------ */

static void post_to_user(unsigned u, enum letter_kind kind, uint64_t cookie)
{
    post((struct letter){.kind = kind, .to = u, .link = cookie}, mkv_bytes(NULL, 0),
         mkv_bytes(NULL, 0));
}

static void subscribe(struct user *user, struct mkv_bytes filter)
{
    fleet_check(user->n_filters == FILTERS_MAX || filter.len >= sizeof(user->filters[0])
                    ? MKV_E_TOO_MANY
                    : 0,
                "a filter");
    (void)snprintf(user->filters[user->n_filters++], sizeof(user->filters[0]), "%.*s",
                   (int)filter.len, (const char *)filter.at);
}

static void take_from_user(unsigned u, const struct mkv_client_output *output)
{
    struct user *user = users[u];

    switch (output->kind) {
    case MKV_CLIENT_LINK_CONNECT:
        post_to_user(u, LETTER_USER_LINKED, 0);
        break;
    case MKV_CLIENT_LINK_PROVE: /* nobody logs in by password here */
        break;
    case MKV_CLIENT_LINK_SEND:
    case MKV_CLIENT_LINK_CLOSE:
        post((struct letter){.kind =
                                 output->kind == MKV_CLIENT_LINK_SEND ? LETTER_FRAME : LETTER_CLOSE,
                             .to = user->machine,
                             .link = user->link},
             mkv_bytes(NULL, 0), output->payload);
        break;
    case MKV_CLIENT_MQTT_CONNECT:
        post_to_user(u, LETTER_USER_ON_MQTT, 0);
        break;
    case MKV_CLIENT_MQTT_SUBSCRIBE:
        subscribe(user, output->text);
        post_to_user(u, LETTER_USER_ANSWERED, output->cookie);
        break;
    case MKV_CLIENT_MQTT_PUBLISH:
        publish(output->text, output->payload);
        post_to_user(u, LETTER_USER_ANSWERED, output->cookie);
        break;
    case MKV_CLIENT_TELL:
        fleet_counts.told++;
        break;
    case MKV_CLIENT_DONE:
        fleet_counts.written += output->status == 0;
        fleet_counts.failed += output->status != 0;
        break;
    default: /* nothing here asks for it */
        break;
    }
}

static void listen_to_user(unsigned u)
{
    struct mkv_client_output *output;

    while ((output = mkv_client_effects_take(&users[u]->node.effects)) != NULL) {
        take_from_user(u, output);
        mkv_client_output_free(output);
    }
    users[u]->deadline_ms = mkv_client_deadline_ms(&users[u]->node.client);
}

static void order(unsigned u, struct mkv_client_order *order)
{
    order->id = ++users[u]->last_id;
    fleet_check(mkv_client_node_order(&users[u]->node, fleet_now.ms, order), "an order");
    listen_to_user(u);
}

unsigned fleet_add_user(unsigned machine, bool watches)
{
    unsigned u = fleet_n_users++;
    struct mkv_client_config config = {
        .root = root,
        .software = mkv_bytes_of("bench"),
        .host = mkv_bytes_of("user"),
        .seed = u,
        .servers = {.n = 1, .at = {mkv_bytes_of(fleet_machines[machine].address)}},
    };

    users[u] = calloc(1, sizeof(*users[u]));
    fleet_check(users[u] == NULL ? MKV_E_NO_MEMORY : 0, "a user");
    users[u]->machine = machine;
    fleet_check(mkv_client_node_init(&users[u]->node, &config), "a client");
    mkv_client_node_tick(&users[u]->node, fleet_now.ms);
    listen_to_user(u);
    if (watches) {
        order(u, &(struct mkv_client_order){.kind = MKV_CLIENT_WATCH});
    }
    return u;
}

void fleet_write(unsigned u, struct mkv_bytes key, struct mkv_bytes value)
{
    order(u, &(struct mkv_client_order){
                 .kind = MKV_CLIENT_WRITE, .key = key, .present = true, .value = value});
}

/* --- What is delivered -------------------------------------------------------------------- */

static void count_delivery(const struct letter *letter)
{
    fleet_counts.delivered++;
    fleet_counts.delivered_bytes += letter->topic.len + letter->payload.len;
}

/* Filters here are topics, or end with `/#`. */
static bool matches(const char *filter, struct mkv_bytes topic)
{
    size_t len = strlen(filter);

    if (len < 2 || strcmp(filter + len - 2, "/#") != 0) {
        return mkv_bytes_equal(mkv_bytes_of(filter), topic);
    }
    len -= 2;
    return topic.len >= len && memcmp(topic.at, filter, len) == 0 &&
           (topic.len == len || topic.at[len] == '/');
}

static void deliver_to_user(unsigned u, const struct letter *letter)
{
    struct user *user = users[u];

    for (unsigned i = 0; i < user->n_filters; i++) {
        if (matches(user->filters[i], mkv_buf_bytes(&letter->topic))) {
            count_delivery(letter);
            mkv_client_node_mqtt_message(&user->node, fleet_now.ms, mkv_buf_bytes(&letter->topic),
                                         mkv_buf_bytes(&letter->payload), false);
            listen_to_user(u);
            return;
        }
    }
}

static void deliver_message(const struct letter *letter)
{
    for (unsigned i = 0; i < fleet_n_machines; i++) {
        if (fleet_machines[i].node != NULL) {
            count_delivery(letter);
            mkv_server_node_message(fleet_machines[i].node, fleet_now,
                                    mkv_buf_bytes(&letter->topic), mkv_buf_bytes(&letter->payload),
                                    false);
            listen_to(i);
        }
    }
    for (unsigned u = 0; u < fleet_n_users; u++) {
        deliver_to_user(u, letter);
    }
}

static void connect_link(const struct letter *letter)
{
    struct fleet_machine *from = &fleet_machines[letter->from];
    bool works = letter->to < fleet_n_machines;

    if (works) {
        from->out_link = letter->link;
        from->out_to = letter->to;
        from->out_there =
            accept_link(&fleet_machines[letter->to], (struct fleet_end){.index = letter->from});
    }
    mkv_server_node_dialled(from->node, fleet_now, letter->link, works ? 0 : MKV_E_NO_CONNECTION,
                            MKV_PEER_SAME_USER);
    listen_to(letter->from);
    if (works) {
        mkv_server_node_link_opened(fleet_machines[letter->to].node, fleet_now, from->out_there,
                                    MKV_PEER_SAME_USER);
        listen_to(letter->to);
    }
}

static struct mkv_bytes cut_frame(const struct letter *letter)
{
    struct mkv_bytes map;
    size_t used;

    fleet_counts.frames++;
    fleet_counts.link_bytes += letter->payload.len;
    fleet_check(mkv_frame_cut(mkv_buf_bytes(&letter->payload), &map, &used), "a frame");
    return map;
}

static void deliver_close(const struct letter *letter)
{
    struct fleet_machine *to = &fleet_machines[letter->to];

    if (letter->link >= MKV_LINK_OUT) {
        to->out_link = 0;
    } else if (!to->ends[letter->link].is_user) {
        fleet_machines[to->ends[letter->link].index].out_link = 0;
    }
    mkv_server_node_link_closed(to->node, fleet_now, letter->link);
    listen_to(letter->to);
}

static void link_user(unsigned u)
{
    struct user *user = users[u];

    user->link = accept_link(&fleet_machines[user->machine],
                             (struct fleet_end){.is_user = true, .index = u});
    mkv_client_node_link_opened(&user->node, fleet_now.ms);
    listen_to_user(u);
    mkv_server_node_link_opened(fleet_machines[user->machine].node, fleet_now, user->link,
                                MKV_PEER_SAME_USER);
    listen_to(user->machine);
}

/* To a user, but for LETTER_USER_LINKED. */
static void deliver_event(const struct letter *letter)
{
    struct mkv_client_node *node = &users[letter->to]->node;

    if (letter->kind == LETTER_USER_FRAME) {
        mkv_client_node_link_frame(node, fleet_now.ms, cut_frame(letter));
    } else if (letter->kind == LETTER_USER_CLOSED) {
        mkv_client_node_link_closed(node, fleet_now.ms, MKV_E_CLOSED, mkv_bytes_of("closed"));
    } else if (letter->kind == LETTER_USER_ON_MQTT) {
        mkv_client_node_mqtt_connected(node, fleet_now.ms);
    } else {
        mkv_client_node_mqtt_answered(node, fleet_now.ms, letter->link, 0, mkv_bytes(NULL, 0));
    }
    listen_to_user(letter->to);
}

static void deliver(const struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_PUBLISH:
        deliver_message(letter);
        break;
    case LETTER_DIAL:
        connect_link(letter);
        break;
    case LETTER_FRAME:
        mkv_server_node_frame(fleet_machines[letter->to].node, fleet_now, letter->link,
                              cut_frame(letter));
        listen_to(letter->to);
        break;
    case LETTER_CLOSE:
        deliver_close(letter);
        break;
    case LETTER_USER_LINKED:
        link_user(letter->to);
        break;
    case LETTER_USER_FRAME:
    case LETTER_USER_CLOSED:
    case LETTER_USER_ON_MQTT:
    case LETTER_USER_ANSWERED:
        deliver_event(letter);
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

/* --- Time --------------------------------------------------------------------------------- */

static void advance_to(int64_t ms)
{
    if (ms > fleet_now.ms) {
        fleet_now.wall_ms += (uint64_t)(ms - fleet_now.ms);
        fleet_now.ms = ms;
    }
}

static int64_t deadline_of(unsigned i)
{
    const struct mkv_server_node *node = fleet_machines[i].node;

    return node == NULL ? MKV_NEVER : mkv_server_node_deadline(node);
}

static int64_t next_deadline(void)
{
    int64_t next = MKV_NEVER;

    for (unsigned i = 0; i < fleet_n_machines; i++) {
        next = deadline_of(i) < next ? deadline_of(i) : next;
    }
    for (unsigned u = 0; u < fleet_n_users; u++) {
        next = users[u]->deadline_ms < next ? users[u]->deadline_ms : next;
    }
    return next;
}

static void wake_due(void)
{
    for (unsigned i = 0; i < fleet_n_machines; i++) {
        if (deadline_of(i) <= fleet_now.ms) {
            mkv_server_node_time(fleet_machines[i].node, fleet_now);
            listen_to(i);
        }
    }
    for (unsigned u = 0; u < fleet_n_users; u++) {
        if (users[u]->deadline_ms <= fleet_now.ms) {
            mkv_client_node_tick(&users[u]->node, fleet_now.ms);
            listen_to_user(u);
        }
    }
}

void fleet_run(int64_t ms)
{
    int64_t until = fleet_now.ms + ms;

    for (;;) {
        settle();

        int64_t next = next_deadline();

        if (next > until) {
            break;
        }
        advance_to(next);
        wake_due();
    }
    advance_to(until);
}
