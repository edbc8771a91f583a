/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "core/server_state.h"
#include "wire/path.h"

/*
 * Conflicts (docs/protocol.md, 6, 7.2 and 7.3): found by merging, kept in the record, told to the
 * writer that lost and to those who ask.
 */
#define PATH_CBOR_MAX 4096U /* a path of 1,024 bytes takes less */
#define SAY_MS        1000  /* how often a `more` that grows is stored and told */
#define SAY_MAX       256U  /* of so many conflicts at once */
#define RESUME_MAX    100U  /* conflicts that are told when a session is resumed */
#define COMPLAIN_MS   60000 /* at most one line a minute about those that are not kept */
#define FRAME_BYTES   1024U /* of a conflict frame beside its values, or so */

/* Of `conflict` frames over one link; what is beyond is counted. */
static const struct mkv_bucket_limits told_rows = {.burst = 1000, .per_s = 100};
static const struct mkv_bucket_limits told_bytes = {.burst = 4U << 20, .per_s = 256U << 10};

/* --- To the writer ---------------------------------------------------------------------------- */

static bool may_tell(const struct mkv_server *server,
                     struct mkv_now now,
                     struct mkv_server_link *link,
                     size_t size)
{
    return !link->congested && mkv_effect_room(server->effects) &&
           mkv_bucket_room(&link->told_rows, &told_rows, now.ms) >= 1 &&
           mkv_bucket_room(&link->told_bytes, &told_bytes, now.ms) >= size;
}

/* @row, with the winner's value in place of the one that a row has. */
static int tell_writer(struct mkv_server *server,
                       struct mkv_now now,
                       struct mkv_server_link *link,
                       struct mkv_bytes key,
                       const struct mkv_conflict_row *row)
{
    size_t size = row->loser.value.len + row->winner.value.len + FRAME_BYTES;
    struct mkv_frame frame = {
        .kind = MKV_FRAME_CONFLICT,
        .conflict = {.path = row->path,
                     .class_ = row->class_,
                     .loser = row->loser,
                     .winner = row->winner,
                     .more = link->n_untold},
    };

    struct mkv_asker asker;
    int error = mkv_grants_asker(server, link->session, &asker);

    if (error != 0) {
        return error;
    }
    if (!mkv_asker_may(&asker, key, MKV_RIGHT_READ) || !may_tell(server, now, link, size)) {
        link->n_untold++;
        server->counts.conflicts_untold++;
        return 0;
    }
    mkv_bucket_use(&link->told_rows, 1);
    mkv_bucket_use(&link->told_bytes, size);
    link->n_untold = 0;
    mkv_effect_send(server->effects, link->number, &frame);
    return 0;
}

/*
 * Reads what holds out against @loser at @key now, borrowed from the store.  Not found: nothing does
 * (entries may have been set aside), or it cannot be read.
 */
static int read_winner(struct mkv_server *server,
                       struct mkv_bytes key,
                       const struct mkv_update *loser,
                       struct mkv_update *ret_winner,
                       bool *ret_found)
{
    struct mkv_head head = mkv_head_of(loser);
    struct mkv_tree_entry held;
    struct mkv_bytes held_key;

    *ret_found = mkv_tree_find(mkv_store_tree(server->store), key, &held) &&
                 mkv_head_compare(&held.head, &head) > 0;
    if (!*ret_found) {
        return 0;
    }

    int error = mkv_store_row(server->store, held.position, &held_key, ret_winner);

    if (error == MKV_E_CORRUPT) {
        *ret_found = false;
        error = 0;
    }
    return error;
}

/* A row that is damaged since it was loaded is left out, like one that was damaged before. */
static bool is_lasting(int error)
{
    return error == MKV_E_NO_MEMORY || error == MKV_E_IO;
}

static int tell_again(struct mkv_server *server,
                      struct mkv_now now,
                      struct mkv_server_link *link,
                      const struct mkv_conflict_kept *kept)
{
    struct mkv_conflict_row row;
    struct mkv_buf space;
    bool found = false;

    mkv_buf_init(&space, MKV_STORE_META_MAX);

    int error = mkv_conflicts_read(kept, server->store, &space, &row);

    if (error == 0 && mkv_bytes_equal(row.loser.ticks.at[0].name, server->config.name)) {
        error = read_winner(server, kept->path->key, &row.loser, &row.winner, &found);
    }
    if (error == 0 && found) {
        error = tell_writer(server, now, link, kept->path->key, &row);
    }
    mkv_buf_deinit(&space);
    return is_lasting(error) ? error : 0;
}

/* How many of those that are kept a session has lost. */
static uint32_t count_lost(const struct mkv_server *server, uint64_t seq)
{
    struct mkv_conflicts_walk walk;
    const struct mkv_conflict_kept *kept;
    uint32_t n = 0;

    mkv_conflicts_walk_init(&walk, &server->conflicts, 0);
    while ((kept = mkv_conflicts_walk_next(&walk)) != NULL) {
        n += kept->seq == seq;
    }
    return n;
}

/* Those that came last: what a link that broke has not carried is among them. */
int mkv_server_conflicts_resume(struct mkv_server *server,
                                struct mkv_now now,
                                struct mkv_server_link *link)
{
    uint32_t n_left = count_lost(server, link->session->seq);
    struct mkv_conflicts_walk walk;
    const struct mkv_conflict_kept *kept;
    int error = 0;

    mkv_conflicts_walk_init(&walk, &server->conflicts, 0);
    while (n_left > 0 && error == 0) {
        kept = mkv_conflicts_walk_next(&walk);
        if (kept->seq == link->session->seq && n_left-- <= RESUME_MAX) {
            error = tell_again(server, now, link, kept);
        }
    }
    return error;
}

/* --- Found ------------------------------------------------------------------------------------ */

/*
 * A client of ours repeats what had arrived before: if it was lost to what its writer did not know,
 * that was told then, and if to what knew it, there is nothing to tell.
 */
static bool is_repeat(const struct mkv_server *server,
                      const struct mkv_session *session,
                      struct mkv_bytes key,
                      const struct mkv_head *loser)
{
    struct mkv_tree_entry held;

    return session != NULL && !session->refused && mkv_seen_has(&session->seen, loser->counter) &&
           !(mkv_tree_find(mkv_store_tree(server->store), key, &held) &&
             mkv_head_compare(loser, &held.head) == 0);
}

/*
 * A client that could not resume its session writes anew what was not acknowledged, and names the
 * old dot.  If the old one stays, it is the same value.
 */
static bool is_reissued(const struct mkv_update *loser, const struct mkv_update *winner)
{
    struct mkv_head head = mkv_head_of(winner);

    return loser->tock == winner->tock && loser->present == winner->present &&
           mkv_bytes_equal(loser->value, winner->value) && mkv_ticks_cover(&loser->ticks, &head);
}

static void complain(struct mkv_server *server, struct mkv_now now)
{
    if (now.ms < server->conflicts_complain_ms) {
        return;
    }
    server->conflicts_complain_ms = now.ms + COMPLAIN_MS;
    mkv_effect_log(server->effects, MKV_LOG_WARNING,
                   "more conflicts than are kept: %llu since the start were only counted",
                   (unsigned long long)server->counts.conflicts_counted);
}

static int record(struct mkv_server *server,
                  struct mkv_now now,
                  struct mkv_bytes key,
                  const struct mkv_conflict_row *row)
{
    enum mkv_conflict_verdict verdict;
    bool unsaid = server->conflicts.unsaid;
    int error = mkv_conflicts_add(&server->conflicts, server->store, now.ms, key, row, &verdict);

    if (error != 0) {
        return error;
    }
    server->counts.conflicts++;
    server->counts.conflicts_counted += verdict != MKV_CONFLICT_KEPT;
    if (verdict == MKV_CONFLICT_BEYOND) {
        complain(server, now);
    }
    if (verdict == MKV_CONFLICT_COUNTED && !unsaid) {
        server->conflicts_say_ms = now.ms + SAY_MS;
        mkv_server_wake_at(server, server->conflicts_say_ms);
    }
    return 0;
}

int mkv_server_conflict(struct mkv_server *server,
                        struct mkv_now now,
                        struct mkv_bytes key,
                        enum mkv_conflict class_,
                        const struct mkv_update *loser,
                        const struct mkv_update *winner)
{
    struct mkv_head head = mkv_head_of(loser);
    const struct mkv_session *session = mkv_server_session_of(server, &loser->ticks.at[0]);
    struct mkv_conflict_row row = {
        .id = mkv_entry_digest(mkv_store_digest_key(server->store), key, &head).high,
        .class_ = (uint32_t)class_,
        .when = mkv_tock_now(&server->tock, now.wall_ms),
        .loser = *loser,
        .winner = *winner,
    };
    struct mkv_buf path;
    struct mkv_cbor_writer w;

    if (mkv_conflicts_know(&server->conflicts, row.id) || is_repeat(server, session, key, &head) ||
        is_reissued(loser, winner)) {
        return 0;
    }
    mkv_buf_init(&path, PATH_CBOR_MAX);
    mkv_cbor_writer_init(&w, &path);
    mkv_path_to_cbor(key, &w);

    int error = w.error;

    if (error == 0) {
        struct mkv_server_link *link =
            session == NULL ? NULL : mkv_map_get(&server->links, session->link);

        row.path = mkv_buf_bytes(&path);
        if (link != NULL) {
            error = tell_writer(server, now, link, key, &row);
        }
        if (error == 0) {
            error = record(server, now, key, &row);
        }
    }
    mkv_buf_deinit(&path);
    return error;
}

int mkv_server_conflicts_time(struct mkv_server *server, struct mkv_now now)
{
    int error = 0;

    if (server->conflicts.unsaid && now.ms >= server->conflicts_say_ms) {
        server->conflicts_say_ms = now.ms + SAY_MS;
        error = mkv_conflicts_say(&server->conflicts, server->store, SAY_MAX);
    }
    if (server->conflicts.unsaid) {
        mkv_server_wake_at(server, server->conflicts_say_ms);
    }
    return error;
}

int mkv_server_conflicts_load(struct mkv_server *server)
{
    int error = mkv_conflicts_load(&server->conflicts, mkv_conflict_limits_default, server->store);

    if (error == 0 && server->conflicts.n_damaged > 0) {
        mkv_effect_log(server->effects, MKV_LOG_WARNING,
                       "%llu conflicts that were kept cannot be read any more",
                       (unsigned long long)server->conflicts.n_damaged);
    }
    return error;
}

/* --- To those who ask ------------------------------------------------------------------------- */

static void wake_link(struct mkv_server *server, struct mkv_server_link *link)
{
    for (uint32_t i = 0; i < link->n_requests; i++) {
        if (link->requests[i]->idle) {
            link->requests[i]->idle = false;
            server->requests_pending = true;
        }
    }
}

void mkv_server_conflicts_wake(struct mkv_server *server)
{
    size_t cursor = 0;
    struct mkv_server_link *link;

    if (server->conflicts_woken == server->conflicts.stamp) {
        return;
    }
    server->conflicts_woken = server->conflicts.stamp;
    while ((link = mkv_map_each(&server->links, &cursor)) != NULL) {
        wake_link(server, link);
    }
}

/* The next page, in the making. */
struct page {
    struct mkv_buf rows;
    struct mkv_buf space; /* of the conflict that is read */
    uint32_t n;
    bool end; /* there are no more behind it */
};

static int add_row(struct mkv_server *server,
                   const struct mkv_conflict_kept *kept,
                   struct page *page)
{
    struct mkv_conflict_row row;
    struct mkv_cbor_writer w;
    int error = mkv_conflicts_read(kept, server->store, &page->space, &row);

    if (error != 0) {
        return is_lasting(error) ? error : 0;
    }
    mkv_cbor_writer_init(&w, &page->rows);
    mkv_conflict_row_write(&w, &row);
    page->n++;
    return w.error;
}

static int fill(struct mkv_server *server,
                const struct mkv_asker *asker,
                struct mkv_request *request,
                struct page *page)
{
    struct mkv_conflicts_walk walk;
    int error = 0;

    mkv_conflicts_walk_init(&walk, &server->conflicts, request->stamp);
    while (error == 0 && page->n < MKV_PAGE_ROWS_MAX && page->rows.len < MKV_PAGE_BYTES) {
        const struct mkv_conflict_kept *kept = mkv_conflicts_walk_next(&walk);

        if (kept == NULL) {
            page->end = true;
            break;
        }
        if (mkv_bytes_starts_with(kept->path->key, mkv_buf_bytes(&request->path)) &&
            mkv_asker_may(asker, kept->path->key, MKV_RIGHT_READ)) {
            error = add_row(server, kept, page);
        }
        request->stamp = kept->stamp;
    }
    return error;
}

static int send_page(struct mkv_server *server,
                     uint64_t link,
                     struct mkv_request *request,
                     const struct page *page)
{
    struct mkv_buf list;
    struct mkv_cbor_writer w;

    mkv_buf_init(&list, MKV_FRAME_MAX);
    mkv_cbor_writer_init(&w, &list);
    mkv_cbor_write_array(&w, page->n);
    mkv_cbor_write_raw(&w, mkv_buf_bytes(&page->rows));
    if (w.error == 0) {
        struct mkv_frame frame = {
            .kind = MKV_FRAME_LOST, .id = request->id, .lost = mkv_buf_bytes(&list)};

        request->n_rows += page->n;
        request->credit--;
        mkv_effect_send(server->effects, link, &frame);
    }
    mkv_buf_deinit(&list);
    return w.error;
}

static int tell_page(struct mkv_server *server,
                     uint64_t link,
                     struct mkv_request *request,
                     const struct page *page)
{
    const struct page nothing = {.end = true};
    int error = page->n == 0 ? 0 : send_page(server, link, request, page);

    if (error == 0 && page->end && !request->follow) {
        struct mkv_frame frame = {
            .kind = MKV_FRAME_END, .id = request->id, .end = {.n_rows = request->n_rows}};

        mkv_effect_send(server->effects, link, &frame);
    }
    if (error == 0 && page->end && request->follow && !request->caught_up && request->credit > 0) {
        error = send_page(server, link, request, &nothing);
        request->caught_up = error == 0;
    }
    return error;
}

int mkv_server_conflicts_turn(struct mkv_server *server,
                              const struct mkv_asker *asker,
                              uint64_t link,
                              struct mkv_request *request,
                              enum mkv_request_state *ret_state)
{
    struct page page = {.n = 0};

    mkv_buf_init(&page.rows, MKV_FRAME_MAX);
    mkv_buf_init(&page.space, MKV_STORE_META_MAX);

    int error = fill(server, asker, request, &page);

    if (error == 0) {
        error = tell_page(server, link, request, &page);
    }
    mkv_buf_deinit(&page.space);
    mkv_buf_deinit(&page.rows);
    if (error != 0) {
        return error;
    }
    request->idle = page.end && request->caught_up;
    if (page.end && !request->follow) {
        *ret_state = MKV_REQUEST_DONE;
    } else {
        *ret_state = request->credit > 0 && !request->idle ? MKV_REQUEST_MORE : MKV_REQUEST_WAITING;
    }
    return 0;
}
