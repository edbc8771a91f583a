/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over each file of a folder, without libFuzzer, as one TAP case a file:
 *
 *     fuzz_cbor tests/fuzz/corpus/cbor
 *
 * A file that fails kills the program, so its name is printed before.  A folder without files is
 * a failure, too: it would test nothing.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

#define PATH_LEN_MAX 4096

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Runs over an allocation of just the file's size, so that a sanitizer sees what is read beyond. */
static bool run_over(FILE *file, size_t size)
{
    uint8_t *data = malloc(size > 0 ? size : 1);
    bool whole = data != NULL && fread(data, 1, size, file) == size;

    if (whole) {
        (void)LLVMFuzzerTestOneInput(data, size); /* it aborts or returns 0 */
    }
    free(data);
    return whole;
}

static bool replay(const char *path)
{
    struct stat status;
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        return false;
    }

    bool good = fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode) &&
                run_over(file, (size_t)status.st_size);

    (void)fclose(file); /* nothing was written */
    return good;
}

static bool replay_case(int number, const char *folder, const char *name)
{
    char path[PATH_LEN_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s", folder, name);

    printf("# %s\n", name);
    (void)fflush(stdout); /* in case this is the last that is heard of us */

    bool good = len > 0 && (size_t)len < sizeof(path) && replay(path);

    printf("%s %d - %s\n", good ? "ok" : "not ok", number, name);
    return good;
}

int main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    int n = argc == 2 ? scandir(argv[1], &entries, is_visible, by_name) : -1;
    bool good = true;

    if (n <= 0) {
        printf("1..1\nnot ok 1 - there are files to replay\n");
        return 1;
    }

    printf("1..%d\n", n);
    for (int i = 0; i < n; i++) {
        good = replay_case(i + 1, argv[1], entries[i]->d_name) && good;
        free(entries[i]);
    }
    free(entries);
    return good ? 0 : 1;
}
