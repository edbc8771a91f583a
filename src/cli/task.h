/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verbs whose first word says what is to be done: "user add NAME", "role list".
 */
#ifndef MKV_CLI_TASK_H
#define MKV_CLI_TASK_H

#include "base/error.h"
#include "cli/people.h"

struct mkv_task {
    const char *name;
    const char *words;    /* as in the synopsis, behind the name */
    unsigned n_words_min; /* behind the name */
    unsigned n_words_max;
    enum mkv_exit (*check)(struct mkv_cli *cli);     /* the words, before connecting; or NULL */
    enum mkv_exit (*run)(struct mkv_people *people); /* connected, users and rules have been read */
    enum mkv_exit (*direct)(struct mkv_cli *cli);    /* if @run is NULL: does all by itself */
};

/* Runs the one of @n tasks that cli->words[0] names, or tells the user why not. */
enum mkv_exit mkv_task_run(struct mkv_cli *cli,
                           const struct mkv_task *tasks,
                           unsigned n) MKV_MUST_CHECK;

#endif
