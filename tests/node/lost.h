/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conflicts made and read: what tests of them stand on, beside the harness.
 */
#ifndef MKV_TESTS_NODE_LOST_H
#define MKV_TESTS_NODE_LOST_H

#include "harness.h"
#include "wire/conflict.h"

#define LOST_TEXT_MAX 16384U

/* An update of a session of its own at server @name; @value NULL: a deletion. */
struct mkv_update lost_update(const char *name, const char *value, uint64_t tock);
/* The same with the largest value there is; it lives until the next. */
struct mkv_update lost_large_update(const char *name, uint64_t tock);

/* It arrives by MQTT. */
void lost_publish(struct world *world, const char *path, const struct mkv_update *update);
void lost_put(
    struct world *world, const char *path, const char *name, const char *value, uint64_t tock);

/* Asks for the conflicts at and below a path. */
void lost_ask(struct world *world,
              uint64_t link,
              uint64_t id,
              const char *path,
              uint32_t flags,
              uint32_t credit);

/*
 * All answers to a request as "path=loser>winner+more;", of both the tock, a '?' behind them if it
 * is only possible.  Returns how many.
 */
unsigned lost_collect(
    const struct world *world, uint64_t link, uint64_t id, char *out, size_t size);

/* What a new client is told about @path; until the next call. */
const char *lost_ask_all(struct world *world, const char *path);

#endif
