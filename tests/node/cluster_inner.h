/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the rig share.
 */
#ifndef MKV_TESTS_NODE_CLUSTER_INNER_H
#define MKV_TESTS_NODE_CLUSTER_INNER_H

#include "cluster.h"

extern const struct mkv_bytes cluster_root;

/* Around each call of a node. */
void cluster_enter(const struct cluster *cluster, unsigned i);
void cluster_exit(const struct cluster *cluster, unsigned i);
/* Afterwards: what it has to say. */
void cluster_take_outputs(struct cluster *cluster, unsigned i);

/* Something is on its way now. */
void cluster_post(struct cluster *cluster,
                  enum mkv_output_kind kind,
                  unsigned from,
                  unsigned to,
                  uint64_t link,
                  struct mkv_bytes topic,
                  struct mkv_bytes payload);
void cluster_send_to(struct cluster *cluster, unsigned i, uint64_t link, struct mkv_bytes map);

struct cluster_link *cluster_find_link(struct cluster_server *server, uint64_t number);
struct cluster_link *cluster_add_link(struct cluster_server *server,
                                      uint64_t number,
                                      unsigned to,
                                      uint64_t there);
/* @from dials @to (CLUSTER_MAX: nobody) over its link @number. */
void cluster_open_link(struct cluster *cluster, unsigned from, unsigned to, uint64_t number);
/* Link @number of @i is gone. */
void cluster_drop_link(struct cluster *cluster, unsigned i, uint64_t number);
/* All of @i but that of its client, at both ends. */
void cluster_cut_links(struct cluster *cluster, unsigned i);

/* Node @i has a message of an authentication looked at. */
void cluster_prove(struct cluster *cluster, unsigned i, uint64_t link, struct mkv_bytes message);

int cluster_open_store(struct cluster_server *server, unsigned i);

#endif
