//! The terminal at the other end of an MPI launcher's pipe.
//!
//! A rank's standard error is a pipe to the launcher, so that nothing tells the rank of the terminal where its lines
//! appear. `scripts/mpirun` does: it sets [`COLUMNS_VARIABLE`].

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::TermLike;

/// Columns of the terminal that shows the standard error of the ranks; unset where there is none.
pub const COLUMNS_VARIABLE: &str = "TREEWAVE_TERMINAL_COLUMNS";
/// Narrower than this nothing useful can be drawn.
const LEAST_COLUMNS: u16 = 20;

/// Draws on a terminal behind a pipe by ANSI control sequences on standard error.
///
/// A frame is gathered and written at once: the launcher forwards what it reads, and must not tear a frame apart.
#[derive(Debug)]
pub struct PipedTerminal {
    columns: u16,
    frame: Mutex<String>,
}

impl PipedTerminal {
    /// The terminal that the launcher's environment speaks of, if it does.
    pub fn of_launcher() -> Option<Self> {
        Self::with_columns(&std::env::var(COLUMNS_VARIABLE).ok()?)
    }

    fn with_columns(text: &str) -> Option<Self> {
        let columns = text.trim().parse().ok().filter(|&columns| columns >= LEAST_COLUMNS)?;
        Some(PipedTerminal { columns, frame: Mutex::default() })
    }

    fn put(&self, text: &str) -> io::Result<()> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(())
    }

    /// Moves the cursor; by no places, nothing is written, since terminals take 0 for 1.
    fn move_cursor(&self, places: usize, direction: char) -> io::Result<()> {
        if places == 0 { Ok(()) } else { self.put(&format!("\x1b[{places}{direction}")) }
    }
}

impl TermLike for PipedTerminal {
    fn width(&self) -> u16 {
        self.columns
    }
    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }
    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }
    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }
    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }
    fn write_line(&self, line: &str) -> io::Result<()> {
        self.put(line)?;
        self.put("\n")
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.put(text)
    }
    fn clear_line(&self) -> io::Result<()> {
        self.put("\r\x1b[2K")
    }
    fn flush(&self) -> io::Result<()> {
        let frame = std::mem::take(&mut *self.frame.lock().unwrap_or_else(PoisonError::into_inner));
        let mut pipe = io::stderr().lock();
        pipe.write_all(frame.as_bytes())?;
        pipe.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_usable_number_of_columns_makes_a_terminal() {
        assert_eq!(PipedTerminal::with_columns("132").map(|t| t.width()), Some(132));
        for unusable in ["", "wide", "-80", "0", "19", "70000"] {
            assert!(PipedTerminal::with_columns(unusable).is_none(), "{unusable:?}");
        }
    }

    #[test]
    fn a_frame_is_gathered_in_order_and_moves_by_nothing_are_left_out() {
        let terminal = PipedTerminal::with_columns("80").unwrap();
        terminal.move_cursor_up(0).unwrap();
        terminal.move_cursor_up(2).unwrap();
        terminal.clear_line().unwrap();
        terminal.write_line("one").unwrap();
        terminal.write_str("two").unwrap();
        assert_eq!(*terminal.frame.lock().unwrap(), "\x1b[2A\r\x1b[2Kone\ntwo");
    }
}
