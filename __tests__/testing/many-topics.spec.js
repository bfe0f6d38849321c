'use strict'
// What one send costs does not depend on how many topics there are.

const { Producer } = require('../..')
const { TestBroker } = require('../../testing')

const MANY = 4_000
const FEW = 250

/** The first send to each of so many topics, not awaited one by one: what it costs per topic, in ms of CPU, and what was asked. */
async function firstSends(count) {
  const topics = Array.from({ length: count }, (_, i) => `topic-${i}`)
  const broker = await TestBroker.start({ topics: Object.fromEntries(topics.map((topic) => [topic, 8])) })
  const producer = await new Producer({ groupId: 'GID_many', nameServer: broker.nameServer }).start()
  const [cpu, began] = [process.cpuUsage(), performance.now()]
  const results = await Promise.allSettled(topics.map((topic) => producer.sendOrderly({ topic, body: topic }, 'key')))
  const [{ user, system }, tookMs] = [process.cpuUsage(cpu), performance.now() - began]
  const asked = broker.requests().filter(({ name }) => name === 'GET_ROUTEINFO_BY_TOPIC').length
  await producer.close()
  await broker.close()
  return { results, asked, tookMs, cpuPerTopic: (user + system) / 1_000 / count }
}

test(`first sends to ${MANY} topics: none fails, each route is asked for once, and one costs as much as with ${FEW}`, async () => {
  const few = await firstSends(FEW)
  const many = await firstSends(MANY)
  process.stdout.write(
    `first sends: ${MANY} topics in ${many.tookMs.toFixed(0)} ms; CPU per topic ${many.cpuPerTopic.toFixed(2)} ms, with ${FEW} topics ${few.cpuPerTopic.toFixed(2)} ms\n`,
  )
  expect(many.results.filter(({ status }) => status === 'rejected')).toEqual([])
  // One more look is the start's own; a busy machine may have some answers come too late for the first.
  expect(many.asked).toBeLessThan(MANY * 1.1)
  expect(many.cpuPerTopic).toBeLessThan(few.cpuPerTopic * 3)
})
