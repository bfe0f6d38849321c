'use strict'
// A topic that is deleted and made anew, under a group that has committed offsets and waits for more.

const { setTimeout: sleep } = require('node:timers/promises')
const { pull, send, topic } = require('../requests')

const NAME = 'anew'
const GROUP = 'GID-anew'

async function anew(r) {
  const at = { consumerGroup: GROUP, topic: NAME, queueId: 0 }
  const never0 = { ...at, setZeroIfNotFound: false }
  const from = (offset, ext) => pull(NAME, 0, offset, { consumerGroup: GROUP, ...ext })
  const made = topic(NAME, { readQueueNums: 1, writeQueueNums: 1 })
  let sent = 0
  const store = async (count) => {
    for (const last = sent + count; sent < last; sent++) {
      await r.broker(`310 anew, ${sent}`, 310, send(NAME, 0, { UNIQ_KEY: `ANEW${sent}` }), Buffer.from('x'))
    }
  }
  await r.broker('200 the group of a topic made anew', 200, {}, { groupName: GROUP })
  await r.broker('17 a topic to be made anew', 17, made)
  await store(3)
  await r.broker('15 all of it', 15, { ...at, commitOffset: 3 })
  await r.seen()
  const held = r.later(
    '11 held while its topic is deleted and made anew',
    11,
    from(3, { sysFlag: 6, suspendTimeoutMillis: 15_000 }),
    {
      last: true,
    },
  )
  await sleep(300)
  await r.broker('215 a topic with offsets', 215, { topic: NAME })
  await r.broker('14 of a topic that was deleted', 14, never0)
  await r.broker('30 of a topic that was deleted', 30, { topic: NAME, queueId: 0 })
  await r.broker('11 of a topic that was deleted', 11, from(3))
  await r.broker('17 the topic anew', 17, made)
  await r.broker('14 of a topic made anew', 14, never0)
  await r.broker('11 behind the end of a topic made anew', 11, from(3))
  await r.broker('29 of a topic made anew', 29, { topic: NAME, queueId: 0, timestamp: 1 })
  await store(2)
  await r.broker('11 behind the end of a topic made anew, with messages', 11, from(3))
  await store(2)
  await r.seen()
  await held
  await r.broker('11 the first of a topic made anew', 11, from(0))
}

module.exports = { anew }
