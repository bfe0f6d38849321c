'use strict'
// What members in processes of their own have handled, and whether that is in order.

const { admin, until } = require('./index')

/**
 * Waits until all that is stored in a topic is handled, and returns how much that is. A send whose answer is late is sent again, and
 * stored twice: what is stored counts.
 * @param {string} topic
 * @param {number} sent
 * @param {() => number} count of the messages handled so far
 * @param {{ timeoutMs?: number }} [options]
 */
async function allHandled(topic, sent, count, options) {
  const { length: stored } = await admin.readBack(topic, { expected: sent })
  await until(() => count() >= stored, { ...options, what: () => `${stored} messages, ${count()} so far` })
  return stored
}

/** Every handler call that has ended, of all these processes: { queueId, offset, began, ended, child }. */
function handled(children) {
  return children.flatMap((child, index) =>
    child.lines.filter(({ event }) => event === 'handled').map((call) => ({ ...call, child: index })),
  )
}

/** The calls by queue, in the order in which they began. */
function byQueue(calls) {
  return grouped(calls, ({ queueId }) => queueId)
}

/** The calls by queue and sharding key, in the order in which they began. */
function byKey(calls) {
  return grouped(calls, ({ queueId, shardingKey }) => `${queueId}/${shardingKey}`)
}

function grouped(calls, laneOf) {
  const lanes = new Map()
  for (const call of calls) {
    const lane = laneOf(call)
    if (!lanes.has(lane)) lanes.set(lane, [])
    lanes.get(lane).push(call)
  }
  for (const list of lanes.values()) list.sort((a, b) => a.began - b.began)
  return lanes
}

/** Pairs of calls of one queue, or of what `by` says, that overlapped, by the clock of the machine (C1). */
function overlapping(calls, by = byQueue) {
  return [...by(calls).values()].flatMap((list) =>
    list.flatMap((call, i) => (i > 0 && list[i - 1].ended > call.began ? [[list[i - 1], call]] : [])),
  )
}

module.exports = { allHandled, byKey, byQueue, handled, overlapping }
