/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining (docs/protocol.md, 12.5): whoever is ready has, or is yet to be handed by the broker,
 * every update that the broker has ever taken.
 *
 *     [] (q is ready and nothing waits for it -> q has all that was published)
 *
 * So two ready servers for which nothing waits are equal.  This is what joining achieves by itself:
 * ready servers do not read from each other here, though in truth they would (12.6).
 *
 * There are two ready servers, and a new one.  Updates are of different paths, so that merging is
 * union, and stricter than with one path.  One broker hands what it takes to all who have
 * subscribed, each in the same order, at its own time.  A server may crash at any moment if another
 * one is ready: its connection and what waits there are lost, its store is not.  It then joins like
 * the new one, but known, that is by reading the other's log from where it had been.
 *
 * Not here: floors and horizons (floor.pml), servers that start alone, a broker that loses messages.
 *
 * Each of these leaves something out, and must be found out:
 *
 *   NO_MARKER       the other vouches without having seen the ping
 *   ANY_BOOT        it takes the ping of an earlier boot for it
 *   PING_EARLY      the ping leaves before the subscription stands
 *   NO_LIVE         what comes by MQTT while joining is not merged
 *   JOINING_VOUCHES a server that is itself joining vouches
 *   CIRCLE          brokers in a circle: the ping may come on a shorter way than updates before it.
 *                   No fault of ours: such gaps are found by later pings, as losses are.
 *
 * REACHED asks whether the end is ever reached: all updates taken, all crashes had, all ready.
 */
#ifndef UPDATES
#define UPDATES 3
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

#define N         3
#define NOBODY    N
#define ALL       ((1 << UPDATES) - 1)
#define N_WAITING (UPDATES + 2)

#define DOWN    0
#define STARTED 1 /* not yet subscribed */
#define JOINING 2 /* subscribed; asks `source` to vouch, if it has one */
#define VOUCHED 3 /* reads what changed since its place in the log of `source`, and compares */
#define WALKING 4 /* path by path, up to `at` */
#define READY   5

/* What waits for a server at the broker: an update, 0 .. UPDATES - 1, or a ping: who, which boot. */
#define PING(p, b)  (16 + (p) * 4 + (b))
#define IS_PING(m)  ((m) >= 16)
#define PINGER(m)   (((m) - 16) / 4)
#define BOOT_OF(m)  (((m) - 16) % 4)

chan waiting[N] = [N_WAITING] of { byte };

/* In the store, that is over a crash: */
byte has[N];            /* set of updates */
byte row[N * UPDATES];  /* the log: updates in the order in which they came */
byte n_rows[N];
byte place[N * N];      /* PLACE(q, p): up to where q has read the log of p */
bool known[N];
byte boot[N];

/* Not in the store: */
byte state[N];
byte source[N];
byte past[N];           /* set of all that `has` was since vouched */
byte at[N];
byte heard[N * N];      /* HEARD(p, q): the boot, plus 1, of the last ping of q that p has seen */

/* At the broker: */
byte n_published;
byte pinged[N];         /* a ping of this boot, plus 1, is on its way to the broker */

byte n_crashes;
byte i, m;

#define ROW(p, n)     row[(p) * UPDATES + (n)]
#define PLACE(q, p)   place[(q) * N + (p)]
#define HEARD(p, q)   heard[(p) * N + (q)]
#define HAS(q, u)     ((has[q] >> (u)) & 1)
#define PUBLISHED     ((1 << n_published) - 1)
#define SUBSCRIBED(q) (state[q] >= JOINING)
#define OTHER_READY(q) \
    ((q != 0 && state[0] == READY) || (q != 1 && state[1] == READY) || (q != 2 && state[2] == READY))

#ifdef JOINING_VOUCHES
#define MAY_VOUCH(p) (state[p] >= JOINING)
#else
#define MAY_VOUCH(p) (state[p] == READY)
#endif
#ifdef NO_LIVE
#define MERGES_LIVE(q) (state[q] == READY)
#else
#define MERGES_LIVE(q) true
#endif
#define MAY_PING(q)                                                                      \
    (state[q] == JOINING && source[q] != NOBODY && HEARD(source[q], q) != boot[q] + 1 && \
     !(waiting[source[q]] ?? [eval(PING(q, boot[q]))]))
#if defined(NO_MARKER)
#define MARKED(p, q) true
#elif defined(ANY_BOOT)
#define MARKED(p, q) (HEARD(p, q) != 0)
#else
#define MARKED(p, q) (HEARD(p, q) == boot[q] + 1)
#endif

#define ROOM \
    (len(waiting[0]) < N_WAITING && len(waiting[1]) < N_WAITING && len(waiting[2]) < N_WAITING)

#define CHECK(q) assert(!(state[q] == READY && len(waiting[q]) == 0) || has[q] == PUBLISHED)

inline merge(q, u)
{
    if
    :: !HAS(q, u) ->
        has[q] = has[q] | (1 << (u));
        ROW(q, n_rows[q]) = u;
        n_rows[q]++;
        if
        :: state[q] >= VOUCHED && state[q] < READY -> past[q] = past[q] | (1 << has[q])
        :: else
        fi
    :: else
    fi
}

inline join_again(q)
{
    state[q] = JOINING;
    source[q] = NOBODY;
    past[q] = 0;
    at[q] = 0
}

inline publish()
{
    n_published < UPDATES && ROOM;
    printf("update %d\n", n_published);
    i = 0;
    do
    :: i < N ->
        if
        :: SUBSCRIBED(i) -> waiting[i]!n_published
        :: else
        fi;
        i++
    :: else -> break
    od;
    n_published++
}

inline deliver(q)
{
    SUBSCRIBED(q) && len(waiting[q]) > 0;
    waiting[q]?m;
    if
    :: IS_PING(m) ->
        printf("%d sees the ping of %d, boot %d\n", q, PINGER(m), BOOT_OF(m));
        HEARD(q, PINGER(m)) = BOOT_OF(m) + 1
    :: else ->
        printf("%d gets update %d\n", q, m);
        if
        :: MERGES_LIVE(q) -> merge(q, m)
        :: else
        fi
    fi
}

inline start(q)
{
    state[q] == DOWN;
    printf("%d starts\n", q);
#ifdef PING_EARLY
    pinged[q] = boot[q] + 1;
#endif
    state[q] = STARTED
}

inline subscribe(q)
{
    state[q] == STARTED;
    printf("%d has subscribed\n", q);
    join_again(q)
}

/* Again and again in truth; here, as often as it makes a difference. */
inline ping(q)
{
    MAY_PING(q) && pinged[q] == 0;
    printf("%d pings\n", q);
    pinged[q] = boot[q] + 1
}

inline pass_ping_to(q, p)
{
    if
    :: p != q && SUBSCRIBED(p) ->
#ifdef CIRCLE
        HEARD(p, q) = pinged[q]
#else
        waiting[p]!PING(q, pinged[q] - 1)
#endif
    :: else
    fi
}

inline pass_ping(q)
{
    pinged[q] != 0 && ROOM;
    printf("the broker has the ping of %d\n", q);
    pass_ping_to(q, 0);
    pass_ping_to(q, 1);
    pass_ping_to(q, 2);
    pinged[q] = 0
}

inline dial(p, q)
{
    state[q] == JOINING && source[q] == NOBODY && MAY_VOUCH(p);
    printf("%d dials %d\n", q, p);
    source[q] = p
}

inline vouch(p, q)
{
    state[q] == JOINING && source[q] == p && MAY_VOUCH(p) && MARKED(p, q);
    printf("%d vouches for %d\n", p, q);
    state[q] = VOUCHED;
    past[q] = 1 << has[q]
}

/* A page of one row; row and place are stored together. */
inline read_on(p, q)
{
    state[q] == VOUCHED && source[q] == p && known[q] && PLACE(q, p) < n_rows[p];
    printf("%d reads on in the log of %d\n", q, p);
    m = ROW(p, PLACE(q, p));
    PLACE(q, p) = PLACE(q, p) + 1;
    merge(q, m)
}

inline become_ready(q)
{
    printf("%d is ready, has %d\n", q, has[q]);
    join_again(q);
    known[q] = true;
    state[q] = READY
}

inline compare(p, q)
{
    state[q] == VOUCHED && source[q] == p && (!known[q] || PLACE(q, p) == n_rows[p]);
    if
    :: (past[q] >> has[p]) & 1 -> become_ready(q)
    :: else ->
        printf("%d differs from %d\n", q, p);
        state[q] = WALKING
    fi
}

inline walk_on(p, q)
{
    state[q] == WALKING && source[q] == p;
    printf("%d walks in %d: %d\n", q, p, at[q]);
    if
    :: HAS(p, at[q]) -> m = at[q]; merge(q, m)
    :: else
    fi;
    at[q]++;
    if
    :: at[q] == UPDATES -> become_ready(q)
    :: else
    fi
}

/* A ping of p whose digest is that of q. */
inline note_place(p, q)
{
    state[p] == READY && state[q] == READY && has[p] == has[q] && PLACE(q, p) < n_rows[p];
    PLACE(q, p) = n_rows[p]
}

/* A ping that has left may still arrive. */
inline crash(q)
{
    n_crashes < CRASHES && state[q] != DOWN && OTHER_READY(q);
    printf("%d crashes\n", q);
    n_crashes++;
    do
    :: len(waiting[q]) > 0 -> waiting[q]?m
    :: else -> break
    od;
    join_again(q);
    boot[q]++;
    i = 0;
    do
    :: i < N ->
        HEARD(q, i) = 0;
        if
        :: source[i] == q -> join_again(i)
        :: else
        fi;
        i++
    :: else -> break
    od;
    state[q] = DOWN
}

#define STEP(act) d_step { act; i = 0; m = 0; CHECK(0); CHECK(1); CHECK(2) }
#define ONE(act)  :: STEP(act(0)) :: STEP(act(1)) :: STEP(act(2))
#define TWO(act)                                                     \
    :: STEP(act(0, 1)) :: STEP(act(1, 0)) :: STEP(act(0, 2))         \
    :: STEP(act(2, 0)) :: STEP(act(1, 2)) :: STEP(act(2, 1))
#define IDLE(q) (state[q] == READY && len(waiting[q]) == 0 && pinged[q] == 0)

init {
    d_step {
        state[0] = READY;
        state[1] = READY;
        known[0] = true;
        known[1] = true;
        source[0] = NOBODY;
        source[1] = NOBODY;
        source[2] = NOBODY
    }
    /* Where no step is left before all is done, somebody waits for ever: an error, too. */
    do
    :: STEP(publish())
    ONE(deliver)
    ONE(start)
    ONE(subscribe)
    ONE(ping)
    ONE(pass_ping)
    TWO(dial)
    TWO(vouch)
    TWO(read_on)
    TWO(compare)
    TWO(walk_on)
    TWO(note_place)
    ONE(crash)
    :: n_published == UPDATES && IDLE(0) && IDLE(1) && IDLE(2) -> break
    od;
    assert(has[0] == ALL && has[1] == ALL && has[2] == ALL);
#ifdef REACHED
    assert(n_crashes < CRASHES)
#endif
}
