'use strict'
// Which messages a handler gets at once.

/** @typedef {import('../message').ReceivedMessage} ReceivedMessage */

/**
 * How a topic's messages are handed over together.
 * @typedef {{ maxMessages: number, isByKey: boolean }} Batching
 */

/**
 * A part of a chunk whose messages are handled together.
 * @typedef {{ messages: ReceivedMessage[], offsets: number[], isBatch: boolean }} Batch
 */

/**
 * The next messages of a chunk that a handler gets at once: of one topic, as a queue of the retry topic has messages of several.
 * @param {{ messages: ReceivedMessage[], offsets: number[] }} chunk
 * @param {number} from
 * @param {(topic: string) => Batching | undefined} batching
 * @returns {Batch}
 */
function batchAt({ messages, offsets }, from, batching) {
  const { topic, shardingKey } = messages[from]
  const { maxMessages, isByKey } = batching(topic) ?? ALONE
  const most = Math.min(messages.length, from + maxMessages)
  let to = from + 1
  while (to < most && messages[to].topic === topic && !(isByKey && messages[to].shardingKey !== shardingKey)) to++
  return {
    messages: messages.slice(from, to),
    offsets: offsets.slice(from, to),
    isBatch: batching(topic) !== undefined,
  }
}
/** @type {Batching} */
const ALONE = { maxMessages: 1, isByKey: false }

module.exports = { batchAt }
