'use strict'
// Brokers that are killed and come back, and brokers that leave.

const { setTimeout: sleep } = require('node:timers/promises')
const { jsonFrame, RawConnection } = require('../raw-connection')
const { GROUP, heartbeat, locks, pull, queue, send, subscription } = require('../requests')

/** Offsets are written out every 5 s. */
const WRITTEN_OUT_MS = 6_000
/** First version that a leaving broker may send away. */
const NEWER = 476

/** What kill -9 and a new start leave. */
async function crash(r) {
  const at = { consumerGroup: GROUP, topic: 'plain', queueId: 1 }
  await r.broker('34 before the crash', 34, {}, heartbeat('client@1', [subscription('plain', '*', 50)]), {
    settleMs: 400,
  })
  await r.broker('41 before the crash', 41, {}, locks('client@1', queue(0)))
  await r.broker('41 of another before the crash', 41, {}, locks('client@2', queue(0)))
  await r.broker('15 long before the crash', 15, { ...at, commitOffset: 1 })
  await r.broker('310 before the crash', 310, send('one', 0, { UNIQ_KEY: 'CRASH' }), Buffer.from('x'))
  await sleep(WRITTEN_OUT_MS)
  await r.server.crash()
  await r.connect()
  await r.routed(['plain'])
  await r.broker('38 after the crash', 38, { consumerGroup: GROUP })
  await r.broker('11 after the crash, without registration', 11, pull('plain', 0, 0, { sysFlag: 0 }))
  await r.broker('41 of another after the crash', 41, {}, locks('client@2', queue(0)))
  await r.broker('14 after the crash', 14, at)
  await r.broker('30 after the crash', 30, { topic: 'one', queueId: 0 })
  await r.broker('11 after the crash', 11, pull('one', 0, 5))
  await r.broker('310 after the crash', 310, send('one', 0, { UNIQ_KEY: 'AFTER' }), Buffer.from('x'))
}

/** A 5.x broker may be told to send newer clients away before it closes. */
async function goAway(r) {
  await r.broker('25 a grace', 25, {}, Buffer.from('enableShutdownGracefully=true\nshutdownWaitTimeSeconds=5\n'))
  const client = await r.other()
  const connection = await RawConnection.open(r.brokerAddress)
  const stopped = r.server.stop()
  const ext = { topic: 'plain', queueId: '3' }
  let sentAway
  for (let opaque = 1; sentAway === undefined; opaque++) {
    connection.write(jsonFrame({ code: 30, opaque, version: NEWER, extFields: r.signed(ext) }))
    const answer = await connection.next()
    if (answer === 'closed' || answer.code === 1_500) sentAway = answer !== 'closed'
    await sleep(20)
  }
  r.note('a newer client of a leaving broker is sent away', sentAway)
  if (sentAway) await client.broker('30 by an older client of a leaving broker', 30, ext)
  client.close()
  connection.close()
  await stopped
}

module.exports = { crash, goAway }
