/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes what it reads, as fast as the library takes it, and says what became of each write.
 *
 *     writer SERVER [blind] [linger]
 *
 * Standard input: lines of a dotted path, a tab and a value as CBOR in hexadecimal (nothing:
 * delete).  Standard output: for each write that completed a line with its number (from 1) and
 * its status, 0 for acknowledged, then with the stamp it was written with; for each conflict that
 * was reported "lost", the path, and the stamps of loser and winner.  A stamp is tock, name, seq
 * and counter.  Such a line is out before anything else is done.  Ends when the input has ended and
 * all is answered, with "linger" not before SIGTERM.
 */
#include <errno.h>
#include <inttypes.h>
#include <moatkv/client.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES  (4U << 20)
#define PATH_MAX_BYTES  8192U
#define STAMP_MAX_BYTES 192U

struct writer {
    moatkv *kv;
    uint32_t flags;
    bool linger;
    char *line; /* read so far; LINE_MAX_BYTES */
    size_t len;
    bool eof;
    uintptr_t n_started;
    uintptr_t n_done;
};

static struct writer writer;

static void say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) != (ssize_t)strlen(text)) {
        abort();
    }
}

/* " tock name seq counter", or nothing if there is no entry. */
static void put_stamp(char stamp[STAMP_MAX_BYTES], const moatkv_entry *entry)
{
    moatkv_bytes name;
    uint64_t seq;
    uint64_t counter;

    stamp[0] = '\0';
    if (entry != NULL && moatkv_entry_tick(entry, 0, &name, &seq, &counter) == 0) {
        (void)snprintf(stamp, STAMP_MAX_BYTES, " %" PRIu64 " %.*s %" PRIu64 " %" PRIu64,
                       moatkv_entry_tock(entry), (int)name.len, (const char *)name.at, seq,
                       counter);
    }
}

static void on_done(void *user, int status, const moatkv_entry *entry)
{
    char stamp[STAMP_MAX_BYTES];
    char text[STAMP_MAX_BYTES + 64];

    put_stamp(stamp, entry);
    (void)snprintf(text, sizeof(text), "%zu %d%s\n", (size_t)(uintptr_t)user, status, stamp);
    writer.n_done++;
    say(text);
}

static void tell_conflict(const moatkv_event *event)
{
    const moatkv_entry *loser = moatkv_event_loser(event);
    const moatkv_entry *winner = moatkv_event_winner(event);
    char stamps[2][STAMP_MAX_BYTES];
    char text[PATH_MAX_BYTES + 2 * STAMP_MAX_BYTES];

    if (loser == NULL || winner == NULL) {
        return;
    }
    put_stamp(stamps[0], loser);
    put_stamp(stamps[1], winner);
    (void)snprintf(text, sizeof(text), "lost %.*s%s%s\n", (int)moatkv_entry_path(loser).len,
                   (const char *)moatkv_entry_path(loser).at, stamps[0], stamps[1]);
    say(text);
}

static void on_event(void *user, const moatkv_event *event)
{
    (void)user;
    if (moatkv_event_kind(event) == MOATKV_EVENT_CONFLICT) {
        tell_conflict(event);
        return;
    }
    (void)fprintf(stderr, "event %d, code %d: %s\n", moatkv_event_kind(event),
                  moatkv_event_code(event), (const char *)moatkv_event_text(event).at);
}

static unsigned digit_of(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

/* In place; returns the number of bytes. */
static size_t unhex(char *text, size_t len)
{
    for (size_t i = 0; i + 1 < len; i += 2) {
        text[i / 2] = (char)(digit_of(text[i]) << 4 | digit_of(text[i + 1]));
    }
    return len / 2;
}

/* Starts the write in the first line, of @len bytes.  False: no room, try again later. */
static bool start_write(const char *line, size_t len)
{
    char *copy = malloc(len);
    const char *tab = memchr(line, '\t', len);
    void *user = (void *)(writer.n_started + 1);
    int error;

    if (copy == NULL || tab == NULL) {
        abort();
    }
    memcpy(copy, line, len);

    moatkv_bytes path = {copy, (size_t)(tab - line)};
    char *value = copy + path.len + 1;
    size_t value_len = unhex(value, len - path.len - 1);

    if (value_len == 0) {
        error = moatkv_delete(writer.kv, path, writer.flags, on_done, user);
    } else {
        error = moatkv_set(writer.kv, path, (moatkv_bytes){value, value_len}, writer.flags, on_done,
                           user);
    }
    free(copy);
    if (error == MOATKV_E_QUEUE_FULL) {
        return false;
    }
    writer.n_started++;
    if (error != 0) {
        on_done(user, error, NULL);
    }
    return true;
}

/* Starts what can be started of the lines read; whether more may be read. */
static bool start_writes(void)
{
    size_t start = 0;
    bool room = true;
    const char *end;

    while (room && (end = memchr(writer.line + start, '\n', writer.len - start)) != NULL) {
        size_t len = (size_t)(end - (writer.line + start));

        room = start_write(writer.line + start, len);
        start += room ? len + 1 : 0;
    }
    memmove(writer.line, writer.line + start, writer.len - start);
    writer.len -= start;
    return room && writer.len < LINE_MAX_BYTES;
}

static void read_more(void)
{
    ssize_t n = read(STDIN_FILENO, writer.line + writer.len, LINE_MAX_BYTES - writer.len);

    if (n < 0 && errno != EINTR) {
        abort();
    }
    writer.eof = n == 0;
    writer.len += n > 0 ? (size_t)n : 0;
}

static void run(void)
{
    while (!writer.eof || writer.len > 0 || writer.n_done < writer.n_started || writer.linger) {
        bool wants = start_writes() && !writer.eof;
        struct pollfd fds[2] = {{.fd = moatkv_fd(writer.kv), .events = POLLIN},
                                {.fd = STDIN_FILENO, .events = POLLIN}};

        if (poll(fds, wants ? 2 : 1, moatkv_timeout_ms(writer.kv)) < 0 && errno != EINTR) {
            abort();
        }
        if (wants && fds[1].revents != 0) {
            read_more();
        }
        if (moatkv_dispatch(writer.kv) != 0) {
            abort();
        }
    }
}

static int open_handle(const char *server)
{
    moatkv_options *options = moatkv_options_new();
    int error = MOATKV_E_NO_MEMORY;

    if (options != NULL) {
        error = moatkv_options_set_servers(options, server);
    }
    if (error == 0) {
        error = moatkv_open(options, &writer.kv);
    }
    moatkv_options_free(options);
    return error;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: writer SERVER [blind] [linger]\n");
        return 2;
    }
    writer.line = malloc(LINE_MAX_BYTES);
    for (int i = 2; i < argc; i++) {
        writer.flags |= strcmp(argv[i], "blind") == 0 ? MOATKV_BLIND : 0;
        writer.linger = writer.linger || strcmp(argv[i], "linger") == 0;
    }

    int error = writer.line == NULL ? MOATKV_E_NO_MEMORY : open_handle(argv[1]);

    if (error != 0) {
        (void)fprintf(stderr, "writer: %s\n", moatkv_strerror(error));
        return 1;
    }
    moatkv_set_event_callback(writer.kv, on_event, NULL);
    run();
    moatkv_close(writer.kv);
    free(writer.line);
    return 0;
}
