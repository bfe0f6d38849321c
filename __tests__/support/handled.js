'use strict'
// What members in processes of their own have handled, and whether that is in order.

/** Every handler call that has ended, of all these processes: { queueId, offset, began, ended, child }. */
function handled(children) {
  return children.flatMap((child, index) =>
    child.lines.filter(({ event }) => event === 'handled').map((call) => ({ ...call, child: index })),
  )
}

/** The calls by queue, in the order in which they began. */
function byQueue(calls) {
  const queues = new Map()
  for (const call of calls) queues.set(call.queueId, [...(queues.get(call.queueId) ?? []), call])
  for (const list of queues.values()) list.sort((a, b) => a.began - b.began)
  return queues
}

/** Pairs of calls of one queue that overlapped, by the clock of the machine (C1). */
function overlapping(calls) {
  return [...byQueue(calls).values()].flatMap((list) =>
    list.flatMap((call, i) => (i > 0 && list[i - 1].ended > call.began ? [[list[i - 1], call]] : [])),
  )
}

module.exports = { byQueue, handled, overlapping }
