/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator's command line; see usage().
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "shrink.h"
#include "worker.h"

#define SHRINK_RUNS 400U

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
    bool is_mutant;  /* a failure is what is wanted */
    char words[400]; /* the options that choose faults, to be repeated */
};

static void usage(void)
{
    printf("usage: sim [options]\n"
           "  --seed N           one run, and if it fails, the smallest that still does\n"
           "  --seeds A..B       many; ends with status 1 if one failed\n"
           "  -j N               so many processes\n"
           "  --only FAULT,...   no others; --without FAULT,...: not these\n"
           "  --mutant RULE      that rule of the server is off; status 1 if nobody notices\n"
           "  --servers N        not more than so many\n"
           "  --trace            tell what happens\n"
           "  --steps            show what the seed has drawn\n"
           "  --no-shrink        leave a failing run as it is\n"
           "  --stop             end with the first failure\n"
           "  --counts           how often each fault, rule and state was reached\n"
           "  --complete         it is a failure if one was not\n"
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

static bool read_flag(struct command *command, const char *name)
{
    const struct {
        const char *name;
        bool *flag;
        bool to;
    } flags[] = {
        {"--trace", &command->options.trace, true}, {"--steps", &command->steps, true},
        {"--no-shrink", &command->shrinks, false},  {"--stop", &command->stop, true},
        {"--counts", &command->counts, true},       {"--complete", &command->complete, true},
    };

    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (strcmp(name, flags[i].name) == 0) {
            *flags[i].flag = flags[i].to;
            return true;
        }
    }
    return false;
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
    if (strcmp(name, "--only") == 0) {
        memset(command->options.allowed, 0, sizeof(command->options.allowed));
        return set_faults(command, value, true);
    }
    if (strcmp(name, "--without") == 0) {
        return set_faults(command, value, false);
    }
    if (strcmp(name, "--mutant") == 0) {
        command->options.rule_off = rule_named(value);
        command->is_mutant = true;
        return command->options.rule_off != MKV_RULES_N;
    }
    return false;
}

static void remember(struct command *command, const char *name, const char *value)
{
    size_t at = strlen(command->words);

    if (strcmp(name, "--only") == 0 || strcmp(name, "--without") == 0 ||
        strcmp(name, "--mutant") == 0 || strcmp(name, "--servers") == 0) {
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

static void show_rates(const struct sim_result *result)
{
    printf("faults:");
    for (unsigned i = 0; i < FAULTS_N; i++) {
        if (result->rates.of[i] > 0) {
            printf(" %s %u", fault_name((enum fault)i), result->rates.of[i]);
        }
    }
    printf("\n");
}

static void show_steps(const struct sim_result *result, const struct sim_options *options)
{
    const struct plan *plan = &result->plan;

    for (unsigned i = 0; i < plan->n; i++) {
        if (options->allowed[plan->at[i].what] &&
            (options->skipped == NULL || !options->skipped[i])) {
            printf("  step %3u at %7lld ms: %s\n", i, (long long)plan->at[i].at_ms,
                   fault_name(plan->at[i].what));
        }
    }
}

/* Shows what is left of a failing run, and its end. */
static void show_smallest(const struct command *command, uint64_t seed)
{
    static bool skipped[PLAN_STEPS_MAX];
    struct sim_options options = command->options;
    struct sim_result result;

    options.seed = seed;
    options.trace = false;
    shrink(&options, skipped, &result, SHRINK_RUNS);
    printf("seed %llu, %s: %s\n", (unsigned long long)seed, result.what, result.text);
    printf("what is needed for it: ");
    show_rates(&result);
    show_steps(&result, &options);
    if (command->options.trace) {
        options.trace = true;
        run_apart(&options, &result);
    }
}

static void show_failures(const struct command *command, const struct tally *tally)
{
    for (unsigned i = 0; i < tally->n_failures; i++) {
        const struct failure *failure = &tally->failures[i];

        printf("FAILED %s: %s\n    again: tests/sim/sim --seed %llu%s\n", failure->what,
               failure->text, (unsigned long long)failure->seed, command->words);
    }
}

static double seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void show_tally(const struct tally *tally, double taken)
{
    double n = tally->n_seeds > 0 ? (double)tally->n_seeds : 1;

    printf("%llu seeds, %llu failed; %.1f s, %.1f ms and %.0f events a seed, %.0f events a second, "
           "%.1f virtual days; equal %.1f s after a heal, at most %.1f s (seed %llu)\n",
           (unsigned long long)tally->n_seeds, (unsigned long long)tally->n_failed, taken,
           1000 * taken / n, (double)tally->n_events / n, (double)tally->n_events / taken,
           (double)tally->virtual_ms / 86400000, (double)tally->equal_ms_sum / n / 1000,
           (double)tally->equal_ms_max / 1000, (unsigned long long)tally->equal_seed);
}

static int run_range(const struct command *command)
{
    static struct tally tally;
    double begin = seconds();
    unsigned missing = 0;

    run_many(&command->options, command->first, command->last, command->n_workers, command->stop,
             &tally);
    show_failures(command, &tally);
    if (tally.n_failures > 0 && command->shrinks) {
        show_smallest(command, tally.failures[0].seed);
    }
    if (command->counts || command->complete) {
        missing = reach_report(&tally.reached, command->counts);
    }
    show_tally(&tally, seconds() - begin);
    if (command->is_mutant) {
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
        show_rates(&result);
        show_steps(&result, &options);
    }
    if (result.failed && command->shrinks) {
        show_smallest(command, options.seed);
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
    return result.failed != command->is_mutant ? 1 : 0;
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
    return command.first == command.last ? run_single(&command) : run_range(&command);
}
