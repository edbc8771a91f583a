/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator's command line; see usage().
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "report.h"
#include "suite.h"

struct command {
    struct sim_options options;
    uint64_t first;
    uint64_t last;
    unsigned n_workers;
    bool steps;
    bool shrinks;
    bool counts;
    bool complete; /* what was never reached is a failure */
    bool stop;
    bool is_suite;
    struct suite suite;
    char words[400]; /* the options that choose faults, to be repeated */
    bool skipped[PLAN_STEPS_MAX];
};

static void usage(void)
{
    printf("usage: sim [options]\n"
           "  --seed N           one run, and if it fails, the smallest that still does\n"
           "  --seeds A..B       many; ends with status 1 if one failed\n"
           "  -j N               so many processes\n"
           "  --only FAULT,...   no others; --without FAULT,...: not these\n"
           "  --keep STEP,...    of the steps of the seed, no others\n"
           "  --mutant RULE      that rule of the server is off; status 1 if nobody notices\n"
           "  --plant            a server's last commit is lost when it ends; status 1 if nobody "
           "notices\n"
           "  --servers N        not more than so many\n"
           "  --trace            tell what happens\n"
           "  --steps            show what the seed has drawn\n"
           "  --no-shrink        leave a failing run as it is\n"
           "  --stop             end with the first failure\n"
           "  --counts           how often each fault, rule and state was reached\n"
           "  --complete         it is a failure if one was not\n"
           "as a test that speaks TAP (with -j and --complete):\n"
           "  --fixed N          the seeds 1..N\n"
           "  --fresh N          N seeds that nobody has tried\n"
           "faults:");
    for (unsigned i = 0; i < FAULTS_N; i++) {
        printf(" %s", fault_name((enum fault)i));
    }
    printf("\nrules:");
    for (unsigned i = 0; i < MKV_RULES_N; i++) {
        printf(" %s", rule_name((enum mkv_rule)i));
    }
    printf("\n");
}

static bool read_number(const char *text, uint64_t *ret_number, const char **ret_end)
{
    char *end;

    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    *ret_end = end;
    return end != text && errno == 0;
}

static bool read_seeds(struct command *command, const char *text)
{
    const char *end;

    return read_number(text, &command->first, &end) && strncmp(end, "..", 2) == 0 &&
           read_number(end + 2, &command->last, &end) && *end == '\0' &&
           command->first <= command->last;
}

/* Sets all faults of a list with commas to @to. */
static bool set_faults(struct command *command, const char *list, bool to)
{
    while (*list != '\0') {
        char name[32];
        size_t len = strcspn(list, ",");

        if (len >= sizeof(name)) {
            return false;
        }
        memcpy(name, list, len);
        name[len] = '\0';

        enum fault fault = fault_named(name);

        if (fault == FAULTS_N) {
            return false;
        }
        command->options.allowed[fault] = to;
        list += len + (list[len] == ',' ? 1 : 0);
    }
    return true;
}

/* Skips all steps but those of a list with commas. */
static bool read_kept(struct command *command, const char *list)
{
    memset(command->skipped, true, sizeof(command->skipped));
    command->options.skipped = command->skipped;
    command->shrinks = false;
    for (;;) {
        uint64_t step;
        const char *end;

        if (!read_number(list, &step, &end) || step >= PLAN_STEPS_MAX) {
            return false;
        }
        command->skipped[step] = false;
        if (*end != ',') {
            return *end == '\0';
        }
        list = end + 1;
    }
}

static bool read_flag(struct command *command, const char *name)
{
    const struct {
        const char *name;
        bool *flag;
        bool to;
    } flags[] = {
        {"--trace", &command->options.trace, true},
        {"--steps", &command->steps, true},
        {"--plant", &command->options.plants, true},
        {"--no-shrink", &command->shrinks, false},
        {"--stop", &command->stop, true},
        {"--counts", &command->counts, true},
        {"--complete", &command->complete, true},
    };

    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (strcmp(name, flags[i].name) == 0) {
            *flags[i].flag = flags[i].to;
            return true;
        }
    }
    return false;
}

static bool read_suite(struct command *command, const char *name, const char *value)
{
    struct suite *suite = &command->suite;
    const char *end;
    uint64_t *number = strcmp(name, "--fixed") == 0 ? &suite->n_fixed : &suite->n_fresh;

    command->is_suite = true;
    return read_number(value, number, &end) && *end == '\0';
}

static bool read_option(struct command *command, const char *name, const char *value)
{
    const char *end;
    uint64_t number;

    if (strcmp(name, "--seeds") == 0) {
        return read_seeds(command, value);
    }
    if (strcmp(name, "--seed") == 0) {
        bool fine = read_number(value, &command->first, &end) && *end == '\0';

        command->last = command->first;
        return fine;
    }
    if (strcmp(name, "-j") == 0) {
        bool fine = read_number(value, &number, &end) && *end == '\0' && number >= 1 &&
                    number <= WORKERS_MAX;

        command->n_workers = fine ? (unsigned)number : 0;
        return fine;
    }
    if (strcmp(name, "--servers") == 0) {
        bool fine = read_number(value, &number, &end) && *end == '\0' && number >= 1 &&
                    number <= SIM_MACHINES_MAX;

        command->options.n_machines = fine ? (unsigned)number : 0;
        return fine;
    }
    if (strcmp(name, "--fixed") == 0 || strcmp(name, "--fresh") == 0) {
        return read_suite(command, name, value);
    }
    if (strcmp(name, "--only") == 0) {
        memset(command->options.allowed, 0, sizeof(command->options.allowed));
        return set_faults(command, value, true);
    }
    if (strcmp(name, "--without") == 0) {
        return set_faults(command, value, false);
    }
    if (strcmp(name, "--keep") == 0) {
        return read_kept(command, value);
    }
    if (strcmp(name, "--mutant") == 0) {
        command->options.rule_off = rule_named(value);
        return command->options.rule_off != MKV_RULES_N;
    }
    return false;
}

static void remember(struct command *command, const char *name, const char *value)
{
    size_t at = strlen(command->words);

    if (strcmp(name, "--only") == 0 || strcmp(name, "--without") == 0 ||
        strcmp(name, "--mutant") == 0 || strcmp(name, "--servers") == 0 ||
        strcmp(name, "--keep") == 0) {
        (void)snprintf(command->words + at, sizeof(command->words) - at, " %s %s", name, value);
    }
}

static bool read_command(struct command *command, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (read_flag(command, argv[i])) {
            continue;
        }
        if (i + 1 == argc || !read_option(command, argv[i], argv[i + 1])) {
            return false;
        }
        remember(command, argv[i], argv[i + 1]);
        i++;
    }
    return true;
}

/* Something is amiss on purpose, and that must be noticed. */
static bool wants_failure(const struct command *command)
{
    return command->options.rule_off != MKV_RULES_N || command->options.plants;
}

static int run_range(const struct command *command)
{
    static struct tally tally;
    double begin = report_seconds();
    unsigned missing = 0;

    run_many(&command->options, command->first, command->last, command->n_workers, command->stop,
             &tally);
    report_failures(&tally, command->words);
    if (tally.n_failures > 0 && command->shrinks) {
        report_smallest(&command->options, tally.failures[0].seed);
    }
    if (command->counts || command->complete) {
        missing = reach_report(&tally.reached, command->counts);
    }
    report_tally(&tally, report_seconds() - begin);
    if (wants_failure(command)) {
        return tally.n_failed > 0 ? 0 : 1;
    }
    return tally.n_failed > 0 || (command->complete && missing > 0) ? 1 : 0;
}

static int run_single(const struct command *command)
{
    struct sim_options options = command->options;
    struct sim_result result;

    options.seed = command->first;
    if (command->options.trace && !command->shrinks) {
        sim_run(&options, &result);
    } else {
        options.trace = command->options.trace && !command->shrinks;
        run_apart(&options, &result);
    }
    if (command->steps) {
        report_rates(&result);
        report_steps(&result, &options);
    }
    if (result.failed && command->shrinks) {
        report_smallest(&command->options, options.seed);
    } else if (result.failed) {
        printf("FAILED %s: %s\n", result.what, result.text);
    }
    printf("seed %llu: %s; trace %016llx, %llu events, %.0f virtual s, equal after %.1f s\n",
           (unsigned long long)options.seed, result.failed ? "failed" : "fine",
           (unsigned long long)result.trace, (unsigned long long)result.n_events,
           (double)result.virtual_ms / 1000, (double)result.equal_ms / 1000);
    if (command->counts) {
        (void)reach_report(&result.reached, true);
    }
    return result.failed != wants_failure(command) ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct command command = {.first = 1,
                              .last = 100,
                              .n_workers = 1,
                              .shrinks = true,
                              .options = {.rule_off = MKV_RULES_N}};

    memset(command.options.allowed, true, sizeof(command.options.allowed));
    if (!read_command(&command, argc, argv)) {
        usage();
        return 2;
    }
    if (sodium_init() < 0) {
        return 2;
    }
    if (command.is_suite) {
        command.suite.options = command.options;
        command.suite.n_workers = command.n_workers;
        command.suite.complete = command.complete;
        return suite_run(&command.suite);
    }
    return command.first == command.last ? run_single(&command) : run_range(&command);
}
