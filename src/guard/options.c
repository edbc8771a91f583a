/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/options.h"

#include <string.h>

#define RATE  5000U
#define BURST 100000U

void mkv_guard_options_init(struct mkv_guard_options *options)
{
    *options = (struct mkv_guard_options){
        .others = MKV_GUARD_OTHERS_DENY,
        .limits = {.messages = {.burst = BURST, .per_s = RATE}},
    };
}

/* The place of @value in @words, or -1. */
static int find_word(const char *value, const char *const words[], int n)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(value, words[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static int read_number(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;

    for (; *text >= '0' && *text <= '9' && number <= MKV_GUARD_RATE_MAX; text++) {
        number = number * 10 + (uint64_t)(*text - '0');
    }
    if (*text != '\0' || number == 0 || number > MKV_GUARD_RATE_MAX) {
        return MKV_E_BAD_ARGUMENT;
    }
    *ret_number = number;
    return 0;
}

static int set_others(struct mkv_guard_options *options, const char *value)
{
    static const char *const words[] = {"deny", "defer", "allow"};
    int place = find_word(value, words, 3);

    if (place < 0) {
        return MKV_E_BAD_ARGUMENT;
    }
    options->others = (enum mkv_guard_others)place;
    return 0;
}

static int set_finders(struct mkv_guard_options *options, const char *value)
{
    static const char *const words[] = {"deny", "allow"};
    int place = find_word(value, words, 2);

    if (place < 0) {
        return MKV_E_BAD_ARGUMENT;
    }
    options->limits.finders = place == 1;
    return 0;
}

int mkv_guard_options_set(struct mkv_guard_options *options, const char *key, const char *value)
{
    if (value == NULL || value[0] == '\0') {
        return MKV_E_BAD_ARGUMENT;
    }
    if (strcmp(key, "rights") == 0) {
        options->rights = value;
        return 0;
    }
    if (strcmp(key, "others") == 0) {
        return set_others(options, value);
    }
    if (strcmp(key, "finders") == 0) {
        return set_finders(options, value);
    }
    if (strcmp(key, "rate") == 0) {
        return read_number(value, &options->limits.messages.per_s);
    }
    if (strcmp(key, "burst") == 0) {
        return read_number(value, &options->limits.messages.burst);
    }
    return MKV_E_NOT_FOUND;
}
