/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/mem.h"
#include "core/client_parts.h"
#include "core/order.h"

#define CHECK_FIRST_MS     1000
#define CHECK_MS           5000
#define CHECK_AGAIN_MS     500   /* after a first mismatch: updates may have been on their way */
#define CHECK_AHEAD_MS     30000 /* after everything was compared and still differs */
#define WITHDRAW_MS        60000 /* what no server has for so long is taken back */
#define SUBSCRIBE_AGAIN_MS 1000
#define REFUSED_WAIT_MAX   30000
#define REFUSALS_MAX       5U  /* of a first subscription, 15 s in all, before the watch ends */
#define REPAIRS_MAX        12U /* reads of changes that did not help, before all is read anyway */

/*
 * The way to a complete view: subscribe, wait for the SUBACK, read, merge; docs/protocol.md,
 * section 8.  `synced` is true from the end of that read until the link or the subscription is
 * lost.  Repairs leave it true.
 */

static bool is_covered(const struct mkv_client_watch *watch, struct mkv_bytes key)
{
    return mkv_bytes_starts_with(key, watch->key);
}

int mkv_client_watch_order(struct mkv_client *client, const struct mkv_client_order *order)
{
    if (client->n_watches >= MKV_CLIENT_WATCHES_MAX) {
        return MKV_E_TOO_MANY;
    }

    struct mkv_client_watch *watch = mkv_mem_alloc(sizeof(*watch) + order->key.len);

    if (watch == NULL) {
        return MKV_E_NO_MEMORY;
    }
    watch->id = order->id;
    watch->key = mkv_bytes(watch + 1, order->key.len);
    if (order->key.len > 0) {
        memcpy(watch + 1, order->key.at, order->key.len);
    }
    mkv_view_init(&watch->view, client->session.about.digest_key);
    watch->next = client->watches;
    client->watches = watch;
    client->n_watches++;
    client->wants_broker = true;
    return 0;
}

static void watch_free(struct mkv_client_watch *watch)
{
    mkv_view_deinit(&watch->view);
    mkv_tree_deinit(&watch->seen);
    mkv_tree_deinit(&watch->ahead);
    mkv_mem_free(watch);
}

static void abandon_request(struct mkv_client *client, struct mkv_client_watch *watch)
{
    if (watch->request != NULL) {
        mkv_client_request_abandon(client, watch->request);
        watch->request = NULL;
    }
    mkv_tree_deinit(&watch->seen);
    watch->compare = false;
}

static struct mkv_client_watch *find_watch(const struct mkv_client *client, uint64_t id)
{
    struct mkv_client_watch *watch = client->watches;

    while (watch != NULL && watch->id != id) {
        watch = watch->next;
    }
    return watch;
}

int mkv_client_watch_cancel(struct mkv_client *client, uint64_t id)
{
    struct mkv_client_watch *watch = find_watch(client, id);

    if (watch == NULL || watch->ending != 0) {
        return MKV_E_NOT_FOUND;
    }
    watch->ending = MKV_E_CANCELLED;
    return 0;
}

/* Merging. */

/* Tells the application.  A watch that cannot tell has lost its worth, and ends. */
static void tell(struct mkv_client *client,
                 struct mkv_client_watch *watch,
                 enum mkv_client_watch_kind kind,
                 struct mkv_bytes key,
                 const struct mkv_update *update)
{
    int error = mkv_client_effect_watch(client->out, watch->id, kind, key, update);

    if (error != 0 && watch->ending == 0) {
        watch->ending = error;
    }
}

static void note_seen(struct mkv_client_watch *watch,
                      struct mkv_bytes key,
                      const struct mkv_update *update)
{
    struct mkv_head head = mkv_head_of(update);
    struct mkv_tree_entry held;

    if (!watch->compare) {
        return;
    }
    if (mkv_tree_find(&watch->seen, key, &held) && mkv_head_compare(&head, &held.head) <= 0) {
        return;
    }
    if (mkv_tree_put(&watch->seen, key, &head, 0) != 0) {
        mkv_tree_deinit(&watch->seen); /* no comparison, then; the next check calls for another */
        watch->compare = false;
    }
}

/*
 * Something as old as what has been forgotten, where nothing is held: servers have gone back (one
 * was restored, or two clusters met), and a deletion that may have been told holds no more.
 */
static bool returns(const struct mkv_client_watch *watch,
                    struct mkv_bytes key,
                    const struct mkv_update *update)
{
    struct mkv_tree_entry held;

    return watch->synced_ever && update->present && update->tock <= watch->view.floor &&
           !mkv_tree_find(&watch->view.tree, key, &held);
}

/* Returns true if it was news. */
static bool merge(struct mkv_client *client,
                  struct mkv_client_watch *watch,
                  struct mkv_bytes key,
                  const struct mkv_update *update)
{
    bool is_back = returns(watch, key, update);
    enum mkv_view_verdict verdict = MKV_VIEW_OLD;
    int error = mkv_view_merge(&watch->view, key, update, &verdict);

    note_seen(watch, key, update);
    if (error != 0) {
        watch->ending = error;
        return false;
    }
    if (verdict == MKV_VIEW_NEW) {
        bool is_state = !watch->synced_ever && update->present;
        struct mkv_update gone = {.has_tock = true, .tock = update->tock, .ticks = update->ticks};

        if (is_back) {
            tell(client, watch, MKV_CLIENT_WATCH_WITHDRAWN, key, &gone);
        }
        tell(client, watch, is_state ? MKV_CLIENT_WATCH_STATE : MKV_CLIENT_WATCH_CHANGE, key,
             update);
    }
    return verdict != MKV_VIEW_OLD;
}

void mkv_client_watch_update(struct mkv_client *client,
                             struct mkv_bytes key,
                             const struct mkv_update *update)
{
    if (client->use != MKV_CLIENT_MQTT_SESSION || !update->has_tock ||
        update->tock > mkv_client_tock_max(client)) {
        return; /* one without tock is published again with it; one too far ahead is refused */
    }
    mkv_client_note_tock(client, update->tock);
    for (struct mkv_client_watch *watch = client->watches; watch != NULL; watch = watch->next) {
        if (watch->ending == 0 && is_covered(watch, key) && update->tock > watch->view.floor) {
            (void)merge(client, watch, key, update); /* whether it was news is told already */
        }
    }
}

void mkv_client_watch_row(struct mkv_client *client,
                          struct mkv_client_watch *watch,
                          struct mkv_bytes key,
                          const struct mkv_update *update)
{
    if (watch->ending == 0 && merge(client, watch, key, update)) {
        watch->n_news++;
    }
}

bool mkv_client_watch_ticks(const struct mkv_client *client,
                            struct mkv_bytes key,
                            bool *ret_found,
                            struct mkv_ticks *ret_ticks)
{
    for (const struct mkv_client_watch *watch = client->watches; watch != NULL;
         watch = watch->next) {
        if (watch->ending == 0 && watch->synced && is_covered(watch, key)) {
            *ret_found = mkv_view_ticks(&watch->view, key, ret_ticks);
            return true;
        }
    }
    return false;
}

/* Reading. */

static void start_read(struct mkv_client *client, struct mkv_client_watch *watch, bool compare)
{
    struct mkv_client_request *request =
        mkv_client_request_add(client, MKV_CLIENT_REQUEST_WATCH_READ, watch->key);

    if (request == NULL) {
        return; /* the next pump tries again */
    }
    request->has_since = watch->has_place && !compare;
    request->since = watch->place;
    request->watch = watch;
    watch->request = request;
    watch->n_news = 0;
    watch->compare = compare;
    mkv_tree_deinit(&watch->seen);
    mkv_tree_init(&watch->seen, client->session.about.digest_key);
}

static void notice_repair(struct mkv_client *client, uint64_t n)
{
    struct mkv_client_notice notice = {.kind = MKV_CLIENT_REPAIRED, .n = n};

    mkv_client_effect_notice(client->out, &notice);
}

/*
 * Collects the entries whose K at the server is less than in the view, or that it does not have,
 * unless it has only forgotten their deletion.
 */
static int find_ahead(const struct mkv_client_watch *watch, struct mkv_tree *ahead)
{
    struct mkv_tree_entry own;
    struct mkv_tree_entry theirs;
    bool more = mkv_tree_at(&watch->view.tree, mkv_bytes(NULL, 0), &own);

    while (more) {
        bool found = mkv_tree_find(&watch->seen, own.key, &theirs);
        bool forgotten = !found && !own.head.present && own.head.tock <= watch->floor;

        if (!forgotten && (!found || mkv_head_compare(&own.head, &theirs.head) > 0)) {
            int error = mkv_tree_put(ahead, own.key, &own.head, 0);

            if (error != 0) {
                return error;
            }
        }
        more = mkv_tree_next(&watch->view.tree, own.key, &own);
    }
    return 0;
}

/*
 * Takes back what the view has been ahead in since the last comparison.  What the server has
 * instead comes with the complete read that follows.
 */
static uint64_t withdraw(struct mkv_client *client,
                         struct mkv_client_watch *watch,
                         const struct mkv_tree *ahead)
{
    struct mkv_tree_entry now;
    struct mkv_tree_entry before;
    uint64_t n = 0;
    bool more = mkv_tree_at(ahead, mkv_bytes(NULL, 0), &now);

    while (more) {
        if (mkv_tree_find(&watch->ahead, now.key, &before) &&
            mkv_head_compare(&now.head, &before.head) == 0) {
            struct mkv_update gone = {.has_tock = true,
                                      .tock = now.head.tock,
                                      .ticks = {.n = 1,
                                                .at = {{.name = now.head.name,
                                                        .seq = now.head.seq,
                                                        .counter = now.head.counter}}}};

            mkv_view_remove(&watch->view, now.key);
            tell(client, watch, MKV_CLIENT_WATCH_WITHDRAWN, now.key, &gone);
            n++;
        }
        more = mkv_tree_next(ahead, now.key, &now);
    }
    return n;
}

/* Everything has been read: is there something in the view that the server does not have? */
static void compare(struct mkv_client *client, struct mkv_client_watch *watch)
{
    struct mkv_tree ahead;

    mkv_tree_init(&ahead, client->session.about.digest_key);
    if (find_ahead(watch, &ahead) != 0) {
        mkv_tree_deinit(&ahead);
        return; /* no memory: the next comparison may have some */
    }
    uint64_t n = mkv_tree_summary(&ahead, mkv_bytes(NULL, 0)).n_entries;

    if (n == 0) {
        watch->ahead_ms = 0;
    } else if (watch->ahead_ms == 0) {
        watch->ahead_ms = client->now_ms;
        notice_repair(client, n);
    } else if (client->now_ms >= watch->ahead_ms + WITHDRAW_MS) {
        watch->has_place = withdraw(client, watch, &ahead) == 0;
        watch->ahead_ms = 0;
        watch->synced = watch->has_place;
    } else {
        mkv_tree_deinit(&ahead); /* those first seen go on waiting */
        return;
    }
    mkv_tree_deinit(&watch->ahead);
    watch->ahead = ahead;
}

static void become_synced(struct mkv_client *client, struct mkv_client_watch *watch)
{
    watch->synced = true;
    watch->synced_ever = true;
    watch->n_mismatches = 0;
    watch->n_repairs = 0;
    watch->check_ms = client->now_ms + CHECK_FIRST_MS;
    tell(client, watch, MKV_CLIENT_WATCH_SYNCED, mkv_bytes(NULL, 0), NULL);
}

void mkv_client_watch_read_end(struct mkv_client *client,
                               struct mkv_client_watch *watch,
                               const struct mkv_frame_end *end)
{
    if (watch->ending != 0) {
        return;
    }
    watch->has_place = end->has_place;
    watch->place = end->place;
    if (!watch->synced) {
        become_synced(client, watch);
        return;
    }
    if (watch->n_news > 0) {
        notice_repair(client, watch->n_news);
    }
    watch->check_ms = client->now_ms + CHECK_AGAIN_MS;
    if (watch->compare) {
        compare(client, watch);
        watch->check_ms = client->now_ms + (watch->ahead_ms != 0 ? CHECK_AHEAD_MS : CHECK_AGAIN_MS);
    }
    mkv_tree_deinit(&watch->seen);
    watch->compare = false;
}

/* Checking. */

static void start_check(struct mkv_client *client, struct mkv_client_watch *watch)
{
    struct mkv_client_request *request =
        mkv_client_request_add(client, MKV_CLIENT_REQUEST_WATCH_CHECK, watch->key);

    if (request != NULL) {
        request->watch = watch;
        watch->request = request;
        watch->n_changes_checked = watch->view.n_changes;
        watch->rights_checked = watch->rights;
        watch->rights = false;
    }
}

void mkv_client_watch_rights(struct mkv_client *client)
{
    for (struct mkv_client_watch *watch = client->watches; watch != NULL; watch = watch->next) {
        watch->rights = true;
    }
}

static void on_match(struct mkv_client *client,
                     struct mkv_client_watch *watch,
                     struct mkv_place place)
{
    watch->has_place = true; /* what we have is what the server had there */
    watch->place = place;
    watch->n_mismatches = 0;
    watch->n_repairs = 0;
    watch->moved = false;
    watch->ahead_ms = 0;
    mkv_tree_deinit(&watch->ahead);
    watch->check_ms = client->now_ms + CHECK_MS;
}

/*
 * One mismatch may be due to updates on their way; after two, what changed since the last place is
 * read.  If that does not help although nothing moves, everything is read and compared.
 */
static void repair(struct mkv_client *client, struct mkv_client_watch *watch)
{
    bool changes_help = watch->n_repairs == 0 || (watch->moved && watch->n_repairs < REPAIRS_MAX);

    watch->n_mismatches = 0;
    watch->moved = false;
    watch->n_repairs = changes_help ? watch->n_repairs + 1 : 0;
    start_read(client, watch, !changes_help);
}

void mkv_client_watch_checked(struct mkv_client *client,
                              struct mkv_client_watch *watch,
                              const struct mkv_frame_digest *digest)
{
    if (watch->ending != 0) {
        return;
    }
    watch->floor = digest->floor;
    if (mkv_view_equals(&watch->view, digest->floor, digest->count, digest->digest)) {
        watch->ending = mkv_view_forget(&watch->view, digest->floor);
        on_match(client, watch, digest->place);
        return;
    }
    watch->moved = watch->moved || watch->view.n_changes != watch->n_changes_checked;
    watch->n_mismatches++;
    if (watch
            ->rights_checked) { /* what may be read now need not have changed since the last place */
        watch->n_mismatches = 0;
        start_read(client, watch, true);
        watch->rights = watch->request == NULL;
    } else if (watch->n_mismatches < 2) {
        watch->check_ms = client->now_ms + CHECK_AGAIN_MS;
    } else {
        repair(client, watch);
    }
}

void mkv_client_watch_refused(struct mkv_client *client, struct mkv_client_watch *watch, int error)
{
    if (watch->ending != 0 || client->phase != MKV_CLIENT_UP) {
        return;
    }
    if (error == MKV_E_STALE && watch->has_place) {
        watch->has_place = false;
        watch->synced = false; /* everything is read again */
        return;
    }
    if (error == MKV_E_NO_MEMORY || error == MKV_E_BUSY) {
        watch->synced = false;
        watch->subscribe_ms = client->now_ms + SUBSCRIBE_AGAIN_MS;
        return;
    }
    watch->ending = error;
}

/* Connections. */

/*
 * A broker that lacks a part of itself for a while says "no" without a reason, and that is also how
 * MQTT 3.1.1 says "never": who was heard once asks on, who never was gives up in the end.
 */
static void take_refusal(struct mkv_client *client,
                         struct mkv_client_watch *watch,
                         const struct mkv_client_event *event)
{
    bool may_pass = watch->granted_ever || watch->n_refusals + 1 < REFUSALS_MAX;
    int64_t wait_ms = SUBSCRIBE_AGAIN_MS;

    mkv_fault_set(&client->refusal, event->error, event->why);
    if (event->error != MKV_E_REFUSED || !may_pass) {
        watch->ending = event->error;
        return;
    }
    for (uint32_t i = 0; i < watch->n_refusals && wait_ms < REFUSED_WAIT_MAX; i++) {
        wait_ms *= 2;
    }
    watch->n_refusals++;
    watch->subscription = MKV_SUBSCRIPTION_NONE;
    watch->subscribe_ms =
        client->now_ms + (wait_ms < REFUSED_WAIT_MAX ? wait_ms : REFUSED_WAIT_MAX);
    mkv_client_notice(client, MKV_CLIENT_FAILED, event->error, event->why);
}

void mkv_client_watch_answered(struct mkv_client *client, const struct mkv_client_event *event)
{
    struct mkv_client_watch *watch = find_watch(client, event->cookie & ~MKV_COOKIE_KIND);

    if (watch == NULL || watch->subscription != MKV_SUBSCRIPTION_ASKED || watch->ending != 0) {
        return;
    }
    if (event->error == 0) {
        watch->subscription = MKV_SUBSCRIPTION_GRANTED;
        watch->granted_ever = true;
        watch->n_refusals = 0;
        return;
    }
    if (event->error == MKV_E_NO_CONNECTION || event->error == MKV_E_QUEUE_FULL ||
        event->error == MKV_E_NO_MEMORY) {
        watch->subscription = MKV_SUBSCRIPTION_NONE;
        watch->subscribe_ms = client->now_ms + SUBSCRIBE_AGAIN_MS;
        return;
    }
    take_refusal(client, watch, event);
}

int mkv_client_watch_session(struct mkv_client *client,
                             const struct mkv_frame_session *session,
                             bool same_store)
{
    for (struct mkv_client_watch *watch = client->watches; watch != NULL; watch = watch->next) {
        int error = mkv_view_rekey(&watch->view, session->digest_key);

        if (error != 0) {
            return error;
        }
        watch->has_place = watch->has_place && same_store;
        mkv_tree_deinit(&watch->ahead);
        watch->ahead_ms = 0;
    }
    return 0;
}

void mkv_client_watch_link_lost(struct mkv_client *client)
{
    for (struct mkv_client_watch *watch = client->watches; watch != NULL; watch = watch->next) {
        abandon_request(client, watch);
        watch->synced = false;
    }
}

void mkv_client_watch_mqtt_lost(struct mkv_client *client)
{
    for (struct mkv_client_watch *watch = client->watches; watch != NULL; watch = watch->next) {
        abandon_request(client, watch);
        watch->subscription = MKV_SUBSCRIPTION_NONE;
        watch->subscribe_ms = 0;
        watch->synced = false;
    }
}

static int topic_filter(const struct mkv_client *client,
                        const struct mkv_client_watch *watch,
                        struct mkv_buf *filter)
{
    struct mkv_pending_where where = mkv_client_where(client);

    mkv_buf_init(filter, MKV_TOPIC_MAX);
    return mkv_topic_filter(where.root, where.profile, watch->key, filter);
}

static void subscribe(struct mkv_client *client, struct mkv_client_watch *watch)
{
    struct mkv_buf filter;
    int error = topic_filter(client, watch, &filter);

    if (error == 0) {
        error = mkv_client_effect_mqtt_subscribe(client->out, mkv_buf_bytes(&filter),
                                                 client->session.about.qos,
                                                 MKV_COOKIE_WATCH | watch->id);
        watch->subscription = error == 0 ? MKV_SUBSCRIPTION_ASKED : MKV_SUBSCRIPTION_NONE;
        watch->subscribe_ms = client->now_ms + SUBSCRIBE_AGAIN_MS;
    } else {
        watch->ending = error;
    }
    mkv_buf_deinit(&filter);
}

static bool is_shared(const struct mkv_client *client, const struct mkv_client_watch *watch)
{
    for (const struct mkv_client_watch *other = client->watches; other != NULL;
         other = other->next) {
        if (other != watch && mkv_bytes_equal(other->key, watch->key)) {
            return true;
        }
    }
    return false;
}

static void unsubscribe(struct mkv_client *client, const struct mkv_client_watch *watch)
{
    struct mkv_buf filter;

    if (watch->subscription == MKV_SUBSCRIPTION_NONE || is_shared(client, watch)) {
        return;
    }
    if (topic_filter(client, watch, &filter) == 0) {
        mkv_client_effect_mqtt_unsubscribe(client->out, mkv_buf_bytes(&filter));
    }
    mkv_buf_deinit(&filter);
}

static void end_watch(struct mkv_client *client, struct mkv_client_watch *watch)
{
    abandon_request(client, watch);
    unsubscribe(client, watch);
    mkv_client_done(client, watch->id, watch->ending);
    client->n_watches--;
}

/* Takes away those that are to end. */
static void reap(struct mkv_client *client)
{
    struct mkv_client_watch **link = &client->watches;

    while (*link != NULL) {
        struct mkv_client_watch *watch = *link;

        if (watch->ending == 0) {
            link = &watch->next;
            continue;
        }
        end_watch(client, watch);
        *link = watch->next;
        watch_free(watch);
    }
}

static void advance(struct mkv_client *client, struct mkv_client_watch *watch)
{
    bool has_broker = client->use == MKV_CLIENT_MQTT_SESSION && client->mqtt_up;

    if (watch->subscription == MKV_SUBSCRIPTION_NONE) {
        if (has_broker && client->now_ms >= watch->subscribe_ms) {
            subscribe(client, watch);
        }
        return;
    }
    if (watch->subscription != MKV_SUBSCRIPTION_GRANTED || client->phase != MKV_CLIENT_UP ||
        watch->request != NULL) {
        return;
    }
    if (!watch->synced) {
        start_read(client, watch, false);
    } else if (watch->rights || client->now_ms >= watch->check_ms) {
        start_check(client, watch);
    }
}

void mkv_client_watch_pump(struct mkv_client *client)
{
    for (struct mkv_client_watch *watch = client->watches; watch != NULL; watch = watch->next) {
        if (watch->ending == 0) {
            advance(client, watch);
        }
    }
    reap(client);
}

int64_t mkv_client_watch_deadline_ms(const struct mkv_client *client)
{
    int64_t first = MKV_CLIENT_NEVER;

    for (const struct mkv_client_watch *watch = client->watches; watch != NULL;
         watch = watch->next) {
        int64_t next_ms = MKV_CLIENT_NEVER;

        if (watch->ending != 0) {
            next_ms = client->now_ms;
        } else if (watch->subscription == MKV_SUBSCRIPTION_NONE && client->mqtt_up &&
                   client->use == MKV_CLIENT_MQTT_SESSION) {
            next_ms = watch->subscribe_ms;
        } else if (watch->synced && watch->request == NULL) {
            next_ms = watch->rights ? client->now_ms : watch->check_ms;
        }
        first = next_ms < first ? next_ms : first;
    }
    return first;
}

void mkv_client_watch_close(struct mkv_client *client)
{
    for (struct mkv_client_watch *watch = client->watches; watch != NULL; watch = watch->next) {
        watch->request = NULL;
        mkv_client_done(client, watch->id, watch->ending != 0 ? watch->ending : MKV_E_CANCELLED);
    }
}

void mkv_client_watch_deinit(struct mkv_client *client)
{
    struct mkv_client_watch *watch = client->watches;

    while (watch != NULL) {
        struct mkv_client_watch *next = watch->next;

        watch_free(watch);
        watch = next;
    }
}
