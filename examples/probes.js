'use strict'
// Probes for Kubernetes: node examples/probes.js
// ROCKETMQ_NAMESRV=host:port names the name server, ROCKETMQ_TOPIC an existing topic.

const { once } = require('node:events')
const http = require('node:http')
const { setTimeout: delay } = require('node:timers/promises')
const { Producer, PushConsumer } = require('rocketmq-orderly')

const topic = process.env.ROCKETMQ_TOPIC ?? 'orders'
const run = `${process.pid}-${Date.now()}` // there may be other messages in the topic

/** Problems that are no reason to take this process away: another one in its place would have them, too. */
const forPeople = [
  'ERR_ROCKETMQ_HANDLER', // a failing handler blocks a queue: the others go on
  'ERR_ROCKETMQ_TIMEOUT', // a handler hangs
  'ERR_ROCKETMQ_LOCK_LOST', // another client keeps the lock of a queue
  'ERR_ROCKETMQ_UNDECODABLE',
  'ERR_ROCKETMQ_UNREAD_QUEUE',
  'ERR_ROCKETMQ_FILTER',
  'ERR_ROCKETMQ_OFFSET_RESET',
  'ERR_ROCKETMQ_MESSAGE_MODEL',
  'ERR_ROCKETMQ_OFFSET_FILE',
]

/** Whether this client can do its work. */
const isReady = (client) => client.health().problems.every(({ code }) => forPeople.includes(code))

function serve(client) {
  const server = http.createServer(({ url }, response) => {
    // Alive is whoever answers: no problem of a client is mended by a restart.
    const isGood = url === '/live' || isReady(client)
    response.writeHead(isGood ? 200 : 503, { 'content-type': 'application/json' })
    response.end(JSON.stringify(client.health()))
  })
  return server.listen(Number(process.env.PORT ?? 0), '127.0.0.1')
}

async function main() {
  let isBroken = true
  const producer = new Producer({ groupId: 'GID_example_producer' })
  const consumer = new PushConsumer({ groupId: 'GID_example_probes', suspendMs: 100 })
  consumer.subscribe(topic, ({ properties }) => {
    if (isBroken && properties.run === run) throw new Error('the bank does not answer')
  })
  consumer.on('suspended', () => {})
  const server = serve(consumer)
  await once(server, 'listening')
  const probe = async (path) => (await fetch(`http://127.0.0.1:${server.address().port}${path}`)).status
  const print = async (when) => console.log(`${when}: live ${await probe('/live')}, ready ${await probe('/ready')}`)
  const until = async (condition) => {
    for (const end = AbortSignal.timeout(60_000); !condition(); end.throwIfAborted()) await delay(20)
  }
  try {
    await print('not started')
    await Promise.all([consumer.start(), producer.start()])
    await until(() => consumer.health().ok)
    await print('running')
    await producer.sendOrderly({ topic, body: 'paid', properties: { run } }, 'order-1')
    await until(() => consumer.stats().blockedQueues > 0)
    await print('a queue is blocked')
    isBroken = false
    await until(() => consumer.health().ok)
    await print('and goes on')
  } finally {
    await Promise.all([producer.close(), consumer.close()])
    await print('closed')
    server.close()
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
