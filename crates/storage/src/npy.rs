//! Arrays of real numbers in npy files (NumPy's format, versions 1 to 3). No number in a header is believed before the
//! file is seen to be that long.

use ndarray::{ArrayD, IxDyn, ShapeBuilder};

use crate::raw::RawNumber;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// What a header says.
#[derive(Debug, PartialEq)]
struct Header {
    number: RawNumber,
    fortran: bool,
    shape: Vec<usize>,
}

/// The array of a file's bytes in C order, or what is wrong with them.
pub(crate) fn parse(bytes: &[u8]) -> Result<ArrayD<f64>, String> {
    let (header, data) = split(bytes)?;
    let header = parse_header(header)?;
    let (shape, each) = (&header.shape, header.number.bytes());
    let count = shape.iter().try_fold(each, |bytes, &n| bytes.checked_mul(n)).map(|bytes| bytes / each);
    let Some(count) = count.filter(|count| count * each == data.len()) else {
        let expected = count.map_or("more than any file".into(), |count| (count * each).to_string());
        return Err(format!("shape {shape:?} takes {expected} bytes, {} follow the npy header", data.len()));
    };
    let mut values = Vec::with_capacity(count);
    values.extend(data.chunks_exact(each).map(|b| header.number.value(b)));
    let array = ArrayD::from_shape_vec(IxDyn(shape).set_f(header.fortran), values).map_err(|e| e.to_string())?;
    Ok(if header.fortran { array.as_standard_layout().into_owned() } else { array })
}

/// Header text and data.
fn split(bytes: &[u8]) -> Result<(&str, &[u8]), String> {
    const SHORT: &str = "the npy header is cut short";
    let rest = bytes.strip_prefix(MAGIC).ok_or("this is not an npy file")?;
    let (version, rest) = rest.split_at_checked(2).ok_or(SHORT)?;
    let (length, rest) = rest.split_at_checked(if version[0] == 1 { 2 } else { 4 }).ok_or(SHORT)?;
    if !(1..=3).contains(&version[0]) {
        return Err(format!("npy version {}.{} is unknown", version[0], version[1]));
    }
    let length = length.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte));
    let (header, data) = rest.split_at_checked(length).ok_or(SHORT)?;
    Ok((std::str::from_utf8(header).map_err(|_| "the npy header is no text")?, data))
}

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), }`.
fn parse_header(text: &str) -> Result<Header, String> {
    let odd = || format!("the npy header {:?} cannot be understood", text.trim().chars().take(200).collect::<String>());
    let (mut number, mut fortran, mut shape) = (None, None, None);
    let inner = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let mut rest = inner.ok_or_else(odd)?.trim();
    while !rest.is_empty() {
        let (key, after) = quoted(rest).ok_or_else(odd)?;
        let value = after.trim_start().strip_prefix(':').ok_or_else(odd)?.trim_start();
        rest = match key {
            "descr" => {
                // A list is the descriptor of a record.
                let (found, after) = quoted(value).ok_or("the array holds records, expected real numbers")?;
                number = Some(number_of(found)?);
                after
            }
            "fortran_order" => {
                let said = [("False", false), ("True", true)]
                    .iter()
                    .find_map(|&(word, order)| value.strip_prefix(word).map(|after| (order, after)));
                let (order, after) = said.ok_or_else(odd)?;
                fortran = Some(order);
                after
            }
            "shape" => {
                let (list, after) = value.strip_prefix('(').and_then(|list| list.split_once(')')).ok_or_else(odd)?;
                let lengths = list.split(',').map(str::trim).filter(|length| !length.is_empty());
                // Python 2 wrote 3L.
                let lengths = lengths.map(|length| length.trim_end_matches('L').parse::<usize>());
                shape = Some(lengths.collect::<Result<Vec<_>, _>>().map_err(|_| odd())?);
                after
            }
            _ => return Err(odd()),
        };
        rest = rest.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    let (Some(number), Some(fortran), Some(shape)) = (number, fortran, shape) else { return Err(odd()) };
    Ok(Header { number, fortran, shape })
}

/// A text in quotes, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    text[1..].split_once(quote)
}

fn number_of(descriptor: &str) -> Result<RawNumber, String> {
    Ok(match descriptor {
        "<f4" => RawNumber::F32Le,
        ">f4" => RawNumber::F32Be,
        "<f8" => RawNumber::F64Le,
        ">f8" => RawNumber::F64Be,
        other => return Err(format!("the array has numbers of type {other:?}, expected <f4, >f4, <f8 or >f8")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn refusal(header: &str, data: &[u8]) -> String {
        parse(&file(header, data)).expect_err(header)
    }

    #[test]
    fn arrays_of_every_kind_come_back_as_numpy_wrote_them() {
        let values = ndarray::arr2(&[[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]]).into_dyn();
        let read = |array: &ArrayD<f64>| -> ArrayD<f64> {
            let mut bytes = Vec::new();
            ndarray_npy::WriteNpyExt::write_npy(array, &mut bytes).unwrap();
            parse(&bytes).unwrap()
        };
        assert_eq!(read(&values), values);
        let mut fortran = ArrayD::zeros(IxDyn(&[2, 3]).f());
        fortran.assign(&values);
        assert_eq!(read(&fortran), values);
        assert!(read(&fortran).is_standard_layout());
        let big: Vec<u8> = values.iter().flat_map(|&v| (v as f32).to_be_bytes()).collect();
        let header = "{\"shape\": (2L, 3L), \"descr\": \">f4\", \"fortran_order\": False}\n";
        assert_eq!(parse(&file(header, &big)).unwrap(), values);
        let line = parse(&file("{'descr': '<f8', 'fortran_order': True, 'shape': (1,), }", &[0; 8])).unwrap();
        assert_eq!(line.shape(), [1]);
    }

    #[test]
    fn headers_that_cannot_be_are_refused_with_what_was_found() {
        let with =
            |descr: &str, shape: &str| format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}");
        for (descr, named) in [("'|O'", "|O"), ("'<i4'", "<i4"), ("'<c8'", "<c8"), ("[('a', '<f8')]", "records")] {
            assert!(refusal(&with(descr, "(1,)"), &[0; 8]).contains(named), "{descr}");
        }
        assert!(refusal(&with("'<f8'", "(2, 3)"), &[0; 47]).contains("48 bytes, 47 follow"));
        assert!(refusal(&with("'<f8'", "(99999999999, 99999999999)"), &[0; 8]).contains("more than any file"));
        assert!(refusal(&with("'<f8'", "(9999999999,)"), &[0; 8]).contains("takes 79999999992 bytes"));
        for odd in ["", "{", "{}", "{'descr'", "{'shape': (-1,)}", "{'shape': (1", "{é: 1}", &"(".repeat(60000)] {
            assert!(refusal(odd, &[]).contains("cannot be understood"), "{odd}");
        }
        assert!(parse(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}").unwrap_err().contains("cut short"));
        assert!(parse(b"\x93NUMPY\x09\x00\x00\x00\x00\x00").unwrap_err().contains("version 9.0"));
        assert!(parse(b"PK\x03\x04").unwrap_err().contains("not an npy file"));
    }
}
