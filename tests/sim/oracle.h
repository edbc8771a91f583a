/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is true, whatever the servers believe: every update that was ever published, and the
 * greatest one of each path that each server has on its disk.
 *
 * A server's record goes back only where its disk does: it is lost, or restored from a backup.
 */
#ifndef MKV_TESTS_SIM_ORACLE_H
#define MKV_TESTS_SIM_ORACLE_H

#include "base/buf.h"
#include "core/order.h"
#include "wire/frame.h"
#include "wire/update.h"

#define ORACLE_PATHS_MAX 12U /* that are written to */
#define ORACLE_KEYS_MAX  48U /* these, and what servers write for themselves */
#define ORACLE_NAME_MAX  8U

struct sim;
struct machine;

/* The head of an entry, with its name; may be copied. */
struct known {
    bool has;
    uint8_t name_len;
    char name[ORACLE_NAME_MAX];
    struct mkv_head head; /* its name is not valid: see known_head() */
};

/* By key; of one machine. */
struct record {
    struct known at[ORACLE_KEYS_MAX];
};

struct dot {
    uint64_t stream; /* a hash of name and seq */
    uint64_t counter;
};

/* An update as somebody published it. */
struct write {
    struct known known;
    bool has_tock;
    bool doubtful; /* its dot is not its own, or not its alone */
    bool refused;
    unsigned stamped_by; /* a machine, plus 1; 0: by none */
    unsigned key;
    size_t next;     /* of the same key, before; SIZE_MAX: none */
    size_t next_dot; /* whose dot has the same hash; likewise */
    unsigned n_dots;
    struct dot dots[MKV_TICKS_MAX]; /* the own one first */
};

#define ORACLE_DOTS 1024U

struct oracle {
    unsigned n_paths;
    unsigned n_keys; /* the paths first */
    struct mkv_buf keys[ORACLE_KEYS_MAX];
    struct write *writes; /* owned */
    size_t n_writes;
    size_t writes_cap;
    size_t newest[ORACLE_KEYS_MAX]; /* of each key */
    size_t by_dot[ORACLE_DOTS];     /* by a hash of the dot */
    struct mkv_buf scratch;
    struct record deleted; /* the greatest deletion that any server had while it was ready */
    struct record outside; /* the greatest that one had whom nobody waits for, likewise */
};

void oracle_init(struct oracle *oracle, unsigned n_paths);
void oracle_deinit(struct oracle *oracle);

/* Its index; ORACLE_KEYS_MAX if there are too many. */
unsigned oracle_key(struct oracle *oracle, struct mkv_bytes key);

void known_set(struct known *known, const struct mkv_head *head);
/* Borrows from @known. */
struct mkv_head known_head(const struct known *known);
/* Whether @a is less than @b; nothing is less than all. */
bool known_less(const struct known *a, const struct known *b);

/* Somebody publishes an update; @doubtful: with a dot that may not be his. */
void oracle_published(struct sim *sim,
                      struct mkv_bytes topic,
                      struct mkv_bytes payload,
                      bool doubtful);

/* A machine publishes one that it has given a tock, or one of its own. */
void oracle_stamped(struct sim *sim,
                    const struct machine *machine,
                    struct mkv_bytes topic,
                    struct mkv_bytes payload);

/* The machine has done something: compares what it has committed now with what it had. */
void oracle_look(struct sim *sim, struct machine *machine);

/* Its disk is another one now; @damaged: some of it is gone, and what it has is what it has. */
void oracle_look_anew(struct sim *sim, struct machine *machine, bool damaged);

/* Rows of its disk are gone, though not the knowledge that they had been acknowledged: what it lacks now. */
void oracle_excuse_all(struct sim *sim, const struct machine *machine);

/* The machine takes these rows, of a dump, out of its tree. */
void oracle_set_aside(struct sim *sim, struct machine *machine, struct mkv_bytes rows);

/* It acknowledges all of session @seq from @first to @last. */
void oracle_acked(
    struct sim *sim, struct machine *machine, uint64_t seq, uint64_t first, uint64_t last);

/* These counters need not be stored, whatever is acknowledged. */
void oracle_excuse(
    struct sim *sim, const struct machine *machine, uint64_t seq, uint64_t first, uint64_t last);

struct dot oracle_dot(const struct mkv_tick *tick);
/* Where the newest write begins whose dot has the same hash. */
size_t *oracle_slot(struct oracle *oracle, struct dot dot);
/*
 * The write that an entry of @key comes from, or SIZE_MAX.  Servers give a tock to what has none, or
 * one that is too low.
 */
size_t oracle_find(const struct oracle *oracle, unsigned key, const struct known *known);

/* What must at least be there in the end. */
struct known oracle_truth(const struct sim *sim, unsigned key);

/* For the trace and for messages. */
const char *oracle_text(const struct known *known, char text[64]);

#endif
