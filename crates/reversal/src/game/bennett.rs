//! Bennett's algorithm: the reversible pebble game played by halves, or by k-ths.
//!
//! A span of L squares is cut into blocks of ⌈L/k⌉. The blocks are computed one after the other, each by the same
//! algorithm; then all but the last are un-computed, last one first. On n = k^l squares a clean game takes
//!
//! T = (2k−1)^l moves with S = l(k−1) pebbles besides those on the first and on the last square.
//!
//! As Liu & Xu (2021) run it, the blocks of the outermost level stay: their un-computation would be undone at once by the
//! way back.
//!
//! # References
//! Bennett (1989), *Time/space trade-offs for reversible computation*; Liu & Xu (2021), algorithm 1.

use super::reversible::ReversibleMove;
use std::collections::HashMap;

/// A part of the game: compute a span, or the same backwards.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: usize,
    length: usize,
    compute: bool,
    kind: Kind,
}

/// What is special about a span.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Nothing.
    Inner,
    /// Its blocks stay, or are there already.
    Outermost,
    /// A part of the outermost way back: it takes the adjoint along.
    Adjoint,
}

/// A span cut into blocks.
struct Blocks {
    length: usize,
    count: usize,
}

impl Blocks {
    fn new(length: usize, blocks: usize) -> Self {
        let each = length.div_ceil(blocks);
        Blocks { length: each, count: length.div_ceil(each) }
    }

    fn of(&self, span: Span, index: usize, compute: bool, kind: Kind) -> Span {
        let from = span.from + index * self.length;
        Span { from, length: self.length.min(span.from + span.length - from), compute, kind }
    }
}

/// A move of the way there and back, by which an adjoint can travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// A move of the game.
    Move(ReversibleMove),
    /// The pebble of this square is removed, and the step that leads there pulled back.
    Adjoint(usize),
}

/// The moves of Bennett's algorithm, one by one; the memory is that of the depth of the game.
#[derive(Clone, Debug)]
pub struct BennettMoves {
    blocks: usize,
    todo: Vec<Span>,
}

impl BennettMoves {
    /// The game on the squares 0 to `last` by `blocks` blocks, at least 2. If not `clean`, the outermost level is not
    /// un-computed.
    pub fn new(last: usize, blocks: usize, clean: bool) -> Self {
        let kind = if clean { Kind::Inner } else { Kind::Outermost };
        BennettMoves { blocks: blocks.max(2), todo: vec![Span { from: 0, length: last, compute: true, kind }] }
    }

    /// The game as the paper runs it and then backwards, with the adjoint.
    pub(crate) fn there_and_back(last: usize, blocks: usize) -> ThereAndBack {
        let back = Span { from: 0, length: last, compute: false, kind: Kind::Outermost };
        let way_back = BennettMoves { blocks: blocks.max(2), todo: vec![back] };
        Rounds(BennettMoves::new(last, blocks, false)).chain(Rounds(way_back))
    }

    fn round(&mut self) -> Option<Round> {
        loop {
            let span = self.todo.pop()?;
            match span {
                Span { length: 0, .. } => {}
                Span { from, length: 1, compute: false, kind: Kind::Adjoint | Kind::Outermost } => {
                    return Some(Round::Adjoint(from + 1));
                }
                Span { from, length: 1, compute, .. } => {
                    return Some(Round::Move(ReversibleMove { square: from + 1, put: compute }));
                }
                _ => self.cut(span),
            }
        }
    }

    fn cut(&mut self, span: Span) {
        let first = self.todo.len();
        let blocks = Blocks::new(span.length, self.blocks);
        let others = blocks.count - 1;
        // where the blocks of the outermost level stay, they need not be made again for the way back
        let there = if span.compute {
            blocks.count
        } else if span.kind == Kind::Outermost {
            0
        } else {
            others
        };
        let back = if !span.compute {
            blocks.count
        } else if span.kind == Kind::Outermost {
            0
        } else {
            others
        };
        let kind = if span.compute || span.kind == Kind::Inner { Kind::Inner } else { Kind::Adjoint };
        self.todo.extend((0..there).map(|i| blocks.of(span, i, true, Kind::Inner)));
        self.todo.extend((0..back).rev().map(|i| blocks.of(span, i, false, kind)));
        // the stack gives back last things first
        self.todo[first..].reverse();
    }
}

impl Iterator for BennettMoves {
    type Item = ReversibleMove;

    fn next(&mut self) -> Option<ReversibleMove> {
        match self.round()? {
            Round::Move(one) => Some(one),
            Round::Adjoint(square) => Some(ReversibleMove { square, put: false }),
        }
    }
}

/// The game and then the way back.
pub(crate) type ThereAndBack = std::iter::Chain<Rounds, Rounds>;

/// The moves, told apart by whether they take the adjoint along.
#[derive(Clone, Debug)]
pub(crate) struct Rounds(BennettMoves);

impl Iterator for Rounds {
    type Item = Round;

    fn next(&mut self) -> Option<Round> {
        self.0.round()
    }
}

/// What Bennett's algorithm will do, without playing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BennettCounts {
    /// Pebbles put.
    pub forward: u64,
    /// Pebbles removed.
    pub reverse: u64,
    /// Pebbles on the board at the same time, that on square 0 counted.
    pub peak_pebbles: u64,
    /// Moves until there is first a pebble on the last square.
    pub until_reached: u64,
}

impl BennettCounts {
    /// All moves.
    pub fn total(&self) -> u64 {
        self.forward + self.reverse
    }
}

/// The counts of the game on the squares 0 to `last`, at least 1, by `blocks` blocks, at least 2.
///
/// ```
/// let clean = treewave_reversal::game::bennett_counts(16, 2, true);
/// assert_eq!((clean.total(), clean.until_reached, clean.peak_pebbles), (81, 41, 6));
/// ```
pub fn bennett_counts(last: usize, blocks: usize, clean: bool) -> BennettCounts {
    let mut known = HashMap::new();
    let counts = span_counts(last, blocks.max(2), clean, &mut known);
    BennettCounts { peak_pebbles: counts.peak_pebbles + 1, ..counts }
}

/// The same with the pebbles that the span adds.
fn span_counts(length: usize, k: usize, clean: bool, known: &mut HashMap<usize, BennettCounts>) -> BennettCounts {
    if length <= 1 {
        let moves = length as u64;
        return BennettCounts { forward: moves, reverse: 0, peak_pebbles: moves, until_reached: moves };
    }
    if let (true, Some(&counts)) = (clean, known.get(&length)) {
        return counts;
    }
    let blocks = Blocks::new(length, k);
    let others = blocks.count as u64 - 1;
    let each = span_counts(blocks.length, k, true, known);
    let last = span_counts(length - others as usize * blocks.length, k, true, known);
    let mut counts = BennettCounts {
        forward: others * each.forward + last.forward,
        reverse: others * each.reverse + last.reverse,
        // the last block but one with those before it, the last block with all others
        peak_pebbles: (others - 1 + each.peak_pebbles).max(others + last.peak_pebbles),
        until_reached: others * each.total() + last.until_reached,
    };
    if clean {
        counts.forward += others * each.reverse;
        counts.reverse += others * each.forward;
        counts.peak_pebbles = counts.peak_pebbles.max(others + each.peak_pebbles);
        known.insert(length, counts);
    }
    counts
}
