// The maps of primitives.py on CPUs, as plain C functions over pointers: without torch's headers, so
// that any compiler builds them in seconds, for any version of torch.

#include "cpu_loops.h"
#include "cpu_numbers.h"

namespace {

// The tables of one call. gate is absent (null) where the activation comes last.
struct Tables {
    Table centre, scale, shift, gate, pooled;
};

template <class P> struct Affine {
    P centre, scale, shift;
    float apart(float x, Size channel) const { return x - centre[channel]; }
    float operator()(float x, Size channel) const {
        return apart(x, channel) * scale[channel] + shift[channel];
    }
};

template <class View> auto affine(const View& view, const Tables& tables) {
    using P = decltype(view(tables.centre));
    return Affine<P>{view(tables.centre), view(tables.scale), view(tables.shift)};
}

// g of `Reduce`.
template <class T, class Act, bool GATED, class P> struct Gradient {
    const T* grad;
    P gate, pooled;
    float operator()(Size at, Size channel, float z) const {
        float g = wide(grad[at]);
        if constexpr (GATED) g = g * gate[channel] + pooled[channel];
        return g * Act::slope(z);
    }
};

template <class T, class Act, bool GATED, class View>
auto gradient(const View& view, const T* grad, const Tables& tables) {
    using P = decltype(view(tables.gate));
    P none{};
    if constexpr (GATED)
        return Gradient<T, Act, GATED, P>{grad, view(tables.gate), view(tables.pooled)};
    else
        return Gradient<T, Act, GATED, P>{grad, none, none};
}

template <class T>
void moments(const Shape& shape, const T* x, Table centre, float* one, float* two) {
    sums(shape, one, two, [=](const auto& view) {
        return [x, of_channel = view(centre)](Size at, Size channel, float& first, float& second) {
            const float apart = wide(x[at]) - of_channel[channel];
            first += apart;
            second += apart * apart;
        };
    });
}

template <class T, class Act, bool WITH_GRAD>
void squeeze(
    const Shape& shape, const T* x, const Tables& tables, const T* grad, float* one, float* unused
) {
    sums(shape, one, unused, [&](const auto& view) {
        return [x, grad, z_of = affine(view, tables)](
                   Size at, Size channel, float& first, float&) {
            const float y = Act::value(z_of(wide(x[at]), channel));
            if constexpr (WITH_GRAD)
                first += y * wide(grad[at]);
            else
                first += y;
        };
    });
}

template <class T, class Act, bool WITH_SHORTCUT>
void apply(const Shape& shape, const T* x, const Tables& tables, const T* shortcut, T* y) {
    map(shape, [&](const auto& view) {
        return [x, shortcut, y, z_of = affine(view, tables)](Size at, Size channel) {
            float z = z_of(wide(x[at]), channel);
            if constexpr (WITH_SHORTCUT) z += wide(shortcut[at]);
            y[at] = narrow<T>(Act::value(z));
        };
    });
}

template <class T, class Act>
void apply_gated(const Shape& shape, const T* x, const Tables& tables, const T*, T* y) {
    map(shape, [&](const auto& view) {
        return [x, y, z_of = affine(view, tables), gate = view(tables.gate)](
                   Size at, Size channel) {
            y[at] = narrow<T>(Act::value(z_of(wide(x[at]), channel)) * gate[channel]);
        };
    });
}

template <class T, class Act, bool WITH_SHORTCUT, bool GATED>
void reduce(
    const Shape& shape, const T* grad, const T* x, const Tables& tables, const T* shortcut,
    T* written, float* one, float* two
) {
    sums(shape, one, two, [&](const auto& view) {
        return [x, shortcut, written, z_of = affine(view, tables),
                g_of = gradient<T, Act, GATED>(view, grad, tables)](
                   Size at, Size channel, float& first, float& second) {
            const float value = wide(x[at]);
            float z = z_of(value, channel);
            if constexpr (WITH_SHORTCUT) z += wide(shortcut[at]);
            const float g = g_of(at, channel, z);
            if constexpr (WITH_SHORTCUT) written[at] = narrow<T>(g);
            first += g;
            second += g * z_of.apart(value, channel);
        };
    });
}

template <class T, class Act, bool WITH_STATISTICS, bool GATED>
void apply_backward(
    const Shape& shape, const T* grad, const T* x, const Tables& tables, Table a, Table b, T* dx
) {
    map(shape, [&](const auto& view) {
        auto of_a = view(tables.scale), of_b = of_a;
        if constexpr (WITH_STATISTICS) {
            of_a = view(a);
            of_b = view(b);
        }
        return [x, dx, of_a, of_b, z_of = affine(view, tables),
                g_of = gradient<T, Act, GATED>(view, grad, tables)](Size at, Size channel) {
            const float value = wide(x[at]);
            float out = g_of(at, channel, z_of(value, channel)) * z_of.scale[channel];
            if constexpr (WITH_STATISTICS)
                out += of_a[channel] + of_b[channel] * z_of.apart(value, channel);
            dx[at] = narrow<T>(out);
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
    Tables tables;
    Table a, b;
    const T *x, *grad, *shortcut;
    T* out;
    float *one, *two;
};

// act: its place in `ACTS` of primitives.py. All return 0, or 1 where they don't know it.
extern "C" {

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
