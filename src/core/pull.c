/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server_state.h"

/*
 * Reading from another server, over a link that we dial (docs/protocol.md, 12):
 *
 *     hello, auth -> (vouch, if we join) -> fetch the members -> read what changed since our place
 *                                                             -> (check, if we join) -> done
 *                                                          -> split, split ..., fetch ... -> done
 *
 * The members come first since they tell whether anything else may be taken from there at all.
 *
 * All of it may be cut off anywhere and begun again: merging is idempotent, and the checkpoint is
 * committed with the data that it stands for.
 */
#define SILENCE_MS 15000 /* a peer that says nothing for so long is given up */
#define CREDIT     8U    /* pages on their way to us: with what they hold, less than a batch may */
#define LOUD_TIMES 3U    /* failures in a row, of which each is logged as a warning; then fewer */

static struct mkv_known *peer_of(struct mkv_server *server)
{
    return mkv_actor_find(&server->cluster, server->cluster.pull.uuid);
}

static void end_reading(struct mkv_pull *pull)
{
    if (pull->reading) {
        mkv_row_reader_deinit(&pull->rows);
        pull->reading = false;
    }
}

void mkv_pull_deinit(struct mkv_pull *pull)
{
    end_reading(pull);
    mkv_walk_deinit(&pull->walk);
    mkv_buf_deinit(&pull->cursor);
    mkv_buf_deinit(&pull->healed);
}

static void end(struct mkv_pull *pull)
{
    end_reading(pull);
    mkv_walk_deinit(&pull->walk);
    mkv_buf_clear(&pull->cursor);
    pull->step = MKV_PULL_IDLE;
    pull->link = 0;
}

static void send_frame(struct mkv_server *server, const struct mkv_frame *frame)
{
    mkv_effect_send(server->effects, server->cluster.pull.link, frame);
}

static void hang_up(struct mkv_server *server)
{
    struct mkv_frame bye = {.kind = MKV_FRAME_BYE};

    if (server->cluster.pull.link != 0 && server->cluster.pull.step > MKV_PULL_DIALLING) {
        send_frame(server, &bye);
    }
    if (server->cluster.pull.link != 0) {
        mkv_effect_close(server->effects, server->cluster.pull.link);
    }
    end(&server->cluster.pull);
}

void mkv_pull_leave(struct mkv_server *server)
{
    server->cluster.pull.ended = server->cluster.pull.link;
    hang_up(server);
}

static enum mkv_log_level loudness(const struct mkv_known *known)
{
    return known->n_failures < LOUD_TIMES ? MKV_LOG_WARNING : MKV_LOG_DEBUG;
}

void mkv_pull_fail(struct mkv_server *server, struct mkv_now now, const char *why)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_known *known;

    if (cluster->pull.step == MKV_PULL_IDLE) {
        return;
    }
    known = peer_of(server);
    if (known != NULL) {
        mkv_effect_log(server->effects, loudness(known), "reading from server '%.*s' failed: %s",
                       (int)known->ping.name.len, (const char *)known->ping.name.at, why);
        mkv_sync_failed(server, now, known);
        known->wants_pull = known->wants_pull || !cluster->pull.secrets_only;
        if (cluster->pull.step <= MKV_PULL_LOGIN) { /* whoever listens there, it is not them */
            known->first_address = cluster->pull.address + 1;
        }
    }
    hang_up(server);
    mkv_server_wake_at(server, now.ms); /* for somebody else */
}

void mkv_pull_settled(struct mkv_server *server)
{
    struct mkv_known *known = peer_of(server);

    if (server->cluster.pull.ended != 0 && known != NULL) {
        known->n_failures = 0;
    }
    server->cluster.pull.ended = 0;
}

void mkv_pull_rollback(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_pull *pull = &server->cluster.pull;

    if (pull->step == MKV_PULL_IDLE && pull->ended != 0) { /* its link was not closed, after all */
        pull->link = pull->ended;
        pull->step = MKV_PULL_CHECKING;
    }
    pull->ended = 0;
    mkv_pull_fail(server, now, "the store cannot be written");
}

void mkv_pull_closed(struct mkv_server *server, struct mkv_now now)
{
    server->cluster.pull.link = 0;
    mkv_pull_fail(server, now, "the link broke");
}

/* --- Beginning ---------------------------------------------------------------------------- */

static void dial(struct mkv_server *server, struct mkv_now now, const struct mkv_known *known)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_pull *pull = &cluster->pull;

    pull->step = MKV_PULL_DIALLING;
    pull->heard_ms = now.ms;
    pull->link = 0;
    if (!mkv_actor_next_address(server, &known->ping, &pull->address)) {
        mkv_pull_fail(server, now,
                      pull->n_tried == 0
                          ? "it has no address that can be reached from this host: give it one "
                            "with --listen"
                          : "it could be reached at none of its addresses");
        return;
    }
    pull->n_tried++;
    pull->link = MKV_LINK_OUT + ++cluster->n_dialled;
    mkv_effect_dial(server->effects, pull->link, known->ping.addresses.at[pull->address]);
    mkv_server_wake_at(server, now.ms + SILENCE_MS);
}

int mkv_pull_start(struct mkv_server *server,
                   struct mkv_now now,
                   struct mkv_known *known,
                   enum mkv_pull_kind kind,
                   uint64_t bound)
{
    struct mkv_pull *pull = &server->cluster.pull;

    memcpy(pull->uuid, known->ping.uuid, MKV_UUID_LEN);
    pull->address = known->first_address < known->ping.addresses.n ? known->first_address : 0;
    pull->id = 0;
    pull->joining = kind == MKV_PULL_JOIN;
    pull->secrets_only = kind == MKV_PULL_KNOWN;
    pull->anew = false;
    pull->heals = kind == MKV_PULL_HEAL;
    pull->walks = pull->heals || kind == MKV_PULL_WALK || !mkv_sync_may_resume(server, known);
    pull->bound = bound;
    pull->place = (struct mkv_place){known->ping.nonce, known->ping.position};
    pull->horizon = known->ping.horizon;
    pull->floor = known->ping.floor;
    pull->members = mkv_sync_digest_of(known->ping.members);
    pull->members_first = false;
    pull->began_ms = now.ms;
    pull->n_tried = 0;
    pull->n_rows = 0;
    pull->n_filled = 0;
    pull->n_quarantined = 0;
    pull->n_healed = 0;
    server->cluster.n_pulls++;
    dial(server, now, known);
    return 0;
}

void mkv_pull_elsewhere(struct mkv_server *server, struct mkv_now now, const char *why)
{
    struct mkv_pull *pull = &server->cluster.pull;
    struct mkv_known *known = peer_of(server);

    mkv_effect_close(server->effects, pull->link);
    if (known == NULL) {
        end(pull);
        return;
    }
    mkv_effect_log(server->effects, loudness(known), "server '%.*s' at %.*s: %s",
                   (int)known->ping.name.len, (const char *)known->ping.name.at,
                   (int)known->ping.addresses.at[pull->address].len,
                   (const char *)known->ping.addresses.at[pull->address].at, why);
    known->first_address = ++pull->address;
    dial(server, now, known);
}

int mkv_pull_dialled(struct mkv_server *server,
                     struct mkv_now now,
                     int error,
                     enum mkv_peer_kind peer)
{
    struct mkv_pull *pull = &server->cluster.pull;
    const struct mkv_known *known = peer_of(server);

    if (pull->step != MKV_PULL_DIALLING) {
        return 0;
    }
    pull->heard_ms = now.ms;
    if (error == 0) {
        pull->step = MKV_PULL_GREETING;
        pull->peer = peer;
    } else if (known == NULL) {
        end(pull);
    } else {
        pull->address++;
        dial(server, now, known);
    }
    return 0;
}

/* Whether they may rely on what we had and promised as one of them. */
static bool is_relied_on(struct mkv_server *server)
{
    return mkv_pull_own_cluster(server) && !(mkv_join_unsure(server) && MKV_RULE(JOIN_UNSURE));
}

static void ask_vouch(struct mkv_server *server)
{
    struct mkv_pull *pull = &server->cluster.pull;
    struct mkv_frame frame = {
        .kind = MKV_FRAME_VOUCH,
        .id = ++pull->id,
        .vouch = {.nonce = mkv_store_place(server->store).nonce,
                  .number = server->cluster.n_pings,
                  .name = server->config.name,
                  .restored = !is_relied_on(server)},
    };

    memcpy(frame.vouch.uuid, mkv_store_id(server->store), MKV_UUID_LEN);
    send_frame(server, &frame);
    pull->step = MKV_PULL_VOUCHING;
}

/* --- Reading ------------------------------------------------------------------------------ */

static int begin_reading(struct mkv_pull *pull)
{
    end_reading(pull);

    int error = mkv_row_reader_init(&pull->rows, mkv_bytes(NULL, 0));

    pull->reading = error == 0;
    return error;
}

static const struct mkv_bytes root_path = {(const uint8_t *)"\x80", 1};

static int ask_changes(struct mkv_server *server, struct mkv_place since)
{
    struct mkv_pull *pull = &server->cluster.pull;
    struct mkv_frame frame = {
        .kind = MKV_FRAME_READ,
        .id = ++pull->id,
        .read = {.path = root_path,
                 .depth_max = MKV_PATH_LEVELS_MAX,
                 .flags = MKV_READ_TOMBSTONES,
                 .has_since = true,
                 .since = since,
                 .credit = CREDIT},
    };

    send_frame(server, &frame);
    pull->step = MKV_PULL_CHANGES;
    return begin_reading(pull);
}

static int ask_fetch(struct mkv_pull *pull)
{
    int error = mkv_range_reader_init(&pull->ranges, mkv_buf_bytes(&pull->walk.asked));

    pull->step = MKV_PULL_FETCHING;
    if (error == 0) {
        error = mkv_pull_next_range(pull);
    }
    return error != 0 ? error : begin_reading(pull);
}

static int ask_pieces(struct mkv_server *server, enum mkv_walk_need need)
{
    struct mkv_pull *pull = &server->cluster.pull;
    int error = 0;
    struct mkv_frame frame = {
        .kind = need == MKV_WALK_SPLIT ? MKV_FRAME_SPLIT : MKV_FRAME_FETCH,
        .id = ++pull->id,
        .ranges = {.ranges = mkv_buf_bytes(&pull->walk.asked), .credit = CREDIT},
    };

    pull->step = MKV_PULL_SPLITTING;
    if (need == MKV_WALK_FETCH) {
        error = ask_fetch(pull);
    }
    send_frame(server, &frame);
    return error;
}

static int prepare_walk(struct mkv_server *server)
{
    server->cluster.pull.walks = true;
    server->cluster.n_walks++;
    end_reading(&server->cluster.pull);
    return mkv_walk_start(&server->cluster.pull.walk);
}

/*
 * Goes on to all the others have; @ret_walks: by comparing.  They may have let us in anew once before,
 * and that never came to our ears: then they know us, but not for what we are.
 */
static int take_members(struct mkv_server *server, struct mkv_now now, bool *ret_walks)
{
    struct mkv_pull *pull = &server->cluster.pull;
    const struct mkv_known *known;
    bool goes_on;
    int error = mkv_pull_take_members(server, now, &goes_on);

    *ret_walks = false;
    if (error != 0 || !goes_on) {
        return error;
    }
    if (pull->joining && !pull->anew && mkv_join_unsure(server) &&
        MKV_RULE(JOIN_UNSURE)) { /* to it we are somebody else */
        pull->bound = pull->horizon;
        error = mkv_pull_begin_anew(server);
    }
    if (error != 0) {
        return error;
    }
    known = peer_of(server);
    *ret_walks = pull->walks || known == NULL || !mkv_sync_may_resume(server, known);
    return *ret_walks ? prepare_walk(server) : ask_changes(server, known->applied);
}

static int finish(struct mkv_server *server, struct mkv_now now);

static int walk_on(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_pull *pull = &server->cluster.pull;
    enum mkv_walk_need need;
    bool walks = true;

    while (walks) {
        int error = mkv_walk_next(&pull->walk, mkv_store_tree(server->store), &need);

        if (error == 0 && need != MKV_WALK_DONE) {
            return ask_pieces(server, need);
        }
        if (error == 0 && !pull->members_first) {
            return finish(server, now);
        }
        if (error == 0) {
            error = take_members(server, now, &walks);
        }
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static int start_walk(struct mkv_server *server, struct mkv_now now)
{
    int error = prepare_walk(server);

    return error != 0 ? error : walk_on(server, now);
}

static int ask_members(struct mkv_server *server, struct mkv_now now)
{
    int error = mkv_pull_find_members(&server->cluster.pull, mkv_pull_own_cluster(server));

    return error != 0 ? error : walk_on(server, now);
}

/* What no server can say of itself; with numbers out of reach ours would be pushed there, too. */
static bool is_sane(const struct mkv_frame_vouched *vouched)
{
    return vouched->floor <= vouched->horizon && vouched->horizon <= vouched->tock &&
           vouched->tock <= MKV_TOCK_MAX;
}

static int take_vouched(struct mkv_server *server,
                        struct mkv_now now,
                        const struct mkv_frame_vouched *vouched)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_pull *pull = &cluster->pull;
    int error = 0;

    if (!is_sane(vouched)) {
        return MKV_E_BAD_NUMBER;
    }
    if (vouched->has_seen && !server->cluster.restored &&
        !mkv_store_place_known(server->store, vouched->seen)) {
        error = mkv_cluster_found_restored(server);
        if (error == 0) {
            ask_vouch(server);
        }
        return error;
    }
    pull->place = vouched->place;
    pull->horizon = vouched->horizon;
    pull->floor = vouched->floor;
    pull->bound = vouched->known || !MKV_RULE(JOIN_KNOWN) ? vouched->floor : vouched->horizon;
    if (!vouched->known) {
        error = mkv_pull_begin_anew(server);
    }
    mkv_pull_give_up_floor(server);
    mkv_past_clear(&cluster->past); /* what was merged before may lie below their horizon */
    mkv_tock_see(&server->tock, vouched->tock);
    mkv_floor_raise_horizon(&cluster->floor, vouched->horizon);
    return error != 0 ? error : ask_members(server, now);
}

static int take_data(struct mkv_server *server,
                     struct mkv_now now,
                     const struct mkv_frame_data *data)
{
    struct mkv_pull *pull = &server->cluster.pull;
    struct mkv_known *known = peer_of(server);
    struct mkv_frame credit = {.kind = MKV_FRAME_CREDIT, .id = pull->id, .credit = 1};
    bool goes_on;
    int error = mkv_pull_check_members(server, now, &goes_on);

    if (error != 0 || !goes_on) {
        return error;
    }
    error = mkv_pull_rows(server, now, data->rows);
    if (error == 0 && pull->step == MKV_PULL_CHANGES && data->has_place && known != NULL) {
        mkv_sync_has(server, known, MKV_RULE(PULL_ATOMIC) ? data->place : pull->place, 0);
    }
    send_frame(server, &credit);
    return error;
}

/* --- The end ------------------------------------------------------------------------------ */

/*
 * What they accepted up to their horizon is here.  That counts only among the same members: what
 * they have from others, others have to answer for.
 */
static void note_read(struct mkv_server *server, struct mkv_known *known)
{
    struct mkv_cluster *cluster = &server->cluster;
    const struct mkv_pull *pull = &cluster->pull;
    bool agreed = mkv_sync_same_members(cluster, pull->members) || !MKV_RULE(MARK_MEMBERS);
    bool counts = !pull->joining && agreed;
    uint64_t horizon = MKV_RULE(MARK_BEFORE) ? pull->horizon : known->ping.horizon;

    mkv_sync_has(server, known, pull->place, counts ? horizon : 0);
    if (pull->walks) {
        known->n_differs = 0;
        known->walked = true;
    }
}

static int finish(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_pull *pull = &cluster->pull;
    struct mkv_known *known = peer_of(server);
    bool joining = pull->joining;
    bool goes_on;
    int error = mkv_pull_check_members(server, now, &goes_on);

    if (error != 0 || !goes_on) {
        return error;
    }
    if (pull->walks) {
        error = mkv_cluster_look_for_lost(server);
    }
    if (error != 0) {
        return error;
    }
    if (known != NULL) {
        note_read(server, known);
        mkv_gaps_closed(server, now, known);
    }
    if (pull->walks && (pull->bound >= pull->floor || joining)) {
        mkv_cluster_raise_floor(server, now, pull->floor);
    }
    if (pull->bound > 0) { /* what replaced ours may be deletions that we have forgotten already */
        mkv_cluster_purge(server, now);
    }
    if (pull->heals) {
        mkv_heal_done(server, now, known);
    }
    if (pull->n_quarantined > 0) {
        mkv_effect_log(
            server->effects, MKV_LOG_WARNING,
            "%llu values that this server held alone, from before it was cut off, have "
            "been set aside into the quarantine file; `moat-kv restore` writes them anew",
            (unsigned long long)pull->n_quarantined);
    }
    if (known != NULL) {
        mkv_effect_log(server->effects, MKV_LOG_DEBUG, "read %llu entries from server '%.*s' (%s)",
                       (unsigned long long)pull->n_rows, (int)known->ping.name.len,
                       (const char *)known->ping.name.at,
                       pull->walks ? "by comparing" : "what changed");
    }
    pull->ended = pull->link;
    hang_up(server);
    mkv_server_wake_at(server, now.ms);
    return joining ? mkv_join_done(server, now, known) : 0;
}

static int ask_check(struct mkv_server *server)
{
    struct mkv_pull *pull = &server->cluster.pull;
    struct mkv_frame frame = {
        .kind = MKV_FRAME_CHECK, .id = ++pull->id, .path = {.path = root_path}};

    send_frame(server, &frame);
    pull->step = MKV_PULL_CHECKING;
    return 0;
}

static int take_end(struct mkv_server *server, struct mkv_now now, const struct mkv_frame_end *tail)
{
    struct mkv_pull *pull = &server->cluster.pull;
    int error = 0;

    end_reading(pull);
    if (pull->step == MKV_PULL_FETCHING) {
        error = mkv_pull_end_ranges(server);
        return error != 0 ? error : walk_on(server, now);
    }
    if (tail->has_place) {
        pull->place = tail->place;
    }
    return pull->joining ? ask_check(server) : finish(server, now);
}

static int take_digest(struct mkv_server *server,
                       struct mkv_now now,
                       const struct mkv_frame_digest *digest)
{
    return mkv_sync_had(server, digest->digest) ? finish(server, now) : start_walk(server, now);
}

/* --- Frames ------------------------------------------------------------------------------- */

int mkv_pull_begin(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_pull *pull = &server->cluster.pull;

    if (pull->joining) {
        ask_vouch(server);
        return 0;
    }
    if (pull->secrets_only) {
        mkv_pull_leave(server);
        return 0;
    }
    if (pull->bound > 0) { /* what we accept from now on they have not forgotten */
        mkv_tock_see(&server->tock, pull->bound);
        mkv_floor_raise_horizon(&server->cluster.floor, pull->bound);
    }
    return ask_members(server, now);
}

int mkv_pull_logged_in(struct mkv_server *server, struct mkv_now now)
{
    return mkv_pull_begin_secrets(server) ? 0 : mkv_pull_begin(server, now);
}

static int take_error(struct mkv_server *server, struct mkv_now now, const struct mkv_frame *frame)
{
    struct mkv_pull *pull = &server->cluster.pull;
    char text[MKV_TEXT_MAX + 1];

    if (frame->id == pull->id && pull->step == MKV_PULL_CHANGES &&
        frame->error.code == MKV_E_STALE) { /* it does not know our checkpoint */
        return start_walk(server, now);
    }
    if (frame->error.code == MKV_E_NOT_AUTHORISED && pull->step <= MKV_PULL_LOGIN) {
        mkv_pull_elsewhere(server, now,
                           "it has another key, and does not take this server for one of its "
                           "cluster: 'moat-kvd key' and '--join-file' give both the same");
        return 0;
    }
    memcpy(text, frame->error.text.at, frame->error.text.len);
    text[frame->error.text.len] = '\0';
    mkv_pull_fail(server, now, text);
    return 0;
}

/* What the step that we are in waits for; anything else is MKV_E_UNEXPECTED. */
static int take_answer(struct mkv_server *server, struct mkv_now now, const struct mkv_frame *frame)
{
    struct mkv_pull *pull = &server->cluster.pull;

    if (frame->id != pull->id) {
        return MKV_E_UNEXPECTED;
    }
    switch (pull->step) {
    case MKV_PULL_SECRETS:
        return mkv_pull_secret(server, now, frame);
    case MKV_PULL_VOUCHING:
        return frame->kind == MKV_FRAME_VOUCHED ? take_vouched(server, now, &frame->vouched)
                                                : MKV_E_UNEXPECTED;
    case MKV_PULL_CHANGES:
    case MKV_PULL_FETCHING:
        if (frame->kind == MKV_FRAME_DATA) {
            return take_data(server, now, &frame->data);
        }
        return frame->kind == MKV_FRAME_END ? take_end(server, now, &frame->end) : MKV_E_UNEXPECTED;
    case MKV_PULL_CHECKING:
        return frame->kind == MKV_FRAME_DIGEST ? take_digest(server, now, &frame->digest)
                                               : MKV_E_UNEXPECTED;
    case MKV_PULL_SPLITTING:
        if (frame->kind == MKV_FRAME_SUMS) {
            int error = mkv_walk_sums(&pull->walk, mkv_store_tree(server->store), frame->sums);

            return error != 0 ? error : walk_on(server, now);
        }
        return MKV_E_UNEXPECTED;
    case MKV_PULL_IDLE:
    case MKV_PULL_DIALLING:
    case MKV_PULL_GREETING:
    case MKV_PULL_PROVING:
    case MKV_PULL_LOGIN:
        break;
    }
    return MKV_E_UNEXPECTED;
}

static int take_frame(struct mkv_server *server, struct mkv_now now, const struct mkv_frame *frame)
{
    struct mkv_pull *pull = &server->cluster.pull;

    if (frame->kind == MKV_FRAME_ERROR) {
        return take_error(server, now, frame);
    }
    if (frame->kind == MKV_FRAME_BYE) {
        mkv_pull_fail(server, now, "it closed the link");
        return 0;
    }
    if (pull->step <= MKV_PULL_LOGIN) {
        return mkv_pull_login(server, now, frame);
    }
    return take_answer(server, now, frame);
}

/* Whether it is the peer that made it, and not our memory or disk. */
static bool is_peers_fault(int error)
{
    return error > MKV_E_NO_MEMORY;
}

int mkv_pull_frame(struct mkv_server *server, struct mkv_now now, const struct mkv_frame *frame)
{
    if (server->cluster.pull.step <= MKV_PULL_DIALLING) {
        return 0; /* ended meanwhile */
    }
    server->cluster.pull.heard_ms = now.ms;

    int error = take_frame(server, now, frame);

    if (error != 0 && is_peers_fault(error)) {
        mkv_pull_fail(server, now, mkv_error_text(error));
        return 0;
    }
    return error;
}

void mkv_pull_time(struct mkv_server *server, struct mkv_now now)
{
    const struct mkv_pull *pull = &server->cluster.pull;

    if (pull->step == MKV_PULL_IDLE) {
        return;
    }
    if (now.ms - pull->heard_ms >= SILENCE_MS) {
        mkv_pull_fail(server, now, "it does not answer");
    } else {
        mkv_server_wake_at(server, pull->heard_ms + SILENCE_MS);
    }
}
