// The maps of primitives.py on CPUs, as plain C functions over pointers: without torch's headers, so
// that any compiler builds them in seconds, for any version of torch.

#include <cmath>
#include <vector>

#include "cpu_loops.h"
#include "cpu_numbers.h"

namespace {

// The tables of one call. gate is absent (null) where the activation comes last.
struct Tables {
    Table centre, scale, shift, gate, pooled;
};

template <class V> struct Affine {
    V centre, scale, shift;
    V apart(V x) const { return x - centre; }
    V operator()(V x) const { return apart(x) * scale + shift; }
};

template <class Spot> auto affine(const Spot& spot, const Tables& tables) {
    using V = Lanes<Spot::count>;
    return Affine<V>{spot(tables.centre), spot(tables.scale), spot(tables.shift)};
}

// g of `Reduce`, from grad and z.
template <class Act, bool GATED, class V> struct Gradient {
    V gate, pooled;
    V operator()(V grad, V z) const {
        if constexpr (GATED) grad = grad * gate + pooled;
        return Act::passed(grad, z);
    }
};

template <class Act, bool GATED, class Spot>
auto gradient(const Spot& spot, const Tables& tables) {
    using V = Lanes<Spot::count>;
    Gradient<Act, GATED, V> made{};
    if constexpr (GATED) made = {spot(tables.gate), spot(tables.pooled)};
    return made;
}

template <class T>
void moments(const Shape& shape, const T* x, Table centre, float* one, float* two) {
    sums(shape, one, two, [=](auto spot) {
        return [x, centre = spot(centre)](Size at, auto& first, auto& second) {
            const auto apart = stream<decltype(spot)::count>(x + at) - centre;
            first += apart;
            second += apart * apart;
        };
    });
}

template <class T, class Act, bool WITH_GRAD>
void squeeze(
    const Shape& shape, const T* x, const Tables& tables, const T* grad, float* one, float* unused
) {
    sums(shape, one, unused, [&](auto spot) {
        return [x, grad, z_of = affine(spot, tables)](Size at, auto& first, auto&) {
            constexpr int count = decltype(spot)::count;
            auto y = Act::value(z_of(stream<count>(x + at)));
            if constexpr (WITH_GRAD) y *= stream<count>(grad + at);
            first += y;
        };
    });
}

template <class T, class Act, bool WITH_SHORTCUT>
void apply(const Shape& shape, const T* x, const Tables& tables, const T* shortcut, T* y) {
    map(shape, [&](auto spot) {
        return [x, shortcut, y, z_of = affine(spot, tables)](Size at) {
            constexpr int count = decltype(spot)::count;
            auto z = z_of(stream<count>(x + at));
            if constexpr (WITH_SHORTCUT) z += stream<count>(shortcut + at);
            store<count>(y + at, Act::value(z));
        };
    });
}

template <class T, class Act>
void apply_gated(const Shape& shape, const T* x, const Tables& tables, const T*, T* y) {
    map(shape, [&](auto spot) {
        return [x, y, z_of = affine(spot, tables), gate = spot(tables.gate)](Size at) {
            constexpr int count = decltype(spot)::count;
            store<count>(y + at, Act::value(z_of(stream<count>(x + at))) * gate);
        };
    });
}

template <class T, class Act, bool WITH_SHORTCUT, bool GATED>
void reduce(
    const Shape& shape, const T* grad, const T* x, const Tables& tables, const T* shortcut,
    T* written, float* one, float* two
) {
    sums(shape, one, two, [&](auto spot) {
        return [grad, x, shortcut, written, z_of = affine(spot, tables),
                g_of = gradient<Act, GATED>(spot, tables)](Size at, auto& first, auto& second) {
            constexpr int count = decltype(spot)::count;
            const auto value = stream<count>(x + at);
            auto z = z_of(value);
            if constexpr (WITH_SHORTCUT) z += stream<count>(shortcut + at);
            const auto g = g_of(stream<count>(grad + at), z);
            if constexpr (WITH_SHORTCUT) store<count>(written + at, g);
            first += g;
            second += g * z_of.apart(value);
        };
    });
}

template <class T, class Act, bool WITH_STATISTICS, bool GATED>
void apply_backward(
    const Shape& shape, const T* grad, const T* x, const Tables& tables, Table a, Table b, T* dx
) {
    map(shape, [&](auto spot) {
        using V = Lanes<decltype(spot)::count>;
        V of_a{}, of_b{};
        if constexpr (WITH_STATISTICS) {
            of_a = spot(a);
            of_b = spot(b);
        }
        return [grad, x, dx, of_a, of_b, z_of = affine(spot, tables),
                g_of = gradient<Act, GATED>(spot, tables)](Size at) {
            constexpr int count = decltype(spot)::count;
            const V value = stream<count>(x + at);
            V out = g_of(stream<count>(grad + at), z_of(value)) * z_of.scale;
            if constexpr (WITH_STATISTICS) out += of_a + of_b * z_of.apart(value);
            store<count>(dx + at, out);
        };
    });
}

// A library holds the kernels of one type: see build.py.
using T = SENET_TYPE;

template <class Body> int with_act(int act, const Body& body) {
    switch (act) {
        case 0: body(Identity{}); return 0;
        case 1: body(Relu{}); return 0;
        case 2: body(Relu6{}); return 0;
        case 3: body(Silu{}); return 0;
        case 4: body(HardSwish{}); return 0;
    }
    return 1;
}

}  // namespace

// What Python passes, with the same fields as `Call` in cpu.py; absent pointers are null.
struct Call {
    Shape shape;
    const T *x, *grad, *shortcut;
    T* out;
    float *one, *two;
    Tables tables;
    Table a, b;
};

// `affine` and `affine_backward` of primitives.py, which don't depend on T; fields as in cpu.py.
struct AffineCall {
    Size images, channels;
    double count, eps, momentum;
    const float *first, *second, *weight, *bias, *centre;
    float *running_mean, *running_var, *scale, *shift, *mean, *inverse;
};
struct AffineBackwardCall {
    Size channels;
    double count;
    const float *of_scale, *of_shift, *mean, *inverse, *weight;
    float *of_first, *of_second, *of_weight;
};

// act: its place in `ACTS` of primitives.py. All return 0, or 1 where they don't know it.
extern "C" {

void senet_affine(const AffineCall* call) {
    const AffineCall& at = *call;
    std::vector<double> firsts(at.channels), seconds(at.channels);
    for (Size image = 0; image < at.images; ++image)
        for (Size channel = 0; channel < at.channels; ++channel) {
            firsts[channel] += at.first[image * at.channels + channel];
            seconds[channel] += at.second[image * at.channels + channel];
        }
    for (Size channel = 0; channel < at.channels; ++channel) {
        const double mean = firsts[channel] / at.count;
        double variance = seconds[channel] / at.count - mean * mean;
        variance = variance < 0.0 ? 0.0 : variance;
        const double inverse = 1.0 / std::sqrt(variance + at.eps);
        const double scale = inverse * at.weight[channel];
        at.mean[channel] = mean;
        at.inverse[channel] = inverse;
        at.scale[channel] = scale;
        at.shift[channel] = at.bias[channel] - mean * scale;
        float& of_mean = at.running_mean[channel];
        of_mean += at.momentum * (mean + at.centre[channel] - of_mean);
        float& of_variance = at.running_var[channel];
        of_variance += at.momentum * (variance * at.count / (at.count - 1.0) - of_variance);
    }
}

void senet_affine_backward(const AffineBackwardCall* call) {
    const AffineBackwardCall& at = *call;
    for (Size channel = 0; channel < at.channels; ++channel) {
        const double mean = at.mean[channel], inverse = at.inverse[channel];
        const double product = at.weight[channel] * inverse;
        const double of_weight = (at.of_scale[channel] - mean * at.of_shift[channel]) * inverse;
        const double of_second = of_weight * product * inverse * (-0.5 / at.count);
        at.of_weight[channel] = of_weight;
        at.of_second[channel] = of_second;
        at.of_first[channel] = -product * at.of_shift[channel] / at.count - 2.0 * mean * of_second;
    }
}

int senet_moments(const Call* call, int) {
    moments(call->shape, call->x, call->tables.centre, call->one, call->two);
    return 0;
}

int senet_squeeze(const Call* call, int act) {
    return with_act(act, [&](auto activation) {
        using Act = decltype(activation);
        const auto run = call->grad ? squeeze<T, Act, true> : squeeze<T, Act, false>;
        run(call->shape, call->x, call->tables, call->grad, call->one, call->two);
    });
}

int senet_apply(const Call* call, int act) {
    return with_act(act, [&](auto activation) {
        using Act = decltype(activation);
        auto run = call->shortcut ? apply<T, Act, true> : apply<T, Act, false>;
        if (call->tables.gate.at) run = apply_gated<T, Act>;
        run(call->shape, call->x, call->tables, call->shortcut, call->out);
    });
}

int senet_reduce(const Call* call, int act) {
    return with_act(act, [&](auto activation) {
        using Act = decltype(activation);
        auto run = call->shortcut ? reduce<T, Act, true, false> : reduce<T, Act, false, false>;
        if (call->tables.gate.at) run = reduce<T, Act, false, true>;
        run(call->shape, call->grad, call->x, call->tables, call->shortcut, call->out, call->one,
            call->two);
    });
}

int senet_apply_backward(const Call* call, int act) {
    return with_act(act, [&](auto activation) {
        using Act = decltype(activation);
        const bool gated = call->tables.gate.at != nullptr;
        auto run = gated ? apply_backward<T, Act, false, true>
                         : apply_backward<T, Act, false, false>;
        if (call->a.at)
            run = gated ? apply_backward<T, Act, true, true> : apply_backward<T, Act, true, false>;
        run(call->shape, call->grad, call->x, call->tables, call->a, call->b, call->out);
    });
}
}
