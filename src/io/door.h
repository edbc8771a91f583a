/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may come in: so many links of one origin (struct mkv_peer says what that is), and so many TLS handshakes
 * a second, over all listeners together.
 */
#ifndef MKV_IO_DOOR_H
#define MKV_IO_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define MKV_DOOR_ORIGINS_MAX                                                                       \
    2048U                  /* that have links; one more has to wait until another one has none */
#define MKV_DOOR_EACH  16U /* defaults of the limits below */
#define MKV_DOOR_PER_S 50U

struct mkv_door_origin {
    uint64_t hash;
    uint32_t n_links;
};

/* Zeroed has the default limits, and nobody is in. */
struct mkv_door {
    uint32_t each;  /* links of one origin; 0: the default */
    uint32_t per_s; /* TLS handshakes, and as many at once; 0: the default */
    int64_t due_us; /* when the handshakes so far would all have been due, evenly spread */
    uint32_t n;
    struct mkv_door_origin at[MKV_DOOR_ORIGINS_MAX];
};

/* False: there are enough links of this origin, or too many origins. */
bool mkv_door_enter(struct mkv_door *door, struct mkv_bytes origin);
/* One that has entered goes. */
void mkv_door_leave(struct mkv_door *door, struct mkv_bytes origin);

/* A handshake begins; returns for how many ms no other one should. */
int64_t mkv_door_handshake(struct mkv_door *door, int64_t now_ms);

#endif
