//! The row kernels of one space order, compiled for the processor at hand.
//!
//! The bodies are safe and generic. Each is compiled once for the baseline of the target and, for `f32` and `f64`, once
//! more per [`Path`] with the vector instructions of that path; the table holds plain function pointers, chosen once.

use treewave_core::Real;

use crate::coefficients::MAX_RADIUS;
use crate::ends::LayerEnd;
use crate::layer::radius_beside;
use crate::lines::Lines;
use crate::side::SideLayer;
use crate::stencil::Stencil;
use crate::vector::{Array, Vector};
#[cfg(target_arch = "x86_64")]
use crate::vector::{F32x8, F32x16, F64x4, F64x8};

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
    pub const fn fused(self) -> bool {
        !matches!(self, Path::Baseline) || BASELINE_FUSES
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

/// The layers of the axes x and y, where a step has to do with them.
pub type Sides<'a, T> = [Option<SideLayer<'a, T>>; 2];

/// The kernels; see the module [`layer`](crate::layer) for what they compute in the absorbing layer.
///
/// Rows are a multiple of 16 points long. They come as [`Lines`]: all arrays begin with the first of them, those of `m` and
/// `next` are as far apart as those of the field.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::type_complexity, reason = "each signature is spelled out once, here")]
pub struct RowKernels<T> {
    /// `next = 2 now − next + m L now` and the layers: stencil, ends, sides, now, m, next, [ψ, ζ] of axis z.
    pub step: fn(&Stencil<T>, &[LayerEnd<T>], Sides<T>, Lines<T>, &[T], &mut [T], [&mut [T]; 2]),
    /// The same, and `record` is what `m` is multiplied with: …, record.
    pub record: fn(&Stencil<T>, &[LayerEnd<T>], Sides<T>, Lines<T>, &[T], &mut [T], [&mut [T]; 2], &mut [T]),
    /// The same step for the adjoint field, with the transpose of the layer; for each of at most two records, in so many of the first
    /// points of each row, rounded up to whole vectors, `gradient += field record` and `illumination += record²`, where the field is
    /// `now` for the last record and what `next` still holds for one before it: stencil, ends, sides, now, m, next, [P, Z] of axis z,
    /// (records, points), gradient, illumination.
    pub image: fn(
        &Stencil<T>,
        &[LayerEnd<T>],
        Sides<T>,
        Lines<T>,
        &[T],
        &mut [T],
        [&mut [T]; 2],
        (&[&[T]], usize),
        &mut [T],
        &mut [T],
    ),
    /// `illumination += record²` where the adjoint field is zero: lines, record, illumination.
    pub illuminate: fn(Lines<T>, &[T], &mut [T]),
}

/// Scalars that vector instructions exist for.
pub trait Simd: Real {
    /// The kernels of a space order `2 radius` for a 2-D or 3-D grid on a path that this processor has.
    fn kernels(radius: usize, dims: usize, path: Path) -> RowKernels<Self>;
}

/// A table of the functions of a module for given scalars, vectors and constants: radius, axes
/// besides z, planes that are stepped at once (as many as the registers reach for).
macro_rules! table {
    ($module:ident, $t:ty, $v:ty, $r:literal, $axes:literal, $planes:literal) => {{
        const D: usize = radius_beside($r);
        RowKernels {
            step: $module::step::<$t, $v, $r, D, $axes, $planes>,
            record: $module::record::<$t, $v, $r, D, $axes, $planes>,
            image: $module::image::<$t, $v, $r, D, $axes, $planes>,
            illuminate: $module::illuminate::<$t, $v>,
        }
    }};
}

/// The table for a run-time radius and dimension.
macro_rules! choose {
    ($module:ident, $t:ty, $v:ty, $radius:expr, $dims:expr) => {
        choose!(@ $module, $t, $v, $radius, $dims; 1:4 2:4 3:4 4:4 5:2 6:2 7:1 8:1)
    };
    (@ $module:ident, $t:ty, $v:ty, $radius:expr, $dims:expr; $($r:literal: $planes:literal)*) => {
        match ($radius, $dims) {
            $(
                ($r, 2) => table!($module, $t, $v, $r, 1, $planes),
                ($r, 3) => table!($module, $t, $v, $r, 2, 2),
            )*
            (radius, dims) => panic!("no kernels of radius {radius} (1 to {MAX_RADIUS}) in {dims} dimensions (2 or 3)"),
        }
    };
}

/// Compiles the bodies of the kernels into functions by the given rule.
macro_rules! compile {
    ($rule:ident $(, $argument:tt)*) => {
        $rule! { ($($argument),*)
            step[R, D, AXES, P](s: &Stencil<T>, ends: &[LayerEnd<T>], sides: Sides<T>, now: Lines<T>, m: &[T], next: &mut [T], memory: [&mut [T]; 2]) = update::step_lines;
            record[R, D, AXES, P](s: &Stencil<T>, ends: &[LayerEnd<T>], sides: Sides<T>, now: Lines<T>, m: &[T], next: &mut [T], memory: [&mut [T]; 2], record: &mut [T]) = update::record_lines;
            image[R, D, AXES, P](s: &Stencil<T>, ends: &[LayerEnd<T>], sides: Sides<T>, now: Lines<T>, m: &[T], next: &mut [T], memory: [&mut [T]; 2], records: (&[&[T]], usize), gradient: &mut [T], illumination: &mut [T]) = update::image_lines;
            illuminate[](lines: Lines<T>, record: &[T], illumination: &mut [T]) = update::illuminate_lines;
        }
    };
}

macro_rules! baseline {
    (() $($name:ident[$($c:ident),*]($($arg:ident: $ty:ty),*) = $module:ident::$body:ident;)*) => {
        $(
            #[allow(clippy::too_many_arguments, reason = "the kernel's own")]
            pub(super) fn $name<T: Real, V: Vector<T>, $(const $c: usize),*>($($arg: $ty),*) {
                crate::$module::$body::<T, V, $($c,)* { super::BASELINE_FUSES }>($($arg),*)
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
            #[allow(clippy::too_many_arguments, reason = "the kernel's own")]
            pub(super) fn $name<T: Real, V: Vector<T>, $(const $c: usize),*>($($arg: $ty),*) {
                #[target_feature(enable = $features)]
                fn compiled<T: Real, V: Vector<T>, $(const $c: usize),*>($($arg: $ty),*) {
                    crate::$module::$body::<T, V, $($c,)* true>($($arg),*)
                }
                // SAFETY: `Simd::kernels` puts these functions into a table only for a path that `Path::detect` allows,
                // so the processor has the features.
                #[allow(unsafe_code)]
                unsafe { compiled::<T, V, $($c),*>($($arg),*) }
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
        choose!(baseline, T, Array<T, 2>, radius, dims)
    }
}

macro_rules! simd {
    ($t:ty, $wide:ty, $avx2:ty) => {
        impl Simd for $t {
            fn kernels(radius: usize, dims: usize, path: Path) -> RowKernels<Self> {
                assert!(path <= Path::detect(), "this processor has no {}", path.name());
                match path {
                    #[cfg(target_arch = "x86_64")]
                    Path::Avx512 => choose!(avx512, $t, $wide, radius, dims),
                    #[cfg(target_arch = "x86_64")]
                    Path::Avx2 => choose!(avx2, $t, $avx2, radius, dims),
                    _ => choose!(baseline, $t, Array<$t, 4>, radius, dims),
                }
            }
        }
    };
}

simd!(f32, F32x16, F32x8);
simd!(f64, F64x8, F64x4);
