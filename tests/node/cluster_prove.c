/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cluster_inner.h"
#include "lib/check.h"

/*
 * What stands for SCRAM between servers: "k" and the dialler's key, "c" and the answerer's, "r", "v" and
 * the answerer's.
 */
static struct mkv_bytes text_of(char kind, const char *key, char text[32])
{
    text[0] = kind;
    assert_true(strlen(key) < 31);
    memcpy(text + 1, key, strlen(key) + 1);
    return mkv_bytes_of(text);
}

static void answer_dialler(const char *key,
                           struct mkv_bytes in,
                           char text[32],
                           struct mkv_judgement *judgement)
{
    if (in.at[0] == 'u') {
        judgement->user = mkv_bytes_of("ann");
        judgement->done = true;
        return;
    }
    if (in.at[0] == 'k') {
        judgement->user = mkv_bytes_of(":server/12345678");
        judgement->is_server = true;
        judgement->error = mkv_bytes_equal(in, text_of('k', key, text)) ? 0 : MKV_E_NOT_AUTHORISED;
        judgement->answer = text_of('c', key, text);
        return;
    }
    judgement->user = mkv_bytes_of(":server/12345678");
    judgement->is_server = true;
    judgement->done = true;
    judgement->answer = text_of('v', key, text);
}

static void answer_answerer(const char *key,
                            struct mkv_bytes in,
                            char text[32],
                            struct mkv_judgement *judgement)
{
    if (in.len == 0) {
        judgement->answer = text_of('k', key, text);
    } else if (mkv_bytes_equal(in, text_of('c', key, text))) {
        judgement->answer = mkv_bytes_of("r");
    } else if (mkv_bytes_equal(in, text_of('v', key, text))) {
        judgement->done = true;
    } else {
        judgement->error = MKV_E_NOT_AUTHORISED;
    }
}

void cluster_prove(struct cluster *cluster, unsigned i, uint64_t link, struct mkv_bytes message)
{
    struct cluster_server *server = &cluster->at[i];
    const char *key = server->key != NULL ? server->key : "";
    struct mkv_judgement judgement = {0};
    char text[32];

    if (link >= MKV_LINK_OUT) {
        answer_answerer(key, message, text, &judgement);
    } else {
        assert_true(message.len > 0);
        answer_dialler(key, message, text, &judgement);
    }
    cluster_enter(cluster, i);
    mkv_server_node_judged(server->node, cluster->now, link, &judgement);
    cluster_exit(cluster, i);
    cluster_take_outputs(cluster, i);
}
