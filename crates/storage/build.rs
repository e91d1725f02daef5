//! Tells the sources whether this HDF5 library lets a program choose file locking (1.10.7 and later, not 1.12.0).

fn main() {
    println!("cargo::rustc-check-cfg=cfg(hdf5_file_locking)");
    let has = |version: &str| std::env::var_os(format!("DEP_HDF5_VERSION_{version}")).is_some();
    if has("1_10_7") && !has("1_12_0") || has("1_12_1") {
        println!("cargo::rustc-cfg=hdf5_file_locking");
    }
}
