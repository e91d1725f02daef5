//! The line search of Moré & Thuente on `[0, limit]`.
//!
//! It looks for a step `α` with sufficient decrease `φ(α) ≤ φ(0) + c₁ α φ'(0)` and small slope `|φ'(α)| ≤ c₂ |φ'(0)|`,
//! and ends at the limit if the function still falls there. The search is a state that is told values and slopes and
//! names the next trial; it evaluates nothing itself.
//!
//! # References
//! Moré & Thuente (1994), "Line search algorithms with guaranteed sufficient decrease": §2 for the interval, §4 for
//! the choice of trials.

/// Smallest and largest extrapolation, in units of the last move.
const EXTRAPOLATION: (f64, f64) = (1.1, 4.0);
/// A bracket must shrink at least by this factor in two trials.
const SHRINK: f64 = 0.66;
/// Relative width of the bracket at which the search gives up.
const WIDTH_TOLERANCE: f64 = 1e-12;
/// How much shorter the step is after a rejected trial.
const RETREAT: f64 = 0.25;

/// Value and slope at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    step: f64,
    value: f64,
    slope: f64,
}

/// What to do after a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Evaluate [`MoreThuente::trial`].
    Continue,
    /// The last trial satisfies the strong Wolfe conditions.
    Wolfe,
    /// The last trial is the limit, with sufficient decrease and the function still falling.
    AtLimit,
    /// No better step can be found: rounding, or a rejected trial beyond a step that is good already.
    Exhausted,
}

/// The state of a search.
#[derive(Clone, Debug)]
pub(super) struct MoreThuente {
    start: Point,
    sufficient_decrease: f64,
    curvature: f64,
    limit: f64,
    /// The best step so far: 0, or one with sufficient decrease.
    best: Point,
    /// The other end of the interval.
    other: Point,
    bracketed: bool,
    /// Until a step with sufficient decrease and a rising function is seen, the auxiliary function steers.
    auxiliary: bool,
    /// Where the next trial may lie.
    range: (f64, f64),
    width: f64,
    width_before: f64,
    trial: f64,
}

impl MoreThuente {
    /// A search that starts at `value` with the negative slope `slope`; `first` is the first trial, at most `limit`.
    pub fn new(value: f64, slope: f64, first: f64, limit: f64, sufficient_decrease: f64, curvature: f64) -> Self {
        let start = Point { step: 0.0, value, slope };
        MoreThuente {
            start,
            sufficient_decrease,
            curvature,
            limit,
            best: start,
            other: start,
            bracketed: false,
            auxiliary: true,
            range: (0.0, first + EXTRAPOLATION.1 * first),
            width: limit,
            width_before: 2.0 * limit,
            trial: first,
        }
    }

    /// The step to be evaluated next.
    pub fn trial(&self) -> f64 {
        self.trial
    }

    /// Takes value and slope at the trial.
    pub fn observe(&mut self, value: f64, slope: f64) -> Verdict {
        let here = Point { step: self.trial, value, slope };
        let decrease_slope = self.sufficient_decrease * self.start.slope;
        let line = self.start.value + here.step * decrease_slope;
        if value <= line && slope.abs() <= self.curvature * self.start.slope.abs() {
            return Verdict::Wolfe;
        }
        if here.step == self.limit && value <= line && slope <= decrease_slope {
            return Verdict::AtLimit;
        }
        if value <= line && slope >= 0.0 {
            self.auxiliary = false;
        }
        let next = if self.auxiliary && value <= self.best.value && value > line {
            // The auxiliary function φ(α) − c₁ φ'(0) α tells which end the step belongs to.
            let tilt = |p: Point, sign: f64| Point {
                value: p.value + sign * p.step * decrease_slope,
                slope: p.slope + sign * decrease_slope,
                ..p
            };
            self.best = tilt(self.best, -1.0);
            self.other = tilt(self.other, -1.0);
            let next = self.update(tilt(here, -1.0));
            self.best = tilt(self.best, 1.0);
            self.other = tilt(self.other, 1.0);
            next
        } else {
            self.update(here)
        };
        self.narrow(next)
    }

    /// Takes note that there is no value at the trial.
    pub fn reject(&mut self) -> Verdict {
        if self.best.step > 0.0 {
            return Verdict::Exhausted;
        }
        let shorter = RETREAT * self.trial;
        let (value, slope) = (self.start.value, self.start.slope);
        *self = Self::new(value, slope, shorter, shorter, self.sufficient_decrease, self.curvature);
        if shorter > 0.0 { Verdict::Continue } else { Verdict::Exhausted }
    }

    /// Chooses the next trial from the last one and puts that into the interval.
    fn update(&mut self, here: Point) -> f64 {
        let next = self.choose(here);
        let turned = here.slope * self.best.slope < 0.0;
        if here.value > self.best.value {
            self.other = here;
            self.bracketed = true;
        } else {
            if turned {
                self.other = self.best;
                self.bracketed = true;
            }
            self.best = here;
        }
        next
    }

    /// The four cases of the paper's section 4.
    fn choose(&self, here: Point) -> f64 {
        let best = self.best;
        let nearer = |a: f64, b: f64, to: f64| if (a - to).abs() < (b - to).abs() { a } else { b };
        let farther = |a: f64, b: f64, to: f64| if (a - to).abs() > (b - to).abs() { a } else { b };
        if here.value > best.value {
            let cubic = cubic_minimum(best, here);
            let quadratic = quadratic_minimum(best, here);
            if (cubic - best.step).abs() < (quadratic - best.step).abs() {
                cubic
            } else {
                cubic + 0.5 * (quadratic - cubic)
            }
        } else if here.slope * best.slope < 0.0 {
            farther(cubic_minimum(here, best), secant_minimum(here, best), here.step)
        } else if here.slope.abs() < best.slope.abs() {
            let secant = secant_minimum(here, best);
            let cubic = self.cubic_beyond(here);
            if self.bracketed {
                let inner = here.step + SHRINK * (self.other.step - here.step);
                let next = nearer(cubic, secant, here.step);
                if here.step > best.step { next.min(inner) } else { next.max(inner) }
            } else {
                farther(cubic, secant, here.step).min(self.range.1).max(self.range.0)
            }
        } else if self.bracketed {
            cubic_minimum(here, self.other)
        } else if here.step > best.step {
            self.range.1
        } else {
            self.range.0
        }
    }

    /// The minimum of the cubic if it lies beyond `here`, seen from the best step; else the end of the range.
    fn cubic_beyond(&self, here: Point) -> f64 {
        let best = self.best;
        let cubic = Cubic::through(here, best);
        let root = cubic.discriminant_root();
        let root = if here.step > best.step { -root } else { root };
        let p = root - here.slope + cubic.theta;
        let q = root + (best.slope - here.slope) + root;
        // Written as one condition with r = p/q: r < 0 is a minimum on the far side.
        let ratio = p / q;
        if ratio < 0.0 && root != 0.0 {
            here.step + ratio * (best.step - here.step)
        } else if here.step > best.step {
            self.range.1
        } else {
            self.range.0
        }
    }

    /// Keeps the bracket shrinking and the trial in range.
    fn narrow(&mut self, next: f64) -> Verdict {
        let (best, other) = (self.best.step, self.other.step);
        let mut next = next;
        if self.bracketed {
            let width = (other - best).abs();
            if width >= SHRINK * self.width_before {
                next = best + 0.5 * (other - best);
            }
            self.width_before = self.width;
            self.width = width;
            self.range = (best.min(other), best.max(other));
        } else {
            self.range = (next + EXTRAPOLATION.0 * (next - best), next + EXTRAPOLATION.1 * (next - best));
        }
        // Not `clamp`: it panics where overflow has left no proper range.
        next = next.max(0.0).min(self.limit);
        let (low, high) = self.range;
        // Written so that a trial that is not a number ends the search as well.
        let inside = next > low && next < high && high - low > WIDTH_TOLERANCE * high;
        if self.bracketed && !inside {
            return Verdict::Exhausted;
        }
        self.trial = next;
        Verdict::Continue
    }
}

/// The cubic that has the values and slopes of two points.
struct Cubic {
    theta: f64,
    a: Point,
    b: Point,
}

impl Cubic {
    fn through(a: Point, b: Point) -> Self {
        Cubic { theta: 3.0 * (a.value - b.value) / (b.step - a.step) + a.slope + b.slope, a, b }
    }
    /// `√(θ² − φ'_a φ'_b)`, scaled against overflow; 0 where the cubic has no minimum.
    fn discriminant_root(&self) -> f64 {
        let scale = self.theta.abs().max(self.a.slope.abs()).max(self.b.slope.abs());
        let square = (self.theta / scale).powi(2) - self.a.slope / scale * (self.b.slope / scale);
        scale * square.max(0.0).sqrt()
    }
}

/// The minimum of the cubic between two points, one of which is on the falling side.
fn cubic_minimum(a: Point, b: Point) -> f64 {
    let cubic = Cubic::through(a, b);
    let root = if b.step < a.step { -cubic.discriminant_root() } else { cubic.discriminant_root() };
    let ratio = (root - a.slope + cubic.theta) / (root - a.slope + root + b.slope);
    a.step + ratio * (b.step - a.step)
}

/// The minimum of the parabola with the values of both points and the slope of the first.
fn quadratic_minimum(a: Point, b: Point) -> f64 {
    let chord = (a.value - b.value) / (b.step - a.step);
    a.step + a.slope / (chord + a.slope) / 2.0 * (b.step - a.step)
}

/// Where the slope of the parabola with both slopes vanishes.
fn secant_minimum(a: Point, b: Point) -> f64 {
    a.step + a.slope / (a.slope - b.slope) * (b.step - a.step)
}
