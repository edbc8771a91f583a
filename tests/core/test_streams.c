/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The streams of other servers' clients against a naive model: what is missing in them, since when,
 * and which of them are remembered.
 */
#include <string.h>

#include "core/streams.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/prng.h"

#define COUNTERS 200U
#define STREAMS  5U

static const uint8_t hash_key[MKV_STREAMS_HASH_LEN] = {1, 2, 3};
static const char *const names[] = {"a", "b", "ab"};

static struct mkv_tick tick(const char *name, uint64_t seq, uint64_t counter)
{
    return (struct mkv_tick){.name = mkv_bytes_of(name), .seq = seq, .counter = counter};
}

static struct mkv_now at(int64_t ms)
{
    return (struct mkv_now){.ms = ms};
}

static struct mkv_stream *hear(struct mkv_streams *streams, int64_t ms, struct mkv_tick dot)
{
    return mkv_streams_hear(streams, at(ms), &dot);
}

static bool fill(struct mkv_streams *streams, int64_t ms, struct mkv_tick dot)
{
    return mkv_streams_fill(streams, at(ms), &dot);
}

/* --- The model -------------------------------------------------------------------------------- */

struct model {
    bool heard; /* it exists */
    bool here[COUNTERS + 2];
    uint64_t top;
    int64_t since_ms; /* of the first hole */
};

static uint64_t first_missing(const struct model *model)
{
    uint64_t counter = 1;

    while (model->here[counter]) {
        counter++;
    }
    return counter < model->top ? counter : 0;
}

/* Whatever changes, a hole is as old as its first counter is the first that is missing. */
static void model_changed(struct model *model, int64_t ms, uint64_t missing_before)
{
    uint64_t missing = first_missing(model);

    if (missing == 0) {
        model->since_ms = MKV_NEVER;
    } else if (missing != missing_before) {
        model->since_ms = ms;
    }
}

static void model_hear(struct model *model, int64_t ms, uint64_t counter)
{
    uint64_t missing = model->heard ? first_missing(model) : 0;

    for (uint64_t c = 1; !model->heard && c < counter; c++) {
        model->here[c] = true;
    }
    model->heard = true;
    model->here[counter] = true;
    model->top = counter > model->top ? counter : model->top;
    model_changed(model, ms, missing);
}

static bool model_fill(struct model *model, int64_t ms, uint64_t counter)
{
    uint64_t missing = model->heard ? first_missing(model) : 0;

    if (!model->heard || counter > model->top || model->here[counter]) {
        return false;
    }
    model->here[counter] = true;
    model_changed(model, ms, missing);
    return true;
}

static void model_close(struct model *model, int64_t ms, uint64_t counter)
{
    uint64_t missing = first_missing(model);

    for (uint64_t c = 1; c <= counter; c++) {
        model->here[c] = true;
    }
    model_changed(model, ms, missing);
}

static uint64_t model_missing(const struct model *model)
{
    uint64_t n = 0;

    for (uint64_t c = 1; c < model->top; c++) {
        n += !model->here[c];
    }
    return n;
}

static void compare(const struct mkv_streams *streams,
                    struct mkv_tick dot,
                    const struct model *model)
{
    const struct mkv_stream *stream = mkv_streams_find(streams, &dot);

    assert_int_equal(stream != NULL, model->heard);
    if (stream != NULL) {
        assert_int_equal(stream->top, model->top);
        assert_int_equal(mkv_stream_missing(stream), model_missing(model));
        assert_true(stream->since_ms == model->since_ms);
        assert_int_equal(stream->seq, dot.seq);
    }
}

static struct mkv_tick dot_of(unsigned i, uint64_t counter)
{
    return tick(names[i % 3], 7 + i / 3, counter);
}

static void run(uint64_t seed)
{
    struct prng prng = {seed};
    struct mkv_streams streams;
    struct model models[STREAMS] = {{0}};

    mkv_streams_init(&streams, hash_key);
    for (unsigned i = 0; i < STREAMS; i++) {
        models[i].since_ms = MKV_NEVER;
    }
    for (int64_t ms = 1; ms <= 600; ms++) {
        unsigned i = (unsigned)prng_below(&prng, STREAMS);
        struct model *model = &models[i];
        uint64_t counter = 1 + prng_below(&prng, COUNTERS);
        unsigned n_holes = 0;

        switch (prng_below(&prng, 8)) {
        case 0:
            assert_int_equal(fill(&streams, ms, dot_of(i, counter)),
                             model_fill(model, ms, counter));
            break;
        case 1:
            if (model->heard) {
                struct mkv_tick dot = dot_of(i, 1);
                uint64_t upto = 1 + prng_below(&prng, model->top);

                mkv_streams_close(&streams, at(ms), mkv_streams_find(&streams, &dot), upto);
                model_close(model, ms, upto);
            }
            break;
        default:
            counter = model->top == 0 ? counter / 2 + 1 : model->top + prng_below(&prng, 4);
            counter = counter > COUNTERS ? 1 + prng_below(&prng, COUNTERS) : counter;
            assert_non_null(hear(&streams, ms, dot_of(i, counter)));
            model_hear(model, ms, counter);
            assert_ptr_equal(streams.newest, hear(&streams, ms, dot_of(i, counter)));
        }
        for (unsigned k = 0; k < STREAMS; k++) {
            compare(&streams, dot_of(k, 1), &models[k]);
            n_holes += models[k].since_ms != MKV_NEVER;
        }
        assert_int_equal(streams.n_holes, n_holes);
    }
    mkv_streams_clear(&streams);
}

static void test_streams_agree_with_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        run(seed);
    }
}

/* --- Limits ----------------------------------------------------------------------------------- */

static void test_one_unheard_longest_is_forgotten(void **state)
{
    struct mkv_streams streams;
    struct mkv_tick first = tick("a", 1, 1);
    struct mkv_tick second = tick("a", 2, 1);

    (void)state;
    mkv_streams_init(&streams, hash_key);
    for (uint64_t seq = 1; seq <= MKV_STREAMS_MAX; seq++) {
        assert_non_null(hear(&streams, 1, tick("a", seq, 1)));
    }
    (void)hear(&streams, 2, tick("a", 1, 2)); /* so it is not the oldest any more */
    (void)hear(&streams, 2, tick("a", 2, 3)); /* with a hole, and then it gets old again */
    assert_int_equal(streams.n_holes, 1);
    for (uint64_t seq = 3; seq <= MKV_STREAMS_MAX; seq++) {
        (void)hear(&streams, 3, tick("a", seq, 2));
    }
    (void)hear(&streams, 4, tick("b", 1, 1));
    assert_int_equal(streams.map.n, MKV_STREAMS_MAX);
    assert_null(mkv_streams_find(&streams, &first));
    assert_non_null(mkv_streams_find(&streams, &second));
    (void)hear(&streams, 4, tick("b", 2, 1));
    assert_null(mkv_streams_find(&streams, &second));
    assert_int_equal(streams.n_holes, 0);
    mkv_streams_clear(&streams);
    assert_int_equal(streams.map.n, 0);
    assert_null(streams.newest);
    assert_non_null(hear(&streams, 5, tick("a", 1, 1))); /* it can be used again */
    mkv_streams_clear(&streams);
}

/* More holes than can be recorded: they are known to be there, and can be closed. */
static void test_more_holes_than_room(void **state)
{
    struct mkv_streams streams;
    struct mkv_stream *stream = NULL;
    const uint64_t top = 1 + 2 * (MKV_SEEN_RUNS_MAX + 5);

    (void)state;
    mkv_streams_init(&streams, hash_key);
    for (uint64_t counter = 1; counter <= top; counter += 2) {
        stream = hear(&streams, 1, tick("a", 1, counter));
    }
    assert_int_equal(stream->top, top);
    assert_int_equal(stream->seen.n_runs, MKV_SEEN_RUNS_MAX);
    assert_true(mkv_stream_missing(stream) >= MKV_SEEN_RUNS_MAX + 5);
    mkv_streams_close(&streams, at(2), stream, mkv_seen_top(&stream->seen));
    assert_int_equal(stream->since_ms, 2); /* what was not recorded may still be missing */
    assert_int_equal(streams.n_holes, 1);
    mkv_streams_close(&streams, at(3), stream, top);
    assert_true(stream->since_ms == MKV_NEVER);
    assert_int_equal(streams.n_holes, 0);
    mkv_streams_clear(&streams);
}

static void test_greatest_counters(void **state)
{
    struct mkv_streams streams;
    struct mkv_stream *stream;

    (void)state;
    mkv_streams_init(&streams, hash_key);
    stream = hear(&streams, 1, tick("a", 1, 1));
    (void)hear(&streams, 1, tick("a", 1, INT64_MAX));
    assert_true(mkv_stream_missing(stream) == INT64_MAX - 2);
    stream = hear(&streams, 1, tick("a", 2, INT64_MAX)); /* begins there */
    assert_int_equal(mkv_stream_missing(stream), 0);
    mkv_streams_clear(&streams);
}

static void test_no_memory_means_not_to_know(void **state)
{
    struct mkv_streams streams;

    (void)state;
    mkv_streams_init(&streams, hash_key);
    for (unsigned n = 1; n <= 2; n++) { /* the stream itself, and the table */
        mem_fault_at(n);
        assert_null(hear(&streams, 1, tick("a", 1, 1)));
        mem_fault_at(0);
        assert_int_equal(streams.map.n, 0);
        assert_null(streams.newest);
    }
    assert_non_null(hear(&streams, 1, tick("a", 1, 1)));
    mkv_streams_clear(&streams);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_agree_with_model),
        cmocka_unit_test(test_one_unheard_longest_is_forgotten),
        cmocka_unit_test(test_more_holes_than_room),
        cmocka_unit_test(test_greatest_counters),
        cmocka_unit_test(test_no_memory_means_not_to_know),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
