/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forgetting (docs/protocol.md, 12.4 to 12.6): tombstones up to the floor are purged, and what they
 * deleted does not come back; and two ready servers with the same table of members do not differ
 * about a value up to the floor of both.
 *
 * Three servers and one path.  Its update with tock 1 is a value V, the one with tock 2 a tombstone;
 * with TOP 1 there is V only.  Either may reach any server at any time, or never, and so may pings
 * and what is published of the members: that covers lost, late and repeated messages, and splits.
 * Horizons go up to TOP, and as they like.  A member's entry is a number, odd where it is active,
 * that grows when it is written.  Reading and walking are one step each.
 *
 * What may happen is bounded: CRASHES, RESTORES (server 0 is put back to a backup), EVICTS (server 2
 * is evicted), MEMBERS 2 (server 2 is new), and how often a member's entry is written.
 *
 * AT_REST asks something else: at some time nothing more happens, and all can reach each other.
 * Wherever they come to rest then, all that are ready are equal, and none waits while another is
 * ready.  That must hold whatever came before: if a few faults at once did leave a difference below
 * the floor, it is healed.  (That they do come to rest is not asked.)
 *
 * Each of these leaves something out, and must be found out:
 *
 *   BY_AGE             the floor is the horizon, whatever others have
 *   NO_HORIZON_CHECK   updates by MQTT are taken whatever their tock
 *   NO_REJOIN          a restored server goes on with its marks
 *   RESTORED_IS_KNOWN  it joins, but like one that has kept its promises
 *   NEW_IS_KNOWN       a new one joins with the floor for its bound, not the horizon
 *   KNOWN_BY_OTHERS    so does one that was vouched for anew and has not heard of it
 *   KEEP_MARKS         marks, and
 *   KEEP_COMPS         what others told as complete, outlive a change of the members
 *   MARK_ANY_TABLE     marks count whatever members the other has
 *   COUNT_ANY_TABLE    so does what is told as complete
 *   ADOPT_ANY_TABLE    so does a floor
 *   READ_ANY_TABLE     all is read from a server with other members than one's own
 *   JOIN_ANYWHERE      servers join through one that they know to be evicted
 *   NO_HEALING         differences below the floor are passed over
 */
#define N 3
#define WRITTEN_MAX 5 /* a member's entry is not written anew above this */
#ifndef MEMBERS
#define MEMBERS 3
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef RESTORES
#define RESTORES 0
#endif
#ifndef EVICTS
#define EVICTS 0
#endif
#ifndef TOP
#define TOP 2
#endif
#ifndef QUARANTINE_OK
#define QUARANTINE_OK (RESTORES + EVICTS > 0)
#endif

#define DOWN 0
#define JOINING 1
#define VOUCHED 2
#define READY 3
#define NOBODY N
#define TOMB 2

#define LIVE(x) ((x) == 1)
#define ACTIVE(v) ((v) & 1)
#define VER(q, s) ver[(q) * N + (s)]
#define MARK(q, p) mark[(q) * N + (p)]
#define COMP(q, p) comp[(q) * N + (p)]
#define MAX(a, b) ((a) > (b) -> (a) : (b))
#define MIN(a, b) ((a) < (b) -> (a) : (b))

/*
 * Of each server: e, what it holds (0: nothing, 1: V, 2: tombstone); F, floor; H, horizon; ver, its
 * table of members; ju, its own entry when it last became ready (0: to be relied on for nothing);
 * past, a set of what it held; jl, what it holds came by MQTT while it was joining.  Of joining ones:
 * src, who vouches; srcver, that one's entry; bound, vfloor, vhor, known: what it said.
 */
byte state[N], e[N], F[N], H[N], ver[N * N], ju[N];
bool jl[N];
byte mark[N * N], comp[N * N], past[N], src[N], srcver[N], bound[N], vfloor[N], vhor[N];
bool known[N];
byte crashes = CRASHES, restores = RESTORES, evicts = EVICTS;
bool has_backup;
byte bk_e, bk_F, bk_H, bk_ju, bk_ver[N], bk_mark[N], bk_comp[N];
bool purged, is_restored, quiet;
byte i, x, m;

#define OTHERS_MARK(q, i) ((i) == (q) || !ACTIVE(VER(q, i)) -> 15 : MARK(q, i))
#define OTHERS_COMP(q, i) ((i) == (q) || !ACTIVE(VER(q, i)) -> 15 : COMP(q, i))
#define ROW(what, q) MIN(what(q, 0), MIN(what(q, 1), what(q, 2)))
#define COMPLETE(q) MIN(H[q], ROW(OTHERS_MARK, q))
#define SAME_TABLE(p, q) (VER(p, 0) == VER(q, 0) && VER(p, 1) == VER(q, 1) && VER(p, 2) == VER(q, 2))
#define OLDER_TABLE(p, q) (VER(p, 0) <= VER(q, 0) && VER(p, 1) <= VER(q, 1) && VER(p, 2) <= VER(q, 2))
/* The digest of p is one that q has had. */
#define IN_PAST(p, q) (OLDER_TABLE(p, q) && (past[q] & (1 << e[p])))
#define BOTH_READY(p, q) (state[p] == READY && state[q] == READY)
#define SURE(q) (ju[q] != 0 && VER(q, q) == ju[q])

#ifdef KEEP_COMPS
#define DROP_COMPS(sv) skip
#else
#define DROP_COMPS(sv) COMP(sv, 0) = 0; COMP(sv, 1) = 0; COMP(sv, 2) = 0
#endif
#ifdef KEEP_MARKS
#define DROP_MARKS(sv, who) MARK(sv, who) = 0
#else
#define DROP_MARKS(sv, who) MARK(sv, 0) = 0; MARK(sv, 1) = 0; MARK(sv, 2) = 0
#endif
#ifdef MARK_ANY_TABLE
#define MARKABLE(p, q) true
#else
#define MARKABLE(p, q) SAME_TABLE(p, q)
#endif
#ifdef COUNT_ANY_TABLE
#define COUNTABLE(p, q) true
#else
#define COUNTABLE(p, q) SAME_TABLE(p, q)
#endif
#ifdef ADOPT_ANY_TABLE
#define ADOPTABLE(p, q) true
#else
#define ADOPTABLE(p, q) SAME_TABLE(p, q)
#endif
#ifdef READ_ANY_TABLE
#define MAY_READ(q, p) true
#else
#define MAY_READ(q, p) SAME_TABLE(q, p)
#endif
#ifdef NO_HORIZON_CHECK
#define ABOVE_HORIZON(q, msg) true
#else
#define ABOVE_HORIZON(q, msg) ((msg) > H[q])
#endif
/* One that is not sure of itself has nothing better to go by than what others say. */
#ifdef JOIN_ANYWHERE
#define MAY_JOIN(q, p) true
#define STILL_VOUCHED(q, p) true
#define STILL_ACTIVE(q, p) true
#else
#define MAY_JOIN(q, p) (VER(q, p) == 0 || ACTIVE(VER(q, p)) || !SURE(q))
#define STILL_VOUCHED(q, p) (VER(q, p) <= srcver[q])
#define STILL_ACTIVE(q, p) ACTIVE(VER(q, p))
#endif
#ifdef BY_AGE
#define NEW_FLOOR(q) H[q]
#else
#define NEW_FLOOR(q) MIN(COMPLETE(q), ROW(OTHERS_COMP, q))
#endif
#ifdef RESTORED_IS_KNOWN
#define KNOWN(p, q) ACTIVE(VER(p, q))
#else
#ifdef KNOWN_BY_OTHERS
#define KNOWN(p, q) (SURE(q) && ACTIVE(VER(p, q)))
#else
#define KNOWN(p, q) (SURE(q) && ACTIVE(VER(p, q)) && VER(p, q) <= ju[q])
#endif
#endif

/* --- What must hold ------------------------------------------------------------------------- */

#ifdef AT_REST
#define CHECK skip
#else
/* Floor within the horizon; nothing purged comes back. */
#define CHECK1(p) assert(state[p] != READY || (F[p] <= H[p] && !(purged && F[p] >= TOMB && e[p] == 1)))
/* What p has up to both floors, q has as well. */
#define CHECK2(p, q) assert(!(BOTH_READY(p, q) && SAME_TABLE(p, q) && LIVE(e[p]) && e[p] <= F[p] && e[p] <= F[q] && e[q] < e[p]))
#define CHECK CHECK1(0); CHECK1(1); CHECK1(2); CHECK2(0, 1); CHECK2(1, 0); CHECK2(0, 2); CHECK2(2, 0); CHECK2(1, 2); CHECK2(2, 1)
#endif
#define REST(p, q) (!BOTH_READY(p, q) || (SAME_TABLE(p, q) && e[p] == e[q]))
#define SOMEBODY_READY (state[0] == READY || state[1] == READY || state[2] == READY)
#define NOBODY_WAITS ((state[0] != JOINING && state[0] != VOUCHED) && (state[1] != JOINING && state[1] != VOUCHED) && (state[2] != JOINING && state[2] != VOUCHED))

/* Here it ends where somebody's entry has been written anew too often. */
#define OUT(p) (VER(p, 0) > WRITTEN_MAX || VER(p, 1) > WRITTEN_MAX || VER(p, 2) > WRITTEN_MAX)
#define WRITTEN_OUT (OUT(0) || OUT(1) || OUT(2))

/* --- What servers do ------------------------------------------------------------------------ */

inline hold(sv, what) { e[sv] = what; past[sv] = past[sv] | (1 << what) }
inline table_changed(sv, who) { DROP_COMPS(sv); DROP_MARKS(sv, who) }
inline leave_source(sv) { src[sv] = NOBODY; srcver[sv] = 0; bound[sv] = 0; vfloor[sv] = 0; vhor[sv] = 0; known[sv] = 0 }
inline forget(sv) {
    i = 0;
    do
    :: i < N -> MARK(sv, i) = 0; COMP(sv, i) = 0; i++
    :: else -> break
    od;
    past[sv] = 0; leave_source(sv)
}
/* Links to sv are cut: whoever joins through it begins again. */
inline cut_links(sv) {
    i = 0;
    do
    :: i < N ->
        if
        :: src[i] == sv -> leave_source(i); state[i] = JOINING
        :: else
        fi;
        i++
    :: else -> break
    od
}
inline go_joining(sv) { forget(sv); state[sv] = JOINING; past[sv] = 1 << e[sv] }
inline merge_tables(q, p) {
    x = 0;
    do
    :: x < N ->
        if
        :: VER(p, x) > VER(q, x) -> VER(q, x) = VER(p, x); table_changed(q, x)
        :: else
        fi;
        x++
    :: else -> break
    od
}
inline leave_if_not_member(q) {
    if
    :: state[q] == READY && (!ACTIVE(VER(q, q)) || VER(q, q) > ju[q]) -> cut_links(q); go_joining(q)
    :: else
    fi
}
inline merge(q, p) {
    if
    :: e[p] > e[q] && e[p] > F[q] -> hold(q, e[p]); jl[q] = 0
    :: else
    fi
}
inline walk(q, p, f, kn) {
    if
    :: f > F[q] && e[q] != e[p] && e[p] <= f && e[q] <= f ->
#ifndef AT_REST
        assert(QUARANTINE_OK || !(LIVE(e[q]) && e[p] < e[q] && (kn) && !jl[q]));
#endif
        hold(q, e[p]); jl[q] = 0
    :: else -> merge(q, p)
    fi
}
inline raise_mark(q, p, to) {
    if
    :: MARKABLE(p, q) -> MARK(q, p) = MAX(MARK(q, p), to)
    :: else
    fi
}

/* An update comes by MQTT. */
inline take(q, msg) {
    !quiet && state[q] != DOWN && msg > e[q] && msg > F[q] && ABOVE_HORIZON(q, msg);
    printf("%d gets %d by MQTT (state %d)\n", q, msg, state[q]);
    hold(q, msg); jl[q] = (state[q] != READY); CHECK
}
inline take1(q) { take(q, 1) }
inline take2(q) { take(q, 2) }

#define TELLS_COMPLETE(p, q) (COUNTABLE(p, q) && COMPLETE(p) > COMP(q, p))
#define TELLS_MARK(p, q) (MARKABLE(p, q) && IN_PAST(p, q) && H[p] > MARK(q, p))
#define SAME_TREE(p, q) (SAME_TABLE(p, q) && e[p] == e[q])
#define TELLS_FLOOR(p, q) (F[p] > F[q] && ((COMPLETE(q) >= F[p] && ADOPTABLE(p, q)) || SAME_TREE(p, q)))
inline ping(p, q) {
    BOTH_READY(p, q) && (TELLS_COMPLETE(p, q) || TELLS_MARK(p, q) || TELLS_FLOOR(p, q));
    printf("%d pings %d: H %d complete %d F %d e %d\n", p, q, H[p], COMPLETE(p), F[p], e[p]);
    if
    :: TELLS_COMPLETE(p, q) -> COMP(q, p) = COMPLETE(p)
    :: else
    fi;
    if
    :: TELLS_MARK(p, q) -> MARK(q, p) = H[p]
    :: else
    fi;
    if
    :: TELLS_FLOOR(p, q) -> F[q] = F[p]; H[q] = MAX(H[q], F[q])
    :: else
    fi;
    CHECK
}
/* Whether q learns of members from p, or may read all else there. */
#define READS(q, p) (!OLDER_TABLE(p, q) || MAY_READ(q, p))
inline pull(p, q) {
    BOTH_READY(p, q) && !SAME_TREE(p, q) && (!OLDER_TABLE(p, q) || (MAY_READ(q, p) && ((e[p] > e[q] && e[p] > F[q]) || (MARKABLE(p, q) && H[p] > MARK(q, p)))));
    printf("%d is read by %d\n", p, q);
    merge_tables(q, p);
    leave_if_not_member(q);
    if
    :: state[q] == READY && MAY_READ(q, p) -> merge(q, p); raise_mark(q, p, H[p])
    :: else
    fi;
    CHECK
}
inline frozen_walk(p, q) {
    BOTH_READY(p, q) && F[p] > F[q] && !TELLS_FLOOR(p, q) && READS(q, p);
    printf("%d is walked by %d, f %d\n", p, q, F[p]);
    merge_tables(q, p);
    leave_if_not_member(q);
    if
    :: state[q] == READY && MAY_READ(q, p) ->
        walk(q, p, F[p], true);
        F[q] = F[p]; H[q] = MAX(H[q], F[q]);
        raise_mark(q, p, H[p])
    :: else
    fi;
    CHECK
}
/* Below the floor, when nothing else is left to be done about a difference. */
inline heal(p, q) {
    BOTH_READY(p, q) && SAME_TABLE(p, q) && F[p] == F[q] && LIVE(e[p]) && e[p] > e[q] && e[p] <= F[q];
    printf("%d heals from %d\n", q, p);
    hold(q, e[p]); CHECK
}
inline raise_floor(q) {
    state[q] == READY && NEW_FLOOR(q) > F[q];
    printf("%d raises floor to %d\n", q, NEW_FLOOR(q));
    F[q] = NEW_FLOOR(q); CHECK
}
inline purge(q) {
    state[q] == READY && e[q] == TOMB && F[q] >= TOMB;
    printf("%d purges\n", q);
    hold(q, 0); purged = 1; CHECK
}
inline age(q) {
    !quiet && state[q] == READY && H[q] < TOP; H[q]++;
    printf("%d horizon %d\n", q, H[q])
}

/* --- Starting and joining ------------------------------------------------------------------- */

inline crash(q) {
    !quiet && crashes > 0 && state[q] != DOWN;
    printf("%d crashes\n", q);
    crashes--; forget(q); state[q] = DOWN; cut_links(q)
}
inline start(q) {
    state[q] == DOWN;
    printf("%d starts\n", q);
    go_joining(q)
}
/* While others are cut off; when they are not, only if there is none to join. */
#define NONE_TO_JOIN(q) (!(state[0] == READY && MAY_JOIN(q, 0)) && !(state[1] == READY && MAY_JOIN(q, 1)) && !(state[2] == READY && MAY_JOIN(q, 2)))
inline lone_start(q) {
    state[q] == JOINING && SURE(q) && !(is_restored && q == 0) && (!quiet || NONE_TO_JOIN(q));
    printf("%d starts alone\n", q);
    cut_links(q); forget(q); past[q] = 1 << e[q]; state[q] = READY; jl[q] = 0; CHECK
}
inline vouch(p, q) {
    state[p] == READY && state[q] == JOINING && src[q] == NOBODY && MAY_JOIN(q, p) && (KNOWN(p, q) || (VER(p, q) <= WRITTEN_MAX && VER(q, q) <= WRITTEN_MAX));
    printf("%d vouches for %d: known %d H %d F %d\n", p, q, KNOWN(p, q), H[p], F[p]);
    known[q] = KNOWN(p, q);
    if
    :: !known[q] ->
        m = MAX(VER(p, q), VER(q, q));
        VER(p, q) = (ACTIVE(m) -> m + 2 : m + 1);
        table_changed(p, q)
    :: else
    fi;
    src[q] = p; srcver[q] = VER(p, p); vfloor[q] = F[p]; vhor[q] = H[p];
#ifdef NEW_IS_KNOWN
    bound[q] = F[p]
#else
    bound[q] = (known[q] -> F[p] : H[p])
#endif
}
inline vouched(q) {
    state[q] == JOINING && src[q] != NOBODY;
    printf("%d hears it is vouched for\n", q);
    state[q] = VOUCHED;
    H[q] = MAX(H[q], vhor[q]); vhor[q] = 0; past[q] = 1 << e[q];
    if
    :: !known[q] -> ju[q] = 0
    :: else
    fi
}
inline give_up_source(q) {
    if
    :: src[q] != NOBODY && (!STILL_VOUCHED(q, src[q])) -> go_joining(q)
    :: else
    fi
}
inline hear_members(p, q) {
    !quiet && state[q] != DOWN && !OLDER_TABLE(p, q);
    printf("%d hears the members of %d by MQTT\n", q, p);
    merge_tables(q, p);
    leave_if_not_member(q);
    give_up_source(q);
    CHECK
}
/* Whoever is not known takes over what the other says of them both, even if it is older. */
inline take_tables(q, p) {
    x = 0;
    do
    :: x < N ->
        if
        :: VER(p, x) > VER(q, x) || (!known[q] && (x == p || x == q)) -> VER(q, x) = VER(p, x)
        :: else
        fi;
        x++
    :: else -> break
    od
}
inline joined(p, q) {
    state[q] == VOUCHED && src[q] == p && state[p] == READY;
    take_tables(q, p);
    if
    :: STILL_ACTIVE(q, p) && ACTIVE(VER(q, q)) && STILL_VOUCHED(q, p) ->
        printf("%d joined from %d\n", q, p);
        if
        :: known[q] -> merge(q, p) /* what changed since its place */
        :: else
        fi;
        if
        :: IN_PAST(p, q)
        :: else -> walk(q, p, bound[q], known[q])
        fi;
        F[q] = MAX(F[q], vfloor[q]);
        forget(q);
        past[q] = 1 << e[q]; jl[q] = 0; ju[q] = VER(q, q);
        is_restored = is_restored && q != 0;
        state[q] = READY
    :: else -> printf("%d gives up joining from %d\n", q, p); go_joining(q)
    fi;
    CHECK
}

/* --- Faults --------------------------------------------------------------------------------- */

inline backup() {
    !quiet && restores > 0 && !has_backup && state[0] == READY;
    printf("backup of 0: e %d F %d H %d\n", e[0], F[0], H[0]);
    has_backup = 1; bk_e = e[0]; bk_F = F[0]; bk_H = H[0]; bk_ju = ju[0];
    i = 0;
    do
    :: i < N -> bk_ver[i] = VER(0, i);
#ifdef NO_REJOIN
        bk_mark[i] = MARK(0, i); bk_comp[i] = COMP(0, i);
#endif
        i++
    :: else -> break
    od
}
inline restore() {
    !quiet && has_backup && restores > 0;
    printf("0 restored: e %d F %d H %d\n", bk_e, bk_F, bk_H);
    restores--; forget(0); state[0] = DOWN; cut_links(0);
    e[0] = bk_e; F[0] = bk_F; H[0] = bk_H; jl[0] = 0; is_restored = 1;
#if defined(RESTORED_IS_KNOWN) || defined(NO_REJOIN)
    ju[0] = bk_ju;
#else
    ju[0] = 0;
#endif
#ifdef NO_REJOIN
    state[0] = READY; past[0] = 1 << e[0]; is_restored = 0;
#endif
    i = 0;
    do
    :: i < N -> VER(0, i) = bk_ver[i]; bk_ver[i] = 0;
#ifdef NO_REJOIN
        MARK(0, i) = bk_mark[i]; COMP(0, i) = bk_comp[i]; bk_mark[i] = 0; bk_comp[i] = 0;
#endif
        i++
    :: else -> break
    od;
    has_backup = 0; bk_e = 0; bk_F = 0; bk_H = 0; bk_ju = 0;
    CHECK
}
inline evict(p) {
    !quiet && evicts > 0 && state[p] == READY && p != 2 && ACTIVE(VER(p, 2));
    printf("%d evicts 2\n", p);
    evicts--; VER(p, 2) = VER(p, 2) + 1; table_changed(p, 2)
}

#define CLEAN i = 0; x = 0; m = 0
#define ONE(act) :: d_step { act(0); CLEAN } :: d_step { act(1); CLEAN } :: d_step { act(2); CLEAN }
#define TWO(act) :: d_step { act(0, 1); CLEAN } :: d_step { act(1, 0); CLEAN } :: d_step { act(0, 2); CLEAN } :: d_step { act(2, 0); CLEAN } :: d_step { act(1, 2); CLEAN } :: d_step { act(2, 1); CLEAN }

init {
    d_step {
        do
        :: i < N ->
            src[i] = NOBODY;
            if
            :: i < MEMBERS -> state[i] = READY; past[i] = 1; ju[i] = 1; VER(i, 0) = 1; VER(i, 1) = (MEMBERS > 1); VER(i, 2) = (MEMBERS > 2)
            :: else -> state[i] = DOWN
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
    do
    ONE(take1)
#if TOP > 1
    ONE(take2)
    ONE(purge)
#endif
    TWO(ping)
    TWO(pull)
    TWO(frozen_walk)
    ONE(raise_floor)
    ONE(age)
#if CRASHES
    ONE(crash)
#endif
    ONE(start)
    ONE(lone_start)
    TWO(vouch)
    ONE(vouched)
    TWO(hear_members)
    TWO(joined)
#if RESTORES
    :: d_step { backup(); CLEAN }
    :: d_step { restore(); CLEAN }
#endif
#if EVICTS
    ONE(evict)
#endif
#ifdef AT_REST
#ifndef NO_HEALING
    TWO(heal)
#endif
    :: d_step { !quiet -> printf("quiet\n"); quiet = 1; has_backup = 0; crashes = 0; restores = 0; evicts = 0; bk_e = 0; bk_F = 0; bk_H = 0; bk_ju = 0; bk_ver[0] = 0; bk_ver[1] = 0; bk_ver[2] = 0 }
    :: timeout ->
        assert(REST(0, 1) && REST(0, 2) && REST(1, 2));
        assert(!SOMEBODY_READY || NOBODY_WAITS || WRITTEN_OUT);
        break
#endif
    od
}
