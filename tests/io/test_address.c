/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

static void test_good(void **state)
{
    static const struct {
        const char *in;
        const char *out;
        bool local;
    } rows[] = {
        {"unix:/run/moat-kv/link", "unix:/run/moat-kv/link", true},
        {"unix:///run/x", "unix:/run/x", true},
        {"tcp://host", "tcp://host:27589", false},
        {"tcp://host:1/", "tcp://host:1", false},
        {"tcp://[::1]", "tcp://[::1]:27589", true},
        {"tcp://[2001:db8::7]:80", "tcp://[2001:db8::7]:80", false},
        {"mqtt://127.8.9.1", "mqtt://127.8.9.1:1883", true},
        {"mqtt://localhost:0", "mqtt://localhost:0", true},
        {"mqtt://a.b-c_d.example:65535", "mqtt://a.b-c_d.example:65535", false},
        {"tcp://0.0.0.0:5", "tcp://0.0.0.0:5", false},
        {"tcp://128.0.0.1:5", "tcp://128.0.0.1:5", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mkv_address address = rig_address(rows[i].in);
        char text[MKV_ADDRESS_TEXT_MAX];

        mkv_address_format(&address, text, sizeof(text));
        assert_string_equal(text, rows[i].out);
        assert_int_equal(mkv_address_is_local(&address), rows[i].local);

        struct mkv_address again = rig_address(text);

        assert_memory_equal(&again, &address, sizeof(address));
    }
}

static void test_bad(void **state)
{
    static const char *const rows[][2] = {
        {"", "looks like"},
        {"host", "looks like"},
        {"/run/x", "looks like"},
        {"http://host", "looks like"},
        {"unix:", "absolute"},
        {"unix:run/x", "absolute"},
        {"tcp://", "not a host"},
        {"tcp://:5", "not a host"},
        {"tcp://[]:5", "not a host"},
        {"tcp://[::1", "not a host"},
        {"tcp://a b:5", "not a host"},
        {"tcp://user@host:5", "not a host"},
        {"tcp://::1:5", "not a host"},
        {"tcp://[::1]5", ":port"},
        {"tcp://host:", "port"},
        {"tcp://host:65536", "port"},
        {"tcp://host:99999999999999999999", "port"},
        {"tcp://host:-1", "port"},
        {"tcp://host:12x", "port"},
        {"mqtts://host:8883", "TLS"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mkv_address address;
        struct mkv_why why = {0};

        assert_int_equal(mkv_address_parse(mkv_bytes_of(rows[i][0]), &address, &why),
                         MKV_E_BAD_ARGUMENT);
        if (strstr(why.text, rows[i][1]) == NULL) {
            fail_msg("%s: %s", rows[i][0], why.text);
        }
        assert_int_equal(mkv_address_parse(mkv_bytes_of(rows[i][0]), &address, NULL),
                         MKV_E_BAD_ARGUMENT);
    }
}

static void test_lengths(void **state)
{
    char text[600];
    struct mkv_address address;

    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text, "unix:/", 6);
    assert_int_equal(mkv_address_parse(mkv_bytes(text, 5 + 107), &address, NULL), 0);
    assert_int_equal(strlen(address.path), 107);
    assert_int_equal(mkv_address_parse(mkv_bytes(text, 5 + 108), &address, NULL),
                     MKV_E_BAD_ARGUMENT);
    memcpy(text, "tcp://", 6);
    assert_int_equal(mkv_address_parse(mkv_bytes(text, 6 + 255), &address, NULL), 0);
    assert_int_equal(mkv_address_parse(mkv_bytes(text, 6 + 256), &address, NULL),
                     MKV_E_BAD_ARGUMENT);
    assert_int_equal(mkv_address_parse(mkv_bytes("unix:/a\0b", 9), &address, NULL),
                     MKV_E_BAD_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_lengths),
    };

    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
