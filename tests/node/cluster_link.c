/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster_inner.h"
#include "lib/check.h"

struct cluster_link *cluster_find_link(struct cluster_server *server, uint64_t number)
{
    for (unsigned i = 0; i < CLUSTER_LINKS_MAX; i++) {
        if (server->links[i].open && server->links[i].number == number) {
            return &server->links[i];
        }
    }
    return NULL;
}

struct cluster_link *cluster_add_link(struct cluster_server *server,
                                      uint64_t number,
                                      unsigned to,
                                      uint64_t there)
{
    for (unsigned i = 0; i < CLUSTER_LINKS_MAX; i++) {
        if (!server->links[i].open) {
            server->links[i] = (struct cluster_link){true, number, to, there};
            return &server->links[i];
        }
    }
    fail_msg("too many links");
    return NULL;
}

void cluster_drop_link(struct cluster *cluster, unsigned i, uint64_t number)
{
    struct cluster_server *server = &cluster->at[i];
    struct cluster_link *link = cluster_find_link(server, number);

    if (link == NULL) {
        return;
    }
    link->open = false;
    if (server->client == number) {
        server->client = 0;
    }
    if (server->node != NULL) {
        cluster_enter(cluster, i);
        mkv_server_node_link_closed(server->node, cluster->now, number);
        cluster_exit(cluster, i);
        cluster_take_outputs(cluster, i);
    }
}

void cluster_cut_links(struct cluster *cluster, unsigned i)
{
    for (unsigned k = 0; k < CLUSTER_LINKS_MAX; k++) {
        struct cluster_link link = cluster->at[i].links[k];

        if (link.open && link.number != cluster->at[i].client) {
            cluster_drop_link(cluster, i, link.number);
            cluster_drop_link(cluster, link.to, link.there);
        }
    }
}

void cluster_open_link(struct cluster *cluster, unsigned from, unsigned to, uint64_t number)
{
    struct cluster_server *caller = &cluster->at[from];
    struct cluster_server *called = to < CLUSTER_MAX ? &cluster->at[to] : NULL;
    bool works = called != NULL && (called->node != NULL || called->puppet) && !called->isolated &&
                 !caller->isolated;
    enum mkv_peer_kind kind = called != NULL ? called->kind : MKV_PEER_SAME_USER;
    uint64_t there = 0;

    if (works) {
        there = ++called->n_links;
        cluster_add_link(caller, number, to, there);
        cluster_add_link(called, there, from, number);
    }
    if (caller->node != NULL) {
        cluster_enter(cluster, from);
        mkv_server_node_dialled(caller->node, cluster->now, number, works ? 0 : MKV_E_NO_CONNECTION,
                                kind);
        cluster_exit(cluster, from);
        cluster_take_outputs(cluster, from);
    }
    if (works && called->node != NULL) {
        cluster_enter(cluster, to);
        mkv_server_node_link_opened(called->node, cluster->now, there, kind);
        cluster_exit(cluster, to);
        cluster_take_outputs(cluster, to);
    }
}
