//! The shape of the project, checked: which crate may use which, which outside package stays behind which crate,
//! where `unsafe` may stand, how long a file may grow.
//!
//! Manifests and sources are read as text, so that a wrong arrow is named here even where the compiler would be
//! content with it. Dev-dependencies are free: tests may compare anything with anything.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The root package: command line, configuration, workflow. It may use every crate.
const ROOT: &str = "treewave";

/// Which crates a crate may use. A crate that is not listed may use none and fails the test.
const ARROWS: [(&str, &[&str]); 8] = [
    ("treewave-core", &[]),
    ("treewave-autodiff", &["treewave-core", "treewave-reversal"]),
    ("treewave-reversal", &[]),
    ("treewave-kernels", &["treewave-core"]),
    ("treewave-wave", &["treewave-core", "treewave-kernels", "treewave-reversal"]),
    ("treewave-cluster", &["treewave-core"]),
    ("treewave-inversion", &["treewave-core", "treewave-wave", "treewave-reversal", "treewave-cluster"]),
    ("treewave-storage", &["treewave-core", "treewave-reversal"]),
];

/// Outside packages that only the named crates may see. `ndarray` is the type of a model's array in core; storage
/// hands such arrays to HDF5 and npy files, and the root to pictures; the numerics between them work on slices.
const ISOLATED: [(&str, &[&str]); 11] = [
    ("mpi", &["treewave-cluster"]),
    ("hdf5-metno", &["treewave-storage"]),
    ("hdf5-metno-sys", &["treewave-storage"]),
    ("ndarray", &["treewave-core", "treewave-storage", ROOT]),
    ("ndarray-npy", &["treewave-storage", ROOT]),
    ("nalgebra", &["treewave-inversion"]),
    ("rayon", &["treewave-wave", ROOT]),
    ("clap", &[ROOT]),
    ("serde", &[ROOT]),
    ("toml", &[ROOT]),
    ("indicatif", &[ROOT]),
];

/// The only sources that may say `unsafe`: the kernels on the processor's vectors, their tables, arrays that threads share in
/// tiles, and the thin shims over foreign functions.
const UNSAFE_ROOMS: [&str; 16] = [
    "crates/kernels/src/ends.rs",
    "crates/kernels/src/fixed.rs",
    "crates/kernels/src/fixed/wide.rs",
    "crates/kernels/src/layer.rs",
    "crates/kernels/src/shared.rs",
    "crates/kernels/src/side.rs",
    "crates/kernels/src/seed_pml.rs",
    "crates/kernels/src/table.rs",
    "crates/kernels/src/update.rs",
    "crates/kernels/src/vector.rs",
    "crates/wave/src/acoustic/parts.rs",
    "crates/wave/src/acoustic/step.rs",
    "crates/wave/src/field.rs",
    "crates/cluster/src/shim.rs",
    "crates/storage/src/crash.rs",
    "crates/storage/src/ffi.rs",
];

/// Longer than this, a file is several rooms.
const LONGEST_FILE_LINES: usize = 600;

/// Files that may be longer, each with its reason beside it.
const LONG_FILES: [&str; 0] = [];

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manifest(path: &Path) -> toml::Table {
    read(path).parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folders below `crates/` that have a manifest. The root's sources live in one that has none.
fn crate_folders() -> Vec<PathBuf> {
    let folders = fs::read_dir(repository().join("crates")).expect("the repository has a folder crates");
    let mut found: Vec<PathBuf> = folders
        .map(|entry| entry.expect("a folder can be listed").path())
        .filter(|path| path.join("Cargo.toml").exists())
        .collect();
    found.sort();
    found
}

/// Every Rust source below `folder`, as a path relative to the repository.
fn sources(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![repository().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("a folder can be listed").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(repository()).expect("sources lie in the repository");
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// The packages that a manifest depends on, under their registry names, dev-dependencies left out.
fn dependencies(manifest: &toml::Table, workspace: &toml::Table) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(|value| value.as_table());
    let mut tables = vec![manifest];
    tables.extend(targets.into_iter().flat_map(|targets| targets.values()).filter_map(|value| value.as_table()));
    let mut names = BTreeSet::new();
    for table in tables {
        for kind in ["dependencies", "build-dependencies"] {
            let Some(entries) = table.get(kind).and_then(|value| value.as_table()) else { continue };
            for (name, value) in entries {
                let renamed = value.get("package").or_else(|| workspace.get(name)?.get("package"));
                names.insert(renamed.and_then(|name| name.as_str()).unwrap_or(name).to_owned());
            }
        }
    }
    names
}

/// What is wrong with the dependencies of one package.
fn wrong_arrows(package: &str, dependencies: &BTreeSet<String>) -> Vec<String> {
    let allowed = ARROWS.iter().find(|(name, _)| *name == package).map(|(_, allowed)| *allowed);
    let mut wrong = Vec::new();
    if package != ROOT && allowed.is_none() {
        wrong.push(format!("{package} is not in the table of arrows"));
    }
    for dependency in dependencies {
        let ours = dependency.starts_with("treewave");
        if ours && package != ROOT && !allowed.unwrap_or_default().contains(&dependency.as_str()) {
            wrong.push(format!("{package} -> {dependency}: not an arrow of the architecture"));
        }
        let isolated = ISOLATED.iter().find(|(name, _)| name == dependency);
        if let Some((_, rooms)) = isolated.filter(|(_, rooms)| !rooms.contains(&package)) {
            wrong.push(format!("{package} -> {dependency}: only {} may use it", rooms.join(", ")));
        }
    }
    wrong
}

/// The words of a Rust source outside comments, strings and characters, each with its line number.
fn words(source: &str) -> Vec<(usize, String)> {
    let text: Vec<char> = source.chars().collect();
    let at = |i: usize| text.get(i).copied().unwrap_or('\0');
    let (mut i, mut line, mut found) = (0, 1, Vec::new());
    while i < text.len() {
        let start = i;
        i = match at(i) {
            '/' if at(i + 1) == '/' => end_of_line(&text, i),
            '/' if at(i + 1) == '*' => end_of_block_comment(&text, i),
            '"' => end_of_string(&text, i),
            '\'' if at(i + 1) == '\\' => end_of_character(&text, i),
            '\'' if at(i + 2) == '\'' => i + 3,
            c if c == '_' || c.is_alphanumeric() => {
                while at(i) == '_' || at(i).is_alphanumeric() {
                    i += 1;
                }
                let word: String = text[start..i].iter().collect();
                match end_of_raw_string(&text, i).filter(|_| matches!(word.as_str(), "r" | "br" | "cr")) {
                    Some(end) => end,
                    None => {
                        found.push((line, word));
                        i
                    }
                }
            }
            _ => i + 1,
        };
        line += text[start..i.min(text.len())].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn end_of_line(text: &[char], start: usize) -> usize {
    text[start..].iter().position(|c| *c == '\n').map_or(text.len(), |length| start + length)
}

fn end_of_block_comment(text: &[char], start: usize) -> usize {
    let (mut depth, mut i) = (0, start);
    while i < text.len() {
        match (text[i], text.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

fn end_of_string(text: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < text.len() && text[i] != '"' {
        i += if text[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// An escaped character: the quote that ends it comes after the escaped one.
fn end_of_character(text: &[char], start: usize) -> usize {
    text[(start + 3).min(text.len())..].iter().position(|c| *c == '\'').map_or(text.len(), |length| start + 4 + length)
}

/// The end of a raw string whose hashes begin at `start`; none where there is no raw string.
fn end_of_raw_string(text: &[char], start: usize) -> Option<usize> {
    let hashes = text[start..].iter().take_while(|c| **c == '#').count();
    (text.get(start + hashes) == Some(&'"')).then(|| {
        let closes = |i: usize| text[i] == '"' && text[i + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
        (start + hashes + 1..text.len()).find(|i| closes(*i)).map_or(text.len(), |i| i + 1 + hashes)
    })
}

fn lines_with_unsafe(source: &str) -> Vec<usize> {
    words(source).into_iter().filter(|(_, word)| word == "unsafe").map(|(line, _)| line).collect()
}

fn assert_nothing_wrong(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong:\n  {}", wrong.len(), wrong.join("\n  "));
}

#[test]
fn crates_use_only_what_the_architecture_allows() {
    let root = manifest(&repository().join("Cargo.toml"));
    let workspace = root["workspace"]["dependencies"].as_table().expect("the workspace lists its dependencies").clone();
    let mut wrong = wrong_arrows(ROOT, &dependencies(&root, &workspace));
    for folder in crate_folders() {
        let manifest = manifest(&folder.join("Cargo.toml"));
        let package = manifest["package"]["name"].as_str().expect("a package has a name");
        wrong.extend(wrong_arrows(package, &dependencies(&manifest, &workspace)));
    }
    assert_nothing_wrong(&wrong);
}

#[test]
fn a_wrong_arrow_is_seen_in_every_way_to_write_it() {
    let workspace: toml::Table = "hdf5 = { package = \"hdf5-metno\", version = \"1\" }".parse().unwrap();
    for (text, expected) in [
        ("[dependencies]\ntreewave-inversion.workspace = true", "treewave-wave -> treewave-inversion"),
        ("[dependencies]\nhdf5.workspace = true", "treewave-wave -> hdf5-metno"),
        ("[build-dependencies]\nmpi = \"0.8\"", "treewave-wave -> mpi"),
        ("[target.'cfg(unix)'.dependencies]\ncommunicator = { package = \"mpi\" }", "treewave-wave -> mpi"),
    ] {
        let wrong = wrong_arrows("treewave-wave", &dependencies(&text.parse().unwrap(), &workspace));
        assert!(wrong.len() == 1 && wrong[0].starts_with(expected), "{text}: {wrong:?}");
    }
    let free: toml::Table =
        "[dev-dependencies]\ntreewave-autodiff = \"1\"\n[dependencies]\nrayon = \"1\"".parse().unwrap();
    assert_eq!(wrong_arrows("treewave-wave", &dependencies(&free, &workspace)), Vec::<String>::new());
    assert_eq!(wrong_arrows("treewave-new", &BTreeSet::new()), ["treewave-new is not in the table of arrows"]);
}

#[test]
fn the_workspace_lists_every_crate() {
    let root = manifest(&repository().join("Cargo.toml"));
    let listed: BTreeSet<&str> = root["workspace"]["members"]
        .as_array()
        .expect("the workspace has members")
        .iter()
        .filter_map(|member| member.as_str())
        .collect();
    let folders = crate_folders();
    let existing: BTreeSet<&str> = folders
        .iter()
        .map(|folder| folder.strip_prefix(repository()).expect("crates lie in the repository").to_str().expect("UTF-8"))
        .collect();
    assert_eq!(listed, existing);
}

#[test]
fn unsafe_stands_only_in_its_rooms() {
    let mut wrong = Vec::new();
    for path in sources("crates").iter().filter(|path| path.contains("/src/") && !UNSAFE_ROOMS.contains(&path.as_str()))
    {
        let lines = lines_with_unsafe(&read(&repository().join(path)));
        wrong.extend(lines.into_iter().map(|line| format!("{path}:{line}: unsafe")));
    }
    assert_nothing_wrong(&wrong);
}

#[test]
fn crates_refuse_unsafe_code_by_attribute() {
    let mut wrong = Vec::new();
    for path in sources("crates").iter().filter(|path| path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs"))
    {
        let has_room = UNSAFE_ROOMS.iter().any(|room| room.starts_with(path.trim_end_matches("lib.rs")));
        // `forbid` cannot be lifted again by a module; a crate with a room denies, and the room allows.
        let attribute = if has_room { "#![deny(unsafe_code)]" } else { "#![forbid(unsafe_code)]" };
        if !read(&repository().join(path)).lines().any(|line| line == attribute) {
            wrong.push(format!("{path}: no line {attribute}"));
        }
    }
    assert_nothing_wrong(&wrong);
}

#[test]
fn the_scan_for_unsafe_sees_code_and_nothing_else() {
    let hidden = "// unsafe\n/* unsafe /* unsafe */ unsafe */\nlet a = \"unsafe \\\" unsafe\"; let b = r#\"\" unsafe\"#;\n\
                  let c = ('\"', '\\'', b'\"', '\\u{41}', br\"unsafe\"); fn d<'unsafely>() {}\n#![forbid(unsafe_code)]";
    assert_eq!(lines_with_unsafe(hidden), Vec::<usize>::new());
    let shown = format!("{hidden}\nfn f() {{ unsafe {{ g() }} }}\nlet r = 1; unsafe impl Send for T {{}}");
    assert_eq!(lines_with_unsafe(&shown), [6, 7]);
}

#[test]
fn no_file_has_grown_into_several_rooms() {
    let mut wrong = Vec::new();
    for path in ["crates", "tests", "benches"].into_iter().flat_map(sources) {
        let lines = read(&repository().join(&path)).lines().count();
        if lines > LONGEST_FILE_LINES && !LONG_FILES.contains(&path.as_str()) {
            wrong.push(format!("{path}: {lines} lines, at most {LONGEST_FILE_LINES}"));
        }
    }
    assert_nothing_wrong(&wrong);
}
