/* SPDX-License-Identifier: Apache-2.0 */
#include "io/certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECONDS_A_DAY 86400L
#define CLOCK_SKEW_S  86400L /* of whoever checks it on the day that it was made */
#define HOST_MAX      255U

static bool is_host(const char *host)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
    uint8_t address[16];

    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1 ||
           (host[0] != '\0' && strlen(host) <= HOST_MAX && strspn(host, letters) == strlen(host));
}

/* "DNS:attic,IP:192.0.2.1" */
static void write_names(const struct mkv_certificate_options *options, char *out, size_t size)
{
    size_t len = 0;

    for (uint32_t i = 0; i < options->n_hosts; i++) {
        uint8_t address[16];
        bool is_address = inet_pton(AF_INET, options->hosts[i], address) == 1 ||
                          inet_pton(AF_INET6, options->hosts[i], address) == 1;

        len += (size_t)snprintf(out + len, size - len, "%s%s:%s", i == 0 ? "" : ",",
                                is_address ? "IP" : "DNS", options->hosts[i]);
    }
}

static bool add_extension(X509 *certificate, X509V3_CTX *context, int nid, const char *text)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, text);
    bool added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;

    X509_EXTENSION_free(extension);
    return added;
}

static bool add_extensions(X509 *certificate, const struct mkv_certificate_options *options)
{
    char names[MKV_CERTIFICATE_HOSTS_MAX * (HOST_MAX + 6)] = "";
    X509V3_CTX context;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    write_names(options, names, sizeof(names));
    return add_extension(certificate, &context, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, &context, NID_key_usage, "critical,digitalSignature") &&
           add_extension(certificate, &context, NID_ext_key_usage, "serverAuth,clientAuth") &&
           (options->n_hosts == 0 ||
            add_extension(certificate, &context, NID_subject_alt_name, names));
}

/* At random, of 127 bits: nobody else has given it out. */
static bool set_serial(X509 *certificate)
{
    uint8_t bytes[16];

    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return false;
    }
    bytes[0] = (bytes[0] & 0x7f) | 0x40;

    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool set =
        number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;

    BN_free(number);
    return set;
}

static bool fill_in(X509 *certificate, EVP_PKEY *key, const struct mkv_certificate_options *options)
{
    X509_NAME *name = X509_get_subject_name(certificate);

    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -CLOCK_SKEW_S) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), MKV_CERTIFICATE_DAYS * SECONDS_A_DAY) !=
               NULL &&
           X509_set_pubkey(certificate, key) == 1 &&
           X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                      (const unsigned char *)options->name, -1, -1, 0) == 1 &&
           X509_set_issuer_name(certificate, name) == 1 && add_extensions(certificate, options) &&
           X509_sign(certificate, key, EVP_sha256()) > 0;
}

static FILE *create(const char *name, mode_t mode)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

    if (file == NULL && fd >= 0) {
        (void)close(fd);
    }
    return file;
}

/* One of both is written.  On error there is no file of ours. */
static int write_file(
    const char *name, mode_t mode, const X509 *certificate, EVP_PKEY *key, struct mkv_why *why)
{
    FILE *file = create(name, mode);

    if (file == NULL) {
        return mkv_why_error(why, errno == EEXIST ? MKV_E_LOCKED : MKV_E_IO, "cannot make '%s': %s",
                             name, strerror(errno));
    }

    bool written = certificate != NULL
                       ? PEM_write_X509(file, certificate) == 1
                       : PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1;

    written = fflush(file) == 0 && fsync(fileno(file)) == 0 && written;
    if (fclose(file) != 0 || !written) {
        (void)unlink(name);
        return mkv_why_error(why, MKV_E_IO, "cannot write '%s': %s", name, strerror(errno));
    }
    return 0;
}

int mkv_certificate_make(const struct mkv_certificate_options *options,
                         const char *certificate,
                         const char *key,
                         struct mkv_why *why)
{
    for (uint32_t i = 0; i < options->n_hosts; i++) {
        if (!is_host(options->hosts[i])) {
            return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                                 "'%s' is no host: write a name or an IP address",
                                 options->hosts[i]);
        }
    }

    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *made = X509_new();
    int error = 0;

    if (pair == NULL || made == NULL || !fill_in(made, pair, options)) {
        error = mkv_why_error(why, MKV_E_NO_MEMORY, "no certificate could be made: %s",
                              ERR_error_string(ERR_peek_last_error(), NULL));
        ERR_clear_error();
    }
    if (error == 0) {
        error = write_file(key, 0600, NULL, pair, why);
    }
    if (error == 0) {
        error = write_file(certificate, 0644, made, NULL, why);
        if (error != 0) {
            (void)unlink(key);
        }
    }
    X509_free(made);
    EVP_PKEY_free(pair);
    return error;
}

int mkv_certificate_fingerprint(const char *certificate,
                                uint8_t ret_print[MKV_TLS_FINGERPRINT_LEN],
                                struct mkv_why *why)
{
    FILE *file = fopen(certificate, "re");
    X509 *read = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    uint8_t print[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    bool taken = read != NULL && X509_digest(read, EVP_sha256(), print, &len) == 1 &&
                 len == MKV_TLS_FINGERPRINT_LEN;

    if (taken) {
        memcpy(ret_print, print, len);
    } else {
        mkv_why_set(why, "no certificate can be read from '%s'", certificate);
    }
    ERR_clear_error();
    X509_free(read);
    if (file != NULL) {
        (void)fclose(file);
    }
    return taken ? 0 : MKV_E_BAD_ARGUMENT;
}
