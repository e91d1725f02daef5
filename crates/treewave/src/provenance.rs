//! Where a file comes from: program, version, command line, machine.

use treewave_cluster::Cluster;
use treewave_storage::Head;
use treewave_wave::Path;

/// The program with its version and, where known at build time, its commit.
pub fn program() -> String {
    match option_env!("TREEWAVE_COMMIT") {
        Some(commit) => format!("treewave {} ({commit})", env!("CARGO_PKG_VERSION")),
        None => format!("treewave {}", env!("CARGO_PKG_VERSION")),
    }
}

/// The head of a file with this title.
pub fn head(title: &str) -> Head {
    let words: Vec<String> = std::env::args().collect();
    Head::new(title, program(), words.join(" "))
}

/// How a result was computed: for the attributes of its file.
pub fn layout(cluster: &dyn Cluster, threads: usize, path: Path) -> Vec<(String, String)> {
    [
        ("ranks", cluster.size().to_string()),
        ("threads_per_rank", threads.to_string()),
        ("simd_path", path.name().to_string()),
        ("program", program()),
    ]
    .map(|(name, value)| (name.to_string(), value))
    .to_vec()
}
