//! Many cases of bad input, in child processes whose memory is limited: a crash, a hang or an allocation without bounds
//! ends one case, is counted, and does not end the others.
#![allow(dead_code)] // each test file uses its part

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Tells a child its cases and its folder.
const VARIABLE: &str = "TREEWAVE_CAMPAIGN";
/// A case that takes longer hangs, even on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);
/// Exit code, and words in the message, of a process that ends itself because a foreign library crashed on a file.
const REFUSAL_CODE: i32 = 3;
const LAST_WORDS: &str = "the HDF5 library crashed in reading this file";

/// How a case ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
    Refused,
}

/// How the cases ended.
#[derive(Debug, Default)]
pub struct Tally {
    pub accepted: u64,
    pub refused: u64,
    /// How many of the refused ones ended the process in an orderly way, with [`LAST_WORDS`].
    pub ended: u64,
    /// Number of the case, and what was said last.
    pub panicked: Vec<(u64, String)>,
    pub crashed: Vec<(u64, String)>,
    pub hung: Vec<u64>,
    /// Children that ended before their first case.
    pub false_starts: u64,
    /// The most memory that a child had at its end, in KiB.
    pub peak_kib: u64,
    pub seconds: f64,
}

impl Tally {
    /// The counts in one line.
    pub fn text(&self) -> String {
        format!(
            "{} accepted, {} refused ({} by an end of the process), {} panicked, {} crashed, {} hung in {:.1} s; at most {} MiB",
            self.accepted,
            self.refused,
            self.ended,
            self.panicked.len(),
            self.crashed.len(),
            self.hung.len(),
            self.seconds,
            self.peak_kib >> 10
        )
    }

    /// Prints the counts; panics where a case did not end well.
    pub fn assert_all_ended_well(&self, what: &str) {
        println!("{what}: {}", self.text());
        let well = self.panicked.is_empty() && self.crashed.is_empty() && self.hung.is_empty();
        assert!(well, "{what}: {}: {:#?}", self.text(), self);
    }
}

/// Does the cases in children of at most `memory_kib` of address space; `test` is the full name of the calling test.
/// A case gets its number and a folder. In a child this never returns.
pub fn campaign(test: &str, cases: Range<u64>, memory_kib: u64, case: impl Fn(u64, &Path) -> Outcome) -> Tally {
    if let Ok(words) = std::env::var(VARIABLE) {
        let words: Vec<&str> = words.splitn(3, ',').collect();
        let number = |i: usize| words[i].parse::<u64>().expect("the parent wrote a number");
        child(number(0)..number(1), Path::new(words[2]), case);
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (began, mut tally, mut next) = (Instant::now(), Tally::default(), cases.start);
    while next < cases.end {
        next = one_child(test, next..cases.end, memory_kib, folder.path(), &mut tally);
    }
    tally.seconds = began.elapsed().as_secs_f64();
    tally
}

/// Runs a child until it ends; the case that comes next.
fn one_child(test: &str, cases: Range<u64>, memory_kib: u64, folder: &Path, tally: &mut Tally) -> u64 {
    let said = folder.join("said");
    let own = std::env::current_exe().expect("a test knows its program");
    let words = format!("{},{},{}", cases.start, cases.end, folder.display());
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -v {memory_kib}; ulimit -c 0; exec \"$0\" \"$@\"")])
        .arg(own)
        .args([test, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, words)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&said).expect("the folder can be written"))
        .spawn()
        .expect("a child starts");
    let output = BufReader::new(child.stdout.take().expect("it is piped"));
    let (tell, told) = channel();
    let reader = std::thread::spawn(move || output.lines().map_while(Result::ok).all(|line| tell.send(line).is_ok()));
    let (mut current, mut begun, mut done, mut hangs) = (cases.start, false, false, false);
    loop {
        match told.recv_timeout(LONGEST) {
            Ok(line) => match line.split_once(' ') {
                Some(("begin", number)) => (current, begun) = (number.parse().expect("a child counts"), true),
                Some(("accepted", _)) => tally.accepted += 1,
                Some(("refused", _)) => tally.refused += 1,
                Some(("panicked", message)) => tally.panicked.push((current, message.into())),
                Some(("done", peak)) => {
                    tally.peak_kib = tally.peak_kib.max(peak.parse().unwrap_or(0));
                    done = true;
                }
                _ => {}
            },
            Err(RecvTimeoutError::Timeout) => {
                hangs = true;
                let _ = child.kill();
                break;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.wait().expect("the child is ours");
    let _ = reader.join();
    if done {
        return cases.end;
    }
    if !begun {
        tally.false_starts += 1;
        assert!(tally.false_starts < 5, "children end before their first case: {status}");
        return cases.start;
    }
    if hangs {
        tally.hung.push(current);
    } else {
        let said = fs::read_to_string(said).unwrap_or_default();
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        if status.code() == Some(REFUSAL_CODE) && last.starts_with("error: ") && last.contains(LAST_WORDS) {
            tally.refused += 1;
            tally.ended += 1;
        } else {
            tally.crashed.push((current, format!("{status}: {last}")));
        }
    }
    current + 1
}

fn child(cases: Range<u64>, folder: &Path, case: impl Fn(u64, &Path) -> Outcome) -> ! {
    std::panic::set_hook(Box::new(|_| {}));
    let tell = |line: String| {
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("the parent reads");
    };
    // The line that the runner of tests has begun.
    tell("\n".into());
    for number in cases {
        tell(format!("begin {number}\n"));
        match catch_unwind(AssertUnwindSafe(|| case(number, folder))) {
            Ok(Outcome::Accepted) => tell("accepted \n".into()),
            Ok(Outcome::Refused) => tell("refused \n".into()),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
                tell(format!("panicked {}\n", text.unwrap_or_default().replace('\n', " ")));
            }
        }
    }
    tell(format!("done {}\n", peak_kib()));
    std::process::exit(0)
}

/// The most memory that this process has had.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The cases of a long campaign: 100,000, or as many as the environment variable `TREEWAVE_CASES` says.
pub fn many_cases() -> u64 {
    std::env::var("TREEWAVE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000)
}

/// Numbers without a pattern, the same for the same seed (SplitMix64; Steele, Lea & Flood 2014).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }
    /// One of a list.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// Damages bytes in one to four places, as disks, editors and malice do.
pub fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) {
    const ODD: [u64; 12] =
        [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 40, i64::MAX as u64, u64::MAX];
    for _ in 0..1 + dice.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = dice.below(bytes.len());
        let end = (at + 1 + dice.below(16)).min(bytes.len());
        match dice.below(9) {
            0 | 1 => bytes[at] ^= 1 << dice.below(8),
            2 => bytes[at] = dice.roll() as u8,
            3 | 4 => {
                let places = dice.below(4) as u32;
                let near = bytes.len() as u64;
                let number = match dice.below(3) {
                    0 => dice.roll() % (2 * near),
                    _ => dice.pick(&ODD),
                };
                let number = number.to_le_bytes();
                let width = (1_usize << places).min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&number[..width]);
            }
            5 => {
                let from = dice.below(bytes.len() - (end - at) + 1);
                bytes.copy_within(from..from + (end - at), at);
            }
            6 => drop(bytes.drain(at..end)),
            7 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            _ => bytes.truncate(at),
        }
    }
}

/// A file of a case in the folder of its campaign.
pub fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("the folder can be written");
    path
}
