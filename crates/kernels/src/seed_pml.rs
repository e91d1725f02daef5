//! Rows of the seed paper's PML equation, each step beside its transpose.
//!
//! With `m` the squared velocity, `σ` and `τ` the damping along x and z, and `D = 1 + (σ + τ) Δt / 2`:
//!
//! ```text
//! w    = Δt² L u                                      second-order Laplacian
//! u⁺   = ((2 − σ τ Δt²) u − (2 − D) u⁻ + m w + hx δx φ + hz δz ψ) / D
//! φ⁺   = (1 − Δt σ) φ + gx m (τ − σ) δx u⁺
//! ψ⁺   = (1 − Δt τ) ψ + gz m (σ − τ) δz u⁺
//! ```
//!
//! where `δ f = f[i + 1] − f[i − 1]`, `h = Δt² / 2Δ`, `g = Δt / 2Δ` with the spacing `Δ` of the axis. Outside the layer
//! `σ = τ = 0`, `φ` and `ψ` stay zero and the plain leapfrog is left. The transpose works on `q = m λ`, `F = m (τ − σ) φ̄` and
//! `G = m (σ − τ) ψ̄` of the adjoints λ, φ̄, ψ̄; with these `q` obeys the leapfrog of `u`:
//!
//! ```text
//! q    = (Q + m (gx (F[i−1] − F[i+1]) + gz (G[k−1] − G[k+1]))) / D
//! Q⁻   = (2 − σ τ Δt²) q − (2 − D) q⁺ + m Δt² L q
//! F⁻   = (1 − Δt σ) F − hx m (τ − σ) δx (q / m)
//! G⁻   = (1 − Δt τ) G − hz m (σ − τ) δz (q / m)
//! ```
//!
//! The bodies are safe and generic; for `f64` they are compiled once more per [`Path`].
//!
//! # References
//! Grote & Sim (2010), arXiv:1001.0319; Liu & Xu (2021), Acta Physica Sinica 70, 149402.

use treewave_core::Real;

use crate::table::Path;

/// Whether the baseline of the target has fused multiply-add instructions.
const BASELINE_FUSES: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// `a b + c`, fused where the caller was compiled for it.
#[inline(always)]
fn fma<T: Real, const FMA: bool>(a: T, b: T, c: T) -> T {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Numbers of the scheme that are the same for all cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeedConstants<T> {
    /// Time step in s.
    pub dt: T,
    /// `Δt² / Δx²` and `Δt² / Δz²` in s²/m².
    pub k: [T; 2],
    /// Twice the sum of these.
    pub centre: T,
    /// `Δt² / 2Δx` and `Δt² / 2Δz` in s²/m.
    pub h: [T; 2],
    /// `Δt / 2Δx` and `Δt / 2Δz` in s/m.
    pub g: [T; 2],
}

impl<T: Real> SeedConstants<T> {
    /// The constants for a time step in s and spacings along x and z in m.
    pub fn new(dt_s: f64, spacing_m: [f64; 2]) -> Self {
        let k = spacing_m.map(|d| (dt_s / d) * (dt_s / d));
        SeedConstants {
            dt: T::from_f64(dt_s),
            k: k.map(T::from_f64),
            centre: T::from_f64(2.0 * (k[0] + k[1])),
            h: spacing_m.map(|d| T::from_f64(dt_s * dt_s / (2.0 * d))),
            g: spacing_m.map(|d| T::from_f64(dt_s / (2.0 * d))),
        }
    }
}

/// A piece of a row with its neighbours: `n` cells.
#[derive(Clone, Copy, Debug)]
pub struct Cross<'a, T> {
    /// The cells at `i − 1`, `n` of them.
    pub above: &'a [T],
    /// The cells themselves with one more at either end, `n + 2`.
    pub own: &'a [T],
    /// The cells at `i + 1`, `n` of them.
    pub below: &'a [T],
}

impl<'a, T> Cross<'a, T> {
    /// The same slices with their lengths where the compiler can see them.
    #[inline(always)]
    fn of(self, n: usize) -> Self {
        Cross { above: &self.above[..n], own: &self.own[..n + 2], below: &self.below[..n] }
    }
}

/// Damping of a piece of a row, in 1/s: σ of the row, τ of each cell.
#[derive(Clone, Copy, Debug)]
pub struct Damping<'a, T> {
    /// σ, along x.
    pub x: T,
    /// τ, along z.
    pub z: &'a [T],
}

/// `Δt² L u` of cell `j`.
#[inline(always)]
fn curvature<T: Real, const FMA: bool>(k: &SeedConstants<T>, u: &Cross<T>, j: usize) -> T {
    let across = k.k[0] * (u.above[j] + u.below[j]) - k.centre * u.own[j + 1];
    fma::<T, FMA>(k.k[1], u.own[j] + u.own[j + 2], across)
}

/// `2 − σ τ Δt²`, `2 − D` and `D`.
#[inline(always)]
fn weights<T: Real>(dt: T, sigma: T, tau: T) -> [T; 3] {
    let half = T::from_f64(0.5) * dt * (sigma + tau);
    [T::ONE + T::ONE - sigma * tau * dt * dt, T::ONE - half, T::ONE + half]
}

/// The field outside the layer: `next` holds `u⁻` and becomes `u⁺`; `record`, unless empty, receives `w`.
#[inline(always)]
fn interior_row<T: Real, const FMA: bool>(
    k: &SeedConstants<T>,
    next: &mut [T],
    u: Cross<T>,
    m: &[T],
    record: &mut [T],
) {
    // Two loops, so that neither branches.
    if record.is_empty() {
        return interior_cells::<T, FMA>(k, next, u, m, |_, _| {});
    }
    let record = &mut record[..next.len()];
    interior_cells::<T, FMA>(k, next, u, m, |j, w| record[j] = w);
}

#[inline(always)]
fn interior_cells<T: Real, const FMA: bool>(
    k: &SeedConstants<T>,
    next: &mut [T],
    u: Cross<T>,
    m: &[T],
    mut keep: impl FnMut(usize, T),
) {
    let n = next.len();
    let (u, m) = (u.of(n), &m[..n]);
    for j in 0..n {
        let w = curvature::<T, FMA>(k, &u, j);
        keep(j, w);
        let inertia = (u.own[j + 1] + u.own[j + 1]) - next[j];
        next[j] = fma::<T, FMA>(m[j], w, inertia).flush();
    }
}

/// The field in the layer and beside it; otherwise as [`interior_row`].
#[allow(clippy::too_many_arguments, reason = "fields, model and damping of a row")]
#[inline(always)]
fn layer_row<T: Real, const FMA: bool>(
    k: &SeedConstants<T>,
    damping: Damping<T>,
    next: &mut [T],
    u: Cross<T>,
    m: &[T],
    phi: [&[T]; 2],
    psi: &[T],
    record: &mut [T],
) {
    if record.is_empty() {
        return layer_cells::<T, FMA>(k, damping, next, u, m, phi, psi, |_, _| {});
    }
    let record = &mut record[..next.len()];
    layer_cells::<T, FMA>(k, damping, next, u, m, phi, psi, |j, w| record[j] = w);
}

#[allow(clippy::too_many_arguments, reason = "as layer_row")]
#[inline(always)]
fn layer_cells<T: Real, const FMA: bool>(
    k: &SeedConstants<T>,
    damping: Damping<T>,
    next: &mut [T],
    u: Cross<T>,
    m: &[T],
    phi: [&[T]; 2],
    psi: &[T],
    mut keep: impl FnMut(usize, T),
) {
    let n = next.len();
    let (u, m, tau) = (u.of(n), &m[..n], &damping.z[..n]);
    let (phi_above, phi_below, psi) = (&phi[0][..n], &phi[1][..n], &psi[..n + 2]);
    for j in 0..n {
        let w = curvature::<T, FMA>(k, &u, j);
        keep(j, w);
        let [a, b, d] = weights(k.dt, damping.x, tau[j]);
        let auxiliary = fma::<T, FMA>(k.h[0], phi_below[j] - phi_above[j], k.h[1] * (psi[j + 2] - psi[j]));
        let sum = fma::<T, FMA>(m[j], w, a * u.own[j + 1] - b * next[j]) + auxiliary;
        next[j] = (sum / d).flush();
    }
}

/// The auxiliary fields from the new field; `slopes`, unless empty, receive `δx u⁺` and `δz u⁺`.
#[inline(always)]
fn memory_row<T: Real, const FMA: bool>(
    k: &SeedConstants<T>,
    damping: Damping<T>,
    u: Cross<T>,
    m: &[T],
    phi: &mut [T],
    psi: &mut [T],
    slopes: [&mut [T]; 2],
) {
    let [slope_x, slope_z] = slopes;
    if slope_x.is_empty() {
        return memory_cells::<T, FMA>(k, damping, u, m, phi, psi, |_, _| {});
    }
    let (slope_x, slope_z) = (&mut slope_x[..phi.len()], &mut slope_z[..phi.len()]);
    memory_cells::<T, FMA>(k, damping, u, m, phi, psi, |j, slopes| [slope_x[j], slope_z[j]] = slopes);
}

#[inline(always)]
fn memory_cells<T: Real, const FMA: bool>(
    k: &SeedConstants<T>,
    damping: Damping<T>,
    u: Cross<T>,
    m: &[T],
    phi: &mut [T],
    psi: &mut [T],
    mut keep: impl FnMut(usize, [T; 2]),
) {
    let n = phi.len();
    let (u, m, tau, psi) = (u.of(n), &m[..n], &damping.z[..n], &mut psi[..n]);
    let decay_x = T::ONE - k.dt * damping.x;
    for j in 0..n {
        let (dx, dz) = (u.below[j] - u.above[j], u.own[j + 2] - u.own[j]);
        keep(j, [dx, dz]);
        let drive = m[j] * (tau[j] - damping.x);
        phi[j] = fma::<T, FMA>(k.g[0] * drive, dx, decay_x * phi[j]).flush();
        psi[j] = fma::<T, FMA>(-(k.g[1] * drive), dz, (T::ONE - k.dt * tau[j]) * psi[j]).flush();
    }
}

/// Transpose of [`memory_row`], and the division by `D`: `Q` becomes `q`.
#[inline(always)]
fn adjoint_memory_row<T: Real, const FMA: bool>(
    k: &SeedConstants<T>,
    damping: Damping<T>,
    q: &mut [T],
    m: &[T],
    f: [&[T]; 2],
    g: &[T],
) {
    let n = q.len();
    let (m, tau) = (&m[..n], &damping.z[..n]);
    let (f_above, f_below, g) = (&f[0][..n], &f[1][..n], &g[..n + 2]);
    for j in 0..n {
        let [_, _, d] = weights(k.dt, damping.x, tau[j]);
        let sum = fma::<T, FMA>(k.g[0], f_above[j] - f_below[j], k.g[1] * (g[j] - g[j + 2]));
        q[j] = fma::<T, FMA>(m[j], sum, q[j]) / d;
    }
}

/// Transpose of [`interior_row`]: `next` holds `q⁺` and becomes `Q⁻`; `gradient += q w`.
#[inline(always)]
fn adjoint_interior_row<T: Real, const FMA: bool>(
    k: &SeedConstants<T>,
    next: &mut [T],
    q: Cross<T>,
    m: &[T],
    record: &[T],
    gradient: &mut [T],
) {
    let n = next.len();
    let (q, m, record, gradient) = (q.of(n), &m[..n], &record[..n], &mut gradient[..n]);
    for j in 0..n {
        let centre = q.own[j + 1];
        gradient[j] = fma::<T, FMA>(centre, record[j], gradient[j]);
        let inertia = (centre + centre) - next[j];
        next[j] = fma::<T, FMA>(m[j], curvature::<T, FMA>(k, &q, j), inertia).flush();
    }
}

/// What `adjoint_layer_row` works on.
#[derive(Debug)]
pub struct AdjointLayer<'a, T> {
    /// `q⁺`, becomes `Q⁻`.
    pub next: &'a mut [T],
    /// Field `q`.
    pub q: Cross<'a, T>,
    /// Squared velocity.
    pub m: Cross<'a, T>,
    /// `F`, becomes `F⁻`.
    pub f: &'a mut [T],
    /// `G`, becomes `G⁻`.
    pub g: &'a mut [T],
    /// Recorded `w`.
    pub record: &'a [T],
    /// Recorded slopes of the new field.
    pub slopes: [&'a [T]; 2],
    /// `m` times the gradient gathered so far.
    pub gradient: &'a mut [T],
}

/// Transpose of [`layer_row`] in the layer and beside it; gathers `q w + gx F δx u⁺ + gz G δz u⁺`.
#[inline(always)]
fn adjoint_layer_row<T: Real, const FMA: bool>(k: &SeedConstants<T>, damping: Damping<T>, row: AdjointLayer<T>) {
    let n = row.next.len();
    let (q, m, tau) = (row.q.of(n), row.m.of(n), &damping.z[..n]);
    let (next, f, g, gradient) = (row.next, &mut row.f[..n], &mut row.g[..n], &mut row.gradient[..n]);
    let (record, slope_x, slope_z) = (&row.record[..n], &row.slopes[0][..n], &row.slopes[1][..n]);
    let decay_x = T::ONE - k.dt * damping.x;
    for j in 0..n {
        let (centre, velocity) = (q.own[j + 1], m.own[j + 1]);
        let memory = k.g[0] * f[j] * slope_x[j] + k.g[1] * g[j] * slope_z[j];
        gradient[j] = fma::<T, FMA>(centre, record[j], gradient[j]) + memory;
        let [a, b, _] = weights(k.dt, damping.x, tau[j]);
        let inertia = a * centre - b * next[j];
        next[j] = fma::<T, FMA>(velocity, curvature::<T, FMA>(k, &q, j), inertia).flush();
        let drive = velocity * (tau[j] - damping.x);
        let dx = q.below[j] / m.below[j] - q.above[j] / m.above[j];
        let dz = q.own[j + 2] / m.own[j + 2] - q.own[j] / m.own[j];
        f[j] = fma::<T, FMA>(-(k.h[0] * drive), dx, decay_x * f[j]).flush();
        g[j] = fma::<T, FMA>(k.h[1] * drive, dz, (T::ONE - k.dt * tau[j]) * g[j]).flush();
    }
}

/// The kernels; see the [module](self) for what they compute.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::type_complexity, reason = "each signature is spelled out once, here")]
pub struct SeedKernels<T> {
    /// The field outside the layer: constants, `u⁻ → u⁺`, u, m, record or nothing.
    pub interior: fn(&SeedConstants<T>, &mut [T], Cross<T>, &[T], &mut [T]),
    /// The field in the layer and one cell beside it: constants, damping, `u⁻ → u⁺`, u, m, φ above and below, ψ with one
    /// more cell at either end, record or nothing.
    pub layer: fn(&SeedConstants<T>, Damping<T>, &mut [T], Cross<T>, &[T], [&[T]; 2], &[T], &mut [T]),
    /// The auxiliary fields: constants, damping, u⁺, m, φ, ψ, slopes or nothing.
    pub memory: fn(&SeedConstants<T>, Damping<T>, Cross<T>, &[T], &mut [T], &mut [T], [&mut [T]; 2]),
    /// Their transpose: constants, damping, `Q → q`, m, F above and below, G with one more cell at either end.
    pub adjoint_memory: fn(&SeedConstants<T>, Damping<T>, &mut [T], &[T], [&[T]; 2], &[T]),
    /// Transpose of `interior`: constants, `q⁺ → Q⁻`, q, m, record, gradient.
    pub adjoint_interior: fn(&SeedConstants<T>, &mut [T], Cross<T>, &[T], &[T], &mut [T]),
    /// Transpose of `layer`.
    pub adjoint_layer: fn(&SeedConstants<T>, Damping<T>, AdjointLayer<T>),
}

/// Compiles the bodies into functions by the given rule, and lists them in a table.
macro_rules! compile {
    ($rule:ident, $t:ty $(, $argument:tt)*) => {
        $rule! { ($t $(, $argument)*)
            interior(k: &SeedConstants<$t>, next: &mut [$t], u: Cross<$t>, m: &[$t], record: &mut [$t]) = interior_row;
            layer(k: &SeedConstants<$t>, d: Damping<$t>, next: &mut [$t], u: Cross<$t>, m: &[$t], phi: [&[$t]; 2], psi: &[$t], record: &mut [$t]) = layer_row;
            memory(k: &SeedConstants<$t>, d: Damping<$t>, u: Cross<$t>, m: &[$t], phi: &mut [$t], psi: &mut [$t], slopes: [&mut [$t]; 2]) = memory_row;
            adjoint_memory(k: &SeedConstants<$t>, d: Damping<$t>, q: &mut [$t], m: &[$t], f: [&[$t]; 2], g: &[$t]) = adjoint_memory_row;
            adjoint_interior(k: &SeedConstants<$t>, next: &mut [$t], q: Cross<$t>, m: &[$t], record: &[$t], gradient: &mut [$t]) = adjoint_interior_row;
            adjoint_layer(k: &SeedConstants<$t>, d: Damping<$t>, row: AdjointLayer<$t>) = adjoint_layer_row;
        }
    };
}

macro_rules! baseline {
    (($t:ty) $($name:ident($($arg:ident: $ty:ty),*) = $body:ident;)*) => {
        SeedKernels { $($name: |$($arg: $ty),*| $body::<$t, { BASELINE_FUSES }>($($arg),*)),* }
    };
}

impl<T: Real> SeedKernels<T> {
    /// The kernels for any scalar, compiled for the baseline of the target.
    pub fn baseline() -> Self {
        compile!(baseline, T)
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! featured {
    (($t:ty, $features:literal) $($name:ident($($arg:ident: $ty:ty),*) = $body:ident;)*) => {{
        $(
            #[allow(clippy::too_many_arguments, reason = "the kernel's own")]
            fn $name($($arg: $ty),*) {
                #[allow(clippy::too_many_arguments, reason = "the kernel's own")]
                #[target_feature(enable = $features)]
                fn compiled($($arg: $ty),*) {
                    $body::<$t, true>($($arg),*)
                }
                // SAFETY: `SeedKernels::on` puts these functions into a table only for a path that `Path::detect`
                // allows, so the processor has the features.
                #[allow(unsafe_code)]
                unsafe { compiled($($arg),*) }
            }
        )*
        SeedKernels { $($name),* }
    }};
}

impl SeedKernels<f64> {
    /// The kernels on a path that this processor has.
    pub fn on(path: Path) -> Self {
        assert!(path <= Path::detect(), "this processor has no {}", path.name());
        match path {
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => compile!(featured, f64, "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"),
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => compile!(featured, f64, "avx2,fma"),
            _ => SeedKernels::baseline(),
        }
    }
}
