//! The only foreign calls of this crate: what neither the standard library nor the HDF5 crate offers.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use hdf5::{H5Type, ObjectReference1};
use hdf5_sys::h5a::{H5Aclose, H5Acreate2, H5Awrite};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5p::H5P_DEFAULT;
use hdf5_sys::h5s::{H5S_class_t, H5Sclose, H5Screate};
use hdf5_sys::h5t::{H5T_C_S1, H5T_str_t, H5Tclose, H5Tcopy, H5Tset_size, H5Tset_strpad};

/// One entry of the attribute `REFERENCE_LIST`: a dataset, and the dimension of it that a scale describes.
#[derive(Clone, Copy, H5Type)]
#[repr(C)]
pub(crate) struct BackReference {
    pub dataset: ObjectReference1,
    pub dimension: i32,
}

/// Bytes that an ordinary user can still write to the file system of `path`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let c_path = CString::new(path.as_os_str().as_bytes())?;
    let mut answer = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path is a C string that lives until the call returns, and `answer` has the type statvfs writes.
    let status = unsafe { libc::statvfs(c_path.as_ptr(), answer.as_mut_ptr()) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: statvfs returned 0, so it has filled the structure.
    let answer = unsafe { answer.assume_init() };
    // The width of both fields depends on the platform.
    #[allow(clippy::unnecessary_cast)]
    Ok(answer.f_bavail as u64 * answer.f_frsize as u64)
}

/// Writes a null-terminated text of fixed length as an attribute. The library for dimension scales takes no other kind.
pub(crate) fn set_fixed_text(location: &hdf5::Location, name: &str, value: &str) -> Result<(), &'static str> {
    let name = CString::new(name).map_err(|_| "the name has a zero byte")?;
    let value = CString::new(value).map_err(|_| "the text has a zero byte")?;
    let bytes = value.as_bytes_with_nul();
    hdf5::sync::sync(|| {
        // SAFETY: the HDF5 lock is held. Every identifier is checked before use and closed exactly once; the name and
        // the text are C strings that outlive the calls, and the type's size is the number of bytes H5Awrite reads.
        unsafe {
            let text = H5Tcopy(*H5T_C_S1);
            if text < 0 {
                return Err("H5Tcopy failed");
            }
            let ready = H5Tset_size(text, bytes.len()) >= 0 && H5Tset_strpad(text, H5T_str_t::H5T_STR_NULLTERM) >= 0;
            let outcome = if ready { write(location.id(), &name, text, bytes) } else { Err("H5Tset_size failed") };
            H5Tclose(text);
            outcome
        }
    })
}

/// Creates a scalar attribute of type `text` and writes `bytes` to it.
///
/// # Safety
/// The HDF5 lock is held, the identifiers are valid, and `text` is a string type of `bytes.len()` bytes.
unsafe fn write(location: hid_t, name: &CString, text: hid_t, bytes: &[u8]) -> Result<(), &'static str> {
    // SAFETY: as the caller promises; each identifier made here is checked and closed once.
    unsafe {
        let scalar = H5Screate(H5S_class_t::H5S_SCALAR);
        if scalar < 0 {
            return Err("H5Screate failed");
        }
        let attribute = H5Acreate2(location, name.as_ptr(), text, scalar, H5P_DEFAULT, H5P_DEFAULT);
        H5Sclose(scalar);
        if attribute < 0 {
            return Err("H5Acreate2 failed");
        }
        let written = H5Awrite(attribute, text, bytes.as_ptr().cast());
        H5Aclose(attribute);
        if written < 0 { Err("H5Awrite failed") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn free_bytes_agrees_with_the_tool_df_and_refuses_a_missing_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let free = super::free_bytes(folder.path()).expect("statvfs works");
        let df = std::process::Command::new("df").args(["-B1", "--output=avail"]).arg(folder.path()).output();
        let text = String::from_utf8(df.expect("df runs").stdout).expect("df writes text");
        let expected: f64 = text.lines().nth(1).and_then(|l| l.trim().parse().ok()).expect("df prints a number");
        // Other programs write in between: a tenth is room enough, a wrong factor (512, 1024) is far outside.
        assert!((free as f64 - expected).abs() < 0.1 * expected, "statvfs {free}, df {expected}");
        let missing = super::free_bytes(&folder.path().join("missing")).expect_err("no such folder");
        assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    }
}
