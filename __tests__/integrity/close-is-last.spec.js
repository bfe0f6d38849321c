'use strict'
// Nothing that native has said before it closed is heard behind `close`, however much of it comes at once.

const { Producer, PushConsumer } = require('../..')
const { backend, clients, createTopic, uniqueGroup, until } = require('../support')
const { standStill } = require('../support/time')

/** Calls close() and holds the event loop, so that all that native says in the meantime is heard in one turn. */
async function closeHeld(client, ms) {
  const closed = client.close()
  for (let i = 0; i < 5; i++) await null // until native is asked
  standStill(ms)
  await closed
}

test('every assigned queue is revoked before the close event, though the loop was held while native closed', async () => {
  const topic = await createTopic({ queues: 8 })
  const options = { groupId: uniqueGroup(), nameServer: backend.nameServer }
  for (let round = 0; round < 5; round++) {
    const owned = new Set()
    const behind = []
    let ownedAtClose
    const client = clients.add(new PushConsumer(options)).subscribe(topic, () => {})
    client.on('assigned', (queues) => queues.forEach(({ queueId }) => owned.add(queueId)))
    client.on('revoked', (queues) => queues.forEach(({ queueId }) => owned.delete(queueId)))
    client.on('lockLost', ({ queueId }) => owned.delete(queueId))
    await client.start()
    await until(() => owned.size === 8)
    client.on('close', () => {
      ownedAtClose = [...owned]
      for (const event of ['assigned', 'revoked', 'lockLost']) client.on(event, () => behind.push(event))
    })
    await closeHeld(client, 300)
    expect([ownedAtClose, behind]).toEqual([[], []])
  }
})

test('every send is settled before the close event', async () => {
  const topic = await createTopic({ queues: 4 })
  for (let round = 0; round < 5; round++) {
    const heard = []
    const client = clients.add(new Producer({ groupId: uniqueGroup('P'), nameServer: backend.nameServer }))
    client.on('close', () => heard.push('close'))
    await client.start()
    for (let i = 0; i < 200; i++) {
      const sent = client.sendOrderly({ topic, body: String(i) }, `key-${i % 16}`)
      void sent.then(() => heard.push('sent'))
    }
    await closeHeld(client, 100)
    expect(heard).toEqual([...Array(200).fill('sent'), 'close'])
  }
})
