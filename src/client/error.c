/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <moatkv/error.h>
#include <moatkv/version.h>

#define STRING(x)  STRING_(x)
#define STRING_(x) #x

/* The public numbers are the internal ones; a missing or different one does not compile. */
#define CHECK(name, number, text)                                                                  \
    _Static_assert((int)MOATKV_E_##name == (int)MKV_E_##name, #name " differs");
MKV_ERRORS(CHECK)
#undef CHECK

_Static_assert(MOATKV_VERSION_NUMBER == MOATKV_VERSION_MAJOR * 1000000 +
                                            MOATKV_VERSION_MINOR * 1000 + MOATKV_VERSION_PATCH,
               "the version's number is not its parts");

const char *moatkv_strerror(int error)
{
    return mkv_error_text(error);
}

const char *moatkv_error_name(int error)
{
    return mkv_error_name(error);
}

int moatkv_version_number(void)
{
    return MOATKV_VERSION_NUMBER;
}

const char *moatkv_version(void)
{
    return STRING(MOATKV_VERSION_MAJOR) "." STRING(MOATKV_VERSION_MINOR) "." STRING(
        MOATKV_VERSION_PATCH);
}
