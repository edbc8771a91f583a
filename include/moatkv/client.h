/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of MoaT-KV: reads, writes and watches a key-value tree that servers share over MQTT.
 *
 *     moatkv *kv;
 *     moatkv_open(NULL, &kv);                           // server and broker from the environment
 *     moatkv_set_sync(kv, moatkv_text("kitchen.lamp"), value, 0, 5000);
 *     moatkv_watch(kv, moatkv_text("kitchen"), on_watch, user, NULL);
 *     while (running) {
 *         moatkv_wait(kv, -1);                          // or your own loop, see moatkv_fd()
 *     }
 *     moatkv_flush(kv, 5000);
 *     moatkv_close(kv);
 *
 * A handle belongs to one thread; several handles may coexist.  The library has no globals, starts
 * no threads and touches no signal handlers.  It connects, reconnects, repeats and repairs by
 * itself, always from within moatkv_dispatch(), which is also where all callbacks are called.
 *
 * Callbacks may call anything here except what dispatches: moatkv_dispatch(), moatkv_wait(),
 * moatkv_connect(), moatkv_flush() and the functions ending in _sync return BAD_STATE there.
 *
 * An operation that was started (its function returned 0) completes exactly once: its callback is
 * called with a status of 0 or less.  It is never called before the starting function returned.
 *
 * Paths are dotted text ("kitchen.lamp:2.on", ":" is the root); values are one CBOR item each, as
 * raw bytes.  All pointers handed to callbacks are borrowed and valid until the callback returns.
 */
#ifndef MOATKV_CLIENT_H
#define MOATKV_CLIENT_H

#include <moatkv/error.h>
#include <moatkv/version.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct moatkv moatkv;
typedef struct moatkv_options moatkv_options;
typedef struct moatkv_entry moatkv_entry;
typedef struct moatkv_child moatkv_child;
typedef struct moatkv_conflict moatkv_conflict;
typedef struct moatkv_event moatkv_event;

/*
 * A borrowed run of bytes; two words that travel by value, since a path may hold any character,
 * NUL included, and a value any byte.
 */
typedef struct moatkv_bytes {
    const void *at;
    size_t len;
} moatkv_bytes;

/* The bytes of a C string, without its NUL.  NULL gives none. */
MOATKV_API moatkv_bytes moatkv_text(const char *text);

/*
 * New options hold the defaults:
 *
 *     servers  MOAT_KV_SERVER (one or more, separated by commas), else "unix:" and the socket of
 *              the default server of this user: $XDG_STATE_HOME (~/.local/state) and
 *              /moat-kv/link.sock; for root /var/lib/moat-kv/link.sock
 *              But if this user has logged in by `moat-kv login`, and MOAT_KV_SERVER is not set: the
 *              server of that login
 *     login    MOAT_KV_TOKEN ("": none), else $XDG_CONFIG_HOME (~/.config) and
 *              /moat-kv/token.yaml if it is there: it counts for its own server alone
 *     broker   MOAT_KV_BROKER, else none
 *     root     MOAT_KV_ROOT, else "moat/main"; only used to ask a broker for a server
 *
 * A value in the environment that is not valid is reported by moatkv_open().
 */

/* NULL: out of memory. */
MOATKV_API moatkv_options *moatkv_options_new(void);
MOATKV_API void moatkv_options_free(moatkv_options *options);

/*
 * Replaces the servers: addresses separated by commas, tried in this order, as "unix:/path" or
 * "tls://host:port" or "tcp://host:port".  "" for none: a server is then asked for at the broker.  BAD_ARGUMENT,
 * NO_MEMORY.
 */
MOATKV_API int moatkv_options_set_servers(moatkv_options *options, const char *addresses);

/*
 * "mqtt://host:port" or "unix:/path"; "" for none.  If no servers have been named, by the function
 * above or in the environment, those at this broker are meant, and not the default one.
 * BAD_ARGUMENT, NO_MEMORY.
 */
MOATKV_API int moatkv_options_set_broker(moatkv_options *options, const char *address);

/* The topic root.  BAD_TOPIC, NO_MEMORY. */
MOATKV_API int moatkv_options_set_root(moatkv_options *options, const char *root);

/*
 * Logs in as @user, by SCRAM, at whatever server; over tls:// and loopback only.  The password never leaves this
 * process.  Without a CA the server's certificate is not checked: it proves by the password that it is the right
 * one, over this very connection; but somebody in between could then try passwords against what was said.
 * The first login takes about half a second of computing.  BAD_ARGUMENT.
 */
MOATKV_API int moatkv_options_set_login(moatkv_options *options,
                                        const char *user,
                                        const char *password);

/* A PEM file: servers of tls:// must have a certificate in it, or one signed by it, for their host.  BAD_ARGUMENT. */
MOATKV_API int moatkv_options_set_ca(moatkv_options *options, const char *file);

/* How this program introduces itself to the server, for its logs.  BAD_ARGUMENT, NO_MEMORY. */
MOATKV_API int moatkv_options_set_software(moatkv_options *options, const char *software);

/*
 * In words, what was wrong with the last setting that failed, or with the environment; "" if
 * nothing was.  Valid until the options are next changed.
 */
MOATKV_API const char *moatkv_options_detail(const moatkv_options *options);

/*
 * Makes a handle and starts to connect; @options may be NULL for the defaults and is not needed
 * any more afterwards.  Never blocks.  BAD_ARGUMENT (a bad address; no server and no broker),
 * NO_MEMORY, IO.
 */
MOATKV_API int moatkv_open(const moatkv_options *options, moatkv **ret_kv);

/*
 * Says goodbye and frees everything.  What was not acknowledged is given up: call moatkv_flush()
 * first.  Operations still open complete with CANCELLED.  NULL is fine.  From within a callback it
 * takes effect when the running moatkv_dispatch() ends; that returns CLOSED, and the handle is gone.
 */
MOATKV_API void moatkv_close(moatkv *kv);

/*
 * Keeps the login of this handle, which was one by password over tls://, in @file (mode 0600; NULL: where
 * options look for it): what was made of the password, and the server's fingerprint.  BAD_STATE: there was no such login.  IO.
 */
MOATKV_API int moatkv_save_login(moatkv *kv, const char *file);

/* One descriptor to poll for reading; it stays the same for the handle's life. */
MOATKV_API int moatkv_fd(const moatkv *kv);

/*
 * After how many milliseconds moatkv_dispatch() must be called even if the descriptor has nothing
 * to read; 0: now.
 */
MOATKV_API int moatkv_timeout_ms(const moatkv *kv);

/*
 * Does what can be done without waiting, calls callbacks, and returns.  BAD_STATE within a
 * callback; CLOSED: a callback closed the handle.  Network trouble is no error here.
 */
MOATKV_API int moatkv_dispatch(moatkv *kv);

/* Waits up to @timeout_ms (-1: without end) for something to do, and dispatches once. */
MOATKV_API int moatkv_wait(moatkv *kv, int timeout_ms);

/*
 * Waits until there is a session with a server.  -1: until each address has been tried once and,
 * with a broker, a server has been asked for (5 s).  NO_CONNECTION, TIMEOUT; moatkv_detail() says
 * what was tried.  BAD_STATE, CLOSED.
 */
MOATKV_API int moatkv_connect(moatkv *kv, int timeout_ms);

/*
 * Waits until every write has been acknowledged or refused.  TIMEOUT: some have not, yet; they
 * will be repeated as long as the handle lives.  BAD_STATE, CLOSED.
 */
MOATKV_API int moatkv_flush(moatkv *kv, int timeout_ms);

/*
 * What happened last, in words, with the mend: "no server at unix:/...: connection refused; ...".
 * Empty if nothing is wrong.  Valid until the next call with this handle.
 */
MOATKV_API const char *moatkv_detail(moatkv *kv);

/* The name of the server this handle has a session with; "" without one.  Valid as above. */
MOATKV_API const char *moatkv_server_name(moatkv *kv);

/* How many writes are neither acknowledged nor refused. */
MOATKV_API size_t moatkv_unacknowledged(const moatkv *kv);

/* The path as dotted text; also NUL-terminated. */
MOATKV_API moatkv_bytes moatkv_entry_path(const moatkv_entry *entry);

/* Whether it is a tombstone: the entry was deleted, and there is no value. */
MOATKV_API int moatkv_entry_deleted(const moatkv_entry *entry);

/* The raw CBOR item; empty for a tombstone, `null` in a read of keys only. */
MOATKV_API moatkv_bytes moatkv_entry_value(const moatkv_entry *entry);

/*
 * The cluster's update counter when it was written.  Servers with a clock they trust keep it at
 * (milliseconds since 2020-01-01T00:00:00Z) << 12 or above.
 */
MOATKV_API uint64_t moatkv_entry_tock(const moatkv_entry *entry);

/*
 * The ticks (server name, number of the session with it, counter): number 0 names this very
 * update, the others those that its writer knew it replaces, newest first.  BAD_ARGUMENT if there
 * are not so many.
 */
MOATKV_API size_t moatkv_entry_n_ticks(const moatkv_entry *entry);
MOATKV_API int moatkv_entry_tick(const moatkv_entry *entry,
                                 size_t i,
                                 moatkv_bytes *ret_name,
                                 uint64_t *ret_seq,
                                 uint64_t *ret_counter);

/* A copy that is yours.  NULL: out of memory. */
MOATKV_API moatkv_entry *moatkv_entry_copy(const moatkv_entry *entry);
MOATKV_API void moatkv_entry_free(moatkv_entry *entry);

/* Completion; @entry is as the operation says, else NULL. */
typedef void (*moatkv_on_entry)(void *user, int status, const moatkv_entry *entry);

/*
 * Reads one entry.  Statuses: 0 with the entry; NOT_FOUND, with the tombstone if there is one;
 * CANCELLED, errors of the server.  Without a connection it waits for one.
 * Returns BAD_PATH and its like, QUEUE_FULL (1,000 operations wait), NO_MEMORY.
 */
MOATKV_API int moatkv_get(moatkv *kv, moatkv_bytes path, moatkv_on_entry done, void *user);

enum {
    MOATKV_ROW = 1, /* a status: one row, more may follow */

    MOATKV_TOMBSTONES = 1, /* flags of a read: with deleted entries, ... */
    MOATKV_KEYS_ONLY = 2   /* ... or without the values */
};

/* What to read.  Set @size to sizeof(moatkv_read_how): it tells which fields you know. */
typedef struct moatkv_read_how {
    size_t size;
    uint32_t depth_min; /* 0: the path itself; 1: its children; ... */
    uint32_t depth_max; /* 64: everything below */
    uint32_t flags;     /* MOATKV_TOMBSTONES | MOATKV_KEYS_ONLY */
} moatkv_read_how;

/*
 * Reads the entries at and below a path, in the order of paths.  The callback gets status
 * MOATKV_ROW with each entry, then once 0 or an error without one (CLOSED: the connection broke
 * after some rows had come; read again).  @how may be NULL: everything.  @ret_id may be NULL.
 * Returns as moatkv_get(), and BAD_ARGUMENT.
 */
MOATKV_API int moatkv_read(moatkv *kv,
                           moatkv_bytes path,
                           const moatkv_read_how *how,
                           moatkv_on_entry on_row,
                           void *user,
                           uint64_t *ret_id);

/* The child's path as dotted text, also NUL-terminated; how many entries live at and below it; and
 * whether it has a value itself. */
MOATKV_API moatkv_bytes moatkv_child_path(const moatkv_child *child);
MOATKV_API uint64_t moatkv_child_n_entries(const moatkv_child *child);
MOATKV_API int moatkv_child_has_value(const moatkv_child *child);

typedef void (*moatkv_on_child)(void *user, int status, const moatkv_child *child);

/* Reads the immediate children, called back like moatkv_read(). */
MOATKV_API int moatkv_list(
    moatkv *kv, moatkv_bytes path, moatkv_on_child on_child, void *user, uint64_t *ret_id);

enum {
    MOATKV_BLIND = 1 /* a flag of set and delete: do not look what is there before */
};

/*
 * Writes one entry.  Completes with 0 once it is on the disk of a server, with the entry as
 * written; until then it is kept and repeated.  It is refused for good with FUTURE, STALE,
 * NOT_AUTHORISED, REFUSED ...  A guarded broker says NOT_AUTHORISED also for a tock that is too far
 * ahead and for more messages than it takes in a time; which it was is in its log.
 *
 * A write names the value that it replaces, so that the loser of a true conflict can be told from
 * an old value.  That value is taken from a synced watch of this handle, else read first
 * (a round trip to the server), or left out with MOATKV_BLIND.  @value is copied.
 *
 * Returns BAD_PATH and its like, errors of CBOR, TOO_LARGE, QUEUE_FULL (1,000 writes or 16 MiB wait
 * to be acknowledged: wait for a MOATKV_EVENT_ROOM), NO_MEMORY.
 */
MOATKV_API int moatkv_set(moatkv *kv,
                          moatkv_bytes path,
                          moatkv_bytes value,
                          uint32_t flags,
                          moatkv_on_entry done,
                          void *user);
MOATKV_API int moatkv_delete(
    moatkv *kv, moatkv_bytes path, uint32_t flags, moatkv_on_entry done, void *user);

/* The same, naming @known (what the caller saw; copied) as the value that is replaced. */
MOATKV_API int moatkv_set_over(moatkv *kv,
                               moatkv_bytes path,
                               moatkv_bytes value,
                               const moatkv_entry *known,
                               moatkv_on_entry done,
                               void *user);
MOATKV_API int moatkv_delete_over(
    moatkv *kv, moatkv_bytes path, const moatkv_entry *known, moatkv_on_entry done, void *user);

enum moatkv_watch_kind {
    MOATKV_WATCH_STATE = 1,     /* an entry, as it was when the watch began */
    MOATKV_WATCH_SYNCED = 2,    /* all of the state has come; again after each reconnection */
    MOATKV_WATCH_CHANGE = 3,    /* an entry was written or deleted */
    MOATKV_WATCH_WITHDRAWN = 4, /* a change that was told is not at the server, for a minute now */
    MOATKV_WATCH_END = 5        /* cancelled, or the handle was closed: @status says which error */
};

/* @entry for STATE, CHANGE and WITHDRAWN, else NULL; @status for END, else 0. */
typedef void (*moatkv_on_watch)(void *user, int kind, int status, const moatkv_entry *entry);

/*
 * Watches a path and everything below it: the state, a SYNCED, then each change as it comes.  An
 * entry never goes back to an older state, except by WITHDRAWN: its entry, a deleted one, names the
 * update that is to be forgotten, and a CHANGE with what the server has follows, if it has any.
 * A change may be told twice with the same value, if its writer had to write it anew.  Ends only by moatkv_cancel() or
 * moatkv_close() or when the server or broker refuses it, with one END.  At most 64 watches.
 * Returns as moatkv_get().
 */
MOATKV_API int moatkv_watch(
    moatkv *kv, moatkv_bytes path, moatkv_on_watch on_watch, void *user, uint64_t *ret_id);

/*
 * Ends a watch, a read, a list or moatkv_conflicts(); its callback gets CANCELLED.  NOT_FOUND: it has completed.
 */
MOATKV_API int moatkv_cancel(moatkv *kv, uint64_t id);

/* @report is a CBOR map with text keys, for people and monitoring. */
typedef void (*moatkv_on_report)(void *user, int status, moatkv_bytes report);
typedef void (*moatkv_on_done)(void *user, int status);

MOATKV_API int moatkv_status(moatkv *kv, moatkv_on_report done, void *user);
MOATKV_API int moatkv_ping(moatkv *kv, moatkv_on_done done, void *user);

/*
 * What the server knows of the servers of its cluster, members that are away included: @on_row gets
 * status MOATKV_ROW with a report for each, then once 0 or an error without one (CLOSED: the
 * connection broke after some had come).  @ret_id may be NULL.  Returns as moatkv_get().
 */
MOATKV_API int moatkv_servers(moatkv *kv, moatkv_on_report on_row, void *user, uint64_t *ret_id);

/*
 * Takes a server out of the cluster, so that the others no longer wait for it before they forget
 * what was deleted.  Should it come back, it joins anew; what it alone still holds of the time before
 * is set aside there.  @id: 32 hexadecimal digits, as its report says.  Completes with 0 once that
 * is on the disk of a server; NOT_FOUND: no such member.  Returns as moatkv_get(), and BAD_ARGUMENT.
 */
MOATKV_API int moatkv_evict(moatkv *kv, moatkv_bytes id, moatkv_on_done done, void *user);

/*
 * A conflict: an update that was overwritten by one whose writer did not know of it, or that came
 * too late to overwrite such a one.  Everywhere the same update stays; the other is lost, but kept
 * here by the servers, for as long as there is room.
 */

/* Names it: the same at all servers of a cluster, and each time it is told. */
MOATKV_API uint64_t moatkv_conflict_id(const moatkv_conflict *conflict);

/* Whether it is only possible: so much has happened to the entry that nobody knows for certain. */
MOATKV_API int moatkv_conflict_possible(const moatkv_conflict *conflict);

/* When a server found it, as moatkv_entry_tock(). */
MOATKV_API uint64_t moatkv_conflict_tock(const moatkv_conflict *conflict);

/* How many conflicts of the same path came after it that were only counted: one a second is kept. */
MOATKV_API uint64_t moatkv_conflict_more(const moatkv_conflict *conflict);

/* What was lost, and what it lost to: of that the value is not told, but given as `null`. */
MOATKV_API const moatkv_entry *moatkv_conflict_loser(const moatkv_conflict *conflict);
MOATKV_API const moatkv_entry *moatkv_conflict_winner(const moatkv_conflict *conflict);

enum {
    MOATKV_FOLLOW = 1, /* a flag of moatkv_conflicts(): go on with those that come */
    MOATKV_SYNCED = 2  /* a status: all that there were have been told */
};

typedef void (*moatkv_on_conflict)(void *user, int status, const moatkv_conflict *conflict);

/*
 * Reads the conflicts at and below a path, those with the latest news last.  The callback gets
 * status MOATKV_ROW with each, then once 0 or an error without one.
 *
 * With MOATKV_FOLLOW there is no end: it gets MOATKV_SYNCED without one when all that there were
 * have been told (again after each reconnection), and from then on MOATKV_ROW with each that is
 * found.  One is told again only if its moatkv_conflict_more() has grown.  It goes on over other
 * links and servers without telling what has been told, and ends by moatkv_cancel(), moatkv_close(),
 * or an error of the server.  At most 4 may be followed.
 *
 * Returns as moatkv_get(), BAD_ARGUMENT, TOO_MANY.  @ret_id may be NULL.
 */
MOATKV_API int moatkv_conflicts(moatkv *kv,
                                moatkv_bytes path,
                                uint32_t flags,
                                moatkv_on_conflict on_conflict,
                                void *user,
                                uint64_t *ret_id);

enum moatkv_event_kind {
    MOATKV_EVENT_CONNECTED = 1,    /* there is a session with a server: text is its name */
    MOATKV_EVENT_DISCONNECTED = 2, /* the link is lost: code and text say why */
    MOATKV_EVENT_FAILED = 3,       /* an attempt to connect failed, or the broker refused a
                                      subscription of a watch, which asks again: code and text */
    MOATKV_EVENT_READY = 4,        /* writes are heard by the server */
    MOATKV_EVENT_CONFLICT = 5,     /* a write of this handle lost: loser and winner; code 0, or 1 if
                                      the history was cut and it is only possible */
    MOATKV_EVENT_STORING = 6,      /* code 0: the server stores again; else why it cannot now */
    MOATKV_EVENT_ROOM = 7,         /* after a QUEUE_FULL there is room for writes again */
    MOATKV_EVENT_REPAIRED = 8      /* a watch had missed something and was made good: text */
};

typedef void (*moatkv_on_event)(void *user, const moatkv_event *event);

/* Who is told of events; NULL for nobody.  Replaces the former one. */
MOATKV_API void moatkv_set_event_callback(moatkv *kv, moatkv_on_event on_event, void *user);

MOATKV_API int moatkv_event_kind(const moatkv_event *event);
MOATKV_API int moatkv_event_code(const moatkv_event *event);
MOATKV_API moatkv_bytes moatkv_event_text(const moatkv_event *event); /* also NUL-terminated */
MOATKV_API const moatkv_entry *moatkv_event_loser(const moatkv_event *event);  /* or NULL */
MOATKV_API const moatkv_entry *moatkv_event_winner(const moatkv_event *event); /* or NULL */

/* Of a CONFLICT: how many others of this handle before it were not told, since they were too many. */
MOATKV_API uint64_t moatkv_event_more(const moatkv_event *event);

/*
 * As above, but wait for the completion, up to @timeout_ms (-1: without end), and return its
 * status.  Callbacks of other operations are called meanwhile.  TIMEOUT: a read was cancelled; a
 * write may still be stored, and is repeated as long as the handle lives.
 *
 * *ret_entry (may be NULL) is yours: free it with moatkv_entry_free().  NULL with any status but 0,
 * except that moatkv_get_sync() gives the tombstone with NOT_FOUND if there is one.
 */
MOATKV_API int moatkv_get_sync(moatkv *kv,
                               moatkv_bytes path,
                               int timeout_ms,
                               moatkv_entry **ret_entry);
MOATKV_API int moatkv_set_sync(
    moatkv *kv, moatkv_bytes path, moatkv_bytes value, uint32_t flags, int timeout_ms);
MOATKV_API int moatkv_delete_sync(moatkv *kv, moatkv_bytes path, uint32_t flags, int timeout_ms);

/*
 * Sets the password of @user at this server, which gets only what it needs to check it.  It is computed here, and
 * takes about half a second.  Statuses: 0, NOT_AUTHORISED, BAD_NAME, READ_ONLY.  Returns BAD_ARGUMENT (a password of 1 to
 * 1,024 bytes without control characters is needed), QUEUE_FULL, NO_MEMORY.
 */
MOATKV_API int moatkv_passwd(
    moatkv *kv, const char *user, const char *password, moatkv_on_done done, void *data);

#ifdef __cplusplus
}
#endif

#endif
