export { register } from './prometheus.js'
