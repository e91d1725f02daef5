//! The row kernels of one space order, compiled for the processor at hand.
//!
//! The bodies are safe and generic. Each is compiled once for the baseline of the target and, for `f32` and `f64`, once
//! more per [`Path`] with the vector instructions of that path; the table holds plain function pointers, chosen once.

use treewave_core::Real;

use crate::coefficients::MAX_RADIUS;
use crate::layer::LayerEnd;
use crate::stencil::Stencil;

/// Which instructions the kernels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// The baseline of the target.
    Baseline,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512.
    Avx512,
}

impl Path {
    /// The best path of this processor.
    pub fn detect() -> Path {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw");
            if avx2 && avx512 {
                return Path::Avx512;
            }
            if avx2 {
                return Path::Avx2;
            }
        }
        Path::Baseline
    }
    /// Whether products and sums are rounded once; paths that agree in this compute the same bits.
    pub fn fused(self) -> bool {
        self != Path::Baseline || BASELINE_FUSES
    }
    /// A name for logs.
    pub fn name(self) -> &'static str {
        match self {
            Path::Baseline => "baseline",
            Path::Avx2 => "avx2+fma",
            Path::Avx512 => "avx512",
        }
    }
}

/// Whether the baseline of the target has fused multiply-add instructions.
const BASELINE_FUSES: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// Lists of rows: `2 radius + 1` rows across an axis, in order.
type Rows<'a, 'b, T> = &'a [&'b [T]];

/// The kernels; see the modules [`stencil`](crate::stencil), [`layer`](crate::layer) and
/// [`pointwise`](crate::pointwise) for what they compute.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::type_complexity, reason = "each signature is spelled out once, here")]
pub struct RowKernels<T> {
    /// `out = L p` for a row: stencil, field, index of the first point, strides of the axes besides z, out.
    pub laplacian: fn(&Stencil<T>, &[T], usize, [usize; 2], &mut [T]),
    /// `next = 2 now − next + m w`: next, now, m, w.
    pub leapfrog: fn(&mut [T], &[T], &[T], &[T]),
    /// `image += a b`: image, a, b.
    pub correlate: fn(&mut [T], &[T], &[T]),
    /// `memory = b memory + source`: memory, b, source.
    pub decay: fn(&mut [T], T, &[T]),
    /// `ψ ← b ψ + a D p`: stencil, axis, [a, b], rows of p, ψ.
    pub psi: fn(&Stencil<T>, usize, [T; 2], Rows<T>, &mut [T]),
    /// `w += D ψ + ζ`: stencil, axis, [a, b], rows of p, rows of ψ, ζ inside the layer, w.
    pub layer: fn(&Stencil<T>, usize, [T; 2], Rows<T>, Rows<T>, Option<&mut [T]>, &mut [T]),
    /// `P ← b P − D (v + a Z)`: stencil, axis, b, rows of v, rows of Z, their a, P.
    pub adjoint_psi: fn(&Stencil<T>, usize, T, Rows<T>, Rows<T>, &[T], &mut [T]),
    /// `w += L (a Z) − D (a P)`: stencil, axis, rows of Z, rows of P, their a, w.
    pub adjoint_layer: fn(&Stencil<T>, usize, Rows<T>, Rows<T>, &[T], &mut [T]),
    /// The layer of axis z at one end of a row: stencil, end, field, start, ψ, ζ, w.
    pub layer_end: fn(&Stencil<T>, &LayerEnd<T>, &[T], usize, &mut [T], &mut [T], &mut [T]),
    /// Its transpose: stencil, end, field, start, P, Z, w.
    pub adjoint_layer_end: fn(&Stencil<T>, &LayerEnd<T>, &[T], usize, &mut [T], &mut [T], &mut [T]),
}

/// Scalars that vector instructions exist for.
pub trait Simd: Real {
    /// The kernels of a space order `2 radius` for a 2-D or 3-D grid on a path that this processor has.
    fn kernels(radius: usize, dims: usize, path: Path) -> RowKernels<Self>;
}

/// A table of the functions of a module for given constants.
macro_rules! table {
    ($module:ident, $t:ty, $r:literal, $axes:literal) => {
        RowKernels {
            laplacian: $module::laplacian::<$t, $r, $axes>,
            leapfrog: $module::leapfrog::<$t>,
            correlate: $module::correlate::<$t>,
            decay: $module::decay::<$t>,
            psi: $module::psi::<$t, $r>,
            layer: $module::layer::<$t, $r>,
            adjoint_psi: $module::adjoint_psi::<$t, $r>,
            adjoint_layer: $module::adjoint_layer::<$t, $r>,
            layer_end: $module::layer_end::<$t, $r>,
            adjoint_layer_end: $module::adjoint_layer_end::<$t, $r>,
        }
    };
}

/// The table for a run-time radius and dimension.
macro_rules! choose {
    ($module:ident, $t:ty, $radius:expr, $dims:expr) => {
        choose!(@ $module, $t, $radius, $dims; 1 2 3 4 5 6 7 8)
    };
    (@ $module:ident, $t:ty, $radius:expr, $dims:expr; $($r:literal)*) => {
        match ($radius, $dims) {
            $(
                ($r, 2) => table!($module, $t, $r, 1),
                ($r, 3) => table!($module, $t, $r, 2),
            )*
            (radius, dims) => panic!("no kernels of radius {radius} (1 to {MAX_RADIUS}) in {dims} dimensions (2 or 3)"),
        }
    };
}

/// Compiles the bodies of the kernels into functions by the given rule.
macro_rules! compile {
    ($rule:ident $(, $argument:tt)*) => {
        $rule! { ($($argument),*)
            laplacian[R, AXES](s: &Stencil<T>, f: &[T], start: usize, strides: [usize; 2], out: &mut [T]) = stencil::laplacian_row;
            leapfrog[](next: &mut [T], now: &[T], m: &[T], w: &[T]) = pointwise::leapfrog_row;
            correlate[](image: &mut [T], a: &[T], b: &[T]) = pointwise::correlate_row;
            decay[](memory: &mut [T], b: T, source: &[T]) = pointwise::decay_row;
            psi[R](s: &Stencil<T>, axis: usize, ab: [T; 2], p: Rows<T>, psi: &mut [T]) = layer::psi_row;
            layer[R](s: &Stencil<T>, axis: usize, ab: [T; 2], p: Rows<T>, psi: Rows<T>, zeta: Option<&mut [T]>, w: &mut [T]) = layer::layer_row;
            adjoint_psi[R](s: &Stencil<T>, axis: usize, b: T, v: Rows<T>, z: Rows<T>, a: &[T], p: &mut [T]) = layer::adjoint_psi_row;
            adjoint_layer[R](s: &Stencil<T>, axis: usize, z: Rows<T>, p: Rows<T>, a: &[T], w: &mut [T]) = layer::adjoint_layer_row;
            layer_end[R](s: &Stencil<T>, end: &LayerEnd<T>, f: &[T], start: usize, psi: &mut [T], zeta: &mut [T], w: &mut [T]) = layer::layer_end;
            adjoint_layer_end[R](s: &Stencil<T>, end: &LayerEnd<T>, f: &[T], start: usize, p: &mut [T], z: &mut [T], w: &mut [T]) = layer::adjoint_layer_end;
        }
    };
}

macro_rules! baseline {
    (() $($name:ident[$($c:ident),*]($($arg:ident: $ty:ty),*) = $module:ident::$body:ident;)*) => {
        $(
            pub(super) fn $name<T: Real, $(const $c: usize),*>($($arg: $ty),*) {
                crate::$module::$body::<T, $($c,)* { super::BASELINE_FUSES }>($($arg),*)
            }
        )*
    };
}

mod baseline {
    use super::*;
    compile!(baseline);
}

#[cfg(target_arch = "x86_64")]
macro_rules! featured {
    (($features:literal) $($name:ident[$($c:ident),*]($($arg:ident: $ty:ty),*) = $module:ident::$body:ident;)*) => {
        $(
            pub(super) fn $name<T: Real, $(const $c: usize),*>($($arg: $ty),*) {
                #[target_feature(enable = $features)]
                fn compiled<T: Real, $(const $c: usize),*>($($arg: $ty),*) {
                    crate::$module::$body::<T, $($c,)* true>($($arg),*)
                }
                // SAFETY: `Simd::kernels` puts these functions into a table only for a path that `Path::detect` allows,
                // so the processor has the features.
                #[allow(unsafe_code)]
                unsafe { compiled::<T, $($c),*>($($arg),*) }
            }
        )*
    };
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::*;
    compile!(featured, "avx2,fma");
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::*;
    compile!(featured, "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma");
}

impl<T: Real> RowKernels<T> {
    /// The kernels for any scalar, compiled for the baseline of the target.
    pub fn baseline(radius: usize, dims: usize) -> Self {
        choose!(baseline, T, radius, dims)
    }
}

macro_rules! simd {
    ($t:ty) => {
        impl Simd for $t {
            fn kernels(radius: usize, dims: usize, path: Path) -> RowKernels<Self> {
                assert!(path <= Path::detect(), "this processor has no {}", path.name());
                match path {
                    #[cfg(target_arch = "x86_64")]
                    Path::Avx512 => choose!(avx512, $t, radius, dims),
                    #[cfg(target_arch = "x86_64")]
                    Path::Avx2 => choose!(avx2, $t, radius, dims),
                    _ => RowKernels::baseline(radius, dims),
                }
            }
        }
    };
}

simd!(f32);
simd!(f64);
