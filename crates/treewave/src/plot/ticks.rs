//! Round numbers for axes.

/// A mark on an axis: where, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub at: f64,
    pub label: String,
}

/// Ticks at multiples of 1, 2 or 5 times a power of ten, at most `most` (or two, if that is more), and the common
/// power of ten taken out of the labels. An axis that counts (`whole`) has none between whole numbers.
pub(super) fn linear(low: f64, high: f64, most: usize, whole: bool) -> (Vec<Tick>, i32) {
    let largest = low.abs().max(high.abs());
    let power = if largest > 0.0 && !(1e-2..1e5).contains(&largest) { largest.log10().floor() as i32 } else { 0 };
    let unit = 10f64.powi(power);
    let (low, high) = (low / unit, high / unit);
    let slack = 1e-9 * (high - low);
    let count = |step: f64| ((high + slack) / step).floor() - ((low - slack) / step).ceil() + 1.0;
    // An axis may be too short or too long for its numbers; what is drawn then is poor, but it ends.
    let decade = ((high - low) / most.max(1) as f64).log10().floor().clamp(-300.0, 300.0) as i32 - 1;
    let step = (decade..decade + 8)
        .flat_map(|d| [1.0, 2.0, 5.0].map(|m| (m * 10f64.powi(d), d)))
        .find(|(step, _)| count(*step) <= most.max(2) as f64 && (!whole || *step * unit >= 1.0))
        .unwrap_or((high - low, decade));
    let digits = (-step.1).clamp(0, 12) as usize;
    let first = ((low - slack) / step.0).ceil() as i64;
    let ticks = (0..count(step.0).max(0.0) as i64)
        .map(|i| {
            let value = (first + i) as f64 * step.0;
            Tick { at: value * unit, label: signed(format!("{value:.digits$}")) }
        })
        .collect();
    (ticks, power)
}

/// Ticks of a logarithmic axis: whole powers of ten, or 1-2-5 multiples where there would be fewer than three, or
/// evenly spaced ones where there would still be; and the power of ten taken out of the labels.
pub(super) fn logarithmic(low: f64, high: f64, most: usize) -> (Vec<Tick>, i32) {
    let (first, last) = (low.log10().floor().max(-323.0) as i32, high.log10().ceil().min(308.0) as i32);
    let inside = |v: f64| v >= low * (1.0 - 1e-9) && v <= high * (1.0 + 1e-9);
    let decades: Vec<i32> = (first..=last).filter(|&d| inside(10f64.powi(d))).collect();
    if decades.len() >= 3 {
        let stride = decades.len().div_ceil(most.max(2)) as i32;
        let shown = decades.into_iter().filter(|d| d.rem_euclid(stride) == 0);
        return (shown.map(|d| Tick { at: 10f64.powi(d), label: power_of_ten(d) }).collect(), 0);
    }
    let fine: Vec<Tick> = (first..=last)
        .flat_map(|d| [1.0, 2.0, 5.0].map(|m| (m, d)))
        .filter(|&(m, d)| inside(m * 10f64.powi(d)))
        .map(|(m, d)| Tick { at: m * 10f64.powi(d), label: scientific(m, d) })
        .collect();
    if fine.len() >= 3 { (fine, 0) } else { linear(low, high, most, false) }
}

/// `10ⁿ`.
pub(super) fn power_of_ten(power: i32) -> String {
    "10".chars().chain(power.to_string().chars().map(raised)).collect()
}

/// A unit as files spell it with its exponents, which follow letters, raised: `Pa2 s2/m` to `Pa² s²/m`.
pub fn unit(spelt: &str) -> String {
    let mut exponent = false;
    let raise = |c: char| {
        exponent = c.is_alphabetic() || exponent && matches!(c, '-' | '0'..='9');
        if exponent { raised(c) } else { c }
    };
    spelt.chars().map(raise).collect()
}

/// A digit or minus sign as an exponent, any other character as it is.
fn raised(c: char) -> char {
    match c {
        '-' => '⁻',
        '0'..='9' => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][c as usize - '0' as usize],
        other => other,
    }
}

fn scientific(mantissa: f64, power: i32) -> String {
    match power {
        -3..=3 => format!("{:.*}", (-power).max(0) as usize, mantissa * 10f64.powi(power)),
        _ => format!("{mantissa:.0}×{}", power_of_ten(power)),
    }
}

/// With a true minus sign, and without one before zero.
fn signed(label: String) -> String {
    match label.strip_prefix('-') {
        Some(digits) if digits.chars().all(|c| matches!(c, '0' | '.')) => digits.to_string(),
        Some(digits) => format!("−{digits}"),
        None => label,
    }
}
