export {
  CHANNELS,
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
// As a CommonJS module has it: everything.
export { default } from './index.js'
