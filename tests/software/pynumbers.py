# SPDX-License-Identifier: MIT
"""
Python's numbers, as digests of hexadecimal output: floats through libm (which chooses by CPUID), long integers, decimals,
conversions between text and numbers, hashes, compression, struct and json. The first argument makes it longer.
"""
import cmath
import decimal
import fractions
import hashlib
import json
import math
import struct
import sys
import zlib

ROUNDS = 300 * (int(sys.argv[1]) if len(sys.argv) > 1 else 1)


def numbers(seed):
    """splitmix64, as in digest.h."""
    mask = (1 << 64) - 1
    while True:
        seed = seed + 0x9e3779b97f4a7c15 & mask
        z = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9 & mask
        z = (z ^ z >> 27) * 0x94d049bb133111eb & mask
        yield z ^ z >> 31


SOURCE = numbers(42)


def show(name, values):
    text = "\n".join(values)
    print(name, hashlib.sha256(text.encode()).hexdigest()[:32], flush=True)


def any_float():
    """Any bits at all: denormals, infinities and NaNs among them."""
    return struct.unpack("<d", struct.pack("<Q", next(SOURCE)))[0]


def moderate():
    n = next(SOURCE)
    return math.ldexp((n >> 11) / 2.0**53, n % 40 - 20) * (1 if n & 1024 else -1)


def hexed(f, *args):
    try:
        value = f(*args)
    except (ValueError, OverflowError, ZeroDivisionError) as e:
        return type(e).__name__
    if isinstance(value, tuple):
        return " ".join(v.hex() if isinstance(v, float) else str(v) for v in value)
    if isinstance(value, complex):
        return value.real.hex() + " " + value.imag.hex()
    return value.hex() if isinstance(value, float) else str(value)


def main():
    values = [any_float() for _ in range(ROUNDS)] + [moderate() for _ in range(ROUNDS)]
    pairs = list(zip(values, values[7:] + values[:7]))
    one = ("sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh exp expm1 exp2 log log2 log10 log1p sqrt cbrt "
           "gamma lgamma erf erfc floor ceil trunc frexp modf degrees radians fabs isnan").split()
    two = "atan2 pow fmod remainder hypot copysign nextafter".split()
    for name in one:
        if hasattr(math, name):
            show("math." + name, [hexed(getattr(math, name), v) for v in values])
    for name in two:
        show("math." + name, [hexed(getattr(math, name), *p) for p in pairs])
    for name in "exp log sqrt sin cosh atan".split():
        show("cmath." + name, [hexed(getattr(cmath, name), complex(*p)) for p in pairs[:ROUNDS // 2]])
    show("float.operators", [" ".join(hexed(f, a, b) for f in (
        float.__add__, float.__sub__, float.__mul__, float.__truediv__, float.__mod__, float.__floordiv__, float.__lt__))
        for a, b in pairs])
    show("float.repr", [repr(v) + " %.3e %.17g" % (v, v) for v in values])
    show("float.parse", [float(repr(v)[:9]).hex() for v in values if math.isfinite(v) and "e" not in repr(v)[:9]])
    show("float.round", [hexed(round, v, n % 20 - 5) for n, v in enumerate(values)])
    show("float.fsum", [math.fsum(values[n + 400:n + 420]).hex() if all(map(math.isfinite, values[n + 400:n + 420])) else "-"
                        for n in range(0, ROUNDS, 5)])
    show("float.single", [struct.pack("<fe", *[(v if abs(v) < 60000 else 1.5)] * 2).hex() for v in values])
    big = [sum(next(SOURCE) << 64 * k for k in range(1 + n % 40)) for n in range(ROUNDS // 4)]
    show("int.operators", [f"{a * b:x} {a // (b + 1):x} {a % (b + 1):x} {a ^ b:x} {a.bit_length()} {a.bit_count()}"
                           for a, b in zip(big, big[3:] + big[:3])])
    show("int.text", [str(a) for a in big[:ROUNDS // 8]] + [str(int(str(a)) == a) for a in big[:40]])
    show("int.pow", [f"{pow(a, 65537, b | 1):x}" for a, b in zip(big[:60], big[60:] + big[:60])])
    show("int.true_division", [hexed(int.__truediv__, a, b + 1) for a, b in zip(big, big[5:])])
    show("int.isqrt", [f"{math.isqrt(a):x} {math.gcd(a, b):x}" for a, b in zip(big, big[1:])])
    decimal.getcontext().prec = 60
    show("decimal", [str(decimal.Decimal(a) / decimal.Decimal(b + 1)) + str(decimal.Decimal(a).sqrt() + decimal.Decimal(b).ln())
                     for a, b in zip(big[:40], big[2:])])
    show("fractions", [str(fractions.Fraction(v).limit_denominator(10**6)) for v in values if math.isfinite(v) and abs(v) < 1e9])
    text = json.dumps([v for v in values if math.isfinite(v)]).encode()
    show("json", [json.dumps(json.loads(text))])
    show("zlib", [hashlib.md5(zlib.compress(text, level)).hexdigest() + str(zlib.decompress(zlib.compress(text, level)) == text)
                  for level in (1, 6, 9)] + [f"{zlib.crc32(text):x} {zlib.adler32(text):x}"])
    show("hashlib", [hashlib.new(name, text).hexdigest() for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256")])
    show("hash", [str(hash(v)) for v in values if v == v])


main()
