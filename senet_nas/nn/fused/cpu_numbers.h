// Lanes of floats, the formats in which memory holds them, and activations.
//
// Vectors are GCC's extension, which clang has too: compilers split them where a processor's are
// narrower.

#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

// From here on V is a vector of floats, or a float.
template <class Number, int COUNT> struct Vector {
    typedef Number Type __attribute__((vector_size(COUNT * sizeof(Number))));
};
template <class Number> struct Vector<Number, 1> {
    using Type = Number;
};
template <int COUNT> using Lanes = typename Vector<float, COUNT>::Type;

template <class V> inline V fill(float value) { return V{} + value; }

template <class To, class From> inline To converted(From from) {
    if constexpr (sizeof(From) <= 4 && sizeof(To) <= 4)  // COUNT == 1
        return static_cast<To>(from);
    else
        return __builtin_convertvector(from, To);
}

struct BFloat16 {
    std::uint16_t bits;
};

template <int COUNT, class Number> inline auto read(const Number* at) {
    typename Vector<Number, COUNT>::Type values;
    std::memcpy(&values, at, sizeof values);
    return values;
}

template <int COUNT> inline Lanes<COUNT> load(const float* at) { return read<COUNT>(at); }
template <int COUNT> inline Lanes<COUNT> load(const BFloat16* at) {
    using Words = typename Vector<std::uint32_t, COUNT>::Type;
    const auto bits = read<COUNT>(reinterpret_cast<const std::uint16_t*>(at));
    return std::bit_cast<Lanes<COUNT>>(converted<Words>(bits) << 16);
}

template <int COUNT> inline void store(float* at, Lanes<COUNT> values) {
    std::memcpy(at, &values, sizeof values);
}
template <int COUNT> inline void store(BFloat16* at, Lanes<COUNT> values) {
    using Words = typename Vector<std::uint32_t, COUNT>::Type;
    using Shorts = typename Vector<std::uint16_t, COUNT>::Type;
    const auto bits = std::bit_cast<Words>(values);
    const Words rounded = bits + 0x7fffu + ((bits >> 16) & 1u);  // to nearest even
    const Words not_number = Words{} + 0x7fc00000u;
    const Words kept = values == values ? rounded : not_number;
    const auto shorts = converted<Shorts>(kept >> 16);
    std::memcpy(at, &shorts, sizeof shorts);
}

// Only where it is asked for: g++ before 12 and clang before 15 don't know _Float16 on x86.
#ifdef SENET_HALF
using Half = _Float16;

template <int COUNT> inline Lanes<COUNT> load(const Half* at) {
    return converted<Lanes<COUNT>>(read<COUNT>(at));
}
template <int COUNT> inline void store(Half* at, Lanes<COUNT> values) {
    const auto halves = converted<typename Vector<Half, COUNT>::Type>(values);
    std::memcpy(at, &halves, sizeof halves);
}
#endif

// What compilers make of the loads and stores of BFloat16 takes twice as many instructions.
#ifdef __AVX512F__
template <> inline Lanes<16> load<16>(const BFloat16* at) {
    const auto bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    return Lanes<16>(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
#endif
#ifdef __AVX512BF16__
template <> inline void store<16>(BFloat16* at, Lanes<16> values) {
    const auto shorts = _mm512_cvtneps_pbh(__m512(values));
    std::memcpy(at, &shorts, sizeof shorts);
}
#endif

// e^x by the polynomial of Cephes' expf.
template <class V> inline V exponential(V x) {
    x = x < -87.0f ? fill<V>(-87.0f) : x;
    x = x > 88.0f ? fill<V>(88.0f) : x;
    constexpr float rounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
    const V shifted = x * 1.44269504f + rounder;
    const V whole = shifted - rounder;
    const V rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    V series = rest * 1.9875691500e-4f + 1.3981999507e-3f;
    series = series * rest + 8.3334519073e-3f;
    series = series * rest + 4.1665795894e-2f;
    series = series * rest + 1.6666665459e-1f;
    series = series * rest + 5.0000001201e-1f;
    series = series * rest * rest + rest + 1.0f;
    using Words = typename Vector<std::uint32_t, sizeof(V) / 4>::Type;
    return series * std::bit_cast<V>((std::bit_cast<Words>(shifted) + 127u) << 23);
}

// Not inlined into each kernel, which would take a third of the time that all take to build.
template <class V> __attribute__((noinline)) V sigmoid(V z) { return 1.0f / (1.0f + exponential(-z)); }

// Activations, and what passes of a gradient g: as in torch nothing does where they are closed,
// were it infinite. Comparisons stand so that what isn't a number stays so.

struct Identity {
    template <class V> static V value(V z) { return z; }
    template <class V> static V passed(V g, V) { return g; }
};
struct Relu {
    template <class V> static V value(V z) { return z < 0.0f ? V{} : z; }
    template <class V> static V passed(V g, V z) { return z <= 0.0f ? V{} : g; }
};
struct Relu6 {
    template <class V> static V value(V z) {
        z = z < 0.0f ? V{} : z;
        return z > 6.0f ? fill<V>(6.0f) : z;
    }
    template <class V> static V passed(V g, V z) {
        g = z <= 0.0f ? V{} : g;
        return z >= 6.0f ? V{} : g;
    }
};
struct Silu {
    template <class V> static V value(V z) { return z * sigmoid(z); }
    template <class V> static V passed(V g, V z) {
        const V s = sigmoid(z);
        return g * (s * (1.0f + z * (1.0f - s)));
    }
};
struct HardSwish {
    template <class V> static V value(V z) {
        return z * Relu6::value(z + 3.0f) * (1.0f / 6.0f);
    }
    template <class V> static V passed(V g, V z) {
        const V inside = z > 3.0f ? g : g * (z * (1.0f / 3.0f) + 0.5f);
        return z < -3.0f ? V{} : inside;
    }
};
