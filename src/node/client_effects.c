/* SPDX-License-Identifier: Apache-2.0 */
#include "node/client_effects.h"

#include "base/limits.h"
#include "base/mem.h"

void mkv_client_output_free(struct mkv_client_output *output)
{
    if (output != NULL && !output->is_static) {
        mkv_mem_free(output);
    }
}

static void free_list(struct mkv_client_output *output)
{
    while (output != NULL) {
        struct mkv_client_output *next = output->next;

        mkv_client_output_free(output);
        output = next;
    }
}

void mkv_client_effects_init(struct mkv_client_effects *effects)
{
    *effects = (struct mkv_client_effects){
        .close_link = {.kind = MKV_CLIENT_LINK_CLOSE, .is_static = true},
        .drop_mqtt = {.kind = MKV_CLIENT_MQTT_DISCONNECT, .is_static = true},
    };
}

void mkv_client_effects_deinit(struct mkv_client_effects *effects)
{
    free_list(effects->head);
    free_list(effects->spares);
    *effects = (struct mkv_client_effects){0};
}

int mkv_client_effects_spare(struct mkv_client_effects *effects)
{
    struct mkv_client_output *spare = mkv_mem_alloc(sizeof(*spare));

    if (spare == NULL) {
        return MKV_E_NO_MEMORY;
    }
    spare->next = effects->spares;
    effects->spares = spare;
    return 0;
}

static struct mkv_client_output *take_spare(struct mkv_client_effects *effects)
{
    struct mkv_client_output *spare = effects->spares;

    if (spare != NULL) {
        effects->spares = spare->next;
        spare->next = NULL;
    }
    return spare;
}

void mkv_client_effects_unspare(struct mkv_client_effects *effects)
{
    mkv_client_output_free(take_spare(effects));
}

static void append(struct mkv_client_effects *effects, struct mkv_client_output *output)
{
    output->next = NULL;
    if (effects->tail == NULL) {
        effects->head = output;
    } else {
        effects->tail->next = output;
    }
    effects->tail = output;
}

void mkv_client_effects_append_static(struct mkv_client_effects *effects,
                                      struct mkv_client_output *output)
{
    for (const struct mkv_client_output *queued = effects->head; queued != NULL;
         queued = queued->next) {
        if (queued == output) {
            return;
        }
    }
    append(effects, output);
}

struct mkv_client_output *mkv_client_effects_take(struct mkv_client_effects *effects)
{
    struct mkv_client_output *output = effects->head;

    if (output != NULL) {
        effects->head = output->next;
        if (effects->head == NULL) {
            effects->tail = NULL;
        }
        output->next = NULL;
    }
    return output;
}

/* One output in the making: the struct, perhaps updates, then bytes. */
struct maker {
    struct mkv_client_output *output; /* NULL: out of memory */
    uint8_t *at;                      /* where the next bytes go */
};

static size_t len_of(const struct mkv_update *update)
{
    size_t len = sizeof(*update);

    for (uint32_t i = 0; i < update->ticks.n; i++) {
        len += update->ticks.at[i].name.len;
    }
    return len + update->value.len;
}

static struct maker make(enum mkv_client_output_kind kind, size_t n_bytes)
{
    struct maker maker = {.output = mkv_mem_alloc(sizeof(*maker.output) + n_bytes)};

    if (maker.output != NULL) {
        maker.output->kind = kind;
        maker.at = (uint8_t *)(maker.output + 1);
    }
    return maker;
}

static struct mkv_bytes place(struct maker *maker, struct mkv_bytes bytes)
{
    struct mkv_bytes placed = mkv_bytes(maker->at, bytes.len);

    if (bytes.len > 0) {
        memcpy(maker->at, bytes.at, bytes.len);
        maker->at += bytes.len;
    }
    return placed;
}

/* Updates must be placed before any bytes, since they have to be aligned. */
static struct mkv_update *place_update(struct maker *maker, const struct mkv_update *update)
{
    struct mkv_update *placed = (struct mkv_update *)(void *)maker->at;

    *placed = *update;
    maker->at += sizeof(*placed);
    return placed;
}

static void place_content(struct maker *maker, struct mkv_update *update)
{
    for (uint32_t i = 0; i < update->ticks.n; i++) {
        update->ticks.at[i].name = place(maker, update->ticks.at[i].name);
    }
    update->value = place(maker, update->value);
}

static struct mkv_client_output *make_entry(enum mkv_client_output_kind kind,
                                            struct mkv_bytes key,
                                            const struct mkv_update *entry)
{
    struct maker maker = make(kind, key.len + (entry != NULL ? len_of(entry) : 0));

    if (maker.output == NULL) {
        return NULL;
    }
    if (entry != NULL) {
        struct mkv_update *placed = place_update(&maker, entry);

        place_content(&maker, placed);
        maker.output->entry = placed;
    }
    maker.output->key = place(&maker, key);
    return maker.output;
}

static struct mkv_client_output *make_text(enum mkv_client_output_kind kind, struct mkv_bytes text)
{
    struct maker maker = make(kind, text.len);

    if (maker.output != NULL) {
        maker.output->text = place(&maker, text);
    }
    return maker.output;
}

/* Closing must get through, too. */
static void append_or_static(struct mkv_client_effects *effects,
                             enum mkv_client_output_kind kind,
                             struct mkv_client_output *instead)
{
    struct mkv_client_output *output = make(kind, 0).output;

    if (output != NULL) {
        append(effects, output);
    } else {
        mkv_client_effects_append_static(effects, instead);
    }
}

/* The link. */

static void append_link(struct mkv_client_effects *out, struct mkv_client_output *output)
{
    if (output == NULL) {
        out->link_failed = true;
    } else {
        append(out, output);
    }
}

void mkv_client_effect_link_connect(struct mkv_client_effects *out, struct mkv_bytes address)
{
    append_link(out, make_text(MKV_CLIENT_LINK_CONNECT, address));
}

void mkv_client_effect_link_send(struct mkv_client_effects *out, const struct mkv_frame *frame)
{
    struct mkv_client_output *output = NULL;
    struct mkv_buf bytes;

    mkv_buf_init(&bytes, MKV_FRAME_MAX + 4);
    if (mkv_frame_encode(frame, &bytes) == 0) {
        struct maker maker = make(MKV_CLIENT_LINK_SEND, bytes.len);

        output = maker.output;
        if (output != NULL) {
            output->payload = place(&maker, mkv_buf_bytes(&bytes));
        }
    }
    mkv_buf_deinit(&bytes);
    append_link(out, output);
}

void mkv_client_effect_link_prove(struct mkv_client_effects *out,
                                  struct mkv_bytes mechanism,
                                  struct mkv_bytes message)
{
    struct maker maker = make(MKV_CLIENT_LINK_PROVE, mechanism.len + message.len);

    if (maker.output != NULL) {
        maker.output->text = place(&maker, mechanism);
        maker.output->payload = place(&maker, message);
    }
    append_link(out, maker.output);
}

void mkv_client_effect_link_close(struct mkv_client_effects *out)
{
    append_or_static(out, MKV_CLIENT_LINK_CLOSE, &out->close_link);
}

/* The broker. */

static void append_mqtt(struct mkv_client_effects *out, struct mkv_client_output *output)
{
    if (output == NULL) {
        out->mqtt_failed = true;
    } else {
        append(out, output);
    }
}

void mkv_client_effect_mqtt_connect(struct mkv_client_effects *out,
                                    const struct mkv_client_broker *broker)
{
    struct maker maker = make(MKV_CLIENT_MQTT_CONNECT, broker->address.len + broker->client_id.len +
                                                           broker->user.len + broker->password.len);

    if (maker.output != NULL) {
        struct mkv_client_broker *placed = &maker.output->broker;

        *placed = *broker;
        placed->address = place(&maker, broker->address);
        placed->client_id = place(&maker, broker->client_id);
        placed->user = place(&maker, broker->user);
        placed->password = place(&maker, broker->password);
    }
    append_mqtt(out, maker.output);
}

void mkv_client_effect_mqtt_redirect(struct mkv_client_effects *out, struct mkv_bytes address)
{
    append_mqtt(out, make_text(MKV_CLIENT_MQTT_REDIRECT, address));
}

void mkv_client_effect_mqtt_disconnect(struct mkv_client_effects *out)
{
    append_or_static(out, MKV_CLIENT_MQTT_DISCONNECT, &out->drop_mqtt);
}

int mkv_client_effect_mqtt_subscribe(struct mkv_client_effects *out,
                                     struct mkv_bytes filter,
                                     uint32_t qos,
                                     uint64_t cookie)
{
    struct mkv_client_output *output = make_text(MKV_CLIENT_MQTT_SUBSCRIBE, filter);

    if (output == NULL) {
        return MKV_E_NO_MEMORY;
    }
    output->qos = qos;
    output->cookie = cookie;
    append(out, output);
    return 0;
}

void mkv_client_effect_mqtt_unsubscribe(struct mkv_client_effects *out, struct mkv_bytes filter)
{
    struct mkv_client_output *output = make_text(MKV_CLIENT_MQTT_UNSUBSCRIBE, filter);

    if (output != NULL) { /* else messages come that nobody wants */
        append(out, output);
    }
}

int mkv_client_effect_mqtt_publish(struct mkv_client_effects *out,
                                   const struct mkv_client_publication *publication)
{
    struct maker maker =
        make(MKV_CLIENT_MQTT_PUBLISH, publication->topic.len + publication->payload.len);

    if (maker.output == NULL) {
        return MKV_E_NO_MEMORY;
    }
    maker.output->text = place(&maker, publication->topic);
    maker.output->payload = place(&maker, publication->payload);
    maker.output->qos = publication->qos;
    maker.output->cookie = publication->cookie;
    append(out, maker.output);
    return 0;
}

/* The application. */

int mkv_client_effect_row(struct mkv_client_effects *out,
                          uint64_t id,
                          struct mkv_bytes key,
                          const struct mkv_update *entry)
{
    struct mkv_client_output *output = make_entry(MKV_CLIENT_ROW, key, entry);

    if (output == NULL) {
        return MKV_E_NO_MEMORY;
    }
    output->id = id;
    append(out, output);
    return 0;
}

int mkv_client_effect_child(struct mkv_client_effects *out,
                            uint64_t id,
                            struct mkv_bytes key,
                            const struct mkv_child *child)
{
    struct mkv_client_output *output = make_entry(MKV_CLIENT_CHILD, key, NULL);

    if (output == NULL) {
        return MKV_E_NO_MEMORY;
    }
    output->id = id;
    output->n = child->entries;
    output->own = child->own;
    append(out, output);
    return 0;
}

int mkv_client_effect_fact(struct mkv_client_effects *out, uint64_t id, struct mkv_bytes map)
{
    struct maker maker = make(MKV_CLIENT_FACT, map.len);

    if (maker.output == NULL) {
        return MKV_E_NO_MEMORY;
    }
    maker.output->payload = place(&maker, map);
    maker.output->id = id;
    append(out, maker.output);
    return 0;
}

int mkv_client_effect_watch(struct mkv_client_effects *out,
                            uint64_t id,
                            enum mkv_client_watch_kind kind,
                            struct mkv_bytes key,
                            const struct mkv_update *entry)
{
    struct mkv_client_output *output = make_entry(MKV_CLIENT_TELL, key, entry);

    if (output == NULL) {
        return MKV_E_NO_MEMORY;
    }
    output->id = id;
    output->watch = kind;
    append(out, output);
    return 0;
}

/* With the loser as its entry. */
static struct mkv_client_output *make_pair(enum mkv_client_output_kind kind,
                                           const struct mkv_update *loser,
                                           const struct mkv_update *winner,
                                           size_t n_bytes,
                                           struct maker *maker)
{
    *maker = make(kind, n_bytes + len_of(loser) + len_of(winner));
    if (maker->output == NULL) {
        return NULL;
    }

    struct mkv_update *placed_loser = place_update(maker, loser);
    struct mkv_update *placed_winner = place_update(maker, winner);

    place_content(maker, placed_loser);
    place_content(maker, placed_winner);
    maker->output->entry = placed_loser;
    maker->output->winner = placed_winner;
    return maker->output;
}

int mkv_client_effect_lost(struct mkv_client_effects *out,
                           uint64_t id,
                           struct mkv_bytes key,
                           const struct mkv_conflict_row *row)
{
    struct maker maker;
    struct mkv_client_output *output =
        row == NULL ? make_entry(MKV_CLIENT_LOST, key, NULL)
                    : make_pair(MKV_CLIENT_LOST, &row->loser, &row->winner, key.len, &maker);

    if (output == NULL) {
        return MKV_E_NO_MEMORY;
    }
    output->id = id;
    if (row != NULL) {
        output->key = place(&maker, key);
        output->conflict.id = row->id;
        output->conflict.when = row->when;
        output->conflict.more = row->more;
        output->conflict.class_ = row->class_;
    }
    append(out, output);
    return 0;
}

static struct mkv_client_output *make_notice(const struct mkv_client_notice *notice)
{
    size_t n_bytes = notice->key.len + notice->text.len;
    struct maker maker;

    if (notice->loser != NULL && notice->winner != NULL) {
        (void)make_pair(MKV_CLIENT_NOTICE, notice->loser, notice->winner, n_bytes, &maker);
    } else {
        maker = make(MKV_CLIENT_NOTICE, n_bytes);
    }
    if (maker.output == NULL) {
        return NULL;
    }
    maker.output->key = place(&maker, notice->key);
    maker.output->text = place(&maker, notice->text);
    return maker.output;
}

void mkv_client_effect_notice(struct mkv_client_effects *out,
                              const struct mkv_client_notice *notice)
{
    struct mkv_client_output *output = make_notice(notice);

    if (output == NULL) {
        return; /* nothing depends on it */
    }
    output->notice = notice->kind;
    output->status = notice->code;
    output->n = notice->n;
    append(out, output);
}

/* Uses the operation's spare if there is no memory for more. */
static void complete(struct mkv_client_effects *out,
                     struct mkv_client_output *full,
                     uint64_t id,
                     int status)
{
    struct mkv_client_output *spare = take_spare(out);
    struct mkv_client_output *output = full;

    if (full == NULL) {
        output = spare;
    } else {
        mkv_client_output_free(spare);
    }
    if (output != NULL) {
        output->kind = MKV_CLIENT_DONE;
        output->id = id;
        output->status = status;
        append(out, output);
    }
}

void mkv_client_effect_done(struct mkv_client_effects *out,
                            uint64_t id,
                            int status,
                            struct mkv_bytes key,
                            const struct mkv_update *entry)
{
    complete(out, entry != NULL ? make_entry(MKV_CLIENT_DONE, key, entry) : NULL, id, status);
}

void mkv_client_effect_report(struct mkv_client_effects *out, uint64_t id, struct mkv_bytes report)
{
    struct maker maker = make(MKV_CLIENT_DONE, report.len);

    if (maker.output == NULL) {
        complete(out, NULL, id, MKV_E_NO_MEMORY);
        return;
    }
    maker.output->payload = place(&maker, report);
    maker.output->has_report = true;
    complete(out, maker.output, id, 0);
}
