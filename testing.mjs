export { TestBroker } from './testing.js'
