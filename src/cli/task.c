/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/task.h"

#include <string.h>

#include "cli/say.h"
#include "cli/session.h"

#define TASKS_MAX 8U

static const struct mkv_task *find(const struct mkv_cli *cli,
                                   const struct mkv_task *tasks,
                                   unsigned n)
{
    const char *names[TASKS_MAX];
    const char *guess;

    for (unsigned i = 0; i < n; i++) {
        if (strcmp(cli->words[0], tasks[i].name) == 0) {
            return &tasks[i];
        }
        names[i] = tasks[i].name;
    }
    guess = mkv_option_guess(cli->words[0], names, n);
    (void)mkv_say(MKV_EXIT_USAGE, "%s: cannot '%s'; %s%s%s", cli->verb->name, cli->words[0],
                  guess == NULL ? "'moat-kv help " : "did you mean '",
                  guess == NULL ? cli->verb->name : guess,
                  guess == NULL ? "' lists what it can" : "'?");
    return NULL;
}

enum mkv_exit mkv_task_run(struct mkv_cli *cli, const struct mkv_task *tasks, unsigned n)
{
    const struct mkv_task *task = find(cli, tasks, n);
    unsigned n_words = cli->n_words - 1;
    struct mkv_people people;
    enum mkv_exit status;

    if (task == NULL) {
        return MKV_EXIT_USAGE;
    }
    if (n_words < task->n_words_min || n_words > task->n_words_max) {
        return mkv_say(MKV_EXIT_USAGE, "%s %s: %s; usage: moat-kv %s %s %s", cli->verb->name,
                       task->name,
                       n_words < task->n_words_min ? "something is missing" : "too many words",
                       cli->verb->name, task->name, task->words);
    }
    status = task->check == NULL ? MKV_EXIT_OK : task->check(cli);
    if (task->run == NULL) {
        return status == MKV_EXIT_OK ? task->direct(cli) : status;
    }
    mkv_people_init(&people, cli);
    if (status == MKV_EXIT_OK) {
        status = mkv_people_read(&people);
    }
    if (status == MKV_EXIT_OK) {
        status = task->run(&people);
    }
    mkv_session_close(cli);
    mkv_people_deinit(&people);
    return status;
}
