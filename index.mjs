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
