use super::canvas::{Canvas, Rgb, text_width};
use super::colour::{ColourMap, level, table};
use super::frame::{Kind, Scale};
use super::panels::footprint;
use super::*;
use ndarray::Array2;

fn array(nx: usize, nz: usize, f: impl Fn(usize, usize) -> f64) -> Array2<f64> {
    Array2::from_shape_fn((nx, nz), |(i, j)| f(i, j))
}

fn section<'a>(values: &'a Array2<f64>, scale: ColourScale) -> Panel<'a> {
    Panel::section("a model", values.view(), [0.0; 2], [10.0; 2], scale)
}

fn count(picture: &Picture, colour: Rgb) -> usize {
    picture.rgb().chunks_exact(3).filter(|p| *p == colour).count()
}

fn course(n: usize) -> Convergence {
    Convergence {
        title: "an inversion".to_string(),
        count_label: "Gradient evaluations".to_string(),
        count: (0..n).map(|i| i as f64).collect(),
        misfit_label: "Misfit (Pa² s)".to_string(),
        misfit: (0..n).map(|i| 3e-7 * (-0.2 * i as f64).exp()).collect(),
        stages: vec![(0.0, "3 Hz".to_string()), (n as f64 / 2.0, "a stage with a long name".to_string())],
        model_error_label: "Relative model error".to_string(),
        model_error: Some((0..n).map(|i| 0.1 / (1.0 + i as f64)).collect()),
    }
}

fn some_logs(n: usize) -> Logs {
    let curve = |name: &str, v: f64| Curve { name: name.to_string(), values: vec![v, f64::NAN, v + 100.0, v + 700.0] };
    let log = |i: usize| Log {
        title: format!("x = {i} km"),
        curves: vec![curve("true", 1500.0), curve("start", 1600.0), curve("inverted", 1550.0)],
    };
    Logs {
        depth: Axis::metres("Depth", 0.0, 20.0),
        label: "P-wave velocity (m/s)".to_string(),
        logs: (0..n).map(log).collect(),
    }
}

/// Pictures of every kind, with shapes that are hard to lay out.
fn all_kinds() -> Vec<(String, Picture)> {
    let mut pictures = Vec::new();
    for (nx, nz) in [(20, 500), (3, 3), (1, 1), (1, 90), (90, 1), (1601, 401), (301, 121), (700, 8)] {
        let values = array(nx, nz, |i, j| 3e-7 * ((7 * i + 3 * j) as f64).sin());
        let mut panel = section(&values, ColourScale::difference("gradient of the misfit (Pa² s²/m)"));
        panel.title = "a title that is rather too long for a narrow panel".to_string();
        for n in [1, 6] {
            pictures.push((format!("{n} of {nx} × {nz}"), panels(&vec![panel.clone(); n]).unwrap()));
        }
        let gather = Panel::gather("shot 3", values.view(), 0.004, ColourScale::gather(97.0));
        pictures.push((format!("gather {nx} × {nz}"), panels(&[gather.clone(), gather]).unwrap()));
    }
    for n in [1, 2, 30, 900] {
        pictures.push((format!("convergence {n}"), convergence(&course(n)).unwrap()));
    }
    for n in [1, 4, 9] {
        pictures.push((format!("logs {n}"), logs(&some_logs(n)).unwrap()));
    }
    for n in [1, 2, 50] {
        let points = (0..n).map(|i| [i as f64, 1e-7 * 2f64.powi(i)]).collect();
        pictures.push((format!("lines {n}"), lines(&some_lines(points)).unwrap()));
    }
    pictures
}

#[test]
fn nothing_is_cut_off_at_the_edge_of_any_picture() {
    for (what, picture) in all_kinds() {
        let (width, height) = (picture.width(), picture.height());
        for (i, pixel) in picture.rgb().chunks_exact(3).enumerate() {
            let (x, y) = (i % width, i / width);
            if x < 2 || y < 2 || x + 2 >= width || y + 2 >= height {
                assert_eq!(pixel, [255; 3], "{what}: ink at ({x}, {y}) of {width} × {height}");
            }
        }
        assert!((300..=2100).contains(&width) && (200..=4000).contains(&height), "{what}: {width} × {height}");
    }
}

#[test]
fn a_png_holds_the_same_pixels_with_and_without_a_palette() {
    let few = array(40, 20, |i, j| (i * j) as f64);
    let mixed = [section(&few, ColourScale::velocity()), section(&few, ColourScale::difference("m/s"))];
    for (panels_of, palette) in [(&mixed[..1], true), (&mixed[..], false)] {
        let picture = panels(panels_of).unwrap();
        let bytes = picture.png().unwrap();
        let mut decoder = png::Decoder::new(&bytes[..]);
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        assert_eq!(reader.info().palette.is_some(), palette);
        let mut pixels = vec![0; reader.output_buffer_size()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((frame.width as usize, frame.height as usize), (picture.width(), picture.height()));
        assert!(pixels == picture.rgb());
    }
}

#[test]
fn equal_scales_share_their_limits_and_other_scales_do_not() {
    let (low, high) = (array(30, 30, |i, _| i as f64), array(30, 30, |i, _| 2.0 * i as f64));
    let top = *table(ColourMap::Velocity).last().unwrap();
    let shared = panels(&[section(&low, ColourScale::velocity()), section(&high, ColourScale::velocity())]).unwrap();
    let other = ColourScale { label: "another".to_string(), ..ColourScale::velocity() };
    let apart = panels(&[section(&low, ColourScale::velocity()), section(&high, other)]).unwrap();
    // With limits of its own the lower panel reaches the top colour in its last column too.
    assert!(count(&apart, top) > count(&shared, top) * 3 / 2, "{} {}", count(&apart, top), count(&shared, top));
}

#[test]
fn missing_values_are_grey_and_do_not_spoil_the_limits() {
    let values = array(50, 50, |i, _| if i < 25 { f64::NAN } else { i as f64 });
    let picture = panels(&[section(&values, ColourScale::velocity())]).unwrap();
    let (grey, top) = (count(&picture, [190; 3]), count(&picture, *table(ColourMap::Velocity).last().unwrap()));
    assert!((450_000..=500_000).contains(&grey), "half of 1000 × 1000 pixels, found {grey}");
    assert!(top >= 20_000, "the last column, found {top}");
    let nothing = array(4, 4, |_, _| f64::INFINITY);
    panels(&[section(&nothing, ColourScale::velocity()), section(&nothing, ColourScale::difference(""))]).unwrap();
}

#[test]
fn pixels_share_the_cells_out_without_loss() {
    for (pixels, cells) in [(10, 3), (3, 10), (7, 7), (1440, 1601), (1, 5), (900, 301)] {
        let mut covered = vec![0.0; cells];
        for pixel in 0..pixels {
            let footprint = footprint(pixel, pixels, cells);
            let size: f64 = footprint.iter().map(|f| f.1).sum();
            assert!((size - cells as f64 / pixels as f64).abs() < 1e-9);
            footprint.iter().for_each(|&(cell, share)| covered[cell] += share);
        }
        assert!(covered.iter().all(|c| (c - 1.0).abs() < 1e-9), "{pixels} {cells}");
    }
}

#[test]
fn the_velocity_map_grows_lighter_and_the_difference_map_is_white_in_the_middle() {
    // Luminance of sRGB, Rec. 709.
    let luminance = |c: &Rgb| -> f64 {
        let linear = c.map(|v| {
            let v = v as f64 / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    };
    // Rounding to 8 bits moves the luminance by up to half a step of green: 0.7152 · 0.0045.
    let lights: Vec<f64> = table(ColourMap::Velocity).iter().map(luminance).collect();
    assert!(lights.windows(2).all(|w| w[1] > w[0] - 0.0033));
    assert!(lights[0] < 0.02 && lights[lights.len() - 1] > 0.85);
    let both = table(ColourMap::Difference);
    for (cold, warm) in both.iter().zip(both.iter().rev()).take(90) {
        assert!(cold[2] > cold[0] && warm[0] > warm[2], "{cold:?} {warm:?}");
        assert!((luminance(cold) - luminance(warm)).abs() < 0.06, "{cold:?} {warm:?}");
    }
    let middle = both[level([-3.0, 3.0], 0.0)];
    assert!(middle.iter().all(|&v| v > 240), "{middle:?}");
}

#[test]
fn ticks_are_few_round_inside_and_say_where_they_are() {
    for (low, high) in
        [(0.0, 1.0), (-3.1, 4.9), (1500.0, 4500.0), (-2e-7, 3e-7), (1e6, 1.1e6), (5.0, 5.001), (-0.02, 0.0)]
    {
        for most in 2..12 {
            let (found, power) = ticks::linear(low, high, most, false);
            assert!(found.len() <= most && !found.is_empty(), "{low} {high} {most}: {found:?}");
            for tick in &found {
                assert!(tick.at >= low - 1e-9 * (high - low) && tick.at <= high + 1e-9 * (high - low));
                let said: f64 = tick.label.replace('−', "-").parse().unwrap();
                assert!((said * 10f64.powi(power) - tick.at).abs() < 1e-6 * (high - low), "{tick:?} {power}");
            }
        }
    }
    assert!(ticks::linear(-0.5, 2.5, 12, true).0.iter().all(|t| t.at.fract() == 0.0));
    let said = |low, high| -> Vec<String> { ticks::logarithmic(low, high, 9).0.into_iter().map(|t| t.label).collect() };
    assert_eq!(said(1e-3, 1.0), ["10⁻³", "10⁻²", "10⁻¹", "10⁰"]);
    assert_eq!(said(0.04, 1.2), ["0.05", "0.1", "0.2", "0.5", "1"]);
    assert_eq!(said(1.15, 1.35), ["1.15", "1.20", "1.25", "1.30", "1.35"]);
}

#[test]
fn exponents_of_units_are_raised() {
    for (spelt, raised) in [("Pa2 s2/m6", "Pa² s²/m⁶"), ("m/s", "m/s"), ("1", "1"), ("1/m2", "1/m²"), ("s-1", "s⁻¹")]
    {
        assert_eq!(ticks::unit(spelt), raised);
    }
}

#[test]
fn lengths_are_labelled_in_kilometres_from_two_of_them_on_and_traces_are_counted() {
    let scale = |cells: usize| Axis::metres("Depth", 100.0, 10.0).scale(cells, 10.0 * cells as f64).unwrap();
    assert_eq!(scale(150), Scale::linear(95.0, 1595.0, "Depth (m)"));
    assert_eq!(scale(400), Scale::linear(0.095, 4.095, "Depth (km)"));
    assert_eq!(Axis::count("Trace").scale(3, 3.0).unwrap().kind, Kind::Count);
}

#[test]
fn the_embedded_font_has_every_character_that_labels_use() {
    let missing = text_width("\u{e000}", 20.0);
    for c in "0123456789−–…×·⁰¹²³⁴⁵⁶⁷⁸⁹⁻₀₁₂αβγδεθλμπρσφωΔ∂∇√±°ä ö ü é".chars().filter(|c| !c.is_whitespace())
    {
        let mut canvas = [Canvas::new(60, 60), Canvas::new(60, 60)];
        for (canvas, text) in canvas.iter_mut().zip([c, '\u{e000}']) {
            let lettering = canvas::Lettering::new(30.0, canvas::Anchor(0.5, 0.5));
            canvas.text(&text.to_string(), [30.0, 30.0], lettering);
        }
        let [shown, box_] = canvas.map(Canvas::finish);
        assert!(shown != box_ && count(&shown, [255; 3]) < 3600, "`{c}` is missing (width {missing})");
    }
}

#[test]
fn a_line_covers_its_area_and_a_disc_its_own() {
    let ink = |picture: &Picture| -> f64 { picture.rgb().chunks_exact(3).map(|p| 1.0 - (p[0] as f64) / 255.0).sum() };
    let mut canvas = Canvas::new(200, 200);
    canvas.line(&[[20.0, 30.0], [170.0, 120.0]], 6.0, [0; 3], None);
    let area = 6.0 * 150f64.hypot(90.0) + 9.0 * std::f64::consts::PI;
    assert!((ink(&canvas.finish()) / area - 1.0).abs() < 0.02);
    let mut canvas = Canvas::new(200, 200);
    canvas.disc([100.3, 99.6], 20.0, [0; 3]);
    assert!((ink(&canvas.finish()) / (400.0 * std::f64::consts::PI) - 1.0).abs() < 0.02);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let values = array(4, 4, |i, _| i as f64);
    let with = |limits| ColourScale { limits, ..ColourScale::velocity() };
    let refused = |panel: Panel| panels(&[panel]).unwrap_err();
    assert!(matches!(panels(&[]), Err(PlotError::Empty { .. })));
    let empty = array(0, 4, |_, _| 0.0);
    assert!(matches!(refused(section(&empty, ColourScale::velocity())), PlotError::Empty { .. }));
    assert!(matches!(refused(section(&values, with(Limits::Given(2.0, 2.0)))), PlotError::Limits { .. }));
    assert!(matches!(refused(section(&values, with(Limits::Symmetric(0.0)))), PlotError::Percentile { .. }));
    let mut odd = section(&values, ColourScale::velocity());
    odd.vertical.step = f64::NAN;
    assert!(matches!(refused(odd), PlotError::Axis { .. }));
    let short = Convergence { misfit: vec![1.0], ..course(3) };
    assert!(matches!(convergence(&short), Err(PlotError::Length { found: 1, expected: 3, .. })));
    assert!(matches!(convergence(&course(0)), Err(PlotError::Empty { .. })));
    let mut uneven = some_logs(2);
    uneven.logs[1].curves[0].values.pop();
    assert!(matches!(logs(&uneven), Err(PlotError::Length { found: 3, expected: 4, .. })));
    assert!(matches!(logs(&some_logs(0)), Err(PlotError::Empty { .. })));
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let values = array(4, 4, |i, _| i as f64);
    let picture = panels(&[section(&values, ColourScale::velocity())]).unwrap();
    let path = folder.path().join("model.png");
    picture.save(&path).unwrap();
    picture.save(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), picture.png().unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let nowhere = folder.path().join("no such folder").join("model.png");
    let error = picture.save(&nowhere).unwrap_err().to_string();
    assert!(error.contains("no such folder"), "{error}");
}

#[test]
fn extreme_numbers_give_a_picture_and_no_panic() {
    for (low, high) in [(-f64::MAX, f64::MAX), (0.0, 5e-324), (1e300, 1e300), (1.0, 1.0 + f64::EPSILON), (-0.0, 0.0)] {
        let values = array(6, 6, |i, _| if i < 3 { low } else { high });
        for scale in [ColourScale::velocity(), ColourScale::difference("(1)")] {
            let mut panel = section(&values, scale);
            panels(&[panel.clone()]).unwrap();
            (panel.horizontal.first, panel.vertical.step) = (1e20, 1e-200);
            panels(&[panel]).unwrap();
        }
        let mut extreme = course(4);
        extreme.misfit = vec![high.abs(), 1.0, low.abs(), f64::NAN];
        extreme.model_error = Some(vec![low, high, low, f64::NAN]);
        extreme.count = vec![0.0, 1.0, 1e300, 2e300];
        convergence(&extreme).unwrap();
        let mut wells = some_logs(1);
        wells.logs[0].curves[0].values = vec![low, high, low, f64::INFINITY];
        logs(&wells).unwrap();
        for logarithmic in [false, true] {
            let mut curves = some_lines(vec![[low, high], [1.0, 1.0], [high, low]]);
            (curves.x.logarithmic, curves.y.logarithmic) = (logarithmic, logarithmic);
            lines(&curves).unwrap();
        }
    }
}

fn some_lines(points: Vec<[f64; 2]>) -> Lines {
    let series = |name: &str, marked| Series { name: name.to_string(), points: points.clone(), marked };
    Lines {
        title: "an error".to_string(),
        x: LineAxis::linear("Steps"),
        y: LineAxis::logarithmic("Relative error"),
        series: vec![series("one", true), series("another", false)],
    }
}

#[test]
fn a_map_with_an_axis_upwards_is_the_mirror_image_of_the_one_downwards() {
    let values = array(30, 20, |i, j| (i * i + 40 * j) as f64);
    let down = Panel { true_to_scale: false, ..section(&values, ColourScale::velocity()) };
    let up = Panel { upwards: true, ..down.clone() };
    let [down, up] = [down, up].map(|panel| panels(&[panel]).unwrap());
    let [low, high] = [0, 199].map(|i| table(ColourMap::Velocity)[i]);
    // The smallest value is in the first row, the largest in the last.
    let first = |picture: &Picture, colour| picture.rgb().chunks_exact(3).position(|p| p == colour).unwrap();
    assert!(first(&down, low) < first(&down, high));
    assert!(first(&up, low) > first(&up, high));
}

#[test]
fn a_curve_over_a_map_stays_inside_of_its_frame() {
    let values = array(30, 30, |i, _| i as f64);
    let axes = || [Axis::plain("σ", 0.0, 1.0), Axis::plain("ρ", 0.0, 1.0)];
    let plain = Panel::map("a map", values.view(), axes(), ColourScale::velocity());
    let curve = (-100..400).map(|i| [0.1 * i as f64, 0.2 * i as f64]).collect();
    let with = Panel { curves: vec![curve, vec![[5.0, f64::NAN], [6.0, 2.0]]], ..plain.clone() };
    let [plain, with] = [plain, with].map(|panel| panels(&[panel]).unwrap());
    let changed: Vec<usize> = (0..plain.width() * plain.height())
        .filter(|i| plain.rgb()[3 * i..3 * i + 3] != with.rgb()[3 * i..3 * i + 3])
        .collect();
    assert!(changed.len() > 1000, "{}", changed.len());
    // Nothing but the pixels of the map, which has no white, has changed.
    assert!(changed.iter().all(|i| plain.rgb()[3 * i..3 * i + 3] != [255; 3]));
}

#[test]
fn lines_leave_out_what_an_axis_cannot_show_and_refuse_to_draw_nothing() {
    let shown = vec![[0.0, 1e-7], [100.0, 1e-3], [200.0, 2.0]];
    let clean = lines(&some_lines(shown.clone())).unwrap();
    let mut dirty = shown;
    dirty.extend([[300.0, 0.0], [400.0, f64::NAN], [f64::INFINITY, 1.0], [500.0, -1.0]]);
    assert!(lines(&some_lines(dirty)).unwrap() == clean);
    assert!(matches!(lines(&some_lines(vec![[1.0, -1.0]])), Err(PlotError::Empty { .. })));
    assert!(matches!(lines(&Lines { series: vec![], ..some_lines(vec![]) }), Err(PlotError::Empty { .. })));
}

fn small_game() -> PebbleGame {
    let row = |placed, removed: &[usize], standing: &[usize], painted_from| PebbleRow {
        placed,
        removed: removed.to_vec(),
        standing: standing.to_vec(),
        painted_from,
    };
    PebbleGame {
        title: "a game of 2 < 3 & more".to_string(),
        squares: 3,
        rows: vec![row(None, &[], &[0], 3), row(Some(1), &[], &[0], 3), row(Some(2), &[1], &[0], 2)],
    }
}

#[test]
fn a_drawing_shows_the_same_in_pixels_and_as_svg() {
    let drawing = pebbles(&small_game()).unwrap();
    let (picture, svg) = (drawing.picture(), drawing.svg());
    assert!(svg.contains(&format!("width=\"{}\" height=\"{}\"", picture.width(), picture.height())));
    assert!(svg.contains("a game of 2 &lt; 3 &amp; more"));
    // one painted square on the board, one in the legend, and the flag
    let painted: Vec<&str> = svg.lines().filter(|line| line.contains("#e86a5c")).collect();
    assert_eq!(painted.len(), 3);
    for colour in [[176, 176, 176], [232, 106, 92], [96, 96, 96], [0, 0, 0]] {
        let hex = format!("#{:02x}{:02x}{:02x}", colour[0], colour[1], colour[2]);
        assert!(svg.contains(&hex) && count(&picture, colour) > 20, "{hex}");
    }
}

#[test]
fn a_game_that_no_picture_can_hold_is_refused() {
    let none = PebbleGame { rows: Vec::new(), ..small_game() };
    assert!(matches!(pebbles(&none), Err(PlotError::Empty { .. })));
    let wide = PebbleGame { squares: LARGEST_BOARD.0 + 1, ..small_game() };
    assert!(matches!(pebbles(&wide), Err(PlotError::TooLong { found: 401, expected: 400, .. })));
    let long = PebbleGame { rows: vec![PebbleRow::default(); LARGEST_BOARD.1 + 1], ..small_game() };
    assert!(matches!(pebbles(&long), Err(PlotError::TooLong { found: 4001, .. })));
}

#[test]
fn a_trade_off_with_curves_of_different_lengths_is_refused() {
    let size = SpaceOfSize {
        name: "10²".into(),
        bennett: vec![9.0, 8.0],
        treeverse: vec![4.0, 3.0],
        revolve: vec![4.0; 2],
        formula: [vec![9.0; 2], vec![4.0; 2]],
    };
    let whole = SpaceTime { time: vec![2.0, 3.0], sizes: vec![size], with_disk: vec![3.0, 2.0] };
    assert!(tradeoff(&whole).is_ok());
    let short = SpaceTime { with_disk: vec![3.0], ..whole.clone() };
    assert!(matches!(tradeoff(&short), Err(PlotError::Length { found: 1, expected: 2, .. })));
    assert!(matches!(tradeoff(&SpaceTime { sizes: Vec::new(), ..whole }), Err(PlotError::Empty { .. })));
}
