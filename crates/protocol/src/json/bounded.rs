//! Parts of a body of which a peer may send as many as it likes: what is too much is skipped where it stands, and takes no memory.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::JsonError;

/// A list of which the first `N` items are kept. Null is an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Few<T, const N: usize> {
    items: Vec<T>,
    is_over: bool,
}

/// An object of which the first `N` members are kept, with their names, in their order. Null is an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members<V, const N: usize>(Few<(String, V), N>);

/// Whether a list or an object has anything in it; what that is makes no difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filled(pub bool);

/// An integer written as a number, as text, or as null (0).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Integer<N = i64>(pub N);

impl<T, const N: usize> Few<T, N> {
    /// All of it, or why that is too much.
    pub fn all(self) -> Result<Vec<T>, JsonError> {
        if self.is_over { Err(JsonError(format!("more than {N} items"))) } else { Ok(self.items) }
    }

    fn is_full(&self) -> bool {
        self.items.len() >= N
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Few<T, N> {
    /// Reads a list.
    pub(crate) fn read<A: SeqAccess<'de>>(mut seq: A) -> Result<Self, A::Error> {
        let mut few = Self::default();
        while !few.is_full() {
            match seq.next_element()? {
                Some(item) => few.items.push(item),
                None => return Ok(few),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {
            few.is_over = true;
        }
        Ok(few)
    }
}

impl<'de, V: Deserialize<'de>, const N: usize> Members<V, N> {
    /// Reads an object.
    pub(crate) fn read<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut few = Few::default();
        while !few.is_full() {
            match map.next_entry()? {
                Some(entry) => few.items.push(entry),
                None => return Ok(Self(few)),
            }
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            few.is_over = true;
        }
        Ok(Self(few))
    }
}

impl<V, const N: usize> Members<V, N> {
    /// All of them, or why that is too much.
    pub fn all(self) -> Result<Vec<(String, V)>, JsonError> {
        self.0.all()
    }
}

impl<T, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self { items: Vec::new(), is_over: false }
    }
}

impl<V, const N: usize> Default for Members<V, N> {
    fn default() -> Self {
        Self(Few::default())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Few<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FewVisitor(PhantomData))
    }
}

impl<'de, V: Deserialize<'de>, const N: usize> Deserialize<'de> for Members<V, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MembersVisitor(PhantomData))
    }
}

impl<'de, N: TryFrom<i64>> Deserialize<'de> for Integer<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = deserializer.deserialize_any(IntegerVisitor)?;
        N::try_from(number).map(Self).map_err(|_| D::Error::custom(format_args!("{number} is out of range")))
    }
}

impl<'de> Deserialize<'de> for Filled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FilledVisitor)
    }
}

struct FewVisitor<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for FewVisitor<T, N> {
    type Value = Few<T, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Few::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Few::read(seq)
    }
}

struct MembersVisitor<V, const N: usize>(PhantomData<V>);

impl<'de, V: Deserialize<'de>, const N: usize> Visitor<'de> for MembersVisitor<V, N> {
    type Value = Members<V, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Members::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Members::read(map)
    }
}

struct FilledVisitor;

impl<'de> Visitor<'de> for FilledVisitor {
    type Value = Filled;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_unit<E>(self) -> Result<Filled, E> {
        Ok(Filled(false))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Filled, A::Error> {
        let mut filled = Filled(false);
        while seq.next_element::<IgnoredAny>()?.is_some() {
            filled.0 = true;
        }
        Ok(filled)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Filled, A::Error> {
        let mut filled = Filled(false);
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            filled.0 = true;
        }
        Ok(filled)
    }
}

struct IntegerVisitor;

impl Visitor<'_> for IntegerVisitor {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_unit<E>(self) -> Result<i64, E> {
        Ok(0)
    }

    fn visit_i64<E>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(|_| E::custom(format_args!("{number} is no integer")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<i64, E> {
        text.trim().parse().map_err(|_| E::custom(format_args!("{text:?} is no integer")))
    }
}

#[cfg(test)]
mod tests {
    use super::{Few, Filled, Members};
    use crate::json::from_bytes;

    #[test]
    fn a_list_keeps_what_is_allowed_and_says_that_there_was_more() {
        let read = |text: &str| from_bytes::<Few<i32, 2>>(text.as_bytes()).unwrap().all().ok();
        assert_eq!((read("[]"), read("null")), (Some(vec![]), Some(vec![])));
        assert_eq!((read("[1,2]"), read("[1,2,3]"), read(r#"[1,2,{"x":[]}]"#)), (Some(vec![1, 2]), None, None));
        for broken in ["[1,2,", "{}", "5", "[true]"] {
            assert!(from_bytes::<Few<i32, 2>>(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn so_does_an_object_whatever_its_keys_are() {
        let read = |text: &str| from_bytes::<Members<i32, 2>>(text.as_bytes()).unwrap().all().ok();
        let two = vec![("0".to_owned(), 1), (r#"{"a":1}"#.to_owned(), 2)];
        assert_eq!((read(r#"{0:1,{"a":1}:2}"#), read("null")), (Some(two), Some(vec![])));
        assert_eq!(read(r#"{"a":1,"b":2,"c":3}"#), None);
    }

    #[test]
    fn whether_there_is_anything_needs_no_look_at_it() {
        let read = |text: &str| from_bytes::<Filled>(text.as_bytes()).map(|Filled(filled)| filled);
        assert_eq!([read("{}"), read("[]"), read("null")], [Ok(false), Ok(false), Ok(false)]);
        assert_eq!([read(r#"{"a":{}}"#), read("[null]")], [Ok(true), Ok(true)]);
        assert!(read("5").is_err());
    }
}
