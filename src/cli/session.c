/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/say.h"

#define SILENCE_MS     10000 /* without --timeout */
#define CONFLICTS_TOLD 10U   /* of more only the number is told */

/* Bits of cli->told. */
#define TOLD_LOSS       1U
#define TOLD_CONNECTION 2U
#define TOLD_STORING    4U

int64_t mkv_session_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* this clock always exists */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void mkv_session_progress(struct mkv_cli *cli)
{
    cli->progress_ms = mkv_session_now_ms();
    cli->told = 0;
}

void mkv_session_stored(struct mkv_cli *cli)
{
    cli->storing = 0;
    mkv_session_progress(cli);
}

/* Whether the user is to be told this: once, until something went on. */
static bool is_news(struct mkv_cli *cli, unsigned what)
{
    bool news = (cli->told & what) == 0 && !cli->quiet;

    cli->told |= what;
    return news;
}

static struct mkv_bytes bytes_of(moatkv_bytes bytes)
{
    return mkv_bytes(bytes.at, bytes.len);
}

/* "" if it cannot be shown: then the sentence must do without it. */
static const char *show(const moatkv_entry *entry, struct mkv_buf *text)
{
    int error = moatkv_entry_deleted(entry)
                    ? mkv_buf_append(text, mkv_bytes_of("a deletion"))
                    : mkv_format_line(bytes_of(moatkv_entry_value(entry)), text);

    if (error == 0) {
        error = mkv_buf_append_u8(text, '\0');
    }
    return error == 0 ? (const char *)text->at : "";
}

static void tell_conflict(const moatkv_entry *winner, bool certain)
{
    struct mkv_buf text;
    moatkv_bytes path = moatkv_entry_path(winner);
    moatkv_bytes writer = {0};
    uint64_t seq = 0;
    uint64_t counter = 0;

    mkv_buf_init(&text, SIZE_MAX / 2);
    (void)moatkv_entry_tick(winner, 0, &writer, &seq, &counter); /* every entry has one */
    (void)mkv_say(MKV_EXIT_CONFLICT,
                  "%.*s: this write lost to a concurrent one%s, by %.*s %llu %llu, which holds: %s",
                  (int)path.len, (const char *)path.at, certain ? "" : " (which may have known it)",
                  (int)writer.len, (const char *)writer.at, (unsigned long long)seq,
                  (unsigned long long)counter, show(winner, &text));
    mkv_buf_deinit(&text);
}

static void take_conflict(struct mkv_cli *cli, const moatkv_event *event)
{
    const moatkv_entry *winner = moatkv_event_winner(event);

    cli->n_conflicts += 1 + moatkv_event_more(event);
    if (winner != NULL && cli->n_conflicts <= CONFLICTS_TOLD) {
        tell_conflict(winner, moatkv_event_code(event) == 0);
    }
}

/*
 * That it can store again is believed when something has been stored: a server without room may go
 * back and forth.
 */
static void take_storing(struct mkv_cli *cli, const moatkv_event *event)
{
    moatkv_bytes text = moatkv_event_text(event);

    if (moatkv_event_code(event) == 0) {
        return;
    }
    cli->storing = moatkv_event_code(event);
    if (is_news(cli, TOLD_STORING)) {
        (void)mkv_say(MKV_EXIT_OK, "the server cannot store now: %.*s; waiting", (int)text.len,
                      (const char *)text.at);
    }
}

static void take_loss(struct mkv_cli *cli, const moatkv_event *event)
{
    moatkv_bytes text = moatkv_event_text(event);

    cli->link_lost = true;
    if (is_news(cli, TOLD_LOSS)) {
        (void)mkv_say(MKV_EXIT_OK, "lost the server: %.*s; trying to reach it again", (int)text.len,
                      (const char *)text.at);
    }
}

/* The first time it gives the operation its full time again; but a link that comes and goes is no
 * progress. */
static void take_connection(struct mkv_cli *cli)
{
    if ((cli->told & TOLD_CONNECTION) == 0) {
        cli->progress_ms = mkv_session_now_ms();
    }
    if (is_news(cli, TOLD_CONNECTION) && cli->link_lost) {
        (void)mkv_say(MKV_EXIT_OK, "found a server again");
    }
    cli->link_lost = false;
}

static void on_event(void *user, const moatkv_event *event)
{
    struct mkv_cli *cli = user;

    switch (moatkv_event_kind(event)) {
    case MOATKV_EVENT_CONNECTED:
        take_connection(cli);
        break;
    case MOATKV_EVENT_DISCONNECTED:
        take_loss(cli, event);
        break;
    case MOATKV_EVENT_CONFLICT:
        take_conflict(cli, event);
        break;
    case MOATKV_EVENT_STORING:
        take_storing(cli, event);
        break;
    default: /* new kinds may come, and are not for us */
        break;
    }
}

/* While it opens: the state comes with the session, and many verbs only read. */
static void on_first_event(void *user, const moatkv_event *event)
{
    struct mkv_cli *cli = user;

    if (moatkv_event_kind(event) == MOATKV_EVENT_STORING) {
        cli->storing = moatkv_event_code(event);
    }
    if (moatkv_event_kind(event) == MOATKV_EVENT_FAILED) {
        cli->refused = cli->refused || moatkv_event_code(event) == MOATKV_E_NOT_AUTHORISED;
    }
}

static int set_options(const struct mkv_cli *cli, moatkv_options *options)
{
    int error = moatkv_options_set_software(options, "moat-kv/" MKV_VERSION);

    if (error == 0 && cli->servers.len > 0) {
        error = moatkv_options_set_servers(options, (const char *)cli->servers.at);
        if (error != 0) {
            (void)mkv_say(MKV_EXIT_USAGE,
                          "--server: '%s' is no address; write unix:/PATH or tcp://HOST:PORT",
                          (const char *)cli->servers.at);
            return error;
        }
    }
    if (error == 0 && cli->broker != NULL) {
        error = moatkv_options_set_broker(options, cli->broker);
        if (error != 0) {
            (void)mkv_say(MKV_EXIT_USAGE,
                          "--broker: '%s' is no address; write mqtt://HOST:PORT or unix:/PATH",
                          cli->broker);
            return error;
        }
    }
    if (error == 0 && cli->user != NULL) {
        error = moatkv_options_set_login(options, cli->user, cli->password);
    }
    if (error == 0 && cli->ca != NULL) {
        error = moatkv_options_set_ca(options, cli->ca);
    }
    if (error == 0 && cli->root != NULL) {
        error = moatkv_options_set_root(options, cli->root);
        if (error != 0) {
            (void)mkv_say(MKV_EXIT_USAGE, "--root: '%s' is no topic; write it like moat/main",
                          cli->root);
            return error;
        }
    }
    if (error != 0) {
        (void)mkv_say(MKV_EXIT_USAGE, "%s", moatkv_strerror(error));
    }
    return error;
}

static enum mkv_exit make_handle(struct mkv_cli *cli)
{
    moatkv_options *options = moatkv_options_new();

    if (options == NULL) {
        return mkv_say(MKV_EXIT_BAD_DATA, "%s", moatkv_strerror(MOATKV_E_NO_MEMORY));
    }

    enum mkv_exit status = MKV_EXIT_OK;

    if (set_options(cli, options) != 0) {
        status = MKV_EXIT_USAGE;
    } else {
        int error = moatkv_open(options, &cli->kv);

        if (error != 0) {
            const char *detail = moatkv_options_detail(options);

            status = mkv_say(mkv_exit_of(error),
                             "cannot begin: %s; look at --server, --broker, MOAT_KV_SERVER, "
                             "MOAT_KV_BROKER and MOAT_KV_ROOT",
                             detail[0] != '\0' ? detail : moatkv_strerror(error));
        }
    }
    moatkv_options_free(options);
    return status;
}

enum mkv_exit mkv_session_open(struct mkv_cli *cli)
{
    enum mkv_exit status = make_handle(cli);

    if (status != MKV_EXIT_OK) {
        return status;
    }

    moatkv_set_event_callback(cli->kv, on_first_event, cli);

    int error = moatkv_connect(cli->kv, cli->timeout_ms);

    if (error == 0) {
        moatkv_set_event_callback(cli->kv, on_event, cli);
        mkv_session_progress(cli);
        return MKV_EXIT_OK;
    }
    status = mkv_session_fail(cli, error, "no server");
    mkv_session_close(cli);
    return cli->refused ? MKV_EXIT_NOT_AUTHORISED : status;
}

void mkv_session_close(struct mkv_cli *cli)
{
    if (cli->kv != NULL) {
        moatkv *kv = cli->kv;

        cli->kv = NULL;
        moatkv_close(kv);
    }
}

enum mkv_exit mkv_session_catch_signals(struct mkv_cli *cli)
{
    sigset_t signals;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    cli->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (cli->signal_fd < 0) {
        return mkv_say(MKV_EXIT_BAD_DATA, "cannot watch for signals: %s", strerror(errno));
    }
    return MKV_EXIT_OK;
}

static int shorter(int a_ms, int b_ms)
{
    if (a_ms < 0 || b_ms < 0) {
        return a_ms < 0 ? b_ms : a_ms;
    }
    return a_ms < b_ms ? a_ms : b_ms;
}

enum mkv_exit mkv_session_step(struct mkv_cli *cli, int wait_ms)
{
    enum mkv_exit status = mkv_out_flush(&cli->out);

    if (status != MKV_EXIT_OK) {
        return status;
    }

    /* Of the output only its end is asked for, which is reported without being named. */
    struct pollfd fds[] = {
        {.fd = moatkv_fd(cli->kv), .events = POLLIN},
        {.fd = cli->signal_fd, .events = POLLIN},
        {.fd = cli->ends_with_reader ? cli->out.fd : -1},
        {.fd = cli->also_fd, .events = POLLIN},
    };
    int n = poll(fds, 4, shorter(wait_ms, moatkv_timeout_ms(cli->kv)));

    if (n < 0 && errno != EINTR) {
        return mkv_say(MKV_EXIT_BAD_DATA, "cannot wait: %s", strerror(errno));
    }
    if (n > 0 && fds[1].revents != 0) {
        return MKV_EXIT_INTERRUPTED;
    }
    if (n > 0 && (fds[2].revents & (POLLERR | POLLHUP)) != 0) {
        return MKV_EXIT_PIPE;
    }

    int error = moatkv_dispatch(cli->kv);

    return error == 0 ? MKV_EXIT_OK : mkv_session_fail(cli, error, "connection");
}

static int silence_ms(const struct mkv_cli *cli)
{
    return cli->timeout_ms >= 0 ? cli->timeout_ms : SILENCE_MS;
}

static enum mkv_exit tell_silence(struct mkv_cli *cli)
{
    int limit_ms = silence_ms(cli);

    if (cli->storing != 0 && moatkv_unacknowledged(cli->kv) > 0) {
        return mkv_say(MKV_EXIT_NOT_WRITING,
                       "the server cannot store: %s; it was not acknowledged within %d.%d s",
                       moatkv_strerror(cli->storing), limit_ms / 1000, limit_ms % 1000 / 100);
    }
    return mkv_say(MKV_EXIT_NO_CONNECTION,
                   "no answer within %d.%d s%s%s; try again, or give it more time with --timeout",
                   limit_ms / 1000, limit_ms % 1000 / 100,
                   moatkv_detail(cli->kv)[0] != '\0' ? ": " : "", moatkv_detail(cli->kv));
}

enum mkv_exit mkv_session_wait(struct mkv_cli *cli, const bool *done)
{
    enum mkv_exit status = MKV_EXIT_OK;

    while (!*done && status == MKV_EXIT_OK) {
        int64_t left_ms = cli->progress_ms + silence_ms(cli) - mkv_session_now_ms();

        status = left_ms <= 0 ? tell_silence(cli) : mkv_session_step(cli, (int)left_ms);
    }
    if (status != MKV_EXIT_OK) {
        mkv_session_close(cli);
    }
    return status;
}

enum mkv_exit mkv_session_follow(struct mkv_cli *cli, const bool *done)
{
    int64_t end_ms = mkv_session_now_ms() + cli->timeout_ms;
    enum mkv_exit status = MKV_EXIT_OK;

    while (!*done && status == MKV_EXIT_OK) {
        int64_t left_ms = cli->timeout_ms < 0 ? -1 : end_ms - mkv_session_now_ms();

        if (cli->timeout_ms >= 0 && left_ms <= 0) {
            break;
        }
        status = mkv_session_step(cli, (int)left_ms);
    }
    return status;
}

struct pong {
    struct mkv_cli *cli;
    bool done;
};

static void on_pong(void *user, int status)
{
    struct pong *pong = user;

    (void)status; /* without an answer there is nothing more to learn */
    pong->done = true;
    mkv_session_progress(pong->cli);
}

enum mkv_exit mkv_session_settle(struct mkv_cli *cli)
{
    struct pong pong = {.cli = cli};

    mkv_session_progress(cli);

    int error = moatkv_ping(cli->kv, on_pong, &pong);

    if (error != 0) {
        return mkv_session_fail(cli, error, "asking for conflicts");
    }

    enum mkv_exit status = mkv_session_wait(cli, &pong.done);

    if (status != MKV_EXIT_OK || cli->n_conflicts == 0) {
        return status;
    }
    if (cli->n_conflicts > CONFLICTS_TOLD) {
        (void)mkv_say(MKV_EXIT_CONFLICT,
                      "%llu writes or more lost to concurrent ones; 'moat-kv conflicts' lists them",
                      (unsigned long long)cli->n_conflicts);
    }
    return MKV_EXIT_CONFLICT;
}

enum mkv_exit mkv_session_fail(struct mkv_cli *cli, int error, const char *what)
{
    const char *detail = cli->kv != NULL ? moatkv_detail(cli->kv) : "";

    if (mkv_exit_of(error) == MKV_EXIT_NO_CONNECTION && detail[0] != '\0') {
        return mkv_say(MKV_EXIT_NO_CONNECTION, "%s", detail);
    }
    return mkv_say(mkv_exit_of(error), "%s: %s", what, moatkv_strerror(error));
}
