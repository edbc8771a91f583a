/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/exit.h"

#include <stddef.h>

#include "base/error.h"

enum mkv_exit mkv_exit_of(int error)
{
    switch (error) {
    case MKV_E_NOT_FOUND:
        return MKV_EXIT_NOT_FOUND;
    case MKV_E_NO_CONNECTION:
    case MKV_E_TIMEOUT:
    case MKV_E_CLOSED:
    case MKV_E_CANCELLED:
    case MKV_E_BUSY:
    case MKV_E_LATER:
    case MKV_E_NO_VERSION:
    case MKV_E_UNKNOWN_REQUEST:
        return MKV_EXIT_NO_CONNECTION;
    case MKV_E_NOT_AUTHORISED:
    case MKV_E_REFUSED:
        return MKV_EXIT_NOT_AUTHORISED;
    case MKV_E_CONFLICT:
        return MKV_EXIT_CONFLICT;
    case MKV_E_FUTURE: /* clocks disagree, so this server takes no writes from here */
    case MKV_E_STALE:
    case MKV_E_VOID:
    case MKV_E_IO:
    case MKV_E_DISK_FULL:
    case MKV_E_MAP_FULL:
    case MKV_E_CORRUPT:
    case MKV_E_READ_ONLY:
        return MKV_EXIT_NOT_WRITING;
    case MKV_E_BAD_ARGUMENT:
        return MKV_EXIT_USAGE;
    default:
        return MKV_EXIT_BAD_DATA;
    }
}

const char *mkv_exit_text(unsigned number)
{
    static const char *const texts[] = {
        [MKV_EXIT_OK] = "done",
        [MKV_EXIT_NOT_FOUND] = "there is no such entry, or no such server",
        [MKV_EXIT_USAGE] = "the command line is wrong",
        [MKV_EXIT_NO_CONNECTION] = "no connection, or no answer in time",
        [MKV_EXIT_NOT_AUTHORISED] = "not authorised",
        [MKV_EXIT_CONFLICT] = "a write lost against a concurrent one",
        [MKV_EXIT_BAD_DATA] = "a value, path or file is bad",
        [MKV_EXIT_NOT_WRITING] =
            "the server cannot write, its broker is away, or servers differ (status --converged)",
    };

    if (number == MKV_EXIT_INTERRUPTED) {
        return "interrupted";
    }
    return number < sizeof(texts) / sizeof(texts[0]) ? texts[number] : NULL;
}
