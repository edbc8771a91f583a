/* SPDX-License-Identifier: Apache-2.0 */
#include "io/home.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int mkv_home_state(char *out, size_t size, struct mkv_why *why)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int len;

    if (geteuid() == 0) {
        len = snprintf(out, size, "%s", MKV_HOME_SYSTEM);
    } else if (state != NULL && state[0] == '/') {
        len = snprintf(out, size, "%s/moat-kv", state);
    } else if (home != NULL && home[0] == '/') {
        len = snprintf(out, size, "%s/.local/state/moat-kv", home);
    } else {
        return mkv_why_error(why, MKV_E_BAD_STATE,
                             "there is no home directory: set HOME, or say --state DIR");
    }
    if (len < 0 || (size_t)len >= size) {
        return mkv_why_error(why, MKV_E_TOO_LARGE, "the home directory's name is too long");
    }
    return 0;
}
