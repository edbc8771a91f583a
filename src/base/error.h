/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every error there is.  A function returns 0 or one of these, and writes its `ret_` parameters
 * on success only.  The numbers are frozen: they travel in link frames and cross the ABI.
 *
 *     -1 ..  -99   what the other side, or the data, did wrong: drop the message or the link
 *   -100 .. -199   our surroundings: memory, disk, network; the operation failed
 *   -200 .. -299   the caller of the library
 */
#ifndef MKV_BASE_ERROR_H
#define MKV_BASE_ERROR_H

#define MKV_MUST_CHECK __attribute__((warn_unused_result))

/* X(name, number, text): the text says what is wrong in words a user can act on. */
#define MKV_ERRORS(X)                                                                              \
    X(MALFORMED, -1, "malformed: not valid CBOR, or not the shape that was expected")              \
    X(TRUNCATED, -2, "truncated: the data ends before the item does")                              \
    X(TRAILING, -3, "trailing bytes after the item")                                               \
    X(NOT_MINIMAL, -4, "an integer or length is not in its shortest form")                         \
    X(DUPLICATE_KEY, -5, "a key appears twice in a header")                                        \
    X(TOO_DEEP, -6, "nested too deeply (64 levels at most)")                                       \
    X(TOO_MANY, -7, "too many items")                                                              \
    X(TOO_LARGE, -8, "too large: a value may have 1 MiB (1,048,576 bytes)")                        \
    X(BAD_UTF8, -9, "text is not valid UTF-8")                                                     \
    X(BAD_NUMBER, -10, "a number is out of its range")                                             \
    X(BAD_PATH, -11, "not a valid path")                                                           \
    X(PATH_TOO_LONG, -12, "the path is too long (1,024 bytes encoded, 64 levels)")                 \
    X(BAD_ELEMENT, -13,                                                                            \
      "a path element may be text, integer, finite float, true, false, null or bytes")             \
    X(BAD_TOPIC, -14, "the topic is not in canonical form")                                        \
    X(BAD_NAME, -15, "a server name has 1 to 64 characters of A-Z a-z 0-9 . _ -")                  \
    X(BAD_TICK, -16, "the tick list is not valid")                                                 \
    X(NO_VERSION, -17, "no protocol version in common")                                            \
    X(UNEXPECTED, -18, "this message is not expected now")                                         \
    X(UNKNOWN_REQUEST, -19, "unknown request")                                                     \
    X(FUTURE, -20, "the tock lies too far in the future: check the writer's clock")                \
    X(STALE, -21, "the tock lies too far in the past")                                             \
    X(NOT_FOUND, -22, "no such entry")                                                             \
    X(NOT_AUTHORISED, -23, "not authorised")                                                       \
    X(BUSY, -24, "too many requests at once")                                                      \
    X(CANCELLED, -25, "cancelled")                                                                 \
    X(CONFLICT, -26, "overwritten by a concurrent update")                                         \
    X(VOID, -27, "the update was given up: its counter has been declared void")                    \
    X(LATER, -28, "not now: too many logins of this user failed from here; try again later")       \
    X(UNFIT, -29, "the value and the codec of the cluster do not go together")                     \
    X(NO_MEMORY, -100, "out of memory")                                                            \
    X(IO, -101, "input/output error")                                                              \
    X(DISK_FULL, -102, "the disk is full")                                                         \
    X(MAP_FULL, -103, "the store has reached its size limit")                                      \
    X(CORRUPT, -104, "a stored record is damaged")                                                 \
    X(FORMAT, -105, "the store has a format this version cannot read")                             \
    X(LOCKED, -106, "the store is in use by another process")                                      \
    X(NO_CONNECTION, -107, "no connection")                                                        \
    X(TIMEOUT, -108, "timed out")                                                                  \
    X(CLOSED, -109, "the other side closed the connection")                                        \
    X(REFUSED, -110, "the broker refused")                                                         \
    X(QUEUE_FULL, -111, "a queue is full")                                                         \
    X(READ_ONLY, -112, "the server cannot write to its disk; it only reads")                       \
    X(BAD_ARGUMENT, -200, "bad argument")                                                          \
    X(BAD_STATE, -201, "not possible in this state")

enum mkv_error {
    MKV_OK = 0,
#define MKV_ERROR_ENUM(name, number, text) MKV_E_##name = (number),
    MKV_ERRORS(MKV_ERROR_ENUM)
#undef MKV_ERROR_ENUM
};

/* The text of @error; for a number that is none of ours, "unknown error".  Static, never NULL. */
const char *mkv_error_text(int error);

/* The name without its prefix ("TOO_LARGE"), for logs and scripts.  Static, never NULL. */
const char *mkv_error_name(int error);

#endif
