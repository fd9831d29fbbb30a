// How the CPU kernels go over an image's memory, and how threads share it.
//
// A kernel gives make(spot): what to do with some lanes at a place in memory. A spot says which
// image and channels they are of. channels_last lanes are neighbouring channels, of which many
// pixels are done in a row; contiguous lanes are pixels of one channel.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpu_numbers.h"

using Size = std::int64_t;

// Lanes: as many as a register holds, since compilers are poor at splitting vectors (a few times
// slower); and half of that, of what is left.
#if defined(__AVX512F__)
constexpr int WIDEST = 16;
#elif defined(__AVX__)
constexpr int WIDEST = 8;
#else
constexpr int WIDEST = 4;
#endif
constexpr int NARROW = WIDEST / 2;
constexpr int CHAINS = 4;              // sums beside each other, which don't wait for one another
constexpr Size VALUES_IN_BLOCK = 4096; // channels_last: pixels times channels at a time
constexpr Size PIXELS_IN_TILE = 128;   // at most added in float, tiles in double
constexpr Size VALUES_IN_TILE = 2048;  // the same where contiguous
constexpr Size PIXELS_IN_TASK = 64;    // at least, where threads share an image
constexpr Size TASKS_PER_THREAD = 4;
constexpr Size AHEAD = 8192;           // values from a read to what is fetched beforehand

// Reads of large tensors: in strides, which processors don't foresee by themselves.
template <int COUNT, class T> inline Lanes<COUNT> stream(const T* at) {
    __builtin_prefetch(at + AHEAD);
    return load<COUNT>(at);
}

struct Shape {
    Size images, channels, pixels;
    int threads;
    bool channels_last;
};

// Values (N, C), (1, C) or (C,): step is C, 0 or 0.
struct Table {
    const float* at;
    Size step;
};

template <int COUNT> struct ChannelsSpot {
    static constexpr int count = COUNT;
    Size image, channel;
    Lanes<COUNT> operator()(Table table) const {
        return load<COUNT>(table.at + image * table.step + channel);
    }
};
template <int COUNT> struct PlaneSpot {
    static constexpr int count = COUNT;
    Size image, channel;
    Lanes<COUNT> operator()(Table table) const {
        return fill<Lanes<COUNT>>(table.at[image * table.step + channel]);
    }
};

inline Size parts_of_image(const Shape& shape) {
    const Size wanted = TASKS_PER_THREAD * shape.threads;
    if (shape.threads == 1 || shape.images >= wanted) return 1;
    const Size most = std::max<Size>(1, shape.pixels / PIXELS_IN_TASK);
    return std::min(most, (wanted + shape.images - 1) / shape.images);
}

// body(number of the task, image, first pixel, last pixel)
template <class Body> void over_pixels(const Shape& shape, const Body& body) {
    const Size parts = parts_of_image(shape);
    const Size step = (shape.pixels + parts - 1) / parts;
#pragma omp parallel for num_threads(shape.threads) schedule(static) if (shape.threads > 1)
    for (Size task = 0; task < shape.images * parts; ++task) {
        const Size first = std::min(shape.pixels, task % parts * step);
        body(task, task / parts, first, std::min(shape.pixels, first + step));
    }
}

// body(image, channel)
template <class Body> void over_planes(const Shape& shape, const Body& body) {
#pragma omp parallel for num_threads(shape.threads) schedule(static) if (shape.threads > 1)
    for (Size plane = 0; plane < shape.images * shape.channels; ++plane)
        body(plane / shape.channels, plane % shape.channels);
}

// body(spot) for all channels of an image, in as many lanes as there are.
template <class Body> void over_channels(Size image, Size channels, const Body& body) {
    Size channel = 0;
    for (; channel + WIDEST <= channels; channel += WIDEST)
        body(ChannelsSpot<WIDEST>{image, channel});
    for (; channel + NARROW <= channels; channel += NARROW)
        body(ChannelsSpot<NARROW>{image, channel});
    for (; channel < channels; ++channel) body(ChannelsSpot<1>{image, channel});
}

inline Size pixels_in_block(Size channels) {
    return std::clamp<Size>(VALUES_IN_BLOCK / channels, CHAINS, PIXELS_IN_TILE);
}

// make(spot) gives a function of the place in memory, which writes there.
template <class Make> void map(const Shape& shape, const Make& make) {
    const Size channels = shape.channels, pixels = shape.pixels;
    if (!shape.channels_last) {
        over_planes(shape, [&](Size image, Size channel) {
            const auto wide = make(PlaneSpot<WIDEST>{image, channel});
            const auto single = make(ChannelsSpot<1>{image, channel});
            Size at = (image * channels + channel) * pixels;
            const Size end = at + pixels;
            for (; at + WIDEST <= end; at += WIDEST) wide(at);
            for (; at < end; ++at) single(at);
        });
        return;
    }
    const Size block = pixels_in_block(channels);
    over_pixels(shape, [&](Size, Size image, Size first, Size last) {
        for (Size start = first; start < last; start += block) {
            const Size end = std::min(last, start + block);
            over_channels(image, channels, [&](auto spot) {
                const auto write = make(spot);
                Size at = (image * pixels + start) * channels + spot.channel;
                for (Size pixel = start; pixel < end; ++pixel, at += channels) write(at);
            });
        }
    });
}

inline float total(float value) { return value; }
template <class V> float total(V values) {
    float sum = 0.0f;
    for (unsigned lane = 0; lane < sizeof(V) / sizeof(float); ++lane) sum += values[lane];
    return sum;
}

// Adds `count` places, `step` apart, to two sums; add(place, sum, sum).
template <class V, class Add>
void accumulate(const Add& add, Size at, Size count, Size step, V& one, V& two) {
    V ones[CHAINS] = {}, twos[CHAINS] = {};
    Size done = 0;
    for (; done + CHAINS <= count; done += CHAINS, at += CHAINS * step) {
#pragma GCC unroll 4
        for (int chain = 0; chain < CHAINS; ++chain)
            add(at + chain * step, ones[chain], twos[chain]);
    }
    for (; done < count; ++done, at += step) add(at, ones[0], twos[0]);
    one = (ones[0] + ones[1]) + (ones[2] + ones[3]);
    two = (twos[0] + twos[1]) + (twos[2] + twos[3]);
}

template <class Make>
void sums_of_planes(const Shape& shape, float* one, float* two, const Make& make) {
    over_planes(shape, [&](Size image, Size channel) {
        const auto add = make(PlaneSpot<WIDEST>{image, channel});
        const auto add_single = make(ChannelsSpot<1>{image, channel});
        const Size plane = image * shape.channels + channel;
        double total_one = 0.0, total_two = 0.0;
        for (Size tile = 0; tile < shape.pixels; tile += VALUES_IN_TILE) {
            const Size at = plane * shape.pixels + tile;
            const Size count = std::min(VALUES_IN_TILE, shape.pixels - tile);
            const Size whole = count / WIDEST;
            Lanes<WIDEST> first, second;
            accumulate(add, at, whole, WIDEST, first, second);
            float last = 0.0f, last_two = 0.0f;
            accumulate(add_single, at + whole * WIDEST, count % WIDEST, 1, last, last_two);
            total_one += total(first) + last;
            total_two += total(second) + last_two;
        }
        one[plane] = static_cast<float>(total_one);
        two[plane] = static_cast<float>(total_two);
    });
}

inline void write_totals(const double* totals, Size channels, float* one, float* two) {
#pragma omp simd
    for (Size channel = 0; channel < channels; ++channel) {
        one[channel] = static_cast<float>(totals[channel]);
        two[channel] = static_cast<float>(totals[channels + channel]);
    }
}

// Two sums for each image and channel; make(spot) gives a function of the place in memory and of
// both sums, to which it adds.
template <class Make> void sums(const Shape& shape, float* one, float* two, const Make& make) {
    if (!shape.channels_last) return sums_of_planes(shape, one, two, make);
    const Size parts = parts_of_image(shape), channels = shape.channels;
    const Size block = pixels_in_block(channels);
    std::vector<double> shared(parts == 1 ? 0 : shape.images * parts * channels * 2);
    over_pixels(shape, [&](Size task, Size image, Size first, Size last) {
        std::vector<float> tile(2 * channels);
        std::vector<double> own(parts == 1 ? 2 * channels : 0);
        double* totals = parts == 1 ? own.data() : shared.data() + task * channels * 2;
        for (Size start = first; start < last;) {
            const Size tile_end = std::min(last, start + PIXELS_IN_TILE);
            std::fill(tile.begin(), tile.end(), 0.0f);
            for (; start < tile_end; start += block) {
                const Size count = std::min(tile_end - start, block);
                over_channels(image, channels, [&](auto spot) {
                    constexpr int width = decltype(spot)::count;
                    Lanes<width> sum_one, sum_two;
                    const Size at = (image * shape.pixels + start) * channels + spot.channel;
                    accumulate(make(spot), at, count, channels, sum_one, sum_two);
                    float* of_one = tile.data() + spot.channel;
                    float* of_two = of_one + channels;
                    store<width>(of_one, load<width>(of_one) + sum_one);
                    store<width>(of_two, load<width>(of_two) + sum_two);
                });
            }
            start = tile_end;
#pragma omp simd
            for (Size i = 0; i < 2 * channels; ++i) totals[i] += tile[i];
        }
        if (parts == 1) write_totals(totals, channels, one + image * channels, two + image * channels);
    });
    for (Size image = 0; parts > 1 && image < shape.images; ++image) {
        double* totals = shared.data() + image * parts * channels * 2;
        for (Size part = 1; part < parts; ++part)
            for (Size i = 0; i < 2 * channels; ++i) totals[i] += totals[part * channels * 2 + i];
        write_totals(totals, channels, one + image * channels, two + image * channels);
    }
}
