/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links with TLS on real sockets: who is trusted, who is not, and that nobody can hold up others.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include "io/certificate.h"
#include "io/tls.h"
#include "lib/prng.h"
#include "link_rig.h"

/* Files in a rig's directory. */
struct paper {
    char certificate[96];
    char key[96];
};

static struct paper make_paper(const struct rig *rig, const char *name, const char *host)
{
    struct mkv_certificate_options options = {.name = name, .n_hosts = 1, .hosts = {host}};
    struct mkv_why why = {{0}};
    struct paper paper;

    (void)snprintf(paper.certificate, sizeof(paper.certificate), "%s/%s.crt", rig->directory, name);
    (void)snprintf(paper.key, sizeof(paper.key), "%s/%s.key", rig->directory, name);
    if (mkv_certificate_make(&options, paper.certificate, paper.key, &why) != 0) {
        fail_msg("%s", why.text);
    }
    return paper;
}

static struct mkv_tls *server_tls(const struct paper *paper, const char *client_ca)
{
    struct mkv_tls_server_options options = {paper->certificate, paper->key, client_ca};
    struct mkv_why why = {{0}};
    struct mkv_tls *tls = NULL;

    if (mkv_tls_server_new(&options, &why, &tls) != 0) {
        fail_msg("%s", why.text);
    }
    return tls;
}

static struct mkv_tls *client_tls(const char *ca, const uint8_t *pin)
{
    struct mkv_tls_client_options options = {.ca = ca, .pin = pin, .anybody = ca == NULL && !pin};
    struct mkv_why why = {{0}};
    struct mkv_tls *tls = NULL;

    if (mkv_tls_client_new(&options, &why, &tls) != 0) {
        fail_msg("%s", why.text);
    }
    return tls;
}

struct secure {
    struct rig *rig;
    struct paper paper;
    struct mkv_tls *server;
    struct mkv_tls *client;
};

/* A listener with a certificate for 127.0.0.1. */
static struct secure secure_new(void)
{
    struct secure secure = {.rig = rig_new()};

    secure.paper = make_paper(secure.rig, "server", "127.0.0.1");
    secure.server = server_tls(&secure.paper, NULL);
    rig_listen(secure.rig, (struct mkv_listener_options){.link.tls = secure.server},
               "tls://127.0.0.1:0");
    return secure;
}

static void secure_connect(struct secure *secure, struct mkv_tls *client)
{
    struct mkv_link_options options = {.tls = client};

    secure->client = client;
    rig_connect(secure->rig, &options);
}

/* Ends the client's link, so that another one can be tried. */
static void secure_again(struct secure *secure)
{
    mkv_link_free(secure->rig->client.link);
    secure->rig->client.link = NULL;
    secure->rig->client.n_closed = 0;
    secure->rig->client.n_opened = 0;
    mkv_tls_free(secure->client);
    secure->client = NULL;
}

static void secure_free(struct secure *secure)
{
    rig_free(secure->rig);
    mkv_tls_free(secure->server);
    mkv_tls_free(secure->client);
}

static void test_echo(void **state)
{
    struct secure secure = secure_new();
    struct rig *rig = secure.rig;
    struct prng prng = {.state = 5};
    struct mkv_buf sent;

    (void)state;
    secure_connect(&secure, client_tls(secure.paper.certificate, NULL));
    rig_until(rig->loop, rig->client.n_opened == 1 && rig->n_ends == 1);
    assert_true(mkv_link_peer(rig->client.link)->is_secure);
    assert_true(mkv_link_peer(rig->ends[0].link)->is_secure);
    assert_string_equal(mkv_link_peer(rig->ends[0].link)->user, "");
    rig->ends[0].echo = true;
    mkv_buf_init(&sent, SIZE_MAX / 2);
    for (unsigned i = 0; i < 200; i++) {
        static uint8_t map[MKV_FRAME_MAX];
        size_t len = i == 100 ? MKV_FRAME_MAX : 1 + prng_below(&prng, i % 10 == 0 ? 60000 : 50);
        struct mkv_buf out;

        memset(map, (int)i, len);
        mkv_buf_init(&out, MKV_FRAME_MAX + 4);
        rig_add_frame(&out, map, len);
        assert_int_equal(mkv_buf_append(&sent, mkv_bytes(map, len)), 0);
        assert_int_equal(mkv_link_send(rig->client.link, mkv_buf_bytes(&out)), 0);
        mkv_buf_deinit(&out);
    }
    rig_until(rig->loop, rig->client.n_frames == 200);
    assert_int_equal(rig->client.heard.len, sent.len);
    assert_memory_equal(rig->client.heard.at, sent.at, sent.len);
    mkv_buf_deinit(&sent);

    /* What was sent before an orderly end arrives, and the end is an end. */
    rig->ends[0].echo = false;
    rig_send(rig->client.link, 50);
    mkv_link_close(rig->client.link);
    rig_until(rig->loop, rig->ends[0].n_closed == 1);
    assert_int_equal(rig->ends[0].n_frames, 250);
    assert_int_equal(rig->ends[0].error, MKV_E_CLOSED);
    mkv_link_free(rig->ends[0].link); /* hangs up, too */
    rig->ends[0].link = NULL;
    rig_until(rig->loop, rig->client.n_closed == 1);
    assert_int_equal(rig->client.error, 0);
    secure_free(&secure);
}

/* What has been received but not delivered is not forgotten. */
static void test_pause(void **state)
{
    struct secure secure = secure_new();
    struct rig *rig = secure.rig;

    (void)state;
    secure_connect(&secure, client_tls(secure.paper.certificate, NULL));
    rig_until(rig->loop, rig->client.n_opened == 1 && rig->n_ends == 1);
    rig->ends[0].pause_at = 7;
    rig_send(rig->client.link, 5000);
    rig_until(rig->loop, rig->ends[0].n_frames == 7);
    rig_idle(rig->loop, 50);
    assert_int_equal(rig->ends[0].n_frames, 7);
    mkv_link_resume(rig->ends[0].link);
    rig_until(rig->loop, rig->ends[0].n_frames == 5000);
    secure_free(&secure);
}

static void refused(struct secure *secure, struct mkv_tls *client, int error, const char *text)
{
    secure_connect(secure, client);
    rig_until(secure->rig->loop, secure->rig->client.n_closed == 1);
    assert_int_equal(secure->rig->client.error, error);
    assert_int_equal(secure->rig->client.n_opened, 0);
    if (strstr(secure->rig->client.why.text, text) == NULL) {
        fail_msg("%s", secure->rig->client.why.text);
    }
    secure_again(secure);
}

static void accepted(struct secure *secure, struct mkv_tls *client)
{
    secure_connect(secure, client);
    rig_until(secure->rig->loop, secure->rig->client.n_opened == 1);
    secure_again(secure);
}

static void test_trust(void **state)
{
    struct secure secure = secure_new();
    struct paper other = make_paper(secure.rig, "other", "127.0.0.1");
    uint8_t pin[MKV_TLS_FINGERPRINT_LEN];
    uint8_t seen[MKV_TLS_FINGERPRINT_LEN];

    (void)state;
    assert_int_equal(mkv_certificate_fingerprint(secure.paper.certificate, pin, NULL), 0);
    accepted(&secure, client_tls(secure.paper.certificate, NULL));
    accepted(&secure, client_tls(NULL, pin));
    secure_connect(&secure, client_tls(NULL, NULL));
    rig_until(secure.rig->loop, secure.rig->client.n_opened == 1);
    assert_true(mkv_link_fingerprint(secure.rig->client.link, seen));
    assert_memory_equal(seen, pin, sizeof(pin));
    secure_again(&secure);

    refused(&secure, client_tls(other.certificate, NULL), MKV_E_NOT_AUTHORISED, "not trusted");
    pin[31] ^= 1;
    refused(&secure, client_tls(NULL, pin), MKV_E_NOT_AUTHORISED, "moat-kv login");
    refused(&secure, NULL, MKV_E_NOT_AUTHORISED, "--ca");
    secure_free(&secure);
}

static void test_wrong_host(void **state)
{
    struct secure secure = {.rig = rig_new()};

    (void)state;
    secure.paper = make_paper(secure.rig, "server", "attic.example");
    secure.server = server_tls(&secure.paper, NULL);
    rig_listen(secure.rig, (struct mkv_listener_options){.link.tls = secure.server},
               "tls://127.0.0.1:0");
    refused(&secure, client_tls(secure.paper.certificate, NULL), MKV_E_NOT_AUTHORISED,
            "IP address mismatch");
    secure_free(&secure);
}

/* Runs openssl's own client against the listener, with up to 4 options; returns its exit status. */
static int s_client(struct secure *secure, const char *const options[4])
{
    uint16_t port = mkv_listener_address(secure->rig->listener)->port;
    char server[32];
    int status = 0;
    pid_t pid;

    (void)snprintf(server, sizeof(server), "127.0.0.1:%u", port);
    pid = fork();
    if (pid == 0) {
        int nothing = open("/dev/null", O_RDWR);

        (void)dup2(nothing, 0);
        (void)dup2(nothing, 1);
        (void)dup2(nothing, 2);
        (void)execlp("openssl", "openssl", "s_client", "-connect", server, "-CAfile",
                     secure->paper.certificate, "-verify_return_error", options[0], options[1],
                     options[2], options[3], (char *)NULL);
        _exit(127);
    }
    rig_until(secure->rig->loop, waitpid(pid, &status, WNOHANG) == pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void append_file(const char *from, const char *to)
{
    char text[4096];
    FILE *in = fopen(from, "re");
    FILE *out = fopen(to, "ae");

    assert_true(in != NULL && out != NULL);

    size_t len = fread(text, 1, sizeof(text), in);

    assert_true(len > 0);
    assert_int_equal(fwrite(text, 1, len, out), len);
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void test_client_certificates(void **state)
{
    struct secure secure = {.rig = rig_new()};
    struct paper ann = make_paper(secure.rig, "ann@example", "ann");
    struct paper eve = make_paper(secure.rig, "eve", "eve");
    struct paper odd = make_paper(secure.rig, "no user", "odd");
    const struct paper *const papers[] = {&ann, &eve, &odd};
    char ca[96];

    (void)state;
    secure.paper = make_paper(secure.rig, "server", "127.0.0.1");
    (void)snprintf(ca, sizeof(ca), "%s/ca", secure.rig->directory);
    append_file(ann.certificate, ca);
    append_file(odd.certificate, ca);
    secure.server = server_tls(&secure.paper, ca);
    rig_listen(secure.rig, (struct mkv_listener_options){.link.tls = secure.server},
               "tls://127.0.0.1:0");
    accepted(&secure, client_tls(secure.paper.certificate, NULL)); /* one need not show any */
    rig_until(secure.rig->loop, secure.rig->n_ends == 1);

    for (unsigned i = 0; i < 3; i++) {
        unsigned n_before = secure.rig->n_ends;

        const char *const options[] = {"-cert", papers[i]->certificate, "-key", papers[i]->key};

        (void)s_client(&secure, options);
        if (i == 1) { /* signed by nobody that we know */
            rig_idle(secure.rig->loop, 20);
            assert_int_equal(secure.rig->n_ends, n_before);
            continue;
        }
        rig_until(secure.rig->loop, secure.rig->n_ends == n_before + 1);
        assert_string_equal(mkv_link_peer(secure.rig->ends[n_before].link)->user,
                            i == 0 ? "ann@example" : "");
    }
    secure_free(&secure);
}

static void test_foreign_client(void **state)
{
    static const struct {
        const char *options[4];
        int status;
    } cases[] = {
        {{"-tls1_3", "-verify_ip", "127.0.0.1"}, 0},
        {{"-tls1_3", "-verify_ip", "127.0.0.2"}, 1},
        {{"-tls1_2"}, 1},
        {{"-no_tls1_3"}, 1},
        {{"-tls1_3"}, 0},
    };
    struct secure secure = secure_new();

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(s_client(&secure, cases[i].options), cases[i].status);
    }
    rig_until(secure.rig->loop, secure.rig->n_ends >= 2);
    secure_free(&secure);
}

/* Both ends know the same bytes, other ones for each connection and each greeting. */
static void test_binding(void **state)
{
    static const uint8_t maps[2][3] = {{0xa1, 0x00, 0x01}, {0xa1, 0x00, 0x02}};
    uint8_t bindings[3][MKV_TLS_BINDING_LEN];
    struct secure secure = secure_new();
    struct rig *rig = secure.rig;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        uint8_t there[MKV_TLS_BINDING_LEN];
        struct mkv_buf out;
        struct end *end = &rig->ends[i];

        secure_connect(&secure, client_tls(secure.paper.certificate, NULL));
        rig_until(rig->loop, rig->client.n_opened == 1 && rig->n_ends == i + 1);
        rig->client.n_frames = 0;
        assert_int_equal(mkv_link_binding(end->link, there), MKV_E_BAD_STATE);
        mkv_buf_init(&out, 100);
        rig_add_frame(&out, maps[i == 2], sizeof(maps[0]));
        assert_int_equal(mkv_link_send(end->link, mkv_buf_bytes(&out)), 0);
        mkv_buf_deinit(&out);
        rig_until(rig->loop, rig->client.n_frames == 1);
        assert_int_equal(mkv_link_binding(rig->client.link, there), MKV_E_BAD_STATE);
        rig_send(rig->client.link, 2);
        rig_until(rig->loop, end->n_frames == 2);
        assert_int_equal(mkv_link_binding(end->link, bindings[i]), 0);
        assert_int_equal(mkv_link_binding(rig->client.link, there), 0);
        assert_memory_equal(there, bindings[i], sizeof(there));
        secure_again(&secure);
    }
    assert_memory_not_equal(bindings[0], bindings[1], MKV_TLS_BINDING_LEN);
    assert_memory_not_equal(bindings[0], bindings[2], MKV_TLS_BINDING_LEN);
    secure_free(&secure);
}

/* On one connection: a first frame that was changed on its way changes the bytes. */
static void test_greeting(void **state)
{
    struct mkv_greeting one = {0};
    struct mkv_greeting two = {0};
    const uint8_t frames[] = {0, 0, 0, 2, 7, 8, 0, 0, 0, 1, 9};

    (void)state;
    mkv_greeting_send(&one, mkv_bytes(frames, 5)); /* not whole */
    assert_false(one.is_sent);
    mkv_greeting_send(&one, mkv_bytes(frames, sizeof(frames)));
    mkv_greeting_get(&two, mkv_bytes(frames + 4, 2));
    assert_true(one.is_sent && two.is_got);
    assert_memory_equal(one.sent, two.got, sizeof(one.sent));
    mkv_greeting_send(&one, mkv_bytes(frames + 6, 5)); /* no more counts */
    assert_memory_equal(one.sent, two.got, sizeof(one.sent));
    two = (struct mkv_greeting){0};
    mkv_greeting_get(&two, mkv_bytes(frames + 5, 1));
    assert_memory_not_equal(one.sent, two.got, sizeof(one.sent));
}

static int connect_raw(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Those who connect and go no further do not keep others out. */
static void test_silent_crowd(void **state)
{
    enum {
        CROWD = MKV_LISTENER_SECURING_MAX + 40
    };
    struct secure secure = secure_new();
    struct rig *rig = secure.rig;
    uint16_t port = mkv_listener_address(rig->listener)->port;
    int fds[CROWD];

    (void)state;
    for (unsigned i = 0; i < CROWD; i++) {
        fds[i] = connect_raw(port);
        assert_int_equal(mkv_loop_run_once(rig->loop, 0), 0);
    }
    rig_until(rig->loop, mkv_listener_n_links(rig->listener) == MKV_LISTENER_SECURING_MAX);
    accepted(&secure, client_tls(secure.paper.certificate, NULL));
    for (unsigned i = 0; i < CROWD; i++) {
        (void)close(fds[i]);
    }
    rig_until(rig->loop, mkv_listener_n_links(rig->listener) <= 1);
    assert_int_equal(rig->n_ends, 1);
    secure_free(&secure);
}

/* One address has its share of links, and all together begin so many handshakes a second. */
static void test_door(void **state)
{
    static struct mkv_door door;
    struct secure secure = {.rig = rig_new()};
    struct rig *rig = secure.rig;
    int64_t began_ms = mkv_clock_monotonic_ms();
    int fds[24];
    char byte;

    (void)state;
    door = (struct mkv_door){.each = 24, .per_s = 20};
    secure.paper = make_paper(rig, "server", "127.0.0.1");
    secure.server = server_tls(&secure.paper, NULL);
    rig_listen(rig, (struct mkv_listener_options){.link.tls = secure.server, .door = &door},
               "tls://127.0.0.1:0");
    for (unsigned i = 0; i < 24; i++) {
        fds[i] = connect_raw(mkv_listener_address(rig->listener)->port);
    }
    rig_until(rig->loop, mkv_listener_n_links(rig->listener) == 24);
    assert_true(mkv_clock_monotonic_ms() - began_ms >= 150); /* four more than at once */

    int more = connect_raw(mkv_listener_address(rig->listener)->port);

    rig_until(rig->loop, recv(more, &byte, 1, MSG_DONTWAIT) == 0);
    (void)close(more);
    assert_int_equal(mkv_listener_n_links(rig->listener), 24);
    (void)close(fds[0]);
    rig_until(rig->loop, mkv_listener_n_links(rig->listener) == 23);
    accepted(&secure, client_tls(secure.paper.certificate, NULL));
    for (unsigned i = 1; i < 24; i++) {
        (void)close(fds[i]);
    }
    secure_free(&secure);
}

/* Each side talks to one without TLS. */
static void test_no_tls(void **state)
{
    struct secure secure = secure_new();
    struct rig *rig = secure.rig;
    int fd = connect_raw(mkv_listener_address(rig->listener)->port);
    char byte;

    (void)state;
    assert_int_equal(write(fd, "\0\0\0\6abcdef", 10), 10);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    rig_until(rig->loop, read(fd, &byte, 1) == 0 || errno == ECONNRESET || byte == 21);
    assert_int_equal(rig->n_ends, 0);
    (void)close(fd);
    mkv_listener_free(rig->listener);
    rig_listen(rig, (struct mkv_listener_options){0}, "tcp://127.0.0.1:0");

    struct mkv_address address = *mkv_listener_address(rig->listener);
    struct mkv_link_options options = {.tls = client_tls(secure.paper.certificate, NULL)};

    address.scheme = MKV_ADDRESS_TLS;
    rig_connect(rig, NULL); /* the other end says something that is not TLS */
    mkv_link_free(rig->client.link);
    assert_int_equal(mkv_link_connect(rig->loop, &address, &options, &rig_events, &rig->client,
                                      &rig->client.link),
                     0);
    rig_until(rig->loop, rig->n_ends > 0 && rig->ends[rig->n_ends - 1].n_unreadable == 1);
    rig_until(rig->loop, rig->client.n_closed == 1);
    assert_int_equal(rig->client.error, MKV_E_IO);
    assert_int_equal(rig->client.n_opened, 0);
    secure.client = (struct mkv_tls *)(uintptr_t)options.tls;
    secure_free(&secure);
}

/* No answer at all: the time for connecting counts. */
static void test_silent_server(void **state)
{
    struct rig *rig = rig_new();
    struct mkv_tls *tls = client_tls(NULL, NULL);
    struct mkv_link_options options = {.connect_ms = 150, .tls = tls};
    struct mkv_address address = rig_address("tls://127.0.0.1:1");
    int fd = rig_bind_tcp(5, &address.port);

    (void)state;
    assert_int_equal(mkv_link_connect(rig->loop, &address, &options, &rig_events, &rig->client,
                                      &rig->client.link),
                     0);
    rig_until(rig->loop, rig->client.n_closed == 1);
    assert_int_equal(rig->client.error, MKV_E_TIMEOUT);
    (void)close(fd);
    rig_free(rig);
    mkv_tls_free(tls);
}

static void test_files(void **state)
{
    struct rig *rig = rig_new();
    struct paper paper = make_paper(rig, "one", "::1");
    struct paper other = make_paper(rig, "two", "two.example");
    struct mkv_certificate_options options = {.name = "x", .n_hosts = 1, .hosts = {"a b"}};
    struct mkv_address address = rig_address("tls://127.0.0.1:0");
    struct mkv_listener_options listening = {.accepted = rig_on_accepted, .context = rig};
    struct mkv_tls_server_options wrong = {paper.certificate, other.key, NULL};
    struct mkv_tls_client_options nowhere = {.ca = "/nowhere"};
    struct mkv_tls *tls = NULL;
    struct mkv_why why = {{0}};
    struct stat status;

    (void)state;
    assert_int_equal(stat(paper.key, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(mkv_certificate_make(&options, "x", "y", &why), MKV_E_BAD_ARGUMENT);
    options.hosts[0] = "localhost";
    assert_int_equal(
        mkv_certificate_make(&options, paper.certificate, "/tmp/mkv-nowhere/key", &why), MKV_E_IO);
    assert_int_equal(mkv_certificate_make(&options, "z", paper.key, &why), MKV_E_LOCKED);
    assert_non_null(strstr(why.text, paper.key));
    assert_int_equal(mkv_tls_server_new(&wrong, &why, &tls), MKV_E_BAD_ARGUMENT);
    assert_non_null(strstr(why.text, other.key));
    wrong = (struct mkv_tls_server_options){paper.certificate, paper.key, "/nowhere"};
    assert_int_equal(mkv_tls_server_new(&wrong, &why, &tls), MKV_E_BAD_ARGUMENT);
    wrong.certificate = "/nowhere";
    assert_int_equal(mkv_tls_server_new(&wrong, &why, &tls), MKV_E_BAD_ARGUMENT);
    assert_int_equal(mkv_tls_client_new(&nowhere, &why, &tls), MKV_E_BAD_ARGUMENT);
    assert_int_equal(mkv_listener_new(rig->loop, &address, &listening, &why, &rig->listener),
                     MKV_E_BAD_ARGUMENT);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_trust),
        cmocka_unit_test(test_wrong_host),
        cmocka_unit_test(test_client_certificates),
        cmocka_unit_test(test_foreign_client),
        cmocka_unit_test(test_binding),
        cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_silent_crowd),
        cmocka_unit_test(test_door),
        cmocka_unit_test(test_no_tls),
        cmocka_unit_test(test_silent_server),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
