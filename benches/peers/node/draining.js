'use strict'
// W4 and W5: a backlog, and a handler that does nothing.

const { Order } = require('./body')
const { Measure } = require('./measure')

/** How many messages are handled between two looks at the clock. */
const LOOK = 64

/**
 * Begins with the first message, and ends with the last one or when the time is up. With `given.from`: begins with the start of the consumer,
 * since so many queues may be buffered as a whole before the first message is handled.
 */
async function drain(client, given) {
  const order = new Order()
  const most = Number(given.messages)
  const measure = await Measure.begin()
  let handled = 0
  let figures
  let done
  const over = new Promise((resolve) => (done = resolve))
  const consumer = await client.consumer(given, (body) => {
    if (figures) return
    if (handled++ === 0 && !given.from) measure.restart()
    order.see(body)
    if (handled < most && (handled % LOOK !== 0 || measure.elapsed() < 1_000 * given.seconds)) return
    figures = measure.stop(handled)
    done()
  })
  await over
  await consumer.close()
  return { ...figures, inversions: order.inversions }
}

module.exports = { drain }
