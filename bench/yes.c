/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin for mosquitto that allows everything: what it costs to be asked at all, for bench/guard.
 */
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

#define EXPORT __attribute__((visibility("default")))

static const int events[] = {MOSQ_EVT_BASIC_AUTH, MOSQ_EVT_ACL_CHECK};

static int say_yes(int event, void *data, void *context)
{
    (void)event;
    (void)data;
    (void)context;
    return MOSQ_ERR_SUCCESS;
}

EXPORT int mosquitto_plugin_version(int supported_version_count, const int *supported_versions)
{
    for (int i = 0; i < supported_version_count; i++) {
        if (supported_versions[i] == MOSQ_PLUGIN_VERSION) {
            return MOSQ_PLUGIN_VERSION;
        }
    }
    return -1;
}

EXPORT int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier,
                                 void **userdata,
                                 struct mosquitto_opt *options,
                                 int option_count)
{
    (void)options;
    (void)option_count;
    *userdata = identifier;
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        int failure = mosquitto_callback_register(identifier, events[i], say_yes, NULL, NULL);

        if (failure != MOSQ_ERR_SUCCESS) {
            return failure;
        }
    }
    return MOSQ_ERR_SUCCESS;
}

EXPORT int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count)
{
    (void)options;
    (void)option_count;
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        (void)mosquitto_callback_unregister(userdata, events[i], say_yes, NULL);
    }
    return MOSQ_ERR_SUCCESS;
}
