'use strict'
// How our consumers handle their messages: well, or in one of the ways in which programs go wrong.

const { setTimeout: delay } = require('node:timers/promises')
const { ConsumeStatus, suspend } = require('../../..')

/** Of a hundred messages so many go wrong, and of those one in as many hangs. */
const TROUBLED = 3
const HANGING = 10
/** From this attempt on a message is handled well. */
const LAST_ATTEMPT = 3

const NEVER = new Promise(() => {})

/** What the next handler does, once it is told to; see misbehave(). @type {(() => void) | undefined} */
let next

/** Ways to fail. @type {Record<string, () => unknown>} */
const TROUBLES = {
  throws() {
    throw new Error('a handler throws')
  },
  throwsNothing() {
    throw undefined
  },
  rejects: () => Promise.reject(new TypeError('a handler rejects')),
  rejectsLater: () => delay(2).then(() => Promise.reject(null)),
  returnsJunk: () => 1,
  resolvesJunk: async () => ({ status: 'handled' }),
  returnsThenable: () => ({ then: (resolve) => resolve('junk') }),
  later: () => ConsumeStatus.RECONSUME_LATER,
  suspends: () => suspend(20),
}

/** @type {Record<string, (part: object, random: import('../random').Random, say: Function) => import('../../..').Handler>} */
const HANDLERS = {
  plain: (part, random) => () => {
    next?.()
    return delay(random.fraction() * part.handlerMs)
  },

  /** Some messages go wrong at first, each time in another way; some handlers end only when their signal does. */
  troubled:
    (part, random, say) =>
    (message, { attempt, signal }) => {
      if (attempt >= LAST_ATTEMPT || random.integer(0, 100) >= TROUBLED)
        return delay(random.fraction() * part.handlerMs)
      if (random.integer(0, HANGING) === 0) {
        say('trouble', { how: 'hangs' })
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      }
      const how = random.pick(Object.keys(TROUBLES))
      say('trouble', { how })
      return TROUBLES[how]()
    },

  /** The first message of one queue is never done with; what others do is told. */
  stuck: (part, random, say) => {
    let stuck
    const others = new Set()
    return ({ queue: { queueId } }) => {
      stuck ??= queueId
      if (queueId === stuck) return NEVER
      if (!others.has(queueId)) say('handled', { queues: others.add(queueId).size })
    }
  },
}

/** The way that this participant is to handle. */
function handlerOf(part, random, say) {
  return HANDLERS[part.handler ?? 'plain'](part, random, say)
}

/** Has the next handler end the process. @param {{ how: 'exit' | 'throw' }} what */
function misbehave({ how }) {
  next = () => {
    if (how === 'exit') process.exit(3)
    setImmediate(() => {
      throw new Error('nobody catches this')
    })
  }
}

module.exports = { handlerOf, misbehave, TROUBLES }
