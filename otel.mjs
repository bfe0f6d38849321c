export { RocketMQInstrumentation } from './otel.js'
