/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/limits.h"
#include "io/broker.h"
#include "io/mqtt.h"
#include "mosquitto_rig.h"

/* A broker, and what it has lived through. */
struct house {
    struct mkv_loop *loop;
    struct mkv_broker *broker;
    char directory[64];
    unsigned n_ready;
    unsigned n_down;
    unsigned n_stopped;
    unsigned n_lines;
    int error;
    struct mkv_why why;
    bool free_when_ready;
    bool free_when_stopped;
};

static void on_ready(void *context)
{
    struct house *house = context;

    house->n_ready++;
    assert_true(mkv_broker_is_running(house->broker));
    if (house->free_when_ready) {
        mkv_broker_free(house->broker);
        house->broker = NULL;
    }
}

static void on_down(void *context, int error, const struct mkv_why *why)
{
    struct house *house = context;

    house->n_down++;
    house->error = error;
    house->why = *why;
    assert_int_equal(mkv_broker_pid(house->broker), 0);
}

static void on_stopped(void *context)
{
    struct house *house = context;

    house->n_stopped++;
    if (house->free_when_stopped) {
        mkv_broker_free(house->broker);
        house->broker = NULL;
    }
}

static void on_line(void *context, const char *text)
{
    struct house *house = context;

    assert_null(strchr(text, '\n'));
    house->n_lines++;
}

static const struct mkv_broker_events events = {
    .ready = on_ready,
    .down = on_down,
    .stopped = on_stopped,
    .line = on_line,
};

static void build(struct house *house, struct mkv_broker_options options)
{
    struct mkv_why why = {0};

    if (house->loop == NULL) {
        house->loop = rig_loop();
        rig_make_directory(house->directory);
    }
    if (options.state_dir == NULL) {
        options.state_dir = house->directory;
    }
    if (mkv_broker_new(house->loop, &options, &events, house, &why, &house->broker) != 0) {
        fail_msg("%s", why.text);
    }
    assert_int_equal(mkv_broker_pid(house->broker), 0);
}

static void tear_down(struct house *house)
{
    mkv_broker_free(house->broker);
    mkv_loop_free(house->loop);
    rig_remove_directory(house->directory);
}

static void expect_why(const struct house *house, int error, const char *words)
{
    if (house->error != error || strstr(house->why.text, words) == NULL) {
        fail_msg("%d, %s", house->error, house->why.text);
    }
}

static bool exists(const struct house *house, const char *name)
{
    char path[128];
    struct stat status;

    (void)snprintf(path, sizeof(path), "%s/%s", house->directory, name);
    return lstat(path, &status) == 0;
}

static const struct mkv_broker_options both = {.unix_socket = true, .tcp = true};

static unsigned count_lines(const char *name, const char *wanted)
{
    char line[512];
    unsigned n = 0;
    FILE *file = fopen(name, "re");

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        n += strcmp(line, wanted) == 0;
    }
    (void)fclose(file);
    return n;
}

static void test_start_and_stop(void **state)
{
    struct house house = {0};
    struct mkv_address address;
    struct stat status;
    char config[128];

    (void)state;
    build(&house, both);
    rig_until(house.loop, house.n_ready == 1);
    assert_true(house.n_lines > 0);
    assert_true(mkv_broker_unix_address(house.broker, &address));
    (void)close(rig_connect_unix(address.path));
    assert_true(mkv_broker_tcp_address(house.broker, &address));
    assert_int_equal(address.scheme, MKV_ADDRESS_MQTT);
    assert_true(address.port > 0);
    (void)snprintf(config, sizeof(config), "%s/broker.conf", house.directory);
    assert_int_equal(stat(config, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(count_lines(config, "max_connections 4608\n"),
                     2); /* it is each listener's own */

    pid_t pid = mkv_broker_pid(house.broker);

    assert_int_equal(getpgid(pid), pid);
    mkv_broker_stop(house.broker);
    mkv_broker_stop(house.broker);
    assert_int_equal(house.n_stopped, 0);
    rig_until(house.loop, house.n_stopped == 1);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(mkv_broker_pid(house.broker), 0);
    assert_false(exists(&house, "broker.sock"));
    rig_idle(house.loop, 300);
    assert_int_equal(house.n_stopped, 1);
    assert_int_equal(house.n_ready, 1);
    assert_int_equal(house.n_down, 0);
    tear_down(&house);
}

static void test_stop_early(void **state)
{
    struct house house = {.free_when_stopped = true};

    (void)state;
    build(&house, both);
    mkv_broker_stop(house.broker);
    rig_until(house.loop, house.n_stopped == 1);
    assert_int_equal(house.n_ready, 0);
    tear_down(&house);

    house = (struct house){.free_when_stopped = true};
    build(&house, both);
    rig_until(house.loop, mkv_broker_pid(house.broker) > 0);
    mkv_broker_stop(house.broker);
    rig_until(house.loop, house.n_stopped == 1);
    assert_int_equal(house.n_ready, 0);
    tear_down(&house);

    house = (struct house){.free_when_ready = true};
    build(&house, both);
    rig_until(house.loop, house.n_ready == 1);
    assert_null(house.broker);
    rig_idle(house.loop, 20);
    assert_false(exists(&house, "broker.sock"));
    tear_down(&house);
}

static void test_restart(void **state)
{
    struct house house = {0};
    struct mkv_address before;
    struct mkv_address after;

    (void)state;
    build(&house, both);
    for (unsigned i = 1; i <= 3; i++) {
        rig_until(house.loop, house.n_ready == i);
        pid_t pid = mkv_broker_pid(house.broker);

        assert_true(mkv_broker_tcp_address(house.broker, &before));
        assert_int_equal(kill(pid, SIGKILL), 0);
        rig_until(house.loop, house.n_down == i);
        expect_why(&house, MKV_E_IO, "ended unasked, signal 9");
        assert_false(mkv_broker_is_running(house.broker));
        rig_until(house.loop, house.n_ready == i + 1);
        assert_true(mkv_broker_pid(house.broker) != pid);
        assert_true(mkv_broker_tcp_address(house.broker, &after));
        assert_int_equal(before.port, after.port);
    }
    tear_down(&house);
}

/* Nor does it matter what the program does with the ends of its children. */
static void test_children_ignored(void **state)
{
    struct house house = {0};

    (void)state;
    assert_true(signal(SIGCHLD, SIG_IGN) == SIG_DFL);
    build(&house, both);
    rig_until(house.loop, house.n_ready == 1);
    assert_int_equal(kill(mkv_broker_pid(house.broker), SIGKILL), 0);
    rig_until(house.loop, house.n_down == 1);
    rig_until(house.loop, house.n_ready == 2);
    mkv_broker_stop(house.broker);
    rig_until(house.loop, house.n_stopped == 1);
    (void)signal(SIGCHLD, SIG_DFL);
    tear_down(&house);
}

/* The helper process runs a broker, tells its pid, and is killed. */
static void run_helper(int out)
{
    struct house house = {0};
    pid_t pid;

    house.loop = rig_loop();
    rig_make_directory(house.directory);
    build(&house, both);
    rig_until(house.loop, house.n_ready == 1);
    pid = mkv_broker_pid(house.broker);
    if (write(out, &pid, sizeof(pid)) != sizeof(pid) ||
        write(out, house.directory, sizeof(house.directory)) != sizeof(house.directory)) {
        _exit(1);
    }
    for (;;) {
        (void)pause();
    }
}

static void test_dies_with_us(void **state)
{
    int ends[2];
    pid_t broker = 0;
    char directory[64];
    int status = 0;

    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* orphans become ours */
    assert_int_equal(pipe(ends), 0);

    pid_t helper = fork();

    assert_true(helper >= 0);
    if (helper == 0) {
        run_helper(ends[1]);
    }
    assert_int_equal(read(ends[0], &broker, sizeof(broker)), sizeof(broker));
    assert_int_equal(read(ends[0], directory, sizeof(directory)), sizeof(directory));
    assert_int_equal(kill(broker, 0), 0);
    assert_int_equal(kill(helper, SIGKILL), 0);
    assert_int_equal(waitpid(helper, &status, 0), helper);
    assert_int_equal(waitpid(broker, &status, 0), broker);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    /* What it left behind does not hinder the next one. */
    struct house house = {.loop = rig_loop()};

    (void)snprintf(house.directory, sizeof(house.directory), "%s", directory);
    assert_true(exists(&house, "broker.sock"));
    build(&house, both);
    rig_until(house.loop, house.n_ready == 1);
    assert_int_equal(house.n_down, 0);
    tear_down(&house);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void test_port_taken(void **state)
{
    struct house house = {0};
    struct mkv_broker_options options = both;
    int fd = rig_bind_tcp(5, &options.port);
    char text[32];

    (void)state;
    (void)snprintf(text, sizeof(text), "port %u", options.port);
    build(&house, options);
    rig_until(house.loop, house.n_down == 2);
    expect_why(&house, MKV_E_LOCKED, text);
    assert_int_equal(house.n_ready, 0);
    (void)close(fd);
    rig_until(house.loop, house.n_ready == 1);
    tear_down(&house);
}

static void test_socket_in_use(void **state)
{
    struct house first = {0};
    struct house second = {0};
    pid_t pid;

    (void)state;
    build(&first, both);
    rig_until(first.loop, first.n_ready == 1);
    pid = mkv_broker_pid(first.broker);
    second.loop = first.loop;
    memcpy(second.directory, first.directory, sizeof(second.directory));
    build(&second, both);
    rig_until(first.loop, second.n_down == 2);
    expect_why(&second, MKV_E_LOCKED, "is a server running in this state directory?");
    mkv_broker_free(second.broker);
    rig_idle(first.loop, 20);
    assert_int_equal(first.n_down, 0);
    assert_int_equal(mkv_broker_pid(first.broker), pid);
    assert_true(exists(&first, "broker.sock"));
    tear_down(&first);
}

static void test_bad_options(void **state)
{
    struct mkv_loop *loop = rig_loop();
    struct mkv_broker_options options = {.state_dir = "/tmp", .unix_socket = true};
    struct mkv_broker *broker = NULL;
    struct mkv_why why = {0};
    char longest[200];

    (void)state;
    options.binary = "/nowhere/mosquitto";
    assert_int_equal(mkv_broker_new(loop, &options, &events, NULL, &why, &broker), MKV_E_NOT_FOUND);
    assert_non_null(strstr(why.text, "install"));
    assert_non_null(strstr(why.text, "/nowhere/mosquitto"));
    options.binary = "/tmp";
    assert_int_equal(mkv_broker_new(loop, &options, &events, NULL, NULL, &broker), MKV_E_NOT_FOUND);
    options = (struct mkv_broker_options){.state_dir = "relative", .unix_socket = true};
    assert_int_equal(mkv_broker_new(loop, &options, &events, NULL, &why, &broker),
                     MKV_E_BAD_ARGUMENT);
    memset(longest, 'a', sizeof(longest));
    longest[0] = '/';
    longest[sizeof(longest) - 1] = '\0';
    options.state_dir = longest;
    assert_int_equal(mkv_broker_new(loop, &options, &events, NULL, &why, &broker),
                     MKV_E_BAD_ARGUMENT);
    options = (struct mkv_broker_options){.state_dir = "/tmp"};
    assert_int_equal(mkv_broker_new(loop, &options, &events, NULL, &why, &broker),
                     MKV_E_BAD_ARGUMENT);
    mkv_loop_free(loop);
}

/* Programs that are no broker: told by their last words, and tried again. */
static void test_not_a_broker(void **state)
{
    struct house house = {0};
    struct mkv_broker_options options = both;

    (void)state;
    options.binary = "/bin/cat"; /* complains about -c */
    build(&house, options);
    rig_until(house.loop, house.n_down == 2);
    expect_why(&house, MKV_E_IO, "did not start, exit code 1");
    expect_why(&house, MKV_E_IO, "invalid option");
    tear_down(&house);

    house = (struct house){0};
    options.state_dir = "/nowhere/at/all";
    build(&house, options);
    rig_until(house.loop, house.n_down == 1);
    expect_why(&house, MKV_E_IO, "/nowhere/at/all/broker.conf");
    tear_down(&house);
}

/* Also one that does not hear SIGTERM is gone in time, and one line may be long. */
static void test_stubborn(void **state)
{
    struct house house = {.loop = rig_loop()};
    struct mkv_broker_options options = both;
    char binary[128];
    FILE *file;

    (void)state;
    rig_make_directory(house.directory);
    (void)snprintf(binary, sizeof(binary), "%s/stubborn", house.directory);
    file = fopen(binary, "w");
    assert_non_null(file);
    (void)fprintf(file, "#!/bin/sh\ntrap '' TERM\n"
                        "printf '%%05000d' 0 >&2; echo >&2\n"
                        "echo 'mosquitto version 0 running' >&2\nwhile :; do sleep 0.1; done\n");
    assert_int_equal(fchmod(fileno(file), 0700), 0);
    (void)fclose(file);
    options.binary = binary;
    build(&house, options);
    rig_until(house.loop, house.n_ready == 1);
    assert_int_equal(house.n_lines, 6);

    int64_t start_ms = mkv_clock_monotonic_ms();

    mkv_broker_stop(house.broker);
    rig_until(house.loop, house.n_stopped == 1);
    assert_true(mkv_clock_monotonic_ms() - start_ms >= MKV_BROKER_STOP_MS - 50);
    assert_true(mkv_clock_monotonic_ms() - start_ms < MKV_BROKER_STOP_MS + 1000);
    tear_down(&house);
}

/* The broker gets none of our descriptors, and others' brokers and children are left alone. */
static void test_keeps_to_itself(void **state)
{
    struct mosquitto_rig other;
    struct house house = {.loop = rig_loop()};
    char spaced[128];
    char fds[64];
    char target[512];
    DIR *directory;
    int fd = open("/etc/passwd", O_RDONLY); /* not closed on exec */
    int status;
    pid_t child;

    (void)state;
    mosquitto_rig_init(&other, "allow_anonymous true");
    mosquitto_rig_start(&other);
    rig_make_directory(house.directory);
    (void)snprintf(spaced, sizeof(spaced), "%s/with space", house.directory);
    assert_int_equal(mkdir(spaced, 0700), 0);
    build(&house,
          (struct mkv_broker_options){.state_dir = spaced, .unix_socket = true, .tcp = true});
    child = fork();
    if (child == 0) {
        _exit(42);
    }
    rig_until(house.loop, house.n_ready == 1);
    (void)snprintf(fds, sizeof(fds), "/proc/%d/fd", (int)mkv_broker_pid(house.broker));
    directory = opendir(fds);
    assert_non_null(directory);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        char path[512];
        ssize_t n;

        (void)snprintf(path, sizeof(path), "%s/%s", fds, entry->d_name);
        n = readlink(path, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        assert_string_not_equal(target, "/etc/passwd");
    }
    (void)closedir(directory);
    mkv_broker_stop(house.broker);
    rig_until(house.loop, house.n_stopped == 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 42);
    assert_int_equal(waitpid(other.pid, &status, WNOHANG), 0);
    mosquitto_rig_deinit(&other);
    (void)close(fd);
    mkv_broker_free(house.broker);
    mkv_loop_free(house.loop);
    rig_remove_directory(spaced);
    rig_remove_directory(house.directory);
}

struct ear {
    struct mkv_mqtt *mqtt;
    unsigned n_connected;
    unsigned n_messages;
    unsigned n_answered;
    unsigned n_refused;
};

static void on_connected(void *context)
{
    struct ear *ear = context;

    ear->n_connected++;
    assert_int_equal(mkv_mqtt_subscribe(ear->mqtt, mkv_bytes_of("t/#"), 1, 0), 0);
}

static void on_message(void *context, const struct mkv_mqtt_message *message)
{
    struct ear *ear = context;

    (void)message;
    ear->n_messages++;
}

static void on_answered(
    void *context, uint64_t cookie, int error, int qos, const struct mkv_why *why)
{
    struct ear *ear = context;

    (void)cookie;
    (void)qos;
    (void)why;
    ear->n_answered++;
    ear->n_refused += error == MKV_E_TOO_LARGE;
}

static const struct mkv_mqtt_events ear_events = {
    .connected = on_connected,
    .message = on_message,
    .answered = on_answered,
};

/* The largest update passes, larger ones are refused, and a sleeper misses nothing. */
static void test_as_configured(void **state)
{
    struct house house = {0};
    struct ear ear = {0};
    struct mkv_mqtt_options options = {.client_id = "ear"};
    struct mkv_mqtt_message message = {.topic = mkv_bytes_of("t/x"), .qos = 1};
    static uint8_t payload[2000000];
    const unsigned n = 5000;

    (void)state;
    build(&house, both);
    assert_true(mkv_broker_unix_address(house.broker, &options.address));
    assert_int_equal(mkv_mqtt_new(house.loop, &options, &ear_events, &ear, NULL, &ear.mqtt), 0);
    rig_until(house.loop, ear.n_answered == 1);
    assert_int_equal(mkv_mqtt_protocol(ear.mqtt), 5);
    message.payload = mkv_bytes(payload, MKV_UPDATE_MAX);
    assert_int_equal(mkv_mqtt_publish(ear.mqtt, &message, 1), 0);
    rig_until(house.loop, ear.n_messages == 1);
    message.payload = mkv_bytes(payload, sizeof(payload));
    assert_int_equal(mkv_mqtt_publish(ear.mqtt, &message, 1), 0);
    rig_until(house.loop, ear.n_refused == 1);
    assert_int_equal(ear.n_connected, 1);

    struct ear writer = {0};

    options.client_id = "writer";
    assert_int_equal(mkv_mqtt_new(house.loop, &options, &ear_events, &writer, NULL, &writer.mqtt),
                     0);
    rig_until(house.loop, writer.n_answered == 1);
    mkv_mqtt_pause(ear.mqtt);
    message.payload = mkv_bytes(payload, 1000);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(mkv_mqtt_publish(writer.mqtt, &message, i), 0);
    }
    rig_until(house.loop, writer.n_answered == n + 1);
    assert_int_equal(ear.n_messages, 1);
    mkv_mqtt_resume(ear.mqtt);
    rig_until(house.loop, ear.n_messages == n + 1);
    mkv_mqtt_free(writer.mqtt);
    mkv_mqtt_free(ear.mqtt);
    tear_down(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_and_stop),  cmocka_unit_test(test_stop_early),
        cmocka_unit_test(test_restart),         cmocka_unit_test(test_children_ignored),
        cmocka_unit_test(test_dies_with_us),    cmocka_unit_test(test_port_taken),
        cmocka_unit_test(test_socket_in_use),   cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_not_a_broker),    cmocka_unit_test(test_stubborn),
        cmocka_unit_test(test_keeps_to_itself), cmocka_unit_test(test_as_configured),
    };

    return cmocka_run_group_tests_name("broker", tests, NULL, NULL);
}
