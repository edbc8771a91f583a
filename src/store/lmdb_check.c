/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lmdb_check.h"

#include <limits.h>

#include "base/mem.h"

#define MAGIC         0xbeefc0deU
#define DATA_VERSION  1U
#define PAGE_BRANCH   1U
#define PAGE_LEAF     2U
#define PAGE_OVERFLOW 4U
#define PAGE_META     8U
#define NODE_BIG      1U /* the value lies on overflow pages */
#define NODE_TABLE    2U /* the value is a table */
#define INTEGER_KEYS  8U
#define KEY_MAX       511U
#define DEPTH_MAX     32U
#define NO_PAGE       SIZE_MAX
#define PAGE_SIZE_MIN 512U
#define PAGE_SIZE_MAX 32768U
#define MISSING_MAX   65536U /* pages at the end that are free and were never written */

/* As LMDB lays them out, in the machine's own words. */
struct page_head {
    size_t number;
    uint16_t pad;
    uint16_t flags;
    uint16_t lower; /* of an overflow page, these two are the number of pages */
    uint16_t upper;
};

struct node_head {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint16_t low;
    uint16_t high;
#else
    uint16_t high;
    uint16_t low;
#endif
    uint16_t flags;
    uint16_t key_len;
};

struct table {
    uint32_t pad;
    uint16_t flags;
    uint16_t depth;
    size_t n_branch;
    size_t n_leaf;
    size_t n_overflow;
    size_t n_entries;
    size_t root;
};

struct meta {
    uint32_t magic;
    uint32_t version;
    void *address;
    size_t map_size;
    struct table free;
    struct table main;
    size_t last_page;
    size_t transaction;
};

#define PAGE_HEAD_LEN (sizeof(size_t) + 8)

_Static_assert(sizeof(struct node_head) == 8, "no padding");
_Static_assert(sizeof(struct table) == 8 + 5 * sizeof(size_t), "no padding");
_Static_assert(sizeof(struct meta) == 8 + 4 * sizeof(size_t) + 2 * sizeof(struct table),
               "no padding");

enum kind {
    KIND_FREE,
    KIND_MAIN,
    KIND_ROWS,
    KIND_META,
};

/* A file that is being checked.  After the first damage nothing is looked at any more. */
struct check {
    struct mkv_bytes file;
    size_t page_size;
    struct meta meta;
    uint8_t *used;                 /* owned; a bit for each page up to the last */
    struct mkv_lmdb_damage damage; /* .what is NULL while there is none */
};

struct level {
    size_t number;
    const uint8_t *page;
    unsigned i; /* the node that comes next */
    unsigned n;
};

/* The walk through one table. */
struct walk {
    struct check *check;
    enum kind kind;
    struct table seen; /* counts of what has been met; depth and root as they should be */
    struct level levels[DEPTH_MAX];
    unsigned depth;
    struct mkv_bytes last;  /* key met in a leaf; zeroed: none yet */
    struct mkv_bytes floor; /* the next key in a leaf must not be less */
};

static bool fail(struct check *c, size_t page, const char *what)
{
    if (c->damage.what == NULL) {
        c->damage = (struct mkv_lmdb_damage){.page = page, .what = what};
    }
    return false;
}

static const uint8_t *page_at(const struct check *c, size_t number)
{
    return c->file.at + number * c->page_size;
}

static struct page_head page_head(const uint8_t *page)
{
    struct page_head head = {0};

    memcpy(&head, page, PAGE_HEAD_LEN);
    return head;
}

static size_t n_file_pages(const struct check *c)
{
    return c->file.len / c->page_size;
}

static bool is_used(const struct check *c, size_t number)
{
    return (c->used[number / CHAR_BIT] & (1U << (number % CHAR_BIT))) != 0;
}

/* Marks @n pages, each of which may be marked once. */
static bool use_pages(struct check *c, size_t number, size_t n)
{
    if (number < 2 || number > c->meta.last_page || n > c->meta.last_page - number + 1) {
        return fail(c, number, "a page number is out of range");
    }
    for (size_t i = number; i < number + n; i++) {
        if (is_used(c, i)) {
            return fail(c, i, "a page is used twice");
        }
        c->used[i / CHAR_BIT] |= (uint8_t)(1U << (i % CHAR_BIT));
    }
    return true;
}

/* Marks pages whose content is needed, and checks the first one's head. */
static bool take_pages(struct check *c, size_t number, size_t n, unsigned flags)
{
    if (!use_pages(c, number, n)) {
        return false;
    }
    if (number + n > n_file_pages(c)) {
        return fail(c, number, "the file ends before this page");
    }

    struct page_head head = page_head(page_at(c, number));

    if (head.number != number || head.flags != flags) {
        return fail(c, number, "this page is not the one it should be");
    }
    return true;
}

/* On this machine a node begins at any even byte. */
static struct node_head node_at(const uint8_t *page, unsigned i, const uint8_t **ret_key)
{
    struct node_head head;
    uint16_t offset;

    memcpy(&offset, page + PAGE_HEAD_LEN + (size_t)2 * i, sizeof(offset));
    memcpy(&head, page + offset, sizeof(head));
    *ret_key = page + offset + sizeof(head);
    return head;
}

static size_t node_number(struct node_head node)
{
    size_t number = (size_t)node.high << 16 | node.low;

#if SIZE_MAX > UINT32_MAX
    number |= (size_t)node.flags << 32;
#endif
    return number;
}

static size_t value_len(struct node_head node)
{
    return (size_t)node.high << 16 | node.low;
}

static size_t node_len(struct node_head node, bool leaf)
{
    size_t len = sizeof(node) + node.key_len;

    if (leaf) {
        len += (node.flags & NODE_BIG) != 0 ? sizeof(size_t) : value_len(node);
    }
    return len;
}

/* All nodes must lie within the page, and fill what is filled of it. */
static bool check_nodes(struct check *c, size_t number, const uint8_t *page, unsigned n, bool leaf)
{
    struct page_head head = page_head(page);
    size_t filled = 0;

    for (unsigned i = 0; i < n; i++) {
        uint16_t offset;
        const uint8_t *key;

        memcpy(&offset, page + PAGE_HEAD_LEN + (size_t)2 * i, sizeof(offset));
        if (offset < head.upper || offset % 2 != 0 ||
            offset > c->page_size - sizeof(struct node_head)) {
            return fail(c, number, "an offset is out of range");
        }

        struct node_head node = node_at(page, i, &key);
        size_t len = node_len(node, leaf);

        if (node.key_len > KEY_MAX || len > c->page_size - offset) {
            return fail(c, number, "a length is out of range");
        }
        filled += (len + 1) & ~(size_t)1;
    }
    return filled == c->page_size - head.upper || fail(c, number, "its nodes do not fill it");
}

/* Takes the page that is next on the way down. */
static bool enter_page(struct walk *w, size_t number)
{
    struct check *c = w->check;
    bool leaf = w->depth + 1 == w->seen.depth;

    if (!take_pages(c, number, 1, leaf ? PAGE_LEAF : PAGE_BRANCH)) {
        return false;
    }

    const uint8_t *page = page_at(c, number);
    struct page_head head = page_head(page);

    if (head.lower < PAGE_HEAD_LEN || head.lower % 2 != 0 || head.lower > head.upper ||
        head.upper > c->page_size) {
        return fail(c, number, "its bounds are out of range");
    }

    unsigned n = (unsigned)(head.lower - PAGE_HEAD_LEN) / 2;
    unsigned n_min = leaf || w->kind == KIND_FREE ? 1 : 2;

    if (n < n_min) {
        return fail(c, number, "it has too few nodes");
    }
    w->seen.n_leaf += leaf;
    w->seen.n_branch += !leaf;
    w->levels[w->depth++] = (struct level){.number = number, .page = page, .n = n};
    return check_nodes(c, number, page, n, leaf);
}

static int compare_keys(enum kind kind, struct mkv_bytes a, struct mkv_bytes b)
{
    size_t x = 0;
    size_t y = 0;

    if (kind != KIND_FREE || a.len != sizeof(x) || b.len != sizeof(y)) {
        return mkv_bytes_compare(a, b);
    }
    memcpy(&x, a.at, sizeof(x));
    memcpy(&y, b.at, sizeof(y));
    return (x > y) - (x < y);
}

static bool check_key_len(enum kind kind, size_t len)
{
    switch (kind) {
    case KIND_FREE:
        return len == sizeof(size_t);
    case KIND_ROWS:
        return len == 8;
    case KIND_MAIN:
    case KIND_META:
        break;
    }
    return len > 0;
}

/* Goes down to the child of the branch node that is next. */
static bool descend(struct walk *w)
{
    struct level *level = &w->levels[w->depth - 1];
    const uint8_t *at;
    unsigned i = level->i++;
    struct node_head node = node_at(level->page, i, &at);

    if (i > 0) { /* what LMDB never reads is the key of the first */
        struct mkv_bytes key = mkv_bytes(at, node.key_len);

        if (!check_key_len(w->kind, key.len) || compare_keys(w->kind, key, w->last) <= 0) {
            return fail(w->check, level->number, "its keys are not in order");
        }
        w->floor = key;
    }
    return enter_page(w, node_number(node));
}

/* A list of free pages: their number, then the pages in descending order. */
static bool check_free_list(struct check *c, size_t number, struct mkv_bytes value)
{
    size_t n;
    size_t before = SIZE_MAX;

    if (value.len < sizeof(n)) {
        return fail(c, number, "a list of free pages is too short");
    }
    memcpy(&n, value.at, sizeof(n));
    if (n > value.len / sizeof(n) - 1) {
        return fail(c, number, "a list of free pages is too short");
    }
    for (size_t i = 1; i <= n; i++) {
        size_t page;

        memcpy(&page, value.at + i * sizeof(page), sizeof(page));
        if (page >= before || !use_pages(c, page, 1)) {
            return fail(c, number, "a list of free pages is not in order");
        }
        before = page;
    }
    return true;
}

static bool check_free_entry(struct walk *w,
                             size_t number,
                             struct mkv_bytes key,
                             struct mkv_bytes value)
{
    size_t transaction;

    memcpy(&transaction, key.at, sizeof(transaction));
    if (transaction > w->check->meta.transaction) {
        return fail(w->check, number, "pages were freed by a transaction still to come");
    }
    return check_free_list(w->check, number, value);
}

/* The pages of a value that is too long for a leaf; *ret_value is where it lies. */
static bool take_overflow(struct walk *w,
                          const uint8_t *at,
                          size_t len,
                          struct mkv_bytes *ret_value)
{
    struct check *c = w->check;
    size_t number;
    uint32_t n;

    memcpy(&number, at, sizeof(number));
    if (number >= n_file_pages(c)) {
        return fail(c, number, "the file ends before this page");
    }
    memcpy(&n, page_at(c, number) + PAGE_HEAD_LEN - sizeof(n), sizeof(n));
    if (n < (PAGE_HEAD_LEN - 1 + len) / c->page_size + 1) {
        return fail(c, number, "a value is longer than its pages");
    }
    w->seen.n_overflow += n;
    *ret_value = mkv_bytes(page_at(c, number) + PAGE_HEAD_LEN, len);
    return take_pages(c, number, n, PAGE_OVERFLOW);
}

/* Looks at the node of a leaf that is next; the tables that the main one holds come later. */
static bool check_entry(struct walk *w)
{
    struct level *level = &w->levels[w->depth - 1];
    const uint8_t *at;
    struct node_head node = node_at(level->page, level->i++, &at);
    struct mkv_bytes key = mkv_bytes(at, node.key_len);
    struct mkv_bytes value = mkv_bytes(at + key.len, value_len(node));
    unsigned flags_allowed = w->kind == KIND_MAIN ? NODE_TABLE : NODE_BIG;

    if ((node.flags & ~flags_allowed) != 0 ||
        (w->kind == KIND_MAIN && (node.flags == 0 || value.len != sizeof(struct table)))) {
        return fail(w->check, level->number, "a node is of a kind that should not be there");
    }
    if (!check_key_len(w->kind, key.len) ||
        (w->seen.n_entries > 0 && compare_keys(w->kind, key, w->last) <= 0) ||
        (w->floor.at != NULL && compare_keys(w->kind, key, w->floor) < 0)) {
        return fail(w->check, level->number, "its keys are not in order");
    }
    w->seen.n_entries++;
    w->last = key;
    w->floor = (struct mkv_bytes){0};
    if ((node.flags & NODE_BIG) != 0 && !take_overflow(w, value.at, value.len, &value)) {
        return false;
    }
    return w->kind != KIND_FREE || check_free_entry(w, level->number, key, value);
}

static bool counts_agree(const struct table *a, const struct table *b)
{
    return a->n_branch == b->n_branch && a->n_leaf == b->n_leaf && a->n_overflow == b->n_overflow &&
           a->n_entries == b->n_entries;
}

static bool check_table(struct check *c, enum kind kind, const struct table *table)
{
    struct walk w = {.check = c, .kind = kind, .seen = {.depth = table->depth}};
    unsigned flags = kind == KIND_FREE ? INTEGER_KEYS : 0;

    if (table->flags != flags || table->depth > DEPTH_MAX ||
        (table->depth == 0) != (table->root == NO_PAGE)) {
        return fail(c, 0, "the description of a table makes no sense");
    }
    if (table->depth > 0 && !enter_page(&w, table->root)) {
        return false;
    }
    while (w.depth > 0) {
        const struct level *level = &w.levels[w.depth - 1];

        if (level->i == level->n) {
            w.depth--;
        } else if (w.depth == table->depth ? !check_entry(&w) : !descend(&w)) {
            return false;
        }
    }
    return counts_agree(&w.seen, table) || fail(c, 0, "the counts of a table are wrong");
}

/* The tables named in the main one, whose pages have been checked: there is room for its nodes. */
static bool check_named_tables(struct check *c)
{
    if (c->meta.main.depth == 0) {
        return true;
    }
    if (c->meta.main.depth > 1) {
        return fail(c, c->meta.main.root, "there are too many tables");
    }

    const uint8_t *page = page_at(c, c->meta.main.root);

    for (unsigned i = 0; i < c->meta.main.n_entries; i++) {
        const uint8_t *at;
        struct node_head node = node_at(page, i, &at);
        struct mkv_bytes name = mkv_bytes(at, node.key_len);
        bool rows = mkv_bytes_equal(name, mkv_bytes_of("rows"));
        struct table table;

        if (!rows && !mkv_bytes_equal(name, mkv_bytes_of("meta"))) {
            return fail(c, c->meta.main.root, "there is a table that should not be there");
        }
        memcpy(&table, at + name.len, sizeof(table));
        if (!check_table(c, rows ? KIND_ROWS : KIND_META, &table)) {
            return false;
        }
    }
    return true;
}

/* Transactions take turns with the two heads; 0 stands in both of a new file. */
static bool read_meta(struct check *c, size_t offset, unsigned i, struct meta *ret_meta)
{
    if (c->file.len < offset || c->file.len - offset < PAGE_HEAD_LEN + sizeof(*ret_meta)) {
        return fail(c, i, "the file ends before this page");
    }
    memcpy(ret_meta, c->file.at + offset + PAGE_HEAD_LEN, sizeof(*ret_meta));

    struct page_head head = page_head(c->file.at + offset);

    if (head.number != i || head.flags != PAGE_META || ret_meta->magic != MAGIC ||
        ret_meta->version != DATA_VERSION ||
        (ret_meta->transaction % 2 != i && ret_meta->transaction != 0)) {
        return fail(c, i, "this is no head of a data file");
    }
    return true;
}

/* Picks the head of the last transaction, as LMDB does. */
static bool choose_meta(struct check *c)
{
    struct meta first;
    struct meta second;

    if (!read_meta(c, 0, 0, &first)) {
        return false;
    }
    c->page_size = first.free.pad;
    if (c->page_size < PAGE_SIZE_MIN || c->page_size > PAGE_SIZE_MAX ||
        (c->page_size & (c->page_size - 1)) != 0) {
        return fail(c, 0, "the page size makes no sense");
    }
    if (!read_meta(c, c->page_size, 1, &second)) {
        return false;
    }
    if (second.free.pad != c->page_size) {
        return fail(c, 1, "the page size makes no sense");
    }

    size_t high = first.transaction > second.transaction ? first.transaction : second.transaction;
    size_t low = first.transaction + second.transaction - high;

    if (high - low > 1) {
        return fail(c, 0, "the numbers of the last two transactions do not agree");
    }
    c->meta = first.transaction < second.transaction ? second : first;
    return true;
}

/* The file may be short of pages that are free. */
static bool check_end(struct check *c)
{
    for (size_t number = n_file_pages(c); number <= c->meta.last_page; number++) {
        if (!is_used(c, number)) {
            return fail(c, number, "the file ends before this page");
        }
    }
    return true;
}

int mkv_lmdb_check(struct mkv_bytes file, struct mkv_lmdb_damage *ret_damage)
{
    struct check c = {.file = file};
    bool good = choose_meta(&c);

    if (good && (c.meta.last_page < 1 || c.meta.last_page / 2 > n_file_pages(&c) + MISSING_MAX)) {
        good = fail(&c, 0, "the number of pages makes no sense");
    }
    if (good) {
        c.used = mkv_mem_alloc(c.meta.last_page / CHAR_BIT + 1);
        if (c.used == NULL) {
            return MKV_E_NO_MEMORY;
        }
        good = check_table(&c, KIND_FREE, &c.meta.free) &&
               check_table(&c, KIND_MAIN, &c.meta.main) && check_named_tables(&c) && check_end(&c);
    }
    mkv_mem_free(c.used);
    if (!good) {
        *ret_damage = c.damage;
        return MKV_E_CORRUPT;
    }
    return 0;
}
