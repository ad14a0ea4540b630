//! Which byte of a body means what: postcard, read by a reader that writes down where everything stands.

use flotilla_protocol::id::{ActivationId, BootId, FleetId, NodeId, OrderId};
use serde::de::value::{Error, U32Deserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor};

/// Some bytes with one meaning.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// How many bytes.
    pub(crate) length: usize,
    /// Where in the message: `plan.steps[0].name`.
    pub(crate) path: String,
    /// The value, or what the bytes are.
    pub(crate) says: String,
    /// The bytes are a byte string, which may hold something that is encoded once more.
    pub(crate) is_content: bool,
    /// A single byte, of which several make an array.
    pub(crate) is_byte: bool,
}

impl Part {
    pub(crate) fn new(length: usize, path: impl Into<String>, says: impl Into<String>) -> Self {
        Self { length, path: path.into(), says: says.into(), is_content: false, is_byte: false }
    }
}

/// The parts of a body of type `T`, which must fill `bytes`.
pub(crate) fn trace<T: DeserializeOwned>(bytes: &[u8]) -> Vec<Part> {
    let mut tracer = Tracer { bytes, at: 0, path: Vec::new(), parts: Vec::new() };
    T::deserialize(&mut tracer).unwrap();
    assert_eq!(tracer.at, bytes.len(), "bytes follow");
    tracer.parts
}

/// The names of the fields of a struct, in the order of the wire.
pub(crate) fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    let ended = T::deserialize(Names(&mut names));
    assert!(ended.is_err() && !names.is_empty(), "not a struct");
    names
}

struct Tracer<'b> {
    bytes: &'b [u8],
    at: usize,
    path: Vec<String>,
    parts: Vec<Part>,
}

impl<'b> Tracer<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], Error> {
        let taken = self.bytes.get(self.at..self.at + count).ok_or_else(|| Error::custom("cut"))?;
        self.at += count;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<(u64, usize), Error> {
        let (mut value, mut shift, begin) = (0_u64, 0, self.at);
        loop {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return Ok((value, self.at - begin));
            }
        }
    }

    fn part(&mut self, length: usize, says: impl Into<String>) -> &mut Part {
        self.parts.push(Part::new(length, self.path.concat().trim_start_matches('.'), says));
        self.parts.last_mut().unwrap()
    }

    fn number(&mut self) -> Result<u64, Error> {
        let (value, length) = self.varint()?;
        self.part(length, value.to_string());
        Ok(value)
    }

    fn signed(&mut self) -> Result<i64, Error> {
        let (value, length) = self.varint()?;
        let half = i64::try_from(value >> 1).map_err(Error::custom)?;
        let value = if value & 1 == 0 { half } else { -half - 1 };
        self.part(length, value.to_string());
        Ok(value)
    }

    fn count(&mut self, what: &str) -> Result<usize, Error> {
        let (count, length) = self.varint()?;
        self.part(length, format!("{count} {what}"));
        usize::try_from(count).map_err(Error::custom)
    }

    fn content(&mut self) -> Result<&'b [u8], Error> {
        let length = self.count("bytes follow")?;
        let taken = self.take(length)?;
        if length > 0 {
            self.part(length, "").is_content = true;
        }
        Ok(taken)
    }

    fn within<R>(&mut self, step: String, read: impl FnOnce(&mut Self) -> R) -> R {
        self.path.push(step);
        let result = read(self);
        self.path.pop();
        result
    }
}

macro_rules! unsigned {
    ($($name:ident $visit:ident $type:ty),+) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(<$type>::try_from(self.number()?).map_err(Error::custom)?)
        }
    )+};
}
macro_rules! signed {
    ($($name:ident $visit:ident $type:ty),+) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(<$type>::try_from(self.signed()?).map_err(Error::custom)?)
        }
    )+};
}
macro_rules! never {
    ($($name:ident)+) => {$(
        fn $name<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom(concat!("no message has it: ", stringify!($name))))
        }
    )+};
}

impl<'de> Deserializer<'de> for &mut Tracer<'_> {
    type Error = Error;

    unsigned!(deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64);
    signed!(deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64);
    never!(deserialize_any deserialize_i8 deserialize_f32 deserialize_f64 deserialize_char deserialize_unit deserialize_identifier
        deserialize_ignored_any);

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.take(1)?[0] == 1;
        self.part(1, value.to_string());
        visitor.visit_bool(value)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.take(1)?[0];
        self.part(1, value.to_string()).is_byte = true;
        visitor.visit_u8(value)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let length = self.count("bytes of text")?;
        let text = std::str::from_utf8(self.take(length)?).map_err(Error::custom)?;
        if length > 0 {
            self.part(length, format!("{text:?}"));
        }
        visitor.visit_str(text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bytes(self.content()?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.take(1)?[0] == 0 {
            self.part(1, "none");
            return visitor.visit_none();
        }
        self.part(1, "some");
        visitor.visit_some(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        let (begin, mark) = (self.at, self.parts.len());
        let value = visitor.visit_newtype_struct(&mut *self)?;
        let says = id_text(name, &self.bytes[begin..self.at]);
        if let ([part], Some(says)) = (&mut self.parts[mark..], says) {
            part.says = says;
        }
        Ok(value)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = self.count("elements")?;
        visitor.visit_seq(Elements { tracer: self, left, index: 0, names: None })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Error> {
        let (begin, mark) = (self.at, self.parts.len());
        let value = visitor.visit_seq(Elements { tracer: &mut *self, left, index: 0, names: None })?;
        if left > 1 && self.parts[mark..].iter().all(|part| part.is_byte) {
            self.parts.truncate(mark);
            let says = id_text("NodeId", &self.bytes[begin..self.at]).unwrap_or_default();
            self.part(left, says);
        }
        Ok(value)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, left: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_tuple(left, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = self.count("entries")?;
        visitor.visit_map(Elements { tracer: self, left, index: 0, names: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Elements { tracer: self, left: fields.len(), index: 0, names: Some(fields) })
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, variants: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        let (index, length) = self.varint()?;
        let name = usize::try_from(index).ok().and_then(|index| variants.get(index)).ok_or_else(|| Error::custom("no such variant"))?;
        self.part(length, format!("variant {index}, {name}"));
        visitor.visit_enum(Variant { tracer: self, index: u32::try_from(index).map_err(Error::custom)? })
    }
}

/// The text of an id, by the name of its type or by its length.
fn id_text(name: &str, bytes: &[u8]) -> Option<String> {
    let sixteen = <[u8; 16]>::try_from(bytes);
    match name {
        "OrderId" => Some(OrderId(sixteen.ok()?).to_string()),
        "ActivationId" => Some(ActivationId(sixteen.ok()?).to_string()),
        "BootId" => Some(BootId(sixteen.ok()?).to_string()),
        "FleetId" => Some(FleetId(bytes.try_into().ok()?).to_string()),
        "NodeId" if bytes.len() == 17 => Some(postcard::from_bytes::<NodeId>(bytes).ok()?.to_string()),
        _ => None,
    }
}

/// The elements of a list, the fields of a struct, the entries of a map.
struct Elements<'t, 'b> {
    tracer: &'t mut Tracer<'b>,
    left: usize,
    index: usize,
    names: Option<&'static [&'static str]>,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        let index = self.index;
        (self.left, self.index) = (self.left - 1, index + 1);
        let step = self.names.map_or_else(|| format!("[{index}]"), |names| format!(".{}", names[index]));
        self.tracer.within(step, |tracer| seed.deserialize(tracer)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Elements<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        let index = self.index;
        (self.left, self.index) = (self.left - 1, index + 1);
        self.tracer.within(format!("[{index}].key"), |tracer| seed.deserialize(tracer)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let step = format!("[{}].value", self.index - 1);
        self.tracer.within(step, |tracer| seed.deserialize(tracer))
    }
}

struct Variant<'t, 'b> {
    tracer: &'t mut Tracer<'b>,
    index: u32,
}

impl<'de> EnumAccess<'de> for Variant<'_, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let value = seed.deserialize(U32Deserializer::<Error>::new(self.index))?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.tracer)
    }

    fn tuple_variant<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Error> {
        self.tracer.deserialize_tuple(left, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.tracer.deserialize_struct("", fields, visitor)
    }
}

/// Takes the names of a struct's fields, and reads nothing.
struct Names<'n>(&'n mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, fields: &'static [&'static str], _: V) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("names only"))
    }

    never!(deserialize_any);
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map enum identifier ignored_any
    }
}
