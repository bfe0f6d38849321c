'use strict'
// A broker whose disk was restored from a copy: it gives offsets anew that were given before.
const { PushConsumer } = require('..')
const { clients, startCluster, uniqueGroup, until } = require('./support')

/** A member of a group of its own; closed after the test. */
function newMember({ nameServer }) {
  const options = { groupId: uniqueGroup(), nameServer, initialPosition: 'first' }
  return clients.add(new PushConsumer({ ...options, commitIntervalMs: 50, startTimeoutMs: 30_000 }))
}

test('a store set back: what is stored afterwards is handled, though its offsets were committed before', async () => {
  const cluster = await startCluster()
  const [broker] = cluster.brokers
  const topic = 'orders'
  await cluster.createTopic(topic, { queues: 1 })
  const send = async (...bodies) => {
    for (const body of bodies) await cluster.admin.send(topic, 0, body, { properties: { UNIQ_KEY: body } })
  }
  const seen = []
  const resets = []
  const client = newMember(cluster)
  client.on('warning', () => {}).on('offsetReset', (_queue, detail) => resets.push(detail))
  await client.subscribe(topic, (message) => void seen.push(message.text())).start()
  await send('a', 'b', 'c')
  await until(() => seen.length === 3)
  const copy = await broker.keepStore([topic])
  await send('d', 'e', 'f', 'g', 'h')
  await until(() => seen.length === 8)
  await until(async () => (await cluster.admin.committedOffset(client.groupId, topic, 0)) === 8)
  // In peace: what the group has committed is there again, beyond the end of the queue.
  await broker.stop()
  await broker.restoreStore(copy)
  await broker.start()
  await until(async () => (await cluster.admin.maxOffset(topic, 0)) === 3)
  await send('x', 'y')
  await until(() => seen.includes('y'), { timeoutMs: 90_000, what: () => `x and y, not ${seen}` })
  // What was stored a few seconds before the last message may come again.
  const again = seen.slice(8)
  expect(['x', 'y'].every((body) => again.includes(body))).toBe(true)
  expect(again).toEqual(['a', 'b', 'c', 'x', 'y'].slice(-again.length))
  expect(resets.map(({ reason }) => reason)).toEqual(['store-set-back'])
  await until(async () => (await cluster.admin.committedOffset(client.groupId, topic, 0)) === 5)
}, 180_000)

test('a store set back that has grown past the group: what is stored afterwards is handled, all of it', async () => {
  const cluster = await startCluster()
  const [broker] = cluster.brokers
  const topic = 'orders'
  await cluster.createTopic(topic, { queues: 1 })
  const send = async (bodies) => {
    for (const body of bodies) await cluster.admin.send(topic, 0, body, { properties: { UNIQ_KEY: body } })
  }
  const bodies = (prefix, count) => Array.from({ length: count }, (_, i) => `${prefix}${i}`)
  const seen = []
  let hold = () => undefined
  const client = newMember(cluster)
  client
    .on('warning', () => {})
    .on('offsetReset', () => {})
    .on('suspended', () => {})
  const handler = async (message) => {
    seen.push(message.text())
    await hold(message)
  }
  await client.subscribe(topic, handler).start()
  await send(bodies('old-', 3))
  await until(() => seen.length === 3)
  const copy = await broker.keepStore([topic])
  await send(bodies('lost-', 4))
  // The last one takes until the broker is back, so that nothing is pulled before the new store is longer.
  let release
  const released = new Promise((resolve) => (release = resolve))
  hold = ({ queueOffset }) => (queueOffset === 6 ? released : undefined)
  await until(() => seen.length === 7)
  await broker.kill9()
  await broker.restoreStore(copy)
  await broker.start()
  await send(bodies('new-', 20))
  hold = () => undefined
  release()
  await until(() => seen.includes('new-19'), { timeoutMs: 90_000, what: () => `new-19, not ${seen}` })
  const fresh = seen.filter((body) => body.startsWith('new-'))
  expect(fresh).toEqual(bodies('new-', 20))
}, 180_000)
