//! A chunk of messages on its way into JavaScript, where a factory of the facade makes the objects.

use crate::consumer::Delivery;
use crate::protocol::properties;
use napi::bindgen_prelude::{Array, BufferSlice, FnArgs, FunctionRef, ToNapiValue, Unknown};
use napi::{Env, Result, sys};
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
    String,
    String,
    f64,
    f64,
    String,
    String,
    String,
    BufferSlice<'a>,
)>;
/// The facade's factory.
pub(super) type MakeMessage = FunctionRef<MessageArgs<'static>, Unknown<'static>>;

/// Messages of one queue, and the factory that turns them into objects.
pub struct Chunk {
    pub(super) queue: u32,
    pub(super) messages: Vec<Delivery>,
    pub(super) make: Rc<MakeMessage>,
}

impl Chunk {
    #[expect(clippy::cast_precision_loss, reason = "offsets and times stay below 2^53")]
    fn object<'env>(&self, env: &'env Env, delivery: &Delivery) -> Result<Unknown<'env>> {
        let message = &*delivery.message;
        let properties = message.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.make.borrow_back(env)?.call(FnArgs::from((
            self.queue,
            message.queue_offset as f64,
            delivery.attempt,
            &*delivery.topic,
            message.tags(),
            message.keys(),
            message.sharding_key(),
            message.msg_id(),
            message.offset_msg_id(),
            message.born_timestamp as f64,
            message.store_timestamp as f64,
            message.born_host.to_string(),
            message.store_host.to_string(),
            properties::encode(properties),
            BufferSlice::copy_from(env, &message.body)?,
        )))
    }
}

impl ToNapiValue for Chunk {
    #[expect(unsafe_code, reason = "the trait's own signature; everything inside is napi's safe interface")]
    unsafe fn to_napi_value(raw: sys::napi_env, chunk: Self) -> Result<sys::napi_value> {
        let env = Env::from_raw(raw);
        let mut array = env.create_array(u32::try_from(chunk.messages.len()).unwrap_or(u32::MAX))?;
        for (i, delivery) in (0u32..).zip(&chunk.messages) {
            array.set(i, chunk.object(&env, delivery)?)?;
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
        let object = chunk.object(&env, delivery)?;
        unsafe { ToNapiValue::to_napi_value(raw, object) }
    }
}
