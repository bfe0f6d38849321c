//! A chunk of messages on its way into JavaScript, where a factory of the facade makes the objects.

use crate::consumer::Delivery;
use napi::bindgen_prelude::{Array, BufferSlice, FnArgs, FunctionRef, ToNapiValue, Unknown};
use napi::{Env, Result, sys};
use std::net::SocketAddr;
use std::rc::Rc;

/// The arguments of `makeMessage(queue, offset, attempt, topic, tags, keys, shardingKey, msgId, offsetMsgId, bornTimestamp,
/// storeTimestamp, bornHost, storeHost, properties, body)`: positional, since V8 makes objects faster than Node-API does.
type MessageArgs<'a> = FnArgs<(
    u32,
    f64,
    u32,
    &'a str,
    Option<&'a str>,
    Option<&'a str>,
    Option<&'a str>,
    &'a str,
    &'a str,
    f64,
    f64,
    &'a str,
    &'a str,
    &'a str,
    BufferSlice<'a>,
)>;
/// The facade's factory.
pub(super) type MakeMessage = FunctionRef<MessageArgs<'static>, Unknown<'static>>;

/// A host as text; the messages of a queue have the same ones again and again.
#[derive(Default)]
struct Host(Option<(SocketAddr, String)>);

impl Host {
    fn text(&mut self, address: SocketAddr) -> &str {
        let known = self.0.take().filter(|(known, _)| *known == address);
        &self.0.insert(known.unwrap_or_else(|| (address, address.to_string()))).1
    }
}

#[derive(Default)]
struct Hosts {
    born: Host,
    store: Host,
}

/// Messages of one queue, and the factory that turns them into objects.
pub struct Chunk {
    pub(super) queue: u32,
    pub(super) messages: Vec<Delivery>,
    pub(super) make: Rc<MakeMessage>,
}

impl Chunk {
    #[expect(clippy::cast_precision_loss, reason = "offsets and times stay below 2^53")]
    fn object<'env>(&self, env: &'env Env, delivery: &Delivery, hosts: &mut Hosts) -> Result<Unknown<'env>> {
        let message = &*delivery.message;
        let (labels, offset_msg_id) = (message.labels(), message.offset_msg_id());
        self.make.borrow_back(env)?.call(FnArgs::from((
            self.queue,
            message.queue_offset as f64,
            delivery.attempt,
            &*delivery.topic,
            labels.tags,
            labels.keys,
            labels.sharding_key,
            labels.unique_id.unwrap_or(&offset_msg_id),
            offset_msg_id.as_str(),
            message.born_timestamp as f64,
            message.store_timestamp as f64,
            hosts.born.text(message.born_host),
            hosts.store.text(message.store_host),
            message.properties.as_str(),
            BufferSlice::copy_from(env, &message.body)?,
        )))
    }
}

impl ToNapiValue for Chunk {
    #[expect(unsafe_code, reason = "the trait's own signature; everything inside is napi's safe interface")]
    unsafe fn to_napi_value(raw: sys::napi_env, chunk: Self) -> Result<sys::napi_value> {
        let env = Env::from_raw(raw);
        let mut array = env.create_array(u32::try_from(chunk.messages.len()).unwrap_or(u32::MAX))?;
        let mut hosts = Hosts::default();
        for (i, delivery) in (0u32..).zip(&chunk.messages) {
            array.set(i, chunk.object(&env, delivery, &mut hosts)?)?;
        }
        unsafe { Array::to_napi_value(raw, array) }
    }
}

/// One message on its own.
pub struct Single(pub(super) Chunk);

impl ToNapiValue for Single {
    #[expect(unsafe_code, reason = "the trait's own signature; everything inside is napi's safe interface")]
    unsafe fn to_napi_value(raw: sys::napi_env, Single(chunk): Self) -> Result<sys::napi_value> {
        let env = Env::from_raw(raw);
        let Some(delivery) = chunk.messages.first() else {
            return unsafe { ToNapiValue::to_napi_value(raw, ()) };
        };
        let object = chunk.object(&env, delivery, &mut Hosts::default())?;
        unsafe { ToNapiValue::to_napi_value(raw, object) }
    }
}
