//! The binary (`ROCKETMQ`) form of a header.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::command::{Command, Fields, Language};
use crate::frame::FrameError;

/// Appends the header. Codes, versions and field names must fit 16 bits; larger ones are refused, not truncated.
pub(crate) fn encode(command: &Command, out: &mut BytesMut) -> Result<(), FrameError> {
    out.put_i16(short(command.code, "code")?);
    out.put_u8(command.language.ordinal());
    out.put_i16(short(command.version, "version")?);
    out.put_i32(command.opaque);
    out.put_i32(command.flag);
    let remark = command.remark_text();
    out.put_i32(length(remark.len(), "remark")?);
    out.extend_from_slice(remark.as_bytes());
    let fields = command.fields.iter().map(|(name, value)| 2 + name.len() + 4 + value.len()).sum();
    out.put_i32(length(fields, "extFields")?);
    for (name, value) in command.fields.iter() {
        out.put_i16(i16::try_from(name.len()).map_err(|_| too_large("field name"))?);
        out.extend_from_slice(name.as_bytes());
        out.put_i32(length(value.len(), "field value")?);
        out.extend_from_slice(value.as_bytes());
    }
    Ok(())
}

/// Reads a header. An empty remark or field is the same as none; every length is checked against what is there.
pub(crate) fn decode(header: &[u8]) -> Result<Command, FrameError> {
    let mut rest = header;
    let code = rest.try_get_i16().map_err(|_| short_of("code"))?;
    let language = rest.try_get_u8().map_err(|_| short_of("language"))?;
    let version = rest.try_get_i16().map_err(|_| short_of("version"))?;
    let opaque = rest.try_get_i32().map_err(|_| short_of("opaque"))?;
    let flag = rest.try_get_i32().map_err(|_| short_of("flag"))?;
    let remark_length = rest.try_get_i32().map_err(|_| short_of("remark length"))?;
    let remark = utf8(take(&mut rest, remark_length, "remark")?, "remark")?;
    let fields_length = rest.try_get_i32().map_err(|_| short_of("extFields length"))?;
    let mut entries = take(&mut rest, fields_length, "extFields")?;
    if !rest.is_empty() {
        return Err(FrameError::Header(format!("{} bytes behind the last field", rest.len())));
    }
    let mut fields = Fields::new();
    while !entries.is_empty() {
        let name_length = entries.try_get_i16().map_err(|_| short_of("field name length"))?;
        let name = utf8(take(&mut entries, i32::from(name_length), "field name")?, "field name")?;
        let value_length = entries.try_get_i32().map_err(|_| short_of("field value length"))?;
        let value = utf8(take(&mut entries, value_length, "field value")?, "field value")?;
        if !name.is_empty() && !value.is_empty() {
            fields.push(name.to_owned(), value);
        }
    }
    Ok(Command {
        code: i32::from(code),
        language: Language::from_ordinal(language),
        version: i32::from(version),
        opaque,
        flag,
        remark: (!remark.is_empty()).then(|| remark.to_owned()),
        fields,
        body: Bytes::new(),
    })
}

fn take<'a>(rest: &mut &'a [u8], length: i32, what: &str) -> Result<&'a [u8], FrameError> {
    let length = usize::try_from(length).map_err(|_| FrameError::Header(format!("{what} of {length} bytes")))?;
    let (taken, behind) = rest.split_at_checked(length).ok_or_else(|| short_of(what))?;
    *rest = behind;
    Ok(taken)
}

fn utf8<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, FrameError> {
    std::str::from_utf8(bytes).map_err(|_| FrameError::Header(format!("{what} is not UTF-8")))
}

fn short(number: i32, what: &str) -> Result<i16, FrameError> {
    i16::try_from(number).map_err(|_| too_large(what))
}

fn length(length: usize, what: &str) -> Result<i32, FrameError> {
    i32::try_from(length).map_err(|_| too_large(what))
}

fn too_large(what: &str) -> FrameError {
    FrameError::Header(format!("{what} is too large for the binary form"))
}

fn short_of(what: &str) -> FrameError {
    FrameError::Header(format!("ends before its {what}"))
}
