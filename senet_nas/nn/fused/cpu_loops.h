// How the CPU kernels go over an image's memory, and how threads share it.
//
// A term is what happens at one value: term(place in memory, channel). channels_last is read
// several pixels at a time, with values for each channel beside them; contiguous plane by plane.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

using Size = std::int64_t;

constexpr Size PIXELS_IN_TILE = 128;  // channels_last: added in float, tiles in double
constexpr Size VALUES_IN_TILE = 1024;  // contiguous: the same
constexpr Size PIXELS_IN_TASK = 64;   // at least, where threads share an image
constexpr Size TASKS_PER_THREAD = 4;
constexpr int PIXELS_AT_ONCE = 4;

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

// What a term sees of a table: a value for each channel, or that of the one channel of a plane.
struct Each {
    const float* at;
    float operator[](Size channel) const { return at[channel]; }
};
struct Same {
    float value;
    float operator[](Size) const { return value; }
};
struct AllChannels {
    Size image;
    Each operator()(Table table) const { return {table.at + image * table.step}; }
};
struct OneChannel {
    Size image, channel;
    Same operator()(Table table) const { return {table.at[image * table.step + channel]}; }
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

template <int COUNT, class Term>
inline void map_pixels(const Term& term, Size at, Size channels) {
#pragma omp simd
    for (Size channel = 0; channel < channels; ++channel) {
#pragma GCC unroll 8
        for (int pixel = 0; pixel < COUNT; ++pixel) term(at + pixel * channels + channel, channel);
    }
}

// make(AllChannels or OneChannel) gives a term that writes.
template <class Make> void map(const Shape& shape, const Make& make) {
    const Size channels = shape.channels, pixels = shape.pixels;
    if (!shape.channels_last) {
        over_planes(shape, [&](Size image, Size channel) {
            const auto term = make(OneChannel{image, channel});
            const Size at = (image * channels + channel) * pixels;
#pragma omp simd
            for (Size i = 0; i < pixels; ++i) term(at + i, 0);
        });
        return;
    }
    over_pixels(shape, [&](Size, Size image, Size first, Size last) {
        const auto term = make(AllChannels{image});
        Size pixel = first;
        for (; pixel + PIXELS_AT_ONCE <= last; pixel += PIXELS_AT_ONCE)
            map_pixels<PIXELS_AT_ONCE>(term, (image * pixels + pixel) * channels, channels);
        for (; pixel < last; ++pixel)
            map_pixels<1>(term, (image * pixels + pixel) * channels, channels);
    });
}

template <int COUNT, class Term>
inline void add_pixels(const Term& term, Size at, Size channels, float* one, float* two) {
#pragma omp simd
    for (Size channel = 0; channel < channels; ++channel) {
        float first = 0.0f, second = 0.0f;
#pragma GCC unroll 8
        for (int pixel = 0; pixel < COUNT; ++pixel)
            term(at + pixel * channels + channel, channel, first, second);
        one[channel] += first;
        two[channel] += second;
    }
}

template <class Make>
void sums_of_planes(const Shape& shape, float* one, float* two, const Make& make) {
    over_planes(shape, [&](Size image, Size channel) {
        const auto term = make(OneChannel{image, channel});
        const Size plane = image * shape.channels + channel;
        double total_one = 0.0, total_two = 0.0;
        for (Size tile = 0; tile < shape.pixels; tile += VALUES_IN_TILE) {
            const Size at = plane * shape.pixels + tile;
            const Size count = std::min(VALUES_IN_TILE, shape.pixels - tile);
            float first = 0.0f, second = 0.0f;
#pragma omp simd reduction(+ : first, second)
            for (Size i = 0; i < count; ++i) term(at + i, 0, first, second);
            total_one += first;
            total_two += second;
        }
        one[plane] = static_cast<float>(total_one);
        two[plane] = static_cast<float>(total_two);
    });
}

// Two sums for each image and channel; make(AllChannels or OneChannel) gives a term that adds to
// both: term(place, channel, first, second).
template <class Make> void sums(const Shape& shape, float* one, float* two, const Make& make) {
    if (!shape.channels_last) return sums_of_planes(shape, one, two, make);
    const Size parts = parts_of_image(shape), channels = shape.channels;
    std::vector<double> totals(shape.images * parts * channels * 2, 0.0);
    over_pixels(shape, [&](Size task, Size image, Size first, Size last) {
        const auto term = make(AllChannels{image});
        std::vector<float> tile(2 * channels);
        double* total = totals.data() + task * channels * 2;
        for (Size start = first; start < last; start += PIXELS_IN_TILE) {
            const Size end = std::min(last, start + PIXELS_IN_TILE);
            std::fill(tile.begin(), tile.end(), 0.0f);
            float *of_one = tile.data(), *of_two = of_one + channels;
            Size at = (image * shape.pixels + start) * channels, left = end - start;
            for (; left >= PIXELS_AT_ONCE; left -= PIXELS_AT_ONCE, at += PIXELS_AT_ONCE * channels)
                add_pixels<PIXELS_AT_ONCE>(term, at, channels, of_one, of_two);
            for (; left > 0; --left, at += channels)
                add_pixels<1>(term, at, channels, of_one, of_two);
#pragma omp simd
            for (Size i = 0; i < 2 * channels; ++i) total[i] += tile[i];
        }
    });
    for (Size image = 0; image < shape.images; ++image)
        for (Size channel = 0; channel < channels; ++channel) {
            const double* total = totals.data() + image * parts * channels * 2 + channel;
            double first = 0.0, second = 0.0;
            for (Size part = 0; part < parts; ++part, total += 2 * channels) {
                first += total[0];
                second += total[channels];
            }
            one[image * channels + channel] = static_cast<float>(first);
            two[image * channels + channel] = static_cast<float>(second);
        }
}
