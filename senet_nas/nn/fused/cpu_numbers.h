// Number formats and activations of the CPU kernels.

#pragma once

#include <bit>
#include <cstdint>

struct BFloat16 {
    std::uint16_t bits;
};
using Half = _Float16;

inline float wide(float value) { return value; }
inline float wide(Half value) { return static_cast<float>(value); }
inline float wide(BFloat16 value) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

template <class T> inline T narrow(float value) { return static_cast<T>(value); }
template <> inline BFloat16 narrow<BFloat16>(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;  // to nearest even
    return {static_cast<std::uint16_t>(value == value ? rounded : 0x7fc0u)};
}

// e^x by the polynomial of Cephes' expf, so that compilers vectorise it.
inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    constexpr float rounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
    const float shifted = x * 1.44269504f + rounder;
    const float whole = shifted - rounder;
    const float rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    float series = 1.9875691500e-4f;
    series = series * rest + 1.3981999507e-3f;
    series = series * rest + 8.3334519073e-3f;
    series = series * rest + 4.1665795894e-2f;
    series = series * rest + 1.6666665459e-1f;
    series = series * rest + 5.0000001201e-1f;
    series = series * rest * rest + rest + 1.0f;
    return series * std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) + 127u) << 23);
}

inline float sigmoid(float z) { return 1.0f / (1.0f + exponential(-z)); }

// Activations and their derivatives. Comparisons stand so that what isn't a number stays so.

struct Identity {
    static float value(float z) { return z; }
    static float slope(float) { return 1.0f; }
};
struct Relu {
    static float value(float z) { return z < 0.0f ? 0.0f : z; }
    static float slope(float z) { return z > 0.0f ? 1.0f : 0.0f; }
};
struct Relu6 {
    static float value(float z) {
        z = z < 0.0f ? 0.0f : z;
        return z > 6.0f ? 6.0f : z;
    }
    static float slope(float z) {
        const float above = z > 0.0f ? 1.0f : 0.0f;
        return z < 6.0f ? above : 0.0f;
    }
};
struct Silu {
    static float value(float z) { return z * sigmoid(z); }
    static float slope(float z) {
        const float s = sigmoid(z);
        return s * (1.0f + z * (1.0f - s));
    }
};
struct HardSwish {
    static float value(float z) { return z * Relu6::value(z + 3.0f) * (1.0f / 6.0f); }
    static float slope(float z) {
        const float inside = z <= 3.0f ? z * (1.0f / 3.0f) + 0.5f : 1.0f;
        return z < -3.0f ? 0.0f : inside;
    }
};
