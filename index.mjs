export {
  Client,
  ConsumeStatus,
  Message,
  Producer,
  PushConsumer,
  RocketMQError,
  SendStatus,
  deadLetter,
  suspend,
} from './index.js'
// The types are those of a CommonJS module, whose default import is everything.
export { default } from './index.js'
