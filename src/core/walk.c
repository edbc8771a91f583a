/* SPDX-License-Identifier: Apache-2.0 */
#include "core/walk.h"

#include "base/limits.h"

/*
 * A range in the stack is its two bounds and then their lengths, so that it can be read from the
 * end; one in the queue begins with the lengths.
 */
struct lengths {
    uint16_t from;
    uint16_t to;
    uint16_t depth; /* how often it has been cut out of a greater one */
};

static struct lengths lengths_of(struct mkv_range range, uint16_t depth)
{
    return (struct lengths){(uint16_t)range.from.len, (uint16_t)range.to.len, depth};
}

static size_t size_of(struct lengths lengths)
{
    return sizeof(lengths) + lengths.from + lengths.to;
}

static int append_lengths(struct mkv_buf *buf, struct lengths lengths)
{
    return mkv_buf_append(buf, mkv_bytes(&lengths, sizeof(lengths)));
}

static int append_bounds(struct mkv_buf *buf, struct mkv_range range)
{
    int error = mkv_buf_append(buf, range.from);

    return error != 0 ? error : mkv_buf_append(buf, range.to);
}

static int push(struct mkv_walk *walk, struct mkv_range range, uint16_t depth)
{
    int error = append_bounds(&walk->to_split, range);

    return error != 0 ? error : append_lengths(&walk->to_split, lengths_of(range, depth));
}

/* The topmost range below @top bytes of the stack; *ret_start is where it begins. */
static struct mkv_range read_top(const struct mkv_walk *walk,
                                 size_t top,
                                 size_t *ret_start,
                                 uint16_t *ret_depth)
{
    struct lengths lengths;

    memcpy(&lengths, walk->to_split.at + top - sizeof(lengths), sizeof(lengths));
    *ret_start = top - size_of(lengths);
    *ret_depth = lengths.depth;

    const uint8_t *at = walk->to_split.at + *ret_start;

    return (struct mkv_range){mkv_bytes(at, lengths.from),
                              mkv_bytes(at + lengths.from, lengths.to)};
}

static struct mkv_range read_queued(const struct mkv_walk *walk, size_t start, size_t *ret_end)
{
    struct lengths lengths;
    const uint8_t *at = walk->to_fetch.at + start + sizeof(lengths);

    memcpy(&lengths, walk->to_fetch.at + start, sizeof(lengths));
    *ret_end = start + size_of(lengths);
    return (struct mkv_range){mkv_bytes(at, lengths.from),
                              mkv_bytes(at + lengths.from, lengths.to)};
}

/* Neighbours are joined: whoever fetches much fetches it in few ranges. */
static int enqueue(struct mkv_walk *walk, struct mkv_range range)
{
    uint8_t from[MKV_PATH_KEY_MAX];

    if (walk->to_fetch.len > 0) {
        size_t end;
        struct mkv_range last = read_queued(walk, walk->last_fetch, &end);

        if (mkv_bytes_equal(last.to, range.from) && last.from.len <= sizeof(from)) {
            memcpy(from, last.from.at, last.from.len);
            range.from = mkv_bytes(from, last.from.len);
            mkv_buf_truncate(&walk->to_fetch, walk->last_fetch);
        }
    }
    walk->last_fetch = walk->to_fetch.len;

    int error = append_lengths(&walk->to_fetch, lengths_of(range, 0));

    return error != 0 ? error : append_bounds(&walk->to_fetch, range);
}

void mkv_walk_deinit(struct mkv_walk *walk)
{
    mkv_buf_deinit(&walk->to_split);
    mkv_buf_deinit(&walk->to_fetch);
    mkv_buf_deinit(&walk->cut_at);
    mkv_buf_deinit(&walk->asked);
    *walk = (struct mkv_walk){0};
}

static void init(struct mkv_walk *walk)
{
    mkv_walk_deinit(walk);
    mkv_buf_init(&walk->to_split, 4 * (size_t)MKV_WALK_BYTES_MAX); /* one answer may go beyond */
    mkv_buf_init(&walk->to_fetch, 4 * (size_t)MKV_WALK_BYTES_MAX);
    mkv_buf_init(&walk->cut_at, MKV_PATH_KEY_MAX);
    mkv_buf_init(&walk->asked, MKV_FRAME_MAX);
}

int mkv_walk_start(struct mkv_walk *walk)
{
    struct mkv_range all = {0};

    init(walk);
    return push(walk, all, 0);
}

int mkv_walk_start_fetch(struct mkv_walk *walk, struct mkv_range range)
{
    init(walk);
    return enqueue(walk, range);
}

static int ask(struct mkv_walk *walk, const struct mkv_range *ranges, uint32_t n)
{
    struct mkv_cbor_writer w;

    mkv_buf_clear(&walk->asked);
    mkv_cbor_writer_init(&w, &walk->asked);
    mkv_ranges_write(&w, ranges, n);
    return w.error;
}

/* The first range of the queue, or what is left of it. */
static struct mkv_range first_queued(const struct mkv_walk *walk, size_t *ret_end)
{
    struct mkv_range range = read_queued(walk, walk->n_taken, ret_end);

    if (walk->cut) {
        range.from = mkv_buf_bytes(&walk->cut_at);
    }
    return range;
}

/* Where a range with more than @n_max of our entries is to be cut so that it has not. */
static struct mkv_bytes find_cut(const struct mkv_tree *tree,
                                 struct mkv_range range,
                                 uint64_t n_max)
{
    struct mkv_tree_piece pieces[MKV_TREE_PIECES_MAX];

    do {
        (void)mkv_tree_split(tree, range.from, range.to, MKV_TREE_PIECES_MAX, pieces);
        range.to = pieces[0].upto;
    } while (pieces[0].sum.n_entries > n_max);
    return range.to;
}

/* A range with too many of our entries for one fetch: its first part. */
static int ask_part(struct mkv_walk *walk, const struct mkv_tree *tree, struct mkv_range range)
{
    range.to = find_cut(tree, range, MKV_WALK_OWN_MAX);

    int error = ask(walk, &range, 1);

    walk->cut = true;
    mkv_buf_clear(&walk->cut_at);
    return error != 0 ? error : mkv_buf_append(&walk->cut_at, range.to);
}

static int ask_fetch(struct mkv_walk *walk, const struct mkv_tree *tree)
{
    struct mkv_range ranges[MKV_RANGES_MAX];
    uint64_t room = MKV_WALK_OWN_MAX;
    uint32_t n = 0;

    while (n < MKV_RANGES_MAX && walk->n_taken < walk->to_fetch.len) {
        size_t end;
        struct mkv_range range = first_queued(walk, &end);
        uint64_t n_ours = mkv_tree_range(tree, range.from, range.to).n_entries;

        if (n_ours > room) {
            break;
        }
        ranges[n++] = range;
        room -= n_ours;
        walk->n_taken = end;
        walk->cut = false;
    }
    if (n == 0) {
        size_t end;

        return ask_part(walk, tree, first_queued(walk, &end));
    }

    int error = ask(walk, ranges, n);

    if (walk->n_taken == walk->to_fetch.len) {
        mkv_buf_clear(&walk->to_fetch);
        walk->n_taken = 0;
        walk->last_fetch = 0;
    }
    return error;
}

static int ask_split(struct mkv_walk *walk)
{
    struct mkv_range ranges[MKV_RANGES_MAX];
    uint32_t n = 0;
    size_t top = walk->to_split.len;

    while (n < MKV_RANGES_MAX && top > 0) {
        ranges[n] = read_top(walk, top, &top, &walk->depths[n]);
        n++;
    }

    int error = ask(walk, ranges, n);

    mkv_buf_truncate(&walk->to_split, top);
    return error;
}

int mkv_walk_next(struct mkv_walk *walk, const struct mkv_tree *tree, enum mkv_walk_need *ret_need)
{
    if (walk->to_fetch.len > 0) {
        *ret_need = MKV_WALK_FETCH;
        return ask_fetch(walk, tree);
    }
    if (walk->to_split.len > 0) {
        *ret_need = MKV_WALK_SPLIT;
        return ask_split(walk);
    }
    *ret_need = MKV_WALK_DONE;
    return 0;
}

static bool is_same(const struct mkv_summary *ours, const struct mkv_piece *theirs)
{
    uint8_t digest[MKV_PIECE_DIGEST_LEN];

    mkv_digest_bytes(ours->digest, digest);
    return ours->n_entries == theirs->count && memcmp(digest, theirs->digest, sizeof(digest)) == 0;
}

/* Ranges to be split further, until all of an answer has been read: the stack takes them in reverse. */
struct splits {
    struct mkv_range at[MKV_RANGES_MAX * MKV_PIECES_MAX];
    uint16_t depths[MKV_RANGES_MAX * MKV_PIECES_MAX];
    uint32_t n;
};

/*
 * What differs is fetched if there is nothing to gain by looking closer: we have nothing there, or
 * they have one entry at most, or they could not cut it (@depth is the greatest).
 */
static int take_piece(struct mkv_walk *walk,
                      const struct mkv_tree *tree,
                      struct mkv_range range,
                      const struct mkv_piece *piece,
                      uint16_t depth,
                      struct splits *splits)
{
    struct mkv_summary ours = mkv_tree_range(tree, range.from, range.to);

    if (is_same(&ours, piece)) {
        return 0;
    }
    if (ours.n_entries == 0 || piece->count <= 1 || depth >= MKV_WALK_DEPTH_MAX ||
        walk->to_split.len > MKV_WALK_BYTES_MAX) {
        return enqueue(walk, range);
    }
    splits->depths[splits->n] = depth;
    splits->at[splits->n++] = range;
    return 0;
}

static int take_pieces(struct mkv_walk *walk,
                       const struct mkv_tree *tree,
                       struct mkv_sums_reader *sums,
                       struct mkv_range range,
                       uint16_t depth,
                       struct splits *splits)
{
    struct mkv_bytes from = range.from;
    struct mkv_piece piece;
    int error = 0;

    while (error == 0 && mkv_sums_reader_next(sums, &piece)) {
        bool whole = mkv_bytes_equal(from, range.from) && mkv_bytes_equal(piece.upto, range.to);

        error = take_piece(walk, tree, (struct mkv_range){from, piece.upto}, &piece,
                           (uint16_t)(whole ? MKV_WALK_DEPTH_MAX : depth + 1U), splits);
        from = piece.upto;
    }
    return error;
}

int mkv_walk_sums(struct mkv_walk *walk, const struct mkv_tree *tree, struct mkv_bytes sums)
{
    struct mkv_range_reader ranges;
    struct mkv_sums_reader reader;
    struct mkv_range range;
    struct splits splits = {.n = 0};
    uint32_t i = 0;
    int error = mkv_range_reader_init(&ranges, mkv_buf_bytes(&walk->asked));

    if (error == 0) {
        error = mkv_sums_reader_init(&reader, sums);
    }
    while (error == 0 && mkv_range_reader_next(&ranges, &range) &&
           mkv_sums_reader_enter(&reader, range)) {
        error = take_pieces(walk, tree, &reader, range, walk->depths[i++], &splits);
    }
    if (error == 0) {
        error = mkv_sums_reader_finish(&reader);
    }
    while (error == 0 && splits.n > 0) {
        splits.n--;
        error = push(walk, splits.at[splits.n], splits.depths[splits.n]);
    }
    return error;
}
