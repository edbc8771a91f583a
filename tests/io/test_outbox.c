/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/outbox.h"
#include "lib/check.h"
#include "lib/prng.h"

#define N_MAX 4000U

enum fate {
    QUEUED,
    FLYING,
    ANSWERED,
};

/* The naive model: what became of each request, by its cookie, which counts up. */
struct model {
    unsigned n;
    enum fate fate[N_MAX];
    size_t size[N_MAX];
    int id[N_MAX];
};

static unsigned count(const struct model *model, enum fate fate)
{
    unsigned n = 0;

    for (unsigned i = 0; i < model->n; i++) {
        n += model->fate[i] == fate;
    }
    return n;
}

static unsigned first(const struct model *model, enum fate fate)
{
    unsigned i = 0;

    while (i < model->n && model->fate[i] != fate) {
        i++;
    }
    return i;
}

static size_t total_size(const struct model *model)
{
    size_t size = 0;

    for (unsigned i = 0; i < model->n; i++) {
        size += model->fate[i] != ANSWERED ? model->size[i] : 0;
    }
    return size;
}

static void push(struct mkv_outbox *outbox, struct model *model, struct prng *prng)
{
    struct mkv_request request = {.cookie = model->n,
                                  .kind = (enum mkv_request_kind)prng_below(prng, 3)};
    uint8_t text[64];
    size_t topic_len = 1 + prng_below(prng, 30);
    size_t tag_len = prng_below(prng, 2) * prng_below(prng, 30);
    size_t payload_len = prng_below(prng, 30);
    struct mkv_request_parts parts = {mkv_bytes(text, topic_len), mkv_bytes(text + 1, tag_len),
                                      mkv_bytes(text, payload_len)};
    size_t before = outbox->size;
    int error;

    if (model->n == N_MAX) {
        return;
    }
    memset(text, 'a' + (int)(model->n % 26), sizeof(text));
    error = mkv_outbox_push(outbox, &request, &parts);
    if (error != 0) {
        assert_int_equal(error, MKV_E_QUEUE_FULL);
        assert_true(before + sizeof(request) + topic_len + 1 + tag_len + 1 + payload_len >
                    outbox->size_max);
        assert_int_equal(outbox->size, before);
        return;
    }
    model->fate[model->n] = QUEUED;
    model->size[model->n] = outbox->size - before;
    model->n++;
}

static void launch(struct mkv_outbox *outbox, struct model *model)
{
    unsigned expected = first(model, QUEUED);
    bool possible = expected < model->n && outbox->n_flights < MKV_OUTBOX_FLIGHTS_MAX;
    struct mkv_flight *flight = NULL;
    struct mkv_request *request = mkv_outbox_launch(outbox, expected, &flight);

    if (!possible) {
        assert_null(request);
        return;
    }
    assert_non_null(request);
    assert_int_equal(request->cookie, expected);
    assert_int_equal(strlen(request->text), request->topic_len);
    for (size_t i = 0; i < request->topic_len; i++) {
        assert_int_equal(request->text[i], 'a' + (int)(expected % 26));
    }
    assert_int_equal(strlen(mkv_request_tag(request)), request->tag_len);
    for (size_t i = 0; i < request->tag_len; i++) {
        assert_int_equal(mkv_request_tag(request)[i], 'a' + (int)(expected % 26));
    }
    for (size_t i = 0; i < request->payload_len; i++) {
        assert_int_equal(mkv_request_payload(request)[i], 'a' + (int)(expected % 26));
    }
    flight->id = (int)(expected % 65535) + 1;
    model->fate[expected] = FLYING;
    model->id[expected] = flight->id * 4 + (int)request->kind;
    mkv_mem_free(request);
}

/* Mostly the oldest, as brokers do, but not always. */
static void answer(struct mkv_outbox *outbox, struct model *model, struct prng *prng)
{
    unsigned skip = prng_below(prng, 4) == 0 ? (unsigned)prng_below(prng, 50) : 0;

    for (unsigned i = first(model, FLYING); i < model->n && model->fate[i] == FLYING; i++) {
        struct mkv_flight *flight;

        if (skip-- > 0) {
            continue;
        }
        flight =
            mkv_outbox_find(outbox, (enum mkv_request_kind)(model->id[i] % 4), model->id[i] / 4);
        assert_non_null(flight);
        assert_int_equal(flight->cookie, i);
        assert_null(mkv_outbox_find(outbox, (enum mkv_request_kind)((model->id[i] + 1) % 4),
                                    model->id[i] / 4));
        mkv_outbox_land(outbox, flight);
        model->fate[i] = ANSWERED;
        return;
    }
}

static void check(const struct mkv_outbox *outbox, const struct model *model)
{
    unsigned oldest = first(model, FLYING);

    assert_int_equal(outbox->size, total_size(model));
    assert_true(outbox->size <= outbox->size_max);
    assert_true(outbox->n_flights >= count(model, FLYING));
    if (oldest < model->n) {
        assert_int_equal(mkv_outbox_oldest_ms(outbox), oldest);
    } else {
        assert_true(mkv_outbox_oldest_ms(outbox) == INT64_MAX);
        assert_int_equal(outbox->n_flights, 0);
    }
}

static void run(uint64_t seed)
{
    struct prng prng = {.state = seed};
    struct mkv_outbox *outbox = malloc(sizeof(*outbox));
    struct model *model = calloc(1, sizeof(*model));
    uint64_t cookie;

    mkv_outbox_init(outbox, 2000 + prng_below(&prng, 200000));
    for (unsigned i = 0; i < 6000; i++) {
        uint64_t dice = prng_below(&prng, 100);
        uint64_t eager = (i / 500) % 2 == 0 ? 60 : 20; /* fills up, and drains again */

        if (dice < eager) {
            push(outbox, model, &prng);
        } else if (dice < 80) {
            launch(outbox, model);
        } else {
            answer(outbox, model, &prng);
        }
        if (i % 100 == 0) {
            check(outbox, model);
        }
    }
    for (unsigned i = 0; i < model->n / 2 && mkv_outbox_abandon(outbox, &cookie); i++) {
        assert_true(model->fate[cookie] != ANSWERED);
        assert_int_equal(cookie, first(model, FLYING) < model->n ? first(model, FLYING)
                                                                 : first(model, QUEUED));
        model->fate[cookie] = ANSWERED;
    }
    check(outbox, model);
    mkv_outbox_deinit(outbox);
    free(outbox);
    free(model);
}

static void test_against_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        print_message("# seed %u\n", (unsigned)seed);
        run(seed);
    }
}

static void test_drained(void **state)
{
    static struct mkv_outbox outbox;
    struct mkv_request request = {.kind = MKV_REQUEST_PUBLISH};
    struct mkv_bytes topic = mkv_bytes_of("t");
    struct mkv_request_parts parts = {topic, topic, topic};
    uint64_t cookie;
    unsigned n = 0;

    (void)state;
    mkv_outbox_init(&outbox, 10000);
    assert_false(mkv_outbox_has_drained(&outbox));
    while (mkv_outbox_push(&outbox, &request, &parts) == 0) {
        n++;
    }
    assert_true(n > 50);
    while (outbox.size > 5000) {
        assert_false(mkv_outbox_has_drained(&outbox));
        assert_true(mkv_outbox_abandon(&outbox, &cookie));
    }
    assert_true(mkv_outbox_has_drained(&outbox));
    assert_false(mkv_outbox_has_drained(&outbox));

    /* Too large for any outbox, and lengths that would wrap. */
    parts.payload = mkv_bytes("", SIZE_MAX);
    assert_int_equal(mkv_outbox_push(&outbox, &request, &parts), MKV_E_QUEUE_FULL);
    parts = (struct mkv_request_parts){topic, mkv_bytes("", SIZE_MAX - 8), topic};
    assert_int_equal(mkv_outbox_push(&outbox, &request, &parts), MKV_E_QUEUE_FULL);
    parts = (struct mkv_request_parts){mkv_bytes("", SIZE_MAX - 8), topic, topic};
    assert_int_equal(mkv_outbox_push(&outbox, &request, &parts), MKV_E_QUEUE_FULL);
    mkv_outbox_deinit(&outbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_drained),
    };

    return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
