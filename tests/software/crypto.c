/* SPDX-License-Identifier: MIT */
/*
 * Digests and ciphers of libcrypto over fixed data of many lengths. OPENSSL_ia32cap chooses among its implementations (the
 * manual's OPENSSL_ia32cap(3)); whichever runs, the output is the algorithm's. Encryption is undone and compared, too.
 */
#include "digest.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 20000, TAG = 16 };

static unsigned char data[MOST], out[MOST + 64], back[MOST + 64];
static const size_t lengths[] = { 0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 200, 255, 256, 300, 511, 512, 777, 1024, 1999, 4096,
				  8192 + 13, 16384, MOST };
enum { LENGTHS = sizeof(lengths) / sizeof(lengths[0]) };

static void wrong(const char *name, size_t len)
{
	printf("WRONG %s at %zu bytes\n", name, len);
	exit(1);
}

static void hash(const char *name)
{
	EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);
	struct digest d;

	if (!md)
		return; /* not in this library; then not in the native one either */
	digest_begin(&d);
	for (unsigned n = 0; n < LENGTHS; n++) {
		unsigned char sum[EVP_MAX_MD_SIZE];
		unsigned size;

		if (!EVP_Digest(data, lengths[n], sum, &size, md, NULL))
			wrong(name, lengths[n]);
		digest_add(&d, sum, size);
	}
	digest_print(&d, name);
	EVP_MD_free(md);
}

/* One message in two pieces; the number of bytes written, or -1. */
static int crypt(const EVP_CIPHER *cipher, int enc, const unsigned char *in, size_t len, unsigned char *to, unsigned char *tag)
{
	static const unsigned char key[64] = "0123456789abcdefFEDCBA9876543210 another key, another half ....",
				   iv[16] = "initial vector..";
	const int aead = EVP_CIPHER_get_flags(cipher) & EVP_CIPH_FLAG_AEAD_CIPHER;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	/* XTS takes a message at once. */
	int first = EVP_CIPHER_get_mode(cipher) == EVP_CIPH_XTS_MODE ? (int)len : (int)len / 3, n = 0, more = 0, ok;

	ok = EVP_CipherInit_ex(c, cipher, NULL, key, iv, enc);
	if (aead && !enc)
		ok = ok && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, tag);
	if (aead)
		ok = ok && EVP_CipherUpdate(c, NULL, &more, data, 21);
	ok = ok && EVP_CipherUpdate(c, to, &n, in, first);
	if (ok && len > (size_t)first) {
		ok = EVP_CipherUpdate(c, to + n, &more, in + first, (int)len - first);
		n += more;
	}
	ok = ok && EVP_CipherFinal_ex(c, to + n, &more);
	n += more;
	if (aead && enc)
		ok = ok && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, tag);
	EVP_CIPHER_CTX_free(c);
	return ok ? n : -1;
}

static void encrypt(const char *name, int verbose)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	struct digest d;

	if (!cipher)
		return;
	digest_begin(&d);
	for (unsigned n = 0; n < LENGTHS; n++) {
		unsigned char tag[TAG] = { 0 };
		struct digest one;
		int size;

		if (lengths[n] < 16 && EVP_CIPHER_get_mode(cipher) == EVP_CIPH_XTS_MODE)
			continue;
		size = crypt(cipher, 1, data, lengths[n], out, tag);
		if (size < 0)
			wrong(name, lengths[n]);
		digest_add(&d, out, (size_t)size);
		digest_add(&d, tag, TAG);
		digest_begin(&one);
		digest_add(&one, out, (size_t)size);
		if (verbose) {
			printf("%zu: %016llx tag ", lengths[n], (unsigned long long)one.h);
			for (unsigned k = 0; k < TAG; k++)
				printf("%02x", tag[k]);
			printf("\n");
		}
		if (crypt(cipher, 0, out, (size_t)size, back, tag) != (int)lengths[n] || memcmp(back, data, lengths[n]))
			wrong(name, lengths[n]);
	}
	digest_print(&d, name);
	EVP_CIPHER_free(cipher);
}

/* With names: only these ciphers, each length by itself. */
int main(int argc, char **argv)
{
	static const char *const hashes[] = { "MD5",	    "SHA1",	"SHA224",   "SHA256",	"SHA384",
					      "SHA512",	    "SHA3-256", "SHA3-512", "SHAKE128", "BLAKE2b512",
					      "BLAKE2s256", "SM3",	"RIPEMD160" };
	static const char *const ciphers[] = {
		"AES-128-ECB",	     "AES-256-ECB",	 "AES-128-CBC",	 "AES-192-CBC", "AES-256-CBC",
		"AES-128-CTR",	     "AES-256-CTR",	 "AES-128-GCM",	 "AES-256-GCM", "AES-128-OCB",
		"AES-128-XTS",	     "AES-256-XTS",	 "AES-128-CFB",	 "AES-256-OFB", "ChaCha20",
		"ChaCha20-Poly1305", "CAMELLIA-128-CBC", "ARIA-128-CTR", "SM4-CTR",	"DES-EDE3-CBC",
	};
	uint64_t state = 3;

	random_fill(&state, data, sizeof(data));
	for (int n = 1; n < argc; n++)
		encrypt(argv[n], 1);
	if (argc > 1)
		return 0;
	for (size_t n = 0; n < sizeof(hashes) / sizeof(hashes[0]); n++)
		hash(hashes[n]);
	for (size_t n = 0; n < sizeof(ciphers) / sizeof(ciphers[0]); n++)
		encrypt(ciphers[n], 0);
	return 0;
}
