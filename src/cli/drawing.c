/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/drawing.h"

#include <stdio.h>

#include "base/limits.h"
#include "cli/format.h"
#include "cli/terminal.h"
#include "wire/path.h"

static struct mkv_drawing_node *node_at(const struct mkv_drawing *drawing, size_t i)
{
    return (struct mkv_drawing_node *)(void *)drawing->nodes.at + i; /* aligned: the heap's own */
}

static size_t n_nodes(const struct mkv_drawing *drawing)
{
    return drawing->nodes.len / sizeof(struct mkv_drawing_node);
}

static int add_node(struct mkv_drawing *drawing, unsigned depth, struct mkv_bytes label)
{
    struct mkv_drawing_node node = {.depth = depth, .label = drawing->texts.len};
    int error = mkv_format_safe_text(label, &drawing->texts);

    if (error != 0) {
        return error;
    }
    node.value = drawing->texts.len;
    node.end = drawing->texts.len;
    return mkv_buf_append(&drawing->nodes, mkv_bytes(&node, sizeof(node)));
}

int mkv_drawing_init(struct mkv_drawing *drawing, struct mkv_bytes title)
{
    *drawing = (struct mkv_drawing){.depth_max = MKV_PATH_LEVELS_MAX};
    mkv_buf_init(&drawing->nodes, SIZE_MAX / 2);
    mkv_buf_init(&drawing->texts, SIZE_MAX / 2);
    mkv_buf_init(&drawing->last, MKV_PATH_KEY_MAX);
    return add_node(drawing, 0, title);
}

void mkv_drawing_deinit(struct mkv_drawing *drawing)
{
    mkv_buf_deinit(&drawing->nodes);
    mkv_buf_deinit(&drawing->texts);
    mkv_buf_deinit(&drawing->last);
}

/* Adds the nodes of @rest, the tail of a key whose first @depth elements are there already. */
static int add_nodes(struct mkv_drawing *drawing, unsigned depth, struct mkv_bytes rest)
{
    struct mkv_buf label;
    int error = 0;

    mkv_buf_init(&label, SIZE_MAX / 2);
    while (rest.len > 0 && depth < drawing->depth_max && error == 0) {
        mkv_buf_clear(&label);
        error = mkv_path_to_dotted(mkv_path_cut(&rest), &label);
        if (error == 0) {
            error = add_node(drawing, ++depth, mkv_buf_bytes(&label));
        }
    }
    mkv_buf_deinit(&label);
    return error;
}

static int add_value(struct mkv_drawing *drawing, struct mkv_bytes value)
{
    struct mkv_drawing_node *node = node_at(drawing, n_nodes(drawing) - 1);
    int error = mkv_format_line(value, &drawing->texts);

    if (error != 0) {
        return error;
    }
    if (drawing->width > 0) { /* what is wider is cut anyway; one column tells that it was */
        struct mkv_bytes all = mkv_bytes_after(mkv_buf_bytes(&drawing->texts), node->value);

        mkv_buf_truncate(&drawing->texts,
                         node->value + mkv_terminal_cut(all, drawing->width + 1).len);
    }
    node->has_value = true;
    node->end = drawing->texts.len;
    return 0;
}

int mkv_drawing_add(struct mkv_drawing *drawing, struct mkv_bytes key, struct mkv_bytes value)
{
    unsigned shared = mkv_path_shared(mkv_buf_bytes(&drawing->last), key);
    struct mkv_bytes rest = mkv_bytes_after(key, mkv_path_head(key, shared).len);
    int error = add_nodes(drawing, shared, rest);

    if (error != 0) {
        return error;
    }
    mkv_buf_clear(&drawing->last);
    error = mkv_buf_append(&drawing->last, key);
    if (error != 0) {
        return error;
    }
    if (mkv_path_depth(key) > drawing->depth_max) {
        node_at(drawing, n_nodes(drawing) - 1)->n_below++;
        return 0;
    }
    return add_value(drawing, value);
}

static void find_last(struct mkv_drawing *drawing)
{
    bool has_sister[MKV_PATH_LEVELS_MAX + 2] = {false}; /* below, at each depth */

    for (size_t i = n_nodes(drawing); i > 0; i--) {
        struct mkv_drawing_node *node = node_at(drawing, i - 1);

        node->last = !has_sister[node->depth];
        has_sister[node->depth] = true;
        has_sister[node->depth + 1] = false; /* deeper ones are false already */
    }
}

static size_t put_lines(const struct mkv_drawing *drawing,
                        const struct mkv_drawing_node *node,
                        const bool *is_last,
                        struct mkv_out *out)
{
    for (unsigned i = 1; i < node->depth; i++) {
        mkv_out_puts(out, is_last[i] ? "    " : drawing->utf8 ? "│   " : "|   ");
    }
    if (node->depth > 0 && drawing->utf8) {
        mkv_out_puts(out, node->last ? "└── " : "├── ");
    } else if (node->depth > 0) {
        mkv_out_puts(out, node->last ? "`-- " : "|-- ");
    }
    return (size_t)4 * node->depth;
}

static void put_value(const struct mkv_drawing *drawing,
                      struct mkv_bytes value,
                      size_t used,
                      struct mkv_out *out)
{
    const char *more = drawing->utf8 ? "…" : "...";
    size_t more_columns = drawing->utf8 ? 1 : 3;
    size_t left = drawing->width > used ? drawing->width - used : 0;

    if (drawing->width == 0 || mkv_terminal_columns(value) <= left) {
        mkv_out_put(out, value);
    } else if (left > more_columns) {
        mkv_out_put(out, mkv_terminal_cut(value, left - more_columns));
        mkv_out_puts(out, more);
    } else {
        mkv_out_puts(out, more);
    }
}

static void put_node(const struct mkv_drawing *drawing,
                     const struct mkv_drawing_node *node,
                     const bool *is_last,
                     struct mkv_out *out)
{
    struct mkv_bytes label = mkv_bytes(drawing->texts.at + node->label, node->value - node->label);
    struct mkv_bytes value = mkv_bytes(drawing->texts.at + node->value, node->end - node->value);
    char below[48] = "";

    if (node->n_below > 0) {
        (void)snprintf(below, sizeof(below), " (%llu below)", (unsigned long long)node->n_below);
    }

    size_t used = put_lines(drawing, node, is_last, out) + mkv_terminal_columns(label);

    mkv_out_put(out, label);
    if (node->has_value) {
        mkv_out_puts(out, " = ");
        put_value(drawing, value, used + 3 + mkv_terminal_columns(mkv_bytes_of(below)), out);
    }
    mkv_out_puts(out, below);
    mkv_out_puts(out, "\n");
}

void mkv_drawing_put(struct mkv_drawing *drawing, struct mkv_out *out)
{
    bool is_last[MKV_PATH_LEVELS_MAX + 1] = {false}; /* of the present node's ancestors */

    find_last(drawing);
    for (size_t i = 0; i < n_nodes(drawing) && out->status == MKV_EXIT_OK; i++) {
        const struct mkv_drawing_node *node = node_at(drawing, i);

        is_last[node->depth] = node->last;
        put_node(drawing, node, is_last, out);
    }
}
