'use strict'
// What is done to frames that brokers send.

const { encodeFrame } = require('../rocketmq/wire')

/** Where a frame's header begins, and behind which bits of its length the encoding is told. */
const HEADER_AT = 8
const HEADER_LENGTH = 0xffffff

/** The parts of a frame: its header, as JSON, and its body. @param {Buffer} frame */
function partsOf(frame) {
  const end = HEADER_AT + (frame.readInt32BE(4) & HEADER_LENGTH)
  return { header: JSON.parse(frame.toString('utf8', HEADER_AT, end)), body: frame.subarray(end) }
}

/** Changes frames, and sends others behind them. */
class Tampering {
  /** What becomes of each. @type {(frame: Buffer) => Buffer} */
  change = (frame) => frame
  #behind = []

  /** For a proxy. */
  get rewrite() {
    return (frame) => {
      const changed = this.change(frame)
      const next = this.#behind.shift()
      return next ? Buffer.concat([changed, next(changed)]) : changed
    }
  }

  /** Behind the next frame these bytes are sent, or what is made of that frame. @param {(frame: Buffer) => Buffer} make */
  behind(make) {
    this.#behind.push(make)
  }

  /** Whether something is still to be sent. */
  get isWaiting() {
    return this.#behind.length > 0
  }
}

/** A frame of this header. @param {object} header  @param {Buffer} [body] */
function frameOf(header, body) {
  return encodeFrame({ language: 'JAVA', version: 399, ...header }, body)
}

module.exports = { Tampering, frameOf, partsOf }
