//! Games as rows of a picture: the board after each step that is computed.

use std::collections::BTreeSet;

use treewave_reversal::game::{CheckpointMove, ReversibleMove};

use crate::plot::{LARGEST_BOARD, PebbleGame, PebbleRow};

/// The rows that a picture will refuse anyway need not all be made.
const ROWS: usize = LARGEST_BOARD.1 + 1;

/// The checkpoint game: a row for each put, with the pebbles taken since the put before.
///
/// A pebble that is taken after the put of its own row is shown there still, and as taken in the next row.
pub(super) fn checkpoint(title: &str, squares: usize, moves: &mut dyn Iterator<Item = CheckpointMove>) -> PebbleGame {
    let mut rows = vec![PebbleRow { standing: vec![0], painted_from: squares, ..PebbleRow::default() }];
    let mut standing = BTreeSet::from([0]);
    let mut late = Vec::new();
    for one in moves {
        if rows.len() > ROWS {
            break;
        }
        let last = rows.len() - 1;
        let row = &mut rows[last];
        match one {
            CheckpointMove::Put(square) => {
                let removed = std::mem::take(&mut late);
                let painted_from = row.painted_from;
                let others = standing.iter().copied().collect();
                rows.push(PebbleRow { placed: Some(square), removed, standing: others, painted_from });
                standing.insert(square);
            }
            CheckpointMove::Take(square) => {
                standing.remove(&square);
                // in the first row nothing was done yet
                if row.placed == Some(square) || last == 0 || row.painted_from <= square {
                    late.push(square);
                } else {
                    row.standing.retain(|&other| other != square);
                    row.removed.push(square);
                }
            }
            CheckpointMove::Paint(square) => row.painted_from = square,
        }
    }
    PebbleGame { title: title.to_string(), squares, rows }
}

/// The reversible game: a row for each move.
pub(super) fn reversible(title: &str, last: usize, moves: impl Iterator<Item = ReversibleMove>) -> PebbleGame {
    let painted_from = last + 1;
    let mut rows = vec![PebbleRow { standing: vec![0], painted_from, ..PebbleRow::default() }];
    let mut standing = BTreeSet::from([0]);
    for ReversibleMove { square, put } in moves.take(ROWS) {
        standing.remove(&square);
        let others = standing.iter().copied().collect();
        let (placed, removed) = if put { (Some(square), Vec::new()) } else { (None, vec![square]) };
        rows.push(PebbleRow { placed, removed, standing: others, painted_from });
        if put {
            standing.insert(square);
        }
    }
    PebbleGame { title: title.to_string(), squares: last + 1, rows }
}
