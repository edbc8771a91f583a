/* SPDX-License-Identifier: Apache-2.0 */
#include "lone.h"

struct world world;

int setup(void **state)
{
    (void)state;
    world.now = (struct mkv_now){.ms = 1000};
    world_start(&world);
    return 0;
}

int teardown(void **state)
{
    (void)state;
    world_free(&world);
    return 0;
}
